//! What a helper sees of the environment.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use crate::config::{Env, Paths};

/// The profiles whose helpers wait for this one, and its own, one a line.
const CHAIN: &str = "EKSD_PROFILE_CHAIN";

/// The variables of one helper. None is inherited: what is not put in here is not there, so neither
/// credentials nor `LD_PRELOAD` reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Returns what every helper may see: who and where the person is, the language, the desktop and
    /// the agents that keep keys and passwords, the way out to the network, and where the AWS files are.
    pub fn of(env: &Env, paths: &Paths) -> Self {
        let own = |value: &Option<String>| value.clone().map(OsString::from);
        let path = |value: &Option<std::path::PathBuf>| value.clone().map(OsString::from);
        let mut made = Self::default()
            .with("HOME", &paths.home)
            // There is none; programs that ask for its width or colours should not wonder.
            .with("TERM", "dumb");
        for (name, value) in [
            ("PATH", env.path.clone()),
            ("USER", own(&env.user)),
            ("LOGNAME", own(&env.user)),
            ("LANG", own(&env.lang)),
            ("LC_ALL", own(&env.lc_all)),
            ("LC_CTYPE", own(&env.lc_ctype)),
            ("LC_MESSAGES", own(&env.lc_messages)),
            ("TMPDIR", path(&env.tmpdir)),
            ("XDG_CONFIG_HOME", path(&env.xdg_config_home)),
            ("XDG_DATA_HOME", path(&env.xdg_data_home)),
            ("XDG_STATE_HOME", path(&env.xdg_state_home)),
            ("XDG_CACHE_HOME", path(&env.xdg_cache_home)),
            ("XDG_RUNTIME_DIR", path(&env.xdg_runtime_dir)),
            ("SSH_AUTH_SOCK", path(&env.ssh_auth_sock)),
            ("GNUPGHOME", path(&env.gnupghome)),
            ("DBUS_SESSION_BUS_ADDRESS", own(&env.dbus_session_bus_address)),
            ("DISPLAY", env.display.clone()),
            ("XAUTHORITY", path(&env.xauthority)),
            ("WAYLAND_DISPLAY", env.wayland_display.clone()),
            ("https_proxy", own(&env.https_proxy)),
            ("HTTPS_PROXY", own(&env.https_proxy)),
            // Not HTTP_PROXY: a CGI server sets that from a header, so most look at this one alone.
            ("http_proxy", own(&env.http_proxy)),
            ("no_proxy", own(&env.no_proxy)),
            ("NO_PROXY", own(&env.no_proxy)),
            ("AWS_CONFIG_FILE", env.aws_config_file.as_ref().map(|_| (&paths.aws_config).into())),
            (
                "AWS_SHARED_CREDENTIALS_FILE",
                env.aws_shared_credentials_file.as_ref().map(|_| (&paths.aws_credentials).into()),
            ),
            ("AWS_CA_BUNDLE", path(&env.aws_ca_bundle)),
            ("SSL_CERT_FILE", path(&env.ssl_cert_file)),
            // Else a helper that runs `eksd` would start another agent.
            (
                "EKSD_RUNTIME_DIR",
                env.eksd_runtime_dir.as_ref().map(|_| (&paths.runtime_dir).into()),
            ),
            ("EKSD_STATE_DIR", env.eksd_state_dir.as_ref().map(|_| (&paths.state_dir).into())),
            ("EKSD_CONFIG", env.eksd_config.as_ref().map(|_| (&paths.settings).into())),
            ("EKSD_NO_AGENT", own(&env.eksd_no_agent)),
        ] {
            if let Some(value) = value {
                made = made.with(name, value);
            }
        }
        made
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    /// Returns the environment of helpers in a process that answers for one call: they start no agent
    /// either, and where a helper of another profile made the call they know that one.
    #[must_use]
    pub fn for_one_call(self, env: &Env) -> Self {
        let made = self.with("EKSD_NO_AGENT", "1");
        match &env.eksd_profile_chain {
            Some(chain) => made.with(CHAIN, chain),
            None => made,
        }
    }

    /// Returns the environment of a profile's helper: with its region, and with the profile's name in
    /// `EKSD_PROFILE_CHAIN` and `_AWS_CLI_PROFILE_CHAIN`, so that `eksd credential-process` and
    /// `aws configure export-credentials` refuse to ask for the profile whose helper asks them, or
    /// asks the one that does.
    #[must_use]
    pub fn for_profile(&self, profile: &str, region: Option<&str>) -> Self {
        let chain: Vec<&str> = self.chain().chain([profile]).collect();
        let made = self.clone().with(CHAIN, chain.join("\n")).with(
            "_AWS_CLI_PROFILE_CHAIN",
            chain.iter().map(|name| csv_field(name)).collect::<Vec<_>>().join(","),
        );
        match region {
            // botocore and CLI v1 know the second name only.
            Some(region) => made.with("AWS_REGION", region).with("AWS_DEFAULT_REGION", region),
            None => made,
        }
    }

    fn chain(&self) -> impl Iterator<Item = &str> {
        self.0.get(CHAIN).and_then(|chain| chain.to_str()).unwrap_or_default().lines()
    }

    /// Returns the profile whose helper is about to be run, where it is one that waits for this one.
    pub(super) fn repeated(&self) -> Option<&str> {
        let profile = self.chain().last()?;
        (1 < self.chain().filter(|other| *other == profile).count()).then_some(profile)
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&String, &OsString)> {
        self.0.iter()
    }
}

