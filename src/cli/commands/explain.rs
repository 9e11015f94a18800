//! `eksd explain`: what a profile comes to, what limits it, and what shadows what.

use crate::{
    cli::{
        args::ExplainArgs,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        now, output,
        view::explain::{Page, explanation},
    },
    config::Env,
    ipc::wire::{Explanation, NameParams, Request},
    model::explain::{self, Shell},
    report::{Code, Report},
};

/// Runs `eksd explain`. Fails as the profile does, after everything was said.
pub fn run(call: &Call, args: &ExplainArgs) -> Done {
    let name = args.name.as_deref().or(call.env.profile()).unwrap_or("default").to_owned();
    let request = Request::Explain(NameParams { name });
    let mut answer: Explanation = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    // The agent does not know this shell.
    answer.notes.extend(shadowing(&call.env, &answer.profile));
    output::data(text(call, args, &answer)?)?;
    Ok(answer.report.map_or(0, |report| report.code.exit_code()))
}

fn text(call: &Call, args: &ExplainArgs, answer: &Explanation) -> Result<String, Report> {
    if args.json {
        return serde_json::to_string_pretty(answer).map(|json| json + "\n").map_err(|error| {
            let what = "the explanation cannot be written";
            Report::new(Code::Internal, what, "report this as a bug").because(error.to_string())
        });
    }
    let canvas = output::canvas(&call.env);
    Ok(explanation(answer, &Page { width: canvas.width, colour: canvas.colour, now: now() }))
}

/// Returns what other programs in the caller's shell make of the profile.
fn shadowing(env: &Env, profile: &str) -> Vec<String> {
    let shell = Shell {
        set: Vec::new(),
        profile: env.aws_profile.clone(),
        default_profile: env.aws_default_profile.clone(),
        region: env.aws_region.clone(),
        default_region: env.aws_default_region.clone(),
    };
    explain::shadowing(&shell, profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_own_variables_are_looked_at() {
        let env = Env::from_map([("AWS_PROFILE", "a"), ("AWS_DEFAULT_PROFILE", "b")]);
        assert_eq!(shadowing(&env, "dev").len(), 1);
        assert_eq!(shadowing(&Env::default(), "dev"), [""; 0]);
    }
}
