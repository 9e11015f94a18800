//! Notices about clusters: each drift once, one bubble a cluster, and one a profile that is gone,
//! however many clusters need it.

use std::collections::BTreeMap;

use super::{Notice, Said, Subject};
use crate::model::{
    cluster::{Cluster, Drift, Kind},
    text::printable,
};

/// More clusters than these are counted.
const MOST_NAMED: usize = 3;

/// A drift, and the cluster it is of.
type Of<'a> = (&'a Drift, &'a Cluster);

impl Said {
    /// Takes what clusters came with for said: it was, before the agent was started anew.
    pub fn begin_with<'a>(&mut self, clusters: impl Iterator<Item = &'a Cluster>) {
        self.drifts = topics(clusters)
            .into_iter()
            .map(|(subject, of)| {
                (subject, of.into_iter().map(|(drift, _)| drift.clone()).collect())
            })
            .collect();
    }

    /// Compares the drift there is with what was said, and returns what to say now. `file` returns a
    /// cluster's file as people write it.
    pub fn update_clusters<'a>(
        &mut self,
        clusters: impl Iterator<Item = &'a Cluster>,
        file: impl Fn(&str) -> String,
    ) -> Vec<Notice> {
        let now = topics(clusters);
        let mut notices = Vec::new();
        for (subject, of) in &now {
            let said = self.drifts.get(subject).map_or(&[][..], Vec::as_slice);
            let is_new = |(drift, _): &&Of| match &drift.kind {
                // One bubble, whichever cluster it is seen at first.
                Kind::ProfileGone { .. } => said.is_empty(),
                _ => !said.contains(drift),
            };
            if let Some(new) = of.iter().find(is_new) {
                notices.push(notice(subject, new, of, &file));
            }
        }
        let over = self.drifts.keys().filter(|subject| !now.contains_key(subject));
        notices.extend(over.map(|about| Notice::Withdraw { about: about.clone() }));
        self.drifts = now
            .into_iter()
            .map(|(subject, of)| {
                (subject, of.into_iter().map(|(drift, _)| drift.clone()).collect())
            })
            .collect();
        notices
    }
}

fn topics<'a>(clusters: impl Iterator<Item = &'a Cluster>) -> BTreeMap<Subject, Vec<Of<'a>>> {
    let mut topics: BTreeMap<Subject, Vec<Of>> = BTreeMap::new();
    for cluster in clusters {
        for drift in cluster.drifts.all() {
            let subject = match &drift.kind {
                Kind::ProfileGone { profile, .. } => Subject::Profile(profile.clone()),
                _ => Subject::Cluster(cluster.alias.clone()),
            };
            topics.entry(subject).or_default().push((drift, cluster));
        }
    }
    topics
}

fn notice(subject: &Subject, new: &Of, all: &[Of], file: &impl Fn(&str) -> String) -> Notice {
    let (drift, cluster) = new;
    let told = drift.told(cluster, &file(&cluster.alias));
    let mut body = match subject {
        Subject::Profile(_) => format!("{}: it signs for {}.", told.what, named(all)),
        _ => format!("{}: {}.", printable(&cluster.alias), told.what),
    };
    if let Some(fix) = &told.fix {
        let lead = if fix.starts_with("eksd ") { "Run: " } else { "" };
        body.push_str(&format!("\n{lead}{fix}"));
    }
    Notice::Show { about: subject.clone(), title: told.title, body, is_urgent: false }
}

