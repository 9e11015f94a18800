//! What a section header names (botocore `configloader.py`, `build_profile_map`).

use super::rust_sdk::is_identifier;
use crate::model::{FileKind, text::printable};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum SectionName {
    Profile(String),
    SsoSession(String),
    Services(String),
    /// Nothing that has to do with credentials.
    Other,
}

type Named = fn(String) -> SectionName;

/// How headers of the config file begin. The CLI looks at that, not at the first word.
const KINDS: [(&str, Named); 3] = [
    ("profile", SectionName::Profile),
    ("sso-session", SectionName::SsoSession),
    ("services", SectionName::Services),
];

impl SectionName {
    /// Returns what the header names, and what is odd about it.
    pub(super) fn parse(kind: FileKind, header: &str) -> (Self, Option<String>) {
        match kind {
            FileKind::Config => Self::in_config(header),
            FileKind::Credentials | FileKind::Environment => Self::in_credentials(header),
        }
    }

    fn in_config(header: &str) -> (Self, Option<String>) {
        if header == "default" {
            return (Self::Profile(header.to_owned()), None);
        }
        let Some((word, named)) = KINDS.into_iter().find(|(word, _)| header.starts_with(word))
        else {
            return (Self::Other, foreign(header));
        };
        let words = shell_words(header);
        let name = match words.as_deref() {
            Some([_, name]) => name.clone(),
            Some([_]) => {
                return (
                    Self::Other,
                    Some(format!("the header `[{}]` names nothing", printable(header))),
                );
            }
            Some(_) => {
                let what = format!(
                    "the header `[{}]` names more than one word: write the name with `-` for blanks",
                    printable(header)
                );
                return (Self::Other, Some(what));
            }
            None => {
                let what = format!("a quote in the header `[{}]` is not closed", printable(header));
                return (Self::Other, Some(what));
            }
        };
        let seen_by_sdk = header.split_once([' ', '\t']);
        let remark = match seen_by_sdk {
            Some((first, rest)) if first == word && rest.trim() == name && is_identifier(&name) => {
                None
            }
            _ => Some(format!("the Rust SDK does not see the section `[{}]`", printable(header))),
        };
        (named(name), remark)
    }

    /// Every section is a profile, by its whole header (botocore `session.py`, `full_config`).
    fn in_credentials(header: &str) -> (Self, Option<String>) {
        let remark = if header.starts_with("profile ") || header.starts_with("profile\t") {
            Some(format!(
                "the word `profile` does not belong into this file; for the AWS CLI the profile is called `{}`",
                printable(header)
            ))
        } else if !is_identifier(header) {
            Some(format!("the Rust SDK does not see the section `[{}]`", printable(header)))
        } else {
            None
        };
        (Self::Profile(header.to_owned()), remark)
    }
}

/// Says why a section of the config file is not a profile, unless it is one of the CLI's own.
fn foreign(header: &str) -> Option<String> {
    let shown = printable(header);
    let first = header.split_whitespace().next().unwrap_or_default();
    let lower = first.to_lowercase();
    if ["profile", "sso-session", "services"].contains(&lower.as_str()) {
        return Some(format!(
            "`[{shown}]` is not read: write `[{lower} …]`, in lower case and without blanks before it"
        ));
    }
    // Sections of the AWS CLI itself (awscli `plugin.py`, `customizations/preview.py`).
    let is_known = ["plugins", "preview"].contains(&header);
    (!is_known).then(|| {
        format!("`[{shown}]` is not a profile: in this file it is written `[profile {shown}]`")
    })
}

/// Splits like Python's `shlex.split` (POSIX rules, no comments); `None` where it raises.
fn shell_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        // Before anything else the backslash stays.
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are Python's.
    #[test]
    fn words_are_split_as_shlex_splits_them() {
        for (text, expected) in [
            ("profile dev", Some(&["profile", "dev"][..])),
            ("profile \"my dev\"", Some(&["profile", "my dev"])),
            ("profile 'a'b\"c\"", Some(&["profile", "abc"])),
            ("profile \"\"", Some(&["profile", ""])),
            (r#"profile "a\"b\x""#, Some(&["profile", r#"a"b\x"#])),
            (r"profile a\ b", Some(&["profile", "a b"])),
            ("  profile\t\tdev ", Some(&["profile", "dev"])),
            ("profile \"dev", None),
            ("profile dev\\", None),
            ("profile #dev", Some(&["profile", "#dev"])),
        ] {
            let expected =
                expected.map(|words| words.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(shell_words(text), expected, "{text}");
        }
    }
}
