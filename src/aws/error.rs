//! What went wrong with a call, and how it is told to people.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use crate::model::text::printable;

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same call may work later, or after a renewal that needs no person.
    MayPass {
        /// How long AWS asks to wait.
        retry_after: Option<Duration>,
    },
    /// A person has to log in, or give a code.
    NeedsPerson,
    /// The same call will fail again until somebody changes something.
    NeverWorks,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The host's name was not found.
    Dns,
    /// Nothing could be connected to.
    Connect,
    /// The proxy did not let the call through.
    Proxy,
    /// The TLS handshake failed; `untrusted` where the certificate was at fault.
    Tls {
        /// The certificate was not signed by a known authority, or is for another host.
        untrusted: bool,
    },
    /// No answer within the deadline.
    Timeout,
    /// A page for a browser came in place of an answer: a captive portal or a proxy.
    Page,
    /// The answer was cut off, too long, not of the service's form, or makes no sense.
    Malformed,
    /// AWS failed (5xx).
    ServerFault,
    /// AWS asks to slow down.
    Throttled,

    /// This machine's clock is off.
    ClockSkew {
        /// By how many seconds it is ahead of AWS's; negative where it is behind.
        ahead: i64,
    },

    /// The portal refused the access token: ended, revoked, or the session is over.
    TokenRefused,
    /// The refresh token or authorization code was refused: used before, or the session is over.
    GrantRefused,
    /// The client registration has ended or is of another flow: register anew, then log in.
    RegistrationRefused,
    /// The person has not finished in the browser yet.
    LoginPending,
    /// As [`Kind::LoginPending`], and asked too often: wait 5 s longer from now on.
    SlowDown,
    /// The device code ended before the person finished.
    LoginTimedOut,
    /// The person, or the directory, said no.
    LoginDenied,

    /// The account or permission set is not, or no longer, assigned to the person.
    NotAssigned,
    /// The temporary credentials sent have ended: drop them, renew from their source.
    CredentialsExpired,
    /// AWS does not know the key, or the signature is wrong.
    KeyRefused,
    /// AWS knows the caller and says no.
    AccessDenied,
    /// The MFA code was wrong or used before ([`Class::NeedsPerson`]), or the device cannot be
    /// the caller's ([`Class::NeverWorks`]).
    MfaRefused,
    /// The service is switched off for the account in this region.
    RegionDisabled,
    /// There is no such cluster in this region.
    ClusterNotFound,
    /// AWS does not accept the request as it is.
    BadRequest,
    /// AWS refused with a code that eksd does not know.
    Refused,
    /// Nothing was sent: something here is set wrong.
    Local,
    /// A token for the cluster would be longer than the cluster takes.
    TokenTooLong,
}

impl Kind {
    /// Returns whether the service was not reached, or not understood: such a failure says
    /// nothing about the session.
    pub fn is_unreachable(self) -> bool {
        matches!(
            self,
            Self::Dns
                | Self::Connect
                | Self::Proxy
                | Self::Tls { .. }
                | Self::Timeout
                | Self::Page
                | Self::Malformed
                | Self::ServerFault
        )
    }
}

/// A call to AWS that did not work.
///
/// Neither `Display` nor `Debug` ever shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// The operation as AWS names it, e.g. `AssumeRole`.
    pub operation: &'static str,
    /// What can be done about it.
    pub class: Class,
    /// What it was.
    pub kind: Kind,
    details: Box<Details>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    host: Option<String>,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    server_date: Option<Timestamp>,
    note: Option<String>,
    fix: Option<String>,
}

impl AwsError {
    pub(crate) fn new(operation: &'static str, class: Class, kind: Kind) -> Self {
        Self { operation, class, kind, details: Box::default() }
    }

    /// A failure that lies in how things are set here.
    pub(crate) fn local(operation: &'static str, message: &str) -> Self {
        Self::new(operation, Class::NeverWorks, Kind::Local).with_message(message)
    }

    /// `message` must be free of secrets: see [`super::answer::cleared`].
    pub(crate) fn with_message(mut self, message: &str) -> Self {
        message.clone_into(&mut self.details.message);
        self
    }

    pub(crate) fn with_code(mut self, code: Option<String>) -> Self {
        self.details.code = code;
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.details.request_id = id;
        self
    }

    pub(crate) fn with_server_date(mut self, date: Option<Timestamp>) -> Self {
        self.details.server_date = date;
        self
    }

    /// Adds a line of what the call was, for people. `note` must be free of secrets.
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        self.details.note = Some(note.to_owned());
        self
    }

    /// Says what to do where that does not follow from the kind alone.
    pub(crate) fn with_fix(mut self, fix: &str) -> Self {
        self.details.fix = Some(fix.to_owned());
        self
    }

    pub(crate) fn with_host(mut self, host: &str) -> Self {
        self.details.host = Some(host.to_owned());
        self
    }

    /// Returns AWS's error code, e.g. `InvalidGrantException`.
    pub fn code(&self) -> Option<&str> {
        self.details.code.as_deref()
    }

    /// Returns AWS's own words, or the cause as the network layer names it.
    pub fn message(&self) -> &str {
        &self.details.message
    }

    /// Returns the id under which AWS support finds the call.
    pub fn request_id(&self) -> Option<&str> {
        self.details.request_id.as_deref()
    }

    /// Returns the time at AWS when it answered.
    pub fn server_date(&self) -> Option<Timestamp> {
        self.details.server_date
    }

    /// Returns the host that was called.
    pub fn host(&self) -> Option<&str> {
        self.details.host.as_deref()
    }

    pub(super) fn note(&self) -> Option<&str> {
        self.details.note.as_deref()
    }

    pub(super) fn fix(&self) -> Option<&str> {
        self.details.fix.as_deref()
    }

    pub(super) fn why(&self) -> Option<String> {
        let mut why = String::from(self.operation);
        match (self.code(), self.message()) {
            (None, "") => return None,
            (Some(code), "") => why.push_str(&format!(": {code}")),
            (Some(code), message) => why.push_str(&format!(": {code}: {}", line(message))),
            (None, message) => why.push_str(&format!(": {}", line(message))),
        }
        if let Some(id) = self.request_id() {
            why.push_str(&format!(" (request {})", printable(id)));
        }
        Some(why)
    }
}

/// AWS's words on a terminal: no control characters, but longer than a name may be.
fn line(text: &str) -> String {
    let pieces: Vec<String> = text.split(' ').map(printable).collect();
    pieces.join(" ").trim_end_matches('.').to_owned()
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why() {
            Some(why) => f.write_str(&why),
            None => write!(f, "{}: {:?}", self.operation, self.kind),
        }
    }
}

impl std::error::Error for AwsError {}
