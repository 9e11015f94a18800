//! The one door to the disk: a file is replaced whole or not at all, and is private from birth.
//!
//! A write makes a temporary file in the same folder, fills and syncs it, renames it over the old one
//! and syncs the folder. Whatever fails, and whenever the process is killed, the old file or the new
//! one is there; a temporary file that a killed process left is swept up later. The folder is opened
//! first and everything happens relative to it, so that it cannot be swapped in between.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
    process::geteuid,
};
use zeroize::Zeroizing;

use super::StoreError;

/// How temporary files begin. No other program's pattern (`*.json` in the SSO cache) matches.
const TEMP_PREFIX: &str = ".eksd-tmp-";

/// Nothing that eksd writes takes this long; what is older was left by a process that is gone.
const STALE_AFTER: Duration = Duration::from_mins(1);

/// No file that eksd keeps or shares comes near; AWS answers of a session have a few KiB.
pub const LARGEST_FILE: u64 = 1 << 20;

/// What everybody but the person is kept out of.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the path is a link out of its folder, replace the file it names (dotfile managers). Only
    /// for files that belong to the person; otherwise such a link is refused.
    pub follow: bool,
    /// Do not wait for the disk: for files that may get lost with the machine's power.
    pub volatile: bool,
}

/// Replaces the file's content, or makes the file, with mode 0600.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write_with(path, bytes, Options::default())
}

/// Does as [`write()`] does, with options.
pub fn write_with(path: &Path, bytes: &[u8], options: Options) -> Result<(), StoreError> {
    write_as(path, bytes, options, PRIVATE)
}

/// Replaces the content of a file of the person's, which keeps its mode, wherever a link says it is.
pub fn rewrite(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let options = Options { follow: true, volatile: false };
    write_as(path, bytes, options, Mode::from_raw_mode(mode & 0o777))
}

/// Makes a file with mode 0600 that is whole or not there; never over another one. Returns whether it
/// was made.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let (folder, name) = open_parent(path)?;
    let make = || -> io::Result<bool> {
        let mut temp = Temp::create(&folder, PRIVATE)?;
        temp.file.write_all(bytes)?;
        temp.file.sync_all()?;
        // Unlike a renaming, a link replaces nothing.
        match rustix::fs::linkat(&folder, &temp.name, &folder, name, AtFlags::empty()) {
            Err(Errno::EXIST) => return Ok(false),
            // A file system without links, such as a USB stick's.
            Err(Errno::PERM | Errno::NOTSUP) if !path.try_exists()? => {
                rustix::fs::renameat(&folder, &temp.name, &folder, name)?;
                temp.is_renamed = true;
            }
            linked => linked?,
        }
        sync_folder(&folder)?;
        Ok(true)
    };
    make().map_err(failed)
}

fn write_as(path: &Path, bytes: &[u8], options: Options, mode: Mode) -> Result<(), StoreError> {
    let path = destination(path, options.follow)?;
    let failed = |source| StoreError::Write { path: path.clone(), source };
    let (folder, name) = open_parent(&path)?;
    let mut result = replace(&folder, name, bytes, options.volatile, mode);
    if let Err(error) = &result
        && error.raw_os_error() == Some(Errno::IO.raw_os_error())
    {
        // After a failed fsync the kernel may have dropped the dirty pages and say all is well the
        // second time ("fsyncgate", lwn.net/Articles/752063): begin again with a new file.
        result = replace(&folder, name, bytes, options.volatile, mode);
    }
    result.map_err(failed)
}

/// Removes the file. Returns whether there was one.
pub fn remove(path: &Path) -> Result<bool, StoreError> {
    let failed = |source: Errno| StoreError::Write { path: path.to_owned(), source: source.into() };
    let (folder, name) = match open_parent(path) {
        Ok(opened) => opened,
        Err(StoreError::Write { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) => sync_folder(&folder).map(|()| true).map_err(failed),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// A file's content, and when it was written.
pub struct Content {
    /// All bytes; wiped when dropped, since they may hold secrets.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The modification time.
    pub modified_at: Timestamp,
}

/// Reads a file of at most [`LARGEST_FILE`] bytes; `None` where there is none. Waits for nobody: a
/// pipe in the file's place is an error.
pub fn read(path: &Path) -> Result<Option<Content>, StoreError> {
    read_up_to(path, LARGEST_FILE)
}

/// Does as [`read()`] does, with a limit of the caller's.
pub fn read_up_to(path: &Path, limit: u64) -> Result<Option<Content>, StoreError> {
    let failed = |source| StoreError::Read { path: path.to_owned(), source };
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(StoreError::Unusable {
            path: path.to_owned(),
            why: "it is not a regular file",
        });
    }
    if limit < metadata.len() {
        return Err(StoreError::Unusable { path: path.to_owned(), why: "it is too large" });
    }
    let modified_at = metadata
        .modified()
        .and_then(|at| Timestamp::try_from(at).map_err(io::Error::other))
        .map_err(failed)?;
    // Room from the start: growing would leave copies of secrets behind.
    let size = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(Content { bytes, modified_at }))
}

/// Makes sure that the folder is there and ours alone: makes it and the folders above with mode
/// 0700, and takes away what others may do.
///
/// # Errors
/// Refuses a link, a folder of another user, and one whose mode cannot be mended (some foreign file
/// systems) while others may write there.
pub fn ensure_private_dir(path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let refused = |why| Err(StoreError::Unsafe { path: path.to_owned(), why });
    ensure_dir(path)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(folder) => File::from(folder),
        Err(Errno::LOOP | Errno::NOTDIR) => return refused("is a link"),
        Err(error) => return Err(failed(error.into())),
    };
    let metadata = folder.metadata().map_err(failed)?;
    if metadata.uid() != geteuid().as_raw() {
        return refused("belongs to another user");
    }
    if metadata.mode() & 0o077 != 0 {
        // Where this fails, the mode tells how much it matters.
        let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
        if folder.metadata().map_err(failed)?.mode() & 0o022 != 0 {
            return refused("can be written by other users");
        }
    }
    Ok(())
}

