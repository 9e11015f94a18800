//! The cache of console sign-ins, as the AWS CLI writes it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use super::*;
use crate::{config::Env, store::Tear};

const ARN: &str = "arn:aws:iam::111122223333:user/alice";

/// SHA-256 of the ARN, by coreutils' `sha256sum`.
const NAME: &str = "5778c30d3fe8c123cb2ab0d5a82c81b6fdcedfb868a6625f6f5bf6f05a7f129b.json";

struct Home {
    dir: tempfile::TempDir,
    cache: LoginCache,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(&Env::from_map([("HOME", dir.path())])).unwrap();
        Self { cache: LoginCache::new(&paths), dir }
    }

    /// Writes the file as another tool would.
    fn put(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join(".aws/login/cache").join(NAME);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file as somebody else wrote it")]
        fs::write(&path, text).unwrap();
        path
    }

    fn text(&self) -> String {
        fs::read_to_string(self.cache.path(ARN)).unwrap()
    }
}

/// What the AWS CLI writes, with two fields that eksd does not know.
const FROM_CLI: &str = r#"{"accessToken": {"accessKeyId": "ASIAX", "secretAccessKey": "SECRET",
 "sessionToken": "SESSION", "accountId": "111122223333", "expiresAt": "2026-11-23T20:00:00Z", "more": [1]},
 "tokenType": "aws_sigv4", "zone": {"b": 1}, "clientId": "arn:aws:signin:::devtools/same-device", "refreshToken": "AGAIN",
 "idToken": "eyJ", "dpopKey": "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n"}"#;

fn token() -> ConsoleToken {
    ConsoleToken {
        keys: Credentials {
            access_key_id: "ASIAX".to_owned(),
            secret_access_key: Secret::new("SECRET"),
            session_token: Some(Secret::new("SESSION")),
            expires_at: Some("2026-11-23T20:00:00Z".parse().unwrap()),
            account_id: Some("111122223333".to_owned()),
        },
        client_id: "arn:aws:signin:::devtools/same-device".to_owned(),
        refresh_token: Secret::new("AGAIN"),
        id_token: Some(Secret::new("eyJ")),
        dpop_key: Secret::new(
            "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n",
        ),
    }
}

#[test]
fn what_the_cli_wrote_is_read() {
    let home = Home::new();
    assert_eq!(home.cache.read(ARN).unwrap(), None);
    let path = home.put(FROM_CLI);
    assert_eq!(home.cache.path(ARN), path);
    let cached = home.cache.read(ARN).unwrap().unwrap();
    assert_eq!(cached.token, token());
    assert_eq!(Some(cached.expires_at), token().keys.expires_at);
    let modified = path.metadata().unwrap().modified().unwrap();
    assert_eq!(cached.modified_at, Timestamp::try_from(modified).unwrap());
    assert!(!format!("{cached:?}").contains("SECRET"));
}

#[test]
fn what_is_written_keeps_what_eksd_does_not_know() {
    let home = Home::new();
    home.put(FROM_CLI);
    let mut next = token();
    next.keys.session_token = Some(Secret::new("NEXT"));
    next.refresh_token = Secret::new("AFTER");
    home.cache.write(ARN, &next).unwrap();
    let expected =
        FROM_CLI.replace("\n ", " ").replace("SESSION", "NEXT").replace("AGAIN", "AFTER");
    assert_eq!(home.text(), expected.replace("\": ", "\":").replace(", \"", ",\""));
    assert_eq!(home.cache.read(ARN).unwrap().unwrap().token, next);
    assert_eq!(home.cache.path(ARN).metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_first_file_is_the_clis() {
    let home = Home::new();
    home.cache.write(ARN, &token()).unwrap();
    let expected = FROM_CLI
        .replace("\n ", " ")
        .replace(", \"more\": [1]", "")
        .replace("\"zone\": {\"b\": 1}, ", "");
    assert_eq!(home.text(), expected.replace("\": ", "\":").replace(", \"", ",\""));
    assert!(home.cache.remove(ARN).unwrap());
    assert!(!home.cache.remove(ARN).unwrap());
}

#[test]
fn a_file_that_is_being_written_is_torn() {
    let home = Home::new();
    for (text, how) in [
        ("", Tear::Empty),
        (&FROM_CLI[..200], Tear::Short),
        (&format!("{FROM_CLI}}}"), Tear::TrailingGarbage),
    ] {
        home.put(text);
        match home.cache.read(ARN).unwrap_err() {
            StoreError::Torn { how: found, .. } => assert_eq!(found, how),
            other => panic!("{other:?}"),
        }
        // A new token is worth more than that.
        home.cache.write(ARN, &token()).unwrap();
        assert_eq!(home.cache.read(ARN).unwrap().unwrap().token, token());
    }
}

#[test]
fn what_lacks_something_says_what() {
    let home = Home::new();
    for (from, to, expected) in [
        ("\"clientId\"", "\"x\"", "it has no client"),
        ("\"refreshToken\"", "\"x\"", "it has no refresh token"),
        ("\"dpopKey\"", "\"x\"", "it has no key for proofs"),
        ("\"accessToken\"", "\"x\"", "it has no keys"),
        ("\"accessKeyId\"", "\"x\"", "its keys have no id"),
        ("\"secretAccessKey\"", "\"x\"", "its keys have no secret"),
        ("\"sessionToken\"", "\"x\"", "its keys have no session token"),
        ("\"expiresAt\"", "\"x\"", "its keys have no end"),
        (":00Z", "", "its `expiresAt` is not an instant with a zone"),
    ] {
        home.put(&FROM_CLI.replace(from, to));
        match home.cache.read(ARN).unwrap_err() {
            StoreError::Unusable { why, .. } => assert_eq!(why, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    home.put(r#"{"accessToken": "a text, as in a file of the SSO cache"}"#);
    assert!(matches!(home.cache.read(ARN), Err(StoreError::Unusable { .. })));
    home.put(&FROM_CLI.replace("\"accountId\"", "\"x\"").replace("\"idToken\"", "\"y\""));
    let found = home.cache.read(ARN).unwrap().unwrap().token;
    assert_eq!((found.keys.account_id, found.id_token), (None, None));
}

#[test]
fn a_link_out_of_the_folder_is_followed() {
    let home = Home::new();
    let path = home.put(FROM_CLI);
    let elsewhere = home.dir.path().join("kept-elsewhere.json");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let mut next = token();
    next.refresh_token = Secret::new("AFTER");
    home.cache.write(ARN, &next).unwrap();
    assert!(path.is_symlink());
    assert!(fs::read_to_string(&elsewhere).unwrap().contains("AFTER"));
}

#[test]
fn one_renews_at_a_time() {
    let home = Home::new();
    let held = home.cache.lock(ARN, Duration::ZERO).unwrap();
    let refused = home.cache.lock(ARN, Duration::ZERO).unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused:?}");
    home.cache.lock("arn:aws:iam::111122223333:root", Duration::ZERO).map(drop).unwrap();
    drop(held);
    home.cache.lock(ARN, Duration::ZERO).map(drop).unwrap();
}
