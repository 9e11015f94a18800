//! What no safe interface offers. The one room with `unsafe` in it; each use says why it is sound.

use std::{io, os::fd::OwnedFd};

use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime, so that a task can wait for it to be readable.
///
/// # Errors
/// The runtime could not take it.
#[expect(unsafe_code, reason = "tokio asks the caller to promise that the descriptor stays open")]
pub(crate) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open until it is dropped, and the `AsyncFd` owns
    // it and deregisters before dropping it.
    let registered = unsafe { AsyncFd::register(descriptor) };
    registered.map_err(io::Error::from)
}
