//! `eksd token`: kubectl's credential step.
//!
//! stdout is one `ExecCredential` and nothing else. kubectl lets stderr through, so a failure is one
//! line that names what to run. The flags are those of `aws eks get-token` and of `aws-iam-authenticator
//! token`, so that in an existing kubeconfig only the command changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    cli::{
        args::TokenArgs,
        door::{self, Call, Wish},
        exit::Done,
        output,
    },
    config::Env,
    ipc::wire::{Request, TokenParams, WireToken},
    report::{Code, Report},
};

/// A cold profile needs up to three calls to AWS; kubectl itself sets no limit.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs `eksd token`.
pub fn run(call: &Call, args: &TokenArgs) -> Done {
    let (version, warning) = api_version(call.env.kubernetes_exec_info.as_deref());
    if let Some(warning) = warning {
        output::talk(warning);
    }
    check(args)?;
    let request = Request::Token(params(args, &call.env));
    let token: WireToken = door::ask(call, Wish::Served, &request, LIMIT)?;
    if let Some(report) = &token.report {
        output::report_in_one_line(report);
    }
    let text = if args.token_only { alone(&token) } else { json(&token, version)? };
    output::data(text.as_slice())?;
    Ok(0)
}

/// What of aws-iam-authenticator would mean something else here, or nothing.
fn check(args: &TokenArgs) -> Result<(), Report> {
    let refused = |what: &str, fix: &str| Err(Report::new(Code::Usage, what, fix));
    if args.config.is_some() {
        return refused(
            "eksd reads no file of aws-iam-authenticator",
            "give `--cluster-id ID` instead of `--config FILE`",
        );
    }
    match (args.forward_session_name, &args.session_name, &args.role_arn) {
        (true, Some(_), _) => refused(
            "`--forward-session-name` and `--session-name` exclude each other",
            "leave out the first",
        ),
        // The cluster's user may be named after the session: another name must not slip in.
        (true, None, Some(_)) => refused(
            "eksd does not look up the name of a session for `--forward-session-name`",
            "give the name itself: `--session-name NAME`",
        ),
        _ => Ok(()),
    }
}

fn params(args: &TokenArgs, env: &Env) -> TokenParams {
    let is_registered = args.cluster.is_some();
    // A registered cluster has a profile and a region of its own, whatever this shell uses.
    let profile = args
        .profile
        .as_deref()
        .or_else(|| (!is_registered).then(|| env.profile().unwrap_or("default")));
    let region = args.region.as_deref().or_else(|| env.region().filter(|_| !is_registered));
    TokenParams {
        cluster: args.cluster.clone(),
        cluster_name: args.cluster_name.clone(),
        cluster_id: args.cluster_id.clone(),
        region: region.map(str::to_owned),
        profile: profile.map(str::to_owned),
        role_arn: args.role_arn.clone(),
        // They mean nothing without a role.
        role_session_name: args.session_name.clone().filter(|_| args.role_arn.is_some()),
        external_id: args.external_id.clone().filter(|_| args.role_arn.is_some()),
    }
}

const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";
const V1ALPHA1: &str = "client.authentication.k8s.io/v1alpha1";

