//! The AWS CLI (both) and boto3, unchanged, get credentials from the places that are no portal
//! and no user's keys.

use std::fs;
use std::path::PathBuf;

use crate::common::get;
use crate::common::person::{LAB_BINARY, Outcome, Person, with_v2};
use eksd_lab::{Container, Expiry, Fault, Instance, Limit, Script};
use serde_json::{Value, json};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const ADMIN: &str = "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com";

/// Puts a console sign-in into its file and a profile `con` beside it; the file.
fn plant(person: &Person, arn: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let mut login = person.lab.console_login(Some(arn));
    change(&mut login.content);
    let folder = person.file(".aws/login/cache");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(login.file);
    fs::write(&path, login.content.to_string()).expect("writes");
    let config = format!("[profile con]\nregion = eu-west-1\nlogin_session = {arn}\n");
    fs::write(person.file(".aws/config"), config).expect("writes");
    path
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).expect("there")).expect("JSON")
}

const OLD: &str = "2020-01-01T00:00:00Z";

#[test]
fn cli_v2_refreshes_a_console_sign_in() {
    let person = with_v2(Script::default());
    let path = plant(&person, ADMIN, |content| content["accessToken"]["expiresAt"] = OLD.into());
    let before = read(&path);
    let who = person.aws("--profile con sts get-caller-identity").json();
    assert_eq!(who["Arn"], ADMIN);
    let calls = person.lab.calls_of("CreateOAuth2Token");
    assert_eq!((calls.len(), calls[0].status), (1, Some(200)), "{calls:?}");
    assert_eq!(calls[0].grant.as_deref(), Some("refresh_token"));
    let after = read(&path);
    assert_ne!(after["refreshToken"], before["refreshToken"], "it rewrote the file");
    assert_eq!(after["dpopKey"], before["dpopKey"]);
    person.aws("--profile con sts get-caller-identity").ok();
    assert_eq!(person.lab.count("CreateOAuth2Token"), 1, "what it stored is good");
}

#[test]
fn cli_v2_tells_why_a_console_sign_in_is_over() {
    let person = with_v2(Script::default());
    let old = |content: &mut Value| content["accessToken"]["expiresAt"] = OLD.into();
    plant(&person, ALICE, old);
    let shown = |status: u16, code: &str| {
        person.lab.queue(Fault::status("CreateOAuth2Token", status, code));
        person.aws("--profile con sts get-caller-identity").failed()
    };
    let again = "reauthenticate using 'aws login'";
    for (status, code, told) in [
        (401, "TOKEN_EXPIRED", again),
        (403, "USER_CREDENTIALS_CHANGED", "change in your password"),
        (403, "INSUFFICIENT_PERMISSIONS", "CreateOAuth2Token"),
        (429, "TooManyRequestsError", "TooManyRequestsError"),
    ] {
        let shown = shown(status, code);
        assert!(shown.contains(told), "{code}: {shown}");
    }
    // The real thing, not a fault: the token was used by another tool meanwhile.
    let path = plant(&person, ALICE, old);
    let stale = fs::read(&path).expect("there");
    person.aws("--profile con sts get-caller-identity").ok();
    fs::write(&path, stale).expect("writes");
    let shown = person.aws("--profile con sts get-caller-identity").failed();
    assert!(shown.contains(again), "{shown}");
}

#[test]
fn cli_v2_signs_in_to_the_console() {
    let person = with_v2(Script::default());
    fs::write(person.file(".aws/config"), "[profile con]\nregion = eu-west-1\n").expect("writes");
    person.aws("login --profile con").ok();
    assert_eq!(person.lab.calls_of("ConsoleAuthorize")[0].status, Some(302));
    let grants = person.lab.calls_of("CreateOAuth2Token");
    assert_eq!(grants[0].grant.as_deref(), Some("authorization_code"));
    let who = person.aws("--profile con sts get-caller-identity").json();
    assert_eq!(who["Arn"], ALICE);
    // What it stores is what the lab plants: the same fields, in a file of the same name.
    let planted = person.lab.console_login(None);
    let stored = read(&person.file(".aws/login/cache").join(planted.file));
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect();
    let (stored_names, planted_names): (Vec<_>, Vec<_>) = (names(&stored), names(&planted.content));
    assert_eq!(stored_names, planted_names);
    let (stored, planted) = (&stored["accessToken"], &planted.content["accessToken"]);
    assert_eq!(names(stored) as Vec<String>, names(planted) as Vec<String>);
    person.aws("logout --profile con").ok();
}

