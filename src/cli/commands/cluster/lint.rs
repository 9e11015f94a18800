//! `eksd cluster lint`: what is wrong with a person's kubeconfig files.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::files::{self, Opened, Told};
use crate::{
    cli::{args::ClusterLintArgs, door::Call, exit::Done, output, quote::typed_word},
    model::{
        foreign::{
            entries::Files,
            lint::{Around, Finding, Level, Registered, kuberc, lint as looked},
            plugin::Stanza,
            tree::Document,
        },
        text::printable_sentence,
    },
    report::{Code, Report},
    store::person_kubeconfig,
};

/// Exit code where there is an error; warnings alone are no failure.
const FOUND: u8 = 1;

/// Runs `eksd cluster lint`.
pub(super) fn lint(call: &Call, args: &ClusterLintArgs) -> Done {
    let opened = files::open_all(call, &args.files)?;
    if opened.is_empty() {
        output::talk(format!("there is no {}", call.paths.shown(&files::usual(call))));
    }
    let told = files::told(call);
    if let Err(report) = &told {
        output::talk(format!(
            "eksd: nothing is compared with registered clusters and profiles: {}",
            printable_sentence(&report.what)
        ));
    }
    let findings = found(call, &opened, told.ok().as_ref())?;
    let has_error = findings.iter().any(|finding| finding.level == Level::Error);
    let kuberc = kuberc_path(call);
    if args.json {
        output::data(json(&findings, &opened, kuberc.as_deref())?)?;
    } else {
        for finding in &findings {
            output::data(text(call, finding, &opened, kuberc.as_deref()))?;
        }
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        let (errors, warnings) = (count(Level::Error), count(Level::Warning));
        let counted =
            |count: usize, word| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        output::talk(format!(
            "{}, {}, {}",
            counted(opened.len(), "file"),
            counted(errors, "error"),
            counted(warnings, "warning")
        ));
    }
    Ok(if has_error { FOUND } else { 0 })
}

fn found(call: &Call, opened: &[Opened], told: Option<&Told>) -> Result<Vec<Finding>, Report> {
    let registered = told.map(|told| registered(call, told));
    let program = |file: usize, name: &str| {
        let folder = opened.get(file).and_then(|it| it.path.parent());
        files::program(call, folder, name)
    };
    let around = Around {
        program: &program,
        profiles: told.map(|told| told.profiles.as_slice()),
        registered: registered.as_deref(),
        word: &typed_word,
        own_profile: call.env.profile(),
    };
    let documents: Vec<&Document> = opened.iter().map(|it| &it.document).collect();
    let seen: Vec<_> = opened.iter().map(Opened::seen).collect();
    let mut findings = looked(Files(&documents), &seen, &around);
    findings.extend(policy(call, &documents)?);
    Ok(findings)
}

/// Returns the registered clusters, with what their own files say.
fn registered(call: &Call, told: &Told) -> Vec<Registered> {
    let each = told.clusters.iter().map(|cluster| {
        // A file that cannot be read is `eksd cluster sync`'s to tell.
        let file = call.paths.kubeconfig_dir.join(format!("{}.yaml", cluster.cluster));
        let (server, certificate_authority) = files::way_in(&file).unwrap_or_default();
        Registered { known: files::known(cluster), server, certificate_authority }
    });
    each.collect()
}

/// Looks whether kubectl may run the plugins, and eksd.
fn policy(call: &Call, documents: &[&Document]) -> Result<Vec<Finding>, Report> {
    let Some(kuberc) = kuberc_document(call)? else { return Ok(Vec::new()) };
    let own = files::command()?;
    let mut commands = vec![(own.as_str(), "of a cluster of eksd's")];
    for document in documents {
        for item in document.items(&document.root, "users") {
            let stanza = Stanza::of_user(document, item);
            commands.extend(
                stanza.map(|stanza| {
                    (stanza.command, document.text(item, "name").unwrap_or_default())
                }),
            );
        }
    }
    Ok(kuberc::lint(&kuberc, &commands, &|name| files::program(call, None, name)))
}

/// Returns kubectl's preferences, where it reads any.
pub(super) fn kuberc_document(call: &Call) -> Result<Option<Document>, Report> {
    let Some(path) = kuberc_path(call) else { return Ok(None) };
    let Some(found) = person_kubeconfig::read(&path).map_err(Report::from)? else {
        return Ok(None);
    };
    match Document::read(&found.text) {
        Ok(document) => Ok(Some(document)),
        Err(trouble) => {
            let shown = call.paths.shown(&path);
            let what =
                format!("kubectl's preferences in {} cannot be read", printable_sentence(&shown));
            let fix = "mend the file: kubectl fails over it too";
            Err(Report::new(Code::KubeconfigBroken, what, fix)
                .because(printable_sentence(&trouble.to_string())))
        }
    }
}

/// kubectl's `pkg/kuberc`: `KUBERC`, else `~/.kube/kuberc`; either variable turns it off.
fn kuberc_path(call: &Call) -> Option<PathBuf> {
    let is_off = call.env.kubectl_kuberc.as_deref() == Some("false")
        || call.env.kuberc.as_deref() == Some("off".as_ref());
    let named = call.env.kuberc.as_ref().map(PathBuf::from);
    (!is_off).then(|| named.unwrap_or_else(|| call.paths.home.join(".kube/kuberc")))
}

fn file_of<'a>(finding: &Finding, opened: &'a [Opened], kuberc: Option<&'a Path>) -> &'a Path {
    let file = finding.file.map(|file| opened[file].path.as_path());
    file.or(kuberc).unwrap_or(Path::new(""))
}

fn text(call: &Call, finding: &Finding, opened: &[Opened], kuberc: Option<&Path>) -> String {
    let file = call.paths.shown(file_of(finding, opened, kuberc));
    let place = match finding.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    };
    // The fix may have lines of its own, which are eksd's.
    let fix: Vec<String> = finding.fix.lines().map(printable_sentence).collect();
    format!(
        "{}: {}: {} [{}]\n  because: {}\n  fix: {}\n",
        printable_sentence(&place),
        finding.level.as_str(),
        printable_sentence(&finding.what),
        finding.code,
        printable_sentence(&finding.why),
        fix.join("\n")
    )
}

#[derive(Serialize)]
struct Findings<'a> {
    version: u32,
    findings: Vec<FindingRow<'a>>,
}

#[derive(Serialize)]
struct FindingRow<'a> {
    level: &'static str,
    code: &'static str,
    file: String,
    line: Option<usize>,
    what: &'a str,
    why: &'a str,
    fix: &'a str,
}

fn row<'a>(finding: &'a Finding, opened: &[Opened], kuberc: Option<&Path>) -> FindingRow<'a> {
    let Finding { level, code, line, what, why, fix, .. } = finding;
    let file = file_of(finding, opened, kuberc).to_string_lossy().into_owned();
    FindingRow { level: level.as_str(), code, file, line: *line, what, why, fix }
}

fn json(findings: &[Finding], opened: &[Opened], kuberc: Option<&Path>) -> Result<String, Report> {
    let findings = Findings {
        version: 1,
        findings: findings.iter().map(|it| row(it, opened, kuberc)).collect(),
    };
    let text = serde_json::to_string_pretty(&findings).map_err(|error| {
        Report::new(Code::Internal, "the findings cannot be written", "report this as a bug")
            .because(error.to_string())
    })?;
    Ok(text + "\n")
}
