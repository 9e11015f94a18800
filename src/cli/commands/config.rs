//! `eksd config`: where the settings are, and what is wrong with them and the AWS files.

use crate::{
    cli::{args::ConfigCommand, door::Call, exit::Done, output},
    config::{Settings, aws_files},
    model::{AwsFiles, ChainError, Finding, chain, text::printable_sentence},
    report::{Code, Report},
};

/// Runs `eksd config`.
pub fn run(call: &Call, command: ConfigCommand) -> Done {
    match command {
        ConfigCommand::Path => {
            output::data(format!("{}\n", call.paths.settings.display()))?;
            Ok(0)
        }
        ConfigCommand::Check => Ok(check(call)),
    }
}

/// Reads the files itself: a config that is being mended is checked without an agent too.
fn check(call: &Call) -> u8 {
    let settings = Settings::load(&call.paths).err().map(Report::from);
    let (files, unread) = aws_files::read(&call.paths);
    let findings = files.findings.iter().map(of_finding);
    let reports: Vec<Report> =
        settings.into_iter().chain(unread).chain(findings).chain(of_profiles(&files)).collect();
    for report in &reports {
        output::report(report);
    }
    let worst = reports.iter().map(|report| report.code.exit_code()).max().unwrap_or(0);
    if reports.is_empty() {
        let paths = &call.paths;
        let count = files.profiles.len();
        output::talk(format!(
            "nothing is wrong in {}, {} and {} ({count} profiles)",
            paths.shown(&paths.settings),
            paths.shown(&paths.aws_config),
            paths.shown(&paths.aws_credentials),
        ));
    }
    worst
}

/// Returns what is wrong with each profile as a whole. One without credentials is no mistake: many
/// hold a region alone.
fn of_profiles(files: &AwsFiles) -> impl Iterator<Item = Report> {
    files.profiles.keys().filter_map(|name| match chain::resolve(files, name.as_str()) {
        Ok(_) | Err(ChainError::NoCredentials { .. }) => None,
        Err(error) => Some(Report::of_chain(name.as_str(), &error)),
    })
}

fn of_finding(finding: &Finding) -> Report {
    let what = format!("{}: {}", finding.origin, printable_sentence(&finding.what));
    let fix = format!("mend the line at {}", finding.origin);
    let report = Report::new(Code::ConfigBroken, what, fix);
    if finding.refused_by.is_empty() {
        return report.because("only this line is lost");
    }
    report.because(format!("refused by: {}", finding.refused_by.join(", ")))
}
