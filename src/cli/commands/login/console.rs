//! `aws login`: the one sign-in that only the AWS CLI can make.

use std::{
    io::ErrorKind,
    process::{Command, ExitStatus},
};

use crate::{
    cli::{door::Call, quote::shell_word},
    model::text::printable,
    report::{Code, Report},
};

/// What the AWS CLI exits with for a command it does not know: version 1, and version 2.
const NOT_KNOWN: [i32; 2] = [2, 252];

/// Runs `aws login` at this terminal, on the person's own files: the mirror has no sign-ins.
pub(super) fn log_in(call: &Call, profile: &str, has_browser: bool) -> Result<(), Report> {
    let mut command = Command::new("aws");
    command.args(["login", "--profile", profile]);
    if !has_browser {
        command.arg("--remote");
    }
    command.env("AWS_CONFIG_FILE", &call.paths.aws_config);
    command.env("AWS_SHARED_CREDENTIALS_FILE", &call.paths.aws_credentials);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(profile, status)),
        Err(error) => Err(not_started(profile, &error)),
    }
}

fn failed(profile: &str, status: ExitStatus) -> Report {
    let again = format!("run `eksd login {}`", shown(profile));
    if status.code().is_some_and(|code| NOT_KNOWN.contains(&code)) {
        let what = "this AWS CLI does not know `aws login`, or refused its words";
        let fix = format!("install the AWS CLI 2.32 or later, then {again}");
        return Report::new(Code::LoginFailed, what, fix).because(status.to_string());
    }
    Report::new(Code::LoginFailed, "`aws login` did not end well", format!("{again} again"))
        .because(status.to_string())
}

fn not_started(profile: &str, error: &std::io::Error) -> Report {
    let (what, fix) = if error.kind() == ErrorKind::NotFound {
        (
            "only the AWS CLI can make this sign-in, and `aws` was not found in PATH",
            "install the AWS CLI 2.32 or later",
        )
    } else {
        ("only the AWS CLI can make this sign-in, and `aws` cannot be run", "mend `aws`")
    };
    let fix = format!("{fix}, then run `eksd login {}`", shown(profile));
    Report::new(Code::LoginFailed, what, fix).because(error.to_string())
}

/// A name that is a word as it is stays as it is.
fn shown(profile: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
    let name = printable(profile);
    if name.chars().all(is_word) { name } else { shell_word(&name) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_went_wrong() {
        for (code, what) in [
            (252, "this AWS CLI does not know `aws login`, or refused its words"),
            (2, "this AWS CLI does not know `aws login`, or refused its words"),
            (255, "`aws login` did not end well"),
        ] {
            let report = failed("dev", ExitStatus::from_raw(code << 8));
            assert_eq!((report.code, report.what.as_str()), (Code::LoginFailed, what));
            assert_eq!(report.why, [format!("exit status: {code}")]);
        }
        let report = not_started("my dev", &ErrorKind::NotFound.into());
        assert_eq!(report.fix, "install the AWS CLI 2.32 or later, then run `eksd login 'my dev'`");
    }
}
