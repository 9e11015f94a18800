//! `eksd`, the client. It cannot reach AWS: what it wants to know it asks the agent.

use std::{ffi::OsString, process::ExitCode};

use eksd::{cli, config::Env};

fn main() -> ExitCode {
    let env = Env::from_process();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    cli::run_hot(&env, &words).unwrap_or_else(|| cli::run(&env, words))
}
