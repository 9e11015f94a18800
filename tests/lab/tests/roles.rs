//! STS: web identities, session tags, source identities and what sticks to a chain.

mod common;

use std::collections::BTreeMap;

use common::{Keys, Reply, alice, keys_of, send, sts};
use eksd_lab::{IdentityToken, Lab, Script};

const T0: i64 = 1_795_485_784;
const DATE: &str = "20261124T020304Z";
const SERIAL: &str = "arn%3Aaws%3Aiam%3A%3A111122223333%3Amfa%2Falice";
const WEB: &str = "system:serviceaccount:default:web";
const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/EKSDLAB0123456789";

fn frozen(change: impl FnOnce(&mut Script)) -> Lab {
    let mut script = Script::default();
    change(&mut script);
    let lab = Lab::start(script);
    lab.freeze(T0);
    lab
}

fn form(action: &str, role: &str, more: &str) -> String {
    format!(
        "Action={action}&Version=2011-06-15&RoleSessionName=me\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2F{role}{more}"
    )
}

fn assume(lab: &Lab, keys: &Keys, role: &str, more: &str) -> Reply {
    sts(lab, keys, DATE, &form("AssumeRole", role, more))
}

/// Without a signature, as this operation is called.
fn web(lab: &Lab, role: &str, token: &str, more: &str) -> Reply {
    let more = format!("&WebIdentityToken={token}{more}");
    let form = form("AssumeRoleWithWebIdentity", role, &more);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    send(lab.port(), "POST", "/", &headers, &form).expect("an answer")
}

fn error(reply: &Reply) -> (u16, &str, &str) {
    let text = |tag| reply.xml(tag).unwrap_or_default();
    (reply.status, text("Code"), text("Message"))
}

#[test]
fn a_web_identity_opens_the_roles_that_name_it() {
    let lab = frozen(|_| {});
    let token = lab.identity_token(WEB, 60);
    let reply = web(&lab, "pod", &token, "&DurationSeconds=43200");
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.xml("SubjectFromWebIdentityToken"), Some(WEB));
    assert_eq!(reply.xml("Audience"), Some("sts.amazonaws.com"));
    assert_eq!(reply.xml("Provider"), Some(ISSUER));
    assert_eq!(reply.xml("Expiration"), Some("2026-11-24T14:03:04Z"), "not a chained role");
    let session = keys_of(&reply);
    let who = sts(&lab, &session, DATE, "Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(who.xml("Arn"), Some("arn:aws:sts::111122223333:assumed-role/pod/me"));
    let next = assume(&lab, &session, "second", "&DurationSeconds=3601");
    assert!(next.body.contains("role chaining"), "{}", next.body);
    let denied = (403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    assert_eq!(error(&web(&lab, "dev", &token, "")), denied, "no web identity there");
    assert_eq!(error(&web(&lab, "none", &token, "")), denied, "no such role");
    let other = lab.identity_token("system:serviceaccount:default:other", 60);
    assert_eq!(error(&web(&lab, "pod", &other, "")), denied);
    let call = &lab.calls_of("AssumeRoleWithWebIdentity")[0];
    assert_eq!((call.subject.as_deref(), call.access_key.as_deref()), (Some(WEB), None));
    assert_eq!((call.session_name.as_deref(), call.duration), (Some("me"), Some(43_200)));
}

#[test]
fn a_bad_web_identity_is_told_apart() {
    let lab = frozen(|s| {
        let known = |rejected, expires| IdentityToken { subject: WEB.into(), expires, rejected };
        let tokens = &mut s.web_identity.tokens;
        tokens.insert("good-token".into(), known(false, Some(T0 + 1)));
        tokens.insert("rejected-token".into(), known(true, None));
    });
    assert_eq!(web(&lab, "pod", "good-token", "").status, 200);
    let (status, code, message) = (400, "InvalidIdentityToken", |m: &str| m.to_owned());
    let told = |token: &str| {
        let reply = web(&lab, "pod", token, "");
        let (status, code, message) = error(&reply);
        (status, code.to_owned(), message.to_owned())
    };
    let wrong = |text: &str| (status, code.to_owned(), message(text));
    assert_eq!(
        told("unknown-token"),
        wrong(
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an \
             Access Token)"
        )
    );
    let token = lab.identity_token(WEB, 60);
    let (signed, _) = token.rsplit_once('.').expect("a JWT");
    assert!(told(&format!("{signed}.AAAA")).2.starts_with("Couldn't retrieve verification key"));
    lab.edit(|s| s.web_identity.audience = "other".into());
    assert_eq!(told(&token), wrong("Incorrect token audience"));
    lab.edit(|s| s.web_identity.issuer = "https://other".into());
    assert_eq!(
        told(&token),
        wrong(&format!("No OpenIDConnect provider found in your account for {ISSUER}"))
    );
    let (status, code, _) = told("rejected-token");
    assert_eq!((status, code.as_str()), (403, "IDPRejectedClaim"));
    assert_eq!(told("x").1, "ValidationError");
    lab.advance(1);
    let late = format!(
        "Token expired: current date/time {0} must be before the expiration date/time {0}",
        T0 + 1
    );
    assert_eq!(told("good-token"), (400, "ExpiredTokenException".into(), late));
    let short = lab.identity_token(WEB, 0);
    assert_eq!(told(&short).1, "ExpiredTokenException");
}

