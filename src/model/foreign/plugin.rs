//! What a credential plugin's stanza says: which cluster, and as whom.
//!
//! Formats: AWS CLI `customizations/eks/update_kubeconfig.py` and `get_token.py`; eksctl
//! `pkg/utils/kubeconfig/kubeconfig.go`; aws-iam-authenticator `cmd/aws-iam-authenticator/token.go`.

use super::tree::{Document, Node};

/// An `exec` stanza.
#[derive(Debug)]
pub struct Stanza<'a> {
    /// From 1.
    pub line: usize,
    /// `apiVersion`.
    pub api_version: Option<&'a str>,
    /// `command`.
    pub command: &'a str,
    /// The line of `command`.
    pub command_line: usize,
    /// `args`.
    pub args: Vec<&'a str>,
    /// `env`, with the names' lines.
    pub env: Vec<(&'a str, &'a str, usize)>,
    /// `interactiveMode`.
    pub interactive_mode: Option<&'a str>,
}

/// Who wrote an entry, as far as its form tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// `aws eks update-kubeconfig`, or a person who followed its form.
    AwsCli,
    /// eksctl.
    Eksctl,
    /// aws-iam-authenticator, or heptio-authenticator-aws, as it was called.
    Authenticator,
    /// eksd.
    Eksd,
}

impl Maker {
    /// Returns its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::AwsCli => "aws",
            Self::Eksctl => "eksctl",
            Self::Authenticator => "aws-iam-authenticator",
            Self::Eksd => "eksd",
        }
    }
}

/// Which cluster a stanza names, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The cluster's name at AWS; absent where there is only an id.
    pub name: Option<String>,
    /// The id of a local cluster on an Outpost.
    pub id: Option<String>,
    /// Its region, where the stanza says one.
    pub region: Option<String>,
    /// The profile, where the stanza says one.
    pub profile: Option<String>,
    /// The role to assume.
    pub role_arn: Option<String>,
    /// What makes the stanza something that eksd cannot stand in for.
    pub obstacle: Option<String>,
}

/// What a stanza is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It names a cluster.
    Cluster(Maker, Named),
    /// eksd's own, with a registered cluster's alias.
    Registered(String),
    /// Another plugin.
    Other,
}

/// Variables that a stanza of eksd needs no more: what they say is part of the registration.
pub const TAKEN_OVER: [&str; 5] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_STS_REGIONAL_ENDPOINTS",
];

/// Variables that make another identity or another AWS of a stanza.
const IDENTITY: [&str; 7] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// How the names of more of them begin.
const IDENTITY_BEGINS: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_", "AWS_ENDPOINT_URL"];

impl<'a> Stanza<'a> {
    /// Reads the `exec` of a user; `None` where it has none with a command.
    pub fn of_user(document: &'a Document, user: &'a Node) -> Option<Self> {
        let exec = document.get(document.get(user, "user")?, "exec")?;
        let command = document.get(exec, "command")?;
        let env = document.items(exec, "env").iter().filter_map(|variable| {
            let name = document.get(variable, "name")?;
            let value = document.text(variable, "value").unwrap_or_default();
            Some((document.as_text(name)?, value, name.line))
        });
        Some(Self {
            line: exec.line,
            api_version: document.text(exec, "apiVersion"),
            command: document.as_text(command)?,
            command_line: command.line,
            args: document
                .items(exec, "args")
                .iter()
                .map(|item| document.as_text(item).unwrap_or_default())
                .collect(),
            env: env.collect(),
            interactive_mode: document.text(exec, "interactiveMode"),
        })
    }

