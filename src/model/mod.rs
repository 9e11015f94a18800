//! The pure room: values in, values out. No I/O, no clock, no runtime; `now` is an argument.
//!
//! Invariant: nothing here can fail for reasons outside it. Its errors are about what the person
//! configured.

pub mod chain;
mod cluster;
mod credentials;
mod profile;
mod secret;
pub mod text;

pub use chain::{Chain, ChainError, LoginKey, Reach, RoleHop, Source, SsoLogin};
pub use cluster::ClusterFacts;
pub use credentials::{Credentials, Registration, SsoToken};
pub use profile::{AwsFiles, Entry, FileKind, Finding, Origin, ProfileName, Section, Value};
pub use secret::Secret;
