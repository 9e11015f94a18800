//! The clusters' kubeconfig files. What a file must say is decided in the agent's task; workers read
//! and write. A file has one writer at a time, which takes what is true when it begins: so a file
//! never goes back to what was true before.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::{Synced, found::report_of};
use crate::{
    agent::{
        event::{Event, Reply},
        owner::Agent,
        refresh::blocking,
        scribe::Without,
    },
    ipc::wire::Empty,
    model::{
        cluster::{Change, Cluster, Fight, Kind, Part, Verdict},
        kubeconfig::{Put, Wanted},
    },
    report::{Code, Report},
    store::kubeconfigs::{self, Written},
};

/// Why a file is written.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The agent has started.
    Start,
    /// Somebody edited it.
    Edited,
    /// AWS was asked.
    Compared {
        /// What AWS changed.
        changes: Vec<Change>,
        /// Who waits for it.
        reply: Reply<Synced>,
    },
    /// The cluster is to be registered, like this.
    Added {
        /// The cluster.
        cluster: Box<Cluster>,
        /// Who waits for it.
        reply: Reply<Synced>,
    },
    /// The cluster is to have another alias.
    Renamed {
        /// Which.
        to: String,
        /// Who waits for it.
        reply: Reply<Empty>,
    },
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) purpose: Purpose,
    /// What the file had to say until now, where that is something else.
    pub(super) before: Option<Wanted>,
    /// The registry is on its way to the disk; the file waits for it.
    pub(super) registry: Option<oneshot::Receiver<()>>,
}

/// Files waiting for their turn, by alias; the first of each is being written.
pub(super) type Jobs = std::collections::BTreeMap<String, VecDeque<Job>>;

/// Whether somebody looks for files that say something else than they must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Look {
    /// Nobody.
    #[default]
    Idle,
    /// Somebody.
    Looking,
    /// Somebody, and then once more: something changed meanwhile.
    Again,
}

impl Agent {
    /// Returns what a cluster's file must say, once it has an address.
    pub(super) fn wanted_file(&self, cluster: &Cluster) -> Option<Wanted> {
        Some(Wanted {
            alias: cluster.alias.clone(),
            server: cluster.facts.endpoint.clone()?,
            certificate_authority: cluster.facts.certificate_authority.clone()?,
            command: self.world.command.clone(),
            proxy_url: cluster.proxy_url.clone(),
            former_proxy_url: None,
        })
    }

    /// Puts every file right from what is known, without asking AWS, as the agent starts: eksd may
    /// have moved.
    pub(in crate::agent) fn restore_kubeconfigs(&mut self) {
        if self.world.is_daemon() {
            self.look(true);
        }
    }

    /// Looks which files say something else than they must: something in their folder changed. A burst
    /// of changes costs two readings, and what eksd writes itself is no news.
    pub(in crate::agent) fn look_at_kubeconfigs(&mut self) {
        self.look(false);
    }

    fn look(&mut self, is_start: bool) {
        if self.clusters.look != Look::Idle {
            self.clusters.look = Look::Again;
            return;
        }
        self.clusters.look = Look::Looking;
        // One that is being written may be edited behind its writer's back.
        self.clusters.looks_after = !self.clusters.jobs.is_empty();
        let files: Vec<_> = self
            .clusters
            .all()
            .filter(|cluster| !self.clusters.jobs.contains_key(&cluster.alias))
            .filter_map(|cluster| {
                let path = self.world.kubeconfig_path(&cluster.alias);
                Some((path, self.wanted_file(cluster)?))
            })
            .collect();
        let mailbox = self.mailbox.clone();
        self.workers.spawn(async move {
            let look = move || {
                files
                    .into_iter()
                    .filter(|(path, wanted)| kubeconfigs::is_different(path, wanted))
                    .map(|(_, wanted)| wanted.alias)
                    .collect()
            };
            let different: Vec<String> = blocking(look).await.unwrap_or_default();
            mailbox.send(Event::ClustersLooked { different, is_start });
        });
    }

