//! What the environment of the agent says about credentials, where no file says anything: in pods,
//! containers and build servers.
//!
//! The order is the AWS CLI's (botocore `credentials.py`, `create_credential_resolver`): keys, a web
//! identity, a container's endpoint. The metadata service of an instance is asked only where a profile
//! says so: on a laptop nobody is there, and asking takes a second.

use std::{collections::BTreeMap, sync::Arc};

use super::{Env, Paths};
use crate::model::{
    AwsFiles, Entry, FileKind, Machine, Origin, ProfileName, Section, Value, chain,
};

/// The name of the profile that the environment stands for.
const DEFAULT: &str = "default";

/// Returns what the environment says, as a profile; `with_keys` where keys of the environment count,
/// as they do for one call, and not for an agent that outlives the shell that started it.
pub fn ambient(env: &Env, paths: &Paths, with_keys: bool) -> Option<Section> {
    let text = |path: &std::path::PathBuf| path.to_str().map(str::to_owned);
    let mut keys = Vec::new();
    let source = |kind: Machine| kind.key().to_owned();
    if with_keys && env.aws_access_key_id.is_some() && env.aws_secret_access_key.is_some() {
        keys.push(("credential_source", source(Machine::Environment), "AWS_ACCESS_KEY_ID"));
    } else if let (Some(file), Some(role)) =
        (env.aws_web_identity_token_file.as_ref().and_then(text), &env.aws_role_arn)
    {
        keys.push(("web_identity_token_file", file, "AWS_WEB_IDENTITY_TOKEN_FILE"));
        keys.push(("role_arn", role.clone(), "AWS_ROLE_ARN"));
        if let Some(name) = &env.aws_role_session_name {
            keys.push(("role_session_name", name.clone(), "AWS_ROLE_SESSION_NAME"));
        }
    } else if is_own_endpoint(env, paths) {
        return None;
    } else if env.aws_container_credentials_relative_uri.is_some() {
        let variable = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
        keys.push(("credential_source", source(Machine::Container), variable));
    } else if env.aws_container_credentials_full_uri.is_some() {
        let variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        keys.push(("credential_source", source(Machine::Container), variable));
    }
    let (_, _, first) = keys.first()?;
    let place = origin(first);
    if let Some(region) = env.region() {
        keys.push(("region", region.to_owned(), "AWS_REGION"));
    }
    let entry = |value, variable| Entry::new(Value::Plain(value), origin(variable));
    let keys: BTreeMap<String, Entry> = keys
        .into_iter()
        .map(|(key, value, variable)| (key.to_owned(), entry(value, variable)))
        .collect();
    Some(Section { origin: place, keys })
}

/// Returns whether the container's endpoint that the environment names is this eksd's own, as it is below
/// `eksd exec --server`: nobody serves himself. The file with the token tells. Below an `eksd exec`
/// without `--server` the endpoint is the machine's.
pub fn is_own_endpoint(env: &Env, paths: &Paths) -> bool {
    let token = env.aws_container_authorization_token_file.as_ref();
    token.is_some_and(|file| file.starts_with(paths.endpoint_dir()))
}

fn origin(variable: &str) -> Origin {
    Origin { kind: FileKind::Environment, file: Arc::from(variable), line: 0 }
}

/// Adds what the environment says to the profile `default`, where the files give it no credentials.
pub fn add_ambient(files: &mut AwsFiles, ambient: &Section) {
    if !files.profiles.contains_key(DEFAULT) {
        files.profiles.insert(ProfileName::new(DEFAULT), ambient.clone());
        return;
    }
    let resolved = chain::resolve(files, DEFAULT);
    if matches!(resolved, Err(chain::ChainError::NoCredentials { .. }))
        && let Some(section) = files.profiles.get_mut(DEFAULT)
    {
        for (key, entry) in &ambient.keys {
            section.keys.entry(key.clone()).or_insert_with(|| entry.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::aws_files, model::Source};

    const FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

    fn source(vars: &[(&str, &str)], with_keys: bool, config: &str) -> String {
        let home = [("HOME", "/home/ann"), ("EKSD_RUNTIME_DIR", "/run/eksd")];
        let env = Env::from_map(home.iter().chain(vars).copied());
        let paths = Paths::new(&env).unwrap();
        let mut files = aws_files::parse(Some(("config", config.as_bytes())), None);
        if let Some(section) = ambient(&env, &paths, with_keys) {
            add_ambient(&mut files, &section);
        }
        match chain::resolve(&files, DEFAULT) {
            Ok(chain) => match chain.source {
                Source::Machine { kind, origin } => format!("{} ({origin})", kind.as_str()),
                Source::WebIdentity(it) => format!("{} {}", it.role_arn, it.token_file.display()),
                other => format!("{other:?}"),
            },
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_stands_in_for_the_default_profile() {
        let keys = [("AWS_ACCESS_KEY_ID", "AKIAX"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let pod = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "R")];
        let task = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")];
        let identity = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1")];
        let all = [&keys[..], &pod[..], &task[..]].concat();
        for (vars, with_keys, config, expected) in [
            (&keys[..], true, "", "environment (environment: AWS_ACCESS_KEY_ID)"),
            (&keys[..], false, "", "there is no profile `default`"),
            (&all[..], true, "", "environment (environment: AWS_ACCESS_KEY_ID)"),
            (&all[..], false, "", "R /t"),
            (&pod[..], false, "", "R /t"),
            (
                &task[..],
                false,
                "",
                "container (environment: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)",
            ),
            (
                &identity[..],
                false,
                "",
                "container (environment: AWS_CONTAINER_CREDENTIALS_FULL_URI)",
            ),
            // eksd's own, below `eksd exec --server`.
            (
                &[identity[0], (FILE, "/run/eksd/endpoint/token-x"), ("EKSD_EXEC", "dev")][..],
                false,
                "",
                "there is no profile `default`",
            ),
            // The machine's, below an `eksd exec` of another kind.
            (
                &[identity[0], (FILE, "/run/pod/token"), ("EKSD_EXEC", "dev")][..],
                false,
                "",
                "container (environment: AWS_CONTAINER_CREDENTIALS_FULL_URI)",
            ),
            // Only settings: the environment says the rest.
            (&pod[..], false, "[default]\nregion = r\n", "R /t"),
            // What the files say counts.
            (
                &pod[..],
                false,
                "[default]\nrole_arn = A\ncredential_source = Ec2InstanceMetadata\n",
                "instance (config:3)",
            ),
            (&[][..], true, "", "there is no profile `default`"),
        ] {
            assert_eq!(source(vars, with_keys, config), expected, "{vars:?}");
        }
    }

    #[test]
    fn a_file_alone_does_not_name_a_source() {
        // `credential_source` without a role means nothing in a file (botocore).
        let config = "[default]\ncredential_source = EcsContainer\n";
        assert_eq!(
            source(&[], true, config),
            "the profile has no credentials of its own (config:1)"
        );
    }
}
