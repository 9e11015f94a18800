//! Command lines of the verbs that other programs call, parsed by hand: setting up the argument
//! parser costs more than all the rest that `eksd token` does. Help and completions for them come
//! from [`super::args`], into whose types this parses.

use std::{ffi::OsString, slice::Iter};

use super::args::{CredentialProcessArgs, PromptArgs, PromptFormat, TokenArgs};
use crate::{
    model::text::{near_miss, printable},
    report::{Code, Report},
};

/// Returns whether the argument parser, which knows the help, is wanted.
pub fn asks_for_help(words: &[OsString]) -> bool {
    words.iter().any(|word| word == "--help" || word == "-h")
}

/// What a person may have meant.
const TOKEN_OPTIONS: [&str; 10] = [
    "--cluster",
    "--cluster-name",
    "--cluster-id",
    "--region",
    "--profile",
    "--role-arn",
    "--session-name",
    "--external-id",
    "--token-only",
    "--output",
];

/// Returns the words of `eksd token` where these are those of the AWS CLI in its own order, as it writes
/// them into kubeconfigs: `--region R eks get-token --cluster-name N …` (aws-cli
/// `customizations/eks/update_kubeconfig.py`).
pub fn as_of_the_aws_cli(words: &[OsString]) -> Option<Vec<OsString>> {
    let mut at = 0;
    while let Some(option) = words.get(at)?.to_str()?.strip_prefix("--") {
        let is_alone = option.contains('=') || option == "no-agent";
        at += if is_alone { 1 } else { 2 };
    }
    let (globals, rest) = words.split_at(at);
    let [service, operation, rest @ ..] = rest else { return None };
    (service == "eks" && operation == "get-token").then(|| [globals, rest].concat())
}

/// Parses `eksd token`; with whether `--no-agent` was given.
pub fn token(words: &[OsString]) -> Result<(TokenArgs, bool), Report> {
    let mut args = TokenArgs::default();
    let mut words = Words::new("token", words);
    while let Some(word) = words.next()? {
        let field = match word {
            "--cluster" => &mut args.cluster,
            "--cluster-name" => &mut args.cluster_name,
            "--cluster-id" | "-i" => &mut args.cluster_id,
            "--region" => &mut args.region,
            "--profile" => &mut args.profile,
            "--role-arn" | "--role" | "-r" => &mut args.role_arn,
            "--session-name" | "-s" => &mut args.session_name,
            "--external-id" | "-e" => &mut args.external_id,
            "--output" => &mut args.output,
            "--log-format" | "-l" => &mut args.log_format,
            "--config" | "-c" => &mut args.config,
            "--token-only" => {
                args.token_only = true;
                continue;
            }
            "--forward-session-name" => {
                args.forward_session_name = true;
                continue;
            }
            "--cache" => {
                args.cache = true;
                continue;
            }
            _ => return Err(words.unknown(word, &TOKEN_OPTIONS)),
        };
        *field = Some(words.value(word)?);
    }
    let named = [&args.cluster, &args.cluster_name, &args.cluster_id];
    match named.into_iter().flatten().count() {
        0 => return Err(words.usage("which cluster? `--cluster` or `--cluster-name` is missing")),
        1 => (),
        _ => {
            let what = "`--cluster`, `--cluster-name` and `--cluster-id` exclude each other";
            return Err(words.usage(what));
        }
    }
    if args.output.as_deref().is_some_and(|output| output != "json") {
        return Err(words.usage("`--output` can only be `json`"));
    }
    Ok((args, words.no_agent))
}

/// Parses `eksd credential-process`; with whether `--no-agent` was given.
pub fn credential_process(words: &[OsString]) -> Result<(CredentialProcessArgs, bool), Report> {
    let mut args = CredentialProcessArgs::default();
    let mut words = Words::new("credential-process", words);
    while let Some(word) = words.next()? {
        match word {
            "--profile" => args.profile = words.value(word)?,
            _ => return Err(words.unknown(word, &["--profile"])),
        }
    }
    if args.profile.is_empty() {
        return Err(words.usage("which profile? `--profile` is missing"));
    }
    Ok((args, words.no_agent))
}

