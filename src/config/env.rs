//! Every environment variable eksd reads, read once.
//!
//! A variable that is set to nothing counts as unset, as the XDG specification and `no-color.org`
//! want it and the AWS tools mostly do. Secrets among them cannot be printed.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use crate::{
    model::{Credentials, Secret, parse_instant},
    report::{Code, Report},
};

/// Declares the fields with their variables, so that each name stands in one place.
macro_rules! variables {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $name:literal $(or $other:literal)*;)*) => {
        /// The environment as far as eksd looks at it.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Env {
            $($(#[$doc])* #[doc = concat!("`", $name, "`", $(", else `", $other, "`",)* ".")]
            pub $field: Option<$kind>,)*
        }

        impl Env {
            /// The names of all variables that are read, for documentation and tests.
            pub const NAMES: &[&str] = &[$($name, $($other,)*)*];

            fn read(get: impl Fn(&str) -> Option<OsString>) -> Self {
                let get = |name| get(name).filter(|value| !value.is_empty());
                Self {
                    $($field: get($name)$(.or_else(|| get($other)))*.and_then(FromOs::from_os),)*
                }
            }
        }
    };
}

variables! {
    /// Where programs are looked for.
    path: OsString = "PATH";
    /// The person's home folder.
    home: PathBuf = "HOME";
    /// Base of settings; XDG Base Directory Specification.
    xdg_config_home: PathBuf = "XDG_CONFIG_HOME";
    /// Base of data that is worth keeping.
    xdg_data_home: PathBuf = "XDG_DATA_HOME";
    /// Base of state that may get lost.
    xdg_state_home: PathBuf = "XDG_STATE_HOME";
    /// Base of caches.
    xdg_cache_home: PathBuf = "XDG_CACHE_HOME";
    /// Base of sockets; private, on memory, gone after logout.
    xdg_runtime_dir: PathBuf = "XDG_RUNTIME_DIR";

    /// eksd's settings file.
    eksd_config: PathBuf = "EKSD_CONFIG";
    /// Folder of socket, lock and prompt files.
    eksd_runtime_dir: PathBuf = "EKSD_RUNTIME_DIR";
    /// Folder of what survives a restart.
    eksd_state_dir: PathBuf = "EKSD_STATE_DIR";
    /// What to log of eksd itself: `error`, `warn`, `info` (the default), `debug` or `trace`.
    eksd_log: String = "EKSD_LOG";
    /// `1`: never start or ask an agent.
    eksd_no_agent: String = "EKSD_NO_AGENT";

    /// The AWS config file that the person had before `AWS_CONFIG_FILE` named the mirror.
    eksd_aws_config_file: PathBuf = "EKSD_AWS_CONFIG_FILE";
    /// The same for the credentials file.
    eksd_aws_shared_credentials_file: PathBuf = "EKSD_AWS_SHARED_CREDENTIALS_FILE";
    /// Set by `eksd exec` for what it runs: what was named there.
    eksd_exec: String = "EKSD_EXEC";
    /// Set by the agent for the programs that it runs: the profiles that they run for, one a line.
    eksd_profile_chain: String = "EKSD_PROFILE_CHAIN";

    /// What kubectl reads; tells which cluster a shell uses.
    kubeconfig: OsString = "KUBECONFIG";

    /// kubectl's preferences, with its policy for plugins; `off`: none.
    kuberc: OsString = "KUBERC";
    /// `false`: kubectl has no preferences.
    kubectl_kuberc: String = "KUBECTL_KUBERC";

    /// The AWS config file.
    aws_config_file: PathBuf = "AWS_CONFIG_FILE";
    /// The AWS credentials file.
    aws_shared_credentials_file: PathBuf = "AWS_SHARED_CREDENTIALS_FILE";
    /// Folder of the AWS CLI's console sign-ins (`aws login`).
    aws_login_cache_directory: PathBuf = "AWS_LOGIN_CACHE_DIRECTORY";
    /// The profile of this shell.
    aws_profile: String = "AWS_PROFILE";
    /// Its older name. AWS CLI v2 looks at `AWS_PROFILE` first; botocore and CLI v1 look here first.
    aws_default_profile: String = "AWS_DEFAULT_PROFILE";
    /// The region of this shell.
    aws_region: String = "AWS_REGION";
    /// Its older name, the only one for CLI v1 and botocore.
    aws_default_region: String = "AWS_DEFAULT_REGION";
    /// Endpoint of every service.
    aws_endpoint_url: String = "AWS_ENDPOINT_URL";
    /// Endpoint of STS alone.
    aws_endpoint_url_sts: String = "AWS_ENDPOINT_URL_STS";
    /// Endpoint of the SSO portal alone.
    aws_endpoint_url_sso: String = "AWS_ENDPOINT_URL_SSO";
    /// Endpoint of SSO OIDC alone.
    aws_endpoint_url_sso_oidc: String = "AWS_ENDPOINT_URL_SSO_OIDC";
    /// Endpoint of the sign-in service alone.
    aws_endpoint_url_signin: String = "AWS_ENDPOINT_URL_SIGNIN";
    /// Endpoint of EKS alone.
    aws_endpoint_url_eks: String = "AWS_ENDPOINT_URL_EKS";
    /// Endpoint of IAM alone.
    aws_endpoint_url_iam: String = "AWS_ENDPOINT_URL_IAM";
    /// `true`: endpoints of the configuration, these variables among them, do not count.
    aws_ignore_configured_endpoint_urls: String = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    /// PEM file that replaces the platform's roots (AWS CLI, botocore).
    aws_ca_bundle: PathBuf = "AWS_CA_BUNDLE";
    /// PEM file that replaces the platform's roots (OpenSSL).
    ssl_cert_file: PathBuf = "SSL_CERT_FILE";
    /// Proxy for `https:` addresses; the lower-case name wins, as for curl.
    https_proxy: String = "https_proxy" or "HTTPS_PROXY";
    /// Proxy for `http:` addresses; the lower-case name wins, as for curl.
    http_proxy: String = "http_proxy" or "HTTP_PROXY";
    /// Hosts reached without a proxy.
    no_proxy: String = "no_proxy" or "NO_PROXY";
    /// `true`: FIPS endpoints.
    aws_use_fips_endpoint: String = "AWS_USE_FIPS_ENDPOINT";
    /// `true`: dual-stack endpoints.
    aws_use_dualstack_endpoint: String = "AWS_USE_DUALSTACK_ENDPOINT";

    /// A key for profiles with `credential_source = Environment`; eksd serves profiles, and no key of
    /// the environment goes before one.
    aws_access_key_id: String = "AWS_ACCESS_KEY_ID";
    /// Its secret.
    aws_secret_access_key: Secret = "AWS_SECRET_ACCESS_KEY";
    /// Its session token, where it is temporary; the second name is botocore's older one.
    aws_session_token: Secret = "AWS_SESSION_TOKEN" or "AWS_SECURITY_TOKEN";
    /// When it ends (botocore).
    aws_credential_expiration: String = "AWS_CREDENTIAL_EXPIRATION";
    /// The account it acts in.
    aws_account_id: String = "AWS_ACCOUNT_ID";
    /// File with a web identity token.
    aws_web_identity_token_file: PathBuf = "AWS_WEB_IDENTITY_TOKEN_FILE";
    /// The role that it is exchanged for.
    aws_role_arn: String = "AWS_ROLE_ARN";
    /// What the session of that role is called.
    aws_role_session_name: String = "AWS_ROLE_SESSION_NAME";
    /// Path of container credentials at ECS's address; whoever knows it gets them.
    aws_container_credentials_relative_uri: Secret = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    /// URL of container credentials.
    aws_container_credentials_full_uri: Secret = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    /// What they are asked with.
    aws_container_authorization_token: Secret = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    /// File with what they are asked with.
    aws_container_authorization_token_file: PathBuf = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    /// `true`: the instance metadata service is not asked.
    aws_ec2_metadata_disabled: String = "AWS_EC2_METADATA_DISABLED";
    /// Its URL.
    aws_ec2_metadata_service_endpoint: String = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    /// `IPv6`: its other address.
    aws_ec2_metadata_service_endpoint_mode: String = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

    /// What kubectl tells its exec plugins (client-go `plugin/pkg/client/auth/exec`).
    kubernetes_exec_info: String = "KUBERNETES_EXEC_INFO";

    /// Anything: no colour (`no-color.org`).
    no_color: OsString = "NO_COLOR";
    /// The terminal's kind; `dumb` can neither colour nor move the cursor.
    term: String = "TERM";
    /// The terminal's width, where a shell exports it.
    columns: String = "COLUMNS";
    /// Set by sshd: a browser here would open on the wrong machine.
    ssh_connection: OsString = "SSH_CONNECTION";
    /// Set by sshd for a session with a terminal.
    ssh_tty: OsString = "SSH_TTY";
    /// The X11 display.
    display: OsString = "DISPLAY";
    /// The Wayland display.
    wayland_display: OsString = "WAYLAND_DISPLAY";
    /// The browser to open.
    browser: OsString = "BROWSER";
    /// Set in WSL: the desktop, and its browser, are Windows'.
    wsl_interop: OsString = "WSL_INTEROP";
    /// Set in WSL, also where Windows' programs cannot be started.
    wsl_distro_name: OsString = "WSL_DISTRO_NAME";
    /// Set in tmux, which hands on what it knows.
    tmux: OsString = "TMUX";
    /// Set in screen, which does not.
    sty: OsString = "STY";
    /// The language; for helper programs, as all to the end of this block.
    lang: String = "LANG";
    /// The language, whatever else is set.
    lc_all: String = "LC_ALL";
    /// The encoding of text.
    lc_ctype: String = "LC_CTYPE";
    /// The language of messages.
    lc_messages: String = "LC_MESSAGES";
    /// Folder for temporary files.
    tmpdir: PathBuf = "TMPDIR";
    /// Socket of the SSH agent.
    ssh_auth_sock: PathBuf = "SSH_AUTH_SOCK";
    /// Folder of `GnuPG`.
    gnupghome: PathBuf = "GNUPGHOME";
    /// The session's bus, with the keyring on it.
    dbus_session_bus_address: String = "DBUS_SESSION_BUS_ADDRESS";
    /// The cookie of the X11 display.
    xauthority: PathBuf = "XAUTHORITY";

    /// The person's name.
    user: String = "USER" or "LOGNAME";
}

