//! The shared token cache, as the AWS CLI writes it.

use std::{
    os::unix::fs::{MetadataExt, symlink},
    sync::Barrier,
};

use serde_json::json;

use super::*;
use crate::{config::Env, model::Reach, store::Tear};

struct Home {
    dir: tempfile::TempDir,
    cache: SsoCache,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(&Env::from_map([("HOME", dir.path())])).unwrap();
        Self { cache: SsoCache::new(&paths), dir }
    }

    /// Writes a file as another tool would.
    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(".aws/sso/cache").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file as somebody else wrote it")]
        fs::write(&path, text).unwrap();
        path
    }

    fn put_token(&self, text: &str) -> PathBuf {
        self.put("0ad374308c5a4e22f723adf10145eafad7c4031c.json", text)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.cache.token_path(&key())).unwrap()
    }
}

fn key() -> LoginKey {
    LoginKey::Named("my-sso".to_owned())
}

fn login() -> SsoLogin {
    SsoLogin {
        key: key(),
        start_url: "https://d-1234567890.awsapps.com/start".to_owned(),
        scopes: vec!["sso:account:access".to_owned()],
        reach: Reach::default().to_region("us-east-1"),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn registration() -> Registration {
    Registration {
        client_id: "ID".to_owned(),
        client_secret: Secret::new("hush"),
        expires_at: at("2027-02-21T19:00:00Z"),
        scopes: Vec::new(),
    }
}

fn token(access_token: &str) -> SsoToken {
    SsoToken {
        access_token: Secret::new(access_token),
        expires_at: at("2026-11-23T20:00:00.9Z"),
        refresh_token: Some(Secret::new("again")),
        registration: Some(registration()),
    }
}

/// What the AWS CLI writes, with two fields that eksd does not know.
const FROM_CLI: &str = r#"{"startUrl": "https://d-1234567890.awsapps.com/start", "region": "us-east-1",
 "issuer": {"z": 1, "a": [null, 1.5]}, "accessToken": "AT", "expiresAt": "2026-11-23T20:00:00Z", "clientId": "ID",
 "clientSecret": "hush", "registrationExpiresAt": "2027-02-21T19:00:00UTC", "refreshToken": "again", "idToken": "eyJ"}"#;

#[test]
fn what_the_cli_wrote_is_read() {
    let home = Home::new();
    assert_eq!(home.cache.read(&key()).unwrap(), None);
    let path = home.put_token(FROM_CLI);
    let cached = home.cache.read(&key()).unwrap().unwrap();
    let expected = SsoToken { expires_at: at("2026-11-23T20:00:00Z"), ..token("AT") };
    assert_eq!(cached.token, expected);
    assert_eq!(cached.start_url.as_deref(), Some("https://d-1234567890.awsapps.com/start"));
    assert_eq!(cached.region.as_deref(), Some("us-east-1"));
    assert_eq!(cached.other.names().collect::<Vec<_>>(), ["issuer", "idToken"]);
    let modified = path.metadata().unwrap().modified().unwrap();
    assert_eq!(cached.modified_at, Timestamp::try_from(modified).unwrap());
}

#[test]
fn only_two_fields_are_needed_and_half_a_registration_is_none() {
    let home = Home::new();
    home.put_token(
        r#"{"accessToken":"AT","expiresAt":"2026-11-23T20:00:00Z","clientId":"ID","clientSecret":"hush","refreshToken":""}"#,
    );
    let cached = home.cache.read(&key()).unwrap().unwrap();
    assert_eq!((cached.token.registration, cached.token.refresh_token), (None, None));
    assert_eq!((cached.start_url, cached.region), (None, None));
}

#[test]
fn a_file_that_is_not_whole_is_torn_and_never_absent() {
    let home = Home::new();
    for (text, expected) in [
        ("", Tear::Empty),
        (" \n", Tear::Empty),
        ("\0\0\0\0", Tear::Empty),
        ("{", Tear::Short),
        (&FROM_CLI[..FROM_CLI.len() / 2], Tear::Short),
        (&FROM_CLI[..FROM_CLI.len() - 1], Tear::Short),
        (&format!("{FROM_CLI}\"}}"), Tear::TrailingGarbage),
        (&format!("{FROM_CLI}{FROM_CLI}"), Tear::TrailingGarbage),
        ("accessToken", Tear::NotJson),
        ("{\"accessToken\": \"AT\", \0\0\0", Tear::NotJson),
    ] {
        home.put_token(text);
        match home.cache.read(&key()) {
            Err(StoreError::Torn { how, .. }) => assert_eq!(how, expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn every_beginning_of_a_token_is_torn() {
    let home = Home::new();
    for end in 0..FROM_CLI.len() {
        home.put_token(&FROM_CLI[..end]);
        let result = home.cache.read(&key());
        assert!(matches!(result, Err(StoreError::Torn { .. })), "{end}: {result:?}");
    }
}

#[test]
fn a_whole_file_that_is_no_token_is_unusable() {
    let home = Home::new();
    for text in [
        "[]",
        "{}",
        r#"{"accessToken":"AT"}"#,
        r#"{"accessToken":5,"expiresAt":"2026-11-23T20:00:00Z"}"#,
        r#"{"accessToken":"AT","expiresAt":"2026-11-23T20:00:00"}"#,
        r#"{"accessToken":"AT","expiresAt":1795462132}"#,
    ] {
        home.put_token(text);
        let result = home.cache.read(&key());
        assert!(matches!(result, Err(StoreError::Unusable { .. })), "{text}: {result:?}");
    }
}

#[test]
fn a_new_file_is_as_the_cli_writes_it() {
    let home = Home::new();
    home.cache.write(&key(), &login(), &token("AT")).unwrap();
    assert_eq!(
        home.text(),
        r#"{"startUrl":"https://d-1234567890.awsapps.com/start","region":"us-east-1","accessToken":"AT","expiresAt":"2026-11-23T20:00:00Z","clientId":"ID","clientSecret":"hush","registrationExpiresAt":"2027-02-21T19:00:00Z","refreshToken":"again"}"#
    );
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode(&home.cache.token_path(&key())), 0o600);
    assert_eq!(mode(home.cache.dir()), 0o700);
    assert_eq!(fs::read_dir(home.cache.dir()).unwrap().count(), 1, "no locks beside the tokens");
}

#[test]
fn unknown_fields_and_the_order_of_all_are_kept() {
    let home = Home::new();
    home.put_token(FROM_CLI);
    home.cache.write(&key(), &login(), &token("NEW")).unwrap();
    assert_eq!(
        home.text(),
        r#"{"startUrl":"https://d-1234567890.awsapps.com/start","region":"us-east-1","issuer":{"a":[null,1.5],"z":1},"accessToken":"NEW","expiresAt":"2026-11-23T20:00:00Z","clientId":"ID","clientSecret":"hush","registrationExpiresAt":"2027-02-21T19:00:00Z","refreshToken":"again","idToken":"eyJ"}"#
    );
}

#[test]
fn what_the_new_token_lacks_is_gone() {
    let home = Home::new();
    home.put_token(FROM_CLI);
    let bare = SsoToken { refresh_token: None, registration: None, ..token("NEW") };
    home.cache.write(&key(), &login(), &bare).unwrap();
    let fields: Value = serde_json::from_str(&home.text()).unwrap();
    let names: Vec<_> = fields.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["accessToken", "expiresAt", "idToken", "issuer", "region", "startUrl"]);
}

#[test]
fn a_torn_file_does_not_keep_a_new_token_from_being_written() {
    let home = Home::new();
    home.put_token("{\"acc");
    home.cache.write(&key(), &login(), &token("NEW")).unwrap();
    let cached = home.cache.read(&key()).unwrap().unwrap();
    assert_eq!(cached.token.access_token.expose(), "NEW");
}

#[test]
fn a_file_that_a_dotfile_tool_linked_stays_linked() {
    let home = Home::new();
    let path = home.put_token("{}");
    let elsewhere = home.dir.path().join("dots.json");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    home.cache.write(&key(), &login(), &token("NEW")).unwrap();
    assert!(path.is_symlink());
    assert!(fs::read_to_string(elsewhere).unwrap().contains("NEW"));
}

#[test]
fn secrets_do_not_show() {
    let home = Home::new();
    home.put_token(FROM_CLI);
    let cached = home.cache.read(&key()).unwrap().unwrap();
    let shown = format!("{cached:?}");
    for secret in ["AT\"", "hush", "again", "eyJ"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    home.put_token(&FROM_CLI.replace("refreshToken", "\n\n\u{1}"));
    let error = home.cache.read(&key()).unwrap_err();
    let shown = format!("{error:?}") + &crate::report::Report::from(error).to_string();
    assert!(!shown.contains("hush") && !shown.contains("eyJ"), "{shown}");
}

#[test]
fn updates_are_decided_under_the_lock() {
    let home = Home::new();
    let cache = &home.cache;
    let patience = Duration::ZERO;
    cache
        .update(&key(), patience, |found| {
            assert_eq!(found, None);
            assert!(cache.try_lock(&key()).unwrap().is_none());
            Decision::Write(Box::new(login()), Box::new(token("1")))
        })
        .unwrap();
    cache
        .update(&key(), patience, |found| {
            assert_eq!(found.unwrap().token.access_token.expose(), "1");
            Decision::Keep
        })
        .unwrap();
    let held = cache.try_lock(&key()).unwrap().unwrap();
    let result = cache.update(&key(), patience, |_| panic!("asked without the lock"));
    assert!(matches!(result, Err(StoreError::Locked { .. })), "{result:?}");
    drop(held);
    cache.update(&key(), patience, |_| Decision::Remove).unwrap();
    assert_eq!(cache.read(&key()).unwrap(), None);
    home.put_token("{");
    let result = cache.update(&key(), patience, |_| panic!("asked about half a file"));
    assert!(matches!(result, Err(StoreError::Torn { .. })), "{result:?}");
}

#[test]
fn no_update_is_lost() {
    const THREADS: usize = 8;
    const UPDATES: usize = 25;
    let home = Home::new();
    let cache = &home.cache;
    let start = Barrier::new(THREADS);
    cache.write(&key(), &login(), &token("0")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..UPDATES {
                    let add_one = |found: Option<Cached>| {
                        let old = found.unwrap().token.access_token;
                        let count = old.expose().parse::<usize>().unwrap() + 1;
                        Decision::Write(Box::new(login()), Box::new(token(&count.to_string())))
                    };
                    cache.update(&key(), Duration::from_mins(1), add_one).unwrap();
                }
            });
        }
    });
    let last = cache.read(&key()).unwrap().unwrap().token.access_token;
    assert_eq!(last.expose(), (THREADS * UPDATES).to_string());
}

