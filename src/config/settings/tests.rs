//! What settings files say, and what is said about their mistakes.

use super::*;

#[track_caller]
fn fails(text: &str, expected: &str) {
    let report = Report::from(Settings::parse(text, "~/c.toml").unwrap_err());
    assert_eq!(report.code, Code::SettingsInvalid);
    assert_eq!(format!("{} | {}", report.what, report.fix), expected);
}

#[test]
fn an_empty_file_means_defaults() {
    assert_eq!(Settings::parse("", "x").unwrap(), Settings::default());
    assert_eq!(Settings::parse("[refresh]\n", "x").unwrap(), Settings::default());
}

#[test]
fn every_key() {
    let text = r#"
        [refresh]
        keep_warm = "1h30m"
        [notices]
        enabled = false
        before = ["2m", "1h", "2m"]
        [login]
        flow = "device-code"
        copy = false
        [aws]
        delivery = "profile"
        [mfa]
        session_duration = "36h"
        keyring = "auto"
        [mfa-device."arn:aws:iam::111122223333:mfa/ann"]
        process = "op item get aws --otp"
        [profile.dev]
        mfa = "per-role"
        [clusters]
        check_every = "1d"
        regions = ["eu-west-1", "us-gov-east-1"]
        alias = "{account_alias}-{name}"
        [sso-session.corp]
        length = "12h"
        browser = "firefox -P 'my work' %s"
        [sso-session."https://d-1.awsapps.com/start"]
        length = "90d"
        browser = ["open", "-a", "a b"]
    "#;
    let settings = Settings::parse(text, "x").unwrap();
    assert_eq!(settings.keep_warm, Duration::from_mins(90));
    assert!(!settings.notices_enabled);
    assert_eq!(settings.notices_before, [Duration::from_hours(1), Duration::from_mins(2)]);
    assert_eq!(settings.login_flow, LoginFlow::DeviceCode);
    assert!(!settings.login_copy);
    assert_eq!(settings.delivery, Delivery::Profile);
    assert_eq!(settings.mfa_session_duration, Duration::from_hours(36));
    assert_eq!(settings.keyring, KeyringUse::Auto);
    assert_eq!(settings.check_clusters_every, Duration::from_hours(24));
    assert_eq!(settings.cluster_regions, ["eu-west-1", "us-gov-east-1"]);
    assert_eq!(settings.cluster_alias.to_string(), "{account_alias}-{name}");
    let serial = "arn:aws:iam::111122223333:mfa/ann";
    assert_eq!(settings.mfa_process(serial), Some("op item get aws --otp"));
    assert_eq!(settings.mfa_process("ann"), None);
    assert_eq!(settings.mfa_way("dev"), MfaWay::PerRole);
    assert_eq!(settings.mfa_way("prod"), MfaWay::Session);
    let words = |session| settings.browser(session).map(|words| words.join("|"));
    assert_eq!(words("corp").as_deref(), Some("firefox|-P|my work|%s"));
    assert_eq!(words("https://d-1.awsapps.com/start").as_deref(), Some("open|-a|a b"));
    assert_eq!(words("other"), None);
    for (key, expected) in [
        (LoginKey::Named("corp".into()), Some(Duration::from_hours(12))),
        (
            LoginKey::StartUrl("https://d-1.awsapps.com/start".into()),
            Some(Duration::from_hours(90 * 24)),
        ),
        (LoginKey::Named("Corp".into()), None),
    ] {
        assert_eq!(settings.session_length(&key), expected, "{key}");
    }
}

#[test]
fn mistakes_name_their_line_and_what_was_meant() {
    fails(
        "[refresh]\nkeep_wram = \"1h\"\n",
        "~/c.toml:2: unknown key `keep_wram` in [refresh] | did you mean `keep_warm`?",
    );
    fails(
        "\n[notice]\nenabled = true\n",
        "~/c.toml:2: unknown key `notice` | did you mean `notices`?",
    );
    fails(
        "colour = true\n",
        "~/c.toml:1: unknown key `colour` | known here: refresh, notices, login, aws, mfa, mfa-device, clusters, profile, sso-session",
    );
    fails(
        "[sso-session.corp]\nlenght = \"8h\"",
        "~/c.toml:2: unknown key `lenght` in [sso-session.NAME] | did you mean `length`?",
    );
    fails(
        "[refresh]\nkeep_warm = 12\n",
        "~/c.toml:2: not a length of time | write one such as \"45s\", \"30m\", \"12h\", \"7d\" or \"1h30m\"",
    );
    fails(
        "[notices]\nbefore = [\n \"30m\",\n \"soon\"]",
        "~/c.toml:4: not a length of time | write one such as \"45s\", \"30m\", \"12h\", \"7d\" or \"1h30m\"",
    );
    fails("[notices]\nenabled = 1", "~/c.toml:2: not a switch | write `true` or `false`");
    fails(
        "[login]\nflow = \"Browser\"",
        "~/c.toml:2: not a way to log in | write \"auto\", \"browser\" or \"device-code\"",
    );
    fails(
        "refresh = 1",
        "~/c.toml:1: `refresh` is a section | write `[refresh]` and its keys below",
    );
}

