//! The cluster registry: `clusters.json` in the state folder. No secrets.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StoreError, atomic, state::keep_aside};
use crate::{
    model::cluster::{Change, Cluster, ClusterFacts, Drift, Drifts, EndpointAccess, Kind},
    report::{Code, Report},
};

/// Raised when an older eksd would misread the file.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Registry {
    version: u32,
    clusters: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    alias: String,
    name: String,
    region: String,
    profile: String,
    #[serde(default)]
    described_by: Option<String>,
    #[serde(default)]
    role_arn: Option<String>,
    #[serde(default)]
    proxy_url: Option<String>,
    arn: String,
    endpoint: Option<String>,
    certificate_authority: Option<String>,
    status: String,
    version: Option<String>,
    created_at: Option<String>,
    id: Option<String>,
    platform_version: Option<String>,
    authentication_mode: Option<String>,
    #[serde(default)]
    access: Option<RowAccess>,
    checked_at: Option<String>,
    #[serde(default)]
    drifts: Vec<RowDrift>,
}

#[derive(Serialize, Deserialize)]
struct RowAccess {
    public: bool,
    private: bool,
    public_cidrs: Vec<String>,
}

/// A drift. What belongs to a kind is in `words`, an instant in `at`; a kind that is not known is
/// left out.
#[derive(Serialize, Deserialize)]
struct RowDrift {
    kind: String,
    since: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    words: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    more: Option<String>,
}

/// Loads the registry. A file that cannot be used is kept aside and reported.
pub fn load(path: &Path) -> (Vec<Cluster>, Option<Report>) {
    let bytes = match atomic::read(path) {
        Ok(None) => return (Vec::new(), None),
        Ok(Some(content)) => content.bytes,
        Err(error) => return (Vec::new(), Some(error.into())),
    };
    let unusable = |why: String| {
        let what = format!("`{}` cannot be used; eksd knows no clusters", path.display());
        let fix = match keep_aside(path) {
            Ok(aside) => format!("add the clusters again, or mend `{}`", aside.display()),
            Err(_) => format!("remove `{}` and add the clusters again", path.display()),
        };
        (Vec::new(), Some(Report::new(Code::ReadFailed, what, fix).because(why)))
    };
    match serde_json::from_slice::<Registry>(&bytes) {
        Ok(registry) if registry.version == VERSION => {
            (registry.clusters.into_iter().map(Into::into).collect(), None)
        }
        Ok(registry) => unusable(format!("it has version {}", registry.version)),
        Err(error) => {
            unusable(format!("it is not what eksd writes, from line {} on", error.line()))
        }
    }
}

/// Writes the registry.
pub fn save(path: &Path, clusters: &[Cluster]) -> Result<(), StoreError> {
    let registry =
        Registry { version: VERSION, clusters: clusters.iter().map(Into::into).collect() };
    let text = serde_json::to_vec_pretty(&registry)
        .map_err(|source| StoreError::Write { path: path.to_owned(), source: source.into() })?;
    atomic::write(path, &text)
}

impl From<&Cluster> for Row {
    fn from(cluster: &Cluster) -> Self {
        let facts = cluster.facts.clone();
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            alias: cluster.alias.clone(),
            name: cluster.name.clone(),
            region: cluster.region.clone(),
            profile: cluster.profile.clone(),
            described_by: cluster.described_by.clone(),
            role_arn: cluster.role_arn.clone(),
            proxy_url: cluster.proxy_url.clone(),
            arn: facts.arn,
            endpoint: facts.endpoint,
            certificate_authority: facts.certificate_authority,
            status: facts.status,
            version: facts.version,
            created_at: text(facts.created_at),
            id: facts.id,
            platform_version: facts.platform_version,
            authentication_mode: facts.authentication_mode,
            access: facts.access.map(|access| RowAccess {
                public: access.is_public,
                private: access.is_private,
                public_cidrs: access.public_cidrs,
            }),
            checked_at: text(cluster.checked_at),
            drifts: cluster.drifts.all().map(Into::into).collect(),
        }
    }
}

impl From<&Drift> for RowDrift {
    fn from(drift: &Drift) -> Self {
        let (words, more) = match drift.kind.clone() {
            Kind::ProfileGone { profile, like } => (vec![profile], like),
            Kind::AnotherAccount { account } => (vec![account], None),
            Kind::NotUsable { status } => (vec![status], None),
            Kind::NotWritten { why, fix } => (vec![why], Some(fix)),
            Kind::CreatedAnew { at } => (Vec::new(), at.map(|at| at.to_string())),
            Kind::Changed(changes) => (changes.iter().filter_map(change_word).collect(), None),
            Kind::PutBack { what, aside } => (what, aside),
            Kind::Deleted | Kind::Contested => (Vec::new(), None),
        };
        let kind = drift.kind.as_str().to_owned();
        Self { kind, since: drift.since.to_string(), words, more }
    }
}

impl RowDrift {
    fn drift(self) -> Option<Drift> {
        let mut words = self.words.clone().into_iter();
        let kind = match self.kind.as_str() {
            "profile-gone" => Kind::ProfileGone { profile: words.next()?, like: self.more },
            "another-account" => Kind::AnotherAccount { account: words.next()? },
            "deleted" => Kind::Deleted,
            "not-usable" => Kind::NotUsable { status: words.next()? },
            "created-anew" => {
                Kind::CreatedAnew { at: self.more.and_then(|text| text.parse().ok()) }
            }
            "changed" => Kind::Changed(words.filter_map(|word| change_of(&word)).collect()),
            "not-written" => {
                Kind::NotWritten { why: words.next()?, fix: self.more.unwrap_or_default() }
            }
            "contested" => Kind::Contested,
            "put-back" => Kind::PutBack { what: self.words, aside: self.more },
            _ => return None,
        };
        Some(Drift { kind, since: self.since.parse().ok()? })
    }
}

