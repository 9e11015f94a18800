//! Prompt files: for each cluster, and each profile in use, one line that a shell can read.

use super::owner::Agent;
use crate::model::{
    prompt::PromptLine,
    status::{Phase, View},
};

use super::scribe::{self, Whose};

impl Agent {
    /// Hands the lines over where they differ from the last ones.
    pub(super) fn write_prompts(&mut self) {
        if !self.world.is_daemon() {
            return;
        }
        let mut lines: Vec<scribe::PromptLine> = self
            .clusters
            .all()
            .map(|cluster| {
                let text = line(&cluster.alias, &self.view(&cluster.profile));
                (Whose::Cluster(cluster.alias.clone()), text)
            })
            .collect();
        for profile in self.profiles_in_use() {
            let text = line(&profile, &self.view(&profile));
            lines.push((Whose::Profile(profile), text));
        }
        if lines != self.last_prompts {
            self.scribe.prompts(lines.clone());
            self.last_prompts = lines;
        }
    }

    fn profiles_in_use(&self) -> Vec<String> {
        let now = self.now();
        self.memory
            .last_used_at
            .iter()
            .filter(|(profile, at)| {
                self.known.profile(profile.as_str()).is_some()
                    && at.checked_add(self.policy.keep_warm).is_ok_and(|until| now < until)
            })
            .map(|(profile, _)| profile.to_string())
            .collect()
    }
}

fn line(label: &str, view: &View) -> String {
    let is_served =
        matches!(view.phase, Phase::Fresh | Phase::Renewing | Phase::Expiring | Phase::Degraded);
    PromptLine {
        phase: view.phase.as_str(),
        expiring_at: view.expiring_at,
        good_until: view.end.ends_at,
        // Whoever should renew the credentials before their end has died if this passes.
        trust_until: view.credentials_expire_at.filter(|_| is_served),
        confidence: view.end.confidence.as_str(),
        label: label.to_owned(),
    }
    .to_text()
}
