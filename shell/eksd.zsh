# eksd for zsh 5.3 and later: the prompt segment and `eksd use`. `eksd init zsh` prints this file.
#
#     eval "$(eksd init zsh)"        # in ~/.zshrc, after whatever sets the prompt
#
# Settings, read at every prompt:
#
#     EKSD_PROMPT=left   or `right` (RPROMPT), or `off` for prompts that place the segment themselves
#     EKSD_WIDTH=40      longest name shown
#     EKSD_ASCII=1       no characters beyond ASCII
#     NO_COLOR=1         no colours
#
# For other prompts: EKSD_SEGMENT holds the text without colour, and is empty when there is nothing
# to show. zsh reads `%` in it as prompt code: with PROMPT_SUBST write '${EKSD_SEGMENT//\%/%%}' in
# single quotes, or keep it in an element of psvar and write %1v.
#
# A prompt reads one small file and starts nothing. Command words carry a backslash against aliases
# and `builtin` against functions of the same name; `emulate -L` keeps the caller's options.

function __eksd_init {
  \builtin emulate -L zsh -o no_xtrace -o no_verbose -o no_force_float
  \builtin typeset -g __eksd_bin=@EKSD@
  # Sourced again, after an upgrade say: what the shell uses and what it saved stays.
  \builtin typeset -g __eksd_look="" __eksd_line="" __eksd_head="" __eksd_word="" __eksd_kind="" __eksd_name=""
  \builtin typeset -g __eksd_file="" __eksd_mark="""" __eksd_utf8="" __eksd_colours=""
  \builtin typeset -g __eksd_about="" __eksd_reply="" __eksd_completes=""
  \builtin typeset -g __eksd_expiring=0 __eksd_until=0 __eksd_trust=0 __eksd_moves=0
  \builtin typeset -g __eksd_from=0 __eksd_till=0 __eksd_slot=44 __eksd_drawn=""
  \builtin typeset -g __eksd_told="${__eksd_told-}" __eksd_told_from="${__eksd_told_from-0}"
  \builtin typeset -g __eksd_told_till="${__eksd_told_till-0}"
  \builtin typeset -g __eksd_previous="${__eksd_previous-}" __eksd_has_saved="${__eksd_has_saved-}"
  \builtin typeset -g __eksd_segment="" EKSD_SEGMENT=""
  # What `eksd use` may change.
  \builtin typeset -ga __eksd_vars
  __eksd_vars=(AWS_PROFILE AWS_DEFAULT_PROFILE AWS_REGION AWS_DEFAULT_REGION KUBECONFIG
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN
    AWS_CREDENTIAL_EXPIRATION AWS_SESSION_EXPIRATION AWS_ACCESS_KEY AWS_SECRET_KEY
    AWS_ROLE_ARN AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI
    AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
    AWS_VAULT AWSUME_PROFILE AWSUME_EXPIRATION AWS_SSO_PROFILE
    AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_SDK_LOAD_CONFIG
    EKSD_AWS_CONFIG_FILE EKSD_AWS_SHARED_CREDENTIALS_FILE)
  # Those of them that one use sets and another does not.
  \builtin typeset -ga __eksd_passing
  __eksd_passing=(KUBECONFIG AWS_REGION AWS_DEFAULT_REGION AWS_CONFIG_FILE
    AWS_SHARED_CREDENTIALS_FILE AWS_SDK_LOAD_CONFIG EKSD_AWS_CONFIG_FILE
    EKSD_AWS_SHARED_CREDENTIALS_FILE)
  # The only thing that goes into PROMPT: constant, so that a name is never prompt code. The text is
  # in one element of psvar, by colour, far above those that themes use; `%(41V.….)` is empty while
  # element 41 is.
  \builtin typeset -g __eksd_part="%(41V.%F{green}%41v%f .)%(42V.%F{yellow}%42v%f .)"
  __eksd_part+="%(43V.%F{red}%43v%f .)%(44V.%44v .)"
  psvar[41]="" psvar[42]="" psvar[43]="" psvar[44]=""
  # No clock gets there.
  \builtin typeset -g __eksd_never=999999999999
  # Soft hyphen, zero-width, direction-changing and line-separating characters ("Trojan Source").
  \builtin typeset -g __eksd_odd=$'\xc2\xad\xd8\x9c\xe2\x80\x8b\xe2\x80\x8c\xe2\x80\x8d\xe2\x80\x8e'
  __eksd_odd+=$'\xe2\x80\x8f\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad'
  __eksd_odd+=$'\xe2\x80\xae\xe2\x81\xa0\xe2\x81\xa1\xe2\x81\xa2\xe2\x81\xa3\xe2\x81\xa4\xe2\x81\xa6'
  __eksd_odd+=$'\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9\xe2\x81\xaa\xe2\x81\xab\xe2\x81\xac\xe2\x81\xad'
  __eksd_odd+=$'\xe2\x81\xae\xe2\x81\xaf\xef\xbb\xbf\xef\xbf\xb9\xef\xbf\xba\xef\xbf\xbb'
  # EPOCHSECONDS; without the module a prompt escape tells the time too.
  \builtin typeset -g __eksd_clock="%D{%s}"
  \builtin zmodload zsh/datetime 2>/dev/null
  \builtin typeset -ga precmd_functions
  if [[ ${precmd_functions[(Ie)__eksd_precmd]} -eq 0 ]]; then
    precmd_functions+=(__eksd_precmd)
  fi
  \builtin return 0
}

# Draws: decides what the segment shows now, and sees to it that the prompt shows it. Mostly that is:
# read the file, see that it says the same, and that the text holds for another while. zsh itself
# keeps `$?` and pipestatus around precmd functions.
function __eksd_precmd {
  \builtin emulate -L zsh -o no_xtrace -o no_verbose -o no_force_float
  \builtin local s=$'\037' look="" now="" line=""
  # Last, after a theme has built PROMPT.
  if [[ ${precmd_functions[-1]-} != __eksd_precmd && $__eksd_moves -lt 3 ]]; then __eksd_move; fi
  # Folders and locale are looked at again when one of these changes.
  look="${KUBECONFIG-}$s${AWS_PROFILE-}$s${AWS_DEFAULT_PROFILE-}$s${EKSD_RUNTIME_DIR-}$s${EKSD_WIDTH-}$s${EKSD_ASCII-}$s${NO_COLOR-}$s${TERM-}$s${LC_ALL-}"
  if [[ $look != "$__eksd_look" ]]; then
    __eksd_choose
    __eksd_look=$look
  fi
  if [[ -n $__eksd_kind ]]; then
    now=${EPOCHSECONDS-}
    if [[ -z $now ]]; then now=${(%)__eksd_clock}; fi
    if (( now >= __eksd_told_till || now < __eksd_told_from )); then __eksd_tell $now; fi
    # The file may go away between the look and the read.
    if [[ -f $__eksd_file ]] && { line="$(<$__eksd_file)"; } 2>/dev/null; then
      if [[ $line != "$__eksd_line" ]]; then __eksd_parse "$line"; fi
      if (( now >= __eksd_till || now < __eksd_from )); then __eksd_say $now; fi
    elif [[ $__eksd_line != none ]]; then
      __eksd_miss
    fi
  fi
  if [[ ${psvar[$__eksd_slot]-} != "$__eksd_drawn" || ${PROMPT-} != *"$__eksd_part"* || ! -o prompt_percent || ${EKSD_PROMPT-left} != left || ${RPROMPT-} == *"$__eksd_part"* ]]; then
    __eksd_place
  fi
  if [[ -z $__eksd_completes && -n ${functions[compdef]-} ]]; then
    # compinit may run after this file.
    __eksd_completes=1
    \compdef __eksd_complete eksd
  fi
}

# Two that both want to be last must not move for ever.
function __eksd_move {
  (( __eksd_moves += 1 ))
  precmd_functions=("${(@)precmd_functions:#__eksd_precmd}" __eksd_precmd)
}

# Works out what this shell uses, and the file that tells about it.
function __eksd_choose {
  \builtin local kube="${EKSD_KUBE_DIR:-${HOME-}/.kube/eksd}" list="${KUBECONFIG-}" name="" dir="" probe="⎈"
  __eksd_kind="" __eksd_name="" __eksd_file="" __eksd_line="" __eksd_till=0
  if [[ ${#probe} -eq 1 && ${TERM-} != dumb && ${TERM-} != linux && ${EKSD_ASCII:-0} == 0 ]]; then
    __eksd_utf8=1
  else
    __eksd_utf8=""
  fi
  if [[ -n ${NO_COLOR-} || ${TERM-} == dumb ]]; then __eksd_colours=""; else __eksd_colours=1; fi

  while [[ $kube == */ ]]; do kube=${kube%/}; done
  # What is kept for one shell or command stands before the clusters' files; of these the first counts.
  [[ ${list%%:*} != */shell/*[0-9]-[0-9]*.yaml ]] || list=${list#*:}
  list=${list%%:*}
  if [[ $list == "$kube"/*.yaml ]]; then
    name=${list#"$kube"/}
    name=${name%.yaml}
    [[ $name != */* ]] || name=""
  fi
  if [[ -n $name ]]; then
    __eksd_kind=cluster __eksd_name=$name
    if [[ -n $__eksd_utf8 ]]; then __eksd_mark="⎈ "; else __eksd_mark="k8s:"; fi
  elif [[ -n ${AWS_PROFILE:-${AWS_DEFAULT_PROFILE-}} ]]; then
    __eksd_kind=profile __eksd_name=${AWS_PROFILE:-$AWS_DEFAULT_PROFILE}
    if [[ -n $__eksd_utf8 ]]; then __eksd_mark="☁ "; else __eksd_mark="aws:"; fi
  else
    # What is chosen next is told, even if it is the same as before.
    __eksd_told="" __eksd_told_till=0
    __eksd_show_text "" 44
    \builtin return 0
  fi
  [[ $__eksd_kind=$__eksd_name == "$__eksd_told" ]] || __eksd_told_till=0

  if [[ -n ${EKSD_RUNTIME_DIR-} ]]; then
    dir=$EKSD_RUNTIME_DIR
  elif [[ ${XDG_RUNTIME_DIR-} == /* && -d $XDG_RUNTIME_DIR && -O $XDG_RUNTIME_DIR ]]; then
    dir=$XDG_RUNTIME_DIR/eksd
  elif [[ -n ${EKSD_STATE_DIR-} ]]; then
    dir=$EKSD_STATE_DIR/run
  elif [[ ${XDG_STATE_HOME-} == /* ]]; then
    dir=$XDG_STATE_HOME/eksd/run
  else
    dir=${HOME-}/.local/state/eksd/run
  fi
  [[ $dir != "~/"* ]] || dir=${HOME-}/${dir#??}
  __eksd_encode "$__eksd_name"
  # Nothing is ever read from the working folder, nor under a name too long for a file.
  if [[ $dir == /* && ${#__eksd_reply} -le 200 ]]; then
    __eksd_file=$dir/prompt/${__eksd_kind[1]}.$__eksd_reply
  fi
}

# Name of the prompt file: bytes other than [A-Za-z0-9._@+-] become %XX.
function __eksd_encode {
  \builtin emulate -L zsh -o no_multibyte -o no_xtrace -o no_verbose -o no_force_float
  \builtin local c="" code="" out=""
  # No name this long has a file.
  if (( ${#1} > 200 )); then
    __eksd_reply=$1
    \builtin return 0
  fi
  for c in "${(@s::)1}"; do
    if [[ $c == [A-Za-z0-9._@+-] ]]; then
      out+=$c
    else
      code=$(( [##16] #c ))
      out+=%${(l:2::0:)code}
    fi
  done
  __eksd_reply=$out
}

# Makes a name fit to be shown: nothing that moves the cursor or reorders text, and not too long.
function __eksd_clean {
  \builtin local name="$1" width="${EKSD_WIDTH:-40}" dots="…"
  [[ $width == <4-999> ]] || width=40
  if [[ -n $__eksd_utf8 ]]; then
    name=${name//[$__eksd_odd]/?}
  else
    name=${name//[^[:ascii:]]/?} dots="..."
  fi
  name=${name//[^[:print:]]/?}
  if (( ${#name} > width )); then
    name=${name[1,width-${#dots}]}$dots
  fi
  __eksd_reply=$name
}

# Without a file that can be read all there is to show is the name.
function __eksd_miss {
  __eksd_line=none __eksd_till=0
  if [[ -n $__eksd_file ]]; then
    __eksd_clean "$__eksd_name"
    __eksd_show_text "$__eksd_mark$__eksd_reply ?" 42
  else
    __eksd_show_text "" 44
  fi
}

# Takes a prompt line apart: eksd1|PHASE|EXPIRING_AT|GOOD_UNTIL|TRUST_UNTIL|CONFIDENCE|LABEL
# Instants that are not known (0) become one that never comes.
function __eksd_parse {
  \builtin local line="${1%%$'\n'*}" rest="" phase="" number=""
  __eksd_line=$1 __eksd_head="" __eksd_till=0
  [[ $line == "eksd1|"*"|"*"|"*"|"*"|"*"|"?* ]] || \builtin return 0
  rest=${line#eksd1|}
  phase=${rest%%|*}
  rest=${rest#*|} __eksd_expiring=${rest%%|*}
  rest=${rest#*|} __eksd_until=${rest%%|*}
  rest=${rest#*|} __eksd_trust=${rest%%|*}
  rest=${rest#*|} __eksd_about=""
  [[ $rest != "estimated|"* ]] || __eksd_about="~"
  for number in "$__eksd_expiring" "$__eksd_until" "$__eksd_trust"; do
    [[ $number == <0-999999999999> && ${#number} -le 12 ]] || \builtin return 0
  done
  __eksd_expiring=$(( __eksd_expiring ? __eksd_expiring : __eksd_never ))
  __eksd_until=$(( __eksd_until ? __eksd_until : __eksd_never ))
  __eksd_trust=$(( __eksd_trust ? __eksd_trust : __eksd_never ))
  __eksd_clean "${rest#*|}"
  __eksd_head=$__eksd_mark$__eksd_reply __eksd_word=""
  case $phase in
    (fresh|renewing|idle|static) ;;
    (degraded|expiring) __eksd_expiring=0 ;;
    (needs-login) __eksd_word=login ;;
    (needs-mfa) __eksd_word=mfa ;;
    (expired) __eksd_word=expired ;;
    (misconfigured) __eksd_word=config ;;
    (*) __eksd_trust=0 ;;
  esac
}

# Shows what the line read last says at this instant, and works out how long that holds. A line that
# is none shows nothing.
function __eksd_say {
  \builtin local now="$1" left=0 time="" mark="" slot=41
  __eksd_from=$now __eksd_till=$__eksd_never
  if [[ -z $__eksd_head ]]; then
    __eksd_show_text "" 44
  elif [[ -n $__eksd_word ]]; then
    __eksd_show_text "$__eksd_head $__eksd_word" 43
  elif (( now >= __eksd_trust )); then
    __eksd_show_text "$__eksd_head ?" 42
  elif (( now >= __eksd_until )); then
    __eksd_till=$__eksd_trust
    __eksd_show_text "$__eksd_head login" 43
  else
    if (( __eksd_until < __eksd_never )); then
      left=$(( __eksd_until - now ))
      if (( left >= 172800 )); then
        time=$(( left / 86400 ))d __eksd_till=$(( now + left % 86400 + 1 ))
      elif (( left >= 3600 )); then
        time=$(( left % 3600 / 60 )) __eksd_till=$(( now + left % 60 + 1 ))
        time=$(( left / 3600 ))h${(l:2::0:)time}m
      elif (( left >= 60 )); then
        time=$(( left / 60 ))m __eksd_till=$(( now + left % 60 + 1 ))
      else
        time=${left}s __eksd_till=$(( now + 1 ))
      fi
      time=$__eksd_about$time
    fi
    if (( now >= __eksd_expiring )); then
      mark="!" slot=42
    elif (( __eksd_expiring < __eksd_till )); then
      __eksd_till=$__eksd_expiring
    fi
    if (( __eksd_trust < __eksd_till )); then __eksd_till=$__eksd_trust; fi
    time+=$mark
    __eksd_show_text "$__eksd_head${time:+ $time}" $slot
  fi
}

# Sets the variables that prompts show: the text, and the element of psvar for its colour, which is
# filled when it is placed.
function __eksd_show_text {
  \builtin local slot="$2"
  EKSD_SEGMENT=$1 __eksd_segment=$1 __eksd_drawn=$1
  if [[ -z $__eksd_colours ]]; then slot=44; fi
  if [[ $slot != $__eksd_slot ]]; then
    psvar[$__eksd_slot]="" __eksd_slot=$slot
  fi
}

# Tells the agent what this shell uses, which is what keeps that warm; nobody waits for it.
function __eksd_tell {
  __eksd_told=$__eksd_kind=$__eksd_name __eksd_told_from=$1 __eksd_told_till=$(( $1 + 3600 ))
  [[ -f $__eksd_bin && -x $__eksd_bin ]] || \builtin return 0
  # In a subshell `$!` and the job table stay as they are.
  ( "$__eksd_bin" prompt --tell "--$__eksd_kind" "$__eksd_name" &! ) >/dev/null 2>&1 </dev/null
}

# Sets a prompt. A readonly one stays as it is, without a complaint.
function __eksd_set {
  [[ ${(tP)1-} == *readonly* ]] || \builtin typeset -g "$1=$2"
}

# Sees to it that the prompt shows the segment, on the side that is wished for.
function __eksd_place {
  \builtin local where="${EKSD_PROMPT:-left}" rest="${PROMPT-}" lead=""
  # Where `%` is not special the constant would show as it is written.
  [[ -o prompt_percent ]] || where=off
  psvar[$__eksd_slot]=$__eksd_drawn
  if [[ $where == off || $where == right ]]; then
    [[ $rest != *"$__eksd_part"* ]] || __eksd_set PROMPT "${rest/"$__eksd_part"/}"
  elif [[ $rest != *"$__eksd_part"* ]]; then
    # After the line breaks with which some begin.
    while [[ $rest == $'\n'* ]]; do
      lead+=$'\n' rest=${rest#?}
    done
    __eksd_set PROMPT "$lead$__eksd_part$rest"
  fi
  rest=${RPROMPT-}
  if [[ $where != right ]]; then
    [[ $rest != *"$__eksd_part"* ]] || __eksd_set RPROMPT "${rest/"$__eksd_part"/}"
  elif [[ $rest != *"$__eksd_part"* ]]; then
    __eksd_set RPROMPT "$__eksd_part$rest"
  fi
}

# The command: `use` changes this shell, everything else is the program's.
function eksd {
  if [[ ${1-} == use ]]; then
    \builtin shift
    __eksd_use "$@"
  else
    "$__eksd_bin" "$@"
  fi
}

function __eksd_use {
  # Also keeps keys out of a trace.
  \builtin emulate -L zsh -o no_aliases -o no_xtrace -o no_verbose -o no_force_float
  \builtin local code="" rc=0 arg="" pid="" old="${EKSD_USE-}"
  for arg in "$@"; do
    case $arg in
      (-h|--help|--print|--print=*)
        "$__eksd_bin" use "$@"
        \builtin return
        ;;
    esac
  done
  case ${1-} in
    ("")
      __eksd_show
      \builtin return
      ;;
    (--clear)
      __eksd_clear
      \builtin return
      ;;
    (-)
      if [[ -z $__eksd_previous ]]; then
        \builtin print -ru2 -- "eksd: this shell has used nothing else before; name a profile or a cluster: eksd use NAME"
        \builtin return 1
      fi
      \builtin shift
      \builtin set -- "$__eksd_previous" "$@"
      ;;
  esac
  # Of the subshell, where this is one. Without the module the whole shell's.
  \builtin zmodload -F zsh/system p:sysparams 2>/dev/null
  pid=${sysparams[pid]:-$$}
  code="$("$__eksd_bin" use --print zsh --shell $pid "$@")" || rc=$?
  (( rc == 0 )) || \builtin return $rc
  if [[ -n $__eksd_has_saved ]]; then
    # A profile after a cluster does not keep the cluster's, nor one after the mirror the mirror.
    __eksd_restore $__eksd_passing
  else
    __eksd_save
  fi
  \builtin eval "$code" || rc=$?
  [[ ${EKSD_USE-} == "$old" ]] || __eksd_previous=$old
  \builtin return $rc
}

function __eksd_show {
  if [[ -n ${EKSD_USE-} ]]; then
    __eksd_clean "$EKSD_USE"
    \builtin print -r -- "This shell uses $__eksd_reply."
  else
    \builtin print -r -- "This shell uses what it was started with."
  fi
  \builtin print -r -- "To change it: eksd use NAME (a profile or a cluster), eksd use - (the one before), eksd use --clear (as it was)."
}

function __eksd_clear {
  if [[ -z $__eksd_has_saved ]]; then
    if [[ -n ${EKSD_USE-} ]]; then
      \builtin print -ru2 -- "eksd: it was chosen in the shell that started this one; use eksd use --clear there, or eksd use NAME here"
      \builtin return 1
    fi
    \builtin return 0
  fi
  __eksd_previous=${EKSD_USE-}
  __eksd_restore $__eksd_vars EKSD_USE
  \builtin unset __eksd_saved __eksd_had
  __eksd_has_saved=""
}

# Keeps what `eksd use` may change, in variables that no program sees.
function __eksd_save {
  \builtin local var=""
  \builtin unset __eksd_saved __eksd_had
  \builtin typeset -gA __eksd_saved __eksd_had
  for var in $__eksd_vars EKSD_USE; do
    (( ${(P)+var} )) || \builtin continue
    if [[ ${(tP)var} == *export* ]]; then __eksd_had[$var]=exported; else __eksd_had[$var]=set; fi
    __eksd_saved[$var]="${(P)var}"
  done
  __eksd_has_saved=1
}

# Puts the named variables back: value, exported or not, set or not.
function __eksd_restore {
  \builtin local var=""
  for var in "$@"; do
    case ${__eksd_had[$var]-} in
      (exported) \builtin typeset -gx "$var=${__eksd_saved[$var]}" ;;
      (set) \builtin typeset -g +x "$var=${__eksd_saved[$var]}" ;;
      (*) \builtin unset "$var" ;;
    esac
  done
}

# Loads the program's own completion when it is first wanted; that registers itself.
function __eksd_complete {
  \builtin local code=""
  code="$("$__eksd_bin" completions zsh 2>/dev/null)" || code=""
  [[ -z $code ]] || \builtin eval "$code"
  (( ! ${+functions[_eksd]} )) || _eksd "$@"
}

__eksd_init
