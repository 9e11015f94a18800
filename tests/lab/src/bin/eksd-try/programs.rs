//! The programs: built first, and found where cargo put them.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::say::Say;
use crate::{Done, failed};

/// eksd's programs and the lab's.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The client.
    pub(crate) eksd: PathBuf,
    /// The agent.
    pub(crate) agent: PathBuf,
    /// The lab's clients and its control.
    pub(crate) lab: PathBuf,
}

impl Programs {
    /// Takes them from a folder.
    pub(crate) fn in_folder(folder: &Path) -> Done<Self> {
        let find = |name: &str| {
            let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            if path.is_file() { Ok(path) } else { failed(format!("no program {}", path.display())) }
        };
        Ok(Self { eksd: find("eksd")?, agent: find("eksd-agent")?, lab: find("eksd-lab")? })
    }

    /// Builds them, which is quick where nothing changed; cargo shows how far it is.
    ///
    /// In two calls: the lab is built with the features that this program was, so that nothing is
    /// compiled twice.
    pub(crate) fn build(say: &Say) -> Done<Self> {
        let build = |words: &[&str]| cargo_build(words, say);
        let own = build(&["--package", "eksd", "--bins"])?;
        let lab = build(&["--package", "eksd-lab", "--bin", "eksd-lab"])?;
        let find = |built: &[PathBuf], name: &str| {
            let stem = Some(OsStr::new(name));
            match built.iter().find(|path| path.file_stem() == stem) {
                Some(path) => Ok(path.clone()),
                None => failed(format!("cargo built no program `{name}`")),
            }
        };
        Ok(Self {
            eksd: find(&own, "eksd")?,
            agent: find(&own, "eksd-agent")?,
            lab: find(&lab, "eksd-lab")?,
        })
    }
}

/// Builds; returns the programs.
fn cargo_build(words: &[&str], say: &Say) -> Done<Vec<PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(words)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !say.is_terminal() {
        command.arg("--quiet");
    }
    let output = command.output()?;
    if !output.status.success() {
        return failed("eksd could not be built");
    }
    let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect())
}
