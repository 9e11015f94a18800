//! What `eksd use` is told: a profile, or clusters, each with a namespace or without.
//!
//! Names may hold the characters that tie them together: a profile's `/`, an alias's `+`. What is
//! called so exactly wins, and of an alias that could also be two, the longer one.

use std::fmt::Write as _;

/// The longest word of a list: an alias, `/` and a namespace.
const LONGEST_PART: usize = 100 + 1 + LONGEST_NAMESPACE;

/// A label's length (RFC 1123, section 2.1; RFC 1035, section 2.3.4).
const LONGEST_NAMESPACE: usize = 63;

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A profile, by its name.
    Profile,
    /// Clusters; the first is the current one.
    Clusters(Vec<InCluster>),
}

/// A cluster, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InCluster {
    /// Its alias.
    pub alias: String,
    /// The namespace, where one was named.
    pub namespace: Option<String>,
}

/// Why nothing is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaningless {
    /// There is nothing of this name.
    Unknown(String),
    /// The profile of this name stands where only a cluster can.
    ProfileAmongClusters(String),
    /// Nothing stands behind this cluster's `/`.
    NoNamespace(String),
    /// No namespace can be called this.
    NotANamespace(String),
    /// This cluster is named twice.
    Twice(String),
}

/// Reads what a person wrote: `PROFILE`, `CLUSTER`, `CLUSTER/NAMESPACE`, or several of the latter two
/// with `+` in between.
///
/// # Errors
/// Says which part means nothing.
pub fn read(
    text: &str,
    is_cluster: impl Fn(&str) -> bool,
    is_profile: impl Fn(&str) -> bool,
) -> Result<Meaning, Meaningless> {
    if is_cluster(text) {
        let whole = InCluster { alias: text.to_owned(), namespace: None };
        return Ok(Meaning::Clusters(vec![whole]));
    }
    if is_profile(text) {
        return Ok(Meaning::Profile);
    }
    let Some(parts) = split(text, &is_cluster) else {
        let unknown = text.split('+').map(alias_of).find(|alias| !is_cluster(alias));
        let unknown = unknown.unwrap_or(text).to_owned();
        return Err(if unknown != text && is_profile(&unknown) {
            Meaningless::ProfileAmongClusters(unknown)
        } else {
            Meaningless::Unknown(unknown)
        });
    };
    let mut clusters: Vec<InCluster> = Vec::new();
    for part in parts {
        let alias = alias_of(part).to_owned();
        let namespace = part.split_once('/').map(|(_, namespace)| namespace);
        if clusters.iter().any(|other| other.alias == alias) {
            return Err(Meaningless::Twice(alias));
        }
        match namespace {
            Some("") => return Err(Meaningless::NoNamespace(alias)),
            Some(name) if !is_namespace(name) => {
                return Err(Meaningless::NotANamespace(name.to_owned()));
            }
            _ => clusters.push(InCluster { alias, namespace: namespace.map(str::to_owned) }),
        }
    }
    Ok(Meaning::Clusters(clusters))
}

fn alias_of(part: &str) -> &str {
    part.split_once('/').map_or(part, |(alias, _)| alias)
}

/// Cuts at `+` so that each part begins with a cluster's alias, from the front with the longest that
/// leaves the rest whole.
fn split(text: &str, is_cluster: impl Fn(&str) -> bool) -> Option<Vec<&str>> {
    let ends: Vec<usize> = text.match_indices('+').map(|(at, _)| at).chain([text.len()]).collect();
    let starts: Vec<usize> = [0].into_iter().chain(ends.iter().map(|end| end + 1)).collect();
    // For each start, from the back, the end of the part that begins there.
    let mut cuts: Vec<Option<usize>> = vec![None; ends.len()];
    for first in (0..ends.len()).rev() {
        let fitting = (first..ends.len())
            .take_while(|last| ends[*last] - starts[first] <= LONGEST_PART)
            .filter(|last| ends.len() == last + 1 || cuts[last + 1].is_some());
        let is_part = |last: &usize| {
            let part = &text[starts[first]..ends[*last]];
            // No namespace holds a `+`.
            let namespace = part.split_once('/').map_or("", |(_, namespace)| namespace);
            is_cluster(alias_of(part)) && !namespace.contains('+')
        };
        cuts[first] = fitting.filter(is_part).last();
    }
    let mut parts = Vec::new();
    let mut first = 0;
    while first < ends.len() {
        let last = cuts[first]?;
        parts.push(&text[starts[first]..ends[last]]);
        first = last + 1;
    }
    Some(parts)
}

