//! The way to an API server: from where it can be reached, and through what.

use crate::{
    model::{alias::is_fit, text::printable},
    report::{Code, Report},
};

/// From where an API server can be reached (`resourcesVpcConfig` of `DescribeCluster`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAccess {
    /// From the internet.
    pub is_public: bool,
    /// From inside its VPC.
    pub is_private: bool,
    /// The networks that may come from the internet.
    pub public_cidrs: Vec<String>,
}

impl EndpointAccess {
    /// Returns whether only machines inside the VPC, or joined to it, reach it.
    pub fn is_private_only(&self) -> bool {
        self.is_private && !self.is_public
    }

    /// Returns the networks that may come from the internet, where not all may.
    pub fn limits(&self) -> &[String] {
        let is_open = self.public_cidrs.iter().any(|it| it == "0.0.0.0/0" || it == "::/0");
        if self.is_public && !is_open { &self.public_cidrs } else { &[] }
    }

    /// Returns one word for it, as in JSON.
    pub fn as_str(&self) -> &'static str {
        match (self.is_public, self.is_private) {
            (true, true) => "public-and-private",
            (false, true) => "private",
            // EKS refuses a cluster with neither.
            _ => "public",
        }
    }
}

/// Refuses what cannot be an alias.
pub fn check_alias(alias: &str) -> Result<(), Report> {
    if is_fit(alias) {
        return Ok(());
    }
    Err(Report::new(
        Code::Usage,
        format!("`{}` cannot be a cluster's alias", printable(alias)),
        "use letters, digits and `._-@+`, at most 100, not beginning with `.` or `-`",
    ))
}

/// Refuses what cannot be a `proxy-url`: client-go takes `http`, `https` and `socks5`
/// (`client-go/tools/clientcmd/api/types.go`, `Cluster.ProxyURL`; `client-go/rest/config.go`).
pub fn check_proxy_url(url: &str) -> Result<(), Report> {
    let refuse = |what: String, fix: &str| Err(Report::new(Code::Usage, what, fix));
    let shown = printable(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse(
            format!("`{shown}` is not a proxy's address"),
            "write it as `http://HOST:PORT`, `https://HOST:PORT` or `socks5://HOST:PORT`",
        );
    };
    if !["http", "https", "socks5"].contains(&scheme) {
        return refuse(
            format!("kubectl knows no `{}` proxy", printable(scheme)),
            "use `http://`, `https://` or `socks5://`",
        );
    }
    if rest.contains('@') {
        // Not shown: it holds a password.
        return refuse(
            "a proxy's address with a user or password would stand in files and in the status"
                .to_owned(),
            "leave it out here, and set `proxy-url` in the kubeconfig file by hand: eksd keeps it",
        );
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if is_authority(authority) {
        return Ok(());
    }
    refuse(
        format!("`{shown}` is not a proxy's address"),
        "after `://` comes a host, with a port where it is not the usual one, and nothing else",
    )
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if is_ipv6(address) => {
                ("address", port.strip_prefix(':').or(port.is_empty().then_some("0")))
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("0")),
        },
    };
    let is_host = !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    is_host && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// As much of RFC 4291 as tells an address from a typing mistake.
fn is_ipv6(text: &str) -> bool {
    text.contains(':') && text.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_that_kubectl_can_use() {
        for url in [
            "http://proxy:3128",
            "https://proxy.example/",
            "socks5://127.0.0.1:1080",
            "http://[::1]:3128",
            "http://[fd00::1]",
        ] {
            assert_eq!(check_proxy_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn proxies_that_it_cannot() {
        for (url, said) in [
            ("proxy:3128", "not a proxy's address"),
            ("", "not a proxy's address"),
            ("ftp://proxy", "knows no `ftp` proxy"),
            ("socks5h://proxy", "knows no `socks5h` proxy"),
            ("http://", "not a proxy's address"),
            ("http://proxy:port", "not a proxy's address"),
            ("http://proxy:99999", "not a proxy's address"),
            ("http://proxy/path", "not a proxy's address"),
            ("http://[::1", "not a proxy's address"),
            ("http://[::1]x", "not a proxy's address"),
            ("http://a b", "not a proxy's address"),
            ("http://a\nb", "not a proxy's address"),
        ] {
            let report = check_proxy_url(url).unwrap_err();
            assert!(report.what.contains(said), "{url}: {}", report.what);
        }
        let report = check_proxy_url("http://me:hunter2@proxy").unwrap_err();
        assert!(!format!("{report:?}").contains("hunter2"));
    }

    #[test]
    fn who_may_come() {
        let access = |is_public, is_private, cidrs: &[&str]| EndpointAccess {
            is_public,
            is_private,
            public_cidrs: cidrs.iter().map(|it| (*it).to_owned()).collect(),
        };
        for (access, word, is_private_only, limits) in [
            (access(true, false, &["0.0.0.0/0"]), "public", false, 0),
            (access(true, true, &["203.0.113.0/24"]), "public-and-private", false, 1),
            (access(false, true, &["203.0.113.0/24"]), "private", true, 0),
            (access(true, false, &["10.0.0.0/8", "::/0"]), "public", false, 0),
        ] {
            assert_eq!(access.as_str(), word);
            assert_eq!(access.is_private_only(), is_private_only, "{word}");
            assert_eq!(access.limits().len(), limits, "{word}");
        }
    }
}
