//! What can go wrong with a helper, and how it is told to people.

use std::{fmt, io, time::Duration};

use crate::{
    model::{Origin, session::FailureClass, text::printable},
    report::{Code, Report},
};

/// A stream of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What it is asked for.
    Stdout,
    /// Its complaints.
    Stderr,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
        })
    }
}

/// Why a helper brought nothing. No text of it holds what the helper printed on its standard
/// output; its complaints are cleared of what looks like a secret.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The shell could not be started.
    #[error("the shell could not be started")]
    NotStarted {
        /// Why.
        source: io::Error,
    },
    /// The system lost track of it, or of its output.
    #[error("it could not be followed to its end")]
    Lost {
        /// Why.
        source: io::Error,
    },
    /// It would run for a profile whose helper waits for it.
    #[error(
        "the program of profile `{}` asks for its own keys, by way of another profile",
        printable(profile)
    )]
    Loop {
        /// The profile.
        profile: String,
    },
    /// It did not end in time, and was killed.
    #[error("it did not end within {} s and was stopped", after.as_secs())]
    Deadline {
        /// The time it had.
        after: Duration,
    },
    /// It printed without end, and was killed.
    #[error("it wrote more than {most} bytes to its {stream} and was stopped")]
    TooMuch {
        /// Where.
        stream: Stream,
        /// What it may write there.
        most: usize,
    },
    /// It ended badly.
    #[error("it ended with {}", how(*code, *signal))]
    Failed {
        /// Its exit status.
        code: Option<i32>,
        /// The signal that ended it, where one did.
        signal: Option<i32>,
        /// What it said on standard error, fit to be shown.
        words: String,
    },
    /// What it printed is not UTF-8.
    #[error("what it printed is not text")]
    NotText,
    /// What it printed is not what it is asked for.
    #[error("{why}")]
    Output {
        /// Why, without quoting it.
        why: &'static str,
    },
    /// What it printed has ended already.
    #[error("the credentials it printed have ended already")]
    Ended,
}

fn how(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit status".to_owned(),
    }
}

impl ProgramError {
    /// Returns what can be done about it. A helper that fails, hangs or hands out what has ended may do
    /// better later; one that is not there or prints something else will not until somebody mends it.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Lost { .. } | Self::Deadline { .. } | Self::Ended => {
                FailureClass::MayPass { retry_after: None }
            }
            // A shell's own: not executable, not found (POSIX, Shell Command Language, 2.8.2).
            Self::Failed { code: Some(126 | 127), .. }
            | Self::NotStarted { .. }
            | Self::Loop { .. }
            | Self::TooMuch { .. }
            | Self::NotText
            | Self::Output { .. } => FailureClass::NeverWorks,
            Self::Failed { .. } => FailureClass::MayPass { retry_after: None },
        }
    }

    /// Returns the report for people. `key` is the one that names the command, as it is written at
    /// `origin`: `credential_process` or `mfa_process`. The command itself is not shown: some people
    /// put secrets there.
    pub fn report(&self, key: &str, profile: &str, origin: &Origin) -> Report {
        let what = format!("the `{key}` of `{}` brought nothing", printable(profile));
        let alone = format!(
            "run the command at {origin} yourself, without a terminal for it: \
             `sh -c '…' < /dev/null`"
        );
        let fix = match self {
            Self::Failed { code: Some(126 | 127), .. } => {
                format!("mend the command at {origin}: name the program by its full path")
            }
            Self::Output { .. } | Self::NotText => {
                format!("mend the program that is named at {origin}")
            }
            Self::Loop { .. } => format!("give the program at {origin} another profile to ask for"),
            Self::NotStarted { .. } => {
                format!("check the command at {origin}, and that `/bin/sh` can be run")
            }
            Self::Failed { .. } | Self::Deadline { .. } | Self::TooMuch { .. } | Self::Ended => {
                alone
            }
            Self::Lost { .. } => "wait: eksd tries again by itself".to_owned(),
        };
        let mut report = Report::new(Code::ProgramFailed, what, fix).because(self.to_string());
        match self {
            Self::Failed { words, .. } if !words.is_empty() => report.because(words.clone()),
            Self::NotStarted { source } | Self::Lost { source } => {
                report.why.push(source.to_string());
                report
            }
            _ => report,
        }
    }
}
