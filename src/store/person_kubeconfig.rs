//! Kubeconfig files that belong to the person, edited among others who edit them.
//!
//! client-go makes `FILE.lock` before it edits a file, fails at once where one is there, and removes it
//! afterwards (`clientcmd/config.go`, `clientcmd/loader.go`); one that died leaves it behind. Who edits
//! here makes the same lock, as a symbolic link that says whose it is: so it comes with its text, at once.
//! Between processes of eksd the folder is locked too (`flock`), which the kernel undoes when the holder
//! dies: whoever holds that and finds a lock of eksd's knows that its maker is gone. Nobody else's lock
//! is ever removed.
//!
//! The AWS CLI takes no lock and writes into the file in place. What is being written is waited for, and
//! the file is looked at again before it is replaced; an edit that begins after that is lost to it, or
//! this one is.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::process::{geteuid, getpid};

use super::{StoreError, atomic};

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

/// How the text of a lock of eksd's begins.
const OWN: &str = "eksd ";

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

/// A lock beside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLock {
    /// The lock.
    pub path: PathBuf,
    /// How long it has been there.
    pub age: Duration,
    /// Whether eksd made it, on this machine.
    pub is_own: bool,
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

/// Returns the lock beside a file, if one is there.
pub fn seen_lock(path: &Path) -> Option<SeenLock> {
    let lock = lock_of(path);
    let metadata = lock.symlink_metadata().ok()?;
    let age = metadata.modified().ok()?.elapsed().unwrap_or_default();
    let is_own = maker(&lock).is_some_and(|it| of_this_host(&it));
    Some(SeenLock { path: lock, age, is_own })
}

/// Removes the lock of an eksd that died, if there is one beside the file.
pub fn tidy(path: &Path, is_given_up: &dyn Fn() -> bool) -> Result<(), StoreError> {
    match seen_lock(path) {
        Some(lock) if lock.is_own => Held::take(path, is_given_up).map(drop),
        _ => Ok(()),
    }
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
    let held = Held::take(path, is_given_up)?;
    // Of an eksd that was killed: nobody reads them, and nobody else would tidy up here.
    let _swept = path.parent().map(atomic::sweep_temps);
    for _ in 0..TRIES {
        let before = quiet(path, is_given_up)?;
        let text = edit(before.as_ref().map(|(found, _)| found.text.as_str()))?;
        let Some((found, metadata)) = &before else {
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

fn lock_of(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// Returns who made a lock, where eksd did: `eksd PID@HOST`.
fn maker(lock: &Path) -> Option<String> {
    let text = fs::read_link(lock).ok()?;
    Some(text.to_str()?.strip_prefix(OWN)?.to_owned())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The lock of a file, until this is dropped.
struct Held {
    lock: PathBuf,
    _folder: Option<File>,
}

impl Held {
    fn take(path: &Path, is_given_up: &dyn Fn() -> bool) -> Result<Self, StoreError> {
        let lock = lock_of(path);
        let failed = |source| StoreError::Write { path: lock.clone(), source };
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = File::open(folder).map_err(failed)?;
        let begun = Instant::now();
        let is_over = || PATIENCE < begun.elapsed() || is_given_up();
        let mut is_alone = false;
        loop {
            // Some network file systems have no such lock for a folder. There a lock of a dead eksd is
            // as good as anybody's.
            is_alone = is_alone
                || match folder.try_lock() {
                    Ok(()) => true,
                    Err(TryLockError::WouldBlock) if is_over() => return Err(busy(path)),
                    Err(TryLockError::WouldBlock) => {
                        sleep(NAP);
                        continue;
                    }
                    Err(TryLockError::Error(_)) => false,
                };
            match make(&lock) {
                Ok(()) => return Ok(Self { lock, _folder: is_alone.then_some(folder) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let is_dead = is_alone && maker(&lock).is_some_and(|it| of_this_host(&it));
                    if is_dead {
                        fs::remove_file(&lock).map_err(failed)?;
                    } else if is_over() {
                        return Err(busy(path));
                    } else {
                        sleep(NAP);
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// A container that shares the folder may not share the folder's lock.
fn of_this_host(maker: &str) -> bool {
    maker.split_once('@').is_some_and(|(_, other)| other == host())
}

fn make(lock: &Path) -> io::Result<()> {
    let text = format!("{OWN}{}@{}", getpid().as_raw_nonzero(), host());
    match symlink(text, lock) {
        // A file system without links.
        Err(error) if matches!(error.raw_os_error(), Some(code) if is_unsupported(code)) => {
            File::create_new(lock).map(drop)
        }
        made => made,
    }
}

fn is_unsupported(code: i32) -> bool {
    [rustix::io::Errno::PERM, rustix::io::Errno::NOTSUP, rustix::io::Errno::NOSYS]
        .iter()
        .any(|errno| errno.raw_os_error() == code)
}

fn busy(path: &Path) -> StoreError {
    match seen_lock(path) {
        Some(SeenLock { path, age, .. }) => StoreError::ForeignLock { path, age },
        None => StoreError::Locked { path: path.to_owned() },
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Where this fails the next eksd removes it.
        let _ = fs::remove_file(&self.lock);
    }
}

#[cfg(test)]
#[path = "person_kubeconfig_tests.rs"]
mod tests;
