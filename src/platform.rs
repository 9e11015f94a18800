//! What no safe interface offers. The one room with `unsafe` in it; each use says why it is sound.

use std::{
    fs, io,
    os::fd::{BorrowedFd, OwnedFd, RawFd},
};

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::{io::unix::AsyncFd, process::Command};

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

/// Has a program begin a session of its own, so that it has no terminal and its group can be killed by
/// its id, and inherit nothing beside its three streams. What the agent opens is not inherited anyway;
/// this is about what was open when the agent was started.
#[expect(
    unsafe_code,
    reason = "std asks the caller to promise to be careful between fork and exec"
)]
pub(crate) fn set_apart(command: &mut Command) {
    let open = open_descriptors();
    let set_apart = move || {
        for descriptor in &open {
            // SAFETY: the number is used for this one call. Where it is not open any more the call
            // fails, which is as good; it changes no descriptor but its own process's.
            let descriptor = unsafe { BorrowedFd::borrow_raw(*descriptor) };
            let _closed_already = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
        }
        rustix::process::setsid().map(|_| ()).map_err(io::Error::from)
    };
    // SAFETY: between fork and exec it makes two kinds of system call, `fcntl` and `setsid`, and
    // neither allocates nor takes a lock: the list is there already.
    unsafe { command.pre_exec(set_apart) };
}

/// Returns what is open beside the three streams.
fn open_descriptors() -> Vec<RawFd> {
    // Where nobody tells, the low numbers, which a shell or a build tool would use.
    let Ok(entries) = fs::read_dir("/dev/fd") else { return (3..256).collect() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| 2 < *descriptor)
        .collect()
}
