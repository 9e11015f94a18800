//! Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 no agent; `status --check` has more.

use std::process::ExitCode;

use super::output::{self, Stop};
use crate::{
    ipc::wire::Phase,
    report::{Code, Report},
};

/// How a command ends that did not stop early: its exit code.
pub type Done = Result<u8, Stop>;

/// Ends the program's run: prints what stopped it, and returns the exit code.
pub fn finish(done: Done) -> ExitCode {
    ExitCode::from(match done {
        Ok(code) => code,
        Err(Stop::HungUp) => 0,
        Err(Stop::Failed(report)) => {
            output::report(&report);
            report.code.exit_code()
        }
    })
}

/// Like [`finish`], for verbs that other programs call and whose stderr they show in one line.
pub fn finish_in_one_line(done: Done) -> ExitCode {
    ExitCode::from(match done {
        Ok(code) => code,
        Err(Stop::HungUp) => 0,
        Err(Stop::Failed(report)) => {
            output::report_in_one_line(&report);
            report.code.exit_code()
        }
    })
}

/// Stops with the codes of `status --check`: for commands that scripts ask whether a person is
/// needed.
pub fn stop(report: &Report) -> u8 {
    output::report(report);
    of_report(report)
}

/// Returns the code of `status --check` for what a report says, else the report's own.
pub fn of_report(report: &Report) -> u8 {
    match report.code {
        Code::NeedsLogin => 11,
        Code::NeedsMfa => 12,
        Code::Misconfigured => 14,
        Code::Expired => 15,
        code => code.exit_code(),
    }
}

/// Returns the exit code of `status --check` for one phase.
pub fn of_phase(phase: Phase) -> u8 {
    match phase {
        Phase::Fresh | Phase::Renewing | Phase::Idle | Phase::Static => 0,
        Phase::Expiring => 10,
        Phase::NeedsLogin => 11,
        Phase::NeedsMfa => 12,
        Phase::Degraded => 13,
        Phase::Misconfigured => 14,
        Phase::Expired => 15,
    }
}

/// Returns the exit code for several phases: the worst.
pub fn of_phases(phases: impl IntoIterator<Item = Phase>) -> u8 {
    worst(phases.into_iter().map(of_phase))
}

/// Returns the worst of several codes of phases.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    // What never works, then what is over, then what a person must do, then what may pass.
    const WORST_FIRST: [u8; 7] = [14, 15, 11, 12, 13, 10, 0];
    let rank = |code: &u8| WORST_FIRST.iter().position(|other| other == code);
    codes.into_iter().min_by_key(rank).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_of_several() {
        use Phase::*;
        for (phases, expected) in [
            (vec![], 0),
            (vec![Fresh, Renewing, Idle, Static], 0),
            (vec![Fresh, Expiring], 10),
            (vec![Expiring, Degraded], 13),
            (vec![Degraded, NeedsMfa], 12),
            (vec![NeedsMfa, NeedsLogin], 11),
            (vec![NeedsLogin, Expired], 15),
            (vec![Expired, Misconfigured, Fresh], 14),
        ] {
            assert_eq!(of_phases(phases.clone()), expected, "{phases:?}");
        }
    }

    #[test]
    fn what_a_person_must_do_has_its_code() {
        for (code, expected) in [
            (Code::NeedsLogin, 11),
            (Code::NeedsMfa, 12),
            (Code::Misconfigured, 14),
            (Code::Expired, 15),
            (Code::UnknownProfile, 2),
            (Code::AgentSilent, 3),
            (Code::Unreachable, 1),
        ] {
            assert_eq!(of_report(&Report::new(code, "w", "f")), expected, "{code:?}");
        }
    }
}
