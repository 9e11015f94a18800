//! A person with a home of their own, who runs real programs against a lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eksd_lab::{Lab, Script};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use tempfile::TempDir;

use super::sign_in;

pub(crate) const LAB_BINARY: &str = env!("CARGO_BIN_EXE_eksd-lab");
const CONFIG: &str = "\
[default]
region = eu-west-1
[profile dev]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/dev
source_profile = default
[profile second]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/second
source_profile = dev
[profile sso]
region = eu-west-1
sso_session = lab
sso_account_id = 111122223333
sso_role_name = Developer
[sso-session lab]
sso_region = eu-west-1
sso_start_url = https://d-0123456789.awsapps.com/start
sso_registration_scopes = sso:account:access
";

pub(crate) const CREDENTIALS: &str = "\
[default]
aws_access_key_id = AKIALABALICE00000001
aws_secret_access_key = alice-long-term-secret
";

/// A person with an empty home and a lab.
pub(crate) struct Person {
    pub(crate) home: TempDir,
    pub(crate) lab: Lab,
    pub(crate) path: Option<PathBuf>,
}

/// What a program did.
pub(crate) struct Outcome {
    pub(crate) good: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    pub(crate) fn ok(self) -> String {
        assert!(self.good, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    pub(crate) fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    pub(crate) fn failed(self) -> String {
        assert!(!self.good, "should have failed: {}", self.out);
        self.err
    }
}

impl Person {
    pub(crate) fn new(script: Script) -> Self {
        let home = TempDir::new().expect("a folder");
        fs::create_dir_all(home.path().join(".aws/sso/cache")).expect("a folder");
        fs::write(home.path().join(".aws/config"), CONFIG).expect("writes");
        fs::write(home.path().join(".aws/credentials"), CREDENTIALS).expect("writes");
        Self { home, lab: Lab::start(script), path: None }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs a program as this person.
    pub(crate) fn run(&self, program: impl AsRef<Path>, args: &[&str]) -> Outcome {
        self.run_with(program, args, &[])
    }

    /// The same with further variables.
    pub(crate) fn run_with(
        &self,
        program: impl AsRef<Path>,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Outcome {
        let mut command = self.command(program, args);
        let output = command.envs(variables.iter().copied()).output();
        let output = output.expect("timeout of coreutils runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome {
            good: output.status.success(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// A program as this person runs it, with nothing of AWS inherited.
    pub(crate) fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg("120").arg(program.as_ref()).args(args);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("AWS_") || name.starts_with("KUBE") {
                command.env_remove(&*name);
            }
        }
        if let Some(first) = &self.path {
            let mut path = first.clone().into_os_string();
            path.push(":");
            path.push(std::env::var_os("PATH").unwrap_or_default());
            command.env("PATH", path);
        }
        command
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.file("kubeconfig"))
            .env("BROWSER", format!("{LAB_BINARY} open %s"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.lab.url())
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_PAGER", "");
        command
    }

    pub(crate) fn aws(&self, args: &str) -> Outcome {
        self.run("aws", &args.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn kubectl(&self, args: &str) -> Outcome {
        self.run("kubectl", &args.split(' ').collect::<Vec<_>>())
    }

    /// Writes the token file that a sign-in leaves, with an expiry of one's choice.
    pub(crate) fn write_sso_token(&self, expires_at: &str) {
        let (client, signed_in) = sign_in(&self.lab);
        let digest = Sha1::digest("lab");
        let name = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let token = json!({
            "startUrl": "https://d-0123456789.awsapps.com/start", "region": "eu-west-1",
            "accessToken": signed_in["accessToken"], "expiresAt": expires_at,
            "clientId": client["clientId"], "clientSecret": client["clientSecret"],
            "registrationExpiresAt": "2999-01-01T00:00:00Z",
            "refreshToken": signed_in["refreshToken"],
        });
        let path = self.file(&format!(".aws/sso/cache/{name}.json"));
        fs::write(path, token.to_string()).expect("writes");
    }
}

/// Someone who has AWS CLI v2, first in the path.
pub(crate) fn with_v2(script: Script) -> Person {
    let aws = std::env::var_os("EKSD_TEST_AWS_V2").map(PathBuf::from).expect(
        "EKSD_TEST_AWS_V2 must name the `aws` of AWS CLI v2: \
         export EKSD_TEST_AWS_V2=$(tests/lab/fetch-aws-v2 FOLDER)",
    );
    let folder = aws.parent().expect("a path").to_owned();
    Person { path: Some(folder), ..Person::new(script) }
}
