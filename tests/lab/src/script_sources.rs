//! What the lab plays of the places that hand out credentials besides the portal and IAM users,
//! and of the limits that services put on their callers. As data, like the rest of the script.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The identity provider whose tokens AssumeRoleWithWebIdentity takes.
///
/// Real tokens are JWTs that the provider signs with RS256; the lab's issuer signs with HS256 and
/// [`WebIdentity::secret`], so that a test can make any token it likes. STS's own answers are
/// those of its API reference ("AssumeRoleWithWebIdentity", Errors).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebIdentity {
    /// The `iss` of tokens; another one is answered with `InvalidIdentityToken`.
    pub issuer: String,
    /// The HS256 secret of the issuer.
    pub secret: String,
    /// The `aud` of tokens.
    pub audience: String,
    /// Literal tokens, besides those that the issuer signs.
    pub tokens: BTreeMap<String, IdentityToken>,
}

/// What a literal token stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityToken {
    /// The `sub`, as in [`crate::Role::web_identity`].
    pub subject: String,
    /// When it ends, in Unix seconds; none never ends.
    #[serde(default)]
    pub expires: Option<i64>,
    /// The provider says no: `IDPRejectedClaim`.
    #[serde(default)]
    pub rejected: bool,
}

/// The console sign-in behind `aws login` (service `signin`, operation CreateOAuth2Token).
///
/// Shapes and limits: the `signin` model of botocore 1.43 (`expiresIn` of at most 900 s); the
/// lifetime of a sign-in is AWS's "up to 12 hours".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Who is signed in to the console in the browser: a user's, root's or role session's ARN.
    pub arn: String,
    /// Seconds that credentials last; more than 900 counts as 900.
    pub credentials: i64,
    /// Seconds that a sign-in can be refreshed.
    pub session: i64,
    /// A refresh token works once and is answered with a new one; using the old one again is
    /// answered with `TOKEN_EXPIRED`.
    pub rotate: bool,
    /// Using a refresh token twice ends its whole sign-in.
    pub reuse_ends: bool,
}

/// The EC2 instance whose metadata service the lab plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    /// The instance's id: the session name of its role.
    pub id: String,
    /// The ARN of the role of the instance profile; none has no credentials (404).
    pub role: Option<String>,
    /// Seconds that credentials last.
    pub credentials: i64,
}

/// An endpoint of container credentials: of ECS, or of the EKS Pod Identity agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Container {
    /// The path on the lab's AWS port: for `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub path: String,
    /// What the `Authorization` header must be; none asks for nothing.
    pub authorization: Option<String>,
    /// The ARN of the task's or pod's role.
    pub role: String,
    /// The session's name.
    pub session: String,
    /// Seconds that credentials last.
    pub credentials: i64,
    /// Whether the answer has an `AccountId`, as that of EKS has.
    pub account_id: bool,
}

/// How many calls a service takes: a bucket of `burst` tokens that fills by the lab's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Tokens that come back each second; with a frozen clock none do.
    pub per_second: u32,
    /// The most tokens that there are, and those that there are at first.
    pub burst: u32,
    /// The `Retry-After` of a refusal, in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

impl Default for WebIdentity {
    fn default() -> Self {
        Self {
            issuer: "https://oidc.eks.eu-west-1.amazonaws.com/id/EKSDLAB0123456789".into(),
            secret: "lab-issuer-secret".into(),
            audience: "sts.amazonaws.com".into(),
            tokens: BTreeMap::new(),
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            arn: "arn:aws:iam::111122223333:user/alice".into(),
            credentials: 900,
            session: 43_200,
            rotate: true,
            reuse_ends: false,
        }
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            id: "i-0123456789abcdef0".into(),
            role: Some("arn:aws:iam::111122223333:role/dev".into()),
            credentials: 21_600,
        }
    }
}

impl Default for Container {
    fn default() -> Self {
        Self {
            path: "/v2/credentials/lab".into(),
            authorization: None,
            role: "arn:aws:iam::111122223333:role/dev".into(),
            session: "task".into(),
            credentials: 21_600,
            account_id: false,
        }
    }
}

impl Container {
    /// The two that the default script has: a task of ECS, and a pod of EKS with its token.
    pub(crate) fn seed() -> Vec<Self> {
        let pod = Self {
            path: "/v1/credentials".into(),
            authorization: Some("lab-pod-token".into()),
            session: "eks-demo-web".into(),
            account_id: true,
            ..Self::default()
        };
        vec![Self::default(), pod]
    }
}
