//! `eksd token`: kubectl's credential step.
//!
//! stdout is one `ExecCredential` and nothing else. kubectl lets stderr through, so a failure is one
//! line that names what to run. The flags are those of `aws eks get-token`, so that in an existing
//! kubeconfig only the command changes.

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
    let request = Request::Token(params(args, &call.env));
    let token: WireToken = door::ask(call, Wish::Served, &request, LIMIT)?;
    output::data(json(&token, version)?.as_slice())?;
    Ok(0)
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
        let token =
            WireToken { token: "k8s-aws-v1.x".into(), expires_at: "2026-11-24T15:00:00Z".into() };
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
}
