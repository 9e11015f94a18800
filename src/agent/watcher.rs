//! Watched folders: the AWS files, the shared SSO cache, the kubeconfigs, the mirror config, and the
//! agent's own socket.
//!
//! An event only says where to look; what is there decides. So a burst of events costs one reading,
//! and a change within the same second is not missed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::{
    event::{Event, Mailbox},
    owner::Agent,
    refresh::blocking,
    shared,
};
use crate::{
    config::aws_files,
    model::{AwsFiles, FileKind, session::SessionKey},
    store::{StoreError, atomic},
    world::World,
};

/// An empty or torn file is somebody's write in progress; it is read again after this.
const BEING_WRITTEN: Duration = Duration::from_millis(100);

/// After so many readings a torn file is believed to be broken.
const READINGS: u32 = 5;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// The AWS config or credentials file.
    Files,
    /// The shared SSO cache, or that of console sign-ins.
    Cache,
    /// A kubeconfig of ours.
    Kubeconfigs,
    /// The mirror config, or what is kept beside it.
    Mirror,
    /// The runtime folder.
    Runtime,
}

/// The watches of one agent.
#[derive(Default)]
pub(super) struct Watches {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watches {
    /// Returns whether anything is watched at all.
    pub(super) fn are_begun(&self) -> bool {
        self.watcher.is_some()
    }

    /// Watches every folder that is there. A watch ends with its folder, so this is done again
    /// whenever something changed: a folder that was removed and made anew is watched again.
    pub(super) fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in &self.folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %folder.display(), "folder not watched");
            }
        }
    }
}

/// Watches what `world` names. What cannot be watched is logged; eksd then sees changes when it
/// next reads the file for another reason.
pub(super) fn watch(world: &World, mailbox: &Mailbox) -> Watches {
    let places = places(world);
    let sorted = places.clone();
    let mailbox = mailbox.clone();
    let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if matches!(event.kind, notify::EventKind::Access(_)) {
            return;
        }
        // Events were lost: look everywhere.
        let is_anything = event.need_rescan();
        let changes: BTreeSet<Change> = sorted
            .iter()
            .filter(|place| is_anything || event.paths.iter().any(|path| place.has(path)))
            .map(|place| place.change)
            .collect();
        for change in changes {
            mailbox.send(Event::Changed(change));
        }
    });
    let watcher = match made {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "files cannot be watched");
            return Watches::default();
        }
    };
    // Two folders above, too: they tell when one is made anew. `aws login` makes `~/.aws/login/cache`,
    // and those who do not use it have neither.
    let folders = places
        .iter()
        .flat_map(|place| place.folder.ancestors().take(3))
        .filter(|folder| *folder != Path::new("/"))
        .map(Path::to_owned)
        .collect();
    let mut all = Watches { watcher: Some(watcher), folders };
    all.renew();
    all
}

#[derive(Clone)]
struct Place {
    folder: PathBuf,
    /// Only this file of the folder, where given.
    file: Option<PathBuf>,
    change: Change,
}

impl Place {
    fn has(&self, path: &Path) -> bool {
        if path.file_name().is_some_and(atomic::is_temp) {
            return false;
        }
        match &self.file {
            Some(file) => path == file || path == self.folder,
            // Its own parts, or what it lies in.
            None => path.parent() == Some(&self.folder) || self.folder.starts_with(path),
        }
    }
}

fn places(world: &World) -> Vec<Place> {
    let paths = &world.paths;
    let mut places = Vec::new();
    for file in [&paths.aws_config, &paths.aws_credentials] {
        // The link and what it points to: dotfile tools use both.
        let target = std::fs::canonicalize(file).ok();
        for file in [Some(file.clone()), target].into_iter().flatten() {
            if let Some(folder) = file.parent() {
                let folder = folder.to_owned();
                places.push(Place { folder, file: Some(file), change: Change::Files });
            }
        }
    }
    for (folder, change) in [
        (&paths.sso_cache_dir, Change::Cache),
        (&paths.login_cache_dir, Change::Cache),
        (&paths.kubeconfig_dir, Change::Kubeconfigs),
        (&paths.mirror_dir, Change::Mirror),
        (&paths.runtime_dir, Change::Runtime),
    ] {
        places.push(Place { folder: folder.clone(), file: None, change });
    }
    places
}

