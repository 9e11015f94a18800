//! `eksd cluster sync`.

use crate::{
    cli::{
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        output,
    },
    ipc::wire::{ClusterSyncParams, Request, SyncDone},
    model::text::{printable, printable_sentence},
};

/// Compares files with AWS now.
pub(super) fn sync(call: &Call, alias: Option<String>) -> Done {
    let request = Request::ClusterSync(ClusterSyncParams { alias });
    // Each cluster is a call to AWS; hundreds of them go out at AWS's pace.
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
        output::talk(super::NONE);
    }
    Ok(code)
}
