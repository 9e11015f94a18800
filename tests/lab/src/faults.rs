//! Things that go wrong on request.

use serde::{Deserialize, Serialize};

use crate::http::Answer;
use crate::mangle::{self, Expiry};

/// One thing that goes wrong, for the calls that it matches.
///
/// As JSON: `{"op": "CreateToken", "grant": "refresh_token", "times": 3, "act": "status",
/// "status": 429, "code": "TooManyRequestsException", "retry_after": 2}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The operation, as in [`crate::Call::op`]; `*` is every one.
    pub op: String,
    /// Only CreateToken and CreateOAuth2Token with this grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// Only calls for this cluster (`Kube` and `DescribeCluster`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Only signed calls for this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only calls that are signed by somebody whose ARN has this in it: an account, or a role's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Matching calls to let through first.
    #[serde(default)]
    pub skip: u32,
    /// How often it happens; -1 is until cleared.
    #[serde(default = "once")]
    pub times: i64,
    /// Milliseconds to wait before anything else happens.
    #[serde(default)]
    pub delay_ms: u64,
    /// What happens.
    #[serde(flatten)]
    pub act: Act,
}

fn once() -> i64 {
    1
}

/// What a fault does to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Nothing but the delay: the call is then served.
    Delay,
    /// An error of the service, without the call taking effect.
    Status {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        #[serde(default = "internal")]
        code: String,
        /// The message.
        #[serde(default = "injected")]
        message: String,
        /// The `Retry-After` header, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The request is read and never answered.
    Stall,
    /// The connection is closed before the call takes effect.
    Drop,
    /// The call takes effect, then the connection is closed without an answer.
    DropAfter,
    /// The call takes effect, half of its answer is sent, then the connection is closed.
    Half,
    /// The call takes effect, half of its answer is sent, then nothing more: the connection
    /// stays open.
    StallHalf,
    /// A captive portal's page with status 200, without the call taking effect.
    Html,
    /// Any answer at all, without the call taking effect.
    Body {
        /// The HTTP status.
        #[serde(default = "ok")]
        status: u16,
        /// The `Content-Type`.
        #[serde(default = "json")]
        kind: String,
        /// The body.
        text: String,
    },
    /// The call takes effect; its answer is whole as HTTP, and ends in the middle of its JSON or
    /// XML.
    Malformed,
    /// The call takes effect; its answer is filled up with blanks to so many bytes.
    Huge {
        /// How long the body is.
        bytes: usize,
    },
    /// The call takes effect; every expiry that its answer tells is this one.
    Expiry {
        /// The expiry.
        expiry: Expiry,
    },
}

fn ok() -> u16 {
    200
}

fn json() -> String {
    "application/json".into()
}

fn internal() -> String {
    "InternalServerException".into()
}

fn injected() -> String {
    "injected fault".into()
}

impl Act {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Status { .. } => "status",
            Self::Stall => "stall",
            Self::Drop => "drop",
            Self::DropAfter => "drop_after",
            Self::Half => "half",
            Self::StallHalf => "stall_half",
            Self::Html => "html",
            Self::Body { .. } => "body",
            Self::Malformed => "malformed",
            Self::Huge { .. } => "huge",
            Self::Expiry { .. } => "expiry",
        }
    }

    /// What is answered in place of the service, if anything is.
    pub(crate) fn instead(&self) -> Option<Answer> {
        match self {
            Self::Html => Some(Answer::html(200, "<html><title>Wi-Fi sign-in</title></html>")),
            Self::Body { status, kind, text } => {
                Some(Answer::new(*status, "", text.as_str()).of_kind(kind))
            }
            _ => None,
        }
    }

    /// Spoils the answer of a call that took effect.
    pub(crate) fn spoil(&self, answer: &mut Answer, now: i64) {
        match self {
            Self::Malformed => mangle::cut(answer),
            Self::Huge { bytes } => mangle::pad(answer, *bytes),
            Self::Expiry { expiry } => mangle::expiry(answer, *expiry, now),
            _ => {}
        }
    }
}

impl Fault {
    /// A fault that happens to one call of `op`.
    pub fn new(op: impl Into<String>, act: Act) -> Self {
        Self {
            op: op.into(),
            grant: None,
            cluster: None,
            region: None,
            caller: None,
            skip: 0,
            times: 1,
            delay_ms: 0,
            act,
        }
    }

    /// An error answer.
    pub fn status(op: impl Into<String>, status: u16, code: impl Into<String>) -> Self {
        let (code, message) = (code.into(), injected());
        Self::new(op, Act::Status { status, code, message, retry_after: None })
    }

    /// Any answer with status 200, as JSON.
    pub fn body(op: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(op, Act::Body { status: ok(), kind: json(), text: text.into() })
    }

    /// An answer whose every expiry is this one.
    pub fn expiry(op: impl Into<String>, expiry: Expiry) -> Self {
        Self::new(op, Act::Expiry { expiry })
    }

