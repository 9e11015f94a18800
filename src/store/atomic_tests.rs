//! The one door to the disk, with real files.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::*;

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_private_from_birth_and_after_each_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    write(&path, b"one").unwrap();
    assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"one"[..], 0o600));
    chmod(&path, 0o644);
    write_with(&path, b"two", Options { volatile: true, ..Options::default() }).unwrap();
    assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"two"[..], 0o600));
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn readers_see_whole_files_while_many_write() {
    const WRITERS: u8 = 8;
    const WRITES: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    // Long enough for several write calls, were there any.
    let content = |writer: u8| vec![b'a' + writer; 100_000 + usize::from(writer)];
    write(&path, &content(0)).unwrap();
    let start = Barrier::new(usize::from(WRITERS) + 1);
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    for at in 0..WRITES {
                        let options = Options { volatile: at % 10 != 0, ..Options::default() };
                        write_with(path, &content(writer), options).unwrap();
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            start.wait();
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let found = fs::read(&path).unwrap();
                assert_eq!(found, content(found[0] - b'a'));
                reads += 1;
            }
            reads
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(0 < reads);
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // A folder cannot be replaced by a file: the rename fails, after everything else went well.
    let path = dir.path().join("file");
    fs::create_dir(&path).unwrap();
    let error = write(&path, b"x").unwrap_err();
    assert!(matches!(error, StoreError::Write { .. }), "{error:?}");
    assert_eq!(names(dir.path()), ["file"]);
}

/// Runs [`writes_into_a_full_disk`] in a process that may not write a single block.
#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("file"), b"old").unwrap();
    // With the signal ignored, a write past the limit fails as on a full disk (setrlimit(2)).
    let child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 0; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store::atomic::tests::writes_into_a_full_disk", "--ignored"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
#[ignore = "run by a_full_disk_leaves_the_old_file_and_nothing_else"]
fn writes_into_a_full_disk() {
    let error = write(Path::new("./file"), b"new").unwrap_err();
    assert!(matches!(error, StoreError::Write { .. }), "{error:?}");
}

#[test]
fn links_within_the_folder_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (link, file) = (dir.path().join("link"), dir.path().join("file"));
    write(&file, b"old").unwrap();
    symlink("file", &link).unwrap();
    write(&link, b"new").unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"new");
}

#[test]
fn links_out_of_the_folder_are_refused_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&there).unwrap();
    for (link, target, is_there) in [("a", "../there/file", true), ("b", "../there/new", false)] {
        let link = here.join(link);
        symlink(target, &link).unwrap();
        let target = here.join(target);
        if is_there {
            write(&target, b"old").unwrap();
        }
        let error = write(&link, b"new").unwrap_err();
        assert!(matches!(error, StoreError::Unsafe { .. }), "{error:?}");
        assert_eq!(target.exists(), is_there);

        write_with(&link, b"new", Options { follow: true, ..Options::default() }).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(mode(&target), 0o600);
    }
    assert_eq!(names(&here), ["a", "b"]);
    assert_eq!(names(&there), ["file", "new"]);
}

#[test]
fn folders_in_which_everybody_may_write_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    chmod(dir.path(), 0o777);
    let error = write(&dir.path().join("file"), b"x").unwrap_err();
    assert!(matches!(error, StoreError::Unsafe { .. }), "{error:?}");
    // In a sticky folder only the owner can rename; with umask 002 the group can write.
    for mode in [0o1777, 0o775] {
        chmod(dir.path(), mode);
        write(&dir.path().join("file"), b"x").unwrap();
    }
}

#[test]
fn removing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    write(&path, b"x").unwrap();
    assert!(remove(&path).unwrap());
    assert!(!remove(&path).unwrap());
    assert!(!remove(&dir.path().join("nowhere/file")).unwrap());
}

#[test]
fn reading() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    assert!(read(&path).unwrap().is_none());
    write(&path, b"x").unwrap();
    let content = read(&path).unwrap().unwrap();
    assert_eq!(content.bytes.as_slice(), b"x");
    let written = path.metadata().unwrap().modified().unwrap();
    assert_eq!(content.modified_at, Timestamp::try_from(written).unwrap());

    OpenOptions::new().write(true).open(&path).unwrap().set_len(LARGEST_FILE + 1).unwrap();
    assert!(matches!(read(&path), Err(StoreError::Unusable { .. })));
    assert!(matches!(read(dir.path()), Err(StoreError::Unusable { .. })));
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR).unwrap();
    assert!(matches!(read(&pipe), Err(StoreError::Unusable { .. })));
}

#[test]
fn private_folders() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    ensure_private_dir(&path).unwrap();
    ensure_private_dir(&path).unwrap();
    assert_eq!((mode(&dir.path().join("a")), mode(&path)), (0o700, 0o700));

    chmod(&path, 0o777);
    ensure_private_dir(&path).unwrap();
    assert_eq!(mode(&path), 0o700);

    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    let error = ensure_private_dir(&link).unwrap_err();
    assert!(matches!(error, StoreError::Unsafe { why: "is a link", .. }), "{error:?}");

    let file = dir.path().join("file");
    write(&file, b"x").unwrap();
    assert!(ensure_private_dir(&file).is_err());
}

#[test]
fn folders_of_others_are_refused() {
    // Root's folder for people, anybody else's for root.
    let dir = tempfile::tempdir().unwrap();
    let foreign = if geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(12_345), None).unwrap();
        dir.path()
    } else {
        Path::new("/usr")
    };
    let error = ensure_private_dir(foreign).unwrap_err();
    assert!(
        matches!(error, StoreError::Unsafe { why: "belongs to another user", .. }),
        "{error:?}"
    );
}

#[test]
fn only_old_temporary_files_of_ours_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, age: Duration| {
        let path = dir.path().join(name);
        write(&path, b"x").unwrap();
        #[expect(clippy::disallowed_methods, reason = "the file system's clock is this one")]
        let then = SystemTime::now() - age;
        OpenOptions::new().write(true).open(path).unwrap().set_modified(then).unwrap();
    };
    make(".eksd-tmp-0000000000000001", Duration::from_mins(2));
    make(".eksd-tmp-0000000000000002", Duration::from_secs(5));
    make("x.json", Duration::from_hours(1));
    fs::create_dir(dir.path().join(".eksd-tmp-folder")).unwrap();
    assert_eq!(sweep_temps(dir.path()).unwrap(), 1);
    assert_eq!(names(dir.path()), [".eksd-tmp-0000000000000002", ".eksd-tmp-folder", "x.json"]);
}
