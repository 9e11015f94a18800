//! The mirror config on the disk: `config`, and beside it an empty `credentials`, for shells and programs
//! whose tools get every key from eksd.
//!
//! Where a person's own files cannot be read, the mirror stays as it was. What other programs wrote into
//! it is kept beside it: a line of the config's head has the digest of the rest, and tells.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{
    StoreError,
    atomic::{self, Content, ensure_private_dir},
    lock::Locks,
};
use crate::{
    config::{
        Paths,
        aws_files::{self, outline, read_text},
    },
    model::{
        FileKind,
        mirror::{About, is_served, render},
    },
};

/// How many files are kept of what tools wrote into one of the mirror's: it may be the only copy, so none
/// is ever replaced.
const MOST_KEPT: usize = 3;

/// The line of the head with the digest of everything else.
const SEAL: &str = "# sha256 ";

/// After how many lines it stands: those of `model::mirror` that say what the file is.
const SEAL_AFTER: usize = 3;

/// How long to wait for another process that writes the mirror; that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often an empty config is looked at before nobody is believed to write it.
const LOOKS: u32 = 5;

/// Between two of those.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Where the mirror is, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// For `AWS_CONFIG_FILE`.
    pub config: PathBuf,
    /// For `AWS_SHARED_CREDENTIALS_FILE`; empty.
    pub credentials: PathBuf,
    /// Whether either was written.
    pub changed: bool,
    /// The first file in which what a tool wrote into either (`aws configure`) is kept. It is there until
    /// somebody takes it away.
    pub kept: Option<PathBuf>,
}

impl Mirror {
    /// Returns where the mirror is, whether or not it is there.
    pub fn at(paths: &Paths) -> Self {
        Self {
            config: paths.mirror_dir.join("config"),
            credentials: paths.mirror_dir.join("credentials"),
            changed: false,
            kept: None,
        }
    }

    /// Looks for what is kept of what tools wrote.
    #[must_use]
    pub fn with_kept(mut self) -> Self {
        let names = [&self.credentials, &self.config].map(|path| aside(path));
        self.kept = names.into_iter().flatten().find(|name| is_there(name));
        self
    }
}

/// Returns where what tools wrote into a file is kept.
fn aside(path: &Path) -> [PathBuf; MOST_KEPT] {
    std::array::from_fn(|at| path.with_extension(format!("kept-{}", at + 1)))
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Makes the mirror say what the AWS files say now. Waits for the disk.
///
/// # Errors
/// The mirror stays as it was, or its `credentials` do.
pub fn refresh(paths: &Paths, command: &str) -> Result<Mirror, StoreError> {
    refresh_and_tell(paths, command, |_| ())
}

/// Does the same, and tells what came of it before anybody else can write: what is told last is what is
/// there.
///
/// # Errors
/// The mirror stays as it was, or its `credentials` do. Nothing was told.
pub fn refresh_and_tell(
    paths: &Paths,
    command: &str,
    tell: impl FnOnce(&Mirror),
) -> Result<Mirror, StoreError> {
    let mut mirror = Mirror::at(paths);
    // Of two writers, the one that read the older files could be the last to write.
    let _lock = Locks::new(&paths.file_locks_dir).lock(&mirror.config, PATIENCE)?;
    let read = |path: &Path| {
        read_text(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })
    };
    let (config, credentials) = (read(&paths.aws_config)?, read(&paths.aws_credentials)?);
    let about = About {
        config: &paths.shown(&paths.aws_config),
        credentials: &paths.shown(&paths.aws_credentials),
        command,
    };
    let text = sealed(&mirror_of(&config, &credentials, &about));

    ensure_private_dir(&paths.mirror_dir)?;
    let there = read_settled(&mirror.config)?;
    mirror.changed = put(&mirror.config, there, text.as_bytes(), is_sealed)?;
    let there = atomic::read(&mirror.credentials)?;
    mirror.changed |= put(&mirror.credentials, there, b"", <[u8]>::is_empty)?;
    let mirror = mirror.with_kept();
    tell(&mirror);
    Ok(mirror)
}

/// Puts the digest of the text into its head.
fn sealed(text: &str) -> String {
    let at = text.match_indices('\n').nth(SEAL_AFTER - 1).map_or(text.len(), |(at, _)| at + 1);
    let (head, rest) = text.split_at(at);
    let end = if head.ends_with("\r\n") { "\r\n" } else { "\n" };
    format!("{head}{SEAL}{}{end}{rest}", digest(text.as_bytes()))
}

/// Returns whether eksd wrote the file, and nobody since.
fn is_sealed(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut seal = None;
    let mut rest = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_prefix(SEAL) {
            Some(found) if seal.is_none() => seal = Some(found.trim_end()),
            _ => rest.push_str(line),
        }
    }
    seal == Some(digest(rest.as_bytes()).as_str())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn mirror_of(config: &str, credentials: &str, about: &About<'_>) -> String {
    let files = aws_files::parse(
        Some((about.config, config.as_bytes())),
        Some((about.credentials, credentials.as_bytes())),
    );
    render(
        &outline(FileKind::Config, config),
        &outline(FileKind::Credentials, credentials),
        about,
        |name| is_served(&files, name),
    )
}

/// Reads the config. Gives somebody time who has emptied it and is about to fill it: what is written into a
/// file that was replaced meanwhile is lost.
fn read_settled(path: &Path) -> Result<Option<Content>, StoreError> {
    for _ in 1..LOOKS {
        match atomic::read(path)? {
            Some(content) if content.bytes.is_empty() => std::thread::sleep(BETWEEN_LOOKS),
            there => return Ok(there),
        }
    }
    atomic::read(path)
}

/// Writes the file unless it says the same already, and keeps what somebody else wrote there. Returns whether
/// it was written.
fn put(
    path: &Path,
    there: Option<Content>,
    bytes: &[u8],
    is_own: fn(&[u8]) -> bool,
) -> Result<bool, StoreError> {
    if let Some(there) = there {
        // Not read again: whoever has begun to write since has not been replaced then.
        if **there.bytes == *bytes {
            return Ok(false);
        }
        if !there.bytes.trim_ascii().is_empty() && !is_own(&there.bytes) {
            keep_aside(path, &there.bytes)?;
        }
    }
    atomic::write(path, bytes).map(|()| true)
}

/// Copies what somebody else wrote into the file, before it is replaced.
fn keep_aside(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let is_kept = |name: &Path| {
        atomic::read(name).is_ok_and(|kept| kept.is_some_and(|kept| **kept.bytes == *bytes))
    };
    // Who copied it may have been killed before the file was replaced.
    if aside(path).iter().any(|name| is_kept(name)) {
        return Ok(());
    }
    let free = aside(path).into_iter().find(|name| !is_there(name));
    let free = free.ok_or_else(|| StoreError::Crowded { path: path.to_owned() })?;
    atomic::write(&free, bytes)
}

#[cfg(test)]
mod tests;
