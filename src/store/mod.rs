//! The disk: what is kept, what is shared with the AWS CLI, what prompts read; and the key store of the
//! operating system.
//!
//! Every file is opened, replaced and removed through [`atomic`], so that readers see an old file or
//! a new one, whatever is killed when. Nothing here decides when: the agent does.

pub mod atomic;
#[cfg(feature = "agent")]
pub mod clusters;
#[cfg(feature = "agent")]
mod fields;
#[cfg(feature = "agent")]
pub mod keyring;
pub mod kubeconfig_lock;
#[cfg(feature = "agent")]
pub mod kubeconfigs;
#[cfg(feature = "agent")]
pub mod lock;
#[cfg(feature = "agent")]
pub mod login_cache;
#[cfg(feature = "agent")]
pub mod mirror;
#[cfg(feature = "agent")]
pub mod overlays;
pub mod person_kubeconfig;
#[cfg(feature = "agent")]
pub mod prompt_files;
#[cfg(feature = "agent")]
pub mod sso_cache;
#[cfg(feature = "agent")]
pub mod state;

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "files as others write them, and the writers' environment"
)]
mod kubeconfig_faults;

use std::{io, path::PathBuf, time::Duration};

#[cfg(feature = "agent")]
pub use self::fields::Fields;
use crate::report::{Code, Report};

/// Folders of the AWS tools belong to the person, who may keep parts of them elsewhere.
#[cfg(feature = "agent")]
const SHARED: atomic::Options = atomic::Options { follow: true, volatile: false };

/// What can go wrong on the disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder could not be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder could not be written, made or removed. What was there is untouched.
    #[error("`{}` cannot be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder belongs to, or is open to, somebody else.
    #[error("`{}` {why}", path.display())]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, to be read after its name.
        why: &'static str,
    },
    /// Somebody else held the lock the whole time.
    #[error("`{}` is in use by another program", path.display())]
    Locked {
        /// The file that the lock is for.
        path: PathBuf,
    },
    /// client-go's lock was there the whole time.
    #[error("`{}` has been there for {}: another program is writing, or died", path.display(), in_words(*age))]
    ForeignLock {
        /// The lock.
        path: PathBuf,
        /// Since when.
        age: Duration,
    },
    /// Another program writes into a file of eksd's, and there is no room to keep more of that.
    #[error("another program wrote into `{}`, and what it wrote before is still kept", path.display())]
    Crowded {
        /// The file; it stays as it is.
        path: PathBuf,
    },
    /// The file is being written, or its writer died: ask again soon, do not write over it.
    #[error("`{}` is not whole: {how}", path.display())]
    Torn {
        /// Which.
        path: PathBuf,
        /// What it looks like.
        how: Tear,
    },
    /// The file is whole and not what it should be.
    #[error("`{}` cannot be used: {why}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why; never quotes the file.
        why: &'static str,
    },
}

/// In what way a file is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tear {
    /// No bytes: truncated by a writer that is about to write, or lost power.
    #[error("it is empty")]
    Empty,
    /// The text ends too early.
    #[error("it ends too early")]
    Short,
    /// Something whole with the rest of a longer, older text behind it.
    #[error("something follows its end")]
    TrailingGarbage,
    /// Not JSON at all.
    #[error("it is not JSON")]
    NotJson,
}

/// Returns a span in its largest unit.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

impl From<StoreError> for Report {
    fn from(error: StoreError) -> Self {
        let what = error.to_string();
        match error {
            StoreError::Read { path, source } => {
                let fix = format!("make `{}` readable for you", path.display());
                Self::new(Code::ReadFailed, what, fix).because(source.to_string())
            }
            StoreError::Write { path, source } => {
                let folder = path.parent().unwrap_or(&path).display();
                let fix = match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        format!("free some space where `{folder}` is")
                    }
                    _ => format!("make `{folder}` writable for you"),
                };
                Self::new(Code::WriteFailed, what, fix).because(source.to_string())
            }
            StoreError::Unsafe { path, .. } => {
                let fix = format!("look who made `{}`, then move it away", path.display());
                Self::new(Code::UnsafePath, what, fix)
            }
            StoreError::Locked { .. } => {
                Self::new(Code::WriteFailed, what, "try again; if it stays so, end that program")
            }
            StoreError::ForeignLock { path, .. } => {
                let fix = format!(
                    "if no kubectl, helm or eksctl is running, remove it: rm -f '{}'",
                    path.display()
                );
                Self::new(Code::WriteFailed, what, fix)
            }
            StoreError::Crowded { path } => {
                let path = path.display();
                let fix = format!(
                    "take what you need out of `{path}` and the files `{path}.kept-…`, then remove \
                     those"
                );
                Self::new(Code::ConfigBroken, what, fix)
            }
            StoreError::Torn { path, .. } => {
                let fix = format!("try again; if it stays so, remove `{}`", path.display());
                Self::new(Code::ReadFailed, what, fix)
            }
            StoreError::Unusable { path, .. } => {
                Self::new(Code::ReadFailed, what, format!("remove `{}`", path.display()))
            }
        }
    }
}
