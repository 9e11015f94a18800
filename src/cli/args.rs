//! Every flag of every command; help and completions are built from here.

mod cluster;
mod token;

use std::{ffi::OsString, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::{
    cluster::{
        ClusterAddArgs, ClusterAdoptArgs, ClusterCommand, ClusterDiscoverArgs, ClusterLintArgs,
    },
    token::TokenArgs,
};
use crate::{config::parse_duration, ipc::wire::MfaCode};

/// Keeps AWS sessions and EKS access alive, and tells you before they end.
#[derive(Debug, Parser)]
#[command(name = "eksd", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Work without the background agent: start a process for this command alone
    #[arg(long, global = true)]
    pub no_agent: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is good, until when, and what to do
    Status(StatusArgs),
    /// Log in, by browser or by code
    Login(LoginArgs),
    /// End sessions, at AWS and here
    Logout(LogoutArgs),
    /// Check that credentials will last: exit 0 only if all of them do
    Ensure(EnsureArgs),
    /// Print shell code that makes this shell use a profile or cluster
    Use(UseArgs),
    /// Run a command as a profile or cluster; its keys renew while it runs
    Exec(ExecArgs),
    /// Print a profile's keys as variables, for shells and env files; they do not renew
    Env(EnvArgs),
    /// Ask AWS who a profile is
    Whoami(WhoamiArgs),
    /// Say what a profile comes to, what limits it, and what shadows what
    Explain(ExplainArgs),
    /// Print a profile's credentials, for `credential_process` in the AWS config
    CredentialProcess(CredentialProcessArgs),
    /// Print a cluster's token, for kubeconfig; takes the flags of `aws eks get-token` and
    /// `aws-iam-authenticator token`
    Token(TokenArgs),
    /// Register clusters, each with a kubeconfig file of its own
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Control the background agent
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Print the hook for a shell: eval "$(eksd init zsh)"
    Init(InitArgs),
    /// Print the prompt segment, for prompt programs such as starship
    Prompt(PromptArgs),
    /// Show where settings are, and check them and the AWS files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the version
    Version,
}

/// `eksd status`.
#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct StatusArgs {
    /// Profiles and clusters; all if none is named
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Show idle profiles too, however many there are
    #[arg(long)]
    pub all: bool,
    /// Print JSON, documented in docs/protocol.md
    #[arg(long)]
    pub json: bool,
    /// Stay, and show changes as they come
    #[arg(long)]
    pub watch: bool,
    /// Say nothing; exit 0 good, 10 expiring, 11 needs login, 12 needs MFA, 13 degraded, 14
    /// misconfigured, 15 expired, 3 no agent
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    pub check: bool,
    /// Show role, account, session and files of each row
    #[arg(long, short)]
    pub verbose: bool,
}

/// `eksd login`.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct LoginArgs {
    /// A profile, cluster or sso-session
    pub name: Option<String>,
    /// Log in again although the session is still good
    #[arg(long)]
    pub force: bool,
    /// Use a code that can be typed on any device
    #[arg(long)]
    pub device_code: bool,
    /// Print the address and open nothing
    #[arg(long)]
    pub no_browser: bool,
    /// Show the address as a QR code too, for a phone; implies `--device-code`
    #[arg(long, conflicts_with = "no_input")]
    pub qr: bool,
    /// The code that the MFA device shows now
    #[arg(long, value_name = "CODE", value_parser = mfa_code)]
    pub mfa_code: Option<MfaCode>,
    /// Fail where a person would be needed: exit 11 for a login, 12 for an MFA code
    #[arg(long)]
    pub no_input: bool,
}

/// `eksd logout`.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// A profile, cluster or sso-session
    #[arg(required_unless_present = "all")]
    pub name: Option<String>,
    /// End every session
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
}

/// `eksd ensure`.
#[derive(Debug, Args)]
pub struct EnsureArgs {
    /// For how long: 45m, 1h30m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub length: Duration,
    /// Profiles and clusters; else this shell's profile
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The same, as a flag
    #[arg(long = "profile", short = 'p', value_name = "NAME")]
    pub profiles: Vec<String>,
    /// On a terminal: log in where that is needed, then check again
    #[arg(long)]
    pub login: bool,
}

/// `eksd exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// A profile or cluster
    pub name: String,
    /// Give keys through the container endpoint instead of a profile, for programs that know no
    /// `credential_process`
    #[arg(long)]
    pub server: bool,
    /// Allow it inside of another `eksd exec`
    #[arg(long)]
    pub nested: bool,
    /// Run the command without asking for credentials first
    #[arg(long)]
    pub no_check: bool,
    /// The command and its words
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// `eksd env`.
#[derive(Debug, Args)]
pub struct EnvArgs {
    /// A profile or cluster
    pub name: String,
    /// For which reader
    #[arg(long, value_enum, default_value_t)]
    pub format: EnvFormat,
}

