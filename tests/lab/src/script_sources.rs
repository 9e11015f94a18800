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