impl Env {
    /// Reads the process's environment.
    pub fn from_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        Self::read(|name| std::env::var_os(name))
    }

    /// Builds an environment from pairs; for tests.
    pub fn from_map<K: Into<String>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let map: BTreeMap<String, OsString> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::read(|name| map.get(name).cloned())
    }

    /// Returns the profile that the AWS CLI v2 would take.
    pub fn profile(&self) -> Option<&str> {
        self.aws_profile.as_deref().or(self.aws_default_profile.as_deref())
    }

    /// Returns the region that the AWS CLI v2 would take.
    pub fn region(&self) -> Option<&str> {
        self.aws_region.as_deref().or(self.aws_default_region.as_deref())
    }

    /// Returns the credentials of the environment, for profiles with `credential_source = Environment`;
    /// `None` where there are none. They may have ended.
    ///
    /// # Errors
    /// A variable is missing, or says nothing that can be understood.
    pub fn credentials(&self) -> Result<Option<Credentials>, Report> {
        let wrong = |what: String| {
            let fix = "set it where `eksd-agent` is started, then run `eksd agent restart`";
            Err(Report::new(Code::Misconfigured, what, fix))
        };
        let (access_key_id, secret) = match (&self.aws_access_key_id, &self.aws_secret_access_key) {
            (None, None) => return Ok(None),
            (Some(id), Some(secret)) => (id.clone(), secret.clone()),
            (None, Some(_)) => return wrong("`AWS_ACCESS_KEY_ID` is not set".to_owned()),
            (Some(_), None) => return wrong("`AWS_SECRET_ACCESS_KEY` is not set".to_owned()),
        };
        let expires_at = match self.aws_credential_expiration.as_deref().map(parse_instant) {
            Some(None) => {
                return wrong(
                    "`AWS_CREDENTIAL_EXPIRATION` is not an instant with a zone".to_owned(),
                );
            }
            Some(at) => at,
            None => None,
        };
        Ok(Some(Credentials {
            access_key_id,
            secret_access_key: secret,
            session_token: self.aws_session_token.clone(),
            expires_at,
            account_id: self.aws_account_id.clone(),
        }))
    }

    /// Returns whether the agent is to be left alone: `EKSD_NO_AGENT` is set and not `0` or `false`.
    pub fn is_without_agent(&self) -> bool {
        self.eksd_no_agent
            .as_deref()
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }
}