#[test]
fn mistakes_in_what_people_choose() {
    for (text, expected) in [
        (
            "[aws]\ndelivery = \"env\"",
            "~/c.toml:2: not a way to deliver credentials | write \"mirror\" or \"profile\"",
        ),
        (
            "[mfa]\nkeyring = true",
            "~/c.toml:2: not a use of the key store | write \"off\", \"on\" or \"auto\"",
        ),
        (
            "[mfa]\nsession_duration = \"14m59s\"",
            "~/c.toml:2: AWS grants MFA sessions of 15 minutes to 36 hours | write one such as \"12h\"",
        ),
        (
            "[mfa]\n\nsession_duration = \"2d\"",
            "~/c.toml:3: AWS grants MFA sessions of 15 minutes to 36 hours | write one such as \"12h\"",
        ),
        (
            "[clusters]\nregion = [\"eu-west-1\"]",
            "~/c.toml:2: unknown key `region` in [clusters] | did you mean `regions`?",
        ),
        (
            "[clusters]\nregions = \"eu-west-1\"",
            "~/c.toml:2: not a list of regions | write them as [\"eu-west-1\", \"us-east-1\"]",
        ),
        (
            "[clusters]\nregions = [\"eu-west-1\",\n\"Ireland\"]",
            "~/c.toml:3: not the name of a region | write them as [\"eu-west-1\", \"us-east-1\"]",
        ),
        (
            "[clusters]\nalias = \"{acount_alias}-{name}\"",
            "~/c.toml:2: unknown field `{acount_alias}` | did you mean `{account_alias}`?",
        ),
        (
            "[clusters]\nalias = 1",
            "~/c.toml:2: a template without anything in it | write one such as \"{account_alias}-{name}\"; fields are {name}, {region}, {account_id}, {account_alias}, {profile}",
        ),
        (
            "[profile.dev]\nmfa = \"role\"",
            "~/c.toml:2: not a way to use MFA codes | write \"session\" or \"per-role\"",
        ),
        (
            "[profile]\ndev = 1",
            "~/c.toml:2: `profile.NAME` is a section | write `[profile.NAME]` and its keys below",
        ),
        (
            "[profile.dev]\nmfs = \"session\"",
            "~/c.toml:2: unknown key `mfs` in [profile.NAME] | did you mean `mfa`?",
        ),
    ] {
        fails(text, expected);
    }
    for value in ["\"\"", "\"it's\"", "1", "[\"\"]", "[]", "[1]"] {
        let error =
            Settings::parse(&format!("[sso-session.a]\nbrowser = {value}"), "c").unwrap_err();
        assert_eq!(error.to_string(), "c:2: not a command", "{value}");
    }
    for value in ["\"\"", "\"it's\"", "1", "[\"a\"]"] {
        let error =
            Settings::parse(&format!("[mfa-device.a]\nprocess = {value}"), "c").unwrap_err();
        assert_eq!(error.to_string(), "c:2: not a command", "{value}");
    }
}

#[test]
fn a_syntax_error_names_its_line() {
    let error = Settings::parse("[refresh]\nkeep_warm = \n", "~/c.toml").unwrap_err();
    assert!(error.to_string().starts_with("~/c.toml:2: "), "{error}");
}

#[test]
fn durations() {
    for (text, expected) in [
        ("45s", Some(45)),
        ("30m", Some(1_800)),
        ("12h", Some(43_200)),
        ("7d", Some(604_800)),
        ("1h30m", Some(5_400)),
        ("1d 2h", Some(93_600)),
        ("0s", Some(0)),
        ("", None),
        ("12", None),
        ("h", None),
        ("-1h", None),
        ("1.5h", None),
        ("30m1h", None),
        ("1h1h", None),
        ("1w", None),
        ("1é", None),
        ("99999999999999999999s", None),
        ("18446744073709551615d", None),
        ("4000d", None),
    ] {
        assert_eq!(parse_duration(text).map(|length| length.as_secs()), expected, "{text}");
    }
}

#[test]
fn files() {
    let home = tempfile::tempdir().unwrap();
    let env = crate::config::Env::from_map([("HOME", home.path())]);
    let mut paths = Paths::new(&env).unwrap();
    assert_eq!(Settings::load(&paths).unwrap(), Settings::default());
    paths.settings = home.path().to_owned();
    let report = Report::from(Settings::load(&paths).unwrap_err());
    assert_eq!((report.code, report.what.as_str()), (Code::ReadFailed, "`~` cannot be read"));
}
