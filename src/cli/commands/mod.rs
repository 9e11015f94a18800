//! One file per command.

pub mod agent;
pub mod cluster;
pub mod completions;
pub mod config;
pub mod credential_process;
pub mod ensure;
pub mod env;
pub mod exec;
pub mod explain;
pub mod init;
pub mod login;
pub mod logout;
pub mod prompt;
pub mod status;
pub mod token;
pub mod use_;
pub mod whoami;

use super::{exit::Done, output};

/// Prints the version.
pub fn version() -> Done {
    output::data(format!("eksd {}\n", env!("CARGO_PKG_VERSION")))?;
    Ok(0)
}
