//! The cluster registry: `clusters.json` in the state folder. No secrets.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StoreError, atomic, state::keep_aside};
use crate::{
    model::cluster::{Cluster, ClusterFacts},
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
    checked_at: Option<String>,
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
            checked_at: text(cluster.checked_at),
        }
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
            },
            alias: row.alias,
            name: row.name,
            region: row.region,
            profile: row.profile,
            described_by: row.described_by,
            role_arn: row.role_arn,
            proxy_url: row.proxy_url,
            checked_at: instant(row.checked_at),
            drift: None,
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
            },
            checked_at: Timestamp::from_second(1_800_000_000).ok(),
            drift: None,
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
    fn a_file_of_the_first_version_loads_for_ever() {
        let text = include_bytes!("../../tests/data/compat/clusters-v1.json");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clusters.json");
        atomic::write(&path, text).unwrap();
        assert_eq!(load(&path), (vec![cluster()], None));
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
