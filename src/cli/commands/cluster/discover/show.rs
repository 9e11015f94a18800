//! What is said about clusters that were found.

use unicode_width::UnicodeWidthStr;

use super::{DiscoverProgress, Discovered, DiscoveredCluster};
use crate::{
    cli::{output, quote::typed_word},
    model::text::{printable, printable_sentence},
};

/// Blanks between columns.
const GAP: usize = 2;

/// Returns how far the search is.
pub(super) fn progress(so_far: DiscoverProgress) -> String {
    let DiscoverProgress { asked, of, clusters, refused } = so_far;
    let mut line = format!("{asked} of {of} · {}", count(clusters, "cluster"));
    if 0 < refused {
        line.push_str(&format!(" · {refused} refused"));
    }
    line
}

fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// Returns the clusters as a table; nothing where there are none.
pub(super) fn table(found: &Discovered) -> String {
    if found.clusters.is_empty() {
        return String::new();
    }
    let mut rows =
        vec![["CLUSTER", "REGION", "ACCOUNT", "PROFILE", "OR", "ALIAS"].map(str::to_owned)];
    rows.extend(found.clusters.iter().map(row));
    let mut widths: [usize; 6] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].width()).max().unwrap_or(0));
    // Who else could sign is a column only where there is somebody.
    if rows.iter().skip(1).all(|row| row[4].is_empty()) {
        widths[4] = 0;
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| 0 < *width) {
            line.push_str(cell);
            line.push_str(&" ".repeat(GAP + width - cell.width()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(cluster: &DiscoveredCluster) -> [String; 6] {
    let account = match &cluster.account_alias {
        Some(alias) => format!("{} {}", printable(&cluster.account_id), printable(alias)),
        None => printable(&cluster.account_id),
    };
    let others: Vec<String> = cluster
        .profiles
        .iter()
        .filter(|other| **other != cluster.profile)
        .map(|other| printable(other))
        .collect();
    let registered = if cluster.registered_as.is_some() { " (registered)" } else { "" };
    [
        printable(&cluster.name),
        printable(&cluster.region),
        account,
        printable(&cluster.profile),
        printable_sentence(&others.join(", ")),
        format!("{}{registered}", printable(&cluster.alias)),
    ]
}

/// Says who did not get a list, why, and what to do.
pub(super) fn refused(found: &Discovered) {
    if found.refused.is_empty() {
        return;
    }
    output::talk("not asked, or refused:");
    for row in &found.refused {
        let place = match &row.region {
            Some(region) => format!("{} in {}", printable(&row.profile), printable(region)),
            None => printable(&row.profile),
        };
        output::talk(format!(
            "  {place}: {}\n    fix: {}",
            printable_sentence(&row.report.what),
            printable_sentence(&row.report.fix)
        ));
    }
}

/// Returns what came of the search, in one line.
pub(super) fn summary(found: &Discovered) -> String {
    let (new, all) = (
        found.clusters.iter().filter(|it| it.registered_as.is_none()).count(),
        found.clusters.len(),
    );
    let mut line = format!("{}, {new} not registered", count(all, "cluster"));
    let Discovered { listed, places, spared, stopped, .. } = found;
    line.push_str(&format!("; {listed} of {places} regions of accounts were listed"));
    if 0 < *spared {
        line.push_str(&format!(", {} spared", count(*spared, "call")));
    }
    if *stopped {
        line.push_str("; stopped before the end");
    }
    line
}

/// Says how to register what is not registered yet.
pub(super) fn commands(clusters: &[DiscoveredCluster]) {
    let new: Vec<String> =
        clusters.iter().filter(|it| it.registered_as.is_none()).map(command).collect();
    if !new.is_empty() {
        output::talk(format!("to register them add `--add`, or:\n  {}", new.join("\n  ")));
    }
}

/// Returns the command that registers a cluster.
fn command(cluster: &DiscoveredCluster) -> String {
    let mut command = format!(
        "eksd cluster add {} --region {} --profile {}",
        typed_word(&cluster.name),
        typed_word(&cluster.region),
        typed_word(&cluster.profile)
    );
    if cluster.described_by != cluster.profile {
        command.push_str(&format!(" --described-by {}", typed_word(&cluster.described_by)));
    }
    if cluster.alias != cluster.name {
        command.push_str(&format!(" --alias {}", typed_word(&cluster.alias)));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ipc::wire::NotListed,
        report::{Code, Report},
    };

    fn cluster(name: &str, region: &str, profiles: &[&str]) -> DiscoveredCluster {
        DiscoveredCluster {
            name: name.to_owned(),
            region: region.to_owned(),
            account_id: "111122223333".to_owned(),
            account_alias: None,
            arn: format!("arn:aws:eks:{region}:111122223333:cluster/{name}"),
            profile: profiles[0].to_owned(),
            described_by: profiles[0].to_owned(),
            profiles: profiles.iter().map(|it| (*it).to_owned()).collect(),
            registered_as: None,
            alias: name.to_owned(),
        }
    }

    fn found(clusters: Vec<DiscoveredCluster>) -> Discovered {
        Discovered {
            clusters,
            refused: Vec::new(),
            listed: 3,
            places: 4,
            spared: 0,
            stopped: false,
            template: "{name}".to_owned(),
        }
    }

    #[test]
    fn tables_and_summaries() {
        let registered = DiscoveredCluster {
            registered_as: Some("prod-eu".to_owned()),
            alias: "prod-eu".to_owned(),
            ..cluster("prod", "eu-west-1", &["dev"])
        };
        insta::assert_snapshot!(table(&found(vec![cluster("demo", "us-east-1", &["dev"]), registered.clone()])), @r"
        CLUSTER  REGION     ACCOUNT       PROFILE  ALIAS
        demo     us-east-1  111122223333  dev      demo
        prod     eu-west-1  111122223333  dev      prod-eu (registered)
        ");
        let named = DiscoveredCluster {
            account_alias: Some("corp\u{1b}".to_owned()),
            ..cluster("demo", "eu-west-1", &["dev", "ops", "ro"])
        };
        let several = found(vec![named, registered]);
        insta::assert_snapshot!(table(&several), @r"
        CLUSTER  REGION     ACCOUNT             PROFILE  OR       ALIAS
        demo     eu-west-1  111122223333 corp?  dev      ops, ro  demo
        prod     eu-west-1  111122223333        dev               prod-eu (registered)
        ");
        assert_eq!(table(&found(Vec::new())), "");
        let all = Discovered { spared: 1, stopped: true, ..several };
        assert_eq!(
            summary(&all),
            "2 clusters, 1 not registered; 3 of 4 regions of accounts were listed, 1 call spared; \
             stopped before the end"
        );
    }

    #[test]
    fn lines_of_progress() {
        for (refused, clusters, expected) in
            [(0, 1, "12 of 40 · 1 cluster"), (2, 7, "12 of 40 · 7 clusters · 2 refused")]
        {
            let so_far = DiscoverProgress { asked: 12, of: 40, clusters, refused };
            assert_eq!(progress(so_far), expected);
        }
    }

    #[test]
    fn commands_can_be_pasted() {
        let plain = cluster("demo", "eu-west-1", &["dev"]);
        assert_eq!(command(&plain), "eksd cluster add demo --region eu-west-1 --profile dev");
        let odd = DiscoveredCluster {
            profile: "my team's".to_owned(),
            described_by: "read only".to_owned(),
            alias: "demo-eu".to_owned(),
            ..plain
        };
        assert_eq!(
            command(&odd),
            r"eksd cluster add demo --region eu-west-1 --profile 'my team'\''s' --described-by 'read only' --alias demo-eu"
        );
        let words = shlex::split(&command(&odd)).unwrap();
        assert_eq!(words[7..10], ["my team's", "--described-by", "read only"]);
    }

    #[test]
    fn exit_codes() {
        let row = |code| NotListed {
            profile: "p".to_owned(),
            region: None,
            report: Report::new(code, "w", "f"),
        };
        for (listed, refused, stopped, expected) in [
            (1, vec![], false, 0),
            (0, vec![], false, 0),
            (1, vec![row(Code::NeedsLogin)], false, 0),
            (0, vec![row(Code::NeedsLogin)], false, 1),
            (0, vec![row(Code::AccessDenied), row(Code::Misconfigured)], false, 2),
            (1, vec![], true, 1),
        ] {
            let found = Discovered { refused, listed, stopped, ..found(Vec::new()) };
            assert_eq!(super::super::code_of(&found), expected);
        }
    }
}
