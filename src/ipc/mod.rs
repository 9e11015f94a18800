//! The local socket: what client and agent say to each other.
//!
//! JSON-RPC 2.0, one message a line, over a stream socket that only its owner can open. `wire`
//! holds the messages, `client` and `start` the client's side; the agent's side is `agent::server`.
//! `docs/protocol.md` is the specification with a worked exchange, which a test replays.

pub mod client;
pub mod start;
pub mod wire;

/// The protocol's version. A client and an agent with different numbers do not talk on.
pub const PROTOCOL: u32 = 1;

/// Longest request line the agent reads, in bytes.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// Longest answer line a client reads, in bytes: a status of some ten thousand profiles.
pub const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
