//! How changes and drift are told.

use jiff::Timestamp;

use super::{Change, Cluster, Drift, Kind, WHOLE};
use crate::model::text::{printable, printable_sentence};

impl Change {
    /// Returns it in words, for a line that begins with the cluster's alias.
    pub fn words(&self) -> String {
        match self {
            Self::CreatedAnew { at: Some(at) } => format!("was created anew on {}", date(*at)),
            Self::CreatedAnew { at: None } => "was created anew".to_owned(),
            Self::Endpoint => "has another address".to_owned(),
            Self::Authority => "has another certificate authority".to_owned(),
            Self::MadePrivate => "can only be reached from inside its VPC now".to_owned(),
            Self::Version { to } => format!("runs Kubernetes {} now", printable(to)),
        }
    }
}

/// A drift for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// One line, for a notice's head.
    pub title: String,
    /// What happened and when, and what of it; for lists, after the cluster's alias.
    pub what: String,
    /// What to do, where somebody must.
    pub fix: Option<String>,
}

impl Drift {
    /// Returns it in words. `file` is the cluster's file as people write it.
    pub fn told(&self, cluster: &Cluster, file: &str) -> Told {
        let alias = printable(&cluster.alias);
        let since = day(self.since);
        let told = |title: String, what: String, fix: Option<String>| Told { title, what, fix };
        match &self.kind {
            Kind::ProfileGone { profile, like } => profile_gone(cluster, profile, like.as_deref()),
            Kind::AnotherAccount { account } => told(
                format!("Cluster {alias} is in another account than its profile"),
                format!(
                    "profile `{}` is in account {} since {since}, the cluster in {}; the file is kept as it was",
                    printable(cluster.describer()),
                    printable(account),
                    cluster.facts.account().unwrap_or("another one"),
                ),
                Some(format!(
                    "mend the profile, or `eksd cluster remove {alias}` and add the other cluster"
                )),
            ),
            Kind::Deleted => told(
                format!("Cluster {alias} was deleted"),
                format!("was deleted: AWS knows it no longer since {since}; the file is kept"),
                Some(format!("eksd cluster remove {alias}")),
            ),
            Kind::NotUsable { status } => {
                let is = match status.as_str() {
                    "DELETING" => "is being deleted".to_owned(),
                    "CREATING" => "is being created".to_owned(),
                    "FAILED" => "has failed".to_owned(),
                    other => format!("is {}", printable(other)),
                };
                let what = format!("{is} since {since}; the file is kept as it was");
                told(format!("Cluster {alias} {is}"), what, None)
            }
            Kind::CreatedAnew { at } => {
                let what = Change::CreatedAnew { at: *at }.words();
                told(
                    format!("Cluster {alias} was created anew"),
                    format!("{what}; the file follows; namespace kept"),
                    None,
                )
            }
            Kind::Changed(changes) => {
                let words: Vec<String> = changes.iter().map(Change::words).collect();
                let words = words.join(", ");
                let follows = if changes.as_slice() == [Change::MadePrivate] {
                    "a VPN or a machine in the VPC is needed"
                } else {
                    "the file follows"
                };
                let what = format!("{words} since {since}; {follows}");
                told(format!("Cluster {alias} {words}"), what, None)
            }
            Kind::NotWritten { why, fix } => told(
                format!("{file} cannot be put right"),
                format!("the file cannot be put right since {since}: {}", printable_sentence(why)),
                Some(format!("{}; then run `eksd cluster sync {alias}`", printable_sentence(fix))),
            ),
            Kind::Contested => told(
                format!("{file} is being edited by another program"),
                format!(
                    "another program keeps editing the file since {since}; eksd leaves it until the next comparison"
                ),
                Some(format!("eksd cluster sync {alias}")),
            ),
            Kind::PutBack { what, aside } => {
                let text = match (what.as_slice(), aside) {
                    (_, Some(aside)) => format!(
                        "{file} held no kubeconfig on {since} and was written anew; what stood there is kept in {aside}"
                    ),
                    ([whole], None) if whole == WHOLE => format!(
                        "{file} was gone or empty on {since} and was written anew; a namespace and what else was yours in it are lost"
                    ),
                    (what, None) => format!(
                        "{file} was edited by somebody on {since}: {} put back; what is yours in it stays",
                        what.join(", ")
                    ),
                };
                told(format!("The file of cluster {alias} was put right"), text, None)
            }
        }
    }
}

fn profile_gone(cluster: &Cluster, profile: &str, like: Option<&str>) -> Told {
    let profile = printable(profile);
    let what = format!("profile `{profile}` is no longer in the AWS config");
    let title = format!("Profile {profile} is gone");
    let Some(like) = like.map(printable) else {
        let fix = "put it back, or register the cluster with another `--profile`".to_owned();
        return Told { title, what, fix: Some(fix) };
    };
    let (signer, describer) = match &cluster.described_by {
        Some(describer) if *describer == profile => (printable(&cluster.profile), Some(&like)),
        Some(_) | None => (like.clone(), cluster.described_by.as_ref()),
    };
    let mut command = format!(
        "eksd cluster add {} --region {} --alias {} --profile {signer}",
        printable(&cluster.name),
        printable(&cluster.region),
        printable(&cluster.alias),
    );
    for (flag, value) in [
        ("--described-by", describer),
        ("--role-arn", cluster.role_arn.as_ref()),
        ("--proxy-url", cluster.proxy_url.as_ref()),
    ] {
        if let Some(value) = value {
            command.push_str(&format!(" {flag} {}", printable(value)));
        }
    }
    let what = format!("{what}; `{like}` comes to the same account and role");
    Told { title, what, fix: Some(command) }
}

