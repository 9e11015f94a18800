//! The kubeconfig files of a person: which ones, and what stands in them.

use std::{
    ffi::OsStr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    cli::{
        asks::own_profile,
        door::{self, ANSWER_LIMIT, Call, Wish},
        quote::typed_word,
    },
    ipc::wire::{ClusterStatus, Request, StatusAnswer, StatusParams},
    model::{
        foreign::{
            adoption::Known,
            edit::Refusal,
            lint::Seen,
            tree::{Document, Unreadable},
        },
        text::printable_sentence,
    },
    report::{Code, Report},
    store::{
        StoreError, kubeconfig_lock,
        person_kubeconfig::{self, Found},
    },
};

/// A file that was read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) found: Found,
    /// Empty where the file cannot be read.
    pub(super) document: Document,
    pub(super) trouble: Option<Unreadable>,
}

impl Opened {
    /// Returns the file's name for people.
    pub(super) fn shown(&self, call: &Call) -> String {
        printable_sentence(&call.paths.shown(&self.path))
    }

    /// Returns what is known of it besides its text.
    pub(super) fn seen(&self) -> Seen {
        let lock = kubeconfig_lock::seen(&self.path);
        Seen {
            word: word(&self.path),
            mode: self.found.mode,
            trouble: self.trouble.clone(),
            lock: lock.map(|lock| (lock.age, lock.is_own)),
        }
    }
}

/// Returns a path as one word of a shell command, fit for a terminal.
pub(super) fn word(path: &Path) -> String {
    typed_word(&printable_sentence(&path.to_string_lossy()))
}

/// Opens the files named, else those that kubectl reads. eksd's own are not the person's: a shell that uses
/// a cluster has one in `KUBECONFIG`.
pub(super) fn open_all(call: &Call, named: &[PathBuf]) -> Result<Vec<Opened>, Report> {
    let paths = if named.is_empty() { kubectls(call) } else { absolute(named)? };
    let mut opened = Vec::new();
    for path in paths {
        match person_kubeconfig::read(&path).map_err(Report::from)? {
            Some(found) => {
                let (document, trouble) = parsed(&found.text);
                opened.push(Opened { path, found, document, trouble });
            }
            // kubectl passes over files that are not there.
            None if named.is_empty() => (),
            None => {
                let what = format!("there is no file `{}`", printable_sentence(&word(&path)));
                return Err(Report::new(Code::Usage, what, "name a kubeconfig file"));
            }
        }
    }
    Ok(opened)
}

fn parsed(text: &str) -> (Document, Option<Unreadable>) {
    match Document::read(text) {
        Ok(document) => (document, None),
        Err(trouble) => (nothing(), Some(trouble)),
    }
}

fn nothing() -> Document {
    Document::read("").expect("an empty text is an empty document")
}

/// Returns the files that kubectl reads but for eksd's own: client-go's `clientcmd/loader.go`.
fn kubectls(call: &Call) -> Vec<PathBuf> {
    let list = call.env.kubeconfig.as_deref().unwrap_or_default();
    let own = [call.paths.kubeconfig_dir.clone(), call.paths.overlay_dir()];
    let mut paths = persons(list, &own);
    if paths.is_empty() {
        paths.push(usual(call));
    }
    paths
}

