//! `eksd cluster list`.

use super::clusters;
use crate::{
    cli::{door::Call, exit::Done, output},
    ipc::wire::ClusterStatus,
    model::text::{printable, printable_sentence},
    report::{Code, Report},
};

/// Lists the registered clusters.
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
