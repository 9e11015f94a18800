//! The mirror config in step with the AWS files, once somebody uses it.

use std::path::PathBuf;

use super::{event::Event, owner::Agent, refresh::blocking};
use crate::{
    report::{Code, Report},
    store::mirror::{self, Mirror},
};

/// The name of the report about it.
const SUBJECT: &str = "mirror";

impl Agent {
    /// Writes the mirror anew where it is used and says something else.
    pub(super) fn follow_with_mirror(&mut self) {
        if !self.world.is_daemon() {
            return;
        }
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        self.workers.spawn(async move {
            let refresh = move || {
                if !Mirror::at(&world.paths).config.exists() {
                    return Ok(None);
                }
                mirror::refresh(&world.paths, &world.command).map(|mirror| mirror.kept)
            };
            if let Ok(written) = blocking(refresh).await {
                mailbox.send(Event::MirrorWritten(written.map_err(Report::from)));
            }
        });
    }

    pub(super) fn mirror_written(&mut self, result: Result<Option<PathBuf>, Report>) {
        let report = match result {
            Ok(None) => {
                self.reports.remove(SUBJECT);
                return;
            }
            Ok(Some(kept)) => kept_aside(&kept),
            Err(report) => report,
        };
        self.reports.insert(SUBJECT.to_owned(), report);
    }
}

/// Somebody ran `aws configure` in a shell that uses the mirror.
fn kept_aside(kept: &std::path::Path) -> Report {
    let kept = kept.display();
    Report::new(
        Code::ConfigBroken,
        format!(
            "a tool wrote keys into the mirror config, which eksd writes; they are in `{kept}`"
        ),
        format!("move them into `~/.aws/credentials`, then remove `{kept}`"),
    )
}
