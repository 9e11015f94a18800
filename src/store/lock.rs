//! Advisory locks on files, with `flock(2)`.
//!
//! The kernel frees a lock when its holder dies, so there is nothing to clean up and no pid to
//! guess about. The lock is never the file it is for, because that one is replaced by rename, and
//! never lies beside it: `~/.aws/sso/cache` belongs to other tools. It is a file of eksd's own, named
//! by a hash of the path, and is never removed: removing it would let two hold it.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::OFlags;
use sha1::{Digest, Sha1};

use super::{StoreError, atomic};

/// The longest nap between two tries.
const LONGEST_NAP: Duration = Duration::from_millis(20);

/// A held lock. It is free when this is dropped, by whichever thread.
#[must_use]
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of exactly this file, making it where needed; `None` where it is held.
    pub fn try_on(file: &Path) -> Result<Option<Self>, StoreError> {
        let failed = |source| StoreError::Write { path: file.to_owned(), source };
        let opened = open(file).map_err(failed)?;
        match opened.try_lock() {
            Ok(()) => Ok(Some(Self { _file: opened })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// The locks for files of other tools.
#[derive(Clone, Debug)]
pub struct Locks {
    dir: PathBuf,
}

impl Locks {
    /// Keeps the lock files in this folder, `Paths::file_locks_dir`, made when first needed.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Takes the lock for `target`; `None` where it is held.
    pub fn try_lock(&self, target: &Path) -> Result<Option<Lock>, StoreError> {
        Lock::try_on(&self.lock_file(target)?)
    }

    /// Takes the lock for `target`, waiting for it at most as long as `patience`. Blocks the thread: only
    /// for worker threads.
    ///
    /// `flock` knows no deadline, and a thread that waits in it cannot be called back; so this tries
    /// again after short naps. Waiting is rare (another process is refreshing the same login at this
    /// moment) and what is waited for takes a network call.
    pub fn lock(&self, target: &Path, patience: Duration) -> Result<Lock, StoreError> {
        let file = self.lock_file(target)?;
        let begun = Instant::now();
        let mut nap = Duration::from_millis(1);
        loop {
            if let Some(lock) = Lock::try_on(&file)? {
                return Ok(lock);
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(StoreError::Locked { path: target.to_owned() });
            }
            std::thread::sleep(nap.min(left));
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }

    fn lock_file(&self, target: &Path) -> Result<PathBuf, StoreError> {
        atomic::ensure_private_dir(&self.dir)?;
        let mut name = String::with_capacity(45);
        for byte in Sha1::digest(target.as_os_str().as_encoded_bytes()) {
            let _ = write!(name, "{byte:02x}");
        }
        name.push_str(".lock");
        Ok(self.dir.join(name))
    }
}

fn open(file: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(file)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::symlink,
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::new(dir.path().join("locks"));
        let target = Path::new("/home/ann/.aws/sso/cache/x.json");
        let held = locks.try_lock(target).unwrap().unwrap();
        assert!(locks.try_lock(target).unwrap().is_none());
        assert!(locks.try_lock(Path::new("/other")).unwrap().is_some());
        let error = locks.lock(target, Duration::ZERO).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
        drop(held);
        assert!(locks.try_lock(target).unwrap().is_some());
    }

    #[test]
    fn a_lock_is_free_when_its_holder_dies() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.lock");
        let mut holder = std::process::Command::new("flock")
            .arg("--no-fork")
            .arg(&file)
            .arg("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Its echo says that it holds the lock.
        io::Write::write_all(holder.stdin.as_mut().unwrap(), b"x").unwrap();
        io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        assert!(Lock::try_on(&file).unwrap().is_none());
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(Lock::try_on(&file).unwrap().is_some());
    }

    #[test]
    fn waiting_ends_when_the_holder_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::new(dir.path().join("locks"));
        let target = Path::new("/x");
        let inside = AtomicUsize::new(0);
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..20 {
                        let _lock = locks.lock(target, Duration::from_mins(1)).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_link_in_place_of_the_lock_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        symlink(&target, &link).unwrap();
        assert!(Lock::try_on(&link).is_err());
        assert!(!target.exists());
    }

    #[test]
    fn locks_can_be_held_across_threads() {
        fn is_send<T: Send>() {}
        is_send::<Lock>();
    }
}
