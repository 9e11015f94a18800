//! `eksd cluster list`.

use super::clusters;
use crate::{
    cli::{door::Call, exit::Done, now, output, view},
    ipc::wire::ClusterStatus,
    model::text::{printable, printable_sentence},
    report::{Code, Report},
};

/// Lists the registered clusters: a table for people, lines of fields for programs.
pub(super) fn list(call: &Call, json: bool) -> Done {
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
        output::talk(super::NONE);
        return Ok(0);
    }
    let canvas = output::canvas(&call.env);
    let text = if canvas.is_terminal {
        view::clusters(&clusters, &now(), canvas.width, canvas.colour)
    } else {
        clusters.iter().map(row).collect()
    };
    output::data(text)?;
    Ok(0)
}

/// Separated by tabs, for `cut` and `awk`; further fields come at the end.
fn row(cluster: &ClusterStatus) -> String {
    let or_dash = |text: Option<&str>| text.map_or("-".to_owned(), printable_sentence);
    let fields = [
        printable(&cluster.cluster),
        printable(&cluster.region),
        printable(&cluster.profile),
        cluster.phase.as_str().to_owned(),
        printable_sentence(&cluster.kubeconfig),
        printable(&cluster.name),
        or_dash(cluster.version.as_deref()),
        or_dash(cluster.checked_at.as_deref()),
        or_dash(cluster.drift.as_deref()),
    ];
    fields.join("\t") + "\n"
}
