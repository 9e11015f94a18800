//! Questions that several commands ask.

use std::io::IsTerminal;

use super::door::{self, ANSWER_LIMIT, Call, Wish};
use crate::{
    config::Env,
    ipc::wire::{
        CredentialsParams, Empty, Mirror, Owner, Request, ResolveParams, Resolved, WireCredentials,
    },
    model::text::printable,
    report::{Code, Report},
};

/// How long an agent waits for a login that is under way, and its answer then takes.
const LOGIN_LIMIT: std::time::Duration = std::time::Duration::from_secs(125);

/// Returns what a name stands for; a namespace, or several clusters, are kept for the owner.
pub(super) fn resolve(call: &Call, name: &str, owner: Option<Owner>) -> Result<Resolved, Report> {
    let request = Request::Resolve(ResolveParams { name: name.to_owned(), owner });
    door::ask(call, Wish::Served, &request, ANSWER_LIMIT)
}

/// Returns where the mirror is; it is written if it is not there.
pub(super) fn mirror(call: &Call) -> Result<Mirror, Report> {
    door::ask(call, Wish::Served, &Request::Mirror(Empty {}), ANSWER_LIMIT)
}

/// Returns a profile's credentials, waiting at most `limit`, or as long as a login may take where
/// somebody looks on.
pub(super) fn credentials(
    call: &Call,
    profile: &str,
    limit: std::time::Duration,
) -> Result<WireCredentials, Report> {
    refuse_loop(&call.env, profile)?;
    let waits_for_login = is_watched();
    let limit = if waits_for_login { LOGIN_LIMIT } else { limit };
    let params = CredentialsParams { profile: profile.to_owned(), waits_for_login };
    door::ask(call, Wish::Served, &Request::Credentials(params), limit)
}

/// Returns whether a person is likely to look on: the SDKs take stdout and mostly stderr, but leave the
/// terminal on stdin. Where both are something else nobody is kept waiting for a person. Looking
/// for a controlling terminal instead would find one in every background job.
pub(super) fn is_watched() -> bool {
    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}

/// Refuses a profile to a program that the agent runs for it: it would wait for itself.
fn refuse_loop(env: &Env, profile: &str) -> Result<(), Report> {
    let chain = env.eksd_profile_chain.as_deref().unwrap_or_default();
    if chain.lines().all(|other| other != profile) {
        return Ok(());
    }
    let shown = printable(profile);
    let what = format!("profile `{shown}` asks for its own keys");
    let fix = "give the program in `credential_process` or `mfa_process` another profile";
    let why = "eksd runs this program to get them".to_owned();
    Err(Report::new(Code::Misconfigured, what, fix).because(why))
}

/// Returns the profile that this shell uses.
pub(super) fn own_profile(env: &Env) -> &str {
    env.profile().unwrap_or("default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_not_its_own_source() {
        let env = |chain: &str| Env::from_map([("EKSD_PROFILE_CHAIN", chain)]);
        for (chain, is_loop) in [
            ("", false),
            ("dev", true),
            ("prod\ndev", true),
            ("dev\nprod\n", true),
            ("dev2\nde", false),
            ("dev prod", false),
        ] {
            let refused = refuse_loop(&env(chain), "dev");
            assert_eq!(refused.is_err(), is_loop, "{chain:?}");
        }
        let report = refuse_loop(&env("dev"), "dev").unwrap_err();
        assert_eq!(
            crate::cli::output::one_line(&report),
            "eksd: profile `dev` asks for its own keys (eksd runs this program to get them); \
             give the program in `credential_process` or `mfa_process` another profile"
        );
    }
}
