//! `eksd-try`: eksd's main job, played in a throw-away home against the lab.
//!
//! No AWS account is needed, and nothing of the person's own is read or written. `cargo try` starts it.

#[cfg(target_os = "linux")]
mod bus;
mod desk;
mod home;
mod hook;
mod interrupt;
mod play;
mod programs;
mod run;
mod say;
mod tour;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::interrupt::Interrupt;
use crate::programs::Programs;
use crate::say::Say;

/// Shows eksd's main job, in a throw-away home, against a stand-in for AWS and a cluster.
///
/// It takes less than a minute, needs no AWS account, and touches nothing of yours.
#[derive(Debug, Parser)]
#[command(name = "cargo try", bin_name = "cargo try", version)]
struct Cli {
    /// Set all of it up, and leave me in a shell to play with it
    #[arg(long)]
    shell: bool,
    /// Take eksd, eksd-agent and eksd-lab from this folder, and build nothing
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// Why it stopped early.
#[derive(Debug)]
enum Trouble {
    /// A signal: Ctrl-C, or the terminal was closed.
    Interrupted,
    /// Something did not do what it should; what.
    Failed(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A step's end.
type Done<T = ()> = Result<T, Trouble>;

/// What a step fails with.
fn failed<T>(what: impl Into<String>) -> Done<T> {
    Err(Trouble::Failed(what.into()))
}

fn main() -> ExitCode {
    let say = Say::new();
    match try_it(&cli(), &say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say.failure(&trouble.to_string());
            match trouble {
                // As a shell tells it: 128 and the signal's number.
                Trouble::Interrupted => ExitCode::from(130),
                Trouble::Failed(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// Both `cargo try --shell` and `cargo try -- --shell` are what people type; the alias ends in `--`.
fn cli() -> Cli {
    let mut words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "--") {
        words.remove(1);
    }
    Cli::parse_from(words)
}

fn try_it(cli: &Cli, say: &Say) -> Done {
    let programs = match &cli.programs {
        Some(folder) => Programs::in_folder(folder)?,
        None => Programs::build(say)?,
    };
    let interrupt = Interrupt::listen()?;
    let done = if cli.shell {
        play::play(&programs, say, &interrupt)
    } else {
        tour::tour(&programs, say, &interrupt)
    };
    // The terminal's Ctrl-C reaches the command of the step too, which then fails.
    done.map_err(|trouble| interrupt.check().err().unwrap_or(trouble))
}