    /// The call is served after a while.
    pub fn delay(op: impl Into<String>, milliseconds: u64) -> Self {
        Self { delay_ms: milliseconds, ..Self::new(op, Act::Delay) }
    }

    /// Happens to the next `times` calls; -1 is until cleared.
    #[must_use]
    pub fn times(mut self, times: i64) -> Self {
        self.times = times;
        self
    }

    /// Lets `skip` matching calls through first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Only for tokens asked for with this grant: `device_code`, `authorization_code` or
    /// `refresh_token`.
    #[must_use]
    pub fn grant(mut self, grant: impl Into<String>) -> Self {
        self.grant = Some(grant.into());
        self
    }

    /// Only for this cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = Some(cluster.into());
        self
    }

    /// Only for calls that are signed for this region.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Only for calls that are signed by somebody whose ARN has this in it.
    #[must_use]
    pub fn caller(mut self, caller: impl Into<String>) -> Self {
        self.caller = Some(caller.into());
        self
    }

    /// Sets `Retry-After` on an error answer.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Act::Status { retry_after, .. } = &mut self.act {
            *retry_after = Some(seconds);
        }
        self
    }

    /// Sets the message of an error answer.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        if let Act::Status { message, .. } = &mut self.act {
            *message = text.into();
        }
        self
    }
}

/// What a fault may be limited to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Met<'a> {
    pub(crate) op: &'a str,
    pub(crate) grant: Option<&'a str>,
    pub(crate) cluster: Option<&'a str>,
    /// The region that the call claims to be signed for.
    pub(crate) region: Option<&'a str>,
    /// The ARN of whoever it claims to be signed by.
    pub(crate) caller: Option<&'a str>,
}

impl Fault {
    fn meets(&self, met: Met<'_>) -> bool {
        let caller = |part: &String| met.caller.is_some_and(|arn| arn.contains(part));
        (self.op == met.op || self.op == "*")
            && (self.grant.is_none() || self.grant.as_deref() == met.grant)
            && (self.cluster.is_none() || self.cluster.as_deref() == met.cluster)
            && (self.region.is_none() || self.region.as_deref() == met.region)
            && self.caller.as_ref().is_none_or(caller)
    }
}

/// Takes the fault that the next such call meets, the oldest first.
pub(crate) fn take(faults: &mut Vec<Fault>, met: Met<'_>) -> Option<Fault> {
    let at = faults.iter_mut().position(|f| {
        let matches = f.meets(met);
        if matches && f.skip > 0 {
            f.skip -= 1;
            return false;
        }
        matches
    })?;
    let found = faults[at].clone();
    match found.times {
        ..=-1 => {}
        0 | 1 => drop(faults.remove(at)),
        _ => faults[at].times -= 1,
    }
    (found.times != 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_it_says() {
        let mut faults = vec![
            Fault::status("CreateToken", 429, "X").grant("refresh_token").times(2).skip(1),
            Fault::new("*", Act::Drop).times(-1),
        ];
        let met = Met { op: "CreateToken", grant: Some("refresh_token"), ..Met::default() };
        let mut names = || take(&mut faults, met).map(|f| f.act.name());
        let got: Vec<_> = (0..5).map(|_| names()).collect();
        let want = ["drop", "status", "status", "drop", "drop"];
        assert_eq!(got, want.map(Some));
    }

    #[test]
    fn a_fault_for_another_grant_or_cluster_stays() {
        let mut faults = vec![
            Fault::new("CreateToken", Act::Drop).grant("refresh_token"),
            Fault::new("Kube", Act::Drop).cluster("demo"),
        ];
        let grant = Met { op: "CreateToken", grant: Some("device_code"), ..Met::default() };
        let cluster = Met { op: "Kube", cluster: Some("prod"), ..Met::default() };
        assert_eq!(take(&mut faults, grant), None);
        assert_eq!(take(&mut faults, cluster), None);
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn a_fault_for_another_region_or_caller_stays() {
        let mut faults =
            vec![Fault::new("ListClusters", Act::Drop).region("eu-west-1").caller("ReadOnly")];
        let arn = |role: &str| format!("arn:aws:sts::111122223333:assumed-role/{role}/alice");
        let mut meets = |region: Option<&str>, caller: Option<&str>| {
            take(&mut faults, Met { op: "ListClusters", region, caller, ..Met::default() })
        };
        assert_eq!(meets(Some("us-east-1"), Some(&arn("ReadOnly"))), None);
        assert_eq!(meets(Some("eu-west-1"), Some(&arn("Developer"))), None);
        assert_eq!(meets(Some("eu-west-1"), None), None);
        assert!(meets(Some("eu-west-1"), Some(&arn("ReadOnly"))).is_some());
    }

    #[test]
    fn reads_json() {
        let text = r#"{"op": "CreateToken", "act": "status", "status": 503, "retry_after": 4}"#;
        let fault: Fault = serde_json::from_str(text).expect("valid");
        let want = Fault::status("CreateToken", 503, "InternalServerException").retry_after(4);
        assert_eq!(fault, want);
    }
}