    /// Puts the files back that somebody edited, unless that is a fight.
    pub(in crate::agent) fn clusters_looked(&mut self, different: Vec<String>, is_start: bool) {
        let again = self.clusters.look == Look::Again;
        self.clusters.look = Look::Idle;
        let now = self.now();
        for alias in different {
            if self.clusters.jobs.contains_key(&alias) {
                self.clusters.looks_after = true;
                continue;
            }
            if self.clusters.get(&alias).is_err() {
                continue;
            }
            match self.clusters.fights.entry(alias.clone()).or_default().judge(now) {
                Verdict::PutBack => {
                    let purpose = if is_start { Purpose::Start } else { Purpose::Edited };
                    let job = Job { purpose, before: None, registry: None };
                    self.write_file(&alias, job);
                }
                Verdict::GiveWay => {
                    tracing::warn!(
                        cluster = alias,
                        "another program keeps editing the kubeconfig; it is left alone"
                    );
                    self.note_drift(&alias, Kind::Contested);
                    self.keep_clusters();
                }
                Verdict::Rest => {}
            }
        }
        if again {
            self.look_at_kubeconfigs();
        }
    }

    /// Begins anew after a fight.
    pub(super) fn end_fight(&mut self, alias: &str) {
        self.clusters.fights.remove(alias);
    }

    /// Has a file written when it is its turn.
    pub(super) fn write_file(&mut self, alias: &str, job: Job) {
        let jobs = self.clusters.jobs.entry(alias.to_owned()).or_default();
        jobs.push_back(job);
        if jobs.len() == 1 {
            self.next_file(alias);
        }
    }

    /// Starts the writer of the first job that has something to write.
    fn next_file(&mut self, alias: &str) {
        while let Some(job) = self.clusters.jobs.get_mut(alias).and_then(VecDeque::front_mut) {
            let (before, registry) = (job.before.take(), job.registry.take());
            let cluster = match &job.purpose {
                Purpose::Added { cluster, .. } => Some((**cluster).clone()),
                _ => self.clusters.get(alias).ok().cloned(),
            };
            // Of two who take the same name at the same time one was faster.
            let taken = cluster
                .as_ref()
                .and_then(|cluster| self.clusters.check_registration(cluster).err());
            let job = self.clusters.jobs.get(alias).and_then(VecDeque::front);
            let to = job.and_then(|job| match &job.purpose {
                Purpose::Renamed { to, .. } => Some(to.clone()),
                _ => None,
            });
            if taken.is_none()
                && let Some(wanted) = cluster.and_then(|cluster| self.wanted_file(&cluster))
            {
                self.spawn_writer(alias.to_owned(), wanted, before, to, registry);
                return;
            }
            // Taken or forgotten meanwhile.
            if let Some(job) = self.clusters.jobs.get_mut(alias).and_then(VecDeque::pop_front) {
                refuse(job.purpose, taken.or_else(|| self.clusters.get(alias).err()));
            }
        }
        self.clusters.jobs.remove(alias);
        if self.clusters.jobs.is_empty() && std::mem::take(&mut self.clusters.looks_after) {
            self.look_at_kubeconfigs();
        }
    }

    fn spawn_writer(
        &mut self,
        alias: String,
        mut wanted: Wanted,
        before: Option<Wanted>,
        to: Option<String>,
        registry: Option<oneshot::Receiver<()>>,
    ) {
        let path = self.world.kubeconfig_path(&alias);
        let new_path = to.as_deref().map(|to| self.world.kubeconfig_path(to));
        let mailbox = self.mailbox.clone();
        if let Some(before) = &before
            && wanted.proxy_url.is_none()
        {
            wanted.former_proxy_url.clone_from(&before.proxy_url);
        }
        let old = alias.clone();
        self.workers.spawn(async move {
            if let Some(registry) = registry {
                // Written or not: what the registry could not keep is told elsewhere.
                let _written = registry.await;
            }
            let write = move || match new_path.zip(to) {
                Some((new_path, to)) => {
                    wanted.alias = to;
                    kubeconfigs::copy_renamed(&path, &old, &new_path, &wanted)
                        .map(|()| Written::default())
                }
                None => kubeconfigs::put_right(&path, &wanted, before.as_ref()),
            };
            let result = match blocking(write).await {
                Ok(result) => result,
                Err(trouble) => Err(trouble.report),
            };
            mailbox.send(Event::ClusterWritten { alias, result });
        });
    }

