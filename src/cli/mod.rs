//! The commands: parse, ask the agent, print. The only room that prints, and only through
//! [`output`].
//!
//! Three verbs are called many times a minute by other programs (`token`, `credential-process`,
//! `prompt`). They are matched and parsed by hand, before the argument parser is set up.

pub mod args;
mod asks;
pub mod commands;
pub mod door;
pub mod exit;
pub mod hot;
mod interrupt;
pub mod output;
mod progress;
mod quote;
mod screen;
mod variables;
pub mod view;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use self::{
    args::{Cli, Command},
    commands::{
        agent, cluster, completions, config, credential_process, ensure, env, exec, explain, init,
        login, logout, prompt, status, token, use_, whoami,
    },
    door::Call,
    exit::{Done, finish, finish_in_one_line},
};
use crate::{config::Env, report::Report};

/// Runs one of the verbs that other programs call; `None` if `words` name another, or ask for help.
pub fn run_hot(env: &Env, words: &[OsString]) -> Option<ExitCode> {
    if let Some(words) = hot::as_of_the_aws_cli(words).filter(|it| !hot::asks_for_help(it)) {
        return Some(finish_in_one_line(hot_verb(env, &words, hot::token, token::run)));
    }
    let (verb, words) = words.split_first()?;
    let verb = verb.to_str().filter(|_| !hot::asks_for_help(words))?;
    Some(match verb {
        "token" => finish_in_one_line(hot_verb(env, words, hot::token, token::run)),
        "credential-process" => finish_in_one_line(hot_verb(
            env,
            words,
            hot::credential_process,
            credential_process::run,
        )),
        "prompt" => finish(hot_verb(env, words, hot::prompt, prompt::run)),
        _ => return None,
    })
}

fn hot_verb<A>(
    env: &Env,
    words: &[OsString],
    parse: impl Fn(&[OsString]) -> Result<(A, bool), Report>,
    run: impl Fn(&Call, &A) -> Done,
) -> Done {
    let (args, no_agent) = parse(words)?;
    run(&Call::new(env, no_agent)?, &args)
}

/// Runs any command.
pub fn run(env: &Env, words: Vec<OsString>) -> ExitCode {
    let program = OsString::from("eksd");
    match Cli::try_parse_from(std::iter::once(program).chain(words)) {
        Ok(cli) => dispatch(env, cli),
        Err(error) => finish(usage(&error)),
    }
}

fn dispatch(surroundings: &Env, cli: Cli) -> ExitCode {
    // What works without a home folder, as in a build.
    match cli.command {
        Command::Completions(args) => return finish(completions::run(&args)),
        Command::Version => return finish(commands::version()),
        Command::Init(args) => return finish(init::run(&args)),
        _ => (),
    }
    let call = match Call::new(surroundings, cli.no_agent) {
        Ok(call) => call,
        Err(report) => return finish(Err(report.into())),
    };
    match cli.command {
        Command::Status(args) => finish(status::run(&call, &args)),
        Command::Login(args) => finish(login::run(&call, &args)),
        Command::Logout(args) => finish(logout::run(&call, args)),
        Command::Ensure(args) => finish(ensure::run(&call, &args)),
        Command::Use(args) => finish(use_::run(&call, &args)),
        Command::Exec(args) => finish(exec::run(&call, &args)),
        Command::Env(args) => finish(env::run(&call, &args)),
        Command::Whoami(args) => finish(whoami::run(&call, &args)),
        Command::Explain(args) => finish(explain::run(&call, &args)),
        Command::CredentialProcess(args) => {
            finish_in_one_line(credential_process::run(&call, &args))
        }
        Command::Token(args) => finish_in_one_line(token::run(&call, &args)),
        Command::Cluster(command) => finish(cluster::run(&call, command)),
        Command::Agent(command) => finish(agent::run(&call, command)),
        Command::Prompt(args) => finish(prompt::run(&call, &args)),
        Command::Config(command) => finish(config::run(&call, command)),
        Command::Completions(_) | Command::Version | Command::Init(_) => ExitCode::SUCCESS,
    }
}

/// Help and the version go to stdout, mistakes to stderr with exit code 2.
fn usage(error: &clap::Error) -> Done {
    let text = error.render().to_string();
    if error.use_stderr() {
        output::talk(text.trim_end());
        return Ok(2);
    }
    output::data(text)?;
    Ok(0)
}

/// Returns the wall clock's time.
fn instant() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the client's one clock")]
    jiff::Timestamp::now()
}

/// Returns the wall clock's time in the person's time zone. Finding the zone reads all folders of the
/// time zone database: only for what shows a time of day.
fn now() -> jiff::ZonedDateTime {
    jiff::ZonedDateTime::now()
}
