//! One kubeconfig file a cluster, put right under the lock that kubectl takes.

use std::{path::Path, time::Duration};

use super::{
    StoreError,
    atomic::{self, Content, ensure_private_dir},
    kubeconfig_lock::{self, KubeconfigLock},
};
use crate::{
    model::kubeconfig::{Edit, Wanted, edit},
    report::Report,
};

/// `kubectl config` or another agent may be at the same file, each for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// A file without what eksd wrote into it may be half of what a program without the lock (the AWS CLI, an
/// editor) is writing in place: it is read again after this.
const BEING_WRITTEN: Duration = Duration::from_millis(50);

/// After so many readings it is believed.
const READINGS: u32 = 5;

/// Files that held no kubeconfig are kept under these names.
const ASIDE: [&str; 3] = ["bad-1", "bad-2", "bad-3"];

/// Makes the file at `path` say what it must, and returns what was changed, in words. A file that
/// held nonsense is kept aside first. Blocks the thread.
///
/// Whoever else writes with kubectl's lock loses nothing, and neither does eksd; a file that is right
/// is left alone without a lock.
///
/// # Errors
/// The file stays as it was.
pub fn put_right(path: &Path, wanted: &Wanted) -> Result<Vec<String>, Report> {
    if let Some(folder) = path.parent() {
        ensure_private_dir(folder)?;
    }
    if compared(path, wanted)?.1.text.is_none() {
        kubeconfig_lock::sweep(path)?;
        return Ok(Vec::new());
    }
    let _lock = KubeconfigLock::take(path, PATIENCE)?;
    let (mut existing, mut edit) = compared(path, wanted)?;
    for _ in 1..READINGS {
        if !edit.is_suspect {
            break;
        }
        std::thread::sleep(BEING_WRITTEN);
        (existing, edit) = compared(path, wanted)?;
    }
    let Some(text) = &edit.text else { return Ok(edit.changes) };
    if edit.was_nonsense
        && let Some(content) = &existing
    {
        keep_aside(path, &content.bytes)?;
    }
    atomic::write(path, text.as_bytes())?;
    Ok(edit.changes)
}

fn compared(path: &Path, wanted: &Wanted) -> Result<(Option<Content>, Edit), StoreError> {
    let existing = atomic::read(path)?;
    let text = existing.as_ref().map(|content| String::from_utf8_lossy(&content.bytes));
    let edit = edit(text.as_deref(), wanted);
    Ok((existing, edit))
}

fn keep_aside(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let names = ASIDE.map(|suffix| path.with_extension(format!("yaml.{suffix}")));
    let free = names.iter().find(|name| !name.exists()).unwrap_or(&names[ASIDE.len() - 1]);
    atomic::write(free, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            alias: "demo".into(),
            server: "https://demo.example".into(),
            certificate_authority: "Q0E=".into(),
            command: "/usr/bin/eksd".into(),
        }
    }

    #[test]
    fn nonsense_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eksd/demo.yaml");
        put_right(&path, &wanted()).unwrap();
        assert_eq!(put_right(&path, &wanted()).unwrap(), Vec::<String>::new());
        let good = std::fs::read(&path).unwrap();

        atomic::write(&path, b"{{{ not yaml").unwrap();
        let changes = put_right(&path, &wanted()).unwrap();
        assert_eq!(changes, ["the file held no kubeconfig and was written anew"]);
        assert_eq!(std::fs::read(&path).unwrap(), good);
        let aside = std::fs::read(dir.path().join("eksd/demo.yaml.bad-1")).unwrap();
        assert_eq!(aside, b"{{{ not yaml");
    }
}
