//! The files from which shells draw their prompt: one short line each, replaced whole.
//!
//! They lie on memory (the runtime folder) and are written whenever a phase changes, so nothing waits
//! for a disk. A shell computes the name itself, reads the file with a builtin, and starts no program.

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    atomic::{self, Options},
};

/// What a prompt can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PromptName<'a> {
    /// A profile, by its name.
    Profile(&'a str),
    /// A cluster, by its alias.
    Cluster(&'a str),
}

/// Longer names get no file: file systems stop at 255 bytes, and nobody reads such a prompt.
const LONGEST_NAME: usize = 200;

impl PromptName<'_> {
    /// Returns the file's name: `p.` or `c.`, then the name with every byte outside
    /// `[A-Za-z0-9._@+-]` as `%XX`, upper-case; at most 200 bytes after the prefix, else `None`. The
    /// shell hooks compute the same.
    pub fn file_name(self) -> Option<String> {
        let (prefix, name) = match self {
            Self::Profile(name) => ("p.", name),
            Self::Cluster(name) => ("c.", name),
        };
        let mut file = String::with_capacity(prefix.len() + name.len());
        file.push_str(prefix);
        for byte in name.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'@' | b'+' | b'-' => {
                    file.push(char::from(byte));
                }
                _ => {
                    let _ = write!(file, "%{byte:02X}");
                }
            }
        }
        (file.len() - prefix.len() <= LONGEST_NAME).then_some(file)
    }
}

/// The folder of prompt files.
#[derive(Clone, Debug)]
pub struct PromptFiles {
    dir: PathBuf,
}

impl PromptFiles {
    /// Keeps the files in this folder, `Paths::prompt_dir`, which the agent has made private.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the file hold exactly `line`; a line end is the caller's to add. Returns whether it had to be
    /// written: a file that says so already is left alone, and a name that is too long gets none.
    pub fn write(&self, name: PromptName<'_>, line: &str) -> Result<bool, StoreError> {
        let Some(file) = name.file_name() else { return Ok(false) };
        let path = self.dir.join(file);
        // Read, not remembered: the session manager wipes the folder when it likes.
        if fs::read(&path).is_ok_and(|found| found == line.as_bytes()) {
            return Ok(false);
        }
        let options = Options { volatile: true, ..Options::default() };
        atomic::write_with(&path, line.as_bytes(), options)?;
        Ok(true)
    }

    /// Removes every prompt file but those of `names`. Returns how many went.
    pub fn retain<'a>(
        &self,
        names: impl IntoIterator<Item = PromptName<'a>>,
    ) -> Result<usize, StoreError> {
        let failed = |source| StoreError::Read { path: self.dir.clone(), source };
        let kept: HashSet<OsString> =
            names.into_iter().filter_map(PromptName::file_name).map(OsString::from).collect();
        let mut removed = 0;
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let bytes = name.as_encoded_bytes();
            let is_ours = bytes.starts_with(b"p.") || bytes.starts_with(b"c.");
            if is_ours && !kept.contains(&name) {
                fs::remove_file(entry.path())
                    .map_err(|source| StoreError::Write { path: entry.path(), source })?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::*;

    fn files() -> (tempfile::TempDir, PromptFiles) {
        let dir = tempfile::tempdir().unwrap();
        let files = PromptFiles::new(dir.path());
        (dir, files)
    }

    #[test]
    fn names() {
        for (name, expected) in [
            (PromptName::Profile("dev"), "p.dev"),
            (PromptName::Cluster("dev"), "c.dev"),
            (PromptName::Profile("a-b_c.d@e+f"), "p.a-b_c.d@e+f"),
            (PromptName::Profile("a/b c%é"), "p.a%2Fb%20c%25%C3%A9"),
            (PromptName::Profile(".."), "p..."),
            (PromptName::Profile("~*\n"), "p.%7E%2A%0A"),
            (PromptName::Profile(""), "p."),
        ] {
            assert_eq!(name.file_name().as_deref(), Some(expected));
        }
        assert!(PromptName::Profile(&"x".repeat(200)).file_name().is_some());
        assert_eq!(PromptName::Profile(&"x".repeat(201)).file_name(), None);
        assert_eq!(PromptName::Profile(&"é".repeat(34)).file_name(), None);
    }

    #[test]
    fn a_file_is_written_when_it_changes() {
        let (dir, files) = files();
        let path = dir.path().join("p.dev");
        let inode = || path.metadata().unwrap().ino();
        assert!(files.write(PromptName::Profile("dev"), "fresh 1").unwrap());
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        let first = inode();
        assert!(!files.write(PromptName::Profile("dev"), "fresh 1").unwrap());
        assert_eq!(inode(), first);
        assert!(files.write(PromptName::Profile("dev"), "fresh 2").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "fresh 2");
        // Wiped behind our back.
        fs::remove_file(&path).unwrap();
        assert!(files.write(PromptName::Profile("dev"), "fresh 2").unwrap());
        assert!(!files.write(PromptName::Profile(&"x".repeat(300)), "x").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_others_go() {
        let (dir, files) = files();
        for name in ["dev", "prod", "a/b"] {
            files.write(PromptName::Profile(name), "x").unwrap();
            files.write(PromptName::Cluster(name), "x").unwrap();
        }
        atomic::write(&dir.path().join("README"), b"x").unwrap();
        let kept =
            [PromptName::Profile("a/b"), PromptName::Cluster("dev"), PromptName::Profile("new")];
        assert_eq!(files.retain(kept).unwrap(), 4);
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["README", "c.dev", "p.a%2Fb"]);
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error() {
        let (dir, files) = files();
        drop(dir);
        assert!(files.write(PromptName::Profile("dev"), "x").is_err());
        assert!(files.retain([]).is_err());
    }

    proptest! {
        #[test]
        fn file_names_are_harmless_and_tell_names_apart(a in any::<String>(), b in any::<String>()) {
            let (one, other) = (PromptName::Profile(&a).file_name(), PromptName::Profile(&b).file_name());
            if let Some(one) = &one {
                prop_assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@+-%".contains(&byte)));
            }
            if one.is_some() && a != b {
                prop_assert_ne!(one, other);
            }
        }
    }
}
