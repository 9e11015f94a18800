//! The mirror config as its readers see it: the AWS CLIs, boto3, and the SDKs for JavaScript and Rust.
//!
//! Whatever a reader makes of a person's files, it makes of the mirror, but for credentials; and a
//! profile gets the keys that eksd has for this name and no other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use eksd::config::{Env, Paths};
use eksd::store::mirror::{Mirror, refresh};
use serde_json::{Map, Value};

use crate::home::DEVELOPER;
use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{aws_v2, js_sdk, tool};

/// A config with something of everything, and its credentials.
const RICH: (&str, &str) = (
    r#"# Mine.
[default]
region = eu-west-1
output = json

[profile dev]
# Why: the team's.
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
region = eu-central-1
output = text
cli_pager =
retry_mode = standard
max_attempts = 7
services = local
request_checksum_calculation = when_required
s3 =
  addressing_style = path
  max_concurrent_requests = 20
  payload_signing_enabled = true

[profile role]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = dev
duration_seconds = 3600
region=us-east-2
use_fips_endpoint = true
    
[profile legacy]
sso_start_url = https://d-1.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = Developer
use_dualstack_endpoint = true
region = us-west-2

[profile "my dev"]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = keys
region = ap-south-1
endpoint_url = http://127.0.0.1:9/all

[profile token]
sso_session = corp
region = eu-west-1

[profile keys]
region = from-config
retry_mode = adaptive

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://d-0123456789.awsapps.com/start
sso_registration_scopes = sso:account:access

[services local]
sts =
  endpoint_url = http://127.0.0.1:9/sts
eks =
  endpoint_url = http://127.0.0.1:9/eks

[plugins]
"#,
    "[keys]\naws_access_key_id = AKIAX\naws_secret_access_key = SECRET\nregion = sa-east-1\n\
     [only]\naws_access_key_id = AKIAY\naws_secret_access_key = SECRET\nregion = ca-central-1\ns3 =\n  addressing_style = virtual\n",
);

/// What makes any section one that eksd serves.
const KEYS: &str = "aws_access_key_id = AKIAZ\naws_secret_access_key = SECRET\n";

/// Files that the readers do not take alike. `&` stands for [`KEYS`].
const ODD: [(&str, &str); 18] = [
    ("", ""),
    ("# a comment\n; another", "[a]\n&"),
    ("[profile a]\n&[profile b]#c\nregion = r\n&", ""),
    ("[profile a]\n&[profile b] x\nregion = r\n&", ""),
    ("[profile a]\n&[profile \"b\"]\nregion = r\n&[profile\tc]\n&", "[b]\nregion = s\n&"),
    ("[profile a]\n&[profile 'it'\"'\"'s $x `y` \\ !']\nregion = r\n&", ""),
    ("[profile a]\n&[profile a%%b%s]\n&[profile a/b@c.d:e+f]\n&", ""),
    ("[profile é]\nregion = r\n&", "[a b]\n&[x'y]\n&[a #b]\n&[a]b]\n&"),
    ("[default]\nregion = q\n&[profile default]\nregion = r\n&", "[default]\noutput = text\n"),
    ("[profile a]\nregion = q\n&[profile a]\nregion = r\n", "[a]\nregion = s\n"),
    ("[profile a]\nregion = q\nregion = r\n&", "[a]\nregion = s\n"),
    ("[profile a]\nregion: q\n&output = x # y\ns3 =\n\n  # c\n  a = b\n", ""),
    ("[profile a]\n  &  region = q\n    more\n", "[a]\n    output = x\n      y\n"),
    (
        "[profile a]\nregion = q\n  role_arn = x\n  source_profile = b\n  aws_secret_access_key = SECRET\n&",
        "[b]\nx = y\n  role_arn = z\n&",
    ),
    ("region = q\n[profile a]\n&nonsense\noutput = x\n[profile b\nregion = r\n&[profile c]\n&", ""),
    ("\u{feff}[profile a]\nregion = r\n&", "\u{feff}[b]\n&"),
    ("[profile a]\r\nregion = r\r\n# c\r\noutput = x", "[a]\n&[b]\n&output = y"),
    ("[profile a]\naws_session_token = x\n  # c\nregion = r\n&[DEFAULT]\noutput = o\n[a]\n&", ""),
];

