//! `eksd cluster discover`: which clusters there are, and how to register them.

mod choice;
mod show;

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use serde::Serialize;

use self::choice::choose;
use super::add::about_the_way;
use crate::{
    cli::{
        args::ClusterDiscoverArgs,
        door::{self, ANSWER_LIMIT, Call, Door, Wish},
        exit::Done,
        interrupt::Interrupt,
        output,
        progress::Progress,
    },
    ipc::{
        client::{Heard, is_readable, silent},
        wire::{
            ClusterAddParams, ClusterDiscoverParams, ClusterStatus, DiscoverProgress, Discovered,
            DiscoveredCluster, Empty, Notification, Request,
        },
    },
    model::text::{printable, printable_sentence},
    report::{Code, Report},
};

/// How long the agent searches at most, and some: its own limit is five minutes.
const SEARCH_LIMIT: Duration = Duration::from_secs(330);

/// How long it takes to answer with what there is, once it is told that this is enough.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Runs `eksd cluster discover`.
pub(super) fn run(call: &Call, args: &ClusterDiscoverArgs) -> Done {
    let interrupt = Interrupt::listen()?;
    let mut found = search(call, params(call, args), &interrupt)?;
    if !args.json {
        output::data(show::table(&found))?;
        show::refused(&found);
        output::talk(show::summary(&found));
    }
    let mut code = code_of(&found);
    let mut added = Vec::new();
    if args.add && !found.stopped {
        if !choose(call, args, &mut found, &interrupt)? {
            output::talk("given up; nothing was registered");
            return Ok(1);
        }
        let (rows, is_whole) = add(call, args, &found.clusters, &interrupt)?;
        let reports = rows.iter().filter_map(|row| row.report.as_ref());
        let codes = reports.map(|report| report.code.exit_code());
        code = codes.chain([u8::from(!is_whole)]).fold(code, u8::max);
        added = rows;
    } else if !args.json {
        show::commands(&found.clusters);
    }
    if args.json {
        output::data(json(&found, &added)?)?;
    }
    Ok(code)
}

fn params(call: &Call, args: &ClusterDiscoverArgs) -> ClusterDiscoverParams {
    let mut profiles = args.profiles.clone();
    if profiles.is_empty() && !args.all {
        profiles.extend(call.env.profile().map(str::to_owned));
    }
    ClusterDiscoverParams {
        profiles,
        all: args.all,
        regions: args.regions.clone(),
        authenticate_with: args.authenticate_with.clone(),
    }
}

/// Searches, and says how far it is. Ctrl-C ends it: then there is what was found so far.
fn search(
    call: &Call,
    params: ClusterDiscoverParams,
    interrupt: &Interrupt,
) -> Result<Discovered, Report> {
    let mut door = door::open(call, Wish::Started)?;
    let mut progress = Progress::new(&call.env);
    let mut until = Instant::now() + door.limit(SEARCH_LIMIT);
    let client = door.client();
    let id = client.send(Request::ClusterDiscover(params), until)?;
    let mut is_stopping = false;
    loop {
        let interrupts = [interrupt.as_fd()];
        let others = if is_stopping { &[][..] } else { &interrupts[..] };
        match client.hear::<Discovered>(id, Some(until), others)? {
            Heard::Answer(found) => return Ok(found),
            Heard::Notification(Notification::DiscoverProgress(so_far)) if !is_stopping => {
                progress.say(so_far.asked, so_far.of, &show::progress(so_far));
            }
            Heard::Notification(_) => (),
            Heard::Late => return Err(silent(SEARCH_LIMIT)),
            Heard::Other(_) => {
                is_stopping = true;
                progress.clear();
                until = Instant::now() + STOP_LIMIT;
                client.send(Request::ClusterDiscoverStop(Empty {}), until)?;
            }
        }
    }
}

