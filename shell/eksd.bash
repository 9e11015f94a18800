# shellcheck shell=bash
# eksd for bash 4.4 and later: the prompt segment and `eksd use`. `eksd init bash` prints this file.
#
#     eval "$(eksd init bash)"        # in ~/.bashrc, after whatever sets the prompt
#
# Settings, read at every prompt:
#
#     EKSD_PROMPT=off    draws nothing; for prompts that place the segment themselves
#     EKSD_WIDTH=40      longest name shown
#     EKSD_ASCII=1       no characters beyond ASCII
#     NO_COLOR=1         no colours
#
# For other prompts: EKSD_SEGMENT holds the text without colour, and is empty when there is nothing
# to show. In PS1 write '${EKSD_SEGMENT-}', in single quotes: a name in it is then never expanded.
# The text itself, pasted into PS1, would be run as code.
#
# A prompt reads one small file and starts nothing. Command words carry a backslash against aliases
# and `builtin` against functions of the same name; `local -` keeps the caller's `set` options.

__eksd_init() {
  \builtin local -
  \builtin set +aeukvxET
  __eksd_bin=@EKSD@
  # Sourced again, after an upgrade say: what the shell uses and what it saved stays.
  __eksd_look=''
  __eksd_put=${__eksd_put-} __eksd_told=${__eksd_told-} __eksd_told_from=${__eksd_told_from-0}
  __eksd_told_till=${__eksd_told_till-0}
  __eksd_previous=${__eksd_previous-} __eksd_has_saved=${__eksd_has_saved-} __eksd_moves=0
  # What `eksd use` may change.
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
  __eksd_passing=(KUBECONFIG AWS_REGION AWS_DEFAULT_REGION AWS_CONFIG_FILE
    AWS_SHARED_CREDENTIALS_FILE AWS_SDK_LOAD_CONFIG EKSD_AWS_CONFIG_FILE
    EKSD_AWS_SHARED_CREDENTIALS_FILE)
  # The only thing that goes into PS1. bash expands PS1 once: what the variable holds is not code.
  # shellcheck disable=SC2016
  __eksd_part='${__eksd_segment-}'
  # No clock gets there.
  __eksd_never=999999999999
  # Soft hyphen, zero-width, direction-changing and line-separating characters ("Trojan Source").
  __eksd_odd=$'\xc2\xad\xd8\x9c\xe2\x80\x8b\xe2\x80\x8c\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f'
  __eksd_odd+=$'\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x80\xae'
  __eksd_odd+=$'\xe2\x81\xa0\xe2\x81\xa1\xe2\x81\xa2\xe2\x81\xa3\xe2\x81\xa4\xe2\x81\xa6\xe2\x81\xa7'
  __eksd_odd+=$'\xe2\x81\xa8\xe2\x81\xa9\xe2\x81\xaa\xe2\x81\xab\xe2\x81\xac\xe2\x81\xad\xe2\x81\xae'
  __eksd_odd+=$'\xe2\x81\xaf\xef\xbb\xbf\xef\xbf\xb9\xef\xbf\xba\xef\xbf\xbb'
  EKSD_SEGMENT='' __eksd_segment='' __eksd_kind='' __eksd_utf8='' __eksd_text='' __eksd_colour='' __eksd_from=0 __eksd_till=0
  __eksd_hook
  # Under `set -a` functions are exported when they are defined.
  \builtin export -fn \
      __eksd_init __eksd_precmd __eksd_keep __eksd_hook __eksd_choose __eksd_encode __eksd_clean \
      __eksd_miss __eksd_parse __eksd_say __eksd_show_text __eksd_tell __eksd_set_ps1 __eksd_place \
      __eksd_prefix __eksd_paste __eksd_unput \
      eksd __eksd_use __eksd_show __eksd_clear __eksd_save __eksd_restore __eksd_complete
  # `complete` is missing where bash was built without programmable completion.
  \builtin complete -F __eksd_complete eksd 2>/dev/null
  \builtin return 0
}

