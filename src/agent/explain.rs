//! An explanation as it crosses the socket.

use crate::{
    ipc::wire::{ClockStatus, Explanation, Step, ValueAt},
    model::explain,
};

/// Returns an explanation for the wire, with what only the agent knows: the cluster that was named, and
/// when what ends.
pub fn wire_explanation(
    explanation: explain::Explanation,
    cluster: Option<String>,
    clocks: Vec<ClockStatus>,
) -> Explanation {
    let step = |step: explain::Step| Step {
        what: step.what,
        origin: step.origin.to_string(),
        cap: step.cap,
    };
    let value = |value: explain::ValueAt| ValueAt {
        section: value.section,
        key: value.key,
        value: value.value,
        origin: value.origin.to_string(),
        shadows: value.shadows.iter().map(ToString::to_string).collect(),
    };
    Explanation {
        profile: explanation.profile,
        cluster,
        chain: explanation.steps.into_iter().map(step).collect(),
        limit: explanation.limit,
        clocks,
        values: explanation.values.into_iter().map(value).collect(),
        notes: explanation.notes,
        report: explanation.report,
    }
}
