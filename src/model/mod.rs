//! The pure room: values in, values out. No I/O, no clock, no runtime; `now` is an argument.
//!
//! Invariant: nothing here can fail for reasons outside it. Its errors are about what the person
//! configured.

pub mod chain;
mod credentials;
mod profile;
pub mod prompt;
mod secret;
pub mod text;

pub use chain::{Chain, ChainError, LoginKey, Reach, RoleHop, Source, SsoLogin};
pub use credentials::{Credentials, Registration, SsoToken};
pub use profile::{AwsFiles, Entry, FileKind, Finding, Origin, ProfileName, Section, Value};
pub use secret::Secret;