/// The changes that are ever kept.
fn change_word(change: &Change) -> Option<String> {
    let word = match change {
        Change::Endpoint => "endpoint",
        Change::Authority => "ca",
        Change::MadePrivate => "private",
        Change::CreatedAnew { .. } | Change::Version { .. } => return None,
    };
    Some(word.to_owned())
}

fn change_of(word: &str) -> Option<Change> {
    match word {
        "endpoint" => Some(Change::Endpoint),
        "ca" => Some(Change::Authority),
        "private" => Some(Change::MadePrivate),
        _ => None,
    }
}

impl From<Row> for Cluster {
    fn from(row: Row) -> Self {
        let instant = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Self {
            facts: ClusterFacts {
                name: row.name.clone(),
                arn: row.arn,
                endpoint: row.endpoint,
                certificate_authority: row.certificate_authority,
                status: row.status,
                version: row.version,
                created_at: instant(row.created_at),
                id: row.id,
                platform_version: row.platform_version,
                authentication_mode: row.authentication_mode,
                access: row.access.map(|access| EndpointAccess {
                    is_public: access.public,
                    is_private: access.private,
                    public_cidrs: access.public_cidrs,
                }),
                // One that is only registered with EKS is not taken.
                connector: None,
            },
            alias: row.alias,
            name: row.name,
            region: row.region,
            profile: row.profile,
            described_by: row.described_by,
            role_arn: row.role_arn,
            proxy_url: row.proxy_url,
            checked_at: instant(row.checked_at),
            drifts: Drifts::new(row.drifts.into_iter().filter_map(RowDrift::drift)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        Cluster {
            alias: "demo".into(),
            name: "demo".into(),
            region: "eu-west-1".into(),
            profile: "dev".into(),
            described_by: None,
            role_arn: None,
            proxy_url: None,
            facts: ClusterFacts {
                name: "demo".into(),
                arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo".into(),
                endpoint: Some("https://demo.example".into()),
                certificate_authority: Some("Q0E=".into()),
                status: "ACTIVE".into(),
                version: Some("1.34".into()),
                created_at: Timestamp::from_second(1_700_000_000).ok(),
                id: None,
                platform_version: None,
                authentication_mode: Some("API".into()),
                access: None,
                connector: None,
            },
            checked_at: Timestamp::from_second(1_800_000_000).ok(),
            drifts: Drifts::default(),
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clusters.json");
        assert_eq!(load(&path), (Vec::new(), None));
        let shared = Cluster {
            described_by: Some("reader".into()),
            role_arn: Some("arn:aws:iam::111122223333:role/dev".into()),
            proxy_url: Some("http://proxy:3128".into()),
            ..cluster()
        };
        save(&path, &[cluster(), shared.clone()]).unwrap();
        assert_eq!(load(&path), (vec![cluster(), shared], None));
    }

    #[test]
    fn drift_survives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clusters.json");
        let since = Timestamp::from_second(1_800_000_100).unwrap();
        let text = |text: &str| text.to_owned();
        for kind in [
            Kind::ProfileGone { profile: text("dev"), like: None },
            Kind::ProfileGone { profile: text("dev"), like: Some(text("new")) },
            Kind::AnotherAccount { account: text("444455556666") },
            Kind::Deleted,
            Kind::NotUsable { status: text("FAILED") },
            Kind::CreatedAnew { at: None },
            Kind::CreatedAnew { at: Timestamp::from_second(1_700_000_000).ok() },
            Kind::Changed(vec![Change::Endpoint, Change::Authority, Change::MadePrivate]),
            Kind::NotWritten { why: text("it is a link"), fix: text("move it") },
            Kind::Contested,
            Kind::PutBack { what: vec![text("the CA")], aside: None },
            Kind::PutBack { what: vec![], aside: Some(text("~/x.bad-1")) },
        ] {
            let drifts = Drifts::new([Drift { kind, since }]);
            let cluster = Cluster { drifts, ..cluster() };
            save(&path, std::slice::from_ref(&cluster)).unwrap();
            assert_eq!(load(&path), (vec![cluster], None));
        }
    }

    #[test]
    fn files_of_earlier_versions_load_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clusters.json");
        let first = include_bytes!("../../tests/data/compat/clusters-v1.json");
        atomic::write(&path, first).unwrap();
        assert_eq!(load(&path), (vec![cluster()], None));

        let with_drift = include_bytes!("../../tests/data/compat/clusters-v1-drift.json");
        atomic::write(&path, with_drift).unwrap();
        let mut cluster = cluster();
        cluster.facts.access =
            Some(EndpointAccess { is_public: false, is_private: true, public_cidrs: Vec::new() });
        // A kind that a later eksd knows is left out.
        cluster.drifts.note(Kind::Deleted, Timestamp::from_second(1_800_000_000).unwrap());
        assert_eq!(load(&path), (vec![cluster], None));
    }

    #[test]
    fn nonsense_is_reported_and_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clusters.json");
        for text in ["", "{", "[]", r#"{"version": 2, "clusters": []}"#] {
            atomic::write(&path, text.as_bytes()).unwrap();
            let (clusters, report) = load(&path);
            assert!(clusters.is_empty() && report.is_some(), "{text}");
            let aside = dir.path().join("clusters.json.bad-1");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
            assert!(!path.exists());
        }
    }
}
