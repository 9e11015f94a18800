//! One kubeconfig file a cluster, put right under the lock that kubectl takes.

use std::{
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use super::{
    StoreError,
    atomic::{self, LARGEST_FILE, ensure_private_dir},
    kubeconfig_lock::{self, KubeconfigLock},
    state,
};
use crate::{
    model::kubeconfig::{self, Edit, Put, Wanted, edit},
    report::{Code, Report},
};

/// `kubectl config` or another agent may be at the same file, each for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// A file without what eksd wrote into it may be half of what a program without the lock (the AWS CLI, an
/// editor) is writing in place. It is read again after this.
const BEING_WRITTEN: Duration = Duration::from_millis(50);

/// After so many readings it is believed.
const READINGS: u32 = 5;

/// Files that held no kubeconfig are kept under these names.
const ASIDE: [&str; 3] = ["bad-1", "bad-2", "bad-3"];

/// What was done to a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// What was put right.
    pub puts: Vec<Put>,
    /// The part of it that somebody had edited: the rest follows the cluster.
    pub edits: Vec<Put>,
    /// Where a file that held no kubeconfig is kept.
    pub aside: Option<PathBuf>,
}

/// Returns whether the file says something else than it must. One that cannot be read does.
pub fn is_different(path: &Path, wanted: &Wanted) -> bool {
    match atomic::read(path) {
        Ok(Some(content)) => {
            edit(Some(&String::from_utf8_lossy(&content.bytes)), wanted).text.is_some()
        }
        Ok(None) | Err(_) => true,
    }
}

/// Returns what the file would say if it were put right.
pub fn preview(path: &Path, wanted: &Wanted) -> Result<String, Report> {
    let existing = atomic::read(path)?;
    let text = existing.as_ref().map(|content| String::from_utf8_lossy(&content.bytes));
    let edit = edit(text.as_deref(), wanted);
    Ok(edit.text.or_else(|| text.map(Into::into)).unwrap_or_default())
}

/// Makes the file at `path` say what it must. A file that held nonsense is kept aside first.
/// `before` is what it had to say until now, where that is something else. Blocks the thread.
///
/// Whoever else writes with kubectl's lock loses nothing, and neither does eksd; a file that is right
/// is left alone without a lock.
///
/// # Errors
/// The file stays as it was.
pub fn put_right(path: &Path, wanted: &Wanted, before: Option<&Wanted>) -> Result<Written, Report> {
    if let Some(folder) = path.parent() {
        ensure_private_dir(folder)?;
    }
    if !is_different(path, wanted) {
        kubeconfig_lock::sweep(path)?;
        return Ok(Written::default());
    }
    let _lock = KubeconfigLock::take(path, PATIENCE, &|| false)?;
    let mut aside = None;
    let text = match read_whole(path, wanted)? {
        Existing::Nothing => None,
        Existing::Text(text) => Some(text),
        Existing::TooLarge => {
            aside = Some(keep_too_large(path)?);
            None
        }
    };
    let Edit { text: new, puts, was_nonsense, .. } = edit(text.as_deref(), wanted);
    let edits = match before {
        Some(before) => edit(text.as_deref(), before).puts,
        None => puts.clone(),
    };
    let Some(new) = new else { return Ok(Written { puts, edits, aside }) };
    if was_nonsense && let Some(text) = &text {
        aside = Some(keep_aside(path, text.as_bytes())?);
    }
    atomic::write(path, new.as_bytes())?;
    Ok(Written { puts, edits, aside })
}

