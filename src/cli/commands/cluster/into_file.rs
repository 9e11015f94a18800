//! `eksd cluster add --kubeconfig FILE`: the entry goes into a file of the person's too, as
//! `aws eks update-kubeconfig` puts it there.

use std::path::{Path, PathBuf};

use super::files::{Trouble, absolute_one, command, way_in, word};
use crate::{
    cli::{
        args::ClusterAddArgs,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        instant,
        interrupt::Interrupt,
        output,
    },
    ipc::wire::{ClusterAddParams, ClusterDescribed, ClusterStatus, Request},
    model::{
        foreign::{
            merge::{Merged, Wanted, merge as merged},
            secrets::masked,
        },
        text::{printable, printable_sentence},
    },
    report::{Code, Report},
    store::person_kubeconfig::{self, Edited},
};

/// Where the entry goes, and how it is called.
#[derive(Debug)]
pub(super) struct Target {
    file: Option<PathBuf>,
    user: Option<String>,
    is_verbose: bool,
}

impl Target {
    pub(super) fn of(args: &ClusterAddArgs) -> Self {
        Self {
            file: args.kubeconfig.clone(),
            user: args.user_alias.clone(),
            is_verbose: args.verbose,
        }
    }

    fn wanted(
        &self,
        alias: &str,
        server: String,
        certificate_authority: Option<String>,
        proxy_url: Option<String>,
    ) -> Result<Wanted, Report> {
        Ok(Wanted {
            user: self.user.clone().unwrap_or_else(|| alias.to_owned()),
            alias: alias.to_owned(),
            server,
            certificate_authority,
            proxy_url,
            command: command()?,
        })
    }
}

/// Prints the whole file as it would be, as the AWS CLI does; at a terminal without secrets. Without
/// `--kubeconfig` that is the cluster's own: no other would be written.
pub(super) fn show(call: &Call, target: &Target, params: ClusterAddParams) -> Done {
    let proxy_url = params.proxy_url.clone();
    let request = Request::ClusterDescribe(params);
    let described: ClusterDescribed = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    let (path, text) = match target.file.as_deref() {
        None => {
            let name = format!("{}.yaml", described.alias);
            (call.paths.kubeconfig_dir.join(name), described.file)
        }
        Some(file) => {
            let path = absolute_one(file)?;
            let found = person_kubeconfig::read(&path).map_err(Report::from)?;
            let existing = found.as_ref().map(|found| found.text.as_str());
            let authority = Some(described.certificate_authority);
            let wanted = target.wanted(&described.alias, described.server, authority, proxy_url)?;
            let merged = merged(existing, &wanted);
            let merged = merged.map_err(|refusal| Trouble::from(refusal).report(call, &path))?;
            (path, merged.text)
        }
    };
    output::data(if output::canvas(&call.env).is_screen { masked(&text) } else { text })?;
    output::talk(format!(
        "nothing was registered or written; this is what {} would be",
        printable_sentence(&call.paths.shown(&path))
    ));
    Ok(0)
}

/// Puts a registered cluster's entry into the file, if one was named.
pub(super) fn merge(
    call: &Call,
    target: &Target,
    cluster: &ClusterStatus,
    proxy_url: Option<String>,
) -> Done {
    let Some(file) = &target.file else { return Ok(0) };
    let path = absolute_one(file)?;
    let (server, authority) = way_in(Path::new(&cluster.kubeconfig))?;
    let Some(server) = server else {
        let shown = printable_sentence(&cluster.kubeconfig);
        let what = format!("`{shown}` has no address of the cluster to be taken over");
        let fix = format!("eksd cluster sync {}", printable(&cluster.cluster));
        return Err(Report::new(Code::KubeconfigBroken, what, fix).into());
    };
    let wanted = target.wanted(&cluster.cluster, server, authority, proxy_url)?;
    let interrupt = Interrupt::listen()?;
    let last = std::cell::RefCell::new(None);
    let edited =
        person_kubeconfig::edit::<Trouble>(&path, instant(), &|| interrupt.came(), |text| {
            let merged = merged(text, &wanted)?;
            let text = merged.text.clone();
            last.replace(Some(merged));
            Ok(text)
        });
    let edited = edited.map_err(|trouble| trouble.report(call, &path))?;
    say(call, target, &path, &edited, &wanted, last.into_inner().as_ref());
    Ok(0)
}

fn say(
    call: &Call,
    target: &Target,
    path: &Path,
    edited: &Edited,
    wanted: &Wanted,
    merged: Option<&Merged>,
) {
    let shown = printable_sentence(&call.paths.shown(path));
    let context = printable(&wanted.alias);
    let Some(merged) = merged else { return };
    if !edited.is_changed {
        output::talk(format!("{shown} has the context `{context}` already"));
        return;
    }
    let verb = if merged.had_context { "updated" } else { "added" };
    let current = if merged.is_made_current {
        "it is the current one, since there was none".to_owned()
    } else {
        format!("the current one stays: kubectl config use-context {context}")
    };
    output::talk(format!("{verb} context `{context}` in {shown}; {current}"));
    if target.is_verbose {
        let (user, server) = (printable(&wanted.user), printable_sentence(&wanted.server));
        output::talk(format!(
            "  cluster {context}: {server}\n  user {user}: {} token --cluster {context}\n  context {context}",
            printable_sentence(&wanted.command)
        ));
    }
    if let Some(backup) = &edited.backup {
        output::talk(format!("to undo: cp {} {}", word(backup), word(path)));
    }
}
