//! Edits of a person's file among others.

#![expect(clippy::disallowed_methods, reason = "others write as they like")]

use std::{os::unix::fs::PermissionsExt, sync::Barrier};

use std::{fs::File, os::unix::fs::symlink};

use super::*;
use crate::store::kubeconfig_lock;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(text: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(place.file(), text).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    fn edit(&self, text: &str) -> Result<Edited, StoreError> {
        let now = "2026-11-25T10:11:12Z".parse().unwrap();
        edit(&self.file(), now, &|| false, |_| Ok(text.to_owned()))
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.dir).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o777
}

#[test]
fn the_old_text_is_kept_and_the_mode_stays() {
    let place = Place::new("one");
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o640)).unwrap();
    let edited = place.edit("two").unwrap();
    let backup = place.dir.path().join("config.eksd-20261125T101112Z");
    assert_eq!(edited, Edited { backup: Some(backup.clone()), is_changed: true });
    assert_eq!((fs::read_to_string(&backup).unwrap().as_str(), mode(&backup)), ("one", 0o600));
    assert_eq!(
        (fs::read_to_string(place.file()).unwrap().as_str(), mode(&place.file())),
        ("two", 0o640)
    );
    // Within the same second the first backup is not overwritten.
    place.edit("three").unwrap();
    assert_eq!(fs::read_to_string(&backup).unwrap(), "one");
    assert_eq!(
        place.names(),
        ["config", "config.eksd-20261125T101112Z", "config.eksd-20261125T101112Z-2"]
    );
    assert_eq!(place.edit("three").unwrap(), Edited { backup: None, is_changed: false });
}

#[test]
fn a_file_that_is_not_there_is_made_private() {
    let place = Place::new("");
    fs::remove_file(place.file()).unwrap();
    assert_eq!(place.edit("new").unwrap(), Edited { backup: None, is_changed: true });
    assert_eq!(mode(&place.file()), 0o600);
    assert_eq!(place.names(), ["config"]);
}

#[test]
fn a_file_that_is_not_there_is_not_made_for_nothing() {
    let place = Place::new("");
    fs::remove_file(place.file()).unwrap();
    assert_eq!(place.edit("").unwrap(), Edited { backup: None, is_changed: false });
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_link_is_followed() {
    let place = Place::new("one");
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("kubeconfig");
    fs::rename(place.file(), &target).unwrap();
    symlink(&target, place.file()).unwrap();
    let found = read(&place.file()).unwrap().unwrap();
    assert_eq!(found.linked_to, Some(target.canonicalize().unwrap()));
    place.edit("two").unwrap();
    assert!(place.file().is_symlink());
    assert_eq!(fs::read_to_string(target).unwrap(), "two");
}

#[test]
fn a_lock_of_client_go_is_respected_and_stays() {
    let place = Place::new("one");
    let lock = place.dir.path().join("config.lock");
    File::create_new(&lock).unwrap();
    let given_up = edit(&place.file(), Timestamp::UNIX_EPOCH, &|| true, |_| Ok(String::new()));
    let error: StoreError = given_up.unwrap_err();
    let report = crate::report::Report::from(error);
    assert!(report.what.contains("config.lock` has been there for 0 s"), "{report}");
    assert!(lock.exists() && fs::read_to_string(place.file()).unwrap() == "one");
    let seen = kubeconfig_lock::seen(&place.file()).unwrap();
    assert!(!seen.is_own && seen.path == lock, "{seen:?}");
}

#[test]
fn a_lock_of_a_dead_eksd_is_removed() {
    let place = Place::new("one");
    let lock = place.dir.path().join("config.lock");
    // Nobody holds its `flock`.
    fs::write(&lock, "eksd 1\n").unwrap();
    assert!(kubeconfig_lock::seen(&place.file()).unwrap().is_own);
    place.edit("two").unwrap();
    assert!(!lock.exists());
}

#[test]
fn a_failed_edit_leaves_no_lock() {
    let place = Place::new("one");
    let refused = edit(&place.file(), Timestamp::UNIX_EPOCH, &|| false, |_| {
        Err(StoreError::Unusable { path: PathBuf::new(), why: "for the test" })
    });
    assert!(refused.is_err());
    assert_eq!(place.names(), ["config"]);
}

#[test]
fn a_writer_without_a_lock_that_comes_between_is_not_overwritten() {
    let place = Place::new("one");
    let asked = std::cell::Cell::new(0);
    let edited = edit::<StoreError>(&place.file(), Timestamp::UNIX_EPOCH, &|| false, |text| {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            fs::write(place.file(), "theirs").unwrap();
        }
        Ok(format!("{} and mine", text.unwrap()))
    });
    assert!(edited.unwrap().is_changed);
    assert_eq!(fs::read_to_string(place.file()).unwrap(), "theirs and mine");
    assert_eq!(asked.get(), 2);
    assert_eq!(place.names().len(), 2, "the backup of what was never replaced is gone");
}

/// client-go's protocol, with the patience that kubectl has not.
fn locked(file: &Path, line: &str) {
    let lock = kubeconfig_lock::lock_file(file);
    while File::create_new(&lock).is_err() {
        std::thread::yield_now();
    }
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, format!("{text}{line}\n")).unwrap();
    fs::remove_file(lock).unwrap();
}

#[test]
fn no_edit_under_a_lock_is_lost() {
    const EDITS: usize = 20;
    let place = Place::new("");
    let file = place.file();
    let start = Barrier::new(10);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (file, start) = (&file, &start);
            scope.spawn(move || {
                start.wait();
                for at in 0..EDITS {
                    locked(file, &format!("theirs {writer} {at}"));
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        for writer in 0..2 {
            let (file, start) = (&file, &start);
            scope.spawn(move || {
                start.wait();
                for at in 0..5 {
                    let line = format!("mine {writer} {at}\n");
                    let edited =
                        edit::<StoreError>(file, Timestamp::UNIX_EPOCH, &|| false, |text| {
                            Ok(format!("{}{line}", text.unwrap()))
                        });
                    assert!(edited.unwrap().is_changed);
                }
            });
        }
    });
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 8 * EDITS + 2 * 5);
    let unique: std::collections::BTreeSet<&str> = text.lines().collect();
    assert_eq!(unique.len(), 8 * EDITS + 2 * 5);
}
