//! Asking who shall sign, where several profiles could.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, IsTerminal},
    os::fd::AsFd,
};

use rustix::event::{PollFd, PollFlags, poll};

use super::{Discovered, DiscoveredCluster};
use crate::{
    cli::{
        args::ClusterDiscoverArgs,
        door::{self, ANSWER_LIMIT, Call, Wish},
        interrupt::Interrupt,
        output,
    },
    ipc::wire::{Request, StatusAnswer, StatusParams},
    model::{
        alias::{Field, Template},
        text::printable,
    },
    report::Report,
};

/// Asks for each account whose clusters several profiles could sign for, where somebody is there to
/// be asked. Returns `false` where the person gave it up.
pub(super) fn choose(
    call: &Call,
    args: &ClusterDiscoverArgs,
    found: &mut Discovered,
    interrupt: &Interrupt,
) -> Result<bool, Report> {
    let is_settled = args.yes || args.json || args.authenticate_with.is_some();
    if is_settled || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(true);
    }
    let mut has_changed = false;
    for group in groups(&found.clusters) {
        let first = &found.clusters[group[0]];
        output::control(&question(first, &names(found, &group)));
        let Some(chosen) = answer(&first.profiles, interrupt) else { return Ok(false) };
        for at in group {
            has_changed |= found.clusters[at].profile != chosen;
            found.clusters[at].profile.clone_from(&chosen);
        }
    }
    let template = Template::parse(&found.template).unwrap_or_default();
    if has_changed && template.has(Field::Profile) {
        let request = Request::Status(StatusParams::default());
        let status: StatusAnswer = door::ask(call, Wish::Started, &request, ANSWER_LIMIT)?;
        let taken: Vec<String> = status.clusters.into_iter().map(|it| it.cluster).collect();
        // The profile is part of them.
        found.propose_aliases(&template, &taken);
    }
    Ok(true)
}

/// Returns the new clusters of each account between whose profiles there is a choice.
fn groups(clusters: &[DiscoveredCluster]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(&str, &[String]), Vec<usize>> = BTreeMap::new();
    for (at, cluster) in clusters.iter().enumerate() {
        if cluster.registered_as.is_none() && 1 < cluster.profiles.len() {
            groups.entry((&cluster.account_id, &cluster.profiles)).or_default().push(at);
        }
    }
    groups.into_values().collect()
}

fn names(found: &Discovered, group: &[usize]) -> String {
    let names: Vec<String> = group.iter().map(|at| printable(&found.clusters[*at].name)).collect();
    names.join(", ")
}

fn question(first: &DiscoveredCluster, names: &str) -> String {
    let mut text = format!("account {} ({names}): who signs?\n", printable(&first.account_id));
    for (at, profile) in first.profiles.iter().enumerate() {
        text.push_str(&format!("  {} {}\n", at + 1, printable(profile)));
    }
    text + "number [1]: "
}

/// Returns the profile that was chosen; `None` at the end of what is typed, or on Ctrl-C.
fn answer(profiles: &[String], interrupt: &Interrupt) -> Option<String> {
    loop {
        let line = line(interrupt)?;
        match read(&line, profiles) {
            Some(chosen) => return Some(chosen.clone()),
            None => output::control(&format!("a number from 1 to {} [1]: ", profiles.len())),
        }
    }
}

fn read<'a>(line: &str, profiles: &'a [String]) -> Option<&'a String> {
    let line = line.trim();
    if line.is_empty() {
        return profiles.first();
    }
    let by_number = line.parse::<usize>().ok().and_then(|n| profiles.get(n.checked_sub(1)?));
    by_number.or_else(|| profiles.iter().find(|profile| *profile == line))
}

/// Waits for a line; a signal ends the wait, which reading alone would not.
fn line(interrupt: &Interrupt) -> Option<String> {
    let stdin = io::stdin();
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(interrupt.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return None,
            Ok(_) if !fds[0].revents().is_empty() => {
                output::talk("");
                return None;
            }
            Ok(_) => {}
        }
        let mut line = String::new();
        return match stdin.lock().read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str, account: &str, profiles: &[&str]) -> DiscoveredCluster {
        DiscoveredCluster {
            name: name.to_owned(),
            region: "eu-west-1".to_owned(),
            account_id: account.to_owned(),
            account_alias: None,
            arn: String::new(),
            profile: profiles[0].to_owned(),
            described_by: profiles[0].to_owned(),
            profiles: profiles.iter().map(|it| (*it).to_owned()).collect(),
            registered_as: None,
            alias: name.to_owned(),
        }
    }

    #[test]
    fn one_question_for_an_account() {
        let registered = DiscoveredCluster {
            registered_as: Some("c".to_owned()),
            ..cluster("c", "1", &["a", "b"])
        };
        let clusters = [
            cluster("x", "1", &["a", "b"]),
            cluster("y", "2", &["c"]),
            cluster("z", "1", &["a", "b"]),
            registered,
        ];
        assert_eq!(groups(&clusters), [[0, 2]]);
        assert_eq!(
            question(&clusters[0], "x, z"),
            "account 1 (x, z): who signs?\n  1 a\n  2 b\nnumber [1]: "
        );
    }

    #[test]
    fn what_is_typed() {
        let profiles = ["dev".to_owned(), "ops".to_owned(), "1x".to_owned()];
        for (typed, expected) in [
            ("\n", Some("dev")),
            ("2\n", Some("ops")),
            (" 3 ", Some("1x")),
            ("ops\n", Some("ops")),
            ("0", None),
            ("4", None),
            ("prod", None),
        ] {
            assert_eq!(read(typed, &profiles).map(String::as_str), expected, "{typed:?}");
        }
    }
}