    /// Takes what came of writing a file, and has the next one written.
    pub(in crate::agent) fn cluster_written(
        &mut self,
        alias: &str,
        result: Result<Written, Report>,
    ) {
        let jobs = self.clusters.jobs.get_mut(alias);
        let Some(job) = jobs.and_then(VecDeque::pop_front) else { return };
        match job.purpose {
            Purpose::Added { cluster, reply } => self.file_added(*cluster, reply, result),
            Purpose::Renamed { to, reply } => self.file_renamed(alias, &to, reply, result),
            purpose => self.file_mended(alias, purpose, result),
        }
        self.next_file(alias);
    }

    fn file_mended(&mut self, alias: &str, purpose: Purpose, result: Result<Written, Report>) {
        if let Err(report) = self.clusters.get(alias) {
            // Forgotten meanwhile: its file must not come back.
            refuse(purpose, Some(report));
            let file = Without::First(self.world.kubeconfig_path(alias));
            self.scribe.keep_clusters(self.clusters.all(), Some(file), Box::new(drop));
            return;
        }
        let before = self.clusters.get(alias).ok().map(|cluster| cluster.drifts.clone());
        let told = match &result {
            Ok(written) => {
                self.clear_drift(alias, Part::File);
                self.told_of(alias, &purpose, written)
            }
            Err(report) => {
                tracing::warn!(cluster = alias, what = report.what, "kubeconfig not written");
                let why = std::iter::once(&report.what).chain(&report.why);
                let why = why.map(String::as_str).collect::<Vec<_>>().join(": ");
                self.note_drift(alias, Kind::NotWritten { why, fix: report.fix.clone() });
                Vec::new()
            }
        };
        let after = self.clusters.get(alias).ok().map(|cluster| cluster.drifts.clone());
        if before != after {
            self.keep_clusters();
        }
        if let Purpose::Compared { reply, .. } = purpose {
            let status = self.clusters.get(alias).map(|cluster| self.cluster_status(cluster));
            let answer = result.and(status).and_then(|status| {
                // What cannot be used has drifted, whatever its file says.
                let cluster = self.clusters.get(alias)?;
                report_of(cluster, &self.file_of(alias)).map_or(Ok((status, told)), Err)
            });
            let _hung_up = reply.send(answer);
        }
    }

    /// Returns what was done, in words, and notes what somebody had edited.
    fn told_of(&mut self, alias: &str, purpose: &Purpose, written: &Written) -> Vec<String> {
        for put in &written.puts {
            tracing::info!(cluster = alias, put = put.words(), "kubeconfig put right");
        }
        let is_start = matches!(purpose, Purpose::Start);
        let edits: Vec<String> = written
            .edits
            .iter()
            // eksd itself was moved while no agent ran.
            .filter(|put| !(is_start && **put == Put::EksdMoved))
            .map(|put| put.words().to_owned())
            .collect();
        let aside = written.aside.as_deref().map(|path| self.world.paths.shown(path));
        let mut told: Vec<String> = match purpose {
            Purpose::Compared { changes, .. } => changes.iter().map(Change::words).collect(),
            _ => Vec::new(),
        };
        let mended =
            written.puts.iter().filter(|put| told.is_empty() || written.edits.contains(put));
        let mended: Vec<String> =
            mended.map(|put| format!("{} was put right", put.words())).collect();
        told.extend(mended);
        if let Some(aside) = &aside {
            told.push(format!("what stood there is kept in {aside}"));
        }
        let is_moved = |put: &Put| matches!(put, Put::Server | Put::Authority);
        if !matches!(purpose, Purpose::Compared { .. }) && written.edits.iter().any(is_moved) {
            // Perhaps another agent on this home folder that has asked AWS since this one did.
            self.suspect_cluster(alias);
        }
        if !edits.is_empty() || aside.is_some() {
            self.note_drift(alias, Kind::PutBack { what: edits, aside });
        }
        told
    }

