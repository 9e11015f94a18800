//! The hook is heard by nobody: it prints nothing, whatever options, aliases and functions the
//! shell has, changes none of them, and does the same when it is loaded twice.

use crate::place::{Place, SHELLS, Shell, fresh};

/// Options in which a zsh may find itself.
const ZSH: &[&str] = &[
    "all_export",
    "bare_glob_qual",
    "brace_ccl",
    "bsd_echo",
    "c_bases",
    "chase_links",
    "clobber",
    "no_clobber",
    "csh_junkie_history",
    "csh_junkie_loops",
    "csh_junkie_quotes",
    "csh_null_glob",
    "err_return",
    "extended_glob",
    "no_extended_glob",
    "no_equals",
    "force_float",
    "no_function_argzero",
    "glob_assign",
    "glob_dots",
    "glob_subst",
    "ignore_braces",
    "ignore_close_braces",
    "interactive_comments",
    "ksh_arrays",
    "ksh_glob",
    "ksh_option_print",
    "ksh_typeset",
    "ksh_zero_subscript",
    "no_case_match",
    "no_multi_func_def",
    "no_nomatch",
    "no_short_loops",
    "no_unset",
    "null_glob",
    "numeric_glob_sort",
    "octal_zeroes",
    "path_dirs",
    "posix_aliases",
    "posix_builtins",
    "posix_identifiers",
    "posix_strings",
    "prompt_bang",
    "prompt_subst",
    "rc_expand_param",
    "rc_quotes",
    "rematch_pcre",
    "sh_file_expansion",
    "sh_glob",
    "sh_nullcmd",
    "sh_option_letters",
    "sh_word_split",
    "typeset_silent",
    "warn_create_global",
    "warn_nested_var",
    "no_bad_pattern",
    "no_glob",
    "no_bg_nice",
    "magic_equal_subst",
    "no_global_rcs",
];

/// Options in which a bash may find itself: for `set -o`, then for `shopt -s` and `shopt -u`.
const BASH: &[&str] = &[
    "set -o allexport",
    "set -o errtrace",
    "set -o functrace",
    "set -o hashall",
    "set -o keyword",
    "set -o noclobber",
    "set -o noglob",
    "set -o notify",
    "set -o physical",
    "set -o posix",
    "set +o hashall",
    "set +o braceexpand",
    "shopt -s assoc_expand_once",
    "shopt -s cdable_vars",
    "shopt -s dotglob",
    "shopt -s expand_aliases",
    "shopt -s extdebug",
    "shopt -s extglob",
    "shopt -s failglob",
    "shopt -s globstar",
    "shopt -u globasciiranges",
    "shopt -s inherit_errexit",
    "shopt -s lastpipe",
    "shopt -s localvar_inherit",
    "shopt -s localvar_unset",
    "shopt -s nocaseglob",
    "shopt -s nocasematch",
    "shopt -s nullglob",
    "shopt -u patsub_replacement",
    "shopt -u promptvars",
    "shopt -s shift_verbose",
    "shopt -u sourcepath",
    "shopt -s xpg_echo",
    "shopt -s compat44",
    "shopt -u interactive_comments",
];

