//! Signals as something to wait for: Ctrl-C must put the terminal back and say a word, so it cannot
//! end the program on the spot.

use std::os::{
    fd::{AsFd, BorrowedFd},
    unix::net::UnixStream,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};

use crate::report::{Code, Report};

/// Can be read from once a signal came that shall end the program.
#[derive(Debug)]
pub(super) struct Interrupt(UnixStream);

impl Interrupt {
    /// From now on the signals end nothing by themselves.
    pub(super) fn listen() -> Result<Self, Report> {
        let listen = || -> std::io::Result<UnixStream> {
            let (ours, theirs) = UnixStream::pair()?;
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                pipe::register(signal, theirs.try_clone()?)?;
            }
            Ok(ours)
        };
        listen().map(Self).map_err(|error| {
            let what = "signals cannot be listened to";
            Report::new(Code::Internal, what, "report this as a bug").because(error.to_string())
        })
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
