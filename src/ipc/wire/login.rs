//! Logging in and out.

use serde::{Deserialize, Serialize};

use super::Confidence;
use crate::report::Report;

/// Which way a person logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Browser where there is one, else device code.
    #[default]
    Auto,
    /// Authorization code with PKCE, through a browser on this machine.
    Browser,
    /// A code to type, on any device.
    DeviceCode,
}

/// What to log in to, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginParams {
    /// A profile, cluster or sso-session; absent where there is only one session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The way. `auto` means `browser` here: the client knows its surroundings and decides.
    #[serde(default)]
    pub flow: Flow,
    /// Ends a session that is still good first.
    #[serde(default)]
    pub force: bool,
    /// The code that an MFA device shows now, where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa_code: Option<MfaCode>,
}

/// Six digits from an MFA device. Works once, and is not for logs all the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MfaCode(String);

impl MfaCode {
    /// Wraps what a person typed; blanks around and between the digits are theirs.
    pub fn new(typed: &str) -> Self {
        Self(typed.chars().filter(|c| !c.is_whitespace()).collect())
    }

    /// Returns whether it can be a code at all (STS API, `TokenCode`: six digits).
    pub fn is_well_formed(&self) -> bool {
        self.0.len() == 6 && self.0.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Returns the digits.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MfaCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MfaCode(hidden)")
    }
}

/// The answer to [`LoginAsk`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginCodeParams {
    /// What the person typed.
    pub code: MfaCode,
}

/// Sent to one of those who wait for a login: an MFA code is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginAsk {
    /// The device's serial number or ARN.
    pub serial: String,
    /// The profile that it is for.
    pub profile: String,
    /// Why the code before was not taken.
    pub refused: Option<Report>,
    /// Seconds until the device shows a code that has not been used.
    pub wait_seconds: u64,
}

/// Sent where only the AWS CLI can log in: run `aws login --profile PROFILE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginConsole {
    /// The profile.
    pub profile: String,
}

/// Sent while a login waits for the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginOpen {
    /// The sso-session or start URL.
    pub session: String,
    /// The address to open.
    pub url: String,
    /// The code to compare or type, in the device flow.
    pub user_code: Option<String>,
    /// When the address stops working.
    pub expires_at: String,
}

/// How a login ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginDone {
    /// The sso-session or start URL, the MFA device, or the console identity.
    pub session: String,
    /// Whether it was good already, so that nothing was asked.
    pub already: bool,
    /// When a person will be needed again.
    pub good_until: Option<String>,
    /// `exact`, `estimated` or `unknown`.
    pub confidence: Confidence,
    /// Who logged in, where AWS has said it.
    #[serde(default)]
    pub person: Option<String>,
    /// Who was logged in before, where that was somebody else.
    #[serde(default)]
    pub was_person: Option<String>,
}

/// What to end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutParams {
    /// A profile, cluster or sso-session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Every session.
    #[serde(default)]
    pub all: bool,
}

/// What was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutDone {
    /// The sessions.
    pub ended: Vec<EndedSession>,
}

/// One ended session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// The sso-session or start URL.
    pub session: String,
    /// Why AWS could not be told, if it could not.
    pub not_told: Option<Report>,
    /// Why the token file could not be removed, if it could not.
    #[serde(default)]
    pub not_wiped: Option<Report>,
    /// Role keys that were handed out and stay valid at AWS: profile, and until when.
    pub still_valid: Vec<StillValid>,
}

/// Role keys that outlive a logout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillValid {
    /// A profile that they belong to.
    pub profile: String,
    /// Until when.
    pub until: String,
}
