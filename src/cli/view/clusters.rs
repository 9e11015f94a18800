//! The list of registered clusters as people see it: a pure function of the rows, the time and the
//! width.
//!
//! No line of the table is longer than the terminal is wide. What does not fit goes in this order: the
//! time of the last check, the version, the name at AWS, the region, the ends of names.

use jiff::{Timestamp, ZonedDateTime};
use unicode_width::UnicodeWidthStr;

use super::{
    span,
    table::{Style, fit},
};
use crate::{
    ipc::wire::ClusterStatus,
    model::text::{printable, printable_sentence},
};

/// Blanks between columns.
const GAP: usize = 2;

/// Names are not made shorter than this while anything else can give way.
const NAME_KEPT: usize = 16;

const TITLES: [&str; 8] =
    ["CLUSTER", "AT AWS", "REGION", "PROFILE", "PHASE", "VERSION", "CHECKED", "DRIFT"];
const NAME: usize = 0;
const AT_AWS: usize = 1;
const REGION: usize = 2;
const PROFILE: usize = 3;
const PHASE: usize = 4;
const VERSION: usize = 5;
const CHECKED: usize = 6;
const DRIFT: usize = 7;

type Cells = [String; 8];

/// Returns the table, and below it each drift in full, with what to do.
pub fn clusters(rows: &[ClusterStatus], now: &ZonedDateTime, width: usize, colour: bool) -> String {
    let cells: Vec<Cells> = rows.iter().map(|row| cells(row, now)).collect();
    let widths = widths(&cells, width);
    let mut text =
        Style::Bold.paint(&line(&TITLES.map(str::to_owned), &widths, None, width), colour);
    text.push('\n');
    for (row, cells) in rows.iter().zip(&cells) {
        let paint = colour.then(|| Style::of(row.phase));
        text.push_str(&line(cells, &widths, paint, width));
        text.push('\n');
    }
    for row in rows {
        for drift in &row.drifts {
            let alias = printable(&row.cluster);
            text.push_str(&format!("\n{alias}: {}\n", printable_sentence(&drift.what)));
            if let Some(fix) = &drift.fix {
                text.push_str(&format!("  fix: {}\n", printable_sentence(fix)));
            }
        }
    }
    text
}

fn cells(row: &ClusterStatus, now: &ZonedDateTime) -> Cells {
    let mut profile = printable(&row.profile);
    if let Some(role) = &row.role_arn {
        let role = role.rsplit('/').next().unwrap_or(role);
        profile.push_str(&format!(" as {}", printable(role)));
    }
    if let Some(describer) = &row.described_by {
        profile.push_str(&format!(" (asks as {})", printable(describer)));
    }
    let name = if row.name == row.cluster { String::new() } else { printable(&row.name) };
    let kinds: Vec<String> = row.drifts.iter().map(|drift| printable(&drift.kind)).collect();
    [
        printable(&row.cluster),
        name,
        printable(&row.region),
        profile,
        row.phase.as_str().to_owned(),
        row.version.as_deref().map_or("-".to_owned(), printable),
        checked(row.checked_at.as_deref(), now),
        if kinds.is_empty() { "-".to_owned() } else { kinds.join(", ") },
    ]
}

/// `2h14m ago`.
fn checked(at: Option<&str>, now: &ZonedDateTime) -> String {
    let Some(text) = at else { return "never".to_owned() };
    let Ok(at) = text.parse::<Timestamp>() else { return printable(text) };
    let seconds = now.timestamp().duration_since(at).as_secs().max(0);
    format!("{} ago", span(seconds))
}

/// Returns the columns' widths; one of width 0 is left out.
fn widths(cells: &[Cells], width: usize) -> [usize; 8] {
    let mut widths = [0; 8];
    for (column, of) in widths.iter_mut().enumerate() {
        let widest = cells.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let is_shown = column != AT_AWS || 0 < widest;
        *of = if is_shown { widest.max(TITLES[column].len()) } else { 0 };
    }
    for column in [CHECKED, VERSION, AT_AWS, REGION] {
        if excess(&widths, width) != 0 {
            widths[column] = 0;
        }
    }
    for (column, least) in [(PROFILE, NAME_KEPT), (NAME, NAME_KEPT), (DRIFT, 5), (PROFILE, 4)] {
        let spare = widths[column].saturating_sub(least);
        widths[column] -= spare.min(excess(&widths, width));
    }
    for column in [PROFILE, PHASE, DRIFT] {
        if excess(&widths, width) != 0 {
            widths[column] = 0;
        }
    }
    widths[NAME] = widths[NAME].min(width).max(1);
    widths
}