/// A value from the environment. Text that is not UTF-8 counts as unset: nothing eksd looks for
/// can be meant by it.
trait FromOs: Sized {
    fn from_os(value: OsString) -> Option<Self>;
}

impl FromOs for String {
    fn from_os(value: OsString) -> Option<Self> {
        value.into_string().ok()
    }
}

impl FromOs for Secret {
    fn from_os(value: OsString) -> Option<Self> {
        value.into_string().ok().map(Self::new)
    }
}

impl FromOs for PathBuf {
    fn from_os(value: OsString) -> Option<Self> {
        Some(value.into())
    }
}

impl FromOs for OsString {
    fn from_os(value: OsString) -> Option<Self> {
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn empty_counts_as_unset() {
        let env = Env::from_map([("AWS_PROFILE", ""), ("AWS_DEFAULT_PROFILE", "dev")]);
        assert_eq!(env.aws_profile, None);
        assert_eq!(env.profile(), Some("dev"));
    }

    #[test]
    fn lower_case_proxies_win() {
        let env = Env::from_map([("HTTPS_PROXY", "http://a"), ("https_proxy", "http://b")]);
        assert_eq!(env.https_proxy.as_deref(), Some("http://b"));
        let env = Env::from_map([("HTTPS_PROXY", "http://a"), ("https_proxy", "")]);
        assert_eq!(env.https_proxy.as_deref(), Some("http://a"));
    }

    #[test]
    fn text_that_is_not_text_counts_as_unset() {
        let env = Env::from_map([("AWS_PROFILE", OsString::from_vec(vec![0xff]))]);
        assert_eq!(env.profile(), None);
    }

    #[test]
    fn no_agent_is_a_switch() {
        for (value, expected) in
            [("1", true), ("yes", true), ("0", false), ("False", false), ("", false)]
        {
            assert_eq!(
                Env::from_map([("EKSD_NO_AGENT", value)]).is_without_agent(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn every_variable_reaches_a_field() {
        let empty = Env::default();
        for name in Env::NAMES {
            assert_ne!(Env::from_map([(*name, "x")]), empty, "{name}");
        }
        assert_eq!(Env::from_map([("LD_PRELOAD", "x")]), empty);
    }

    #[test]
    fn secrets_cannot_be_printed() {
        let all = Env::from_map(Env::NAMES.iter().map(|name| (*name, format!("planted {name}"))));
        let shown = format!("{all:?}");
        let hidden = Env::NAMES.iter().filter(|name| !shown.contains(&format!("planted {name}\"")));
        let hidden: Vec<_> = hidden.copied().collect();
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        ] {
            assert!(hidden.contains(&name), "{name}");
        }
    }

    #[test]
    fn credentials_of_the_environment() {
        let keys = [("AWS_ACCESS_KEY_ID", "ASIA1"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let found =
            |more: &[(&str, &str)]| Env::from_map(keys.iter().chain(more).copied()).credentials();
        assert_eq!(Env::default().credentials(), Ok(None));
        let plain = found(&[]).unwrap().unwrap();
        assert_eq!((plain.access_key_id.as_str(), plain.session_token), ("ASIA1", None));
        let whole = found(&[
            ("AWS_SECURITY_TOKEN", "old"),
            ("AWS_SESSION_TOKEN", "new"),
            ("AWS_CREDENTIAL_EXPIRATION", "2026-11-14T04:05:45+00:00"),
            ("AWS_ACCOUNT_ID", "111122223333"),
        ]);
        let whole = whole.unwrap().unwrap();
        assert_eq!(whole.session_token, Some(Secret::new("new")));
        assert_eq!(whole.expires_at, Some("2026-11-14T04:05:45Z".parse().unwrap()));
        assert_eq!(whole.account_id.as_deref(), Some("111122223333"));
        let vague = found(&[("AWS_CREDENTIAL_EXPIRATION", "2026-11-14T04:05:45")]).unwrap_err();
        assert!(vague.what.starts_with("`AWS_CREDENTIAL_EXPIRATION`"), "{vague}");
        for (set, missing) in [(keys[0], "AWS_SECRET_ACCESS_KEY"), (keys[1], "AWS_ACCESS_KEY_ID")] {
            let report = Env::from_map([set]).credentials().unwrap_err();
            assert_eq!(report.what, format!("`{missing}` is not set"));
        }
    }
}
