//! Sessions of roles and users: what may be asked for, and what a session passes on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::calls::Call;
use crate::clock::iso;
use crate::http::{Fail, Params};
use crate::script::Role;
use crate::sts::principal;
use crate::world::{Session, World};

/// Notes in the call what was asked for, be it granted or not.
pub(crate) fn note(params: &Params, call: &mut Call) {
    let text = |name: &str| params.get(name).map(String::from);
    call.role = text("RoleArn");
    call.account = call.role.as_deref().and_then(|arn| arn.split(':').nth(4)).map(String::from);
    call.session_name = text("RoleSessionName");
    call.duration = params.get("DurationSeconds").and_then(|n| n.parse().ok());
    call.external_id = text("ExternalId");
    call.mfa_serial = text("SerialNumber");
    call.source_identity = text("SourceIdentity");
    call.tags = tags(params).into_iter().collect();
    call.transitive_tags = transitive(params);
}

/// `Tags.member.N.Key` and `.Value`, as the Query protocol spells a list of structures.
fn tags(params: &Params) -> Vec<(String, String)> {
    let part = |n: usize, name: &str| params.get(&format!("Tags.member.{n}.{name}"));
    (1..)
        .map_while(|n| Some((part(n, "Key")?.into(), part(n, "Value").unwrap_or_default().into())))
        .collect()
}

fn transitive(params: &Params) -> Vec<String> {
    (1..)
        .map_while(|n| params.get(&format!("TransitiveTagKeys.member.{n}")).map(String::from))
        .collect()
}

/// A value that breaks a constraint of the API's model.
pub(crate) fn invalid(value: &str, field: &str, rule: &str) -> Fail {
    Fail::new(
        400,
        "ValidationError",
        format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy \
             constraint: Member must {rule}"
        ),
    )
}

pub(crate) fn duration(params: &Params, default: i64, most: i64) -> Result<i64, Fail> {
    let Some(text) = params.filled("DurationSeconds") else { return Ok(default) };
    match text.parse::<i64>() {
        Ok(n) if n < 900 => {
            Err(invalid(text, "durationSeconds", "have value greater than or equal to 900"))
        }
        Ok(n) if n > most => {
            let rule = format!("have value less than or equal to {most}");
            Err(invalid(text, "durationSeconds", &rule))
        }
        Ok(n) => Ok(n),
        Err(_) => Err(Fail::new(400, "MalformedInput", "DurationSeconds must be a number")),
    }
}

/// The session's name, if it is one.
pub(crate) fn session_name(params: &Params) -> Result<&str, Fail> {
    word(params.get("RoleSessionName").unwrap_or_default(), "roleSessionName")
}

/// A text of 2 to 64 characters of those that names may have.
fn word<'a>(text: &'a str, field: &str) -> Result<&'a str, Fail> {
    let rule = if text.len() < 2 {
        "have length greater than or equal to 2"
    } else if text.len() > 64 {
        "have length less than or equal to 64"
    } else if !text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)) {
        "satisfy regular expression pattern: [\\w+=,.@-]*"
    } else {
        return Ok(text);
    };
    Err(invalid(text, field, rule))
}

pub(crate) fn credentials(key: &str, session: &Session) -> Value {
    json!({
        "AccessKeyId": key, "SecretAccessKey": session.secret, "SessionToken": session.token,
        "Expiration": iso(session.expires_ms.unwrap_or(0).div_euclid(1000)),
    })
}

fn too_long(text: &str) -> Fail {
    Fail::new(400, "ValidationError", format!("The requested DurationSeconds exceeds {text}"))
}

/// Whether a role's sessions may be as long as this.
pub(crate) fn within(role: &Role, seconds: i64) -> Result<(), Fail> {
    if seconds > role.max {
        return Err(too_long("the MaxSessionDuration set for this role."));
    }
    Ok(())
}

pub(crate) fn session_token(
    world: &mut World,
    params: &Params,
    caller: &Session,
) -> Result<Value, Fail> {
    if caller.token.is_some() {
        let message = "Cannot call GetSessionToken with session credentials";
        return Err(Fail::new(403, "AccessDenied", message));
    }
    let seconds = duration(params, 43_200, 129_600)?;
    let mfa = given_mfa(world, params, caller)?;
    let (key, session) = world.mint(seconds, Session { mfa, ..caller.clone() });
    Ok(json!({"Credentials": credentials(&key, &session)}))
}

/// Whether the request holds a good MFA code; a bad one is an error.
fn given_mfa(world: &mut World, params: &Params, caller: &Session) -> Result<bool, Fail> {
    let (serial, code) = (params.filled("SerialNumber"), params.filled("TokenCode"));
    if serial.is_none() && code.is_none() {
        return Ok(false);
    }
    if let Some(text) = code {
        let rule = match text.len() {
            6 if text.bytes().all(|c| c.is_ascii_digit()) => None,
            6 => Some("satisfy regular expression pattern: [\\d]*"),
            ..=5 => Some("have length greater than or equal to 6"),
            _ => Some("have length less than or equal to 6"),
        };
        if let Some(rule) = rule {
            return Err(invalid(text, "tokenCode", rule));
        }
    }
    world.check_mfa(caller.user.as_ref(), serial, code)?;
    Ok(true)
}