# Draws: decides what the segment shows now, and sees to it that PS1 shows it. Mostly that is: read
# the file, see that it says the same, and that the text holds for another while.
__eksd_precmd() {
  \builtin local "rc=$?" s=$'\037' look='' now=''
  # Under `set -e` a failing PROMPT_COMMAND ends the shell; bash puts `$?` back afterwards anyway.
  if [[ $- == *e* ]]; then rc=0; fi
  \builtin local - line
  \builtin set +aeukvxET
  if [[ ${PROMPT_COMMAND[*]-} != *__eksd_precmd ]]; then __eksd_hook; fi
  # Folders and locale are looked at again when one of these changes.
  look="${KUBECONFIG-}$s${AWS_PROFILE-}$s${AWS_DEFAULT_PROFILE-}$s${EKSD_RUNTIME_DIR-}$s${EKSD_WIDTH-}$s${EKSD_ASCII-}$s${NO_COLOR-}$s${TERM-}$s${LC_ALL-}$s${EKSD_PROMPT-}"
  if [[ $look != "$__eksd_look" ]]; then
    __eksd_choose
    __eksd_look=$look
  fi
  if [[ -n $__eksd_kind ]]; then
    now=${EPOCHSECONDS-}
    if [[ -z $now ]]; then \builtin printf -v now '%(%s)T' -1; fi
    if ((now >= __eksd_told_till || now < __eksd_told_from)); then __eksd_tell "$now"; fi
    # The file may go away between the look and the read.
    if [[ -f $__eksd_file ]] && \builtin mapfile -n 1 -t line 2>/dev/null <"$__eksd_file"; then
      if [[ ${line-} != "$__eksd_line" ]]; then __eksd_parse "${line-}"; fi
      if ((now >= __eksd_till || now < __eksd_from)); then __eksd_say "$now"; fi
    elif [[ $__eksd_line != none ]]; then
      __eksd_miss
    fi
  fi
  if [[ ${PS1-} != *"$__eksd_part"* || -n $__eksd_put || $BASHOPTS != *promptvars* || ${EKSD_PROMPT-} == off ]]; then
    __eksd_place
  fi
  \builtin return "$rc"
}

# Stands where __eksd_precmd was, when it moved to the end and its place cannot be taken away.
__eksd_keep() {
  \builtin return
}

# Sees to it that __eksd_precmd runs last, after a theme has built PS1, and while no later command
# of PROMPT_COMMAND wants the PIPESTATUS that any function call takes away. (After PROMPT_COMMAND
# bash restores `$?` and PIPESTATUS itself.) Two that both want to be last must not move for ever.
__eksd_hook() {
  \builtin local at=''
  \builtin local -a others
  # Before 5.1 only the first element counts.
  if ((BASH_VERSINFO[0] > 5 || BASH_VERSINFO[0] == 5 && BASH_VERSINFO[1] > 0)); then
    at=${PROMPT_COMMAND[*]-}
  else
    at=${PROMPT_COMMAND-}
  fi
  [[ $at != *__eksd_precmd ]] || \builtin return 0
  ((__eksd_moves < 4)) || \builtin return 0
  __eksd_moves=$((__eksd_moves + 1))
  # Some machines make it readonly.
  [[ ${PROMPT_COMMAND[*]@a} != *r* ]] || \builtin return 0
  if ((${#PROMPT_COMMAND[@]} > 1 && (BASH_VERSINFO[0] > 5 || BASH_VERSINFO[0] == 5 && BASH_VERSINFO[1] > 0))); then
    others=()
    for at in "${PROMPT_COMMAND[@]}"; do
      [[ $at == __eksd_precmd ]] || others+=("$at")
    done
    PROMPT_COMMAND=("${others[@]}" __eksd_precmd)
  else
    at=${PROMPT_COMMAND-}
    case $at in
      __eksd_precmd[$';\n']*) at=${at#__eksd_precmd?} ;;
      *'; __eksd_precmd'[$';\n']*) at=${at/'; __eksd_precmd'/} ;;
      *[$';\n']__eksd_precmd[$';\n']*) at=${at/[$';\n']__eksd_precmd/} ;;
      *) at=${at/__eksd_precmd/__eksd_keep} ;;
    esac
    # shellcheck disable=SC2178 # as an array it keeps its other elements
    PROMPT_COMMAND=${at:+$at$'\n'}__eksd_precmd
  fi
}

