//! Files that follow the agent's state: prompt lines, what survives a restart, the cluster registry.
//!
//! One thread writes them in the order in which they were handed over, so the last state wins and
//! the loop never waits for a disk.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use super::event::{Event, Mailbox};
use crate::{
    config::Paths,
    model::cluster::Cluster,
    report::Report,
    store::{
        atomic, clusters,
        prompt_files::{PromptFiles, PromptName},
        state::State,
    },
    world::World,
};

/// Whose prompt line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A profile's.
    Profile(String),
    /// A cluster's, by alias.
    Cluster(String),
}

impl Whose {
    fn name(&self) -> PromptName<'_> {
        match self {
            Self::Profile(name) => PromptName::Profile(name),
            Self::Cluster(alias) => PromptName::Cluster(alias),
        }
    }
}

/// A prompt line and whose it is.
pub(super) type PromptLine = (Whose, String);

/// Who waits for a file to be written, and is told what came of it.
pub(super) type Done = Box<dyn FnOnce(Result<(), Report>) + Send>;

/// A cluster's file that goes.
pub(super) enum Without {
    /// Before the registry is written: the cluster is forgotten. Whatever happens in between, what is
    /// registered has a file after the next start.
    First(PathBuf),
    /// After that: the cluster has another file now.
    Then(PathBuf),
}

enum Chore {
    Prompt(Vec<PromptLine>),
    State(State),
    /// The registry, and a file that goes with that.
    Clusters {
        all: Vec<Cluster>,
        without: Option<Without>,
        done: Done,
    },
}

/// The way to the thread that writes.
pub(super) struct Scribe {
    chores: Option<mpsc::Sender<Chore>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Scribe {
    /// Starts the thread.
    pub(super) fn new(world: &Arc<World>, mailbox: &Mailbox) -> Self {
        let (chores, inbox) = mpsc::channel();
        let (world, mailbox) = (world.clone(), mailbox.clone());
        let thread = thread::Builder::new()
            .name("scribe".to_owned())
            .spawn(move || write_all(&inbox, &world, &mailbox))
            .ok();
        Self { chores: Some(chores), thread }
    }

    fn send(&self, chore: Chore) {
        if let Some(chores) = &self.chores {
            let _ended = chores.send(chore);
        }
    }

    /// Makes the prompt files hold exactly these lines.
    pub(super) fn prompts(&self, lines: Vec<PromptLine>) {
        self.send(Chore::Prompt(lines));
    }

    /// Keeps what survives a restart.
    pub(super) fn keep_state(&self, state: &State) {
        self.send(Chore::State(state.clone()));
    }

    /// Keeps the cluster registry, and removes a file with that.
    pub(super) fn keep_clusters<'a>(
        &self,
        clusters: impl Iterator<Item = &'a Cluster>,
        without: Option<Without>,
        done: Done,
    ) {
        self.send(Chore::Clusters { all: clusters.cloned().collect(), without, done });
    }

    /// Writes what is still to be written, and ends.
    pub(super) fn finish(&mut self) {
        self.chores = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn write_all(inbox: &mpsc::Receiver<Chore>, world: &World, mailbox: &Mailbox) {
    let prompts = PromptFiles::new(&world.paths.prompt_dir);
    for chore in inbox {
        let (what, result): (_, Result<(), Report>) = match chore {
            Chore::Prompt(lines) => ("prompt files", write_prompts(&prompts, &lines)),
            Chore::State(state) => ("state", state.save(&world.paths.state).map_err(Into::into)),
            Chore::Clusters { all, without, done } => {
                let result = keep_clusters(&world.paths, &all, without.as_ref());
                done(result.clone());
                ("clusters", result)
            }
        };
        if let Err(report) = &result {
            tracing::warn!(what = report.what, "file not written");
        }
        mailbox.send(Event::Written { what, report: result.err() });
    }
}

fn keep_clusters(paths: &Paths, all: &[Cluster], without: Option<&Without>) -> Result<(), Report> {
    let remove = |file: &Path| {
        debug_assert!(file.starts_with(&paths.kubeconfig_dir));
        atomic::remove(file)
    };
    if let Some(Without::First(file)) = without {
        remove(file)?;
    }
    clusters::save(&paths.clusters, all)?;
    if let Some(Without::Then(file)) = without {
        remove(file)?;
    }
    Ok(())
}

fn write_prompts(files: &PromptFiles, lines: &[PromptLine]) -> Result<(), Report> {
    for (whose, line) in lines {
        files.write(whose.name(), &format!("{line}\n"))?;
    }
    files.retain(lines.iter().map(|(whose, _)| whose.name()))?;
    Ok(())
}