/// The CLI reads the names of the chain with Python's `csv` (awscli
/// `customizations/configure/exportcreds.py`).
fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n', ' ']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(pairs: &[(&str, &str)]) -> Environment {
        let env = Env::from_map([("HOME", "/home/ann")].iter().chain(pairs).copied());
        Environment::of(&env, &Paths::new(&env).unwrap())
    }

    #[test]
    fn nothing_but_what_is_meant_for_it() {
        let all = Env::NAMES.iter().map(|name| (*name, "/x")).collect::<Vec<_>>();
        let mut names: Vec<_> = made(&all).0.into_keys().collect();
        // So that an `eksd` in it asks this agent.
        for own in ["EKSD_CONFIG", "EKSD_NO_AGENT", "EKSD_RUNTIME_DIR", "EKSD_STATE_DIR"] {
            assert!(names.iter().any(|name| name == own), "{own} in {names:?}");
            names.retain(|name| name != own);
        }
        for secret in ["TOKEN", "KEY", "PROFILE", "KUBE", "ROLE", "EKSD", "ENDPOINT"] {
            assert!(!names.iter().any(|name| name.contains(secret)), "{secret} in {names:?}");
        }
        let bare: Vec<_> = made(&[]).0.into_keys().collect();
        assert_eq!(bare, ["HOME", "TERM"]);
    }

    #[test]
    fn files_are_those_that_eksd_reads() {
        let made = made(&[("AWS_CONFIG_FILE", "~/aws"), ("USER", "ann"), ("HTTPS_PROXY", "p:1")]);
        for (name, value) in [
            ("AWS_CONFIG_FILE", "/home/ann/aws"),
            ("LOGNAME", "ann"),
            ("https_proxy", "p:1"),
            ("HTTPS_PROXY", "p:1"),
        ] {
            assert_eq!(made.0.get(name), Some(&value.into()), "{name}");
        }
        assert_eq!(made.0.get("AWS_SHARED_CREDENTIALS_FILE"), None);
    }

    #[test]
    fn who_waits_for_whom_is_known() {
        let env = Env::from_map([("HOME", "/h"), ("EKSD_PROFILE_CHAIN", "a\nb c")]);
        let agent = Environment::of(&env, &Paths::new(&env).unwrap());
        // One that stays was started by somebody, and answers others.
        assert_eq!(agent.for_profile("a", None).0["EKSD_PROFILE_CHAIN"], "a");
        assert_eq!(agent.for_profile("a", None).repeated(), None);
        let once = agent.for_one_call(&env);
        assert_eq!(once.0["EKSD_NO_AGENT"], "1");
        let helper = once.for_profile("d", None);
        assert_eq!(helper.0["EKSD_PROFILE_CHAIN"], "a\nb c\nd");
        assert_eq!(helper.0["_AWS_CLI_PROFILE_CHAIN"], "a,\"b c\",d");
        assert_eq!(helper.repeated(), None);
        assert_eq!(once.for_profile("a", None).repeated(), Some("a"));
    }

    #[test]
    fn the_profile_is_named_as_each_reads_it() {
        for (profile, csv) in [("dev", "dev"), ("a,\"b", "\"a,\"\"b\"")] {
            let made = made(&[]).for_profile(profile, Some("eu-west-1"));
            assert_eq!(made.0["EKSD_PROFILE_CHAIN"], profile);
            assert_eq!(made.0["_AWS_CLI_PROFILE_CHAIN"], csv);
            assert_eq!(made.0["AWS_REGION"], "eu-west-1");
            assert_eq!(made.0["AWS_DEFAULT_REGION"], "eu-west-1");
        }
    }
}
