//! `eksd cluster adopt`: the clusters that are in a person's kubeconfig files already are registered, and,
//! if that is wanted, their entries ask eksd from then on.

use std::{cell::Cell, collections::BTreeSet, io::IsTerminal, path::Path};

use super::{
    files::{self, Opened, Trouble, refused, word},
    lint::kuberc_document,
};
use crate::{
    cli::{
        args::ClusterAdoptArgs,
        door::{self, ANSWER_LIMIT, Call, Door, Wish},
        exit::Done,
        instant,
        interrupt::Interrupt,
        output,
        view::{columns, diff},
    },
    ipc::wire::{ClusterAddParams, ClusterStatus, Request},
    model::{
        foreign::{
            adoption::{Fate, Known, Row, Taken, plan, rewrite, taken},
            entries::{Files, Identity, Says},
            lint::kuberc::{Verdict, allowing, verdict},
            secrets::masked,
            tree::Document,
        },
        text::{printable, printable_sentence},
    },
    report::{Code, Report},
    store::{kubeconfig_lock, person_kubeconfig},
};

/// Runs `eksd cluster adopt`.
pub(super) fn adopt(call: &Call, args: &ClusterAdoptArgs) -> Done {
    let asks = args.rewrite && !args.dry_run && !args.yes;
    if asks && !std::io::stdin().is_terminal() {
        let what = "nobody is here to be asked whether the files may be rewritten";
        return Err(Report::new(Code::Usage, what, "give `--yes` too").into());
    }
    let opened = files::open_all(call, &args.files)?;
    let mut code = unreadable(call, &opened);
    for file in opened.iter().filter(|_| !args.dry_run) {
        // Of an eksd that was killed. Whoever lives has it for milliseconds.
        kubeconfig_lock::sweep(&file.path).map_err(Report::from)?;
    }
    let told = files::told(call)?;
    let known: Vec<Known> = told.clusters.iter().map(files::known).collect();
    let rows = rows(call, &opened, &known);
    if rows.is_empty() {
        let shown: Vec<String> = opened.iter().map(|it| it.shown(call)).collect();
        let shown =
            if shown.is_empty() { call.paths.shown(&files::usual(call)) } else { shown.join(", ") };
        output::talk(format!("no entry for an EKS cluster in {shown}"));
        return Ok(code);
    }
    output::data(table(call, &rows, args.rewrite))?;
    for file in opened.iter().filter(|_| args.rewrite) {
        if let Some(target) = &file.found.linked_to {
            let target = printable_sentence(&call.paths.shown(target));
            output::talk(format!("{} is a link: the file is {target}", file.shown(call)));
        }
    }
    let done: Vec<String> = if args.dry_run {
        rows.iter().filter_map(|row| row.alias().map(str::to_owned)).collect()
    } else {
        register(call, &rows, &mut code)?
    };
    let command = files::command()?;
    let mut edits = Vec::new();
    let mut planning = code;
    for (at, file) in opened.iter().enumerate() {
        let (taken, torn) = taken(&rows, &file.document, at, &done);
        for user in torn {
            let user = printable(&user);
            output::talk(format!("user `{user}` signs for several clusters: left as it is"));
        }
        if let Some(edit) = planned(call, file, taken, &command, &mut planning)? {
            edits.push(edit);
        }
    }
    if !args.rewrite && !args.dry_run {
        // What cannot be rewritten is registered all the same.
        if !edits.is_empty() {
            output::talk("the files are as they were; `--rewrite` lets their entries ask eksd");
        }
        return Ok(code);
    }
    code = planning;
    if args.dry_run {
        output::talk("nothing was registered or written");
        return Ok(code);
    }
    if edits.is_empty() {
        return Ok(code);
    }
    if asks && !is_confirmed(&edits) {
        output::talk("the files are as they were");
        return Ok(code);
    }
    carry_out(call, &edits, &command, &mut code)?;
    policy(call, &command)?;
    Ok(code)
}

/// Says which files cannot be read. The others are adopted.
fn unreadable(call: &Call, opened: &[Opened]) -> u8 {
    let mut code = 0;
    for file in opened {
        if let Some(trouble) = &file.trouble {
            let report = refused(call, &file.path, &trouble.clone().into());
            output::report(&report);
            code = report.code.exit_code();
        }
    }
    code
}