#[test]
fn tags_and_source_identity_are_recorded() {
    let lab = frozen(|_| {});
    let more = "&SourceIdentity=alice&ExternalId=partner&DurationSeconds=900\
                &Tags.member.1.Key=Team&Tags.member.1.Value=sre&Tags.member.2.Key=Empty\
                &Tags.member.2.Value=&TransitiveTagKeys.member.1=Team";
    let reply = assume(&lab, &alice(), "dev", more);
    assert_eq!(reply.xml("SourceIdentity"), Some("alice"), "{}", reply.body);
    assert!(reply.xml("PackedPolicySize").is_some());
    let call = lab.calls_of("AssumeRole").pop().expect("a call");
    assert_eq!(call.source_identity.as_deref(), Some("alice"));
    let want = [("Team", "sre"), ("Empty", "")].map(|(k, v)| (k.into(), v.into()));
    assert_eq!(call.tags, BTreeMap::from(want));
    assert_eq!(call.transitive_tags, ["Team"]);
    assert_eq!((call.duration, call.external_id.as_deref()), (Some(900), Some("partner")));
    let plain = assume(&lab, &alice(), "dev", "");
    assert_eq!((plain.xml("SourceIdentity"), plain.xml("PackedPolicySize")), (None, None));
}

#[test]
fn a_role_can_refuse_tags_and_source_identity() {
    let lab = frozen(|s| {
        let role = s.roles.get_mut("arn:aws:iam::111122223333:role/dev").expect("there");
        (role.allow_tags, role.allow_source_identity) = (false, false);
    });
    let denied = |action: &str| {
        format!(
            "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: \
             sts:{action} on resource: arn:aws:iam::111122223333:role/dev"
        )
    };
    let reply = assume(&lab, &alice(), "dev", "&SourceIdentity=alice");
    assert_eq!(error(&reply), (403, "AccessDenied", &*denied("SetSourceIdentity")));
    let tag = "&Tags.member.1.Key=Team&Tags.member.1.Value=sre";
    let reply = assume(&lab, &alice(), "dev", tag);
    assert_eq!(error(&reply), (403, "AccessDenied", &*denied("TagSession")));
    assert_eq!(lab.calls_of("AssumeRole")[1].tags.len(), 1, "recorded though refused");
    assert_eq!(assume(&lab, &alice(), "dev", "").status, 200);
    // What sticks to a session needs the permission of every role that follows.
    let marked = keys_of(&assume(&lab, &alice(), "second", "&SourceIdentity=alice"));
    assert_eq!(error(&assume(&lab, &marked, "dev", "")).0, 403);
    let sticky = format!("{tag}&TransitiveTagKeys.member.1=Team");
    let tagged = keys_of(&assume(&lab, &alice(), "second", &sticky));
    assert_eq!(error(&assume(&lab, &tagged, "dev", "")).0, 403);
    let loose = keys_of(&assume(&lab, &alice(), "second", tag));
    assert_eq!(assume(&lab, &loose, "dev", "").status, 200, "this tag does not stick");
}

