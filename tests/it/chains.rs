//! Profile → chain, from the text of the files on: one row a rule, in the words of the AWS CLI's order.

use eksd::{
    config::aws_files,
    model::{Chain, MfaWay, Source, chain, session::SessionKey},
    report::{Code, Report},
};

const SSO: &str = "
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access, more
[profile dev]
sso_session = corp
sso_account_id = 1
sso_role_name = Dev
";

const KEYS: &str = "
[keys]
aws_access_key_id = AKIAX
aws_secret_access_key = s
";

fn summary(chain: &Chain) -> String {
    let root = match &chain.source {
        Source::Sso { login, account_id, role_name } => {
            format!("sso {} {account_id}/{role_name}", login.key)
        }
        Source::SsoTokenOnly { login } => format!("token {}", login.key),
        Source::Keys(keys) => format!("keys {}", keys.access_key_id),
        Source::Console(login) => format!("console {}", login.arn),
        Source::WebIdentity(identity) => {
            format!("web {} {}", identity.role_arn, identity.token_file.display())
        }
        Source::Process(process) => format!("process {}", process.command),
        Source::Machine { kind, .. } => kind.as_str().to_owned(),
    };
    chain.hops.iter().fold(root, |text, hop| format!("{text} > {}", hop.terms.role_arn))
}

#[track_caller]
fn check(config: &str, profile: &str, expected: &str) {
    let files = aws_files::parse(
        Some(("config", format!("{SSO}{config}").as_bytes())),
        Some(("credentials", KEYS.as_bytes())),
    );
    let got = match chain::resolve(&files, profile) {
        Ok(chain) => summary(&chain),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expected, "{config}");
}

#[test]
fn roots() {
    check("", "dev", "sso corp 1/Dev");
    check("", "keys", "keys AKIAX");
    check("[profile t]\nsso_session = corp", "t", "token corp");
    let legacy = "[profile old]\nsso_start_url = https://o\nsso_region = r\nsso_account_id = 2\nsso_role_name = R";
    check(legacy, "old", "sso https://o 2/R");
    check("[profile p]\ncredential_process = x", "p", "process x");
    check("[profile p]\nlogin_session = arn", "p", "console arn");
    let web = "[profile p]\nrole_arn = A\nweb_identity_token_file = /t\nsource_profile = dev";
    check(web, "p", "web A /t");
    // Keys of the credentials file win over a process, those of the config file do not.
    check("[profile keys]\ncredential_process = x", "keys", "keys AKIAX");
    let both =
        "[profile p]\naws_access_key_id = AKIAY\naws_secret_access_key = s\ncredential_process = x";
    check(both, "p", "process x");
    check(
        "[profile keys]\nsso_session = corp\nsso_account_id = 3\nsso_role_name = S",
        "keys",
        "sso corp 3/S",
    );
}

#[test]
fn roles() {
    let hop = "[profile a]\nrole_arn = A\nsource_profile = dev\n";
    check(hop, "a", "sso corp 1/Dev > A");
    let two = format!("{hop}[profile b]\nrole_arn = B\nsource_profile = a\n");
    check(&two, "b", "sso corp 1/Dev > A > B");
    check("[profile a]\nrole_arn = A\nsource_profile = keys", "a", "keys AKIAX > A");
    // Names itself: its own keys.
    check("[profile keys]\nrole_arn = A\nsource_profile = keys", "keys", "keys AKIAX > A");
    // From the second profile on, keys win over a role.
    let shadowed = "[profile keys]\nrole_arn = A\nsource_profile = dev\n[profile b]\nrole_arn = B\nsource_profile = keys";
    check(shadowed, "b", "keys AKIAX > B");
    check("[profile a]\nrole_arn = A\ncredential_source = ecscontainer", "a", "container > A");
}

/// As botocore 1.43.11 does it, run: keys in a source profile set its role aside and nothing else.
#[test]
fn keys_that_set_a_role_aside_do_not_win_over_the_rest() {
    let keys = "aws_access_key_id = AKIAY\naws_secret_access_key = s\n";
    let source = format!("[profile q]\n{keys}role_arn = Q\nsource_profile = dev\n");
    let hop = "[profile p]\nrole_arn = P\nsource_profile = q\n";
    check(&format!("{source}{hop}"), "p", "keys AKIAY > P");
    let with_process = format!("{source}credential_process = x\n{hop}");
    check(&with_process, "p", "process x > P");
    let with_sso =
        format!("{source}sso_session = corp\nsso_account_id = 5\nsso_role_name = S\n{hop}");
    check(&with_sso, "p", "sso corp 5/S > P");
    let own =
        format!("[profile p]\n{keys}role_arn = P\nsource_profile = p\ncredential_process = x\n");
    check(&own, "p", "process x > P");
}