pub(crate) fn assume_role(
    world: &mut World,
    params: &Params,
    caller: &Session,
) -> Result<Value, Fail> {
    let arn = params.get("RoleArn").unwrap_or_default();
    let name = session_name(params)?;
    let seconds = duration(params, 3600, 43_200)?;
    let denied = |action: &str| {
        let message = format!(
            "User: {} is not authorized to perform: sts:{action} on resource: {arn}",
            caller.arn
        );
        Fail::new(403, "AccessDenied", message)
    };
    let passed = passed_on(params, caller)?;
    let role = world.script.roles.get(arn).cloned().ok_or_else(|| denied("AssumeRole"))?;
    let trusted = role.trust.is_empty() || role.trust.contains(&principal(&caller.arn));
    let external =
        role.external_id.is_none() || role.external_id.as_deref() == params.get("ExternalId");
    if !trusted || !external {
        return Err(denied("AssumeRole"));
    }
    let kept = caller.source_identity.as_deref();
    let changed = kept.is_some_and(|kept| passed.source_identity.as_deref() != Some(kept));
    if changed || (passed.source_identity.is_some() && !role.allow_source_identity) {
        return Err(denied("SetSourceIdentity"));
    }
    if passed.tagged && !role.allow_tags {
        return Err(denied("TagSession"));
    }
    // Presence of MFA carries over from GetSessionToken, for one hop.
    let mfa = given_mfa(world, params, caller)? || caller.mfa;
    if role.require_mfa && !mfa {
        return Err(denied("AssumeRole"));
    }
    if caller.token.is_some() && seconds > 3600 {
        return Err(too_long("the 1 hour session limit for roles assumed by role chaining."));
    }
    within(&role, seconds)?;
    let whose = Session {
        source_identity: passed.source_identity,
        transitive_tags: passed.transitive_tags,
        ..Session::of_role(arn, name)
    };
    let (key, session) = world.mint(seconds, whose);
    let mut result = json!({
        "Credentials": credentials(&key, &session),
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
    });
    if let Some(identity) = session.source_identity {
        result["SourceIdentity"] = identity.into();
    }
    if passed.tagged {
        // STS tells how much of its room the tags take; how it counts is not documented.
        result["PackedPolicySize"] = 1.into();
    }
    Ok(result)
}

/// What a new session says about itself and passes on to those made from it.
struct PassedOn {
    source_identity: Option<String>,
    transitive_tags: BTreeMap<String, String>,
    /// Whether tags were given or inherited.
    tagged: bool,
}

/// Checks tags and source identity by the rules of "Passing session tags in AWS STS" and
/// "Monitor and control actions taken with assumed roles" in the IAM user guide.
fn passed_on(params: &Params, caller: &Session) -> Result<PassedOn, Fail> {
    let tags = checked_tags(params)?;
    let wrong = |message: &str| Fail::new(400, "InvalidParameterValue", message);
    let mut transitive_tags = caller.transitive_tags.clone();
    if tags.iter().any(|(key, _)| contains(caller.transitive_tags.keys(), key)) {
        return Err(wrong(
            "One of the specified transitive tag keys can't be set because it conflicts with a \
             transitive tag key from the calling session.",
        ));
    }
    for key in transitive(params) {
        let Some((key, value)) = tags.iter().find(|(k, _)| k.eq_ignore_ascii_case(&key)) else {
            return Err(wrong(
                "The specified transitive tag key must be included in the requested tags.",
            ));
        };
        transitive_tags.insert(key.clone(), value.clone());
    }
    let given = params.get("SourceIdentity");
    let given = given.map(|text| word(text, "sourceIdentity")).transpose()?.map(String::from);
    let tagged = !tags.is_empty() || !transitive_tags.is_empty();
    let source_identity = given.or_else(|| caller.source_identity.clone());
    Ok(PassedOn { source_identity, transitive_tags, tagged })
}

fn contains<'a>(mut keys: impl Iterator<Item = &'a String>, key: &str) -> bool {
    // Tag keys are stored as they are and compared without regard to case.
    keys.any(|known| known.eq_ignore_ascii_case(key))
}

fn checked_tags(params: &Params) -> Result<Vec<(String, String)>, Fail> {
    let tags = tags(params);
    if tags.len() > 50 {
        return Err(invalid("[...]", "tags", "have length less than or equal to 50"));
    }
    for (n, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || key.chars().count() > 128 {
            let field = format!("tags.{}.member.key", n + 1);
            let rule = if key.is_empty() {
                "have length greater than or equal to 1"
            } else {
                "have length less than or equal to 128"
            };
            return Err(invalid(key, &field, rule));
        }
        if value.chars().count() > 256 {
            let field = format!("tags.{}.member.value", n + 1);
            return Err(invalid(value, &field, "have length less than or equal to 256"));
        }
        if contains(tags[..n].iter().map(|(key, _)| key), key) {
            let message =
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Fail::new(400, "InvalidParameterValue", message));
        }
    }
    Ok(tags)
}
