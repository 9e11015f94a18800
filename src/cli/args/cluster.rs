//! `eksd cluster`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `eksd cluster …`.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Register a cluster and write its kubeconfig file
    Add(Box<ClusterAddArgs>),
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
    /// Give a cluster another name here; its kubeconfig file moves
    Rename {
        /// What it is called
        alias: String,
        /// What it is to be called
        to: String,
    },
    /// Look for clusters, with several profiles and in several regions side by side
    Discover(ClusterDiscoverArgs),
    /// Register the clusters that are in your kubeconfig files already
    Adopt(ClusterAdoptArgs),
    /// Say what is wrong with your kubeconfig files
    Lint(ClusterLintArgs),
}

/// `eksd cluster discover`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct ClusterDiscoverArgs {
    /// A profile to ask as, again for each, the preferred first; else `AWS_PROFILE`, else `default`
    #[arg(long = "profile", value_name = "PROFILE", conflicts_with = "all")]
    pub profiles: Vec<String>,
    /// Ask as every profile that has credentials
    #[arg(long)]
    pub all: bool,
    /// The regions to ask in; else each profile's own, and those of the settings
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',')]
    pub regions: Vec<String>,
    /// The profile that signs for whatever is found; else one that sees it
    #[arg(long, value_name = "PROFILE")]
    pub authenticate_with: Option<String>,
    /// Register what is found and not registered yet
    #[arg(long)]
    pub add: bool,
    /// Ask nothing: where several profiles could sign, the first one does
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON, documented in docs/protocol.md
    #[arg(long)]
    pub json: bool,
}

/// `eksd cluster adopt`.
#[derive(Debug, Args)]
pub struct ClusterAdoptArgs {
    /// Kubeconfig files; else those of `KUBECONFIG`, else `~/.kube/config`
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Let the entries ask eksd from now on; a backup is kept
    #[arg(long)]
    pub rewrite: bool,
    /// Do not ask before a file is rewritten
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `eksd cluster lint`.
#[derive(Debug, Args)]
pub struct ClusterLintArgs {
    /// Kubeconfig files; else those of `KUBECONFIG`, else `~/.kube/config`
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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
    /// The profile that signs the cluster's tokens, and describes it; else `AWS_PROFILE`
    #[arg(long)]
    pub profile: Option<String>,
    /// Another profile that describes the cluster
    #[arg(long, value_name = "PROFILE")]
    pub described_by: Option<String>,
    /// A role that the profile assumes to sign tokens
    #[arg(long, value_name = "ARN", alias = "role")]
    pub role_arn: Option<String>,
    /// The proxy through which the cluster's API server is reached
    #[arg(long, value_name = "URL")]
    pub proxy_url: Option<String>,
    /// What to call it here; else its name
    #[arg(long)]
    pub alias: Option<String>,
    /// Put an entry for it into this kubeconfig file too
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// What the entry calls its user; else the alias
    #[arg(long, value_name = "NAME")]
    pub user_alias: Option<String>,
    /// Print the kubeconfig file as it would be, and register nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Say what the entry is
    #[arg(long)]
    pub verbose: bool,
}
