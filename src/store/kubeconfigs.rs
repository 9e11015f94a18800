//! One kubeconfig file a cluster, put right under a lock.

use std::{path::Path, time::Duration};

use super::{
    StoreError,
    atomic::{self, ensure_private_dir},
    lock::Locks,
};
use crate::{
    model::kubeconfig::{Wanted, edit},
    report::Report,
};

/// Another agent or a kubectl plugin may be at the same file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Files that held no kubeconfig are kept under these names.
const ASIDE: [&str; 3] = ["bad-1", "bad-2", "bad-3"];

/// Makes the file at `path` say what it must, and returns what was changed, in words. A file that
/// held nonsense is kept aside first.
///
/// # Errors
/// The file stays as it was.
pub fn put_right(path: &Path, wanted: &Wanted, locks: &Locks) -> Result<Vec<String>, Report> {
    if let Some(folder) = path.parent() {
        ensure_private_dir(folder)?;
    }
    let _lock = locks.lock(path, PATIENCE)?;
    let existing = atomic::read(path)?;
    let text = existing.as_ref().map(|content| String::from_utf8_lossy(&content.bytes));
    let edit = edit(text.as_deref(), wanted);
    let Some(text) = &edit.text else { return Ok(edit.changes) };
    if edit.was_nonsense
        && let Some(content) = &existing
    {
        keep_aside(path, &content.bytes)?;
    }
    atomic::write(path, text.as_bytes())?;
    Ok(edit.changes)
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
        let locks = Locks::new(dir.path().join("locks"));
        put_right(&path, &wanted(), &locks).unwrap();
        assert_eq!(put_right(&path, &wanted(), &locks).unwrap(), Vec::<String>::new());
        let good = std::fs::read(&path).unwrap();

        atomic::write(&path, b"{{{ not yaml").unwrap();
        let changes = put_right(&path, &wanted(), &locks).unwrap();
        assert_eq!(changes, ["the file held no kubeconfig and was written anew"]);
        assert_eq!(std::fs::read(&path).unwrap(), good);
        let aside = std::fs::read(dir.path().join("eksd/demo.yaml.bad-1")).unwrap();
        assert_eq!(aside, b"{{{ not yaml");
    }
}
