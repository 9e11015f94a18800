//! `eksd cluster add`.

use super::into_file;
use crate::{
    cli::{
        args::ClusterAddArgs,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        output::{self, Stop},
    },
    ipc::wire::{ClusterAddParams, ClusterStatus, Request},
    model::text::{printable, printable_sentence},
    report::Code,
};

/// Registers a cluster.
pub(super) fn add(call: &Call, args: ClusterAddArgs) -> Done {
    let target = into_file::Target::of(&args);
    let name = args.name.or(args.name_flag).unwrap_or_default();
    let named = args.profile.or_else(|| call.env.profile().map(str::to_owned));
    let is_named = named.is_some();
    let is_dry_run = args.dry_run;
    let profile = named.unwrap_or_else(|| "default".to_owned());
    let params = ClusterAddParams {
        name,
        region: args.region,
        profile,
        described_by: args.described_by,
        role_arn: args.role_arn,
        proxy_url: args.proxy_url,
        alias: args.alias,
    };
    let done = if is_dry_run {
        into_file::show(call, &target, params)
    } else {
        register(call, &target, params)
    };
    done.map_err(|stop| if is_named { stop } else { unnamed(stop) })
}

/// Says that a profile has to be named, where none was and `default` cannot do it.
fn unnamed(stop: Stop) -> Stop {
    match stop {
        Stop::Failed(mut report)
            if [Code::UnknownProfile, Code::Misconfigured].contains(&report.code) =>
        {
            report.fix = format!("name a profile with `--profile`; for `default`: {}", report.fix);
            Stop::Failed(report)
        }
        other => other,
    }
}

fn register(call: &Call, target: &into_file::Target, params: ClusterAddParams) -> Done {
    let proxy_url = params.proxy_url.clone();
    let request = Request::ClusterAdd(params);
    let cluster: ClusterStatus = door::ask(call, Wish::Started, &request, ANSWER_LIMIT)?;
    let alias = printable(&cluster.cluster);
    output::talk(format!(
        "`{alias}` is registered: {}\nuse it in this shell: eksd use {alias}",
        printable_sentence(&cluster.kubeconfig)
    ));
    if let Some(line) = about_the_way(&cluster) {
        output::talk(line);
    }
    into_file::merge(call, target, &cluster, proxy_url)
}

/// Says once what stands between here and the API server: a timeout later does not.
pub(super) fn about_the_way(cluster: &ClusterStatus) -> Option<String> {
    if cluster.endpoint_access.as_deref() == Some("private") && cluster.proxy_url.is_none() {
        return Some(
            "note: its API server can only be reached from inside its VPC: through a VPN, from a \
             machine there, or with `--proxy-url`"
                .to_owned(),
        );
    }
    let cidrs: Vec<String> = cluster.public_cidrs.iter().map(|cidr| printable(cidr)).collect();
    (!cidrs.is_empty())
        .then(|| format!("note: its API server can only be reached from {}", cidrs.join(", ")))
}