/// `cluster demo`, `clusters a, b and 7 more`.
fn named(all: &[Of]) -> String {
    let names: Vec<String> =
        all.iter().take(MOST_NAMED).map(|(_, cluster)| printable(&cluster.alias)).collect();
    match all.len() - names.len() {
        0 if names.len() == 1 => format!("cluster {}", names[0]),
        0 => format!("clusters {}", names.join(", ")),
        more => format!("clusters {} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{ClusterFacts, cluster::Drifts};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn cluster(alias: &str) -> Cluster {
        Cluster {
            alias: alias.into(),
            name: alias.into(),
            region: "eu-west-1".into(),
            profile: "dev".into(),
            described_by: None,
            role_arn: None,
            proxy_url: None,
            facts: ClusterFacts::default(),
            checked_at: None,
            drifts: Drifts::default(),
        }
    }

    fn say(said: &mut Said, clusters: &[Cluster]) -> Vec<String> {
        let notices = said.update_clusters(clusters.iter(), |alias| format!("~/{alias}.yaml"));
        let text = |notice| match notice {
            Notice::Show { title, .. } => title,
            Notice::Withdraw { about } => format!("withdraw {about:?}"),
        };
        notices.into_iter().map(text).collect()
    }

    #[test]
    fn each_thing_once_and_withdrawn_when_it_is_over() {
        let mut said = Said::default();
        let mut all = [cluster("demo"), cluster("prod")];
        assert_eq!(say(&mut said, &all), [""; 0]);
        all[0].drifts.note(Kind::Deleted, at(0));
        assert_eq!(say(&mut said, &all), ["Cluster demo was deleted"]);
        all[0].drifts.note(Kind::Deleted, at(360));
        assert_eq!(say(&mut said, &all), [""; 0]);
        all[0].drifts.note(Kind::Contested, at(361));
        assert_eq!(say(&mut said, &all), ["~/demo.yaml is being edited by another program"]);
        all[0].drifts.clear(crate::model::cluster::Part::File);
        assert_eq!(say(&mut said, &all), [""; 0], "the other one is still so");
        all[0].drifts.clear(crate::model::cluster::Part::Cluster);
        assert_eq!(say(&mut said, &all), ["withdraw Cluster(\"demo\")"]);
        all[0].drifts.note(Kind::Deleted, at(400));
        assert_eq!(say(&mut said, &all), ["Cluster demo was deleted"], "it is news again");
    }

    #[test]
    fn what_was_said_before_a_restart_is_not_said_again() {
        let mut all = [cluster("demo")];
        all[0].drifts.note(Kind::Deleted, at(0));
        let mut said = Said::default();
        said.begin_with(all.iter());
        assert_eq!(say(&mut said, &all), [""; 0]);
        all[0].drifts = Drifts::default();
        assert_eq!(say(&mut said, &all), ["withdraw Cluster(\"demo\")"]);
    }

    #[test]
    fn three_hundred_clusters_of_one_profile_are_one_bubble() {
        let mut all: Vec<Cluster> = (0..300).map(|n| cluster(&format!("c{n:03}"))).collect();
        for cluster in &mut all {
            cluster.drifts.note(Kind::ProfileGone { profile: "dev".into(), like: None }, at(0));
        }
        let mut said = Said::default();
        let notices = said.update_clusters(all.iter(), str::to_owned);
        let [Notice::Show { about, title, body, .. }] = notices.as_slice() else {
            panic!("{notices:?}");
        };
        assert_eq!(*about, Subject::Profile("dev".into()));
        assert_eq!(title, "Profile dev is gone");
        assert!(body.contains("it signs for clusters c000, c001, c002 and 297 more."), "{body}");
        assert_eq!(say(&mut said, &all), [""; 0]);
        all.pop();
        assert_eq!(say(&mut said, &all), [""; 0]);
    }

    #[test]
    fn a_notice_says_what_to_run() {
        let mut all = [cluster("demo")];
        all[0].drifts.note(Kind::Deleted, at(0));
        let notices = Said::default().update_clusters(all.iter(), str::to_owned);
        let [Notice::Show { body, is_urgent: false, .. }] = notices.as_slice() else {
            panic!("{notices:?}");
        };
        assert!(body.starts_with("demo: was deleted: AWS knows it no longer since "), "{body}");
        assert!(body.ends_with("the file is kept.\nRun: eksd cluster remove demo"), "{body}");
    }
}