/// Readers of variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EnvFormat {
    /// sh, bash, zsh: eval "$(eksd env dev)"
    #[default]
    Sh,
    /// fish: eksd env dev --format fish | source
    Fish,
    /// PowerShell: eksd env dev --format powershell | Out-String | Invoke-Expression
    Powershell,
    /// docker --env-file, Compose, dotenv libraries
    Dotenv,
    /// One JSON object; null is a variable to unset
    Json,
}

/// `eksd explain`.
#[derive(Debug, Default, Args)]
pub struct ExplainArgs {
    /// A profile or cluster; else `AWS_PROFILE`, else `default`
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print JSON, documented in docs/protocol.md
    #[arg(long)]
    pub json: bool,
}

/// `eksd whoami`.
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    /// A profile or cluster; else this shell's profile
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `eksd use`.
#[derive(Debug, Args)]
pub struct UseArgs {
    /// Print code for this shell; the shell function does this
    #[arg(long, value_name = "SHELL")]
    pub print: Option<HookShell>,
    /// The process of this shell, for which a namespace is kept; the shell function says it
    #[arg(long, value_name = "PID", hide = true)]
    pub shell: Option<u32>,
    /// A profile, a cluster, CLUSTER/NAMESPACE, or several clusters: A+B/NAMESPACE
    pub name: Option<String>,
}

/// `eksd credential-process`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct CredentialProcessArgs {
    /// The profile
    #[arg(long)]
    pub profile: String,
}

/// `eksd agent …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum AgentCommand {
    /// Run in the foreground and log to stderr
    Run,
    /// Start in the background; returns when it is ready, or with the reason why not
    Start,
    /// Stop it
    Stop,
    /// Stop it and start it again
    Restart,
    /// Show whether it runs
    Status,
    /// Show its log
    Logs {
        /// Stay, and show lines as they come
        #[arg(long, short)]
        follow: bool,
        /// How many of the last lines
        #[arg(long, short = 'n', default_value_t = 50)]
        lines: usize,
    },
}

/// `eksd init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The shell
    pub shell: HookShell,
}

/// `eksd prompt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct PromptArgs {
    /// A profile or cluster; else what this shell uses
    pub name: Option<String>,
    /// How names are escaped and coloured
    #[arg(long, value_enum, default_value_t)]
    pub format: PromptFormat,
    /// Tell the agent what this shell uses, and print nothing
    #[arg(long, hide = true)]
    pub tell: bool,
    /// The profile to tell
    #[arg(long, hide = true)]
    pub profile: Option<String>,
    /// The cluster to tell
    #[arg(long, hide = true)]
    pub cluster: Option<String>,
}

/// `eksd config …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Print the path of eksd's settings file
    Path,
    /// Check settings and AWS files; every finding has its file and line
    Check,
}

/// `eksd completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: CompletedShell,
}

/// Shells that have a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookShell {
    /// zsh
    Zsh,
    /// bash
    Bash,
}

/// Shells that have completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompletedShell {
    /// zsh
    Zsh,
    /// bash
    Bash,
    /// fish
    Fish,
}

/// Forms of the prompt segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PromptFormat {
    /// Text as it is
    #[default]
    Plain,
    /// For a zsh prompt
    Zsh,
    /// For a bash prompt
    Bash,
    /// One JSON object
    Json,
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("write one such as 45m, 12h or 1h30m")
}

fn mfa_code(text: &str) -> Result<MfaCode, &'static str> {
    Some(MfaCode::new(text)).filter(MfaCode::is_well_formed).ok_or("a code has six digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(line: &str) -> ExecArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Exec(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_run_keeps_its_own_flags() {
        for (line, command, server) in [
            ("eksd exec dev -- terraform plan -out x", "terraform plan -out x", false),
            ("eksd exec dev terraform plan --server -h", "terraform plan --server -h", false),
            ("eksd exec dev --server -- a -- b", "a -- b", true),
            ("eksd exec --server dev a --no-agent", "a --no-agent", true),
        ] {
            let args = exec(line);
            let words: Vec<_> = args.command.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!((words.join(" ").as_str(), args.server), (command, server), "{line}");
            assert_eq!(args.name, "dev");
        }
        for line in ["eksd exec dev", "eksd exec", "eksd exec dev --"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn lengths_and_codes() {
        for (line, is_fine) in [
            ("eksd ensure --for 45m a -p b", true),
            ("eksd ensure --for 45", false),
            ("eksd ensure a", false),
            ("eksd login --mfa-code 012345", true),
            ("eksd login --mfa-code 12345", false),
            ("eksd login --mfa-code x12345", false),
        ] {
            assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), is_fine, "{line}");
        }
    }
}
