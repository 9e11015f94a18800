//! `eksd token`: the flags of `aws eks get-token` (aws-cli `customizations/eks/get_token.py`) and of
//! `aws-iam-authenticator token` (its `cmd/aws-iam-authenticator/token.go` and `root.go`), so that in an
//! existing kubeconfig only the command changes.

use clap::Args;

/// `eksd token`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct TokenArgs {
    /// A registered cluster
    #[arg(long, value_name = "ALIAS", conflicts_with_all = ["cluster_name", "cluster_id"])]
    pub cluster: Option<String>,
    /// The cluster's name at AWS
    #[arg(long, value_name = "NAME", required_unless_present_any = ["cluster", "cluster_id"])]
    pub cluster_name: Option<String>,
    /// The same, or the id of a local cluster on Outposts
    #[arg(long, short = 'i', value_name = "ID", conflicts_with = "cluster_name")]
    pub cluster_id: Option<String>,
    /// The cluster's region
    #[arg(long)]
    pub region: Option<String>,
    /// The profile that signs; else `AWS_PROFILE`, else `default`
    #[arg(long)]
    pub profile: Option<String>,
    /// A role to assume first
    #[arg(long, short = 'r', value_name = "ARN", alias = "role")]
    pub role_arn: Option<String>,
    /// What the session of that role is called
    #[arg(long, short = 's', value_name = "NAME")]
    pub session_name: Option<String>,
    /// The external id that the role asks for
    #[arg(long, short = 'e', value_name = "ID")]
    pub external_id: Option<String>,
    /// Print the token alone, for programs that take a bearer token
    #[arg(long)]
    pub token_only: bool,
    /// Only `json` is known
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub output: Option<String>,
    /// Would ask AWS for the name of the session; refused with `--role-arn`
    #[arg(long, hide = true)]
    pub forward_session_name: bool,
    /// Does nothing: the agent holds the credentials
    #[arg(long, hide = true)]
    pub cache: bool,
    /// Does nothing: eksd logs nothing here
    #[arg(long, short = 'l', value_name = "FORMAT", hide = true)]
    pub log_format: Option<String>,
    /// A file of aws-iam-authenticator; refused
    #[arg(long, short = 'c', value_name = "FILE", hide = true)]
    pub config: Option<String>,
}
