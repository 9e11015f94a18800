//! What the lab plays of the places that hand out credentials besides the portal and IAM users.
//! As data, like the rest of the script.

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
