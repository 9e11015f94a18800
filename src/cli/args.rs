//! Every flag of every command; help and completions are built from here.

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Print shell code that makes this shell use a profile or cluster
    Use(UseArgs),
    /// Print a profile's credentials, for `credential_process` in the AWS config
    CredentialProcess(CredentialProcessArgs),
    /// Print a cluster's token, for kubeconfig; takes the flags of `aws eks get-token`
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
#[derive(Debug, Args)]
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
    /// Fail where a person would be needed
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

/// `eksd use`.
#[derive(Debug, Args)]
pub struct UseArgs {
    /// Print code for this shell; the shell function does this
    #[arg(long, value_name = "SHELL")]
    pub print: Option<HookShell>,
    /// A profile or cluster
    pub name: Option<String>,
}

/// `eksd credential-process`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct CredentialProcessArgs {
    /// The profile
    #[arg(long)]
    pub profile: String,
}

/// `eksd token`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct TokenArgs {
    /// A registered cluster
    #[arg(long, value_name = "ALIAS", conflicts_with_all = ["cluster_name", "cluster_id"])]
    pub cluster: Option<String>,
    /// The cluster's name at AWS
    #[arg(long, value_name = "NAME", required_unless_present_any = ["cluster", "cluster_id"])]
    pub cluster_name: Option<String>,
    /// The id of a local cluster on Outposts
    #[arg(long, value_name = "ID", conflicts_with = "cluster_name")]
    pub cluster_id: Option<String>,
    /// The cluster's region
    #[arg(long)]
    pub region: Option<String>,
    /// The profile that signs; else `AWS_PROFILE`, else `default`
    #[arg(long)]
    pub profile: Option<String>,
    /// A role to assume first
    #[arg(long, value_name = "ARN", alias = "role")]
    pub role_arn: Option<String>,
    /// Only `json` is known
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub output: Option<String>,
}

/// `eksd cluster …`.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Register a cluster and write its kubeconfig file
    Add(ClusterAddArgs),
    /// List the registered clusters
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the path of a cluster's kubeconfig file
    Path {
        /// The cluster
        alias: String,
    },
    /// Forget a cluster and remove its kubeconfig file
    Remove {
        /// The cluster
        alias: String,
    },
    /// Compare the kubeconfig files with AWS now, and mend them
    Sync {
        /// One cluster; all if none is named
        alias: Option<String>,
    },
}

/// `eksd cluster add`.
#[derive(Debug, Args)]
pub struct ClusterAddArgs {
    /// The cluster's name at AWS
    #[arg(value_name = "NAME", required_unless_present = "name_flag")]
    pub name: Option<String>,
    /// The same, as a flag
    #[arg(long = "name", id = "name_flag", value_name = "NAME", conflicts_with = "name")]
    pub name_flag: Option<String>,
    /// The cluster's region; else the profile's
    #[arg(long)]
    pub region: Option<String>,
    /// The profile that describes the cluster and signs its tokens; else `AWS_PROFILE`
    #[arg(long)]
    pub profile: Option<String>,
    /// What to call it here; else its name
    #[arg(long)]
    pub alias: Option<String>,
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
