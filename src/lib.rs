//! eksd keeps AWS sessions and EKS access alive, and tells people before they end.
//!
//! Rooms, in reading order; ARCHITECTURE.md says what each promises.

pub mod cli;
pub mod config;
pub mod ipc;
pub mod model;
pub mod report;
