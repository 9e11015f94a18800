//! Shells that eksd has a hook for, and how to make one of them show what it shows.

use std::path::Path;
use std::process::Command;

use crate::home::Home;

/// A shell with a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// zsh
    Zsh,
    /// bash 4.4 or later
    Bash,
}

impl Hook {
    /// The person's shell, if eksd has a hook for it.
    pub(crate) fn of_person(home: &Home) -> Option<Self> {
        let shell = std::env::var_os("SHELL")?;
        let name = Path::new(&shell).file_name()?;
        [Self::Zsh, Self::Bash].into_iter().find(|hook| name == hook.name() && hook.works(home))
    }

    /// One that is installed; zsh where both are.
    pub(crate) fn any(home: &Home) -> Option<Self> {
        [Self::Zsh, Self::Bash].into_iter().find(|hook| hook.works(home))
    }

    /// Its name, for people and for `eksd init`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zsh => "zsh",
            Self::Bash => "bash",
        }
    }

    /// Whether it is installed and new enough.
    fn works(self, home: &Home) -> bool {
        let test = match self {
            Self::Zsh => "true",
            Self::Bash => "((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404))",
        };
        home.ask(self.name(), &["-c", test]).is_some()
    }

    /// A shell that prints its prompt once a second, as it would look to somebody who presses
    /// Enter: `times` times, or until the prompt ends in `word`.
    pub(crate) fn prompts(self, home: &Home, times: u32, word: &str) -> Command {
        let mut command = home.command(self.name());
        let look = match self {
            Self::Zsh => {
                command.arg("-f");
                "PROMPT='$ '\nlook() {\n  for f in $precmd_functions; do $f; done\n  print -P -- \"$PROMPT\"\n}"
            }
            Self::Bash => {
                command.arg("--norc");
                "PS1='$ '\nlook() {\n  __eksd_precmd\n  printf '%s\\n' \"${PS1@P}\"\n}"
            }
        };
        let script = format!(
            "eval \"$(eksd init {})\"\n{look}\n\
             for ((i = 0; i < {times}; i++)); do\n  look\n  \
             [[ $EKSD_SEGMENT != *\" {word}\" ]] || break\n  sleep 1\ndone",
            self.name()
        );
        command.args(["-c", &script]);
        command
    }
}
