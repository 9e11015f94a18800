//! `eksd cluster`: registered clusters and their kubeconfig files.

mod adopt;
mod files;
mod into_file;
mod lint;

use std::path::Path;

use crate::{
    cli::{
        args::{ClusterAddArgs, ClusterCommand},
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        output,
    },
    ipc::wire::{
        ClusterAddParams, ClusterName, ClusterStatus, ClusterSyncParams, Empty, Request,
        StatusAnswer, StatusParams, SyncDone,
    },
    model::text::{near_miss, printable, printable_sentence},
    report::{Code, Report},
};

/// Runs `eksd cluster`.
pub fn run(call: &Call, command: ClusterCommand) -> Done {
    match command {
        ClusterCommand::Add(args) => add(call, *args),
        ClusterCommand::List { json } => list(call, json),
        ClusterCommand::Path { alias } => path(call, &alias),
        ClusterCommand::Remove { alias } => remove(call, alias),
        ClusterCommand::Sync { alias } => sync(call, alias),
        ClusterCommand::Adopt(args) => adopt::adopt(call, &args),
        ClusterCommand::Lint(args) => lint::lint(call, &args),
    }
}

fn add(call: &Call, args: ClusterAddArgs) -> Done {
    let target = into_file::Target::of(&args);
    let name = args.name.or(args.name_flag).unwrap_or_default();
    let profile = args.profile.or_else(|| call.env.profile().map(str::to_owned));
    let profile = profile.unwrap_or_else(|| "default".to_owned());
    let params = ClusterAddParams {
        name,
        region: args.region,
        profile,
        described_by: args.described_by,
        role_arn: args.role_arn,
        proxy_url: args.proxy_url,
        alias: args.alias,
    };
    if args.dry_run {
        return into_file::show(call, &target, params);
    }
    let proxy_url = params.proxy_url.clone();
    let request = Request::ClusterAdd(params);
    let cluster: ClusterStatus = door::ask(call, Wish::Started, &request, ANSWER_LIMIT)?;
    let alias = printable(&cluster.cluster);
    output::talk(format!(
        "`{alias}` is registered: {}\nuse it in this shell: eksd use {alias}",
        printable_sentence(&cluster.kubeconfig)
    ));
    into_file::merge(call, &target, &cluster, proxy_url)
}

fn clusters(call: &Call) -> Result<Vec<ClusterStatus>, Report> {
    let request = Request::Status(StatusParams::default());
    let status: StatusAnswer = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    Ok(status.clusters)
}

fn list(call: &Call, json: bool) -> Done {
    let clusters = clusters(call)?;
    if json {
        let json = serde_json::to_string_pretty(&clusters).map_err(|error| {
            Report::new(Code::Internal, "the list cannot be written", "report this as a bug")
                .because(error.to_string())
        })?;
        output::data(json + "\n")?;
        return Ok(0);
    }
    if clusters.is_empty() {
        output::talk("no cluster is registered: eksd cluster add NAME --region R --profile P");
    }
    for cluster in &clusters {
        output::data(row(cluster))?;
    }
    Ok(0)
}

/// Separated by tabs, for `cut` and `awk`.
fn row(cluster: &ClusterStatus) -> String {
    let [alias, region, profile] =
        [&cluster.cluster, &cluster.region, &cluster.profile].map(|name| printable(name));
    let kubeconfig = printable_sentence(&cluster.kubeconfig);
    format!("{alias}\t{region}\t{profile}\t{}\t{kubeconfig}\n", cluster.phase.as_str())
}

/// The file is where it is whether an agent runs or not.
fn path(call: &Call, alias: &str) -> Done {
    let file = call.paths.kubeconfig_dir.join(format!("{alias}.yaml"));
    let is_one_name = Path::new(alias).file_name().is_some_and(|name| name == alias);
    let found = if is_one_name && file.is_file() {
        file.display().to_string()
    } else {
        registered_path(call, alias)?
    };
    output::data(format!("{found}\n"))?;
    Ok(0)
}

fn registered_path(call: &Call, alias: &str) -> Result<String, Report> {
    let Ok(clusters) = clusters(call) else {
        // Without an agent the files are what is known.
        return Err(unknown(alias, &files(&call.paths.kubeconfig_dir)));
    };
    if let Some(cluster) = clusters.iter().find(|cluster| cluster.cluster == alias) {
        return Ok(cluster.kubeconfig.clone());
    }
    let known: Vec<String> = clusters.into_iter().map(|cluster| cluster.cluster).collect();
    Err(unknown(alias, &known))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect()
}

fn unknown(alias: &str, known: &[String]) -> Report {
    let what = format!("no cluster `{}` is registered", printable(alias));
    let fix = match near_miss(alias, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{}`?", printable(near)),
        None => "`eksd cluster list` lists them; `eksd cluster add` registers one".to_owned(),
    };
    Report::new(Code::UnknownCluster, what, fix)
}

fn remove(call: &Call, alias: String) -> Done {
    let mut door = door::open(call, Wish::Started)?;
    let shown = printable(&alias);
    let _: Empty = door.ask(Request::ClusterRemove(ClusterName { alias }), ANSWER_LIMIT)?;
    output::talk(format!("`{shown}` is forgotten, its kubeconfig file removed"));
    Ok(0)
}

fn sync(call: &Call, alias: Option<String>) -> Done {
    let request = Request::ClusterSync(ClusterSyncParams { alias });
    // Each cluster is a call to AWS, and all of them may be hundreds.
    let done: SyncDone = door::ask(call, Wish::Started, &request, ANSWER_LIMIT * 8)?;
    let mut code = 0;
    for cluster in &done.clusters {
        let alias = printable(&cluster.alias);
        match &cluster.report {
            Some(report) => {
                output::report(report);
                code = report.code.exit_code().max(code);
            }
            None if cluster.changes.is_empty() => output::talk(format!("{alias}: as it should be")),
            None => {
                let changes: Vec<String> =
                    cluster.changes.iter().map(|change| printable_sentence(change)).collect();
                output::talk(format!("{alias}: {}", changes.join("; ")));
            }
        }
    }
    if done.clusters.is_empty() {
        output::talk("no cluster is registered: eksd cluster add NAME --region R --profile P");
    }
    Ok(code)
}
