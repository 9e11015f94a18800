//! The mirror config in step with the AWS files, once somebody uses it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    event::{Event, Mailbox},
    owner::Agent,
    refresh::blocking,
};
use crate::{
    report::{Code, Report},
    store::mirror::{self, Mirror},
    world::World,
};

/// The name of the report about it.
const SUBJECT: &str = "mirror";

impl Agent {
    /// Writes the mirror anew where it is used and says something else.
    pub(super) fn follow_with_mirror(&mut self) {
        self.refresh_mirror(Duration::ZERO);
    }

    /// Does the same after a while.
    pub(super) fn refresh_mirror(&mut self, wait: Duration) {
        if !self.world.is_daemon() {
            return;
        }
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        self.workers.spawn(async move {
            tokio::time::sleep(wait).await;
            let refresh = move || {
                let there = Mirror::at(&world.paths);
                if there.config.exists() {
                    drop(self::refresh(&world, &mailbox));
                } else {
                    mailbox.send(Event::MirrorWritten(Ok(there.with_kept().kept)));
                }
            };
            drop(blocking(refresh).await);
        });
    }

    /// Says what is kept beside the mirror, until that is gone.
    pub(super) fn mirror_written(&mut self, result: Result<Option<PathBuf>, Report>) {
        // It may have been made just now.
        self.watches.renew();
        let report = match result {
            Ok(None) => {
                self.is_news |= self.reports.remove(SUBJECT).is_some();
                return;
            }
            Ok(Some(kept)) => kept_aside(&kept),
            Err(report) => report,
        };
        self.reports.insert(SUBJECT.to_owned(), report);
    }
}

/// Writes the mirror anew and has the agent know what came of it. Waits for the disk.
pub(super) fn refresh(world: &World, mailbox: &Mailbox) -> Result<Mirror, Report> {
    let tell = |mirror: &Mirror| mailbox.send(Event::MirrorWritten(Ok(mirror.kept.clone())));
    let written = mirror::refresh_and_tell(&world.paths, &world.command, tell);
    written.map_err(|error| {
        let report = Report::from(error);
        mailbox.send(Event::MirrorWritten(Err(report.clone())));
        report
    })
}

/// Somebody ran `aws configure` in a shell that uses the mirror.
fn kept_aside(kept: &Path) -> Report {
    let own = if kept.file_stem().is_some_and(|name| name == "config") {
        "~/.aws/config"
    } else {
        "~/.aws/credentials"
    };
    let kept = kept.display();
    Report::new(
        Code::ConfigBroken,
        format!("a tool wrote into the mirror config, which eksd writes; that is in `{kept}`"),
        format!("move what you need of it into `{own}`, then remove `{kept}`"),
    )
}
