//! The status as people see it: a pure function of the answer, the time and the width.
//!
//! No line of the table is longer than the terminal is wide. What does not fit goes in this order:
//! the end of the keys, the clock times, the ends of names, what to do.

mod clusters;
pub mod columns;
pub mod diff;
pub mod explain;
mod table;
mod time;

use std::collections::HashMap;

use jiff::ZonedDateTime;

pub use self::{
    clusters::clusters,
    time::{span, until_in_words},
};
use self::{
    table::{Row, Style},
    time::Until,
};
use super::output;
use crate::{
    ipc::wire::{ClockStatus, ClusterStatus, Confidence, Phase, ProfileStatus, StatusAnswer},
    model::text::{printable, printable_sentence},
    report::Report,
};

/// Up to this many profiles are all shown.
const FEW_PROFILES: usize = 20;

/// Profiles that need attention though nobody uses them are shown up to this many.
const MOST_UNUSED: usize = 20;

/// Reports shown below the table.
const MOST_REPORTS: usize = 10;

/// How to show it.
#[derive(Clone, Debug)]
pub struct Look {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether colours are wanted.
    pub colour: bool,
    /// The time, in the person's time zone.
    pub now: ZonedDateTime,
    /// Whether every profile is shown.
    pub all: bool,
    /// Whether each row's details are shown.
    pub verbose: bool,
    /// Where profiles are looked for, in words.
    pub sources: String,
}

/// Returns the text of the whole status, lines ended.
pub fn render(answer: &StatusAnswer, look: &Look) -> String {
    if answer.profiles.is_empty() && answer.clusters.is_empty() {
        return nothing(answer, look);
    }
    let shown = shown_profiles(answer, look);
    let by_name: HashMap<&str, &ProfileStatus> =
        answer.profiles.iter().map(|profile| (profile.profile.as_str(), profile)).collect();
    let clusters: Vec<Row> = answer
        .clusters
        .iter()
        .map(|cluster| cluster_row(cluster, by_name.get(cluster.profile.as_str()), look))
        .collect();
    let profiles: Vec<Row> = shown.iter().map(|profile| profile_row(profile, look)).collect();
    let mut text = table::draw(&[("CLUSTER", clusters), ("PROFILE", profiles)], look);
    text.push_str(&rest(answer, shown.len(), look));
    if look.verbose {
        text.push_str(&key_store(answer));
    }
    let below = answer
        .reports
        .iter()
        .chain(answer.clusters.iter().filter_map(|cluster| cluster.report.as_ref()))
        .chain(shown.iter().filter_map(|profile| profile.report.as_ref()));
    text.push_str(&reports(below, look));
    text
}

fn nothing(answer: &StatusAnswer, look: &Look) -> String {
    let mut text = format!("No profiles in {}.\n", printable_sentence(&look.sources));
    text.push_str("To begin: `aws configure sso`, or copy a config file there.\n");
    text.push_str(&reports(answer.reports.iter(), look));
    text
}

/// Picks the profiles to show: all of a few, else those in use and those that need somebody.
fn shown_profiles<'a>(answer: &'a StatusAnswer, look: &Look) -> Vec<&'a ProfileStatus> {
    if look.all || answer.profiles.len() <= FEW_PROFILES {
        return answer.profiles.iter().collect();
    }
    let mut unused = 0;
    let is_shown = |profile: &&ProfileStatus| {
        if profile.in_use {
            return true;
        }
        unused += usize::from(needs_attention(profile.phase));
        needs_attention(profile.phase) && unused <= MOST_UNUSED
    };
    answer.profiles.iter().filter(is_shown).collect()
}

fn needs_attention(phase: Phase) -> bool {
    match phase {
        Phase::Fresh | Phase::Renewing | Phase::Idle | Phase::Static => false,
        Phase::Expiring
        | Phase::Degraded
        | Phase::NeedsLogin
        | Phase::NeedsMfa
        | Phase::Expired
        | Phase::Misconfigured => true,
    }
}

fn rest(answer: &StatusAnswer, shown: usize, look: &Look) -> String {
    let hidden = answer.profiles.len() - shown;
    if hidden == 0 {
        return String::new();
    }
    let all_idle =
        hidden <= answer.profiles.iter().filter(|p| !p.in_use && !needs_attention(p.phase)).count();
    let kind = if all_idle { "idle " } else { "" };
    let plural = if hidden == 1 { "" } else { "s" };
    let line = format!("… and {hidden} more {kind}profile{plural}: eksd status --all");
    format!("{}\n", Style::Dim.paint(&table::fit(&line, look.width), look.colour))
}

