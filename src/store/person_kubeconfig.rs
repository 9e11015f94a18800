//! Kubeconfig files that belong to the person, edited among others who edit them.
//!
//! They are edited under the lock that kubectl takes, see [`super::kubeconfig_lock`].
//!
//! The AWS CLI takes no lock and writes into the file in place. What is being written is waited for, and
//! the file is looked at again before it is replaced; an edit that begins after that is lost to it, or
//! this one is.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::process::geteuid;

use super::{StoreError, atomic, kubeconfig_lock::KubeconfigLock};

/// A file with a thousand clusters has two megabytes.
const LARGEST: u64 = 16 << 20;

/// How long others may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks.
const NAP: Duration = Duration::from_millis(10);

/// Who writes in place is done when nothing was written for this long.
const QUIET: Duration = Duration::from_millis(50);

/// How often another writer may come between the reading and the replacing.
const TRIES: u32 = 20;

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its text.
    pub text: String,
    /// Its permissions.
    pub mode: u32,
    /// Where the file is, where its name is a link.
    pub linked_to: Option<PathBuf>,
}

/// What an edit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// Where the text is that was there before; absent where nothing was, or nothing changed.
    pub backup: Option<PathBuf>,
    /// Whether the file says something else now.
    pub is_changed: bool,
}

/// Reads a file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<Found>, StoreError> {
    Ok(look(path)?.map(|(found, _)| found))
}

fn look(path: &Path) -> Result<Option<(Found, Metadata)>, StoreError> {
    let failed = |source| StoreError::Read { path: path.to_owned(), source };
    let Some(content) = atomic::read_up_to(path, LARGEST)? else { return Ok(None) };
    let metadata = fs::metadata(path).map_err(failed)?;
    let text = String::from_utf8(content.bytes.to_vec())
        .map_err(|_| StoreError::Unusable { path: path.to_owned(), why: "it is not UTF-8" })?;
    let is_link = path.symlink_metadata().map_err(failed)?.is_symlink();
    let linked_to = is_link.then(|| path.canonicalize()).transpose().map_err(failed)?;
    Ok(Some((Found { text, mode: metadata.mode() & 0o777, linked_to }, metadata)))
}

/// Edits a file under its lock, with a backup beside it. `edit` gets what stands there, and returns what is
/// to stand there; it may be asked again, if somebody else writes meanwhile. `is_given_up` is asked
/// while others are waited for.
pub fn edit<E: From<StoreError>>(
    path: &Path,
    now: Timestamp,
    is_given_up: &dyn Fn() -> bool,
    edit: impl Fn(Option<&str>) -> Result<String, E>,
) -> Result<Edited, E> {
    let held = KubeconfigLock::take(path, PATIENCE, is_given_up)?;
    // Of an eksd that was killed: nobody reads them, and nobody else would tidy up here.
    let _swept = path.parent().map(atomic::sweep_temps);
    for _ in 0..TRIES {
        let before = quiet(path, is_given_up)?;
        let text = edit(before.as_ref().map(|(found, _)| found.text.as_str()))?;
        let Some((found, metadata)) = &before else {
            if text.is_empty() {
                return Ok(Edited { backup: None, is_changed: false });
            }
            // Over nobody's file: one that was made meanwhile is edited.
            if atomic::write_new(path, text.as_bytes())? {
                return Ok(Edited { backup: None, is_changed: true });
            }
            continue;
        };
        if found.text == text {
            return Ok(Edited { backup: None, is_changed: false });
        }
        if metadata.uid() != geteuid().as_raw() {
            let why = "belongs to another user";
            return Err(StoreError::Unsafe { path: path.to_owned(), why }.into());
        }
        let backup = back_up(path, found, now)?;
        let is_same = look(path)?
            .is_some_and(|(again, later)| again == *found && same_file(metadata, &later));
        if is_same {
            atomic::rewrite(path, text.as_bytes(), found.mode)?;
            return Ok(Edited { backup: Some(backup), is_changed: true });
        }
        atomic::remove(&backup)?;
    }
    drop(held);
    Err(StoreError::Locked { path: path.to_owned() }.into())
}

fn same_file(one: &Metadata, other: &Metadata) -> bool {
    let of = |it: &Metadata| (it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec());
    of(one) == of(other)
}

/// Reads a file once nobody has written into it for a moment.
fn quiet(
    path: &Path,
    is_given_up: &dyn Fn() -> bool,
) -> Result<Option<(Found, Metadata)>, StoreError> {
    let begun = Instant::now();
    loop {
        let read = look(path);
        let age = fs::metadata(path).and_then(|it| it.modified()).ok();
        let age = age.map(|at| at.elapsed().unwrap_or(QUIET));
        // A text that ends within a letter is being written as well.
        if age.is_none_or(|age| QUIET <= age) || PATIENCE < begun.elapsed() || is_given_up() {
            return match age {
                Some(age) if age < QUIET => Err(StoreError::Locked { path: path.to_owned() }),
                _ => read,
            };
        }
        sleep(NAP);
    }
}

/// Keeps the text beside the file; under a name that says when, and that nothing has yet.
fn back_up(path: &Path, found: &Found, now: Timestamp) -> Result<PathBuf, StoreError> {
    let stem = format!(".eksd-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    for number in 1.. {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let backup = beside(path, &format!("{stem}{suffix}"));
        if atomic::write_new(&backup, found.text.as_bytes())? {
            return Ok(backup);
        }
    }
    Err(StoreError::Crowded { path: path.to_owned() })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
#[path = "person_kubeconfig_tests.rs"]
mod tests;
