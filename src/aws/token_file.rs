//! Files with somebody else's token, which is replaced from time to time: they are read anew at each
//! call and never written.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{AwsError, Class, Kind};
use crate::model::Secret;

/// STS takes 20 000 characters, a header of HTTP less.
const LONGEST: u64 = 20_000;

/// Reads a token as it is, with whatever stands around it. Waits for nobody: a pipe is refused.
///
/// # Errors
/// [`Kind::Local`]. It may pass where the file is not there or empty: whoever replaces it may be doing
/// so now.
pub(super) fn read(operation: &'static str, path: &Path) -> Result<Secret, AwsError> {
    let shown = path.display();
    let failed = |message: String| {
        AwsError::new(operation, Class::MayPass { retry_after: None }, Kind::Local)
            .with_message(&message)
    };
    let unreadable = |error: io::Error| failed(format!("`{shown}` cannot be read: {error}"));
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(AwsError::local(operation, &format!("`{shown}` is not a file")));
    }
    if LONGEST < metadata.len() {
        return Err(AwsError::local(operation, &format!("`{shown}` is too long for a token")));
    }
    // Room from the start: growing would leave copies behind.
    let size = usize::try_from(LONGEST).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| AwsError::local(operation, &format!("`{shown}` holds no text")))?;
    if text.trim().is_empty() {
        return Err(failed(format!("`{shown}` is empty")));
    }
    Ok(Secret::new(text))
}
