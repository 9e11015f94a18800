//! `eksd whoami`: who AWS says a profile is.

use crate::{
    cli::{
        args::WhoamiArgs,
        asks,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::{Done, stop},
        output,
    },
    ipc::wire::{NameParams, Request, Whoami},
    model::text::printable_sentence,
    report::{Code, Report},
};

/// Runs `eksd whoami`.
pub fn run(call: &Call, args: &WhoamiArgs) -> Done {
    let name = args.name.as_deref().unwrap_or_else(|| asks::own_profile(&call.env));
    let request = Request::Whoami(NameParams { name: name.to_owned() });
    let who: Whoami = match door::ask(call, Wish::Served, &request, ANSWER_LIMIT) {
        Ok(who) => who,
        Err(report) => return Ok(stop(&report)),
    };
    output::data(if args.json { json(&who)? } else { text(&who) })?;
    Ok(0)
}

fn json(who: &Whoami) -> Result<String, Report> {
    serde_json::to_string_pretty(who).map(|json| json + "\n").map_err(|error| {
        Report::new(Code::Internal, "the answer cannot be written", "report this as a bug")
            .because(error.to_string())
    })
}

fn text(who: &Whoami) -> String {
    let rows = [
        ("profile", &who.profile),
        ("account", &who.account),
        ("arn", &who.arn),
        ("user id", &who.user_id),
    ];
    rows.map(|(name, value)| format!("{name:<8} {}\n", printable_sentence(value))).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let who = Whoami {
            profile: "dev".into(),
            account: "111122223333".into(),
            arn: "arn:aws:sts::111122223333:assumed-role/Developer/ann\u{1b}".into(),
            user_id: "AROAEXAMPLE:ann".into(),
        };
        insta::assert_snapshot!(text(&who), @r"
        profile  dev
        account  111122223333
        arn      arn:aws:sts::111122223333:assumed-role/Developer/ann?
        user id  AROAEXAMPLE:ann
        ");
        let read: Whoami = serde_json::from_str(&json(&who).unwrap()).unwrap();
        assert_eq!(read, who);
    }
}