/// Looks where something changed.
pub(super) fn follow(agent: &mut Agent, change: Change) {
    agent.watches.renew();
    match change {
        Change::Files => read_files(agent),
        Change::Cache => {
            let keys = agent.known.shared();
            read_caches(agent, &keys);
        }
        Change::Kubeconfigs => agent.look_at_kubeconfigs(),
        // A file that is replaced under its writer takes what comes later with it.
        Change::Mirror => agent.refresh_mirror(BEING_WRITTEN),
        Change::Runtime => {
            if agent.world.is_daemon() && !agent.world.paths.socket.exists() {
                // The folder was wiped (logout of the last seat): nobody can reach this agent any
                // more, and another one can start.
                tracing::warn!("the socket is gone; the agent ends");
                agent.shutdown.cancel();
            }
        }
    }
}

/// Returns whether something about a profile stands in the config, and in the credentials file.
fn spoken(files: &AwsFiles) -> [bool; 2] {
    [FileKind::Config, FileKind::Credentials].map(|kind| {
        files.profiles.values().any(|section| {
            section.origin.kind == kind
                || section.keys.values().any(|entry| entry.origin.kind == kind)
        })
    })
}

/// Returns whether a file looks as if it were being written: an editor that truncates before it writes is
/// not a person who deleted everything, and the other file may still have profiles.
fn is_suspect(spoke: [bool; 2], files: &AwsFiles, is_unread: bool) -> bool {
    let fell_silent = spoke.iter().zip(spoken(files)).any(|(before, now)| *before && !now);
    fell_silent || (is_unread && spoke.contains(&true))
}

/// Reads the AWS files off the loop.
pub(super) fn read_files(agent: &mut Agent) {
    let (world, mailbox) = (agent.world.clone(), agent.mailbox.clone());
    let spoke = spoken(agent.known.files());
    agent.workers.spawn(async move {
        for reading in 1..=READINGS {
            let paths = world.paths.clone();
            let Ok((files, unread)) = blocking(move || aws_files::read(&paths)).await else {
                return;
            };
            if is_suspect(spoke, &files, !unread.is_empty()) && reading < READINGS {
                tokio::time::sleep(BEING_WRITTEN).await;
                continue;
            }
            mailbox.send(Event::FilesRead { files, unread });
            return;
        }
    });
}

/// Reads the token files of sessions off the loop.
pub(super) fn read_caches(agent: &mut Agent, keys: &[SessionKey]) {
    for key in keys {
        let (world, mailbox, key) = (agent.world.clone(), agent.mailbox.clone(), key.clone());
        agent.workers.spawn(async move {
            for _ in 0..READINGS {
                let (at, wanted) = (world.clone(), key.clone());
                match blocking(move || shared::read(&at, &wanted)).await {
                    Ok(Ok(found)) => {
                        let found = found.map(Box::new);
                        mailbox.send(Event::CacheRead { key, found });
                        return;
                    }
                    Ok(Err(StoreError::Torn { .. })) => tokio::time::sleep(BEING_WRITTEN).await,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "token file cannot be read");
                        return;
                    }
                    Err(_) => return,
                }
            }
            tracing::warn!(session = %key, "token file is damaged; what is held stays in use");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_falls_silent_is_looked_at_again() {
        let config = "[profile dev]\nregion = r\n";
        let keys = "[keys]\naws_access_key_id = A\naws_secret_access_key = S\n";
        let files = |config: &str, credentials: &str| {
            aws_files::parse(
                Some(("config", config.as_bytes())),
                Some(("credentials", credentials.as_bytes())),
            )
        };
        for (before, now, is_unread, expected) in [
            (["", ""], ["", ""], false, false),
            (["", ""], ["", ""], true, false),
            (["", ""], [config, keys], false, false),
            ([config, ""], ["", ""], false, true),
            ([config, keys], ["", keys], false, true),
            ([config, keys], [config, ""], false, true),
            ([config, keys], [config, keys], false, false),
            ([config, keys], [config, keys], true, true),
            (["", keys], [config, keys], false, false),
        ] {
            let spoke = spoken(&files(before[0], before[1]));
            let found = is_suspect(spoke, &files(now[0], now[1]), is_unread);
            assert_eq!(found, expected, "{before:?} {now:?} {is_unread}");
        }
    }
}
