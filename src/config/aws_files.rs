//! `~/.aws/config` and `~/.aws/credentials` → [`AwsFiles`].
//!
//! The meaning is the AWS CLI's (botocore `configloader.py` and `session.py`, `full_config`), with
//! one difference: where the CLI or an SDK refuses a whole file, the rest is read all the same, and a
//! [`Finding`] says which line is at fault and who refuses the file for it. Findings name keys and
//! sections, never values: a value may be a secret that stands on the wrong line.

mod ini;
mod outline;
mod rust_sdk;
mod section_name;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

pub use self::outline::outline;
use self::{
    ini::{Fault, Lines},
    section_name::SectionName,
};
use super::Paths;
use crate::{
    model::{
        AwsFiles, Entry, FileKind, Finding, Origin, ProfileName, Secret, Section, Value, text,
    },
    report::{Code, Report},
};

/// How findings name the AWS CLI and everything else on botocore.
pub const AWS_CLI: &str = "AWS CLI";
/// How findings name the AWS SDK for Rust.
pub const RUST_SDK: &str = "Rust SDK";

/// Larger files are mistakes (a log, a disk image); a thousand profiles take about 300 KiB.
pub const LARGEST_FILE: usize = 4 << 20;

/// A file full of nonsense says so this often at most.
const MOST_FINDINGS: usize = 100;

/// Keys whose values are secrets. botocore reads the token under both names (`credentials.py`).
const SECRET_KEYS: [&str; 3] = ["aws_secret_access_key", "aws_session_token", "aws_security_token"];

/// Reads both files. One that is missing counts as empty, as it does for the AWS CLI; one that
/// cannot be read is left out, with a report.
pub fn read(paths: &Paths) -> (AwsFiles, Vec<Report>) {
    let mut reports = Vec::new();
    let mut load = |path: &Path| {
        let shown = paths.shown(path);
        match read_file(path) {
            Ok(bytes) => bytes.map(|bytes| (shown, bytes)),
            Err(error) => {
                let report = Report::new(
                    Code::ReadFailed,
                    format!("`{shown}` cannot be read"),
                    format!("make `{shown}` a file that you can read"),
                );
                reports.push(report.because(error.to_string()));
                None
            }
        }
    };
    let config = load(&paths.aws_config);
    let credentials = load(&paths.aws_credentials);
    let files = parse(
        config.as_ref().map(|(shown, bytes)| (shown.as_str(), bytes.as_slice())),
        credentials.as_ref().map(|(shown, bytes)| (shown.as_str(), bytes.as_slice())),
    );
    (files, reports)
}