#[test]
fn locks_of_different_logins_are_different() {
    let home = Home::new();
    let _one = home.cache.try_lock(&key()).unwrap().unwrap();
    assert!(home.cache.try_lock(&LoginKey::Named("other".into())).unwrap().is_some());
}

#[test]
fn the_list_holds_tokens_only() {
    let home = Home::new();
    assert_eq!(home.cache.list().unwrap(), []);
    let path = home.put_token(FROM_CLI);
    home.put(
        "registration.json",
        r#"{"clientId":"ID","clientSecret":"hush","expiresAt":"2027-02-21T19:00:00Z"}"#,
    );
    home.put("torn.json", "{");
    home.put("token.txt", FROM_CLI);
    let found = home.cache.list().unwrap();
    assert_eq!(found.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&path]);
    assert!(home.cache.remove_listed(&path).unwrap());
    assert!(!home.cache.remove_listed(&path).unwrap());
    let outside = home.dir.path().join("x");
    assert!(matches!(home.cache.remove_listed(&outside), Err(StoreError::Unsafe { .. })));
}

#[test]
fn registrations_are_the_clis() {
    let home = Home::new();
    let cache = &home.cache;
    let name = "a8343d65418848d0bc13a5f25cbb32508ceec5d1.json";
    let scopes = vec!["sso:account:access".to_owned()];
    let registration = Registration { scopes, ..registration() };
    let now = at("2026-11-24T00:00:00Z");

    cache.write_registration(&login(), Grant::AuthorizationCode, &registration).unwrap();
    let path = cache.dir().join(name);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        r#"{"clientId":"ID","clientSecret":"hush","expiresAt":"2027-02-21T19:00:00Z","scopes":["sso:account:access"],"grantTypes":["authorization_code","refresh_token"]}"#
    );
    let read = |grant, now| cache.read_registration(&login(), grant, now);
    assert_eq!(read(Grant::AuthorizationCode, now), Some(registration.clone()));
    assert_eq!(read(Grant::DeviceCode, now), None, "a client for browsers");
    assert_eq!(read(Grant::AuthorizationCode, registration.expires_at), None, "it has ended");

    cache.write_registration(&login(), Grant::DeviceCode, &registration).unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains("grantTypes"));
    assert_eq!(read(Grant::DeviceCode, now), Some(registration));
    assert_eq!(read(Grant::AuthorizationCode, now), None, "a client for device codes");

    home.put(name, "{");
    assert_eq!(read(Grant::DeviceCode, now), None, "torn");
    assert!(cache.remove_registration(&login()).unwrap());
    assert!(!cache.remove_registration(&login()).unwrap());
}