fn rows(call: &Call, opened: &[Opened], known: &[Known]) -> Vec<Row> {
    let documents: Vec<&Document> = opened.iter().map(|it| &it.document).collect();
    let files = Files(&documents);
    let of_file = |file| files.entries(file).into_iter().map(move |entry| (file, entry));
    let entries = (0..opened.len()).flat_map(of_file).collect();
    plan(entries, known, &files::shells_profile(call))
}

fn table(call: &Call, rows: &[Row], is_rewriting: bool) -> String {
    let titles = ["CONTEXT", "CLUSTER", "REGION", "PROFILE", "ROLE", "MADE BY", "WHAT IS DONE"];
    let cells = |row: &Row| {
        let identity = match &row.entry.says {
            Says::Cluster(_, identity) => Some(identity),
            Says::Registered(_) | Says::Left(..) => None,
        };
        let of = |part: fn(&Identity) -> Option<&str>| {
            identity.and_then(part).map(printable).unwrap_or_default()
        };
        let region = identity
            .map(|it| it.region.as_deref().map_or_else(|| "the profile's".to_owned(), printable));
        vec![
            printable(&row.entry.context),
            of(|it| Some(&it.name)),
            region.unwrap_or_default(),
            printable(&row.profile),
            of(|it| it.role_arn.as_deref().and_then(|arn| arn.rsplit('/').next())),
            row.maker().map(|maker| maker.name().to_owned()).unwrap_or_default(),
            in_words(row, is_rewriting),
        ]
    };
    let canvas = output::canvas(&call.env);
    // What goes to a program is not cut.
    let width = if canvas.is_screen { canvas.width } else { usize::MAX };
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    columns::draw(&titles, &cells, width, canvas.colour)
}

fn in_words(row: &Row, is_rewriting: bool) -> String {
    let what = match &row.fate {
        Fate::Register(alias) => format!("register as `{}`", printable(alias)),
        Fate::Same(alias) => format!("the same as `{}`", printable(alias)),
        Fate::Known(alias) => format!("registered as `{}`", printable(alias)),
        Fate::Ours(alias) => return format!("asks eksd for `{}`", printable(alias)),
        Fate::Left(why) => return format!("nothing: {}", printable_sentence(why)),
    };
    if is_rewriting { format!("{what}, rewrite") } else { what }
}

/// Registers what is to be, and returns the aliases that are registered then. One that fails does not stop
/// the others.
fn register(call: &Call, rows: &[Row], code: &mut u8) -> Result<Vec<String>, Report> {
    let mut done = Vec::new();
    let mut said = BTreeSet::new();
    let mut door: Option<Door> = None;
    for row in rows {
        let (Fate::Register(alias), Says::Cluster(_, identity)) = (&row.fate, &row.entry.says)
        else {
            if let Fate::Known(alias) | Fate::Ours(alias) = &row.fate {
                done.push(alias.clone());
            }
            continue;
        };
        let door = match &mut door {
            Some(door) => door,
            None => door.insert(door::open(call, Wish::Started)?),
        };
        let params = ClusterAddParams {
            name: identity.name.clone(),
            region: identity.region.clone(),
            profile: row.profile.clone(),
            described_by: None,
            role_arn: identity.role_arn.clone(),
            proxy_url: identity.proxy_url.clone(),
            alias: Some(alias.clone()),
        };
        let shown = printable(alias);
        match door.ask::<ClusterStatus>(Request::ClusterAdd(params), ANSWER_LIMIT) {
            Ok(cluster) => {
                let region = printable(&cluster.region);
                output::talk(format!(
                    "registered `{shown}`: {} in {region}",
                    printable(&cluster.name)
                ));
                done.push(alias.clone());
            }
            Err(report) => {
                *code = report.code.exit_code().max(*code);
                output::talk(format!("not registered: `{shown}`"));
                // A session that has ended is the same news for all of its clusters.
                if said.insert(report.what.clone()) {
                    output::report(&report);
                }
            }
        }
    }
    Ok(done)
}

