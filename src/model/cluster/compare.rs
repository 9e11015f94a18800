//! What was known of a cluster against what AWS says now.

use super::{Change, ClusterFacts, Kind};

/// What AWS says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A cluster of that name.
    Cluster(Box<ClusterFacts>),
    /// None of that name, in the account of whoever asked, where that is known.
    Nothing {
        /// The account.
        account: Option<String>,
    },
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What is to be believed of the cluster from now on; its file follows.
    pub facts: ClusterFacts,
    /// What AWS changed.
    pub changes: Vec<Change>,
    /// How the cluster is not as expected; `None`: it is.
    pub drift: Option<Kind>,
}

/// Compares.
///
/// A file is only ever moved to the same cluster: one of the same name in another account is not
/// followed, since whoever works in the file would be somewhere else without a word. What is not
/// there, or cannot be used, leaves everything as it was.
pub fn compare(known: &ClusterFacts, found: &Found) -> Comparison {
    let stays =
        |drift| Comparison { facts: known.clone(), changes: Vec::new(), drift: Some(drift) };
    let now = match found {
        Found::Cluster(now) => now,
        Found::Nothing { account: Some(account) }
            if known.account().is_some_and(|own| own != account) =>
        {
            return stays(Kind::AnotherAccount { account: account.clone() });
        }
        Found::Nothing { .. } => return stays(Kind::Deleted),
    };
    if !known.arn.is_empty() && known.arn != now.arn {
        let account = now.account().unwrap_or_default().to_owned();
        return stays(Kind::AnotherAccount { account });
    }
    if !now.is_usable() || now.endpoint.is_none() || now.certificate_authority.is_none() {
        // Its birth is not noted yet: once it can be used, that it was made anew is still news.
        let facts = ClusterFacts { status: now.status.clone(), ..known.clone() };
        let drift = Some(Kind::NotUsable { status: now.status.clone() });
        return Comparison { facts, changes: Vec::new(), drift };
    }
    let changes = changes(known, now);
    let drift = if let Some(Change::CreatedAnew { at }) = changes.first() {
        Some(Kind::CreatedAnew { at: *at })
    } else {
        // An upgrade changes nothing about how the cluster is reached.
        let told = changes.iter().filter(|it| !matches!(it, Change::Version { .. }));
        let told: Vec<Change> = told.cloned().collect();
        (!told.is_empty()).then_some(Kind::Changed(told))
    };
    Comparison { facts: (**now).clone(), changes, drift }
}

