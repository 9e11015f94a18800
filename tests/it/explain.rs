//! `eksd explain` from the text of the files to what a person reads.

use eksd::{
    agent::explain::wire_explanation,
    cli::view::explain::{Page, explanation},
    config::aws_files,
    model::{
        MfaWay, chain,
        explain::{Facts, explain},
    },
};

const SSO: &str = "\
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
region = eu-central-1
";

const ANN: &str = "\
[ann]
aws_access_key_id = AKIAANN
aws_secret_access_key = hunter2
";

fn read_in(config: &str, credentials: &str, name: &str, mfa_way: MfaWay) -> String {
    let files = aws_files::parse(
        Some(("~/.aws/config", config.as_bytes())),
        Some(("~/.aws/credentials", credentials.as_bytes())),
    );
    let mut chain = chain::resolve(&files, name);
    if let Ok(chain) = &mut chain {
        chain.mfa_way = mfa_way;
    }
    let explained = explain(&files, name, chain.as_ref(), &Facts::default());
    let answer = wire_explanation(explained, None, Vec::new());
    let json = serde_json::to_string(&answer).unwrap();
    let now = "2026-11-24T14:26:00+01:00[Europe/Berlin]".parse().unwrap();
    let text = explanation(&answer, &Page { width: 80, colour: false, now });
    assert!(!json.contains("hunter2") && !text.contains("hunter2"), "{json}");
    text
}

fn read(config: &str, credentials: &str, name: &str) -> String {
    read_in(config, credentials, name, MfaWay::Session)
}