#[test]
fn a_sign_in_alone_comes_last() {
    let session = "[profile p]\nsso_session = corp\n";
    let keys = "aws_access_key_id = AKIAY\naws_secret_access_key = s\n";
    check(&format!("{session}{keys}"), "p", "keys AKIAY");
    check(&format!("{session}credential_process = x\n"), "p", "process x");
    check(session, "p", "token corp");
}

#[test]
fn mistakes_name_their_line() {
    check("", "dve", "there is no profile `dve`");
    let circle = "[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\nsource_profile = a\n";
    check(circle, "a", "the roles go in a circle: a → b → a (config:15)");
    let own = "[profile a]\nrole_arn = A\nsource_profile = a\n";
    check(own, "a", "the roles go in a circle: a → a (config:12)");
    check(
        "[profile a]\nrole_arn = A\nsource_profile = dvv",
        "a",
        "`source_profile` names no profile: there is no `dvv` (config:12)",
    );
    let wants =
        "`role_arn` wants exactly one of `source_profile` and `credential_source` (config:11)";
    check("[profile a]\nrole_arn = A", "a", wants);
    check(
        "[profile a]\nrole_arn = A\nsource_profile = dev\ncredential_source = Environment",
        "a",
        wants,
    );
    check(
        "[profile a]\nrole_arn = A\ncredential_source = Cloud",
        "a",
        "`credential_source = Cloud` is not one of Environment, Ec2InstanceMetadata, EcsContainer (config:12)",
    );
    check(
        "[profile a]\nsso_session = nope",
        "a",
        "`sso_session = nope` names no [sso-session nope] section (config:11)",
    );
    check(
        "[profile a]\nsso_session = corp\nsso_role_name = R",
        "a",
        "`sso_account_id` is missing (config:10)",
    );
    let mixed = "[profile a]\nsso_session = corp\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = R";
    check(mixed, "a", "`sso_region` differs from the one in [sso-session corp] (config:12)");
    let scopes = "[profile a]\nsso_session = corp\nsso_registration_scopes = x\nsso_account_id = 1\nsso_role_name = R";
    check(
        scopes,
        "a",
        "`sso_registration_scopes` differs from the one in [sso-session corp] (config:12)",
    );
    check("[profile a]\nregion = r", "a", "the profile has no credentials of its own (config:10)");
    let hop = |i: u32| format!("[profile p{i}]\nrole_arn = A\nsource_profile = p{}\n", i + 1);
    let deep = (0..20).map(hop).collect::<Vec<_>>().concat();
    check(&deep, "p0", "more than 8 roles in a row (config:35)");
}

#[test]
fn reports_say_what_to_do() {
    let files = aws_files::parse(Some(("config", SSO.as_bytes())), None);
    let error = chain::resolve(&files, "dve").unwrap_err();
    let report = Report::of_chain("dve", &error);
    assert_eq!((report.code, report.fix.as_str()), (Code::UnknownProfile, "did you mean `dev`?"));
}

#[test]
fn details_of_a_hop_and_a_sign_in() {
    let config = "[profile a]\nrole_arn = A\nsource_profile = dev\nexternal_id = E\nduration_seconds = 7200\n\
                  role_session_name = me\nmfa_serial = M\nregion = us-east-2\nca_bundle = /ca.pem\n\
                  use_fips_endpoint = TRUE\n[profile b]\nrole_arn = B\nsource_profile = dev\nduration_seconds = soon\n";
    let files = aws_files::parse(Some(("config", format!("{SSO}{config}").as_bytes())), None);
    let chain = chain::resolve(&files, "a").unwrap();
    let hop = &chain.hops[0];
    assert_eq!(hop.terms.external_id.as_deref(), Some("E"));
    assert_eq!(hop.terms.duration_seconds, Some(7200));
    assert_eq!(hop.terms.session_name.as_deref(), Some("me"));
    assert_eq!(hop.mfa.as_ref().map(|device| device.serial.as_str()), Some("M"));
    assert_eq!(hop.reach.region.as_deref(), Some("us-east-2"));
    assert_eq!(hop.reach.ca_bundle.as_deref(), Some("/ca.pem"));
    assert!(hop.reach.fips && !hop.reach.dual_stack);
    assert!(chain.is_chained());
    let login = chain.login().unwrap();
    assert_eq!(login.scopes, ["sso:account:access", "more"]);
    assert_eq!(login.reach.region.as_deref(), Some("eu-west-1"));
    // Temporary keys cannot give a device's code: the role is assumed without one.
    assert!(chain.mfa().is_none());
    assert_eq!(chain.specs().len(), 3);
    // botocore drops what is not a number.
    let chain = chain::resolve(&files, "b").unwrap();
    assert_eq!((chain.hops[0].terms.duration_seconds, chain.specs().len()), (None, 3));
}