const CREDENTIALS: [&str; 15] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "role_arn",
    "source_profile",
    "duration_seconds",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
    "sso_registration_scopes",
    "mfa_serial",
    "external_id",
];

/// Files, and their mirrors, each in a folder `original` and `mirror`.
struct Mirrored {
    place: Place,
    folders: Vec<PathBuf>,
}

impl Mirrored {
    fn new() -> Self {
        let mut place = Place::at(None);
        // Else it stands above what the files say.
        place.unset("AWS_ENDPOINT_URL");
        fs::create_dir(place.path("my bin")).unwrap();
        // Keys that tell for which name they were asked.
        place.script(
            "my bin/eksd",
            "#!/bin/sh\n[ \"$# $1 $2\" = '3 credential-process --profile' ] || exit 2\n\
             name=$(printf %s \"$3\" | od -An -v -tx1 | tr -d ' \\n')\n\
             echo \"{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"AK-$name\\\",\\\"SecretAccessKey\\\":\\\"s\\\",\
             \\\"SessionToken\\\":\\\"t\\\",\\\"Expiration\\\":\\\"2100-01-01T00:00:00Z\\\"}\"\n",
        );
        let mut mirrored = Self { place, folders: Vec::new() };
        mirrored.add(RICH.0, RICH.1);
        mirrored
    }

    fn with_odd_ones() -> Self {
        let mut mirrored = Self::new();
        for (config, credentials) in ODD {
            mirrored.add(&config.replace('&', KEYS), &credentials.replace('&', KEYS));
        }
        mirrored
    }

    fn add(&mut self, config: &str, credentials: &str) {
        let name = format!("case {}", self.folders.len());
        let folder = self.place.path(&name);
        fs::create_dir_all(folder.join("original")).unwrap();
        fs::write(folder.join("original/config"), config).unwrap();
        fs::write(folder.join("original/credentials"), credentials).unwrap();
        let original = |file: &str| folder.join("original").join(file).into_os_string();
        let paths = Paths::new(&Env::from_map([
            ("HOME", self.place.path("home").into_os_string()),
            ("XDG_DATA_HOME", folder.join("data").into_os_string()),
            ("AWS_CONFIG_FILE", original("config")),
            ("AWS_SHARED_CREDENTIALS_FILE", original("credentials")),
        ]));
        let Mirror { config, credentials, .. } =
            refresh(&paths.unwrap(), self.eksd().to_str().unwrap()).unwrap();
        assert!(fs::read(&credentials).unwrap().is_empty());
        assert!(!fs::read_to_string(&config).unwrap().contains("SECRET"));
        fs::rename(config.parent().unwrap(), folder.join("mirror")).unwrap();
        self.folders.push(folder);
    }

    fn eksd(&self) -> PathBuf {
        self.place.path("my bin/eksd")
    }

    /// Runs a program that reads the files of all folders.
    #[track_caller]
    fn all(&self, program: &Path, words: &[&Path]) -> Vec<[Value; 2]> {
        let mut command = self.place.command(program);
        command.args(words).args(&self.folders);
        let mut seen = Ran::from(command.output().unwrap()).json();
        let folders = self.folders.iter();
        folders
            .map(|folder| {
                let seen = seen[folder.to_str().unwrap()].take();
                [seen["original"].clone(), seen["mirror"].clone()]
            })
            .collect()
    }