/// Reads one of the files as text, for [`outline`]. One that is missing is empty, and bytes that are not
/// UTF-8 become `U+FFFD`.
///
/// # Errors
/// A file that [`read`] would not take, too.
pub fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let bytes = read_file(path)?.unwrap_or_default();
    if LARGEST_FILE < bytes.len() {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST_FILE >> 20)));
    }
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads at most one byte more than [`parse`] takes. Waits for nobody: a pipe in the file's place
/// is an error.
fn read_file(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file: File = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Room from the start: growing would leave copies of secrets behind.
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(LARGEST_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Parses both files, each given with the name that people see, and merges them: the credentials
/// file wins, key by key.
pub fn parse(config: Option<(&str, &[u8])>, credentials: Option<(&str, &[u8])>) -> AwsFiles {
    let mut files = AwsFiles::default();
    if let Some((shown, bytes)) = config {
        Reader::new(FileKind::Config, shown).read(bytes, &mut files);
    }
    if let Some((shown, bytes)) = credentials {
        Reader::new(FileKind::Credentials, shown).read(bytes, &mut files);
    }
    files
}

/// Reads one file into the set.
struct Reader {
    kind: FileKind,
    file: Arc<str>,
    faults: Vec<Fault>,
}

impl Reader {
    fn new(kind: FileKind, shown: &str) -> Self {
        Self { kind, file: Arc::from(shown), faults: Vec::new() }
    }

    fn read(mut self, bytes: &[u8], files: &mut AwsFiles) {
        if bytes.len() <= LARGEST_FILE {
            self.sections(bytes, files);
        } else {
            let what =
                format!("the file is larger than {} MiB and is not read", LARGEST_FILE >> 20);
            self.faults.push(Fault::new(1, what));
        }
        self.faults.sort_by_key(|fault| fault.line);
        let hidden = self.faults.len().saturating_sub(MOST_FINDINGS);
        if 0 < hidden {
            // Who refuses the file must not get lost with the line.
            let rest = self.faults.split_off(MOST_FINDINGS);
            let mut last = Fault::new(rest[0].line, format!("{hidden} more lines are at fault"));
            for reader in [AWS_CLI, RUST_SDK] {
                if rest.iter().any(|fault| fault.refused_by.contains(&reader)) {
                    last.refused_by.push(reader);
                }
            }
            self.faults.push(last);
        }
        for Fault { line, what, refused_by } in std::mem::take(&mut self.faults) {
            files.findings.push(Finding { origin: self.origin(line), what, refused_by });
        }
    }

    fn origin(&self, line: u32) -> Origin {
        Origin { kind: self.kind, file: Arc::clone(&self.file), line }
    }

    fn sections(&mut self, bytes: &[u8], files: &mut AwsFiles) {
        let both = vec![AWS_CLI, RUST_SDK];
        let without_mark = bytes.strip_prefix(b"\xef\xbb\xbf");
        if without_mark.is_some() {
            let what = "the file begins with a byte-order mark";
            self.faults.push(Fault { line: 1, what: what.into(), refused_by: both.clone() });
        }
        let bytes = without_mark.unwrap_or(bytes);
        // Broken bytes never take a line end with them, so this is line by line.
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
                if std::str::from_utf8(line).is_err() {
                    let what = "the line is not UTF-8";
                    self.faults.push(Fault {
                        line: number,
                        what: what.into(),
                        refused_by: both.clone(),
                    });
                }
            }
        }
        let (sections, faults) = ini::parse(&text);
        self.faults.extend(faults);
        for section in sections {
            self.section(section, files);
        }
        // What is inherited was looked at once per heir.
        self.faults.sort_by(|a, b| (a.line, &a.what).cmp(&(b.line, &b.what)));
        self.faults.dedup_by(|a, b| (a.line, &a.what) == (b.line, &b.what));
        self.rust_opinion(&text);
    }

    /// Adds the Rust SDK's refusals: to the fault of the same line, where there is one.
    fn rust_opinion(&mut self, text: &str) {
        let known = self.faults.len();
        for (line, what) in rust_sdk::refused_lines(text) {
            // Of several on one line, the one for which a file is refused.
            let same_line = self.faults[..known]
                .iter_mut()
                .filter(|fault| fault.line == line)
                .max_by_key(|fault| fault.refused_by.len());
            match same_line {
                Some(fault) if fault.refused_by.contains(&RUST_SDK) => (),
                Some(fault) => fault.refused_by.push(RUST_SDK),
                None => {
                    self.faults
                        .push(Fault { refused_by: vec![RUST_SDK], ..Fault::new(line, what) });
                }
            }
        }
    }

    fn section(&mut self, section: ini::Section<'_>, files: &mut AwsFiles) {
        let (name, remark) = SectionName::parse(self.kind, section.header);
        if let Some(remark) = remark {
            self.faults.push(Fault::new(section.line, remark));
        }
        if name == SectionName::Other {
            // The CLI stumbles over blocks in sections that it does not read, too.
            for lines in section.keys.values().filter(|lines| lines.is_block()) {
                self.block(lines);
            }
            return;
        }
        let origin = self.origin(section.line);
        // aws-runtime `normalize.rs`: of the two spellings it takes `[profile default]`.
        let who = match section.header {
            "default" => "the AWS CLI takes only this one, the Rust SDK only that one",
            "profile default" => "only this one counts",
            _ => "the AWS CLI takes only this one, the Rust SDK another",
        };
        let keys = section.keys.into_iter().map(|(key, lines)| {
            let entry = self.entry(&key, &lines);
            (key, entry)
        });
        let found = Section { origin, keys: keys.collect() };
        match name {
            SectionName::Profile(name) => self.add_profile(name, found, &mut files.profiles, who),
            SectionName::SsoSession(name) => self.add(name, found, &mut files.sso_sessions, who),
            SectionName::Services(name) => self.add(name, found, &mut files.services, who),
            SectionName::Other => (),
        }
    }

    fn add_profile(
        &mut self,
        name: String,
        found: Section,
        profiles: &mut BTreeMap<ProfileName, Section>,
        who: &str,
    ) {
        let name = ProfileName::new(name);
        match profiles.get_mut(name.as_str()) {
            Some(earlier) if self.kind == FileKind::Credentials => {
                for (key, mut entry) in found.keys {
                    if let Some(loser) = earlier.keys.remove(&key) {
                        entry.displace(loser);
                    }
                    earlier.keys.insert(key, entry);
                }
            }
            _ => self.add(name, found, profiles, who),
        }
    }

    /// Adds a section of the config file. Two headers that are written differently and name the
    /// same (`[default]` and `[profile default]`) are not merged: the later takes the place
    /// (botocore `build_profile_map`).
    fn add<K: Ord>(
        &mut self,
        name: K,
        found: Section,
        sections: &mut BTreeMap<K, Section>,
        who: &str,
    ) {
        let mut slot = match sections.entry(name) {
            Slot::Occupied(slot) => slot,
            Slot::Vacant(slot) => {
                slot.insert(found);
                return;
            }
        };
        let line = found.origin.line;
        let mut earlier = slot.insert(found);
        let what = format!(
            "the same section, written differently, stands in line {}; {who}",
            earlier.origin.line
        );
        self.faults.push(Fault::new(line, what));
        for (key, entry) in &mut slot.get_mut().keys {
            if let Some(loser) = earlier.keys.remove(key) {
                entry.displace(loser);
            }
        }
    }

    fn entry(&mut self, key: &str, lines: &Lines<'_>) -> Entry {
        let origin = self.origin(lines.line);
        let first = lines.text.first().map_or("", |(_, text)| text);
        if !rust_sdk::is_identifier(key) {
            let what = format!("the Rust SDK ignores the key `{}`", text::printable(key));
            self.faults.push(Fault::new(lines.line, what));
        }
        if has_comment(first) {
            let what = format!(
                "the AWS CLI takes the comment as part of the value of `{}`, the SDKs do not",
                text::printable(key)
            );
            self.faults.push(Fault::new(lines.line, what));
        }
        let is_secret = SECRET_KEYS.contains(&key);
        let value = match (lines.is_block(), is_secret) {
            (true, true) => {
                let what = format!("the value of `{key}` does not stand on the line of the key");
                self.faults.push(Fault::new(lines.line, what));
                self.block(lines);
                Value::Secret(Secret::new(""))
            }
            (true, false) => Value::Block(self.block(lines)),
            (false, true) => Value::Secret(Secret::new(join(lines))),
            (false, false) => Value::Plain(join(lines)),
        };
        let shadows = lines.displaced.iter().map(|line| self.origin(*line)).collect();
        Entry { value, origin, shadows }
    }

    /// One level of `key = value` lines (botocore `_parse_nested`).
    fn block(&mut self, lines: &Lines<'_>) -> BTreeMap<String, String> {
        let mut block = BTreeMap::new();
        for (line, text) in lines.text.iter().filter(|(_, text)| !text.is_empty()) {
            if let Some((key, value)) = text.split_once('=') {
                block.insert(
                    key.trim_matches(ini::is_blank).to_owned(),
                    value.trim_matches(ini::is_blank).to_owned(),
                );
            } else {
                let what = "a line in an indented block is not `key = value`";
                self.faults.push(Fault::fatal(*line, what));
            }
        }
        block
    }
}

/// Returns whether the SDKs would cut a comment off (aws-runtime `parse.rs`, `prepare_line`).
fn has_comment(value: &str) -> bool {
    let mut after_blank = true;
    value.chars().any(|c| {
        let is_comment = after_blank && matches!(c, '#' | ';');
        after_blank = c.is_whitespace();
        is_comment
    })
}

/// Joins the lines; blank ones at the end do not count.
fn join(lines: &Lines<'_>) -> String {
    let mut joined = String::with_capacity(lines.text.iter().map(|(_, text)| text.len() + 1).sum());
    for (at, (_, text)) in lines.text.iter().enumerate() {
        if 0 < at {
            joined.push('\n');
        }
        joined.push_str(text);
    }
    joined.truncate(joined.trim_end_matches(ini::is_blank).len());
    joined
}