#[test]
fn a_process_that_is_eksd_stands_for_its_profile() {
    let eksd = |rest: &str| format!("[profile p]\ncredential_process = {rest}");
    check(&eksd("eksd credential-process --profile dev"), "p", "sso corp 1/Dev");
    check(&eksd("'/opt/my tools/eksd' credential-process --profile=dev"), "p", "sso corp 1/Dev");
    check(&eksd("eksd --no-agent credential-process --profile dev"), "p", "sso corp 1/Dev");
    check(
        &eksd("eksd credential-process --profile p"),
        "p",
        "the roles go in a circle: p → p (config:11)",
    );
    check(
        &eksd("eksd credential-process --profile dve"),
        "p",
        "`credential_process` names no profile: there is no `dve` (config:11)",
    );
    // Anything more is a program to run.
    let piped = "eksd credential-process --profile dev | tee x";
    check(&eksd(piped), "p", &format!("process {piped}"));
    check(&eksd("eksd token --profile dev"), "p", "process eksd token --profile dev");
    // What is asked for by name is the first of its chain: its role counts, not its keys.
    let keyed = "[profile keys]\nrole_arn = A\nsource_profile = dev\n[profile p]\ncredential_process = eksd credential-process --profile keys";
    check(keyed, "p", "sso corp 1/Dev > A");
    let behind = format!("{keyed}\n[profile b]\nrole_arn = B\nsource_profile = p");
    check(&behind, "b", "sso corp 1/Dev > A > B");
}

#[test]
fn a_code_is_asked_for_where_it_can_be_given() {
    let guarded = "[profile a]\nrole_arn = A\nsource_profile = keys\nmfa_serial = M\nmfa_process = pass otp\n\
                   [profile b]\nrole_arn = B\nsource_profile = keys\nmfa_serial = M\n\
                   [profile c]\nrole_arn = C\nsource_profile = a\nmfa_serial = M2\n";
    let files = aws_files::parse(
        Some(("config", guarded.as_bytes())),
        Some(("credentials", KEYS.as_bytes())),
    );
    let root = |name| chain::resolve(&files, name).unwrap().specs().remove(0);
    let expected = SessionKey::Mfa { access_key_id: "AKIAX".into(), serial: "M".into() };
    // One session for the device, whatever role asks.
    for name in ["a", "b", "c"] {
        assert_eq!(root(name).key, expected, "{name}");
    }
    assert!(!root("a").wants_person(), "a command prints the codes");
    assert!(root("b").wants_person());
    let mut chain = chain::resolve(&files, "b").unwrap();
    assert!(chain.is_chained());
    // Or the role itself takes the code, and lasts as long as it may.
    chain.mfa_way = MfaWay::PerRole;
    let specs = chain.specs();
    assert_eq!(specs.len(), 1);
    assert!(specs[0].is_root() && specs[0].wants_person() && !chain.is_chained());
}

#[test]
fn tags_and_identity_of_a_role() {
    let config = "[profile a]\nrole_arn = A\nsource_profile = dev\nsource_identity = ann\n\
                  session_tags = team=shop, cost = 7 ,broken\ntransitive_session_tags = team,\n";
    let files = aws_files::parse(Some(("config", format!("{SSO}{config}").as_bytes())), None);
    let terms = chain::resolve(&files, "a").unwrap().hops.remove(0).terms;
    assert_eq!(terms.source_identity.as_deref(), Some("ann"));
    assert_eq!(terms.tags, [("team".into(), "shop".into()), ("cost".into(), "7".into())]);
    assert_eq!(terms.transitive_tags, ["team"]);
}