fn profile_row(profile: &ProfileStatus, look: &Look) -> Row {
    let keys = match &profile.credentials_expire_at {
        Some(at) => Until::new(Some(at), Confidence::Exact, profile.phase, &look.now),
        None => Until::none(),
    };
    let mut details = Vec::new();
    let mut detail = |name: &str, value: Option<&str>| {
        details.extend(value.map(|value| format!("{name} {}", printable_sentence(value))));
    };
    detail("role", profile.role.as_deref());
    detail("account", profile.account_id.as_deref());
    detail("keys", profile.cap.as_deref());
    if let Some(root) = &profile.root {
        detail(&format!("root {}", printable(&root.kind)), Some(&root.name));
        detail("person", root.person.as_deref());
        let ends = [
            ("root ends", &root.ends_at),
            ("access token ends", &root.access_token_expires_at),
            ("client registration ends", &root.registration_expires_at),
        ];
        // The clocks say the same, and who says so.
        for (name, at) in ends.into_iter().filter(|_| profile.clocks.is_empty()) {
            detail(name, at.as_deref());
        }
    }
    details.extend(profile.clocks.iter().map(|clock| clock_line(clock, look)));
    Row {
        name: printable(&profile.profile),
        phase: profile.phase,
        good: Until::new(
            profile.good_until.as_deref(),
            profile.confidence,
            profile.phase,
            &look.now,
        ),
        keys,
        action: match &profile.action {
            Some(action) => printable_sentence(action),
            None if needs_attention(profile.phase) && profile.report.is_some() => {
                "see below".to_owned()
            }
            None => String::new(),
        },
        details,
    }
}

/// Says when something ends, how sure that is, and who says so.
fn clock_line(clock: &ClockStatus, look: &Look) -> String {
    let until = until_in_words(clock.ends_at.as_deref(), clock.confidence, &look.now);
    let name = printable(&clock.name);
    let source = printable_sentence(&clock.source);
    match until {
        Some(until) => format!("{name} until {until}: {source}"),
        None => format!("{name} until nobody knows when: {source}"),
    }
}

/// Says where MFA sessions are kept over a restart.
fn key_store(answer: &StatusAnswer) -> String {
    let Some(store) = &answer.key_store else { return String::new() };
    let name = printable_sentence(&store.store);
    match &store.why {
        Some(why) if !store.answers => {
            format!("\nKey store: {name} does not answer: {}\n", printable_sentence(why))
        }
        _ if store.answers => format!("\nKey store: {name}\n"),
        _ => format!("\nKey store: {name} does not answer\n"),
    }
}

/// Returns the command about a cluster's drift. News needs none.
fn what_to_do(cluster: &ClusterStatus) -> Option<String> {
    let sync = || format!("eksd cluster sync {}", printable(&cluster.cluster));
    if cluster.drifts.is_empty() {
        // An agent of before names no kinds.
        return cluster.drift.as_ref().map(|_| sync());
    }
    let trouble = cluster.drifts.iter().find(|drift| !drift.is_news)?;
    Some(match &trouble.fix {
        Some(command) if command.starts_with("eksd ") => printable_sentence(command),
        Some(_) => "eksd cluster list".to_owned(),
        None => sync(),
    })
}

fn cluster_row(cluster: &ClusterStatus, profile: Option<&&ProfileStatus>, look: &Look) -> Row {
    let own = profile.map(|profile| profile_row(profile, look));
    let action = what_to_do(cluster)
        .or_else(|| cluster.report.as_ref().map(|_| "see below".to_owned()))
        .or_else(|| own.as_ref().map(|row| row.action.clone()))
        .unwrap_or_default();
    let mut details = vec![
        format!("profile {}", printable(&cluster.profile)),
        printable_sentence(&cluster.arn),
        printable_sentence(&cluster.kubeconfig),
    ];
    details.extend(cluster.checked_at.as_ref().map(|at| format!("checked {}", printable(at))));
    details.extend(cluster.drift.as_ref().map(|drift| printable_sentence(drift)));
    Row {
        name: printable(&cluster.cluster),
        phase: cluster.phase,
        good: Until::new(
            cluster.good_until.as_deref(),
            cluster.confidence,
            cluster.phase,
            &look.now,
        ),
        keys: own.map_or_else(Until::none, |row| row.keys),
        action,
        details,
    }
}

/// Shows each report once: a session that has ended is the same news for all of its profiles.
fn reports<'a>(reports: impl Iterator<Item = &'a Report>, look: &Look) -> String {
    let mut seen: Vec<&Report> = Vec::new();
    for report in reports {
        if !seen.iter().any(|other| other.what == report.what && other.code == report.code) {
            seen.push(report);
        }
    }
    let limit = if look.verbose || look.all { seen.len() } else { MOST_REPORTS };
    let mut text = String::new();
    for report in seen.iter().take(limit) {
        text.push_str(&format!("\n{}\n", output::full(report)));
    }
    if limit < seen.len() {
        text.push_str(&format!("\n… and {} more: eksd status --verbose\n", seen.len() - limit));
    }
    text
}

#[cfg(test)]
mod tests;
