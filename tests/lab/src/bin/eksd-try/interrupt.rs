//! Ctrl-C and its kin: noted, so that whoever waits gives up and cleans up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Done, Trouble};

/// The signals so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    /// Ctrl-C: meant for whatever runs in the foreground.
    pressed: Arc<AtomicBool>,
    /// SIGTERM or SIGHUP: meant for this program.
    ended: Arc<AtomicBool>,
}

impl Interrupt {
    /// Begins to listen; from here on no such signal ends the program by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        let heard = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let [interrupt, terminate, hangup] = {
            let _inside = runtime.enter();
            [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ]
        };
        let (pressed, ended) = (heard.pressed.clone(), heard.ended.clone());
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                tokio::join!(
                    note(interrupt, &pressed),
                    note(terminate, &ended),
                    note(hangup, &ended)
                )
            });
        })?;
        Ok(heard)
    }

    /// Fails once there was a signal of any kind.
    pub(crate) fn check(&self) -> Done {
        if self.pressed.load(Ordering::Relaxed) || self.has_ended() {
            return Err(Trouble::Interrupted);
        }
        Ok(())
    }

    /// Whether the program itself was told to end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

async fn note(mut signal: Signal, flag: &AtomicBool) {
    while signal.recv().await.is_some() {
        flag.store(true, Ordering::Relaxed);
    }
}
