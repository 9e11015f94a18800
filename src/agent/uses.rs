//! What the names stand for that shells and commands use, and that they do.

use std::{path::PathBuf, sync::Arc};

use super::{owner::Agent, refresh::blocking};
use crate::{
    ipc::wire::{Empty, Owner, Resolved, UseParams},
    model::{
        Source,
        text::printable,
        uses::{self, InCluster, Meaning, Meaningless},
    },
    report::{Code, Report},
    store::overlays,
    world::World,
};

/// What a name stands for.
#[derive(Debug)]
pub(super) struct Meant {
    /// The answer, as far as nothing has to be made for it.
    pub(super) resolved: Resolved,
    /// The clusters' files, the current one's first.
    files: Vec<PathBuf>,
    /// What the file must hold that stands before them, where one is needed.
    overlay: Option<String>,
}

impl Meant {
    /// Makes the file that is for one process, where one is needed, and returns the answer.
    pub(super) async fn settle(
        self,
        world: &Arc<World>,
        owner: Option<Owner>,
    ) -> Result<Resolved, Report> {
        let Self { mut resolved, mut files, overlay } = self;
        let Some(text) = overlay else { return Ok(resolved) };
        let owner = match owner {
            Some(Owner::Shell(pid)) => overlays::Owner::Shell(pid),
            Some(Owner::Command(pid)) => overlays::Owner::Command(pid),
            None => return Err(nobodys()),
        };
        let folder = world.paths.overlay_dir();
        let make = move || overlays::make(&folder, owner, &text);
        let file = blocking(make).await.map_err(|trouble| trouble.report)??.ok_or_else(unseen)?;
        if 1 < files.len() {
            // The clients for Python (`kube_config.py`, `KubeConfigMerger`) and Java take the current
            // context of the last file (fabric8io/kubernetes-client#6787); client-go reads a file once.
            files.push(file.clone());
        }
        files.insert(0, file);
        let list = std::env::join_paths(&files).map_err(|error| {
            let what = "these clusters' files cannot stand together in `KUBECONFIG`";
            Report::new(Code::UnsafePath, what, "use a home folder without `:` in its path")
                .because(error.to_string())
        })?;
        resolved.kubeconfig = Some(list.display().to_string());
        Ok(resolved)
    }
}

fn nobodys() -> Report {
    let what = "a namespace, or several clusters, are kept for one shell or one command";
    let fix = "use `eksd use` in a shell with the hook (`eksd init`), or `eksd exec`";
    Report::new(Code::Usage, what, fix)
}

fn unseen() -> Report {
    let what = "the agent does not see the shell or command that asks";
    let fix = "use `eksd --no-agent`";
    Report::new(Code::Usage, what, fix)
        .because("it has ended, or runs in another container than the agent".to_owned())
}

impl Agent {
    pub(super) fn resolve(&self, name: &str) -> Result<Meant, Report> {
        let is_cluster = |alias: &str| self.clusters.get(alias).is_ok();
        let is_profile = |name: &str| self.known.profile(name).is_some();
        match uses::read(name, is_cluster, is_profile) {
            Ok(Meaning::Clusters(clusters)) => self.clusters_meant(&clusters),
            Ok(Meaning::Profile) => Ok(self.profile_meant(name)),
            Err(error) => Err(self.meaningless(name, &error)),
        }
    }

    fn clusters_meant(&self, named: &[InCluster]) -> Result<Meant, Report> {
        let aliases = named.iter().map(|it| self.clusters.get(&it.alias));
        let clusters = aliases.collect::<Result<Vec<_>, _>>()?;
        let files: Vec<PathBuf> =
            clusters.iter().map(|cluster| self.world.kubeconfig_path(&cluster.alias)).collect();
        let first = clusters.first().ok_or_else(|| self.unknown(""))?;
        let resolved = Resolved {
            profile: first.profile.clone(),
            cluster: Some(first.alias.clone()),
            region: Some(first.region.clone()),
            kubeconfig: files.first().map(|file| file.display().to_string()),
            needs_mirror: self.needs_mirror(&first.profile),
        };
        Ok(Meant { resolved, files, overlay: uses::overlay(named) })
    }

    fn profile_meant(&self, name: &str) -> Meant {
        let region = self.known.chain(name).ok().and_then(|chain| chain.reach.region.clone());
        let resolved = Resolved {
            profile: name.to_owned(),
            cluster: None,
            region,
            kubeconfig: None,
            needs_mirror: self.needs_mirror(name),
        };
        Meant { resolved, files: Vec::new(), overlay: None }
    }

    fn meaningless(&self, whole: &str, error: &Meaningless) -> Report {
        match error {
            // The whole may be a profile's name that is almost right.
            Meaningless::Unknown(part) => {
                let is_near = self.known.near(whole, self.clusters.aliases()).is_some();
                self.unknown(if is_near || part.is_empty() { whole } else { part })
            }
            Meaningless::ProfileAmongClusters(name) => Report::new(
                Code::Usage,
                format!("`{}` is a profile, and stands where only a cluster can", printable(name)),
                "`eksd cluster list` shows the clusters",
            ),
            Meaningless::NoNamespace(alias) => Report::new(
                Code::Usage,
                format!("no namespace stands behind `{}/`", printable(alias)),
                format!("write `{0}` or `{0}/NAMESPACE`", printable(alias)),
            ),
            Meaningless::NotANamespace(name) => Report::new(
                Code::Usage,
                format!("no namespace can be called `{}`", printable(name)),
                "use small letters, digits and `-`, at most 63, a letter or digit first and last",
            ),
            Meaningless::Twice(alias) => Report::new(
                Code::Usage,
                format!("cluster `{}` is named twice", printable(alias)),
                "name it once",
            ),
        }
    }

    /// Returns whether the AWS tools need the mirror config to use the profile as eksd does: what they
    /// find in the shared cache or in the files they can use as it is.
    fn needs_mirror(&self, profile: &str) -> bool {
        self.known.chain(profile).is_ok_and(|chain| {
            let is_plain = matches!(
                chain.source,
                Source::Sso { .. } | Source::SsoTokenOnly { .. } | Source::Keys(_)
            );
            !is_plain || !chain.hops.is_empty()
        })
    }

    /// Returns the report for a name that is no profile, cluster or sign-in.
    pub(super) fn unknown(&self, name: &str) -> Report {
        let what = format!("there is no profile or cluster `{}`", printable(name));
        let fix = match self.known.near(name, self.clusters.aliases()) {
            Some(near) => format!("did you mean `{}`?", printable(&near)),
            None => "`eksd status --all` lists what there is".to_owned(),
        };
        Report::new(Code::UnknownProfile, what, fix)
    }

    pub(super) fn note_use(&mut self, params: &UseParams) -> Result<Empty, Report> {
        let profile = match (&params.cluster, &params.profile) {
            (Some(alias), _) => self.clusters.get(alias)?.profile.clone(),
            (None, Some(profile)) => profile.clone(),
            (None, None) => return Ok(Empty {}),
        };
        let chain = self.known.chain(&profile)?;
        let (name, specs) = (chain.profile.clone(), chain.specs());
        self.note_used(&name, &specs);
        Ok(Empty {})
    }
}