    /// Returns the program's name, without its folder.
    pub fn program(&self) -> &'a str {
        let name = self.command.rsplit(['/', '\\']).next().unwrap_or(self.command);
        name.strip_suffix(".exe").unwrap_or(name)
    }

    fn variable(&self, name: &str) -> Option<String> {
        // The last one wins, as in an environment that is added to.
        let found = self.env.iter().rev().find(|(other, _, _)| *other == name);
        found.map(|(_, value, _)| (*value).to_owned()).filter(|value| !value.is_empty())
    }

    /// Returns what the stanza says.
    pub fn says(&self) -> Said {
        let said = match self.program() {
            "aws" => self.get_token(Maker::AwsCli, &["eks", "get-token"]),
            "aws-iam-authenticator" | "heptio-authenticator-aws" => self.authenticator(),
            "eksd" => self.eksd(),
            _ => return Said::Other,
        };
        let Said::Cluster(maker, mut named) = said else { return said };
        let variable = |names: [&str; 2]| names.into_iter().find_map(|name| self.variable(name));
        named.region = named.region.or_else(|| variable(["AWS_REGION", "AWS_DEFAULT_REGION"]));
        named.profile = named.profile.or_else(|| variable(["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]));
        let other = self.env.iter().find(|(name, _, _)| {
            IDENTITY.contains(name) || IDENTITY_BEGINS.iter().any(|it| name.starts_with(it))
        });
        if let Some((name, _, _)) = other {
            named.obstacle.get_or_insert(format!("it sets {name}, which is no part of a profile"));
        }
        Said::Cluster(maker, named)
    }

    fn eksd(&self) -> Said {
        let alias = Words::new(&self.args).find(|word| matches!(word, Word::Flag("--cluster", _)));
        if let Some(Word::Flag(_, Some(alias))) = alias {
            return Said::Registered(alias.to_owned());
        }
        self.get_token(Maker::Eksd, &["token"])
    }

    fn get_token(&self, maker: Maker, verb: &[&str]) -> Said {
        let mut named = Named::default();
        let mut words = Vec::new();
        for word in Words::new(&self.args) {
            match word {
                Word::Plain(word) => words.push(word),
                Word::Flag("--region", value) => named.region = value.map(str::to_owned),
                Word::Flag("--profile", value) => named.profile = value.map(str::to_owned),
                Word::Flag("--cluster-id", value) => named.id = value.map(str::to_owned),
                // `argparse` takes the beginning of a flag for the flag.
                Word::Flag(flag, value) if is_begun(flag, "--cluster-name", "--cluster-n") => {
                    named.name = value.map(str::to_owned);
                }
                Word::Flag(flag, value) if is_begun(flag, "--role-arn", "--ro") => {
                    named.role_arn = value.map(str::to_owned);
                }
                Word::Flag("--output" | "--color" | "--no-cli-pager" | "--no-agent", _) => (),
                Word::Flag(flag, _) => {
                    named.obstacle.get_or_insert(format!("it has the flag {flag}"));
                }
            }
        }
        let is_meant = words == verb && (named.name.is_some() || named.id.is_some());
        if is_meant { Said::Cluster(maker, named) } else { Said::Other }
    }

    fn authenticator(&self) -> Said {
        let mut named = Named::default();
        let mut words = Vec::new();
        for word in Words::new(&self.args) {
            match word {
                Word::Plain(word) => words.push(word),
                Word::Flag("-i" | "--cluster-id", value) => named.name = value.map(str::to_owned),
                Word::Flag("-r" | "--role", value) => named.role_arn = value.map(str::to_owned),
                Word::Flag("--region", value) => named.region = value.map(str::to_owned),
                Word::Flag("--cache" | "-t" | "--token-only", _) => (),
                Word::Flag("-e" | "--external-id", _) => {
                    let why = "it has an external id, which belongs into a profile: `role_arn` with \
                               `external_id`";
                    named.obstacle.get_or_insert(why.to_owned());
                }
                Word::Flag(flag, _) => {
                    named.obstacle.get_or_insert(format!("it has the flag {flag}"));
                }
            }
        }
        // Its `token.go` binds the flag to the variable.
        if named.role_arn.is_none() && self.variable("DEFAULT_ROLE").is_some() {
            let why = "it sets DEFAULT_ROLE: write `--role` in its place";
            named.obstacle.get_or_insert(why.to_owned());
        }
        if words == ["token"] && named.name.is_some() {
            Said::Cluster(Maker::Authenticator, named)
        } else {
            Said::Other
        }
    }
}

fn is_begun(flag: &str, whole: &str, shortest: &str) -> bool {
    whole.starts_with(flag) && flag.starts_with(shortest)
}

/// A word of a command line.
enum Word<'a> {
    Plain(&'a str),
    Flag(&'a str, Option<&'a str>),
}

/// Flags that stand alone.
const SWITCHES: [&str; 8] = [
    "--no-cli-pager",
    "--no-agent",
    "--cache",
    "-t",
    "--token-only",
    "--forward-session-name",
    "--no-verify-ssl",
    "--debug",
];

struct Words<'a, 'b> {
    words: std::slice::Iter<'b, &'a str>,
}

impl<'a, 'b> Words<'a, 'b> {
    fn new(words: &'b [&'a str]) -> Self {
        Self { words: words.iter() }
    }
}

impl<'a> Iterator for Words<'a, '_> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let word: &'a str = self.words.next()?;
        if !word.starts_with('-') {
            return Some(Word::Plain(word));
        }
        if let Some((flag, value)) = word.split_once('=') {
            return Some(Word::Flag(flag, Some(value)));
        }
        let value =
            if SWITCHES.contains(&word) { None } else { self.words.next().map(|value| &**value) };
        Some(Word::Flag(word, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(command: &str, args: &[&str], env: &[(&'static str, &'static str)]) -> Said {
        let stanza = Stanza {
            line: 1,
            api_version: None,
            command,
            command_line: 1,
            args: args.to_vec(),
            env: env.iter().map(|(name, value)| (*name, *value, 1)).collect(),
            interactive_mode: None,
        };
        stanza.says()
    }

    /// `maker name|id region profile role`, with `-` for what is not said.
    fn shown(said: &Said) -> String {
        match said {
            Said::Other => "other".to_owned(),
            Said::Registered(alias) => format!("registered {alias}"),
            Said::Cluster(maker, named) => {
                let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                let name = match &named.id {
                    Some(id) => format!("#{id}"),
                    None => of(&named.name),
                };
                let rest = [&named.region, &named.profile, &named.role_arn].map(of).join(" ");
                let but = named.obstacle.as_ref().map(|it| format!(" but {it}"));
                format!("{} {name} {rest}{}", maker.name(), but.unwrap_or_default())
            }
        }
    }

    /// Command, arguments, environment, and what they say.
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

    #[test]
    fn all_forms() {
        const PROFILE: &[(&str, &str)] = &[("AWS_PROFILE", "dev")];
        const REGIONAL: &[(&str, &str)] =
            &[("AWS_STS_REGIONAL_ENDPOINTS", "regional"), ("AWS_DEFAULT_REGION", "us-east-2")];
        const TWICE: &[(&str, &str)] =
            &[("AWS_PROFILE", "a"), ("AWS_PROFILE", "b"), ("FOO", "bar")];
        const KEYS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "AKIA")];
        let update = "--region eu-west-1 eks get-token --cluster-name demo --output json";
        let old = "eks get-token --cluster-name demo --role-arn arn:r --profile p";
        let cases: [Case; 24] = [
            ("aws", update, &[], "aws demo eu-west-1 - -"),
            ("aws", update, PROFILE, "aws demo eu-west-1 dev -"),
            ("/usr/local/bin/aws", old, &[], "aws demo - p arn:r"),
            ("aws.exe", old, PROFILE, "aws demo - p arn:r"),
            ("aws", "eks get-token --cluster-name=demo --role arn:r", &[], "aws demo - - arn:r"),
            ("aws", "--region r eks get-token --cluster-id id-1", &[], "aws #id-1 r - -"),
            ("aws", "eks get-token --cluster-n demo --no-cli-pager", &[], "aws demo - - -"),
            ("aws", update, TWICE, "aws demo eu-west-1 b -"),
            (
                "aws",
                update,
                KEYS,
                "aws demo eu-west-1 - - but it sets AWS_ACCESS_KEY_ID, which is no part of a profile",
            ),
            (
                "aws",
                "eks get-token --cluster-name x --endpoint-url u",
                &[],
                "aws x - - - but it has the flag --endpoint-url",
            ),
            ("aws", "eks describe-cluster --name x", &[], "other"),
            ("aws", "eks get-token", &[], "other"),
            (
                "aws-iam-authenticator",
                "token -i demo",
                REGIONAL,
                "aws-iam-authenticator demo us-east-2 - -",
            ),
            (
                "aws-iam-authenticator",
                "token -i demo -r arn:r --cache",
                PROFILE,
                "aws-iam-authenticator demo - dev arn:r",
            ),
            (
                "heptio-authenticator-aws",
                "token --cluster-id=demo --role arn:r",
                &[],
                "aws-iam-authenticator demo - - arn:r",
            ),
            (
                "aws-iam-authenticator",
                "token -i demo -e ext",
                &[],
                "aws-iam-authenticator demo - - - but it has an external id, which belongs into a profile: `role_arn` with `external_id`",
            ),
            (
                "aws-iam-authenticator",
                "token -i demo --forward-session-name --region r",
                &[],
                "aws-iam-authenticator demo r - - but it has the flag --forward-session-name",
            ),
            (
                "aws-iam-authenticator",
                "token -i demo",
                &[("DEFAULT_ROLE", "arn:r")],
                "aws-iam-authenticator demo - - - but it sets DEFAULT_ROLE: write `--role` in its place",
            ),
            (
                "aws",
                "eks get-token --cluster-name x",
                &[("AWS_ENDPOINT_URL_STS", "u")],
                "aws x - - - but it sets AWS_ENDPOINT_URL_STS, which is no part of a profile",
            ),
            ("aws-iam-authenticator", "verify -i demo", &[], "other"),
            ("/opt/eksd", "token --cluster demo", &[], "registered demo"),
            ("eksd", "token --cluster-name demo --region r", PROFILE, "eksd demo r dev -"),
            ("aws-vault", "exec dev -- aws eks get-token --cluster-name x", &[], "other"),
            ("gke-gcloud-auth-plugin", "", &[], "other"),
        ];
        for (command, args, env, expected) in cases {
            let args: Vec<&str> = args.split_whitespace().collect();
            assert_eq!(shown(&says(command, &args, env)), expected, "{command} {args:?}");
        }
    }
}
