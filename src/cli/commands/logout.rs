//! `eksd logout`: ends sessions, and says what outlives them.

use crate::{
    cli::{
        args::LogoutArgs,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        now, output,
        view::until_in_words,
    },
    ipc::wire::{Confidence, EndedSession, LogoutDone, LogoutParams, Request},
    model::text::{printable, printable_sentence},
};

/// Runs `eksd logout`.
pub fn run(call: &Call, args: LogoutArgs) -> Done {
    let params = LogoutParams { name: args.name, all: args.all };
    let done: LogoutDone = door::ask(call, Wish::Started, &Request::Logout(params), ANSWER_LIMIT)?;
    if done.ended.is_empty() {
        output::talk("no session was held");
    }
    let mut all_done = true;
    for session in &done.ended {
        output::talk(ended(session, &now()));
        for report in [&session.not_told, &session.not_wiped].into_iter().flatten() {
            output::report(report);
            all_done = false;
        }
    }
    Ok(u8::from(!all_done))
}

fn ended(session: &EndedSession, now: &jiff::ZonedDateTime) -> String {
    let name = printable_sentence(&session.session);
    let mut text = match (&session.not_wiped, &session.not_told) {
        (Some(_), _) => format!("the token file of `{name}` could not be removed:"),
        (None, Some(_)) => format!("`{name}` was wiped here, but AWS could not be told:"),
        (None, None) => format!("logged out of `{name}`"),
    };
    for keys in &session.still_valid {
        let until = until_in_words(Some(&keys.until), Confidence::Exact, now);
        text.push_str(&format!(
            "\n  role keys of `{}` that were handed out stay valid until {}",
            printable(&keys.profile),
            until.unwrap_or_else(|| printable(&keys.until)),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::wire::StillValid;

    #[test]
    fn says_what_outlives_the_session() {
        let now = "2026-11-24T14:26:00+00:00[UTC]".parse().unwrap();
        let still_valid =
            vec![StillValid { profile: "dev".into(), until: "2026-11-24T15:00:00Z".into() }];
        let session =
            EndedSession { session: "corp".into(), not_told: None, not_wiped: None, still_valid };
        assert_eq!(
            ended(&session, &now),
            "logged out of `corp`\n  role keys of `dev` that were handed out stay valid until 15:00 (in 34m)"
        );
    }
}
