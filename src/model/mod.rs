//! The pure room: values in, values out. No I/O, no clock, no runtime; `now` is an argument.
//!
//! Invariant: nothing here can fail for reasons outside it. Its errors are about what the person
//! configured.

pub mod alias;
pub mod chain;
pub mod cluster;
mod credentials;
pub mod discovery;
pub mod explain;
pub mod foreign;
mod instant;
pub mod keyring;
#[cfg(feature = "agent")]
pub mod kubeconfig;
pub mod lasting;
pub mod learned;
pub mod mirror;
pub mod notice;
pub mod plan;
pub mod policy;
mod profile;
pub mod prompt;
pub mod readers;
mod secret;
pub mod session;
pub mod source;
pub mod status;
pub mod text;
pub mod token;
mod transition;
#[cfg(feature = "agent")]
pub mod uses;

pub use chain::{Chain, ChainError, MfaWay};
pub use cluster::ClusterFacts;
pub use credentials::{ConsoleToken, Credentials, Registration, SsoToken};
pub use instant::{format_instant, parse_instant};
pub use profile::{AwsFiles, Entry, FileKind, Finding, Origin, ProfileName, Section, Value};
pub use secret::Secret;
pub use source::{
    ConsoleLogin, LoginKey, Machine, MfaDevice, Process, Reach, RoleHop, RoleTerms, Source,
    SsoLogin, WebIdentity,
};