impl Cluster {
    /// Returns all its drift in one line; `None`: everything is as it should be.
    pub fn drift_in_words(&self, file: &str) -> Option<String> {
        let words: Vec<String> =
            self.drifts.all().map(|drift| drift.told(self, file).what).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// To the minute: who looks for a cause compares it with other times.
fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClusterFacts, cluster::Drifts};

    fn cluster() -> Cluster {
        Cluster {
            alias: "demo".into(),
            name: "prod-demo".into(),
            region: "eu-west-1".into(),
            profile: "dev".into(),
            described_by: None,
            role_arn: None,
            proxy_url: None,
            facts: ClusterFacts {
                arn: "arn:aws:eks:eu-west-1:111122223333:cluster/prod-demo".into(),
                ..ClusterFacts::default()
            },
            checked_at: None,
            drifts: Drifts::default(),
        }
    }

    #[test]
    fn each_kind_says_what_and_when() {
        let since: Timestamp = "2026-03-02T14:05:09Z".parse().unwrap();
        let born: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        let put_back = |aside: Option<&str>| Kind::PutBack {
            what: vec!["the server address".into(), "the CA".into()],
            aside: aside.map(str::to_owned),
        };
        for (kind, expected) in [
            (
                Kind::ProfileGone { profile: "dev".into(), like: None },
                "profile `dev` is no longer in the AWS config",
            ),
            (
                Kind::AnotherAccount { account: "444455556666".into() },
                "profile `dev` is in account 444455556666 since 2026-03-02 14:05 UTC, the cluster in 111122223333; the file is kept as it was",
            ),
            (
                Kind::Deleted,
                "was deleted: AWS knows it no longer since 2026-03-02 14:05 UTC; the file is kept",
            ),
            (
                Kind::NotUsable { status: "DELETING".into() },
                "is being deleted since 2026-03-02 14:05 UTC; the file is kept as it was",
            ),
            (
                Kind::NotUsable { status: "FAILED".into() },
                "has failed since 2026-03-02 14:05 UTC; the file is kept as it was",
            ),
            (
                Kind::CreatedAnew { at: Some(born) },
                "was created anew on 2026-03-01; the file follows; namespace kept",
            ),
            (
                Kind::Changed(vec![Change::Endpoint, Change::Authority]),
                "has another address, has another certificate authority since 2026-03-02 14:05 UTC; the file follows",
            ),
            (
                Kind::Changed(vec![Change::MadePrivate]),
                "can only be reached from inside its VPC now since 2026-03-02 14:05 UTC; a VPN or a machine in the VPC is needed",
            ),
            (
                Kind::NotWritten { why: "is a link out of its folder".into(), fix: "x".into() },
                "the file cannot be put right since 2026-03-02 14:05 UTC: is a link out of its folder",
            ),
            (
                Kind::Contested,
                "another program keeps editing the file since 2026-03-02 14:05 UTC; eksd leaves it until the next comparison",
            ),
            (
                put_back(None),
                "~/d.yaml was edited by somebody on 2026-03-02 14:05 UTC: the server address, the CA put back; what is yours in it stays",
            ),
        ] {
            assert_eq!(Drift { kind, since }.told(&cluster(), "~/d.yaml").what, expected);
        }
        let whole = || vec![WHOLE.to_owned()];
        let gone = Kind::PutBack { what: whole(), aside: None };
        assert_eq!(
            Drift { kind: gone, since }.told(&cluster(), "~/d.yaml").what,
            "~/d.yaml was gone or empty on 2026-03-02 14:05 UTC and was written anew; a namespace and what else was yours in it are lost"
        );
        for what in [vec![], whole()] {
            let aside = Kind::PutBack { what, aside: Some("~/d.yaml.bad-1".into()) };
            assert_eq!(
                Drift { kind: aside, since }.told(&cluster(), "~/d.yaml").what,
                "~/d.yaml held no kubeconfig on 2026-03-02 14:05 UTC and was written anew; what stood there is kept in ~/d.yaml.bad-1"
            );
        }
    }

    #[test]
    fn a_renamed_profile_comes_with_the_whole_command() {
        let since = Timestamp::UNIX_EPOCH;
        let gone = |profile: &str| Drift {
            kind: Kind::ProfileGone { profile: profile.into(), like: Some("new".into()) },
            since,
        };
        let fix = gone("dev").told(&cluster(), "f").fix.unwrap();
        assert_eq!(fix, "eksd cluster add prod-demo --region eu-west-1 --alias demo --profile new");
        let shared = Cluster {
            described_by: Some("reader".into()),
            role_arn: Some("arn:aws:iam::1:role/x".into()),
            ..cluster()
        };
        let end = "--described-by reader --role-arn arn:aws:iam::1:role/x";
        assert!(gone("dev").told(&shared, "f").fix.unwrap().ends_with(end));
        let fix = gone("reader").told(&shared, "f").fix.unwrap();
        assert!(fix.contains("--profile dev --described-by new"), "{fix}");
    }

    #[test]
    fn several_drifts_are_one_line() {
        let mut cluster = cluster();
        assert_eq!(cluster.drift_in_words("f"), None);
        cluster.drifts.note(Kind::Contested, Timestamp::UNIX_EPOCH);
        cluster.drifts.note(Kind::Deleted, Timestamp::UNIX_EPOCH);
        let words = cluster.drift_in_words("f").unwrap();
        assert!(words.starts_with("was deleted") && words.contains("; another program"), "{words}");
    }
}
