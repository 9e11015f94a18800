//! `eksd ensure`: whether credentials will last, asked before something long begins.

use std::io::IsTerminal;

use crate::{
    cli::{
        args::EnsureArgs,
        asks,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::{Done, of_phase, stop, worst},
        now, output,
        view::{span, until_in_words},
    },
    ipc::wire::{EnsureAnswer, EnsureParams, Ensured, Phase, Request},
    model::text::{printable, printable_sentence},
    report::Report,
};

/// What a session that is good now, but not for long enough, exits with.
const TOO_SHORT: u8 = 10;

/// Runs `eksd ensure`.
pub fn run(call: &Call, args: &EnsureArgs) -> Done {
    let names = names(call, args);
    let mut answer = match ask(call, args, &names) {
        Ok(answer) => answer,
        Err(report) => return Ok(stop(&report)),
    };
    if args.login && std::io::stdin().is_terminal() {
        // One login may mend several: each is looked at again after the last.
        let mut tried: Vec<String> = Vec::new();
        while let Some(row) = next(&answer, &tried) {
            tried.push(row.name.clone());
            super::login::again(call, &row.name, is_good(row.phase))?;
            answer = match ask(call, args, &names) {
                Ok(answer) => answer,
                Err(report) => return Ok(stop(&report)),
            };
        }
    }
    let now = now();
    for row in &answer.rows {
        output::talk(line(row, args.length.as_secs(), &now));
    }
    Ok(worst(answer.rows.iter().map(code)))
}

fn names(call: &Call, args: &EnsureArgs) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in args.names.iter().chain(&args.profiles) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if names.is_empty() {
        names.push(asks::own_profile(&call.env).to_owned());
    }
    names
}

fn ask(call: &Call, args: &EnsureArgs, names: &[String]) -> Result<EnsureAnswer, Report> {
    let params = EnsureParams { names: names.to_vec(), seconds: args.length.as_secs() };
    door::ask(call, Wish::Served, &Request::Ensure(params), ANSWER_LIMIT)
}

/// Returns the first that a login may mend and that was not tried.
fn next<'a>(answer: &'a EnsureAnswer, tried: &[String]) -> Option<&'a Ensured> {
    let is_mendable = |row: &&Ensured| matches!(code(row), 10..=12) && !tried.contains(&row.name);
    answer.rows.iter().find(is_mendable)
}

/// Good now: a login for more has to be forced.
fn is_good(phase: Phase) -> bool {
    of_phase(phase) == 0
}

fn code(row: &Ensured) -> u8 {
    match (row.lasts, of_phase(row.phase)) {
        (true, _) => 0,
        (false, 0) => TOO_SHORT,
        (false, code) => code,
    }
}

fn line(row: &Ensured, seconds: u64, now: &jiff::ZonedDateTime) -> String {
    let name = printable(&row.name);
    let until = until_in_words(row.until.as_deref(), row.confidence, now);
    if row.lasts {
        return match until {
            Some(until) => format!("{name} lasts: good until {until}"),
            None if row.phase == Phase::Static => format!("{name} lasts: its keys have no end"),
            None => format!("{name} lasts; until when a person is needed is not known"),
        };
    }
    let length = span(i64::try_from(seconds).unwrap_or(i64::MAX));
    let mut line = format!("{name} will not last for {length}");
    if let Some(until) = until {
        line.push_str(&format!(": good until {until}"));
    }
    if let Some(report) = &row.report {
        line.push_str(&format!(
            ": {}; {}",
            printable_sentence(&report.what),
            printable_sentence(&report.fix)
        ));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Env, ipc::wire::Confidence, report::Code};

    fn row(name: &str, phase: Phase, lasts: bool) -> Ensured {
        Ensured {
            name: name.into(),
            profile: name.into(),
            phase,
            lasts,
            until: Some("2026-11-24T14:35:00Z".into()),
            confidence: Confidence::Exact,
            report: None,
        }
    }

    #[test]
    fn codes() {
        for (phase, lasts, expected) in [
            (Phase::Fresh, true, 0),
            (Phase::Expiring, true, 0),
            (Phase::Fresh, false, 10),
            (Phase::Static, false, 10),
            (Phase::Expiring, false, 10),
            (Phase::NeedsLogin, false, 11),
            (Phase::NeedsMfa, false, 12),
            (Phase::Degraded, false, 13),
            (Phase::Misconfigured, false, 14),
            (Phase::Expired, false, 15),
        ] {
            assert_eq!(code(&row("a", phase, lasts)), expected, "{phase:?} {lasts}");
        }
    }

    #[test]
    fn lines() {
        let now = "2026-11-24T14:26:00+00:00[UTC]".parse().unwrap();
        let unknown = Ensured {
            until: None,
            confidence: Confidence::Unknown,
            ..row("b", Phase::Fresh, true)
        };
        let report = Report::new(
            Code::NeedsLogin,
            "the session `corp` ends sooner",
            "run `eksd login c --force`",
        );
        let short = Ensured { report: Some(report), ..row("c", Phase::Fresh, false) };
        let lines = [
            row("a", Phase::Fresh, true),
            unknown,
            Ensured { until: None, ..row("k", Phase::Static, true) },
            short,
            Ensured { until: None, ..row("d\u{1b}", Phase::NeedsMfa, false) },
        ]
        .map(|row| line(&row, 2_700, &now));
        insta::assert_snapshot!(lines.join("\n"), @r"
        a lasts: good until 14:35 (in 9m00s)
        b lasts; until when a person is needed is not known
        k lasts: its keys have no end
        c will not last for 45m: good until 14:35 (in 9m00s): the session `corp` ends sooner; run `eksd login c --force`
        d? will not last for 45m
        ");
    }

    #[test]
    fn logins_one_after_the_other_and_none_twice() {
        let rows = vec![
            row("good", Phase::Fresh, true),
            row("broken", Phase::Misconfigured, false),
            row("short", Phase::Fresh, false),
            row("ended", Phase::NeedsLogin, false),
        ];
        let mut answer = EnsureAnswer { rows };
        assert_eq!(next(&answer, &[]).unwrap().name, "short");
        assert_eq!(next(&answer, &["short".into()]).unwrap().name, "ended");
        answer.rows[3].lasts = true;
        assert!(next(&answer, &["short".into()]).is_none());
    }

    #[test]
    fn each_name_once() {
        let args = |names: &[&str], profiles: &[&str]| EnsureArgs {
            length: std::time::Duration::from_secs(1),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
            login: false,
        };
        let env = Env::from_map([("HOME", "/h"), ("AWS_PROFILE", "mine")]);
        let call = Call::new(&env, false).unwrap();
        assert_eq!(names(&call, &args(&["a", "b"], &["a", "c"])), ["a", "b", "c"]);
        assert_eq!(names(&call, &args(&[], &[])), ["mine"]);
    }
}