#[test]
fn what_sticks_to_a_chain_cannot_be_changed() {
    let lab = frozen(|_| {});
    let tag = |value: &str| format!("&Tags.member.1.Key=Team&Tags.member.1.Value={value}");
    let sticky = format!("&SourceIdentity=alice{}&TransitiveTagKeys.member.1=Team", tag("sre"));
    let first = keys_of(&assume(&lab, &alice(), "dev", &sticky));
    let next = assume(&lab, &first, "second", "");
    assert_eq!(next.xml("SourceIdentity"), Some("alice"), "{}", next.body);
    let last = assume(&lab, &keys_of(&next), "dev", "&SourceIdentity=bob");
    assert_eq!(error(&last).0, 403);
    let last = assume(&lab, &keys_of(&next), "dev", "&SourceIdentity=alice");
    assert_eq!(last.status, 200, "{}", last.body);
    let (status, code, message) = (400, "InvalidParameterValue", "transitive tag key");
    let clash = assume(&lab, &keys_of(&next), "dev", &tag("ops").replace("Team", "team"));
    let told = error(&clash);
    assert_eq!((told.0, told.1), (status, code));
    assert!(told.2.contains(message), "{}", told.2);
}

#[test]
fn tags_have_their_limits() {
    let lab = frozen(|_| {});
    let tags = |n: usize, key: fn(usize) -> String| {
        (1..=n).fold(String::new(), |text, i| {
            text + &format!("&Tags.member.{i}.Key={}&Tags.member.{i}.Value=v", key(i))
        })
    };
    let code = |more: &str| {
        let reply = assume(&lab, &alice(), "dev", more);
        (reply.status, reply.xml("Code").unwrap_or_default().to_owned())
    };
    assert_eq!(code(&tags(50, |i| format!("k{i}"))).0, 200);
    assert_eq!(code(&tags(51, |i| format!("k{i}"))), (400, "ValidationError".into()));
    let twice = |i: usize| if i == 1 { "Key".into() } else { "kEY".into() };
    assert_eq!(code(&tags(2, twice)), (400, "InvalidParameterValue".into()));
    assert_eq!(code(&tags(1, |_| "k".repeat(129))), (400, "ValidationError".into()));
    let missing = code("&TransitiveTagKeys.member.1=Team");
    assert_eq!(missing, (400, "InvalidParameterValue".into()), "a key without its tag");
    assert_eq!(code("&SourceIdentity=a"), (400, "ValidationError".into()));
    assert_eq!(code("&SourceIdentity=a%20b"), (400, "ValidationError".into()));
}

#[test]
fn a_code_is_used_up_whatever_it_was_used_for() {
    let lab = frozen(|_| {});
    let mfa = |code: &str| format!("&SerialNumber={SERIAL}&TokenCode={code}");
    let code = lab.totp("alice");
    let token = |code: &str| {
        let form = format!("Action=GetSessionToken&Version=2011-06-15{}", mfa(code));
        sts(&lab, &alice(), DATE, &form)
    };
    assert_eq!(token(&code).status, 200);
    let used = assume(&lab, &alice(), "second", &mfa(&code));
    let invalid = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
    assert_eq!(error(&used), (403, "AccessDenied", invalid));
    let serial = "arn:aws:iam::111122223333:mfa/alice";
    assert_eq!(lab.calls_of("AssumeRole")[0].mfa_serial.as_deref(), Some(serial));
    let wrong = if code == "000000" { "111111" } else { "000000" };
    assert_eq!(error(&token(wrong)), (403, "AccessDenied", invalid));
    let unable = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify \
                  your MFA serial number is valid and associated with this user.";
    let form = format!("Action=GetSessionToken&Version=2011-06-15{}", mfa("123456"));
    let other = sts(&lab, &alice(), DATE, &form.replace("%2Falice", "%2Fbob"));
    assert_eq!(error(&other), (403, "AccessDenied", unable));
    for (code, rule) in [("12345", "greater than or equal to 6"), ("1234567", "less than")] {
        assert!(token(code).body.contains(rule), "{code}");
    }
    assert!(token("12345a").body.contains("[\\d]*"));
}

#[test]
fn credentials_of_get_session_token_count_as_chaining() {
    let lab = frozen(|_| {});
    let bare = sts(&lab, &alice(), DATE, "Action=GetSessionToken&Version=2011-06-15");
    let session = keys_of(&bare);
    let long = assume(&lab, &session, "second", "&DurationSeconds=3601");
    let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                   assumed by role chaining.";
    assert_eq!(error(&long), (400, "ValidationError", message));
    assert_eq!(assume(&lab, &session, "second", "&DurationSeconds=3600").status, 200);
}
