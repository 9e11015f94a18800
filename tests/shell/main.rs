//! The hooks in `shell/`, run by the real zsh and bash: what they show, what they leave alone, and
//! what they cost. A small script stands for the program `eksd`.
//!
//! A shell that is missing fails these tests; they never skip.

#![expect(clippy::disallowed_methods, reason = "a test makes files and environments of its own")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by failing")]

mod costs;
mod place;
mod prompts;
mod pty;
mod segments;
mod silence;
mod uses;