/// Returns how much too wide a line would be.
fn excess(widths: &[usize; 8], width: usize) -> usize {
    let total: usize = widths.iter().filter(|width| **width != 0).map(|width| width + GAP).sum();
    total.saturating_sub(GAP).saturating_sub(width)
}

fn line(cells: &Cells, widths: &[usize; 8], phase: Option<Style>, width: usize) -> String {
    let mut line = String::new();
    let mut used = 0;
    let mut blanks = 0;
    for ((column, cell), of) in cells.iter().enumerate().zip(widths) {
        if *of == 0 {
            continue;
        }
        let cell = fit(cell, (*of).min(width.saturating_sub(used + blanks)));
        if !cell.is_empty() {
            line.push_str(&" ".repeat(blanks));
            used += blanks + cell.width();
            blanks = 0;
        }
        let style = phase.filter(|_| column == PHASE);
        line.push_str(&style.map_or(cell.clone(), |style| style.paint(&cell, true)));
        blanks += of - cell.width() + GAP;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::wire::{Confidence, DriftStatus, Phase};

    fn row(alias: &str) -> ClusterStatus {
        ClusterStatus {
            cluster: alias.into(),
            arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo".into(),
            name: alias.into(),
            region: "eu-west-1".into(),
            profile: "dev".into(),
            described_by: None,
            role_arn: None,
            version: Some("1.34".into()),
            phase: Phase::Fresh,
            good_until: None,
            confidence: Confidence::Unknown,
            kubeconfig: "/home/ann/.kube/eksd/demo.yaml".into(),
            checked_at: Some("2026-11-24T12:00:00Z".into()),
            drift: None,
            drifts: Vec::new(),
            status: Some("ACTIVE".into()),
            created_at: None,
            id: None,
            endpoint_access: None,
            public_cidrs: Vec::new(),
            proxy_url: None,
            report: None,
        }
    }

    fn rows() -> Vec<ClusterStatus> {
        let deleted = DriftStatus {
            kind: "deleted".into(),
            since: "2026-11-24T12:00:00Z".into(),
            what: "was deleted".into(),
            fix: Some("eksd cluster remove old".into()),
            is_news: false,
        };
        vec![
            row("demo"),
            ClusterStatus {
                name: "production-eu-1".into(),
                profile: "admin".into(),
                role_arn: Some("arn:aws:iam::1:role/path/k8s".into()),
                described_by: Some("reader".into()),
                phase: Phase::NeedsLogin,
                version: None,
                checked_at: None,
                ..row("prod")
            },
            ClusterStatus { drifts: vec![deleted], ..row("old") },
        ]
    }

    fn shown(width: usize) -> String {
        let now: ZonedDateTime = "2026-11-24T14:14:00+00:00[UTC]".parse().unwrap();
        clusters(&rows(), &now, width, false)
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        assert_eq!(
            shown(120),
            "\
CLUSTER  AT AWS           REGION     PROFILE                        PHASE        VERSION  CHECKED    DRIFT
demo                      eu-west-1  dev                            fresh        1.34     2h14m ago  -
prod     production-eu-1  eu-west-1  admin as k8s (asks as reader)  needs-login  -        never      -
old                       eu-west-1  dev                            fresh        1.34     2h14m ago  deleted

old: was deleted
  fix: eksd cluster remove old
"
        );
    }

    #[test]
    fn a_narrow_one_what_matters() {
        assert_eq!(
            shown(60).lines().take(4).collect::<Vec<_>>(),
            [
                "CLUSTER  PROFILE                        PHASE        DRIFT",
                "demo     dev                            fresh        -",
                "prod     admin as k8s (asks as reader)  needs-login  -",
                "old      dev                            fresh        deleted",
            ]
        );
        for width in 1..130 {
            let text = shown(width);
            let table = text.split("\n\n").next().unwrap();
            assert!(table.lines().all(|line| line.width() <= width), "{width}:\n{table}");
        }
    }
}
