//! Tokens for clusters: how long one is good for, when the last one is given again, and what it means
//! that somebody asks too early.
//!
//! No token is here. What is remembered is the second in which one was signed: signing again in that
//! second with the same credentials makes the same token, byte for byte, and with others another. So a
//! token can only be had again while what signed it is held, and after a logout there is nothing to wipe.

mod book;
mod refusals;

use std::time::Duration;

use jiff::Timestamp;

pub use self::{
    book::{Book, Order, Time},
    refusals::{Next, Refusal, Refusals},
};
use super::{ProfileName, RoleTerms, session::span};

/// A cluster takes a token for 15 minutes from its signing (aws-iam-authenticator
/// `pkg/token/token.go`); both official clients say one less, so that none is refused on its way.
const LIFETIME: Duration = Duration::from_mins(14);

/// A token dies with the credentials that signed it; this much before that, a new one is due.
const MARGIN: Duration = Duration::from_mins(1);

/// Returns the `expirationTimestamp` for a token signed at `signed_at` with credentials that end at
/// `credentials_expire_at`: 14 minutes, or a minute before the credentials end, whichever comes first.
///
/// Credentials with less than two minutes left get half of what they have: an instant in the past
/// would make client-go run the plugin for each request.
pub fn ask_again_at(signed_at: Timestamp, credentials_expire_at: Option<Timestamp>) -> Timestamp {
    let left = credentials_expire_at.map_or(Duration::MAX, |end| span(signed_at, end));
    let margin = MARGIN.min(left / 2);
    let lifetime = LIFETIME.min(left.saturating_sub(margin));
    signed_at.checked_add(lifetime).unwrap_or(signed_at)
}

/// What makes two tokens the same, but for the second in which they are signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenKey {
    /// What goes into `x-k8s-aws-id`.
    pub cluster_id: String,
    /// The URL of STS in it.
    pub sts: String,
    /// The region of the signature.
    pub region: String,
    /// The access key that signs. AWS gives each set of credentials one of its own.
    pub access_key_id: String,
}

/// Whose tokens, and for which cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The profile that signs.
    pub profile: ProfileName,
    /// The role that it assumes first.
    pub role: Option<RoleTerms>,
    /// The cluster's region.
    pub region: String,
    /// What goes into `x-k8s-aws-id`.
    pub cluster_id: String,
}

/// The program that a plugin was run for, as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Which process.
    pub process: ProcessId,
    /// The name of its program's file.
    pub name: String,
}

/// A process: its number, and when it began, since numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// The number.
    pub pid: i32,
    /// When it began, by a clock of the system's own.
    pub began: u64,
}

/// Programs that keep no token between two questions, so that their asking again says nothing: shells
/// and what runs a command again and again, and Python, whose client (kubernetes-client/python
/// `config/exec_provider.py`) runs the plugin each time that it loads a kubeconfig, and for no 401.
const FORGETFUL: [&str; 12] = [
    "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "busybox", "make", "watch", "xargs",
];

impl Asker {
    /// Returns whether the program keeps a token for as long as it was told, as client-go does.
    pub fn keeps_tokens(&self) -> bool {
        !FORGETFUL.contains(&self.name.as_str()) && !self.name.starts_with("python")
    }
}

/// Returns what an administrator names to map a caller: the role of an assumed role's session, or the
/// caller itself. STS leaves out a role's path; that of Identity Center's roles is known (IAM Identity
/// Center User Guide, "Referencing permission sets"), and has no region where the instance is in
/// us-east-1.
pub fn principal_of(arn: &str, sso_region: Option<&str>) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, "sts", _, account, resource] = parts[..] else { return arn.to_owned() };
    let role = resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
    let Some(role) = role else { return arn.to_owned() };
    let path = match (role.starts_with("AWSReservedSSO_"), sso_region) {
        (true, Some("us-east-1")) => "aws-reserved/sso.amazonaws.com/".to_owned(),
        (true, Some(region)) => format!("aws-reserved/sso.amazonaws.com/{region}/"),
        _ => String::new(),
    };
    format!("arn:{partition}:iam::{account}:role/{path}{role}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_counts() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        for (credentials_end, expected) in [
            (None, 840),
            (Some(3600), 840),
            (Some(901), 840),
            (Some(899), 839),
            (Some(600), 540),
            (Some(120), 60),
            (Some(60), 30),
            (Some(10), 5),
            (Some(0), 0),
            (Some(-5), 0),
        ] {
            let got = ask_again_at(at(0), credentials_end.map(at));
            assert_eq!(got, at(expected), "{credentials_end:?}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn who_is_to_be_mapped() {
        let sso = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0123456789abcdef/ann@example.com";
        for (arn, region, expected) in [
            (sso, Some("eu-west-1"), "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Dev_0123456789abcdef"),
            (sso, Some("us-east-1"), "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef"),
            (sso, None, "arn:aws:iam::111122223333:role/AWSReservedSSO_Dev_0123456789abcdef"),
            ("arn:aws-cn:sts::111122223333:assumed-role/dev/x/y", Some("cn-north-1"), "arn:aws-cn:iam::111122223333:role/dev"),
            ("arn:aws:iam::111122223333:user/team/ann", None, "arn:aws:iam::111122223333:user/team/ann"),
            ("arn:aws:sts::111122223333:federated-user/ann", None, "arn:aws:sts::111122223333:federated-user/ann"),
            ("arn:aws:iam::111122223333:root", None, "arn:aws:iam::111122223333:root"),
            ("nonsense", None, "nonsense"),
        ] {
            assert_eq!(principal_of(arn, region), expected);
        }
    }

    #[test]
    fn who_keeps_tokens() {
        let process = ProcessId { pid: 7, began: 1 };
        for (name, keeps) in [
            ("kubectl", true),
            ("k9s", true),
            ("helm", true),
            ("terraform-provi", true),
            ("bash", false),
            ("python3.11", false),
            ("python", false),
            ("shfmt", true),
        ] {
            assert_eq!(Asker { process, name: name.to_owned() }.keeps_tokens(), keeps, "{name}");
        }
    }
}