#[test]
fn role_credentials_of_the_cli_can_be_removed() {
    let home = Home::new();
    let cli = |name: &str| format!("../../cli/cache/{name}");
    home.put("x", "");
    let known = cli("0521d1f6a6c4e68f9e18540309367cc3cccb6305.json");
    home.put(&known, "{}");
    assert!(home.cache.remove_cli_role_cache("111122223333", "ReadOnly", &key()).unwrap());
    assert!(!home.cache.remove_cli_role_cache("111122223333", "ReadOnly", &key()).unwrap());

    let config = "[profile p]\nrole_arn = arn:aws:iam::111122223333:role/Dev\nsource_profile = k\n\
                  mfa_serial = arn:aws:iam::444455556666:mfa/alice\n\
                  [profile k]\naws_access_key_id = AKIAX\naws_secret_access_key = s\n";
    let files = crate::config::aws_files::parse(Some(("config", config.as_bytes())), None);
    let chain = crate::model::chain::resolve(&files, "p").unwrap();
    home.put(&cli("dee324370f086c254c034ee24bb56732ded5ad30.json"), "{}");
    assert_eq!(home.cache.remove_cli_assumed_roles(&chain).unwrap(), 1);
    assert_eq!(home.cache.remove_cli_assumed_roles(&chain).unwrap(), 0);

    home.put(&cli("a.json"), &json!({"ProviderType": "sso", "Credentials": {}}).to_string());
    let kept = [
        home.put(&cli("b.json"), &json!({"Credentials": {}}).to_string()),
        home.put(&cli("c.json"), "{"),
        home.put(&cli("session.db"), "SQLite"),
    ];
    assert_eq!(home.cache.remove_cli_sso_roles().unwrap(), 1);
    assert!(kept.iter().all(|path| path.exists()));
    assert_eq!(Home::new().cache.remove_cli_sso_roles().unwrap(), 0);
}