# Works out what this shell uses, and the file that tells about it.
__eksd_choose() {
  \builtin local kube="${EKSD_KUBE_DIR:-${HOME-}/.kube/eksd}" list="${KUBECONFIG-}" alias='' dir='' probe='⎈'
  __eksd_kind='' __eksd_name='' __eksd_file='' __eksd_line='' __eksd_till=0
  if [[ ${#probe} -eq 1 && ${TERM-} != dumb && ${TERM-} != linux && ${EKSD_ASCII:-0} == 0 ]]; then
    __eksd_utf8=1
  else
    __eksd_utf8=''
  fi
  if [[ -n ${NO_COLOR-} || ${TERM-} == dumb ]]; then __eksd_colours=''; else __eksd_colours=1; fi

  while [[ $kube == */ ]]; do kube=${kube%/}; done
  # What is kept for one shell or command stands before the clusters' files; of these the first counts.
  [[ ${list%%:*} != */shell/*[0-9]-[0-9]*.yaml ]] || list=${list#*:}
  list=${list%%:*}
  if [[ $list == "$kube"/*.yaml ]]; then
    alias=${list#"$kube"/}
    alias=${alias%.yaml}
    [[ $alias != */* ]] || alias=''
  fi
  if [[ -n $alias ]]; then
    __eksd_kind=cluster __eksd_name=$alias
    if [[ -n $__eksd_utf8 ]]; then __eksd_mark='⎈ '; else __eksd_mark='k8s:'; fi
  elif [[ -n ${AWS_PROFILE:-${AWS_DEFAULT_PROFILE-}} ]]; then
    __eksd_kind=profile __eksd_name=${AWS_PROFILE:-$AWS_DEFAULT_PROFILE}
    if [[ -n $__eksd_utf8 ]]; then __eksd_mark='☁ '; else __eksd_mark='aws:'; fi
  else
    # What is chosen next is told, even if it is the same as before.
    __eksd_told='' __eksd_told_till=0
    __eksd_show_text '' ''
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
  # shellcheck disable=SC2088
  [[ $dir != '~/'* ]] || dir=${HOME-}/${dir:2}
  # A change of LC_ALL that undoes itself may complain about a locale that is not installed.
  __eksd_encode "$__eksd_name" 2>/dev/null
  # Nothing is ever read from the working folder, nor under a name too long for a file.
  if [[ $dir == /* && ${#__eksd_reply} -le 200 ]]; then
    __eksd_file=$dir/prompt/${__eksd_kind:0:1}.$__eksd_reply
  fi
}

# Name of the prompt file: bytes other than [A-Za-z0-9._@+-] become %XX.
__eksd_encode() {
  \builtin local LC_ALL=C
  \builtin local i=0 c='' code=0 out=''
  __eksd_reply=''
  # No name this long has a file.
  if ((${#1} > 200)); then
    __eksd_reply=$1
    \builtin return 0
  fi
  for ((i = 0; i < ${#1}; i++)); do
    c=${1:i:1}
    case $c in
      [abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-]) out+=$c ;;
      *)
        \builtin printf -v code %d "'$c"
        \builtin printf -v c '%%%02X' "$((code & 255))"
        out+=$c
        ;;
    esac
  done
  __eksd_reply=$out
}

# Makes a name fit to be shown: nothing that moves the cursor or reorders text, and not too long.
__eksd_clean() {
  \builtin local name="$1" width="${EKSD_WIDTH:-40}" dots='…'
  case $width in *[!0123456789]* | ????*) width=40 ;; esac
  width=$((10#$width))
  ((width >= 4)) || width=4
  if [[ -n $__eksd_utf8 ]]; then
    name=${name//[$__eksd_odd]/'?'}
  else
    name=${name//[![:ascii:]]/'?'} dots='...'
  fi
  name=${name//[![:print:]]/'?'}
  if ((${#name} > width)); then
    name=${name:0:width-${#dots}}$dots
  fi
  __eksd_reply=$name
}

# Without a file that can be read all there is to show is the name.
__eksd_miss() {
  __eksd_line=none __eksd_till=0
  if [[ -n $__eksd_file ]]; then
    __eksd_clean "$__eksd_name"
    __eksd_show_text "$__eksd_mark$__eksd_reply ?" 33
  else
    __eksd_show_text '' ''
  fi
}

# Takes a prompt line apart: eksd1|PHASE|EXPIRING_AT|GOOD_UNTIL|TRUST_UNTIL|CONFIDENCE|LABEL
# Instants that are not known (0) become one that never comes.
__eksd_parse() {
  \builtin local rest="${1#eksd1|}" phase='' number=''
  __eksd_line=$1 __eksd_head='' __eksd_till=0
  [[ $1 == eksd1'|'*'|'*'|'*'|'*'|'*'|'?* ]] || \builtin return 0
  phase=${rest%%|*}
  rest=${rest#*|} __eksd_expiring=${rest%%|*}
  rest=${rest#*|} __eksd_until=${rest%%|*}
  rest=${rest#*|} __eksd_trust=${rest%%|*}
  rest=${rest#*|} __eksd_about=''
  [[ $rest != estimated'|'* ]] || __eksd_about='~'
  for number in "$__eksd_expiring" "$__eksd_until" "$__eksd_trust"; do
    case $number in '' | *[!0123456789]* | ?????????????*) \builtin return 0 ;; esac
  done
  # A leading zero would make them octal.
  __eksd_expiring=$((10#$__eksd_expiring ? 10#$__eksd_expiring : __eksd_never))
  __eksd_until=$((10#$__eksd_until ? 10#$__eksd_until : __eksd_never))
  __eksd_trust=$((10#$__eksd_trust ? 10#$__eksd_trust : __eksd_never))
  __eksd_clean "${rest#*|}"
  __eksd_head=$__eksd_mark$__eksd_reply __eksd_word=''
  case $phase in
    fresh | renewing | idle | static) ;;
    degraded | expiring) __eksd_expiring=0 ;;
    needs-login) __eksd_word=login ;;
    needs-mfa) __eksd_word=mfa ;;
    expired) __eksd_word=expired ;;
    misconfigured) __eksd_word=config ;;
    *) __eksd_trust=0 ;;
  esac
}

# Shows what the line read last says at this instant, and works out how long that holds. A line that
# is none shows nothing.
__eksd_say() {
  \builtin local now="$1" left=0 time='' mark='' colour=32
  __eksd_from=$now __eksd_till=$__eksd_never
  if [[ -z $__eksd_head ]]; then
    __eksd_show_text '' ''
  elif [[ -n $__eksd_word ]]; then
    __eksd_show_text "$__eksd_head $__eksd_word" 31
  elif ((now >= __eksd_trust)); then
    __eksd_show_text "$__eksd_head ?" 33
  elif ((now >= __eksd_until)); then
    __eksd_till=$__eksd_trust
    __eksd_show_text "$__eksd_head login" 31
  else
    if ((__eksd_until < __eksd_never)); then
      left=$((__eksd_until - now))
      if ((left >= 172800)); then
        time=$((left / 86400))d __eksd_till=$((now + left % 86400 + 1))
      elif ((left >= 3600)); then
        \builtin printf -v time '%dh%02dm' "$((left / 3600))" "$((left % 3600 / 60))"
        __eksd_till=$((now + left % 60 + 1))
      elif ((left >= 60)); then
        time=$((left / 60))m __eksd_till=$((now + left % 60 + 1))
      else
        time=${left}s __eksd_till=$((now + 1))
      fi
      time=$__eksd_about$time
    fi
    if ((now >= __eksd_expiring)); then
      mark='!' colour=33
    elif ((__eksd_expiring < __eksd_till)); then
      __eksd_till=$__eksd_expiring
    fi
    if ((__eksd_trust < __eksd_till)); then __eksd_till=$__eksd_trust; fi
    time+=$mark
    __eksd_show_text "$__eksd_head${time:+ $time}" "$colour"
  fi
}

# Sets the variables that prompts show: the text, and its colour as a number for the terminal.
__eksd_show_text() {
  __eksd_text=$1 __eksd_colour=$2
  # shellcheck disable=SC2034 # for other prompts
  EKSD_SEGMENT=$1
  if [[ -z $1 || ${EKSD_PROMPT-} == off ]]; then
    __eksd_segment=''
  elif [[ -z $__eksd_colours ]]; then
    __eksd_segment="$1 "
  elif [[ :$SHELLOPTS: == *:emacs:* || :$SHELLOPTS: == *:vi:* ]]; then
    # What `\[` and `\]` become: readline must not count the colours.
    __eksd_segment=$'\001\e['"$2m"$'\002'"$1"$'\001\e[39m\002 '
  else
    __eksd_segment=$'\e['"$2m$1"$'\e[39m '
  fi
}

# Tells the agent what this shell uses, which is what keeps that warm; nobody waits for it.
__eksd_tell() {
  __eksd_told=$__eksd_kind=$__eksd_name __eksd_told_from=$1 __eksd_told_till=$(($1 + 3600))
  [[ -f $__eksd_bin && -x $__eksd_bin ]] || \builtin return 0
  ("$__eksd_bin" prompt --tell "--$__eksd_kind" "$__eksd_name" &) >/dev/null 2>&1 </dev/null
}

__eksd_set_ps1() {
  # A readonly PS1 stays as it is, without a complaint.
  [[ ${PS1@a} == *r* ]] || PS1=$1
}

# Sees to it that PS1 shows the segment, in the way that the shell's options allow.
__eksd_place() {
  if [[ :$BASHOPTS: != *:promptvars:* && :$SHELLOPTS: != *:posix:* ]]; then
    __eksd_paste "$__eksd_text" "$__eksd_colour"
    \builtin return 0
  fi
  __eksd_unput
  if [[ ${EKSD_PROMPT-} == off ]]; then
    [[ ${PS1-} != *"$__eksd_part"* ]] || __eksd_set_ps1 "${PS1/"$__eksd_part"/}"
  elif [[ ${PS1-} != *"$__eksd_part"* ]]; then
    __eksd_prefix "$__eksd_part"
  fi
}

# Puts $1 at the start of PS1, but after the line breaks with which it begins.
__eksd_prefix() {
  \builtin local lead='' rest="${PS1-}"
  while [[ $rest == '\n'* || $rest == $'\n'* ]]; do
    if [[ $rest == $'\n'* ]]; then lead+=$'\n' rest=${rest:1}; else lead+='\n' rest=${rest:2}; fi
  done
  __eksd_set_ps1 "$lead$1$rest"
}

# Without `promptvars` a variable in PS1 is not expanded, so the text itself goes in. Such a PS1 may
# be exported and find itself in a bash that does expand it: what would be code there is replaced.
__eksd_paste() {
  \builtin local put=''
  if [[ -n $1 && ${EKSD_PROMPT-} != off ]]; then
    put="${1//[\`\$\\]/'?'} "
    [[ -z $__eksd_colours ]] || put="\\[\\e[${2}m\\]${put% }\\[\\e[39m\\] "
  fi
  if [[ $put == "$__eksd_put" && ( -z $put || ${PS1-} == *"$put"* ) && ${PS1-} != *"$__eksd_part"* ]]; then
    \builtin return 0
  fi
  [[ ${PS1-} != *"$__eksd_part"* ]] || __eksd_set_ps1 "${PS1/"$__eksd_part"/}"
  __eksd_unput
  [[ -z $put ]] || __eksd_prefix "$put"
  __eksd_put=$put
}

__eksd_unput() {
  [[ -z $__eksd_put || ${PS1-} != *"$__eksd_put"* ]] || __eksd_set_ps1 "${PS1/"$__eksd_put"/}"
  __eksd_put=''
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

__eksd_use() {
  # Also keeps keys out of a trace.
  \builtin local -
  \builtin set +aeukvxET
  # The process of the subshell, where this is one.
  \builtin local code='' rc=0 arg='' pid="$BASHPID" old="${EKSD_USE-}"
  for arg in "$@"; do
    case $arg in -h | --help | --print | --print=*)
      "$__eksd_bin" use "$@"
      \builtin return
      ;;
    esac
  done
  case ${1-} in
    '')
      __eksd_show
      \builtin return
      ;;
    --clear)
      __eksd_clear
      \builtin return
      ;;
    -)
      if [[ -z $__eksd_previous ]]; then
        \builtin printf '%s\n' 'eksd: this shell has used nothing else before; name a profile or a cluster: eksd use NAME' >&2
        \builtin return 1
      fi
      \builtin shift
      \builtin set -- "$__eksd_previous" "$@"
      ;;
  esac
  code=$("$__eksd_bin" use --print bash --shell "$pid" "$@") || rc=$?
  ((rc == 0)) || \builtin return "$rc"
  if [[ -n $__eksd_has_saved ]]; then
    # A profile after a cluster does not keep the cluster's, nor one after the mirror the mirror.
    __eksd_restore "${__eksd_passing[@]}"
  else
    __eksd_save
  fi
  # The code is read as the program wrote it.
  if [[ :$BASHOPTS: == *:expand_aliases:* ]]; then
    \builtin shopt -u expand_aliases
    \builtin eval "$code" || rc=$?
    \builtin shopt -s expand_aliases
  else
    \builtin eval "$code" || rc=$?
  fi
  [[ ${EKSD_USE-} == "$old" ]] || __eksd_previous=$old
  \builtin return "$rc"
}

__eksd_show() {
  if [[ -n ${EKSD_USE-} ]]; then
    __eksd_clean "$EKSD_USE"
    \builtin printf 'This shell uses %s.\n' "$__eksd_reply"
  else
    \builtin printf '%s\n' 'This shell uses what it was started with.'
  fi
  \builtin printf '%s\n' 'To change it: eksd use NAME (a profile or a cluster), eksd use - (the one before), eksd use --clear (as it was).'
}

__eksd_clear() {
  if [[ -z $__eksd_has_saved ]]; then
    if [[ -n ${EKSD_USE-} ]]; then
      \builtin printf '%s\n' 'eksd: it was chosen in the shell that started this one; use eksd use --clear there, or eksd use NAME here' >&2
      \builtin return 1
    fi
    \builtin return 0
  fi
  __eksd_previous=${EKSD_USE-}
  __eksd_restore "${__eksd_vars[@]}" EKSD_USE
  \builtin unset -v __eksd_saved __eksd_had
  __eksd_has_saved=''
}

# Keeps what `eksd use` may change, in variables that no program sees.
__eksd_save() {
  \builtin local var='' attributes=''
  \builtin unset -v __eksd_saved __eksd_had
  \builtin declare -gA __eksd_saved __eksd_had
  for var in "${__eksd_vars[@]}" EKSD_USE; do
    [[ -n ${!var+x} ]] || \builtin continue
    \builtin eval "attributes=\${$var@a}"
    if [[ $attributes == *x* ]]; then __eksd_had[$var]=exported; else __eksd_had[$var]='set'; fi
    __eksd_saved[$var]=${!var}
  done
  __eksd_has_saved=1
}

# Puts the named variables back: value, exported or not, set or not.
__eksd_restore() {
  \builtin local var=''
  for var in "$@"; do
    case ${__eksd_had[$var]-} in
      exported) \builtin export "$var=${__eksd_saved[$var]}" ;;
      set)
        \builtin printf -v "$var" %s "${__eksd_saved[$var]}"
        # shellcheck disable=SC2163 # the variable that it names
        \builtin export -n "$var"
        ;;
      *) \builtin unset -v "$var" ;;
    esac
  done
}

# Loads the program's own completion when it is first wanted; 124 has bash look again.
__eksd_complete() {
  \builtin local code=''
  code=$("$__eksd_bin" completions bash 2>/dev/null) || code=''
  if [[ -n $code ]]; then \builtin eval "$code"; else \builtin complete -r eksd; fi
  \builtin return 124
}

__eksd_init
