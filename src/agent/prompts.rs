//! Prompt files: for each cluster, and each profile in use, one line that a shell can read.

use super::agent::Agent;
use crate::{
    model::{
        prompt::PromptLine,
        status::{Phase, View},
    },
    store::prompt_files::PromptName,
};

impl Agent {
    /// Hands the lines over where they differ from the last ones.
    pub(super) fn write_prompts(&mut self) {
        if !self.world.is_daemon {
            return;
        }
        let mut lines: Vec<(PromptName, String)> = self
            .clusters
            .all()
            .map(|cluster| {
                let line = line(&cluster.alias, &self.view(&cluster.profile));
                (PromptName::cluster(&cluster.alias), line)
            })
            .collect();
        for profile in self.profiles_in_use() {
            let line = line(&profile, &self.view(&profile));
            lines.push((PromptName::profile(&profile), line));
        }
        if lines != self.last_prompts {
            self.scribe.prompts(lines.clone());
            self.last_prompts = lines;
        }
    }

    fn profiles_in_use(&self) -> Vec<String> {
        let now = self.now();
        self.memory
            .last_used()
            .filter(|(profile, at)| {
                self.known.profile(profile).is_some()
                    && at.checked_add(self.policy.keep_warm).is_ok_and(|until| now < until)
            })
            .map(|(profile, _)| profile.to_owned())
            .collect()
    }
}

fn line(label: &str, view: &View) -> String {
    let is_served = matches!(
        view.phase,
        Phase::Fresh | Phase::Renewing | Phase::Expiring | Phase::Degraded
    );
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
