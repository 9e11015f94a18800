//! The built programs and the source tree, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chains;
mod client_is_small;
mod deps;
mod exec;
mod explain;
mod protocol;
mod readme;
mod resolution;
mod source;
mod tidy;