/// Loads the hook twice, draws twice, and prints what came of it, then which options are set.
fn probe(place: &Place, shell: Shell, how: &str) -> String {
    let options = shell.pick("set +o | command cat", "set +o; shopt -p; trap -p");
    let file = format!("\"{}/eksd.{}\"", "$HOME/..", shell.name());
    let load = match how {
        "source" => format!("source {file}; source {file}"),
        _ => format!("eval \"$(<{file})\"; eval \"$(<{file})\""),
    };
    let registered = shell.pick("${precmd_functions[*]}", "$PROMPT_COMMAND");
    format!(
        "before=\"$({options})\"; {load}; __eksd_precmd; __eksd_precmd
         after=\"$({options})\"
         builtin printf '%s\\n' \"$EKSD_SEGMENT\" \"{registered}\" \"$PS1\" \"$__eksd_file\"
         [[ \"$before\" == \"$after\" ]] && builtin printf 'kept\\n'
         command env | command grep -v '^PS1=' | command grep -i __eksd || :",
    )
    .replace("PS1\"", shell.pick("PROMPT\"", "PS1\""))
    .replace("@place@", place.path("").to_str().unwrap())
}

#[test]
fn every_option() {
    let place = Place::new();
    place.prompt("p.a%20b%2F%C3%A9", &fresh("a b/é"));
    let env = [("AWS_PROFILE", "a b/é"), ("PS1", "$ "), ("IFS", "x")];
    for shell in SHELLS {
        let flags = ["-eu", "-o", "pipefail"];
        for how in ["source", "eval"] {
            for setting in shell.pick(ZSH, BASH) {
                let set = shell.pick(format!("setopt {setting}"), (*setting).to_owned());
                if how == "eval" && setting.contains("interactive_comments") {
                    continue;
                }
                let script = format!("{set}\nPS1='$ '\n{}", probe(&place, shell, how));
                let output = place.script(shell, &flags, &env, &script);
                let printed = String::from_utf8_lossy(&output.stdout);
                let complaints = String::from_utf8_lossy(&output.stderr);
                let part = match (shell, *setting) {
                    (Shell::Zsh, _) => {
                        "%(41V.%F{green}%41v%f .)%(42V.%F{yellow}%42v%f .)\
                         %(43V.%F{red}%43v%f .)%(44V.%44v .)"
                    }
                    (Shell::Bash, "shopt -u promptvars") => r"\[\e[32m\]☁ a b/é 2h14m\[\e[39m\] ",
                    (Shell::Bash, _) => "${__eksd_segment-}",
                };
                let file = place.path("run/prompt/p.a%20b%2F%C3%A9");
                let expected = format!(
                    "☁ a b/é 2h14m\n__eksd_precmd\n{part}$ \n{}\nkept\n",
                    file.to_str().unwrap()
                );
                assert_eq!(
                    (&*printed, &*complaints),
                    (&*expected, ""),
                    "{} {how} {setting}",
                    shell.name()
                );
            }
        }
    }
}

#[test]
fn aliases_and_functions_of_the_same_names() {
    let place = Place::new();
    place.prompt("p.x", &fresh("x"));
    let names = [
        "local", "printf", "print", "mapfile", "eval", "set", "unset", "export", "declare",
        "typeset", "emulate", "zmodload", "read", "shift", "complete", "cat", "test",
    ];
    for shell in SHELLS {
        let mut aliases = String::new();
        let mut functions = String::new();
        for name in names {
            aliases += &format!("alias {name}='bad-alias'\n");
            functions += &format!("function {name} {{ command echo bad {name}; return 99; }}\n");
        }
        aliases += "alias eksd='bad-alias' return='bad-alias' continue='bad-alias'\n";
        let load = place.source(shell);
        let on = shell.pick("setopt aliases\n", "shopt -s expand_aliases\n");
        let tail = "\\__eksd_precmd\n\\builtin printf '%s\\n' \"$EKSD_SEGMENT\"\n\
                    \\eksd use alpha\n\\__eksd_precmd\n\\builtin printf '%s\\n' \"$EKSD_SEGMENT\"\n\
                    \\eksd use --clear\n\\__eksd_precmd\n\\builtin printf '%s\\n' \"$EKSD_SEGMENT\"";
        for before in [&aliases, &functions] {
            place.write("work/rc", &format!("{on}{before}{load}\n{tail}\n"));
            // The stand-in's `export` and `unset` are the shell's business, not the hook's.
            let script = "source ./rc";
            let script = if before == &functions {
                place.write(
                    "work/rc",
                    &format!("{functions}unset -f export unset 2>/dev/null\n{load}\n{tail}\n")
                        .replace("unset -f", "\\builtin unset -f"),
                );
                script
            } else {
                script
            };
            let shown = place.says(shell, &[("AWS_PROFILE", "x")], script);
            assert_eq!(shown, "☁ x 2h14m\n☁ alpha ?\n☁ x 2h14m\n", "{}", shell.name());
        }
    }
}

#[test]
fn traps_and_statuses() {
    let place = Place::new();
    place.prompt("p.x", &fresh("x"));
    for shell in SHELLS {
        let err = shell.pick("ZERR", "ERR");
        let script = format!(
            "trap 'echo trapped' {err}; {}; __eksd_precmd; __eksd_precmd; trap",
            place.source(shell)
        );
        let shown = place.says(shell, &[("AWS_PROFILE", "x")], &script);
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
    let script = format!(
        "{}; (exit 3); __eksd_precmd; echo $?; set -e; ! true || __eksd_precmd; echo alive",
        place.source(Shell::Bash)
    );
    assert_eq!(place.says(Shell::Bash, &[("AWS_PROFILE", "x")], &script), "3\nalive\n");
}

#[test]
fn readonly_prompts_are_left_alone() {
    let place = Place::new();
    place.prompt("p.x", &fresh("x"));
    for shell in SHELLS {
        let script = format!(
            "PS1='$ '; readonly PS1 PROMPT PROMPT_COMMAND; {}; __eksd_precmd; __eksd_precmd
             printf '%s\\n' \"$PS1\"",
            place.source(shell)
        );
        assert_eq!(place.says(shell, &[("AWS_PROFILE", "x")], &script), "$ \n");
    }
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let hook = concat!(env!("CARGO_MANIFEST_DIR"), "/shell/eksd.bash");
    let mut command = std::process::Command::new(crate::place::tool("shellcheck"));
    let output = command.args(["-s", "bash", hook]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(output.status.success());
}
