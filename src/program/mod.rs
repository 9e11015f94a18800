//! Helper programs of the person: `credential_process`, `mfa_process`.
//!
//! The command goes to `sh -c`, as the Rust, Go, JavaScript and Java SDKs have it; the AWS CLI splits
//! the text like a shell and starts the program itself. A plain command, a path and arguments without
//! quotes, `~` or `$`, means the same to all.
//!
//! A helper sees an [`Environment`] that was made for it and no terminal: it begins a session of its
//! own, reads nothing, and inherits no descriptor beside its three streams. It has a deadline; past it,
//! and where nobody waits for it any more, the whole group is killed. What it prints is limited.
//!
//! Invariant: what a helper printed is a [`Secret`], or is cleared of what looks like one before
//! anybody may see it.

mod environment;
mod error;
mod output;
mod redact;
mod run;
#[cfg(test)]
mod tests;

pub use environment::Environment;
pub use error::ProgramError;
pub use output::{credentials, mfa_code};
pub use run::{DEADLINE, run};

#[cfg(doc)]
use crate::model::Secret;