    fn file_added(
        &mut self,
        cluster: Cluster,
        reply: Reply<Synced>,
        result: Result<Written, Report>,
    ) {
        if let Err(report) = result.and_then(|_| self.clusters.check_registration(&cluster)) {
            // Where another one was given this alias meanwhile, the file is that one's.
            self.clusters.looks_after = true;
            let _hung_up = reply.send(Err(report));
            return;
        }
        let alias = cluster.alias.clone();
        let status = self.cluster_status(&cluster);
        self.clusters.by_alias.insert(alias.clone(), cluster);
        let now = self.now();
        self.check_again(&alias, now);
        self.end_fight(&alias);
        // Not registered before it is on disk: an agent that is killed now must still know it.
        let done = Box::new(move |kept: Result<(), Report>| {
            let _hung_up = reply.send(kept.map(|()| (status, Vec::new())));
        });
        self.scribe.keep_clusters(self.clusters.all(), None, done);
    }

    fn file_renamed(
        &mut self,
        alias: &str,
        to: &str,
        reply: Reply<Empty>,
        result: Result<Written, Report>,
    ) {
        let renamed = result.and_then(|_| self.clusters.rename(alias, to));
        if let Err(report) = renamed {
            let _hung_up = reply.send(Err(report));
            return;
        }
        // The old file goes last: whenever the agent is killed, what is registered has its file, with
        // all that is the person's.
        let old = Without::Then(self.world.kubeconfig_path(alias));
        let done = Box::new(move |gone: Result<(), Report>| {
            let _hung_up = reply.send(gone.map(|()| Empty {}));
        });
        self.scribe.keep_clusters(self.clusters.all(), Some(old), done);
    }

    /// Keeps the registry.
    pub(super) fn keep_clusters(&self) {
        // A failure is told by the scribe.
        self.scribe.keep_clusters(self.clusters.all(), None, Box::new(drop));
    }

    /// Returns a cluster's file as people write it.
    pub(in crate::agent) fn file_of(&self, alias: &str) -> String {
        self.world.paths.shown(&self.world.kubeconfig_path(alias))
    }
}

impl super::Clusters {
    /// Gives a cluster another alias, with all that is kept about it.
    fn rename(&mut self, alias: &str, to: &str) -> Result<(), Report> {
        self.check_free(to)?;
        let mut cluster = self.get(alias)?.clone();
        self.forget(alias);
        to.clone_into(&mut cluster.alias);
        self.by_alias.insert(to.to_owned(), cluster);
        Ok(())
    }
}

/// Tells whoever waits for a file that nothing comes of it.
fn refuse(purpose: Purpose, why: Option<Report>) {
    let why = why.unwrap_or_else(|| {
        Report::new(
            Code::ClusterNotReady,
            "the cluster has no address to connect to",
            "wait until it is ACTIVE, then run the command again",
        )
    });
    match purpose {
        Purpose::Start | Purpose::Edited => {}
        Purpose::Compared { reply, .. } | Purpose::Added { reply, .. } => {
            let _hung_up = reply.send(Err(why));
        }
        Purpose::Renamed { reply, .. } => {
            let _hung_up = reply.send(Err(why));
        }
    }
}

/// How often files were put back lately, by alias.
pub(super) type Fights = std::collections::BTreeMap<String, Fight>;
