//! What a profile comes to, as it crosses the socket.

use super::owner::Agent;
use crate::{
    ipc::wire::{ClockStatus, Explanation, Step, ValueAt},
    model::explain::{self, Facts},
    report::Report,
};

impl Agent {
    /// Explains a profile, or the profile of a cluster.
    pub(super) fn explain(&self, name: &str) -> Result<Explanation, Report> {
        let resolved = self.resolve(name)?.resolved;
        let Some(known) = self.known.profile(&resolved.profile) else {
            return Err(self.unknown(&resolved.profile));
        };
        let facts =
            Facts { mfa_session: self.world.settings.mfa_session_duration, ..Facts::default() };
        let chain = known.chain.as_ref();
        let clocks = chain.map(|chain| self.clocks(chain)).unwrap_or_default();
        let mut explanation =
            explain::explain(self.known.files(), &resolved.profile, chain, &facts);
        // What is wrong now, where nothing is wrong with the files.
        explanation.report = explanation.report.or_else(|| self.view(&resolved.profile).report);
        Ok(wire_explanation(explanation, resolved.cluster, clocks))
    }
}

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
