//! Holds the tree to `deny.toml` (licences, bans, sources) where cargo-deny is not installed.
//!
//! For the machine that the tests run on; cargo-deny looks at the other targets too. Advisories need
//! the network and are its part alone.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use crate::source::{read, root};

struct Package {
    name: String,
    version: String,
    licence: String,
    source: Option<String>,
}

struct Rules {
    allowed: BTreeSet<String>,
    exceptions: Vec<(String, BTreeSet<String>)>,
    banned: Vec<String>,
    registries: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let version = Command::new(env!("CARGO")).args(["-vV"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |package: &Value, key: &str| package[key].as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| Package {
            name: text(package, "name").unwrap(),
            version: text(package, "version").unwrap(),
            licence: text(package, "license").unwrap_or_default(),
            source: text(package, "source"),
        })
        .collect()
}

fn rules() -> Rules {
    let text = read("deny.toml");
    let rules: Value = toml::from_str(&text).unwrap();
    let words = |value: &Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let crates = |value: &Value| value["crate"].as_str().unwrap().to_owned();
    let licences = &rules["licenses"];
    Rules {
        allowed: words(&licences["allow"]),
        exceptions: licences["exceptions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (crates(it), words(&it["allow"])))
            .collect(),
        banned: rules["bans"]["deny"].as_array().unwrap().iter().map(crates).collect(),
        registries: words(&rules["sources"]["allow-registry"]),
    }
}

#[test]
fn licences_bans_and_sources() {
    let rules = rules();
    let mut findings = Vec::new();
    for package in packages() {
        let Package { name, version, licence, source } = &package;
        let extra = rules.exceptions.iter().find(|(krate, _)| krate == name);
        let is_allowed = |licence: &str| {
            rules.allowed.contains(licence) || extra.is_some_and(|(_, more)| more.contains(licence))
        };
        if !is_licence_fine(licence, &is_allowed) {
            findings.push(format!("{name} {version}: `{licence}` is not on the list of deny.toml"));
        }
        if rules.banned.iter().any(|ban| is_banned(ban, name, version)) {
            findings.push(format!("{name} {version} is banned by deny.toml"));
        }
        let registry = source.as_ref().and_then(|source| source.strip_prefix("registry+"));
        match source {
            None => {}
            Some(_) if registry.is_some_and(|it| rules.registries.contains(it)) => {}
            Some(source) => findings.push(format!("{name} {version} comes from {source}")),
        }
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// A ban is a name, or `name@version` for one line of versions.
fn is_banned(ban: &str, name: &str, version: &str) -> bool {
    match ban.split_once('@') {
        Some((banned, line)) => banned == name && version.starts_with(&format!("{line}.")),
        None => ban == name,
    }
}

/// Evaluates an SPDX licence expression; `/` is the old way to write `OR`.
fn is_licence_fine(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let fine = any_of(&mut rest, is_allowed);
    fine && rest.is_empty()
}

fn any_of(rest: &mut &[&str], is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut fine = all_of(rest, is_allowed);
    while let Some(("OR", tail)) = rest.split_first().map(|(word, tail)| (*word, tail)) {
        *rest = tail;
        fine |= all_of(rest, is_allowed);
    }
    fine
}

fn all_of(rest: &mut &[&str], is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut fine = one(rest, is_allowed);
    while let Some(("AND", tail)) = rest.split_first().map(|(word, tail)| (*word, tail)) {
        *rest = tail;
        fine &= one(rest, is_allowed);
    }
    fine
}

fn one(rest: &mut &[&str], is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let Some((word, tail)) = rest.split_first() else { return false };
    *rest = tail;
    if *word == "(" {
        let fine = any_of(rest, is_allowed);
        *rest = rest.strip_prefix(&[")"]).unwrap_or_default();
        return fine;
    }
    // An exception to a licence only gives more: `Apache-2.0 WITH LLVM-exception`.
    if let ["WITH", _, tail @ ..] = rest {
        *rest = tail;
    }
    is_allowed(word)
}

#[test]
fn licence_expressions() {
    let is_allowed = |licence: &str| ["MIT", "ISC"].contains(&licence);
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND Apache-2.0", false),
        ("MIT AND ISC", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("MIT AND (GPL-3.0 OR Apache-2.0)", false),
        ("MIT WITH LLVM-exception AND ISC", true),
        ("MIT OR", true),
        ("MIT ISC", false),
    ] {
        assert_eq!(is_licence_fine(expression, &is_allowed), expected, "{expression}");
    }
    for (ban, name, version, expected) in [
        ("openssl", "openssl", "0.10.1", true),
        ("openssl", "openssl-probe", "0.1.0", false),
        ("rustls@0.21", "rustls", "0.21.12", true),
        ("rustls@0.21", "rustls", "0.23.1", false),
        ("rustls@0.2", "rustls", "0.21.12", false),
    ] {
        assert_eq!(is_banned(ban, name, version), expected, "{ban} {name} {version}");
    }
}