#[test]
fn cli_v2_signs_in_to_the_console_from_another_device() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let person = with_v2(Script::default());
    fs::write(person.file(".aws/config"), "[profile con]\nregion = eu-west-1\n").expect("writes");
    let mut command = person.command("aws", &["login", "--remote", "--profile", "con"]);
    let piped = std::process::Stdio::piped;
    let mut aws = command.stdin(piped()).stdout(piped()).spawn().expect("starts");
    let mut shown = BufReader::new(aws.stdout.take().expect("piped"));
    let mut target = String::new();
    while !target.starts_with("/v1/authorize?") {
        let mut line = String::new();
        assert_ne!(shown.read_line(&mut line).expect("reads"), 0, "it ended without a URL");
        target = line.trim().strip_prefix(&person.lab.url()).unwrap_or_default().to_owned();
    }
    let page = get(&person.lab, &target);
    let place = page.header("location").expect("a redirect");
    let place = place.strip_prefix(&person.lab.url()).expect("a page of the lab");
    let page = get(&person.lab, place).body;
    let (_, code) = page.split_once("<code>").expect("a code");
    let (code, _) = code.split_once("</code>").expect("a code");
    let mut stdin = aws.stdin.take().expect("piped");
    writeln!(stdin, "{code}").expect("it reads");
    let mut rest = String::new();
    shown.read_to_string(&mut rest).expect("reads");
    assert!(aws.wait().expect("ends").success(), "{rest}");
    let who = person.aws("--profile con sts get-caller-identity").json();
    assert_eq!(who["Arn"], ALICE);
}

/// Who boto3 is with these variables and no keys in a file.
fn boto3(person: &Person, variables: &[(&str, &str)]) -> Outcome {
    const WHO: &str = "import boto3\n\
        print(boto3.client('sts', 'eu-west-1').get_caller_identity()['Arn'], end='')";
    for file in [".aws/credentials", ".aws/config"] {
        let _ = fs::remove_file(person.file(file));
    }
    person.run_with("python3", &["-c", WHO], variables)
}

#[test]
fn boto3_finds_its_role_in_the_metadata() {
    let script = Script { instance: Some(Instance::default()), ..Script::default() };
    let person = Person::new(script);
    let url = person.lab.url();
    let on_ec2 = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    let session = "arn:aws:sts::111122223333:assumed-role/dev/i-0123456789abcdef0";
    assert_eq!(boto3(&person, &on_ec2).ok(), session);
    let ops: Vec<_> = person.lab.calls().into_iter().map(|c| (c.op, c.status)).collect();
    let want = [
        ("MetadataToken", 200),
        ("MetadataRoles", 200),
        ("MetadataCredentials", 200),
        ("GetCallerIdentity", 200),
    ];
    assert_eq!(ops, want.map(|(op, status)| (op.to_owned(), Some(status))));
    person.lab.edit(|s| s.instance.as_mut().expect("there").role = None);
    let shown = boto3(&person, &on_ec2).failed();
    assert!(shown.contains("Unable to locate credentials"), "{shown}");
}

#[test]
fn boto3_finds_its_role_in_a_container() {
    let person = Person::new(Script::default());
    let url = person.lab.container_url("/v1/credentials");
    let token = person.file("token");
    let in_pod = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().expect("text")),
    ];
    fs::write(&token, "lab-pod-token").expect("writes");
    let session = "arn:aws:sts::111122223333:assumed-role/dev/eks-demo-web";
    assert_eq!(boto3(&person, &in_pod).ok(), session);
    let task = person.lab.container_url("/v2/credentials/lab");
    let in_task = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", task.as_str())];
    let session = "arn:aws:sts::111122223333:assumed-role/dev/task";
    assert_eq!(boto3(&person, &in_task).ok(), session);
    // botocore tries three times, whatever the status, and then shows the body.
    person.lab.forget_calls();
    fs::write(&token, "another").expect("writes");
    let shown = boto3(&person, &in_pod).failed();
    assert!(shown.contains("The authorization token is missing"), "{shown}");
    assert_eq!(person.lab.count("ContainerCredentials"), 3);
    person.lab.queue(Fault::expiry("ContainerCredentials", Expiry::Missing).times(-1));
    let shown = boto3(&person, &in_task).failed();
    assert!(shown.contains("expiry_time") || shown.contains("Expiration"), "{shown}");
}

