//! `eksd completions`: what a shell completes, from the argument types.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{
    args::{Cli, CompletedShell, CompletionsArgs},
    exit::Done,
    output,
};

/// Runs `eksd completions`.
pub fn run(args: &CompletionsArgs) -> Done {
    let shell = match args.shell {
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "eksd", &mut script);
    output::data(script)?;
    Ok(0)
}