/// The rewriting of one file.
struct Edit<'a> {
    file: &'a Opened,
    taken: Vec<Taken>,
    users: usize,
}

/// Shows what would be changed in a file; `None` where nothing would.
fn planned<'a>(
    call: &Call,
    file: &'a Opened,
    taken: Vec<Taken>,
    command: &str,
    code: &mut u8,
) -> Result<Option<Edit<'a>>, crate::cli::output::Stop> {
    let rewritten = match rewrite(&file.found.text, &taken, command) {
        Ok(rewritten) => rewritten,
        // Said before.
        Err(_) if file.trouble.is_some() => return Ok(None),
        Err(refusal) => {
            let report = refused(call, &file.path, &refusal);
            output::report(&report);
            *code = report.code.exit_code().max(*code);
            return Ok(None);
        }
    };
    for (user, refusal) in &rewritten.refused {
        output::talk(format!("user `{}` is left as it is", printable(user)));
        let report = refused(call, &file.path, refusal);
        output::report(&report);
        *code = report.code.exit_code().max(*code);
    }
    if rewritten.text == file.found.text {
        return Ok(None);
    }
    let canvas = output::canvas(&call.env);
    let (before, after) = (masked(&file.found.text), masked(&rewritten.text));
    output::data(diff::unified(&file.shown(call), &before, &after, canvas.colour))?;
    Ok(Some(Edit { file, taken, users: rewritten.users }))
}

fn is_confirmed(edits: &[Edit<'_>]) -> bool {
    let users: usize = edits.iter().map(|edit| edit.users).sum();
    let entries =
        if users == 1 { "this entry".to_owned() } else { format!("these {users} entries") };
    output::talk(format!("let {entries} ask eksd from now on? A backup is kept. [y/N]"));
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).is_ok();
    read && matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

fn carry_out(call: &Call, edits: &[Edit<'_>], command: &str, code: &mut u8) -> Result<(), Report> {
    // Whoever is stopped here has either all of a file rewritten or none of it, and no lock left.
    let interrupt = Interrupt::listen()?;
    for (at, Edit { file, taken, .. }) in edits.iter().enumerate() {
        if interrupt.came() {
            output::talk(format!("stopped: {at} of {} files were tried", edits.len()));
            *code = 1.max(*code);
            break;
        }
        let users = Cell::new(0);
        let is_given_up = || interrupt.came();
        let edited =
            person_kubeconfig::edit::<Trouble>(&file.path, instant(), &is_given_up, |text| {
                let rewritten = rewrite(text.unwrap_or_default(), taken, command)?;
                users.set(rewritten.users);
                Ok(rewritten.text)
            });
        match edited {
            Ok(edited) if !edited.is_changed => {
                output::talk(format!("{}: somebody else changed it meanwhile", file.shown(call)));
                *code = 1.max(*code);
            }
            Ok(edited) => {
                let (shown, users) = (file.shown(call), users.get());
                let plural = if users == 1 { "y asks" } else { "ies ask" };
                output::talk(format!("{shown}: {users} entr{plural} eksd from now on"));
                if let Some(backup) = &edited.backup {
                    output::talk(undo(backup, &file.path));
                }
            }
            Err(trouble) => {
                let report = trouble.report(call, &file.path);
                *code = report.code.exit_code().max(*code);
                output::report(&report);
            }
        }
    }
    Ok(())
}

fn undo(backup: &Path, file: &Path) -> String {
    format!("to undo: cp {} {}", word(backup), word(file))
}

/// Says what kubectl's own policy needs, where it refuses eksd.
fn policy(call: &Call, command: &str) -> Result<(), Report> {
    let Some(kuberc) = kuberc_document(call)? else { return Ok(()) };
    let program = |name: &str| files::program(call, None, name);
    if let Verdict::Refused(why) | Verdict::Broken(why) = verdict(&kuberc, command, &program) {
        output::talk(format!(
            "kubectl's own policy does not let it run eksd: {}; its kuberc has to say:\n{}",
            printable_sentence(&why),
            allowing(&[command]).trim_end()
        ));
    }
    Ok(())
}