/// Makes the file at `new_path` from the one at `path`, whose cluster is called `alias` there. The old
/// one stays; it goes once the registry knows the new name.
///
/// # Errors
/// Nothing was changed.
pub fn copy_renamed(
    path: &Path,
    alias: &str,
    new_path: &Path,
    wanted: &Wanted,
) -> Result<(), Report> {
    if let Some(folder) = new_path.parent() {
        ensure_private_dir(folder)?;
    }
    let _lock = KubeconfigLock::take(path, PATIENCE, &|| false)?;
    let _new_lock = KubeconfigLock::take(new_path, PATIENCE, &|| false)?;
    let before = Wanted { alias: alias.to_owned(), ..wanted.clone() };
    let text = match read_whole(path, &before)? {
        Existing::Text(text) => {
            let renamed = kubeconfig::renamed(&text, alias, &wanted.alias).map_err(|_| {
                Report::new(
                    Code::Usage,
                    format!("`{}` holds something called `{}`", path.display(), wanted.alias),
                    "choose another name, or rename that in the file",
                )
            })?;
            if renamed.is_none() && !text.trim().is_empty() {
                // The old name goes, and nothing of it comes along.
                keep_aside(path, text.as_bytes())?;
            }
            renamed
        }
        Existing::TooLarge => {
            keep_too_large(path)?;
            None
        }
        Existing::Nothing => None,
    };
    let text = edit(text.as_deref(), wanted).text.or(text).unwrap_or_default();
    // What an earlier try left, or nothing.
    let there = atomic::read(new_path)?;
    if there.is_some_and(|there| *there.bytes != *text.as_bytes()) {
        return Err(Report::new(
            Code::Usage,
            format!("`{}` is there already and is no registered cluster's", new_path.display()),
            "choose another name, or move that file away",
        ));
    }
    atomic::write(new_path, text.as_bytes())?;
    Ok(())
}

enum Existing {
    Nothing,
    Text(String),
    TooLarge,
}

/// Reads the file when nobody seems to be writing it.
fn read_whole(path: &Path, wanted: &Wanted) -> Result<Existing, Report> {
    let mut reading = 1;
    loop {
        if path.metadata().is_ok_and(|file| file.is_file() && LARGEST_FILE < file.len()) {
            return Ok(Existing::TooLarge);
        }
        let Some(content) = atomic::read(path)? else { return Ok(Existing::Nothing) };
        let text = String::from_utf8_lossy(&content.bytes).into_owned();
        if edit(Some(&text), wanted).is_suspect && reading < READINGS {
            reading += 1;
            sleep(BEING_WRITTEN);
            continue;
        }
        return Ok(Existing::Text(text));
    }
}

fn keep_aside(path: &Path, bytes: &[u8]) -> Result<PathBuf, StoreError> {
    let names = ASIDE.map(|suffix| path.with_extension(format!("yaml.{suffix}")));
    let free = names.iter().find(|name| !name.exists()).unwrap_or(&names[ASIDE.len() - 1]);
    atomic::write(free, bytes)?;
    Ok(free.clone())
}

