//! What the lab plays, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::script_sources::{Console, Container, Instance, Limit, WebIdentity};

/// Everything that decides how the lab behaves. Read from JSON, a file may name only the keys
/// that it changes; the rest is [`Script::default`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The region of the portal, and of clusters that name none.
    pub region: String,
    /// Further regions whose host names the TLS certificate covers.
    pub regions: Vec<String>,
    /// What the person in the browser does.
    pub approval: Approval,
    /// A refresh token works once and is answered with a new one.
    pub rotate_refresh_tokens: bool,
    /// Using a refresh token twice ends its whole sign-in.
    pub reuse_revokes_family: bool,
    /// Items on a page of a list; 0 puts all on one.
    pub page_size: usize,
    /// Seconds that a signed request's time may be off, either way.
    pub skew: i64,
    /// Random bytes in a session token; the text is a third longer.
    pub session_token_bytes: usize,
    /// The name of the Identity Center user at the browser: the session name of portal roles.
    /// A sign-in keeps the name that was here when it was approved.
    pub person: String,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// IAM users by access key id.
    pub users: BTreeMap<String, User>,
    /// Roles by ARN.
    pub roles: BTreeMap<String, Role>,
    /// Accounts that the portal shows.
    pub accounts: Vec<Account>,
    /// What accounts are called, by their ids.
    pub account_aliases: BTreeMap<String, String>,
    /// EKS clusters.
    pub clusters: Vec<Cluster>,
    /// Whose tokens AssumeRoleWithWebIdentity takes.
    pub web_identity: WebIdentity,
    /// The console sign-in behind `aws login`.
    pub console: Console,
    /// The instance that the lab is the metadata service of; none is not on EC2.
    pub instance: Option<Instance>,
    /// Endpoints of container credentials.
    pub containers: Vec<Container>,
    /// Limits by service or operation, as in [`crate::Call::service`] and [`crate::Call::op`].
    pub limits: BTreeMap<String, Limit>,
}

/// What the person in the browser does with a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Approves a device code the moment it is made.
    #[default]
    Auto,
    /// Leaves a device code pending until its page is opened or the control plane decides.
    Manual,
    /// Refuses everything.
    Deny,
}

/// Lifetimes in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifetimes {
    /// A client registration.
    pub client: i64,
    /// A device code.
    pub device_code: i64,
    /// Least time between two polls of one device code; 0 never says slow down.
    pub interval: i64,
    /// An access token of a refreshable sign-in.
    pub access_token: i64,
    /// The sign-in itself: no access or refresh token outlives it. A sign-in without refresh
    /// token has one access token of this length.
    pub session: i64,
    /// Credentials from the portal.
    pub role_credentials: i64,
    /// An authorization code.
    pub auth_code: i64,
}

/// An IAM user with a long-term key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The secret access key.
    pub secret: String,
    /// The account's id.
    pub account: String,
    /// The user's name.
    pub name: String,
    /// The virtual MFA device, if there is one.
    #[serde(default)]
    pub mfa: Option<Mfa>,
}

/// A virtual MFA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mfa {
    /// The device's ARN.
    pub serial: String,
    /// The shared secret, base32.
    pub seed: String,
}

/// A role that can be assumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// The longest session, in seconds.
    pub max: i64,
    /// Whether the caller must have given an MFA code.
    pub require_mfa: bool,
    /// The external id that the trust policy asks for.
    pub external_id: Option<String>,
    /// Principals that may assume it (user or role ARNs); empty lets everyone in.
    pub trust: Vec<String>,
    /// Subjects of web identity tokens that may assume it; an empty list lets all in, none lets
    /// no one in.
    pub web_identity: Option<Vec<String>>,
    /// Whether the trust policy allows `sts:TagSession`.
    pub allow_tags: bool,
    /// Whether the trust policy allows `sts:SetSourceIdentity`.
    pub allow_source_identity: bool,
}

/// An account in the portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Twelve digits.
    pub account_id: String,
    /// The account's name.
    pub account_name: String,
    /// The account's mail address.
    pub email_address: String,
    /// Permission sets assigned to the person.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// An EKS cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// The cluster's name.
    pub name: String,
    /// The account that owns it.
    pub account: String,
    /// Its region; none is the script's.
    pub region: Option<String>,
    /// CREATING, ACTIVE, DELETING, FAILED, UPDATING or PENDING.
    pub status: String,
    /// The Kubernetes version.
    pub version: String,
    /// Unix seconds.
    pub created_at: i64,
    /// API, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub authentication_mode: String,
    /// The id of a local cluster on an Outpost: its tokens name that.
    pub local_id: Option<String>,
    /// Whose it is, of a cluster that runs elsewhere and is only registered (EKS Connector).
    pub connector: Option<String>,
    /// Whether its API server can be reached from the internet, as EKS tells it.
    pub public: bool,
    /// Whether it can be reached from inside its VPC.
    pub private: bool,
    /// The networks that may come from the internet.
    pub public_cidrs: Vec<String>,
    /// `ipv4` or `ipv6`; the API server of the latter listens at `[::1]`.
    pub ip_family: String,
    /// Told instead of the lab's own API server for this cluster.
    pub endpoint: Option<String>,
    /// Told instead of the CA of the lab's own API server: PEM.
    pub ca: Option<String>,
    /// Who is who, by user or role ARN (a session's ARN also works). None makes every
    /// verified principal an administrator; with a map, others get 401.
    pub map: Option<BTreeMap<String, Mapped>>,
}

