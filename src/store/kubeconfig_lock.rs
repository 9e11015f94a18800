//! The lock that `kubectl config` takes on a kubeconfig: a file `NAME.lock` beside it.
//!
//! Whoever makes it holds it; everybody else fails at once, and what a killed program left behind stays
//! until a person removes it (`client-go/tools/clientcmd/config.go`, `lockFile`; `loader.go`,
//! `WriteToFile`). eksd makes the same file, so that neither loses what the other writes. Its own it can
//! tell from those of others, by what is in them, and the dead from the living: as long as the maker
//! lives it also holds a `flock(2)` on the file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::{fs::OFlags, io::Errno};

use super::{StoreError, atomic};

/// What tells eksd's lock files from those of others. The rest of the line is for people.
const MARK: &str = "eksd ";

/// The longest nap between two tries.
const LONGEST_NAP: Duration = Duration::from_millis(20);

/// A held lock. The lock file is gone when this is dropped.
#[must_use]
#[derive(Debug)]
pub struct KubeconfigLock {
    lock: PathBuf,
    _held: File,
}

impl KubeconfigLock {
    /// Locks the kubeconfig at `path`, waiting at most as long as `patience` for whoever holds it, and no
    /// longer than until `is_given_up`. Blocks the thread.
    ///
    /// # Errors
    /// [`StoreError::ForeignLock`] where the lock of another program stays, which is never removed: it may
    /// be writing.
    pub fn take(
        path: &Path,
        patience: Duration,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<Self, StoreError> {
        let lock = lock_file(path);
        let begun = Instant::now();
        let mut nap = Duration::from_millis(1);
        loop {
            let made = make(&lock);
            if let Some(held) = made.map_err(|source| failed(&lock, source))? {
                return Ok(Self { lock, _held: held });
            }
            if remove_dead(&lock).map_err(|source| failed(&lock, source))? {
                continue;
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() || is_given_up() {
                let age = age(&lock).unwrap_or_default();
                return Err(StoreError::ForeignLock { path: lock, age });
            }
            std::thread::sleep(nap.min(left));
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }
}

impl Drop for KubeconfigLock {
    fn drop(&mut self) {
        // Where this fails, the next eksd finds that its maker is gone.
        let _ = fs::remove_file(&self.lock);
    }
}

/// A lock file beside a kubeconfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLock {
    /// The file.
    pub path: PathBuf,
    /// How long it has been there.
    pub age: Duration,
    /// Whether eksd made it.
    pub is_own: bool,
}

/// Returns the lock file beside a kubeconfig, if there is one.
pub fn seen(path: &Path) -> Option<SeenLock> {
    let lock = lock_file(path);
    let age = age(&lock)?;
    let is_own = open(&lock).and_then(|mut file| is_ours(&mut file)).unwrap_or(false);
    Some(SeenLock { path: lock, age, is_own })
}

/// Returns the lock file of a kubeconfig, named as the person names it: links are not followed.
pub fn lock_file(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}

/// Removes the lock file of a kubeconfig that an eksd left which is gone, so that kubectl can write.
pub fn sweep(path: &Path) -> Result<(), StoreError> {
    let lock = lock_file(path);
    remove_dead(&lock).map(drop).map_err(|source| failed(&lock, source))
}

fn failed(lock: &Path, source: io::Error) -> StoreError {
    StoreError::Write { path: lock.to_owned(), source }
}

/// Makes the lock file, with its content and its `flock`, in one step; `None` where there is one.
fn make(lock: &Path) -> io::Result<Option<File>> {
    let temp = Temp::new(lock);
    let mut file = create(&temp.0)?;
    file.try_lock()?;
    writeln!(file, "{MARK}{}", std::process::id())?;
    match fs::hard_link(&temp.0, lock) {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        // A file system without links: whoever dies between two steps leaves a lock that nobody knows.
        Err(error) if is_linkless(&error) => match create(lock) {
            Ok(mut file) => {
                file.try_lock()?;
                writeln!(file, "{MARK}{}", std::process::id())?;
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn is_linkless(error: &io::Error) -> bool {
    let kinds = [Errno::PERM, Errno::NOTSUP, Errno::NOSYS, Errno::MLINK];
    kinds.iter().any(|kind| error.raw_os_error() == Some(kind.raw_os_error()))
}

/// Readable for its owner, unlike client-go's, so that the next eksd can see whose it is.
fn create(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    OpenOptions::new().write(true).create_new(true).mode(0o400).custom_flags(flags).open(path)
}

/// A name in the folder of the lock file, and nothing there when it is dropped.
struct Temp(PathBuf);

impl Temp {
    fn new(lock: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = atomic::temp_name(&format!("lock-{}-{count}", std::process::id()));
        Self(lock.with_file_name(name))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes a lock file that an eksd made which is gone. Returns whether there is none any more.
fn remove_dead(lock: &Path) -> io::Result<bool> {
    let mut file = match open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        // client-go's have mode 0: not ours.
        Err(_) => return Ok(false),
    };
    if !is_ours(&mut file)? || file.try_lock().is_err() {
        return Ok(false);
    }
    // Its maker is gone. Another may have removed it meanwhile, and made its own.
    let (this, there) = (file.metadata()?, lock.symlink_metadata());
    match there {
        Ok(there) if there.ino() == this.ino() && there.dev() == this.dev() => {
            fs::remove_file(lock)?;
            Ok(true)
        }
        _ => Ok(true),
    }
}

fn open(lock: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(lock)
}

fn is_ours(file: &mut File) -> io::Result<bool> {
    let mut start = [0; MARK.len()];
    match io::Read::read_exact(file, &mut start) {
        Ok(()) => Ok(start == *MARK.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn age(lock: &Path) -> Option<Duration> {
    let modified = lock.symlink_metadata().ok()?.modified().ok()?;
    // The file's own clock is asked, the one that stamped it.
    Some(modified.elapsed().unwrap_or_default())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files as others write them")]
mod tests {
    use std::{process::Stdio, sync::Barrier};

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let lock = dir.path().join("config.lock");
        (dir, path, lock)
    }

    fn names(dir: &Path) -> Vec<OsString> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn one_holder_at_a_time() {
        let (dir, path, lock) = place();
        let held = KubeconfigLock::take(&path, SOON, &|| false).unwrap();
        assert_eq!(names(dir.path()), ["config.lock"]);
        let error = KubeconfigLock::take(&path, SOON, &|| false).unwrap_err();
        assert!(matches!(error, StoreError::ForeignLock { .. }), "{error:?}");
        drop(held);
        assert!(!lock.exists());
        drop(KubeconfigLock::take(&path, SOON, &|| false).unwrap());
        assert_eq!(names(dir.path()), [] as [&str; 0]);
    }

    #[test]
    fn the_lock_of_another_program_stays() {
        let (_dir, path, lock) = place();
        for (content, mode) in [("", 0o0), ("", 0o600), ("something", 0o600), ("eks", 0o600)] {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(mode).open(&lock).unwrap();
            file.write_all(content.as_bytes()).unwrap();
            let error = KubeconfigLock::take(&path, SOON, &|| false).unwrap_err();
            assert!(matches!(error, StoreError::ForeignLock { .. }), "{error:?}");
            assert!(!seen(&path).unwrap().is_own);
            fs::remove_file(&lock).unwrap();
        }
        std::os::unix::fs::symlink("/nowhere", &lock).unwrap();
        assert!(KubeconfigLock::take(&path, SOON, &|| false).is_err());
    }

    #[test]
    fn the_lock_of_a_dead_one_is_taken_over() {
        let (dir, path, lock) = place();
        fs::write(&lock, "eksd 4711\n").unwrap();
        // Its maker lives: it holds the `flock`.
        let mut holder = std::process::Command::new("flock")
            .args(["--no-fork", lock.to_str().unwrap(), "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        io::Write::write_all(holder.stdin.as_mut().unwrap(), b"x").unwrap();
        io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        assert!(KubeconfigLock::take(&path, SOON, &|| false).is_err());
        holder.kill().unwrap();
        holder.wait().unwrap();
        let held = KubeconfigLock::take(&path, SOON, &|| false).unwrap();
        assert_eq!(fs::read_to_string(&lock).unwrap(), format!("eksd {}\n", std::process::id()));
        drop(held);
        assert_eq!(names(dir.path()), [] as [&str; 0]);
    }

    #[test]
    fn many_who_find_a_dead_lock_take_turns() {
        let (_dir, path, lock) = place();
        let (start, inside) = (Barrier::new(8), AtomicU64::new(0));
        for _ in 0..20 {
            fs::write(&lock, "eksd 4711\n").unwrap();
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        start.wait();
                        let _held =
                            KubeconfigLock::take(&path, Duration::from_mins(1), &|| false).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            });
        }
    }
}
