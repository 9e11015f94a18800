//! Every environment variable eksd reads, read once.
//!
//! A variable that is set to nothing counts as unset, as the XDG specification and `no-color.org`
//! want it and the AWS tools mostly do. Credentials in the environment are not read: eksd serves
//! profiles.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

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
        assert_eq!(Env::from_map([("AWS_SECRET_ACCESS_KEY", "x")]), empty);
    }
}