/// Makes sure that the folder is there: makes it and the folders above with mode 0700, and leaves one
/// that exists as it is. For folders that belong to the person.
pub fn ensure_dir(path: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StoreError::Write { path: path.to_owned(), source })
}

/// Removes our own temporary files that nobody can be writing any more. Returns how many.
pub fn sweep_temps(dir: &Path) -> Result<usize, StoreError> {
    let failed = |source| StoreError::Read { path: dir.to_owned(), source };
    let mut swept = 0;
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Another sweeper may be faster: what cannot be looked at is left alone.
        let is_stale = is_temp(&entry.file_name())
            && entry.metadata().is_ok_and(|metadata| {
                // The file's own clock is asked, the one that stamped it: not the agent's.
                let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
                metadata.is_file()
                    && metadata.uid() == geteuid().as_raw()
                    && age.is_some_and(|age| STALE_AFTER < age)
            });
        if is_stale && fs::remove_file(entry.path()).is_ok() {
            swept += 1;
        }
    }
    Ok(swept)
}

/// Returns the name of a temporary file of eksd's, which readers and watchers skip.
pub fn temp_name(what: &str) -> OsString {
    format!("{TEMP_PREFIX}{what}").into()
}

/// Returns whether a file of this name is a temporary one of eksd's; watchers skip those.
pub fn is_temp(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes())
}

/// Returns the file to replace: the path itself, or what it links to.
fn destination(path: &Path, follow: bool) -> Result<PathBuf, StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => (),
        Ok(_) => return Ok(path.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
        Err(error) => return Err(failed(error)),
    }
    let folder = path.parent().unwrap_or(Path::new("/")).canonicalize().map_err(failed)?;
    let target = match path.canonicalize() {
        Ok(target) => target,
        // A link to a file that is still to be made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let target = folder.join(path.read_link().map_err(failed)?);
            let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
                return Err(failed(error));
            };
            parent.canonicalize().map_err(failed)?.join(name)
        }
        Err(error) => return Err(failed(error)),
    };
    if follow || target.parent() == Some(&folder) {
        return Ok(target);
    }
    Err(StoreError::Unsafe { path: path.to_owned(), why: "is a link out of its folder" })
}

/// Opens the folder of a file, unless others could play tricks in it: a folder of another user, or
/// one in which everybody may rename what is ours. Writable for the group is common (umask 002) and
/// the person's own choice.
fn open_parent(path: &Path) -> Result<(OwnedFd, &OsStr), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let folder =
        rustix::fs::open(parent, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let stat = rustix::fs::fstat(&folder).map_err(|error| failed(error.into()))?;
    let refused = |why| Err(StoreError::Unsafe { path: parent.to_owned(), why });
    if ![0, geteuid().as_raw()].contains(&stat.st_uid) {
        return refused("belongs to another user");
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX) {
        return refused("can be written by everybody");
    }
    Ok((folder, name))
}

fn replace(
    folder: &OwnedFd,
    name: &OsStr,
    bytes: &[u8],
    volatile: bool,
    mode: Mode,
) -> io::Result<()> {
    let mut temp = Temp::create(folder, mode)?;
    temp.file.write_all(bytes)?;
    if !volatile {
        temp.file.sync_all()?;
    }
    rustix::fs::renameat(folder, &temp.name, folder, name)?;
    temp.is_renamed = true;
    if !volatile {
        sync_folder(folder)?;
    }
    Ok(())
}

/// A temporary file that is gone when dropped, unless it was renamed.
struct Temp<'a> {
    folder: &'a OwnedFd,
    name: OsString,
    file: File,
    is_renamed: bool,
}

impl<'a> Temp<'a> {
    fn create(folder: &'a OwnedFd, mode: Mode) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let name = temp_name(&format!("{:016x}", u64::from_ne_bytes(random)));
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, &name, flags, mode.intersection(PRIVATE))?;
        let temp = Self { folder, name, file: File::from(file), is_renamed: false };
        // The umask took its share of the mode.
        rustix::fs::fchmod(&temp.file, mode)?;
        Ok(temp)
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if !self.is_renamed {
            // Nothing more can be done here; `sweep_temps` tries again.
            let _ = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Makes the renaming itself last. Some network file systems cannot, and say so: there it lasts, or
/// not, as the server likes.
fn sync_folder(folder: &OwnedFd) -> Result<(), Errno> {
    match rustix::fs::fsync(folder) {
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
#[path = "atomic_tests.rs"]
mod tests;
