//! The variables through which the AWS tools find keys: which come, and which must go because
//! they would win.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{
    config::Paths,
    ipc::wire::{EndpointOpen, Mirror, Resolved, WireCredentials},
};

/// What wins over `AWS_PROFILE`, or says for somebody else who a shell is. `AWS_ACCESS_KEY` and
/// `AWS_SECRET_KEY` are the older names that the SDKs for Go and Java still read; the last ones are
/// set by tools that hand out keys, and shown by prompts.
const SHADOWING: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_VAULT",
    "AWSUME_PROFILE",
    "AWSUME_EXPIRATION",
    "AWS_SSO_PROFILE",
];

/// The container endpoint. It comes after a profile in the SDKs' chains, and a profile of the person's
/// own with `credential_source = EcsContainer` needs it; beside the mirror nothing does.
const CONTAINER: [&str; 4] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Where keys come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'a> {
    /// The profile, as the mirror has it.
    Mirror(&'a Mirror),
    /// The profile, as the person's own files have it.
    Profile,
    /// The container endpoint. The SDKs ask it last, so they are shown no file with keys in it: of
    /// the mirror only the file that holds nothing.
    Endpoint(&'a EndpointOpen, &'a Mirror),
}

/// A change of an environment. Values may be secret: it cannot be printed by accident.
#[derive(Default)]
pub(super) struct Change {
    unset: Vec<&'static str>,
    set: Vec<(&'static str, Zeroizing<String>)>,
}

impl Change {
    /// Makes programs use what was resolved, with keys that renew.
    pub(super) fn to_use(name: &str, resolved: &Resolved, way: Way<'_>, paths: &Paths) -> Self {
        let mut change = Self::without_shadows();
        change.set("AWS_PROFILE", &resolved.profile);
        match way {
            Way::Profile => (),
            Way::Mirror(mirror) => {
                change.unset.extend(CONTAINER);
                change.point_at(&mirror.config, &mirror.credentials, paths);
                // The SDK for Go, version 1, reads no config file without it.
                change.set("AWS_SDK_LOAD_CONFIG", "1");
            }
            Way::Endpoint(endpoint, mirror) => {
                change.unset.extend(CONTAINER);
                change.unset("AWS_PROFILE");
                change.point_at(&mirror.credentials, &mirror.credentials, paths);
                change.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.uri);
                change.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &endpoint.token_file);
            }
        }
        change.cluster(resolved);
        change.set("EKSD_USE", name);
        change
    }

    /// Puts the keys themselves into the variables.
    pub(super) fn to_hold(resolved: &Resolved, keys: &WireCredentials) -> Self {
        let mut change = Self::without_shadows();
        // The SDKs for Go and JavaScript would take the profile's keys.
        change.unset("AWS_PROFILE");
        change.set("AWS_ACCESS_KEY_ID", &keys.access_key_id);
        change.set("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
        if let Some(token) = &keys.session_token {
            change.set("AWS_SESSION_TOKEN", token);
        }
        if let Some(end) = &keys.expiration {
            // Prompts and tools look at one or the other.
            change.set("AWS_CREDENTIAL_EXPIRATION", end);
            change.set("AWS_SESSION_EXPIRATION", end);
        }
        change.region(resolved);
        change.cluster(resolved);
        change
    }

    fn without_shadows() -> Self {
        Self { unset: SHADOWING.to_vec(), set: Vec::new() }
    }

    /// Sets a variable, whatever was said about it before.
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.forget(name);
        self.set.push((name, Zeroizing::new(value.to_owned())));
    }

    /// Unsets a variable, whatever was said about it before.
    pub(super) fn unset(&mut self, name: &'static str) {
        self.forget(name);
        self.unset.push(name);
    }

    fn forget(&mut self, name: &str) {
        self.unset.retain(|other| *other != name);
        self.set.retain(|(other, _)| *other != name);
    }

    /// Sets the region, where it is known.
    pub(super) fn region(&mut self, resolved: &Resolved) {
        if let Some(region) = &resolved.region {
            self.set("AWS_REGION", region);
            self.set("AWS_DEFAULT_REGION", region);
        }
    }

    fn cluster(&mut self, resolved: &Resolved) {
        if resolved.cluster.is_some() {
            self.region(resolved);
            if let Some(file) = &resolved.kubeconfig {
                self.set("KUBECONFIG", file);
            }
        }
    }

    /// eksd itself, and an agent that is started from there, still find the person's own files.
    fn point_at(&mut self, config: &str, credentials: &str, paths: &Paths) {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        self.set("AWS_CONFIG_FILE", config);
        self.set("AWS_SHARED_CREDENTIALS_FILE", credentials);
        self.set("EKSD_AWS_CONFIG_FILE", &text(&paths.aws_config));
        self.set("EKSD_AWS_SHARED_CREDENTIALS_FILE", &text(&paths.aws_credentials));
    }

    /// Returns the variables that go.
    pub(super) fn gone(&self) -> impl Iterator<Item = &'static str> {
        self.unset.iter().copied()
    }

    /// Returns the variables that come, with their values.
    pub(super) fn come(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.set.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    fn paths() -> Paths {
        let env = [("HOME", "/home/ann"), ("AWS_CONFIG_FILE", "/mine/config")];
        Paths::new(&Env::from_map(env)).unwrap()
    }

    fn resolved(cluster: Option<&str>) -> Resolved {
        Resolved {
            profile: "dev".into(),
            cluster: cluster.map(str::to_owned),
            region: Some("eu-west-1".into()),
            kubeconfig: cluster.map(|alias| format!("/home/ann/.kube/eksd/{alias}.yaml")),
            needs_mirror: false,
        }
    }

    fn mirror() -> Mirror {
        Mirror { config: "/m/config".into(), credentials: "/m/credentials".into() }
    }

    fn come(change: &Change) -> String {
        change.come().map(|(name, value)| format!("{name}={value}\n")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_cluster_through_the_mirror() {
        let mirror = mirror();
        let change =
            Change::to_use("demo", &resolved(Some("demo")), Way::Mirror(&mirror), &paths());
        insta::assert_snapshot!(come(&change), @r"
        AWS_PROFILE=dev
        AWS_CONFIG_FILE=/m/config
        AWS_SHARED_CREDENTIALS_FILE=/m/credentials
        EKSD_AWS_CONFIG_FILE=/mine/config
        EKSD_AWS_SHARED_CREDENTIALS_FILE=/home/ann/.aws/credentials
        AWS_SDK_LOAD_CONFIG=1
        AWS_REGION=eu-west-1
        AWS_DEFAULT_REGION=eu-west-1
        KUBECONFIG=/home/ann/.kube/eksd/demo.yaml
        EKSD_USE=demo
        ");
        let gone: Vec<_> = change.gone().collect();
        assert!(SHADOWING.iter().chain(&CONTAINER).all(|name| gone.contains(name)), "{gone:?}");
    }

    #[test]
    fn a_profile_of_ones_own_keeps_the_container_it_may_ask() {
        let change = Change::to_use("dev", &resolved(None), Way::Profile, &paths());
        assert_eq!(come(&change), "AWS_PROFILE=dev\nEKSD_USE=dev\n");
        assert_eq!(change.gone().collect::<Vec<_>>(), SHADOWING);
    }

    #[test]
    fn beside_the_endpoint_there_is_no_profile() {
        let endpoint = EndpointOpen { uri: "http://127.0.0.1:1/c".into(), token_file: "/t".into() };
        let mirror = mirror();
        let way = Way::Endpoint(&endpoint, &mirror);
        let change = Change::to_use("dev", &resolved(None), way, &paths());
        insta::assert_snapshot!(come(&change), @r"
        AWS_CONFIG_FILE=/m/credentials
        AWS_SHARED_CREDENTIALS_FILE=/m/credentials
        EKSD_AWS_CONFIG_FILE=/mine/config
        EKSD_AWS_SHARED_CREDENTIALS_FILE=/home/ann/.aws/credentials
        AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/c
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/t
        EKSD_USE=dev
        ");
        for name in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN"] {
            assert!(change.gone().any(|gone| gone == name), "{name}");
        }
    }

    #[test]
    fn what_comes_does_not_go() {
        let keys = WireCredentials {
            access_key_id: "ASIA1".into(),
            secret_access_key: "s".into(),
            session_token: None,
            expiration: None,
            account_id: None,
        };
        let change = Change::to_hold(&resolved(None), &keys);
        assert_eq!(
            come(&change),
            "AWS_ACCESS_KEY_ID=ASIA1\nAWS_SECRET_ACCESS_KEY=s\n\
             AWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=eu-west-1\n"
        );
        let gone: Vec<_> = change.gone().collect();
        for name in ["AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_PROFILE"] {
            assert!(gone.contains(&name), "{name}");
        }
        assert!(!gone.contains(&"AWS_ACCESS_KEY_ID"), "{gone:?}");
        let ends = WireCredentials {
            session_token: Some("t".into()),
            expiration: Some("2026-11-24T15:00:00Z".into()),
            ..keys
        };
        let change = Change::to_hold(&resolved(Some("demo")), &ends);
        for name in ["AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"] {
            assert!(change.come().any(|(come, _)| come == name), "{name}");
            assert!(change.gone().all(|gone| gone != name), "{name}");
        }
        assert!(come(&change).ends_with("KUBECONFIG=/home/ann/.kube/eksd/demo.yaml\n"));
    }
}