/// Returns what is different, the most telling first.
fn changes(known: &ClusterFacts, now: &ClusterFacts) -> Vec<Change> {
    fn differ<T: PartialEq>(before: Option<&T>, now: Option<&T>) -> bool {
        before.is_some() && now.is_some() && before != now
    }
    let mut changes = Vec::new();
    if differ(known.created_at.as_ref(), now.created_at.as_ref())
        || differ(known.id.as_ref(), now.id.as_ref())
    {
        changes.push(Change::CreatedAnew { at: now.created_at });
    }
    if differ(known.endpoint.as_ref(), now.endpoint.as_ref()) {
        changes.push(Change::Endpoint);
    }
    if differ(known.certificate_authority.as_ref(), now.certificate_authority.as_ref()) {
        changes.push(Change::Authority);
    }
    let is_private =
        |facts: &ClusterFacts| facts.access.as_ref().map(super::EndpointAccess::is_private_only);
    if is_private(known) == Some(false) && is_private(now) == Some(true) {
        changes.push(Change::MadePrivate);
    }
    if let Some(to) = &now.version
        && differ(known.version.as_ref(), now.version.as_ref())
    {
        changes.push(Change::Version { to: to.clone() });
    }
    changes
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::cluster::EndpointAccess;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn access(is_public: bool) -> EndpointAccess {
        let public_cidrs = vec!["0.0.0.0/0".to_owned()];
        EndpointAccess { is_public, is_private: true, public_cidrs }
    }

    fn known() -> ClusterFacts {
        ClusterFacts {
            name: "demo".into(),
            arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo".into(),
            endpoint: Some("https://a.example".into()),
            certificate_authority: Some("Q0E=".into()),
            status: "ACTIVE".into(),
            version: Some("1.33".into()),
            created_at: at(1_700_000_000),
            access: Some(access(true)),
            ..ClusterFacts::default()
        }
    }

    fn compared(change: impl FnOnce(&mut ClusterFacts)) -> (Comparison, ClusterFacts) {
        let mut now = known();
        change(&mut now);
        (compare(&known(), &Found::Cluster(Box::new(now.clone()))), now)
    }

    /// What each change comes to, where the cluster can be used: the file follows.
    #[test]
    fn followed() {
        type Edit = fn(&mut ClusterFacts);
        let moved = |facts: &mut ClusterFacts| facts.endpoint = Some("https://b.example".into());
        let rotated = |facts: &mut ClusterFacts| facts.certificate_authority = Some("Qg==".into());
        let anew = |facts: &mut ClusterFacts| {
            facts.created_at = at(1_800_000_000);
            facts.endpoint = Some("https://b.example".into());
        };
        let created = Change::CreatedAnew { at: at(1_800_000_000) };
        let upgraded = Change::Version { to: "1.34".into() };
        let cases: [(Edit, Vec<Change>, Option<Kind>); 7] = [
            (|_| (), vec![], None),
            (moved, vec![Change::Endpoint], Some(Kind::Changed(vec![Change::Endpoint]))),
            (rotated, vec![Change::Authority], Some(Kind::Changed(vec![Change::Authority]))),
            (
                anew,
                vec![created, Change::Endpoint],
                Some(Kind::CreatedAnew { at: at(1_800_000_000) }),
            ),
            (|facts| facts.version = Some("1.34".into()), vec![upgraded], None),
            (|facts| facts.status = "UPDATING".into(), vec![], None),
            (
                |facts| facts.access = Some(access(false)),
                vec![Change::MadePrivate],
                Some(Kind::Changed(vec![Change::MadePrivate])),
            ),
        ];
        for (edit, changes, drift) in cases {
            let (comparison, now) = compared(edit);
            assert_eq!(comparison, Comparison { facts: now, changes, drift });
        }
    }

    #[test]
    fn a_local_cluster_with_another_id_is_another_one() {
        let local = |id: &str| ClusterFacts { id: Some(id.into()), ..known() };
        let found = Found::Cluster(Box::new(local("b")));
        let comparison = compare(&local("a"), &found);
        assert_eq!(comparison.facts.token_id(), "b");
        assert_eq!(comparison.drift, Some(Kind::CreatedAnew { at: at(1_700_000_000) }));
    }

    /// What each change comes to, where there is nothing to follow: everything stays.
    #[test]
    fn kept() {
        let there = |change: fn(&mut ClusterFacts)| {
            let mut now = known();
            change(&mut now);
            Found::Cluster(Box::new(now))
        };
        let other = |account: &str| Kind::AnotherAccount { account: account.to_owned() };
        let unusable = |status: &str| Kind::NotUsable { status: status.to_owned() };
        let nobody = |account: Option<&str>| Found::Nothing { account: account.map(str::to_owned) };
        for (found, drift, status) in [
            (nobody(None), Kind::Deleted, "ACTIVE"),
            (nobody(Some("111122223333")), Kind::Deleted, "ACTIVE"),
            (nobody(Some("444455556666")), other("444455556666"), "ACTIVE"),
            (
                there(|now| now.arn = now.arn.replace("111122223333", "444455556666")),
                other("444455556666"),
                "ACTIVE",
            ),
            (there(|now| now.status = "DELETING".into()), unusable("DELETING"), "DELETING"),
            (there(|now| now.status = "FAILED".into()), unusable("FAILED"), "FAILED"),
            (
                there(|now| {
                    now.status = "CREATING".into();
                    now.created_at = at(1_800_000_000);
                    now.endpoint = None;
                    now.certificate_authority = None;
                }),
                unusable("CREATING"),
                "CREATING",
            ),
        ] {
            let facts = ClusterFacts { status: status.to_owned(), ..known() };
            let expected = Comparison { facts, changes: vec![], drift: Some(drift) };
            assert_eq!(compare(&known(), &found), expected, "{found:?}");
        }
    }

    #[test]
    fn made_anew_is_still_news_once_it_can_be_used() {
        let half = ClusterFacts {
            status: "CREATING".into(),
            created_at: at(1_800_000_000),
            endpoint: None,
            ..known()
        };
        let meanwhile = compare(&known(), &Found::Cluster(Box::new(half))).facts;
        let whole = ClusterFacts { created_at: at(1_800_000_000), ..known() };
        let comparison = compare(&meanwhile, &Found::Cluster(Box::new(whole.clone())));
        assert_eq!(comparison.drift, Some(Kind::CreatedAnew { at: at(1_800_000_000) }));
        assert_eq!(comparison.facts, whole);
    }
}
