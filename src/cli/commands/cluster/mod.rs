//! `eksd cluster`: registered clusters and their kubeconfig files.

mod add;
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
    ipc::wire::{ClusterName, ClusterStatus, Empty, Request, StatusAnswer, StatusParams},
    model::text::printable,
    report::Report,
};

/// Runs `eksd cluster`.
pub fn run(call: &Call, command: ClusterCommand) -> Done {
    match command {
        ClusterCommand::Add(args) => add::add(call, args),
        ClusterCommand::List { json } => list::list(call, json),
        ClusterCommand::Path { alias } => path::path(call, &alias),
        ClusterCommand::Remove { alias } => remove(call, alias),
        ClusterCommand::Sync { alias } => sync::sync(call, alias),
    }
}

/// Returns the registered clusters.
fn clusters(call: &Call) -> Result<Vec<ClusterStatus>, Report> {
    let request = Request::Status(StatusParams::default());
    let status: StatusAnswer = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    Ok(status.clusters)
}

fn remove(call: &Call, alias: String) -> Done {
    let mut door = door::open(call, Wish::Started)?;
    let shown = printable(&alias);
    let _: Empty = door.ask(Request::ClusterRemove(ClusterName { alias }), ANSWER_LIMIT)?;
    output::talk(format!("`{shown}` is forgotten, its kubeconfig file removed"));
    Ok(0)
}