#[test]
fn boto3_hands_in_a_web_identity() {
    let person = Person::new(Script::default());
    let token = person.file("token");
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/pod"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("text")),
        ("AWS_ROLE_SESSION_NAME", "web"),
    ];
    let write = |seconds| {
        let text = person.lab.identity_token("system:serviceaccount:default:web", seconds);
        fs::write(&token, text).expect("writes");
    };
    write(60);
    let session = "arn:aws:sts::111122223333:assumed-role/pod/web";
    assert_eq!(boto3(&person, &variables).ok(), session);
    write(-1);
    let shown = boto3(&person, &variables).failed();
    assert!(shown.contains("(ExpiredTokenException)"), "{shown}");
    assert!(shown.contains("Token expired: current date/time"), "{shown}");
    fs::write(&token, "no token").expect("writes");
    let shown = boto3(&person, &variables).failed();
    assert!(shown.contains("(InvalidIdentityToken)"), "{shown}");
}

#[test]
fn cli_v1_sends_tags_and_a_source_identity() {
    let person = Person::new(Script::default());
    let role = "--role-arn arn:aws:iam::111122223333:role/dev --role-session-name me";
    let tags = "--tags Key=Team,Value=sre Key=Cost,Value= --transitive-tag-keys Team";
    let ask = format!("sts assume-role {role} {tags} --source-identity alice");
    let got = person.aws(&ask).json();
    assert_eq!(got["SourceIdentity"], "alice");
    assert_eq!(got["PackedPolicySize"], 1);
    let call = person.lab.calls_of("AssumeRole").pop().expect("a call");
    assert_eq!(json!(call.tags), json!({"Team": "sre", "Cost": ""}));
    assert_eq!(call.transitive_tags, ["Team"]);
    assert_eq!(call.source_identity.as_deref(), Some("alice"));
    person.lab.edit(|s| {
        s.roles.values_mut().for_each(|role| role.allow_tags = false);
    });
    let shown = person.aws(&ask).failed();
    assert!(shown.contains("(AccessDenied)") && shown.contains("sts:TagSession"), "{shown}");
}

#[test]
fn clients_know_the_throttles_for_what_they_are() {
    let person = Person::new(Script::default());
    person.write_sso_token("2999-01-01T00:00:00Z");
    let none = Limit { per_second: 0, burst: 0, retry_after: None };
    let with = |name: &str, profile: &str| {
        person.lab.edit(|s| {
            s.limits.clear();
            s.limits.insert(name.into(), none);
        });
        let retries = [("AWS_MAX_ATTEMPTS", "2"), ("AWS_RETRY_MODE", "standard")];
        let args = ["--profile", profile, "sts", "get-caller-identity"];
        person.run_with("aws", &args, &retries).failed()
    };
    let shown = with("sts", "default");
    assert!(shown.contains("(Throttling)"), "{shown}");
    assert_eq!(person.lab.throttled("sts"), 2, "it tried again, as for a throttle");
    let shown = with("portal", "sso");
    assert!(shown.contains("(TooManyRequestsException)"), "{shown}");
    assert_eq!(person.lab.throttled("portal"), 2);
}

#[test]
fn the_program_plants_sign_ins_and_makes_tokens() {
    let person =
        Person::new(Script { containers: vec![Container::default()], ..Script::default() });
    let url = person.lab.url();
    let ctl = |verb: &str, body: &[&str]| {
        let args = [&["ctl", verb], body].concat();
        person.run_with(LAB_BINARY, &args, &[("EKSD_LAB_URL", &url)]).json()
    };
    let login = ctl("console", &["{}"]);
    assert_eq!(login["arn"], ALICE);
    let token = ctl("identity_token", &[r#"{"subject": "me"}"#])["token"].clone();
    assert_eq!(token.as_str().map(|text| text.split('.').count()), Some(3));
    assert_eq!(ctl("throttled", &[])["count"], 0);
}
