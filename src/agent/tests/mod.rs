//! The agent with a clock of ours and AWS played by the lab, over real HTTP.

mod bench;
mod clusters;
mod files;
mod logins;
mod renewal;
mod roles;
