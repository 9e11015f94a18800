//! eksd keeps AWS sessions and EKS access alive, and tells people before they end.
//!
//! Rooms, in reading order; ARCHITECTURE.md says what each promises.

#[cfg(feature = "agent")]
pub mod aws;
pub mod model;
pub mod report;