/// Success is that somebody was told something.
fn code_of(found: &Discovered) -> u8 {
    let worst = found.refused.iter().map(|row| row.report.code.exit_code()).max();
    match (found.stopped, found.listed, worst) {
        (true, ..) => 1,
        (false, 0, Some(worst)) => worst,
        _ => 0,
    }
}

/// What came of registering one cluster.
#[derive(Debug, Serialize)]
struct Added {
    /// Its alias.
    alias: String,
    /// Its ARN.
    arn: String,
    /// Its file.
    kubeconfig: Option<String>,
    /// What stands between here and its API server, in words.
    note: Option<String>,
    /// Why it is not registered.
    report: Option<Report>,
}

/// Registers what is not registered yet; a failure is a row, not an end. Returns whether the person let
/// it come to its end.
fn add(
    call: &Call,
    args: &ClusterDiscoverArgs,
    clusters: &[DiscoveredCluster],
    interrupt: &Interrupt,
) -> Result<(Vec<Added>, bool), Report> {
    let (old, new): (Vec<_>, Vec<_>) =
        clusters.iter().partition(|cluster| cluster.registered_as.is_some());
    if !args.json {
        for cluster in old {
            let alias = printable(&cluster.alias);
            output::talk(format!("`{alias}` is registered already"));
        }
    }
    let mut progress = Progress::new(&call.env);
    let mut rows = Vec::new();
    let mut door = door::open(call, Wish::Started)?;
    for (at, cluster) in new.iter().enumerate() {
        if is_readable(interrupt.as_fd(), Instant::now())? {
            output::talk(format!("stopped: {at} of {} were tried", new.len()));
            return Ok((rows, false));
        }
        progress.say(at, new.len(), &format!("registering {} of {}", at + 1, new.len()));
        let row = add_one(&mut door, cluster);
        progress.clear();
        if !args.json {
            say_added(&row);
        }
        rows.push(row);
    }
    let good = rows.iter().find(|row| row.report.is_none());
    if let Some(row) = good.filter(|_| !args.json) {
        output::talk(format!("use one in this shell: eksd use {}", printable(&row.alias)));
    }
    Ok((rows, true))
}

fn add_one(door: &mut Door, cluster: &DiscoveredCluster) -> Added {
    let describer = Some(&cluster.described_by).filter(|other| **other != cluster.profile);
    let params = ClusterAddParams {
        name: cluster.name.clone(),
        region: Some(cluster.region.clone()),
        profile: cluster.profile.clone(),
        described_by: describer.cloned(),
        role_arn: None,
        proxy_url: None,
        alias: Some(cluster.alias.clone()),
    };
    let added = door.ask::<ClusterStatus>(Request::ClusterAdd(params), ANSWER_LIMIT);
    let (kubeconfig, note, report) = match added {
        Ok(status) => (Some(status.kubeconfig.clone()), about_the_way(&status), None),
        Err(report) => (None, None, Some(report)),
    };
    Added { alias: cluster.alias.clone(), arn: cluster.arn.clone(), kubeconfig, note, report }
}

fn say_added(row: &Added) {
    let alias = printable(&row.alias);
    match (&row.report, &row.kubeconfig) {
        (Some(report), _) => {
            output::talk(format!("`{alias}` is not registered:"));
            output::report(report);
        }
        (None, kubeconfig) => {
            let file = printable_sentence(kubeconfig.as_deref().unwrap_or_default());
            output::talk(format!("`{alias}` is registered: {file}"));
            if let Some(note) = &row.note {
                output::talk(format!("  {note}"));
            }
        }
    }
}

fn json(found: &Discovered, added: &[Added]) -> Result<String, Report> {
    #[derive(Serialize)]
    struct Printed<'a> {
        version: u32,
        #[serde(flatten)]
        found: &'a Discovered,
        added: &'a [Added],
    }
    let printed = Printed { version: 1, found, added };
    let json = serde_json::to_string_pretty(&printed).map_err(|error| {
        Report::new(Code::Internal, "the list cannot be written", "report this as a bug")
            .because(error.to_string())
    })?;
    Ok(json + "\n")
}
