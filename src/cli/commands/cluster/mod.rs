//! `eksd cluster`: registered clusters and their kubeconfig files.

mod add;
mod adopt;
mod discover;
mod files;
mod into_file;
mod lint;
mod list;
mod path;
mod sync;

use crate::{
    cli::{
        args::ClusterCommand,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        output,
    },
    ipc::wire::{
        ClusterName, ClusterRenameParams, ClusterStatus, Empty, Request, StatusAnswer, StatusParams,
    },
    model::text::printable,
    report::Report,
};

/// What is said where no cluster is registered.
const NONE: &str = "no cluster is registered: `eksd cluster discover --all` looks for some, `eksd cluster add NAME --region R --profile P` registers one";

/// Runs `eksd cluster`.
pub fn run(call: &Call, command: ClusterCommand) -> Done {
    match command {
        ClusterCommand::Add(args) => add::add(call, *args),
        ClusterCommand::Adopt(args) => adopt::adopt(call, &args),
        ClusterCommand::Lint(args) => lint::lint(call, &args),
        ClusterCommand::List { json } => list::list(call, json),
        ClusterCommand::Path { alias } => path::path(call, &alias),
        ClusterCommand::Remove { alias } => remove(call, alias),
        ClusterCommand::Sync { alias } => sync::sync(call, alias),
        ClusterCommand::Discover(args) => discover::run(call, &args),
        ClusterCommand::Rename { alias, to } => rename(call, alias, to),
    }
}

/// Returns the registered clusters.
fn clusters(call: &Call) -> Result<Vec<ClusterStatus>, Report> {
    let request = Request::Status(StatusParams::default());
    let status: StatusAnswer = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    Ok(status.clusters)
}

fn rename(call: &Call, alias: String, to: String) -> Done {
    let (old, new) = (printable(&alias), printable(&to));
    let request = Request::ClusterRename(ClusterRenameParams { alias, to });
    let _: Empty = door::ask(call, Wish::Started, &request, ANSWER_LIMIT)?;
    output::talk(format!(
        "`{old}` is called `{new}` now, and so is its file; in shells that use it: eksd use {new}"
    ));
    Ok(0)
}

fn remove(call: &Call, alias: String) -> Done {
    let mut door = door::open(call, Wish::Started)?;
    let shown = printable(&alias);
    let _: Empty = door.ask(Request::ClusterRemove(ClusterName { alias }), ANSWER_LIMIT)?;
    output::talk(format!("`{shown}` is forgotten, its kubeconfig file removed"));
    Ok(0)
}