/// Returns whether a namespace can be called this: an RFC 1123 label.
fn is_namespace(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.len() <= LONGEST_NAMESPACE
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Returns the kubeconfig file that stands before the clusters' own ones, where one is needed: it
/// holds what is to stay in one shell, the current context and the named namespaces.
///
/// Of entries with one name the first file's counts, and kubectl writes to the file that an entry came
/// from, and the current context to the first file that is there (`client-go/tools/clientcmd`,
/// `loader.go` and `config.go`): so that is also where changes go.
pub fn overlay(clusters: &[InCluster]) -> Option<String> {
    let first = clusters.first()?;
    if clusters.len() == 1 && first.namespace.is_none() {
        return None;
    }
    let mut text = "apiVersion: v1\nkind: Config\n".to_owned();
    // Neither an alias nor a label holds anything that a quoted word could not.
    let list = if clusters.iter().any(|it| it.namespace.is_some()) { "" } else { " []" };
    let _ = writeln!(text, "current-context: \"{}\"\ncontexts:{list}", first.alias);
    for InCluster { alias, namespace } in clusters {
        if let Some(namespace) = namespace {
            let _ = writeln!(
                text,
                "- name: \"{alias}\"\n  context:\n    cluster: \"{alias}\"\n    user: \"{alias}\"\n    \
                 namespace: \"{namespace}\""
            );
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTERS: [&str; 7] = ["demo", "prod", "a", "b", "a+b", "b+c", "same"];
    const PROFILES: [&str; 4] = ["dev", "corp/dev", "demo/kube-system", "same"];

    fn meaning(text: &str) -> Result<String, Meaningless> {
        let meaning = read(text, |name| CLUSTERS.contains(&name), |name| PROFILES.contains(&name))?;
        Ok(match meaning {
            Meaning::Profile => format!("profile {text}"),
            Meaning::Clusters(clusters) => {
                let shown = |it: InCluster| match it.namespace {
                    Some(namespace) => format!("{} in {}", namespace, it.alias),
                    None => it.alias,
                };
                clusters.into_iter().map(shown).collect::<Vec<_>>().join(", ")
            }
        })
    }

    #[test]
    fn what_is_meant() {
        for (text, expected) in [
            ("demo", "demo"),
            ("dev", "profile dev"),
            ("same", "same"),
            ("demo/shop", "shop in demo"),
            ("demo/9", "9 in demo"),
            // A name that is there wins over what it could be taken apart to.
            ("corp/dev", "profile corp/dev"),
            ("demo/kube-system", "profile demo/kube-system"),
            ("a+b", "a+b"),
            ("a+b/x", "x in a+b"),
            ("a+prod", "a, prod"),
            ("demo/x+prod/y", "x in demo, y in prod"),
            ("demo+prod/y", "demo, y in prod"),
            ("prod/kube-system+demo", "kube-system in prod, demo"),
            // Of two ways the longer alias first, as long as the rest is whole.
            ("a+b+prod", "a+b, prod"),
            ("prod+a+b", "prod, a+b"),
            ("a+b+c", "a, b+c"),
            ("a/x+b", "x in a, b"),
        ] {
            assert_eq!(meaning(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_means_nothing() {
        use Meaningless::{NoNamespace, NotANamespace, ProfileAmongClusters, Twice};
        let unknown = |name: &str| Meaningless::Unknown(name.to_owned());
        let long = "x".repeat(64);
        for (text, expected) in [
            ("", unknown("")),
            ("/", unknown("")),
            ("+", unknown("")),
            ("nope", unknown("nope")),
            ("nope/x", unknown("nope")),
            ("demo+nope/x", unknown("nope")),
            ("demo+", unknown("")),
            ("demo+dev", ProfileAmongClusters("dev".into())),
            ("dev/x", ProfileAmongClusters("dev".into())),
            ("demo/", NoNamespace("demo".into())),
            ("demo+prod/", NoNamespace("prod".into())),
            ("demo/Shop", NotANamespace("Shop".into())),
            ("demo/a_b", NotANamespace("a_b".into())),
            ("demo/-a", NotANamespace("-a".into())),
            ("demo/a-", NotANamespace("a-".into())),
            ("demo/a/b", NotANamespace("a/b".into())),
            ("demo/../x", NotANamespace("../x".into())),
            ("demo/a\nb", NotANamespace("a\nb".into())),
            ("demo/x+demo/y", Twice("demo".into())),
        ] {
            assert_eq!(meaning(text), Err(expected), "{text}");
        }
        assert!(matches!(meaning(&format!("demo/{long}")), Err(NotANamespace(_))));
        assert_eq!(meaning(&format!("demo/{}", &long[1..])), Ok(format!("{} in demo", &long[1..])));
    }

    /// A line of the socket may be 64 KiB long.
    #[test]
    fn a_long_text_takes_no_time() {
        for text in ["a+".repeat(32_000), "+".repeat(64_000), "demo/".repeat(12_000)] {
            assert!(meaning(&text).is_err());
        }
    }

    #[test]
    fn the_file_before_the_others() {
        let clusters =
            |text: &str| match read(text, |name| CLUSTERS.contains(&name), |_| false).unwrap() {
                Meaning::Clusters(clusters) => overlay(&clusters),
                Meaning::Profile => unreachable!("there are none"),
            };
        assert_eq!(clusters("demo"), None);
        insta::assert_snapshot!(clusters("demo/true+prod+a/9").unwrap(), @r#"
        apiVersion: v1
        kind: Config
        current-context: "demo"
        contexts:
        - name: "demo"
          context:
            cluster: "demo"
            user: "demo"
            namespace: "true"
        - name: "a"
          context:
            cluster: "a"
            user: "a"
            namespace: "9"
        "#);
        let two = clusters("a+prod").unwrap();
        let tree: serde_yaml_ng::Value = serde_yaml_ng::from_str(&two).unwrap();
        assert_eq!(tree["current-context"], "a");
        assert_eq!(tree["contexts"].as_sequence().map(Vec::len), Some(0));
    }
}