#[test]
fn a_permission_set() {
    insta::assert_snapshot!(read(SSO, "", "dev"), @r"
    profile dev
      1. sign-in to sso-session `corp` at https://corp.example/start
         (~/.aws/config:1)
         - as long as its administrator lets it last; AWS does not say
      2. SSO permission set `Developer` in account 111122223333 through sso-session
         `corp` (~/.aws/config:7)
         - the permission set's own session duration, 1 h to 12 h

    limit
      the permission set decides how long the keys live; eksd renews them until the
      sign-in to `corp` ends: then a person runs `eksd login dev`

    [profile dev]
      sso_session = corp (~/.aws/config:5)
      sso_account_id = 111122223333 (~/.aws/config:6)
      sso_role_name = Developer (~/.aws/config:7)
      region = eu-central-1 (~/.aws/config:8)

    [sso-session corp]
      sso_start_url = https://corp.example/start (~/.aws/config:2)
      sso_region = eu-west-1 (~/.aws/config:3)
    ");
}

const GUARDED: &str = "\
[profile admin]
role_arn = arn:aws:iam::111122223333:role/Admin
source_profile = ann
mfa_serial = arn:aws:iam::444455556666:mfa/ann
duration_seconds = 7200
[profile deep]
role_arn = arn:aws:iam::777788889999:role/Deep
source_profile = admin
duration_seconds = 900
";

#[test]
fn an_mfa_session_and_roles_that_are_cut() {
    insta::assert_snapshot!(read(GUARDED, ANN, "deep"), @r"
    profile deep
      1. long-lived keys AKIAANN in a file (~/.aws/credentials:2)
      2. MFA session of device arn:aws:iam::444455556666:mfa/ann (12 h, shared by
         all roles that name it) (~/.aws/config:4)
         - 12 h, as asked for
      3. role arn:aws:iam::111122223333:role/Admin assumed with the MFA session
         (~/.aws/config:2)
         - chained: at most 1 h; `duration_seconds = 7200` (~/.aws/config:5) is cut
           to 1 h because the role is chained
      4. role arn:aws:iam::777788889999:role/Deep assumed with the role of profile
         `admin` (~/.aws/config:7)
         - `duration_seconds = 900`: 15 min

    limit
      the keys live an hour at most, since the role is chained; eksd renews them
      until the MFA session ends, after 12 h: then a person gives a code to `eksd
      login deep`

    [profile deep]
      role_arn = arn:aws:iam::777788889999:role/Deep (~/.aws/config:7)
      source_profile = admin (~/.aws/config:8)
      duration_seconds = 900 (~/.aws/config:9)

    [profile admin]
      role_arn = arn:aws:iam::111122223333:role/Admin (~/.aws/config:2)
      source_profile = ann (~/.aws/config:3)
      mfa_serial = arn:aws:iam::444455556666:mfa/ann (~/.aws/config:4)
      duration_seconds = 7200 (~/.aws/config:5)

    [profile ann]
      aws_access_key_id = AKIAANN (~/.aws/credentials:2)
      aws_secret_access_key = (not shown) (~/.aws/credentials:3)

    notes
      - the Rust SDK ignores `duration_seconds`; the Go SDK does up to 15 minutes
        (~/.aws/config:9)
      - the Rust SDK ignores `mfa_serial` and calls without a code, the JavaScript
        SDK and Go SDK fail unless their program asks for codes, and Python programs
        ask each time they start (~/.aws/config:4)
      - the Rust SDK ignores `duration_seconds` (~/.aws/config:5)
    ");
}

#[test]
fn a_role_with_a_code_of_its_own() {
    insta::assert_snapshot!(read_in(GUARDED, ANN, "admin", MfaWay::PerRole), @r"
    profile admin
      1. long-lived keys AKIAANN in a file (~/.aws/credentials:2)
      2. role arn:aws:iam::111122223333:role/Admin assumed with the keys AKIAANN and
         a code (~/.aws/config:2)
         - `duration_seconds = 7200`: 2 h, where the role's own limit allows it

    limit
      the role's keys last until their own end: then a person gives a code to `eksd
      login admin`

    [profile admin]
      role_arn = arn:aws:iam::111122223333:role/Admin (~/.aws/config:2)
      source_profile = ann (~/.aws/config:3)
      mfa_serial = arn:aws:iam::444455556666:mfa/ann (~/.aws/config:4)
      duration_seconds = 7200 (~/.aws/config:5)

    [profile ann]
      aws_access_key_id = AKIAANN (~/.aws/credentials:2)
      aws_secret_access_key = (not shown) (~/.aws/credentials:3)

    notes
      - the Rust SDK ignores `mfa_serial` and calls without a code, the JavaScript
        SDK and Go SDK fail unless their program asks for codes, and Python programs
        ask each time they start (~/.aws/config:4)
      - the Rust SDK ignores `duration_seconds` (~/.aws/config:5)
    ");
}

#[test]
fn roles_in_a_circle() {
    let config = "[profile a]\nrole_arn = arn:aws:iam::1:role/A\nsource_profile = b\n\
                  [profile b]\nrole_arn = arn:aws:iam::1:role/B\nsource_profile = a\n";
    insta::assert_snapshot!(read(config, "", "a"), @r"
    profile a
      1. role arn:aws:iam::1:role/B of profile `b` (~/.aws/config:5)
      2. role arn:aws:iam::1:role/A of profile `a` (~/.aws/config:2)

    [profile a]
      role_arn = arn:aws:iam::1:role/A (~/.aws/config:2)
      source_profile = b (~/.aws/config:3)

    [profile b]
      role_arn = arn:aws:iam::1:role/B (~/.aws/config:5)
      source_profile = a (~/.aws/config:6)

    error: profile `a` cannot work as written
      because: the roles go in a circle: a → b → a (~/.aws/config:6)
      fix: mend `source_profile` at ~/.aws/config:6
    ");
}

#[test]
fn shadows() {
    let config = "[default]\nregion = us-east-1\n[profile default]\nregion = eu-west-1\n\
                  credential_process = /opt/tool --password hunter2\ngranted_sso_region = x\n\
                  [profile other]\nregion = a\nregion = b\n";
    let credentials = "[default]\naws_access_key_id = AKIAOLD\naws_secret_access_key = hunter2\n\
                       region = eu-north-1\n";
    insta::assert_snapshot!(read(config, credentials, "default"), @r"
    profile default
      1. long-lived keys AKIAOLD in a file (~/.aws/credentials:2)

    limit
      nothing ends by itself: long-lived keys last until somebody takes them back

    [profile default]
      credential_process = (not shown) (~/.aws/config:5)
      aws_access_key_id = AKIAOLD (~/.aws/credentials:2)
      aws_secret_access_key = (not shown) (~/.aws/credentials:3)
      region = eu-north-1 (~/.aws/credentials:4)
        - does not count: ~/.aws/config:2
        - does not count: ~/.aws/config:4

    notes
      - the AWS CLI refuses the whole of ~/.aws/config: the key stands a second
        time, first in line 8; the later value is taken (~/.aws/config:9)
      - programs disagree about `default`: the AWS CLI, JavaScript SDK and Go SDK
        take the keys in the file (~/.aws/credentials:2); the Rust SDK takes what
        `credential_process` prints (~/.aws/config:5); eksd does as the AWS CLI
      - keys of the same name at ~/.aws/credentials:2 stand beside
        `credential_process` at ~/.aws/config:5 and shadow it for some programs:
        remove them if nothing needs them
      - eksd cannot hand these keys out through the container endpoint: the AWS CLI
        and the SDKs want a session token and an end there
      - `granted_sso_region` is a setting of granted (~/.aws/config:6): eksd leaves
        it to that tool
      - the same section, written differently, stands in line 1; only this one
        counts (~/.aws/config:3)
    ");
}

/// Notes of a profile `p`.
fn notes(config: &str, credentials: &str) -> Vec<String> {
    let files = aws_files::parse(
        Some(("config", config.as_bytes())),
        Some(("credentials", credentials.as_bytes())),
    );
    let chain = chain::resolve(&files, "p");
    explain(&files, "p", chain.as_ref(), &Facts::default()).notes
}

#[track_caller]
fn says(config: &str, credentials: &str, expected: &[&str]) {
    let notes = notes(config, credentials);
    assert_eq!(notes.len(), expected.len(), "{notes:#?}");
    for (note, expected) in notes.iter().zip(expected) {
        assert!(note.contains(expected), "{note}\n{expected}");
    }
}

#[test]
fn a_code_that_nobody_can_give() {
    let ignored = "the Rust SDK ignores `mfa_serial`";
    let role = "[profile p]\nrole_arn = A\nsource_profile = k\nmfa_serial = ";
    let temporary =
        "[k]\naws_access_key_id = ASIAX\naws_secret_access_key = s\naws_session_token = t\n";
    let unused = "`mfa_serial` is not used (config:4): only long-lived keys";
    says(&format!("{role}M\n"), temporary, &[unused, ignored]);
    let key = "`mfa_serial` names a security key (config:4)";
    let long_lived = "[k]\naws_access_key_id = AKIAX\naws_secret_access_key = s\n";
    says(&format!("{role}arn:aws:iam::1:u2f/user/ann/k\n"), long_lived, &[key, ignored]);
    says(&format!("{role}M\n"), long_lived, &[ignored]);
}

#[test]
fn keys_and_settings_of_others() {
    let sso =
        format!("{SSO}[profile p]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = R\n");
    says(&sso, "", &[]);
    says(
        &format!("{sso}granted_sso_region = r\ngranted_sso_start_url = u\nazure_tenant_id = t\n"),
        "",
        &[
            "`azure_tenant_id` is a setting of aws-azure-login (config:15): eksd leaves it",
            "`granted_sso_region` is a setting of granted (config:13): eksd leaves it",
        ],
    );
    says(
        &sso,
        "[p]\naws_access_key_id = AKIAX\naws_secret_access_key = s\n",
        &[
            "programs disagree about `p`: the AWS CLI and Rust SDK take the SSO permission set \
             (config:11); the JavaScript SDK and Go SDK take the keys in the file (credentials:2)",
            "keys of the same name at credentials:2 stand beside `sso_account_id` at config:11",
        ],
    );
    says(
        &format!("{sso}sso_region = eu-west-1\n"),
        "",
        &[
            "the Rust SDK refuses it: `sso_region` may only stand in the `[sso-session]` (config:13)",
        ],
    );
}

#[test]
fn files_that_are_refused() {
    says(
        "[profile p]\ncredential_process = x\nregion = a\nregion = b # c\n",
        "",
        &[
            "the AWS CLI refuses the whole of config: the key stands a second time",
            "a time that ends in `UTC`",
            "the AWS CLI takes the comment as part of the value of `region`, the SDKs do not (config:4)",
        ],
    );
}

#[test]
fn a_process_that_is_eksd_is_said_to_be() {
    let process = "[profile p]\ncredential_process = eksd credential-process --profile dev\n";
    let itself = "`credential_process` of `p` is eksd itself (config:10): it stands for `dev`";
    // The AWS CLI runs it, and so does each SDK.
    says(&format!("{SSO}{process}"), "", &[itself]);
    // Keys of the credentials file go first: the process plays no part.
    let keys = "[p]\naws_access_key_id = AKIAX\naws_secret_access_key = s\n";
    let said = notes(&format!("{SSO}{process}"), keys);
    assert!(!said.iter().any(|note| note.contains("eksd itself")), "{said:#?}");
}

/// Steps and limit of a profile `p`, each step with its line and cap.
#[track_caller]
fn comes_to(config: &str, expected: &[&str]) {
    let config = format!("{SSO}{config}");
    let files = aws_files::parse(Some(("config", config.as_bytes())), None);
    let chain = chain::resolve(&files, "p");
    let explained = explain(&files, "p", chain.as_ref(), &Facts::default());
    let steps = explained.steps.iter().map(|step| {
        let cap = step.cap.as_deref().unwrap_or("-");
        format!("{} ({}): {cap}", step.what, step.origin)
    });
    assert_eq!(steps.chain(explained.limit).collect::<Vec<_>>(), expected, "{config}");
}

#[test]
fn every_source_in_words() {
    let signed_in = "sign-in to sso-session `corp` at https://corp.example/start (config:1): as long as \
                     its administrator lets it last; AWS does not say";
    comes_to(
        "[profile p]\nsso_session = corp\n",
        &[signed_in, "the profile names no account and role: it gives a token and no credentials"],
    );
    comes_to(
        "[profile p]\nsso_start_url = https://old\nsso_region = r\nsso_account_id = 1\nsso_role_name = R\n",
        &[
            "sign-in at https://old (config:10): as long as its administrator lets it last; AWS does \
             not say",
            "SSO permission set `R` in account 1 through https://old (config:13): the permission set's \
             own session duration, 1 h to 12 h",
            "the permission set decides how long the keys live; eksd renews them until the sign-in to \
             `https://old` ends: then a person runs `eksd login p`",
        ],
    );
    comes_to(
        "[profile p]\naws_access_key_id = ASIAX\naws_secret_access_key = s\naws_session_token = t\n\
         x_security_token_expires = 2026-11-24T15:00:00Z\n",
        &[
            "temporary keys ASIAX in a file (config:10): they end at 2026-11-24T15:00:00Z",
            "the temporary keys in the file decide: eksd cannot renew them, the tool that wrote them can",
        ],
    );
    comes_to(
        "[profile p]\nlogin_session = arn:aws:iam::1:user/ann\n",
        &[
            "console sign-in of arn:aws:iam::1:user/ann (`aws login`) (config:10): 15 min at a time, \
             until the sign-in ends",
            "the keys are renewed until the console sign-in ends: then a person runs `eksd login p`",
        ],
    );
    comes_to(
        "[profile p]\nrole_arn = A\nweb_identity_token_file = /t\n",
        &[
            "role A for the web identity token in /t (config:11): 1 h, which AWS gives unless \
             `duration_seconds` asks for another",
            "the keys are renewed as long as somebody keeps the token file fresh",
        ],
    );
    comes_to(
        "[profile p]\ncredential_process = '/opt/my tool' --password hunter2\n",
        &[
            "keys that a program prints: `/opt/my tool` (config:10): whatever `Expiration` it prints",
            "the keys are renewed as long as the program prints new ones",
        ],
    );
    let place = "[profile p]\nrole_arn = A\ncredential_source = ";
    let chained =
        "role A assumed with what the machine hands out (config:10): chained: at most 1 h";
    comes_to(
        &format!("{place}Ec2InstanceMetadata\n"),
        &[
            "the instance's role, from its metadata service (config:11): as the service says",
            chained,
            "the keys live an hour at most, since the role is chained; eksd renews them as long as the \
             machine hands them out",
        ],
    );
}
