//! Signals as something to wait for: Ctrl-C must put the terminal back and say a word, so it cannot
//! end the program on the spot; and a child that ends is news.

use std::{
    io::Read,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};

use rustix::net::RecvFlags;

use crate::report::{Code, Report};

/// Can be read from once a signal came that shall end the program.
#[derive(Debug)]
pub(super) struct Interrupt(UnixStream);

impl Interrupt {
    /// From now on the signals end nothing by themselves.
    pub(super) fn listen() -> Result<Self, Report> {
        listen(&[SIGINT, SIGTERM, SIGHUP]).map(Self)
    }

    /// Returns whether one came, without waiting.
    pub(super) fn came(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        rustix::net::recv(&self.0, &mut byte, RecvFlags::PEEK).is_ok_and(|(_, read)| 0 < read)
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Can be read from once a child of this process has ended.
#[derive(Debug)]
pub(super) struct Ends(UnixStream);

impl Ends {
    /// From now on ends of children are noticed.
    pub(super) fn listen() -> Result<Self, Report> {
        listen(&[SIGCHLD]).map(Self)
    }

    /// Forgets the ends so far: the next one is news again.
    pub(super) fn forget(&mut self) {
        while self.0.read(&mut [0; 64]).is_ok_and(|read| 0 < read) {}
    }
}

impl AsFd for Ends {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn listen(signals: &[i32]) -> Result<UnixStream, Report> {
    let listen = || -> std::io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        for signal in signals {
            pipe::register(*signal, theirs.try_clone()?)?;
        }
        Ok(ours)
    };
    listen().map_err(|error| {
        let what = "signals cannot be listened to";
        Report::new(Code::Internal, what, "report this as a bug").because(error.to_string())
    })
}