/// Parses `eksd prompt`; with whether `--no-agent` was given.
pub fn prompt(words: &[OsString]) -> Result<(PromptArgs, bool), Report> {
    let mut args = PromptArgs::default();
    let mut words = Words::new("prompt", words);
    while let Some(word) = words.next()? {
        match word {
            "--format" => {
                args.format = match words.value(word)?.as_str() {
                    "plain" => PromptFormat::Plain,
                    "zsh" => PromptFormat::Zsh,
                    "bash" => PromptFormat::Bash,
                    "json" => PromptFormat::Json,
                    _ => {
                        return Err(
                            words.usage("`--format` can be `plain`, `zsh`, `bash` or `json`")
                        );
                    }
                }
            }
            "--tell" => args.tell = true,
            "--profile" => args.profile = Some(words.value(word)?),
            "--cluster" => args.cluster = Some(words.value(word)?),
            name if !name.starts_with('-') && args.name.is_none() => {
                args.name = Some(name.to_owned());
            }
            _ => return Err(words.unknown(word, &["--format"])),
        }
    }
    Ok((args, words.no_agent))
}

/// The words of a command line: `--option value`, `--option=value` and names.
struct Words<'a> {
    verb: &'static str,
    rest: Iter<'a, OsString>,
    /// What stands after the `=`, until it is taken.
    attached: Option<&'a str>,
    no_agent: bool,
}

impl<'a> Words<'a> {
    fn new(verb: &'static str, words: &'a [OsString]) -> Self {
        Self { verb, rest: words.iter(), attached: None, no_agent: false }
    }

