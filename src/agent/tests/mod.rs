//! The agent with a clock of ours and AWS played by the lab, over real HTTP.

mod bench;
mod clusters;
mod console;
mod discovery;
mod drift;
mod files;
mod lengths;
mod logins;
mod mfa;
mod quiet;
mod races;
mod renewal;
mod roles;
mod sources;
mod tokens;