    /// Runs a program on the rich config (`original`) or its mirror.
    fn one(&self, which: &str, program: &Path, words: &[&str]) -> Ran {
        let folder = self.folders[0].join(which);
        let mut command = self.place.command(program);
        command.args(words).env("AWS_CONFIG_FILE", folder.join("config"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", folder.join("credentials"));
        command.output().unwrap().into()
    }
}

/// What the stub hands out for a name.
fn keys_for(name: &str) -> String {
    let hex = |text: String, byte| format!("{text}{byte:02x}");
    name.bytes().fold("AK-".to_owned(), hex)
}

/// A profile's keys that are not about credentials.
fn settings(profile: &Value) -> Map<String, Value> {
    let mut keys = profile.as_object().cloned().unwrap_or_default();
    keys.retain(|key, _| !CREDENTIALS.contains(&key.as_str()));
    for value in keys.values_mut() {
        if let Value::String(text) = value {
            *text = setting(text);
        }
    }
    keys
}

/// A value without the lines in which JavaScript would see credentials.
fn setting(text: &str) -> String {
    let is_other = |line: &&str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        !CREDENTIALS.contains(&key)
    };
    text.lines().filter(is_other).collect::<Vec<_>>().join("\n")
}

fn all_settings(seen: &Value) -> BTreeMap<String, Map<String, Value>> {
    let profiles = seen["profiles"].as_object().unwrap().iter();
    profiles.map(|(name, profile)| (name.clone(), settings(profile))).collect()
}

#[track_caller]
fn everybody_gets_their_own_keys(seen: &Value) -> usize {
    let keys = seen["keys"].as_object().unwrap();
    for (name, key) in keys {
        assert_eq!(key, &keys_for(name), "{name}: {seen:#}");
    }
    keys.len()
}

#[test]
fn boto3_sees_the_same_settings_and_its_own_keys() {
    let mirrored = Mirrored::with_odd_ones();
    mirrored.place.write("read.py", include_str!("mirror/read.py"));
    let seen = mirrored.all(&tool("python3"), &[&mirrored.place.path("read.py")]);

    let [original, mirror] = &seen[0];
    assert_eq!(everybody_gets_their_own_keys(mirror), 6, "{mirror:#}");
    assert_eq!(original["clients"], mirror["clients"]);
    let dev = &mirror["clients"]["dev"];
    assert_eq!(dev["region"], "eu-central-1");
    assert_eq!(dev["sts"][0], "http://127.0.0.1:9/sts");
    assert_eq!(dev["sts"][1]["mode"], "standard");
    assert!(dev["s3"][2].as_str().unwrap().contains("'addressing_style': 'path'"), "{dev}");
    assert_eq!(mirror["clients"]["keys"]["region"], "sa-east-1");
    assert_eq!(mirror["profiles"]["token"], original["profiles"]["token"]);

    let mut served = 0;
    for [original, mirror] in &seen {
        if mirror.get("error").is_some() {
            assert!(original.get("error").is_some(), "{mirror:#}");
            continue;
        }
        served += everybody_gets_their_own_keys(mirror);
        if original.get("error").is_none() {
            assert_eq!(all_settings(original), all_settings(mirror));
            assert_eq!(original["rest"], mirror["rest"]);
        }
    }
    assert_eq!(served, 37);
}

#[test]
fn the_javascript_sdk_sees_the_same_settings_and_its_own_keys() {
    let mirrored = Mirrored::with_odd_ones();
    mirrored.place.write("read.cjs", include_str!("mirror/read.cjs"));
    let seen = mirrored.all(&tool("node"), &[&mirrored.place.path("read.cjs"), &js_sdk()]);
    assert_eq!(everybody_gets_their_own_keys(&seen[0][1]), 5, "{:#}", seen[0][1]);
    assert_eq!(all_settings(&seen[0][0]), all_settings(&seen[0][1]));
    let served: usize = seen.iter().map(|[_, mirror]| everybody_gets_their_own_keys(mirror)).sum();
    assert_eq!(served, 31);
}

#[test]
fn the_aws_clis_see_the_same_settings_and_their_own_keys() {
    let mirrored = Mirrored::new();
    for cli in [tool("aws"), aws_v2()] {
        for (profile, key) in
            [("dev", "region"), ("dev", "s3.addressing_style"), ("my dev", "endpoint_url")]
        {
            let words = ["configure", "get", key, "--profile", profile];
            let [original, mirror] =
                ["original", "mirror"].map(|which| mirrored.one(which, &cli, &words));
            assert_eq!(
                (original.code, &original.out),
                (mirror.code, &mirror.out),
                "{key} of {profile}: {mirror:?}"
            );
        }
    }
    for profile in ["role", "my dev"] {
        let words = ["configure", "export-credentials", "--profile", profile];
        let keys = mirrored.one("mirror", &aws_v2(), &words).json();
        assert_eq!(keys["AccessKeyId"], keys_for(profile));
        // The older one shows four characters of them.
        let words = ["configure", "list", "--profile", profile];
        let list = mirrored.one("mirror", &tool("aws"), &words).ok();
        let keys = keys_for(profile);
        let shown = format!("{} custom-process", &keys[keys.len() - 4..]);
        assert!(list.split_whitespace().collect::<Vec<_>>().join(" ").contains(&shown), "{list}");
    }
}

#[expect(deprecated, reason = "the name that does without another dependency")]
fn rust_files(folder: &Path) -> aws_config::profile::profile_file::ProfileFiles {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let builder = ProfileFiles::builder().with_file(ProfileFileKind::Config, folder.join("config"));
    builder.with_file(ProfileFileKind::Credentials, folder.join("credentials")).build()
}

#[tokio::test]
async fn the_rust_sdk_sees_the_same_settings_and_its_own_keys() {
    use aws_types::os_shim_internal::{Env, Fs};
    let mirrored = Mirrored::with_odd_ones();
    let mut served = 0;
    for folder in &mirrored.folders {
        let [original, mirror] = ["original", "mirror"].map(|which| folder.join(which));
        let load = async |folder| {
            aws_config::profile::load(&Fs::real(), &Env::from_slice(&[]), &rust_files(folder), None)
                .await
        };
        let (original, mirror) = match (load(&original).await, load(&mirror).await) {
            (original, Ok(mirror)) => (original.ok(), mirror),
            (Err(_), Err(_)) => continue,
            (Ok(_), Err(error)) => panic!("the mirror is refused: {error}"),
        };
        for name in mirror.profiles() {
            let profile = mirror.get_profile(name).unwrap();
            if let Some(process) = profile.get("credential_process") {
                assert!(process.ends_with(&format!(" --profile {name}")), "{name}: {process}");
                served += 1;
            }
            let Some(original) = original.as_ref().and_then(|it| it.get_profile(name)) else {
                continue;
            };
            for key in ["region", "output", "s3", "services", "retry_mode", "endpoint_url"] {
                let [original, mirror] = [original, profile].map(|it| it.get(key).map(setting));
                assert_eq!(original, mirror, "{key} of {name}");
            }
        }
        for name in original.iter().flat_map(aws_config::profile::ProfileSet::profiles) {
            assert!(mirror.get_profile(name).is_some(), "`{name}` is gone");
        }
    }
    assert_eq!(served, 30);
}

/// With the agent and the lab: a chain of roles, and no file in which a tool could find a key.
#[test]
fn a_chain_of_roles_through_the_mirror() {
    let mut place = Place::new();
    place.login();
    let env = [("HOME", place.path("home"))];
    let paths = Paths::new(&Env::from_map(env)).unwrap();
    let mirror = refresh(&paths, place.program("eksd").to_str().unwrap()).unwrap();
    place.set("AWS_CONFIG_FILE", mirror.config.to_str().unwrap());
    place.set("AWS_SHARED_CREDENTIALS_FILE", mirror.credentials.to_str().unwrap());
    for cli in [tool("aws"), aws_v2()] {
        for (profile, arn) in [
            ("dev", DEVELOPER),
            ("chained", "arn:aws:sts::111122223333:assumed-role/second/"),
            ("keys", "arn:aws:iam::111122223333:user/alice"),
        ] {
            let who = format!("--profile {profile} sts get-caller-identity --output json");
            let who = place.real(&cli, &who).json();
            assert!(who["Arn"].as_str().unwrap().starts_with(arn), "{profile}: {who}");
        }
    }
    assert_eq!(place.lab().count("AssumeRole"), 1, "once for both, by eksd");
}
