//! Tokens of an identity provider, and the roles that they open.

use serde_json::{Value, json};

use crate::assume;
use crate::calls::Call;
use crate::http::{Fail, Params};
use crate::jwt;
use crate::world::{Session, World};

/// Who a token speaks of.
struct Subject {
    name: String,
    audience: String,
    issuer: String,
}

/// A token of the script's issuer for a subject, good for some seconds from now on.
pub(crate) fn token(world: &World, subject: &str, seconds: i64) -> String {
    let (now, provider) = (world.now(), &world.script.web_identity);
    let claims = json!({
        "iss": provider.issuer, "aud": [provider.audience], "sub": subject,
        "iat": now, "nbf": now, "exp": now + seconds,
    });
    jwt::sign(&claims, &provider.secret)
}

/// AssumeRoleWithWebIdentity: not signed, the token is the proof.
pub(crate) fn assume(world: &mut World, params: &Params, call: &mut Call) -> Result<Value, Fail> {
    let arn = params.get("RoleArn").unwrap_or_default();
    let name = assume::session_name(params)?;
    let seconds = assume::duration(params, 3600, 43_200)?;
    let text = params.get("WebIdentityToken").unwrap_or_default();
    if text.len() < 4 {
        let rule = "have length greater than or equal to 4";
        return Err(assume::invalid(text, "webIdentityToken", rule));
    }
    let subject = subject(world, text)?;
    call.subject = Some(subject.name.clone());
    let role = world.script.roles.get(arn);
    let open = role.and_then(|role| role.web_identity.as_deref());
    let trusted = open.is_some_and(|names| names.is_empty() || names.contains(&subject.name));
    let Some(role) = role.filter(|_| trusted) else {
        let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        return Err(Fail::new(403, "AccessDenied", message));
    };
    assume::within(role, seconds)?;
    let (key, session) = world.mint(seconds, Session::of_role(arn, name));
    Ok(json!({
        "Credentials": assume::credentials(&key, &session),
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        "SubjectFromWebIdentityToken": subject.name,
        "Audience": subject.audience,
        "Provider": subject.issuer,
    }))
}

fn subject(world: &World, text: &str) -> Result<Subject, Fail> {
    let wrong = |message: &str| Fail::new(400, "InvalidIdentityToken", message);
    let (now, provider) = (world.now(), &world.script.web_identity);
    let (issuer, audience) = (provider.issuer.clone(), provider.audience.clone());
    if let Some(known) = provider.tokens.get(text) {
        if known.rejected {
            let message = "The identity provider (IdP) reported that authentication failed. \
                           This might be because the claim is invalid.";
            return Err(Fail::new(403, "IDPRejectedClaim", message));
        }
        in_time(now, known.expires.unwrap_or(i64::MAX))?;
        return Ok(Subject { name: known.subject.clone(), audience, issuer });
    }
    let token = jwt::parse(text).ok_or_else(|| {
        wrong(
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an \
             Access Token)",
        )
    })?;
    let claim = |name: &str| token.claims[name].as_str().unwrap_or_default();
    if claim("iss") != issuer {
        let message =
            format!("No OpenIDConnect provider found in your account for {}", claim("iss"));
        return Err(wrong(&message));
    }
    if !jwt::is_signed_by(&token, &provider.secret) {
        return Err(wrong(
            "Couldn't retrieve verification key from your identity provider,  please reference \
             AssumeRoleWithWebIdentity documentation for requirements",
        ));
    }
    let meant = &token.claims["aud"];
    let one_of = meant.as_array().is_some_and(|all| all.contains(&json!(audience)));
    if *meant != json!(audience) && !one_of {
        return Err(wrong("Incorrect token audience"));
    }
    in_time(now, token.claims["exp"].as_i64().unwrap_or(0))?;
    Ok(Subject { name: claim("sub").into(), audience, issuer })
}

fn in_time(now: i64, end: i64) -> Result<(), Fail> {
    if now < end {
        return Ok(());
    }
    let message = format!(
        "Token expired: current date/time {now} must be before the expiration date/time {end}"
    );
    Err(Fail::new(400, "ExpiredTokenException", message))
}