/// Returns the files of a list that lie in none of these folders.
fn persons(list: &OsStr, own: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in std::env::split_paths(list) {
        let Ok(path) = std::path::absolute(path) else { continue };
        if !own.iter().any(|folder| path.starts_with(folder)) && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Returns `~/.kube/config`.
pub(super) fn usual(call: &Call) -> PathBuf {
    call.paths.home.join(".kube/config")
}

fn absolute(named: &[PathBuf]) -> Result<Vec<PathBuf>, Report> {
    named.iter().map(|path| absolute_one(path)).collect()
}

/// Returns a path that does not depend on the current folder.
pub(super) fn absolute_one(path: &Path) -> Result<PathBuf, Report> {
    std::path::absolute(path).map_err(|error| {
        let what = format!("`{}` is no path", printable_sentence(&path.to_string_lossy()));
        Report::new(Code::Usage, what, "name a kubeconfig file").because(error.to_string())
    })
}

/// Returns where this program is: the stanza names it by its full path, since programs with a window
/// have no useful PATH.
pub(super) fn command() -> Result<String, Report> {
    let own = std::env::current_exe().map_err(|error| {
        let what = "where this program lies cannot be found out";
        Report::new(Code::ReadFailed, what, "run eksd by its full path").because(error.to_string())
    })?;
    own.into_os_string().into_string().map_err(|_| {
        let what = "the path of this program is not UTF-8, which a kubeconfig has to be";
        Report::new(Code::Misconfigured, what, "install eksd under another path")
    })
}

/// Returns where a program is found, as kubectl looks: with a `/` beside the kubeconfig, else in PATH.
pub(super) fn program(call: &Call, folder: Option<&Path>, name: &str) -> Option<String> {
    let is_program = |path: &PathBuf| {
        let metadata = path.metadata();
        metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    let found = if name.contains('/') {
        Some(folder.unwrap_or(Path::new("/")).join(name)).filter(is_program)
    } else {
        let path: &OsStr = call.env.path.as_deref().unwrap_or_default();
        std::env::split_paths(path).map(|folder| folder.join(name)).find(is_program)
    };
    found.map(|path| path.to_string_lossy().into_owned())
}

/// What the agent knows.
pub(super) struct Told {
    pub(super) clusters: Vec<ClusterStatus>,
    pub(super) profiles: Vec<String>,
}

/// Asks for the registered clusters and the profiles.
pub(super) fn told(call: &Call) -> Result<Told, Report> {
    let request = Request::Status(StatusParams::default());
    let status: StatusAnswer = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    let profiles = status.profiles.into_iter().map(|profile| profile.profile).collect();
    Ok(Told { clusters: status.clusters, profiles })
}

/// Returns a registered cluster as entries are compared with it.
pub(super) fn known(cluster: &ClusterStatus) -> Known {
    Known {
        alias: cluster.cluster.clone(),
        name: cluster.name.clone(),
        region: cluster.region.clone(),
        profile: cluster.profile.clone(),
        role_arn: cluster.role_arn.clone(),
    }
}

/// Returns the profile of this shell.
pub(super) fn shells_profile(call: &Call) -> String {
    own_profile(&call.env).to_owned()
}

/// Returns the address and the CA in a registered cluster's own file.
pub(super) fn way_in(file: &Path) -> Result<(Option<String>, Option<String>), Report> {
    let found = person_kubeconfig::read(file).map_err(Report::from)?;
    let (document, _) = found.map_or_else(|| (nothing(), None), |found| parsed(&found.text));
    let first = document.items(&document.root, "clusters").first();
    let cluster = first.and_then(|item| document.get(item, "cluster"));
    let text = |key: &str| cluster.and_then(|it| document.text(it, key)).map(str::to_owned);
    Ok((text("server"), text("certificate-authority-data")))
}

/// Why a file is not edited.
#[derive(Debug)]
pub(super) enum Trouble {
    Store(StoreError),
    Refused(Refusal),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Trouble {
    /// Says so.
    pub(super) fn report(self, call: &Call, path: &Path) -> Report {
        match self {
            Self::Store(error) => error.into(),
            Self::Refused(refusal) => refused(call, path, &refusal),
        }
    }
}

/// Says why a file, or a part of it, is not edited.
pub(super) fn refused(call: &Call, path: &Path, refusal: &Refusal) -> Report {
    let shown = printable_sentence(&call.paths.shown(path));
    let what = format!("`{shown}` cannot be edited without changing more than is meant");
    let fix = match refusal {
        Refusal::Unreadable(_) => format!("look at it first: eksd cluster lint {}", word(path)),
        Refusal::Shared { .. } => {
            "write that part out, or edit the entry by hand: `eksd token --cluster ALIAS`"
                .to_owned()
        }
        Refusal::Taken { .. } => {
            "choose other names: `--alias NAME`, `--user-alias NAME`".to_owned()
        }
        Refusal::Layout { .. } | Refusal::Unproven => {
            "edit the entry by hand: `eksd token --cluster ALIAS`".to_owned()
        }
    };
    Report::new(Code::KubeconfigBroken, what, fix).because(printable_sentence(&refusal.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eksds_own_files_are_not_the_persons() {
        let own = ["/home/ann/.kube/eksd".into(), "/run/eksd/shell".into()];
        for (list, expected) in [
            (
                "/run/eksd/shell/7-1.yaml:/home/ann/.kube/eksd/a.yaml:/home/ann/.kube/eksd/b.yaml",
                &[][..],
            ),
            ("/home/ann/.kube/eksd/a.yaml:/tmp/x::/tmp/y:/tmp/x", &["/tmp/x", "/tmp/y"]),
            ("/home/ann/.kube/eksd-old", &["/home/ann/.kube/eksd-old"]),
            ("", &[]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(persons(list.as_ref(), &own), expected, "{list}");
        }
    }

    #[test]
    fn paths_as_words() {
        assert_eq!(word(Path::new("/home/ann/.kube/config")), "/home/ann/.kube/config");
        assert_eq!(word(Path::new("/a b\u{1b}[2J")), "'/a b?[2J'");
    }
}
