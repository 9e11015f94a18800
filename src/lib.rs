//! eksd keeps AWS sessions and EKS access alive, and tells people before they end.
//!
//! Rooms, in reading order; ARCHITECTURE.md says what each promises.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "agent")]
pub mod aws;
pub mod cli;
#[cfg(feature = "agent")]
pub mod clock;
pub mod config;
pub mod ipc;
pub mod model;
#[cfg(feature = "agent")]
pub mod notify;
#[cfg(feature = "agent")]
pub mod pace;
#[cfg(feature = "agent")]
mod platform;
#[cfg(feature = "agent")]
pub mod program;
pub mod report;
pub mod store;
#[cfg(feature = "agent")]
pub mod world;
