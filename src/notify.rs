//! Desktop notices, through the session's notification service (org.freedesktop.Notifications 1.2
//! on Linux, the native service on macOS).
//!
//! A service that is absent, slow or dead costs nothing: one thread of its own waits for it, and
//! what does not fit its short queue is dropped. The next prompt says the same anyway.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use notify_rust::{Hint, Notification, NotificationHandle, Timeout, Urgency};

use crate::model::notice::{Notice, Subject};

/// Notices that wait while the service is slow; more are not worth showing.
const QUEUE: usize = 16;

/// Where notices go.
pub trait Notifier: Send + Sync + 'static {
    /// Hands one over, without waiting.
    fn send(&self, notice: Notice);
}

/// Nowhere: for one-shot agents and where the settings say so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Notifier for Silent {
    fn send(&self, _: Notice) {}
}

/// The desktop.
#[derive(Debug)]
pub struct Desktop {
    queue: SyncSender<Notice>,
}

impl Desktop {
    /// Starts the thread that talks to the service. The service itself is looked for at the first
    /// notice.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start() -> std::io::Result<Self> {
        let (queue, notices) = sync_channel(QUEUE);
        thread::Builder::new().name("notices".to_owned()).spawn(move || show_all(&notices))?;
        Ok(Self { queue })
    }
}

impl Notifier for Desktop {
    fn send(&self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            tracing::debug!("notification service is slow; a notice was dropped");
        }
    }
}

fn show_all(notices: &Receiver<Notice>) {
    let mut shown: BTreeMap<Subject, NotificationHandle> = BTreeMap::new();
    for notice in notices {
        match notice {
            Notice::Show { about, title, body, is_urgent } => {
                let mut bubble = Notification::new();
                bubble
                    .appname("eksd")
                    .summary(&title)
                    .body(&without_markup(&body))
                    .icon("dialog-password")
                    .hint(Hint::Category("network".to_owned()))
                    .urgency(if is_urgent { Urgency::Critical } else { Urgency::Normal })
                    .timeout(if is_urgent { Timeout::Never } else { Timeout::Default });
                if let Some(earlier) = shown.get(&about) {
                    bubble.id(earlier.id());
                }
                match bubble.show() {
                    Ok(handle) => {
                        shown.insert(about, handle);
                    }
                    Err(error) => tracing::debug!(%error, "no notification service"),
                }
            }
            Notice::Withdraw { about } => {
                if let Some(handle) = shown.remove(&about) {
                    handle.close();
                }
            }
        }
    }
}

/// Services may read a body as markup (specification, "Markup"); names come from elsewhere.
fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_markup() {
        assert_eq!(without_markup("<a href='x'>&"), "&lt;a href='x'&gt;&amp;");
    }
}