/// It is moved, not copied: nothing of that size is taken into memory.
fn keep_too_large(path: &Path) -> Result<PathBuf, StoreError> {
    state::keep_aside(path).map_err(|source| StoreError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "other programs write as they like")]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            alias: "demo".into(),
            server: "https://demo.example".into(),
            certificate_authority: "Q0E=".into(),
            command: "/usr/bin/eksd".into(),
            ..Wanted::default()
        }
    }

    struct Folder {
        dir: tempfile::TempDir,
        path: PathBuf,
    }

    impl Folder {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("eksd/demo.yaml");
            put_right(&path, &wanted(), None).unwrap();
            Self { dir, path }
        }

        fn put_right(&self) -> Result<Written, Report> {
            put_right(&self.path, &wanted(), None)
        }

        fn text(&self) -> String {
            std::fs::read_to_string(&self.path).unwrap()
        }
    }

    #[test]
    fn nonsense_is_kept_aside() {
        let folder = Folder::new();
        assert_eq!(folder.put_right().unwrap(), Written::default());
        assert!(!is_different(&folder.path, &wanted()));
        let good = folder.text();

        atomic::write(&folder.path, b"{{{ not yaml").unwrap();
        assert!(is_different(&folder.path, &wanted()));
        let written = folder.put_right().unwrap();
        let aside = folder.dir.path().join("eksd/demo.yaml.bad-1");
        let expected =
            Written { puts: vec![Put::Whole], edits: vec![Put::Whole], aside: Some(aside.clone()) };
        assert_eq!(written, expected);
        assert_eq!(folder.text(), good);
        assert_eq!(std::fs::read(aside).unwrap(), b"{{{ not yaml");
    }

    #[test]
    fn a_huge_file_is_moved_away_unread() {
        let folder = Folder::new();
        let good = folder.text();
        let file = std::fs::File::create(&folder.path).unwrap();
        file.set_len(1 << 40).unwrap();
        let begun = std::time::Instant::now();
        let written = folder.put_right().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
        let aside = written.aside.unwrap();
        assert_eq!(aside.metadata().unwrap().len(), 1 << 40);
        assert_eq!(folder.text(), good);
    }

    #[test]
    fn what_somebody_edited_is_told_from_what_the_cluster_changed() {
        let folder = Folder::new();
        let hijacked = folder.text().replace("/usr/bin/eksd", "/tmp/evil");
        atomic::write(&folder.path, hijacked.as_bytes()).unwrap();
        let moved = Wanted { server: "https://new.example".into(), ..wanted() };
        let written = put_right(&folder.path, &moved, Some(&wanted())).unwrap();
        assert_eq!(written.puts, [Put::Server, Put::Plugin]);
        assert_eq!(written.edits, [Put::Plugin]);
    }

    #[test]
    fn somebody_who_is_writing_is_waited_for() {
        let folder = Folder::new();
        let mine = folder.text().replace("user: demo\n", "user: demo\n    namespace: mine\n");
        std::fs::write(&folder.path, "").unwrap();
        let (path, text) = (folder.path.clone(), mine.clone());
        let writer = std::thread::spawn(move || {
            sleep(BEING_WRITTEN + BEING_WRITTEN / 2);
            std::fs::write(path, text).unwrap();
        });
        assert_eq!(folder.put_right().unwrap(), Written::default());
        writer.join().unwrap();
        assert_eq!(folder.text(), mine);
    }

    #[test]
    fn a_link_out_of_the_folder_is_not_written_through() {
        let folder = Folder::new();
        let outside = folder.dir.path().join("outside.yaml");
        std::fs::write(&outside, "precious: true\n").unwrap();
        std::fs::remove_file(&folder.path).unwrap();
        std::os::unix::fs::symlink(&outside, &folder.path).unwrap();
        let report = folder.put_right().unwrap_err();
        assert_eq!(report.code, Code::UnsafePath);
        assert!(report.what.contains("demo.yaml` is a link out of its folder"), "{report}");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "precious: true\n");
    }

    #[test]
    fn a_folder_that_is_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("eksd")).unwrap();
        let path = dir.path().join("eksd/demo.yaml");
        let report = put_right(&path, &wanted(), None).unwrap_err();
        assert_eq!(report.code, Code::UnsafePath);
        assert_eq!(std::fs::read_dir(dir.path().join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_moves_to_its_new_name_with_what_is_the_person_s() {
        let folder = Folder::new();
        let mine = folder.text().replace("user: demo\n", "user: demo\n    namespace: mine\n");
        std::fs::write(&folder.path, &mine).unwrap();
        let wanted = Wanted { alias: "prod".into(), ..wanted() };
        let new_path = folder.path.with_file_name("prod.yaml");
        let copy = || copy_renamed(&folder.path, "demo", &new_path, &wanted);
        copy().unwrap();
        let text = std::fs::read_to_string(&new_path).unwrap();
        assert!(text.contains("namespace: mine") && !text.contains("demo\n"), "{text}");
        assert!(!is_different(&new_path, &wanted));
        copy().unwrap();

        std::fs::write(&new_path, "somebody's").unwrap();
        assert!(copy().unwrap_err().what.contains("is there already"));
        assert_eq!(std::fs::read_to_string(&new_path).unwrap(), "somebody's");
        assert_eq!(folder.text(), mine);
    }

    #[test]
    fn nonsense_under_the_old_name_is_kept() {
        let folder = Folder::new();
        std::fs::write(&folder.path, "{{{ not yaml").unwrap();
        let wanted = Wanted { alias: "prod".into(), ..wanted() };
        let new_path = folder.path.with_file_name("prod.yaml");
        copy_renamed(&folder.path, "demo", &new_path, &wanted).unwrap();
        assert!(!is_different(&new_path, &wanted));
        let aside = folder.dir.path().join("eksd/demo.yaml.bad-1");
        assert_eq!(std::fs::read(aside).unwrap(), b"{{{ not yaml");
    }
}