    /// Returns the next option without its value, or name.
    fn next(&mut self) -> Result<Option<&'a str>, Report> {
        loop {
            if self.attached.is_some() {
                return Err(self.usage("a value was given to an option that takes none"));
            }
            let Some(word) = self.rest.next() else { return Ok(None) };
            let word = self.text(word)?;
            if word == "--no-agent" {
                self.no_agent = true;
                continue;
            }
            return Ok(Some(match word.split_once('=') {
                Some((option, value)) if option.starts_with("--") => {
                    self.attached = Some(value);
                    option
                }
                _ => word,
            }));
        }
    }

    /// Returns the value of the option just read.
    fn value(&mut self, option: &str) -> Result<String, Report> {
        let value = match self.attached.take() {
            Some(value) => value,
            None => match self.rest.next() {
                Some(word) => self.text(word)?,
                None => "",
            },
        };
        // A name never begins so; an option does, and then the value was forgotten.
        if value.is_empty() || value.starts_with("--") {
            return Err(self.usage(format!("`{option}` needs a value")));
        }
        Ok(value.to_owned())
    }

    fn text(&self, word: &'a OsString) -> Result<&'a str, Report> {
        word.to_str().ok_or_else(|| self.usage("a word of the command line is not UTF-8"))
    }

    fn unknown(&self, word: &str, known: &[&str]) -> Report {
        let report =
            self.usage(format!("`{}` is not known to `eksd {}`", printable(word), self.verb));
        match near_miss(word, known.iter().copied()) {
            Some(near) => {
                Report { fix: format!("did you mean `{near}`? {}", report.fix), ..report }
            }
            None => report,
        }
    }

    fn usage(&self, what: impl Into<String>) -> Report {
        Report::new(Code::Usage, what, format!("see `eksd {} --help`", self.verb))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn token_flags_are_those_of_the_aws_cli() {
        let outposts = TokenArgs {
            cluster_id: Some("id".into()),
            region: Some("eu-west-1".into()),
            ..TokenArgs::default()
        };
        let named = TokenArgs {
            cluster_name: Some("demo".into()),
            region: Some("eu-west-1".into()),
            profile: Some("dev".into()),
            role_arn: Some("arn:aws:iam::1:role/r".into()),
            output: Some("json".into()),
            ..TokenArgs::default()
        };
        for (line, expected) in [
            ("--cluster-id id --region eu-west-1", &outposts),
            ("--cluster-id=id --region=eu-west-1", &outposts),
            (
                "--region eu-west-1 --cluster-name demo --output json --profile dev --role arn:aws:iam::1:role/r",
                &named,
            ),
            (
                "--region=eu-west-1 --cluster-name=demo --output=json --profile=dev --role-arn=arn:aws:iam::1:role/r",
                &named,
            ),
        ] {
            assert_eq!(&token(&words(line)).unwrap(), &(expected.clone(), false), "{line}");
            // The parser that prints the help means the same.
            let cli = Cli::try_parse_from(words(&format!("eksd token {line}"))).unwrap();
            assert!(matches!(&cli.command, Command::Token(args) if args == expected), "{line}");
        }
    }

    /// Of aws-iam-authenticator, `cmd/aws-iam-authenticator/token.go` and `root.go`.
    #[test]
    fn token_flags_are_those_of_the_authenticator() {
        let plain = TokenArgs { cluster_id: Some("demo".into()), ..TokenArgs::default() };
        let with_role = TokenArgs {
            role_arn: Some("arn:aws:iam::1:role/r".into()),
            session_name: Some("ann".into()),
            external_id: Some("x:1".into()),
            region: Some("eu-west-1".into()),
            ..plain.clone()
        };
        let ignored = TokenArgs {
            forward_session_name: true,
            cache: true,
            log_format: Some("text".into()),
            config: Some("f".into()),
            token_only: true,
            ..plain.clone()
        };
        for (line, expected) in [
            ("-i demo", &plain),
            ("--cluster-id demo", &plain),
            ("-i demo -r arn:aws:iam::1:role/r -s ann -e x:1 --region eu-west-1", &with_role),
            (
                "--cluster-id=demo --role=arn:aws:iam::1:role/r --session-name=ann \
                 --external-id=x:1 --region=eu-west-1",
                &with_role,
            ),
            ("-i demo --forward-session-name --cache -l text -c f --token-only", &ignored),
            (
                "--token-only --log-format text --config=f --cache --forward-session-name -i demo",
                &ignored,
            ),
        ] {
            assert_eq!(&token(&words(line)).unwrap(), &(expected.clone(), false), "{line}");
            let cli = Cli::try_parse_from(words(&format!("eksd token {line}"))).unwrap();
            assert!(matches!(&cli.command, Command::Token(args) if args == expected), "{line}");
        }
    }

    #[test]
    fn the_order_of_the_aws_cli() {
        for (line, expected) in [
            (
                "--region eu-west-1 eks get-token --cluster-name demo --output json",
                Some("--region eu-west-1 --cluster-name demo --output json"),
            ),
            (
                "--region=eu-west-1 --profile dev eks get-token --cluster-name demo --role arn",
                Some("--region=eu-west-1 --profile dev --cluster-name demo --role arn"),
            ),
            ("eks get-token --cluster-id id", Some("--cluster-id id")),
            ("--no-agent eks get-token --cluster-id id", Some("--no-agent --cluster-id id")),
            ("--region eks get-token", None),
            ("--region eu-west-1 eks list-clusters", None),
            ("eks", None),
            ("get-token", None),
            ("status eks get-token", None),
            ("--region", None),
            ("", None),
        ] {
            assert_eq!(as_of_the_aws_cli(&words(line)), expected.map(words), "{line}");
        }
    }

    #[test]
    fn token_mistakes() {
        for (line, expected) in [
            ("", "which cluster? `--cluster` or `--cluster-name` is missing"),
            ("--region x", "which cluster? `--cluster` or `--cluster-name` is missing"),
            ("--cluster", "`--cluster` needs a value"),
            ("--cluster=", "`--cluster` needs a value"),
            ("--cluster --region x", "`--cluster` needs a value"),
            (
                "--cluster a --cluster-name b",
                "`--cluster`, `--cluster-name` and `--cluster-id` exclude each other",
            ),
            ("--cluster a --output yaml", "`--output` can only be `json`"),
            ("--cluster a --frob", "`--frob` is not known to `eksd token`"),
            ("demo", "`demo` is not known to `eksd token`"),
            ("--cluster a --no-agent=1", "`--no-agent` is not known to `eksd token`"),
        ] {
            let report = token(&words(line)).unwrap_err();
            assert_eq!((report.what.as_str(), report.code), (expected, Code::Usage), "{line}");
        }
        let report = token(&words("--cluster-nmae demo")).unwrap_err();
        assert_eq!(report.fix, "did you mean `--cluster-name`? see `eksd token --help`");
    }

    #[test]
    fn credential_process_flags() {
        for line in ["--profile dev --no-agent", "--no-agent --profile=dev"] {
            let expected = CredentialProcessArgs { profile: "dev".into() };
            assert_eq!(credential_process(&words(line)).unwrap(), (expected, true), "{line}");
        }
        for line in ["", "dev", "--profile", "--profile=dev extra"] {
            assert_eq!(credential_process(&words(line)).unwrap_err().code, Code::Usage, "{line}");
        }
    }

    #[test]
    fn prompt_flags() {
        let (args, _) = prompt(&words("--format=zsh demo")).unwrap();
        assert_eq!((args.format, args.name.as_deref()), (PromptFormat::Zsh, Some("demo")));
        let (args, _) = prompt(&words("--tell --cluster demo --profile dev")).unwrap();
        assert!(args.tell);
        assert_eq!((args.cluster.as_deref(), args.profile.as_deref()), (Some("demo"), Some("dev")));
        for line in ["--format fish", "a b", "--tell=1"] {
            assert_eq!(prompt(&words(line)).unwrap_err().code, Code::Usage, "{line}");
        }
    }

    #[test]
    fn help_is_the_parsers() {
        assert!(asks_for_help(&words("--cluster a --help")));
        assert!(!asks_for_help(&words("--cluster a")));
    }
}
