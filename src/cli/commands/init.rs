//! `eksd init`: the hook of a shell.

use crate::{
    cli::{
        args::{HookShell, InitArgs},
        exit::Done,
        output,
        quote::shell_word,
    },
    report::{Code, Report},
};

/// Stands in the hooks for this program's path.
const PLACEHOLDER: &str = "@EKSD@";

/// Runs `eksd init`.
pub fn run(args: &InitArgs) -> Done {
    let own = std::env::current_exe().map_err(|error| {
        let what = "where this program lies cannot be found out";
        Report::new(Code::ReadFailed, what, "run eksd by its full path").because(error.to_string())
    })?;
    let hook = match args.shell {
        HookShell::Zsh => include_str!("../../../shell/eksd.zsh"),
        HookShell::Bash => include_str!("../../../shell/eksd.bash"),
    };
    output::data(filled(hook, &own.to_string_lossy()))?;
    Ok(0)
}

fn filled(hook: &str, own: &str) -> String {
    hook.replace(PLACEHOLDER, &shell_word(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_one_word() {
        assert_eq!(filled("\\command @EKSD@ x\n", "/o'p/eksd"), "\\command '/o'\\''p/eksd' x\n");
    }
}
