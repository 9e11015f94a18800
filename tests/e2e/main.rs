//! The built programs as people use them: with the real AWS CLIs, boto3, kubectl, shells and
//! notification daemons, against the lab.
//!
//! A program that is missing fails these tests with the package that has it; they never skip.

#![expect(clippy::disallowed_methods, reason = "a test makes files and environments of its own")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by failing")]

mod adoption;
#[cfg(target_os = "linux")]
mod adoption_kills;
mod clients;
mod cluster_files;
mod console;
mod counts;
mod crowds;
mod discovery;
mod endpoint;
mod exec_plugin;
#[cfg(target_os = "linux")]
mod fake_keyring;
mod faults;
mod herd;
mod home;
mod intruders;
#[cfg(target_os = "linux")]
mod keyrings;
mod kills;
mod kube_clients;
mod kubectl;
mod lint;
mod long_run;
mod main_job;
mod mfa;
mod mirror;
mod namespaces;
mod notices;
mod place;
mod races;
mod ran;
mod secrets;
mod shells;
mod short_lives;
mod silent;
mod socket;
mod sources;
mod starts;
mod surroundings;
mod terminal;
mod tools;
mod writers;