/// Returns the version to answer in: kubectl refuses any but that of its kubeconfig. What is absent
/// or cannot be read means v1beta1, as for the AWS CLI.
fn api_version(exec_info: Option<&str>) -> (&'static str, Option<&'static str>) {
    #[derive(Deserialize)]
    struct ExecInfo {
        #[serde(rename = "apiVersion")]
        api_version: String,
    }
    let asked = exec_info.and_then(|text| serde_json::from_str::<ExecInfo>(text).ok());
    match asked.as_ref().map(|info| info.api_version.as_str()) {
        Some(V1) => (V1, None),
        Some(V1ALPHA1) => (
            V1ALPHA1,
            Some(
                "eksd: this kubeconfig asks for the exec API v1alpha1, which kubectl 1.24 and later refuse; set its `apiVersion` to client.authentication.k8s.io/v1",
            ),
        ),
        _ => (V1BETA1, None),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential<'a> {
    kind: &'static str,
    api_version: &'static str,
    spec: Spec,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Spec {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    expiration_timestamp: &'a str,
    token: &'a str,
}

fn json(token: &WireToken, api_version: &'static str) -> Result<Zeroizing<Vec<u8>>, Report> {
    let credential = ExecCredential {
        kind: "ExecCredential",
        api_version,
        spec: Spec {},
        status: Status { expiration_timestamp: &token.expires_at, token: &token.token },
    };
    let mut json = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer(&mut *json, &credential).map_err(|error| {
        Report::new(Code::Internal, "the token cannot be written", "report this as a bug")
            .because(error.to_string())
    })?;
    json.push(b'\n');
    Ok(json)
}

fn alone(token: &WireToken) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{}\n", token.token).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_callers() {
        for (info, expected) in [
            (None, V1BETA1),
            (Some(""), V1BETA1),
            (Some("{"), V1BETA1),
            (Some("[]"), V1BETA1),
            (Some(r#"{"apiVersion":1}"#), V1BETA1),
            (Some(r#"{"apiVersion":"client.authentication.k8s.io/v2"}"#), V1BETA1),
            (Some(r#"{"apiVersion":"client.authentication.k8s.io/v1beta1"}"#), V1BETA1),
            (Some(r#"{"apiVersion":"client.authentication.k8s.io/v1alpha1"}"#), V1ALPHA1),
            (
                Some(
                    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"spec\":{\"interactive\":false}}\n",
                ),
                V1,
            ),
        ] {
            let (version, warning) = api_version(info);
            assert_eq!(version, expected, "{info:?}");
            assert_eq!(warning.is_some(), version == V1ALPHA1, "{info:?}");
        }
    }

    #[test]
    fn the_answer() {
        let token = WireToken {
            token: "k8s-aws-v1.x".into(),
            expires_at: "2026-11-24T15:00:00Z".into(),
            report: None,
        };
        assert_eq!(
            String::from_utf8(json(&token, V1).unwrap().to_vec()).unwrap(),
            "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"spec\":{},\"status\":{\"expirationTimestamp\":\"2026-11-24T15:00:00Z\",\"token\":\"k8s-aws-v1.x\"}}\n"
        );
    }

    #[test]
    fn profile_and_region_come_from_the_shell_only_for_unregistered_clusters() {
        let env = Env::from_map([("AWS_PROFILE", "dev"), ("AWS_REGION", "eu-west-1")]);
        let named = TokenArgs { cluster_name: Some("demo".into()), ..TokenArgs::default() };
        let known = TokenArgs { cluster: Some("demo".into()), ..TokenArgs::default() };
        let both = |args: &TokenArgs, env: &Env| {
            let params = params(args, env);
            (params.profile, params.region)
        };
        let owned = |text: &str| Some(text.to_owned());
        assert_eq!(both(&named, &env), (owned("dev"), owned("eu-west-1")));
        assert_eq!(both(&named, &Env::default()), (owned("default"), None));
        assert_eq!(both(&known, &env), (None, None));
    }

    #[test]
    fn flags_of_the_authenticator_that_mean_nothing_here() {
        let with = |change: fn(&mut TokenArgs)| {
            let mut args = TokenArgs { cluster_id: Some("demo".into()), ..TokenArgs::default() };
            change(&mut args);
            args
        };
        let role = |args: &mut TokenArgs| args.role_arn = Some("arn:aws:iam::1:role/r".into());
        for (args, expected) in [
            (with(|_| ()), None),
            (with(|args| args.cache = true), None),
            (with(|args| args.log_format = Some("text".into())), None),
            // Without a role it changes nothing, there either.
            (with(|args| args.forward_session_name = true), None),
            (with(|args| args.config = Some("f".into())), Some("reads no file")),
            (
                with(|args| {
                    args.forward_session_name = true;
                    args.role_arn = Some("arn".into());
                }),
                Some("does not look up"),
            ),
            (
                with(|args| {
                    args.forward_session_name = true;
                    args.session_name = Some("ann".into());
                }),
                Some("exclude each other"),
            ),
        ] {
            let what = check(&args).err().map(|report| report.what);
            match (what, expected) {
                (None, None) => (),
                (Some(what), Some(part)) => assert!(what.contains(part), "{what}"),
                other => panic!("{args:?}: {other:?}"),
            }
        }
        let mut args = with(|args| {
            args.session_name = Some("ann".into());
            args.external_id = Some("x1".into());
        });
        let sent = |args: &TokenArgs| {
            let params = params(args, &Env::default());
            (params.role_session_name, params.external_id)
        };
        assert_eq!(sent(&args), (None, None));
        role(&mut args);
        assert_eq!(sent(&args), (Some("ann".into()), Some("x1".into())));
    }
}
