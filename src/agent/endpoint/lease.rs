//! For how long, and for whom: the process that a token was made for, and the file that the token
//! stands in.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::process::Pid;
use tokio::io::unix::AsyncFd;
use zeroize::Zeroizing;

use super::request::Digest;
use crate::{
    model::ProfileName,
    report::{Code, Report},
    store::{StoreError, atomic},
};

/// Random bytes of a token: what cannot be guessed (256 bits), and a multiple of nothing that would
/// need padding, which some clients trim.
const TOKEN_BYTES: usize = 32;

/// Random bytes of a file's name, which need only be new.
const NAME_BYTES: usize = 8;

/// How often a process is looked for where the system does not tell of its end.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What one process was given.
#[derive(Debug)]
pub(super) struct Lease {
    /// The one profile that the token stands for.
    pub(super) profile: ProfileName,
    /// The token's digest.
    pub(super) digest: Digest,
    /// Where the token is, for as long as the lease lasts.
    _file: TokenFile,
}

impl Lease {
    /// Ties a profile to the token in `file`.
    pub(super) fn new(profile: ProfileName, digest: Digest, file: TokenFile) -> Self {
        Self { profile, digest, _file: file }
    }
}

/// A file with a token in it; gone when dropped.
#[derive(Debug)]
pub(super) struct TokenFile(PathBuf);

impl TokenFile {
    /// Makes a token and writes it into a new file of `folder`, which is made where it is missing.
    ///
    /// No line end: SDKs send the content as it is, and refuse one with a line end in it.
    pub(super) fn make(folder: &Path) -> Result<(Self, Digest), Report> {
        atomic::ensure_private_dir(folder)?;
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES + NAME_BYTES]);
        getrandom::fill(&mut *bytes).map_err(|error| {
            Report::new(Code::Internal, "the system gives no random bytes", "try again")
                .because(error.to_string())
        })?;
        let (secret, name) = bytes.split_at(TOKEN_BYTES);
        let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret));
        let file = Self(folder.join(format!("token-{}", URL_SAFE_NO_PAD.encode(name))));
        // Lost with the machine's power, as the process is that it is for.
        let options = atomic::Options { volatile: true, follow: false };
        atomic::write_with(&file.0, token.as_bytes(), options)?;
        Ok((file, Digest::of(token.as_bytes())))
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        if let Err(error) = atomic::remove(&self.0) {
            // Harmless: the agent knows the token no more.
            tracing::warn!(%error, "a token file stays until the next start");
        }
    }
}

/// Removes the token files of an agent that was killed.
pub(super) fn sweep(folder: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        atomic::remove(&entry.map_err(failed)?.path())?;
    }
    Ok(())
}

/// Sees a process end.
#[derive(Debug)]
pub(super) enum Watch {
    /// By the kernel's word: the descriptor stands for this process and no later one of the same
    /// number, and becomes readable when it ends (`pidfd_open(2)`, Linux 5.3).
    Told(AsyncFd<OwnedFd>),
    /// By looking for its number now and then: on systems without that call, and in containers that
    /// forbid it. A lease may outlive its process by [`LOOK_EVERY`], and for as long as another process of
    /// the same user has the number.
    Looking(Pid),
}

impl Watch {
    /// Begins to watch a process.
    ///
    /// The number is that of whoever connected to the socket. It still waits for its answer, so the
    /// number is still its own.
    pub(super) fn begin(pid: Pid) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::{io::Errno, process::PidfdFlags};
            match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
                Ok(descriptor) => return crate::platform::register(descriptor).map(Self::Told),
                Err(Errno::NOSYS | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self::Looking(pid))
    }

    /// Waits until the process is gone.
    pub(super) async fn ended(self) {
        match self {
            Self::Told(descriptor) => {
                // An error would mean that the runtime is going away.
                let _readable = descriptor.readable().await;
            }
            Self::Looking(pid) => {
                // Also one that belongs to another user now is not the one.
                while rustix::process::test_kill_process(pid).is_ok() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt as _,
        process::{Child, Command},
    };

    use super::*;

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    #[test]
    fn each_token_is_new_private_and_without_a_line_end() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("run/endpoint");
        let (first, digest) = TokenFile::make(&folder).unwrap();
        let (second, other) = TokenFile::make(&folder).unwrap();
        assert_ne!(digest, other);
        assert_ne!(first.path(), second.path());
        let token = std::fs::read_to_string(first.path()).unwrap();
        assert_eq!(token.len(), 43, "32 bytes: {token}");
        assert!(token.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)));
        assert_eq!(Digest::of(token.as_bytes()), digest);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(first.path()), mode(&folder)), (0o600, 0o700));
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists() && second.path().exists());
    }

    /// The row of `container-endpoint.json` about the file: botocore and Rust take none with a line end.
    #[test]
    fn a_token_can_be_sent_as_it_stands_in_the_file() {
        let vectors = include_str!("../../../tests/data/aws/container-endpoint.json");
        assert!(vectors.contains("whose content ends with a line feed"));
        let home = tempfile::tempdir().unwrap();
        let (file, _) = TokenFile::make(home.path()).unwrap();
        let token = std::fs::read(file.path()).unwrap();
        assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic), "{token:?}");
    }

    #[test]
    fn what_a_killed_agent_left_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("endpoint");
        sweep(&folder).unwrap();
        let (file, _) = TokenFile::make(&folder).unwrap();
        std::mem::forget(file);
        sweep(&folder).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_seen() {
        let (mut child, pid) = sleeper();
        let watch = Watch::begin(pid).unwrap();
        #[cfg(target_os = "linux")]
        assert!(matches!(watch, Watch::Told(_)), "{watch:?}");
        let ended = tokio::spawn(watch.ended());
        tokio::task::yield_now().await;
        assert!(!ended.is_finished());
        child.kill().unwrap();
        // Before anybody has asked for its exit code.
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap();
        child.wait().unwrap();
        assert!(Watch::begin(pid).is_err(), "there is no such process any more");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_process_is_seen_without_the_kernels_word() {
        let (mut child, pid) = sleeper();
        let ended = tokio::spawn(Watch::Looking(pid).ended());
        tokio::time::sleep(3 * LOOK_EVERY).await;
        assert!(!ended.is_finished());
        child.kill().unwrap();
        child.wait().unwrap();
        tokio::time::timeout(2 * LOOK_EVERY, ended).await.unwrap().unwrap();
    }
}
