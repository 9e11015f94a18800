//! The mirror config on the disk: `config`, and beside it an empty `credentials`, for shells and programs
//! whose tools get every key from eksd.
//!
//! Where a person's own files cannot be read, the mirror stays as it was.

use std::path::{Path, PathBuf};

use super::{
    StoreError,
    atomic::{self, ensure_private_dir},
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

/// Where keys that a tool wrote into the mirror are kept: they may be the only copy.
const ASIDE: [&str; 3] = ["credentials.kept-1", "credentials.kept-2", "credentials.kept-3"];

/// Where the mirror is, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// For `AWS_CONFIG_FILE`.
    pub config: PathBuf,
    /// For `AWS_SHARED_CREDENTIALS_FILE`; empty.
    pub credentials: PathBuf,
    /// Whether either was written.
    pub changed: bool,
    /// The file in which what a tool wrote into `credentials` (`aws configure`) is kept.
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
}

/// Makes the mirror say what the AWS files say now. Waits for the disk.
///
/// # Errors
/// The mirror stays as it was, or its `credentials` do.
pub fn refresh(paths: &Paths, command: &str) -> Result<Mirror, StoreError> {
    let read = |path: &Path| {
        read_text(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })
    };
    let (config, credentials) = (read(&paths.aws_config)?, read(&paths.aws_credentials)?);
    let about = About {
        config: &paths.shown(&paths.aws_config),
        credentials: &paths.shown(&paths.aws_credentials),
        command,
    };
    let text = mirror_of(&config, &credentials, &about);

    let mut mirror = Mirror::at(paths);
    ensure_private_dir(&paths.mirror_dir)?;
    mirror.changed = put(&mirror.config, text.as_bytes())?;
    mirror.kept = keep_aside(&mirror.credentials)?;
    mirror.changed |= put(&mirror.credentials, b"")?;
    Ok(mirror)
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

/// Writes the file unless it says the same already. Returns whether it did not.
fn put(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    // What cannot be read is replaced: it is eksd's own.
    if let Ok(Some(content)) = atomic::read(path)
        && **content.bytes == *bytes
    {
        return Ok(false);
    }
    atomic::write(path, bytes).map(|()| true)
}

/// Copies what somebody wrote into the file, before it is emptied.
fn keep_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let Some(content) = atomic::read(path)?.filter(|content| !content.bytes.is_empty()) else {
        return Ok(None);
    };
    let names = ASIDE.map(|name| path.with_file_name(name));
    let free = names.iter().find(|name| !name.exists()).unwrap_or(&names[ASIDE.len() - 1]);
    atomic::write(free, &content.bytes)?;
    Ok(Some(free.clone()))
}

#[cfg(test)]
mod tests;