/// The Kubernetes user that a principal becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    /// The user's name.
    pub username: String,
    /// The groups; only `system:masters` may do anything.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl Script {
    /// Reads a script from JSON. Keys that are not there keep their default.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The region of a cluster.
    pub(crate) fn region_of<'a>(&'a self, cluster: &'a Cluster) -> &'a str {
        cluster.region.as_deref().unwrap_or(&self.region)
    }

    /// The ARN of a cluster.
    pub(crate) fn arn_of(&self, cluster: &Cluster) -> String {
        let region = self.region_of(cluster);
        format!(
            "arn:{}:eks:{region}:{}:cluster/{}",
            partition(region),
            cluster.account,
            cluster.name
        )
    }

    /// Every region that plays a part, once.
    pub(crate) fn all_regions(&self) -> Vec<String> {
        let mut regions = vec![self.region.clone()];
        let named = self.clusters.iter().filter_map(|c| c.region.clone());
        for region in self.regions.iter().cloned().chain(named) {
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        regions
    }
}

/// The partition that a region belongs to.
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

impl Default for Script {
    fn default() -> Self {
        let alice = User {
            secret: "alice-long-term-secret".into(),
            account: "111122223333".into(),
            name: "alice".into(),
            mfa: Some(Mfa {
                serial: "arn:aws:iam::111122223333:mfa/alice".into(),
                seed: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".into(),
            }),
        };
        let role = |max, require_mfa| Role { max, require_mfa, ..Role::default() };
        let subject = "system:serviceaccount:default:web".to_owned();
        let pod = Role { web_identity: Some(vec![subject]), ..role(43_200, false) };
        let account = |id: &str, name: &str, roles: &[&str]| Account {
            account_id: id.into(),
            account_name: name.into(),
            email_address: format!("{name}@example.com"),
            roles: roles.iter().map(ToString::to_string).collect(),
        };
        let cluster = |name: &str, account: &str| Cluster {
            name: name.into(),
            account: account.into(),
            ..Cluster::default()
        };
        Self {
            region: "eu-west-1".into(),
            regions: Vec::new(),
            approval: Approval::Auto,
            rotate_refresh_tokens: true,
            reuse_revokes_family: true,
            page_size: 0,
            skew: 300,
            session_token_bytes: 480,
            person: "alice@example.com".into(),
            lifetimes: Lifetimes::default(),
            users: BTreeMap::from([("AKIALABALICE00000001".into(), alice)]),
            roles: BTreeMap::from([
                ("arn:aws:iam::111122223333:role/dev".into(), role(3600, false)),
                ("arn:aws:iam::111122223333:role/second".into(), role(43_200, false)),
                ("arn:aws:iam::111122223333:role/pod".into(), pod),
                ("arn:aws:iam::444455556666:role/prod-admin".into(), role(43_200, true)),
            ]),
            accounts: vec![
                account("111122223333", "dev", &["Developer", "ReadOnly"]),
                account("444455556666", "prod", &["ReadOnly"]),
            ],
            account_aliases: BTreeMap::from([("111122223333".into(), "corp-dev".into())]),
            clusters: vec![cluster("demo", "111122223333"), cluster("prod", "444455556666")],
            web_identity: WebIdentity::default(),
            console: Console::default(),
            instance: None,
            containers: Container::seed(),
            limits: BTreeMap::new(),
        }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            client: 7_776_000,
            device_code: 600,
            interval: 1,
            access_token: 3600,
            session: 28_800,
            role_credentials: 3600,
            auth_code: 60,
        }
    }
}

impl Default for Role {
    fn default() -> Self {
        Self {
            max: 3600,
            require_mfa: false,
            external_id: None,
            trust: Vec::new(),
            web_identity: None,
            allow_tags: true,
            allow_source_identity: true,
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: String::new(),
            account: String::new(),
            region: None,
            status: "ACTIVE".into(),
            version: "1.32".into(),
            created_at: 1_700_000_000,
            authentication_mode: "API_AND_CONFIG_MAP".into(),
            local_id: None,
            connector: None,
            public: true,
            private: false,
            public_cidrs: vec!["0.0.0.0/0".into()],
            ip_family: "ipv4".into(),
            endpoint: None,
            ca: None,
            map: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_only_what_it_changes() {
        let script =
            Script::from_json(r#"{"lifetimes": {"access_token": 60}, "approval": "deny"}"#)
                .expect("valid");
        assert_eq!(script.lifetimes.access_token, 60);
        assert_eq!(script.lifetimes.session, 28_800);
        assert_eq!(script.approval, Approval::Deny);
        assert_eq!(script.clusters.len(), 2);
        assert!(Script::from_json(r#"{"life": 1}"#).is_err(), "a misspelt key is an error");
    }

    #[test]
    fn a_script_survives_json() {
        let text = serde_json::to_string(&Script::default()).expect("serializes");
        assert_eq!(Script::from_json(&text).expect("reads"), Script::default());
    }
}
