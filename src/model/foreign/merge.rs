//! A registered cluster's entry, put into a person's kubeconfig, as `aws eks update-kubeconfig` does it;
//! but a namespace, comments and unknown fields stay.

use super::{
    adoption::{API_VERSION, INSTALL_HINT, arguments, ask_eksd},
    edit::{Change, Refusal, Step, apply},
    tree::{Document, Kind},
    write::Want,
};

/// What the entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The registered cluster's alias: the name of cluster and context.
    pub alias: String,
    /// The name of the user.
    pub user: String,
    /// The API server's address.
    pub server: String,
    /// Its CA, in base64.
    pub certificate_authority: Option<String>,
    /// The proxy to it.
    pub proxy_url: Option<String>,
    /// Absolute path of `eksd`.
    pub command: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The file's text.
    pub text: String,
    /// Whether the context is the current one now and was not before.
    pub is_made_current: bool,
    /// Whether the file had a context of that name.
    pub had_context: bool,
}

/// Other ways to log in, which would go before the plugin or beside it.
pub(in crate::model) const OTHER_LOGINS: [&str; 9] = [
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "username",
    "password",
    "auth-provider",
];

/// What signs in to EKS clusters.
const PLUGINS: [&str; 4] = ["eksd", "aws", "aws-iam-authenticator", "heptio-authenticator-aws"];

/// Puts the entry into a file's text; `None`: there is no file.
pub fn merge(existing: Option<&str>, wanted: &Wanted) -> Result<Merged, Refusal> {
    let existing = existing.unwrap_or_default();
    let document = Document::read(existing)?;
    let is_empty = matches!(&document.root.kind, Kind::Map { entries, .. } if entries.is_empty());
    if is_empty || document.root.is_null() {
        return fresh(existing, wanted);
    }
    let mut text = existing.to_owned();
    check_user(&document, wanted)?;
    for list in [clusters, users, contexts] {
        let changes = list(&Document::read(&text)?, wanted);
        text = apply(&text, &changes)?;
    }
    let current = document.text(&document.root, "current-context").unwrap_or_default();
    let is_made_current = current.is_empty();
    if is_made_current {
        let to = wanted.alias.as_str().into();
        let before = Some("kind");
        let change = Change::Set { map: Vec::new(), key: "current-context", to, before };
        text = apply(&text, &[change])?;
    }
    let had_context = find(&document, "contexts", &wanted.alias).is_some();
    Ok(Merged { text, is_made_current, had_context })
}

/// A file that says nothing but comments.
fn fresh(existing: &str, wanted: &Wanted) -> Result<Merged, Refusal> {
    let top = Want::Map(vec![
        ("apiVersion", "v1".into()),
        ("kind", "Config".into()),
        ("clusters", Want::List(vec![cluster_item(wanted)])),
        ("contexts", Want::List(vec![context_item(wanted)])),
        ("current-context", wanted.alias.as_str().into()),
        ("users", Want::List(vec![user_item(wanted)])),
    ]);
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if !existing.lines().all(is_comment) {
        return Err(Refusal::Layout { line: 1 });
    }
    let mut text = existing.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&top.block(0, "\n"));
    text.push('\n');
    Ok(Merged { text, is_made_current: true, had_context: false })
}

fn cluster_item(wanted: &Wanted) -> Want {
    let authority = wanted.certificate_authority.as_deref();
    let mut cluster = Vec::new();
    cluster.extend(authority.map(|authority| ("certificate-authority-data", authority.into())));
    cluster.extend(wanted.proxy_url.as_deref().map(|url| ("proxy-url", url.into())));
    cluster.push(("server", wanted.server.as_str().into()));
    Want::Map(vec![("cluster", Want::Map(cluster)), ("name", wanted.alias.as_str().into())])
}

fn user_item(wanted: &Wanted) -> Want {
    let user = Want::Map(vec![("exec", exec(wanted))]);
    Want::Map(vec![("name", wanted.user.as_str().into()), ("user", user)])
}

fn exec(wanted: &Wanted) -> Want {
    Want::Map(vec![
        ("apiVersion", API_VERSION.into()),
        ("args", arguments(&wanted.alias)),
        ("command", wanted.command.as_str().into()),
        ("installHint", INSTALL_HINT.into()),
        ("interactiveMode", "Never".into()),
    ])
}

fn context_item(wanted: &Wanted) -> Want {
    let context = Want::Map(vec![
        ("cluster", wanted.alias.as_str().into()),
        ("user", wanted.user.as_str().into()),
    ]);
    Want::Map(vec![("context", context), ("name", wanted.alias.as_str().into())])
}

/// Returns the index of an entry.
fn find(document: &Document, list: &str, name: &str) -> Option<usize> {
    let items = document.items(&document.root, list);
    items.iter().position(|item| document.text(item, "name") == Some(name))
}

/// Changes of the entry's inner map: keys that are set, keys that go.
fn inner(
    document: &Document,
    list: &'static str,
    at: usize,
    inner: &'static str,
    set: Vec<(&'static str, Want)>,
    gone: &[&'static str],
) -> Vec<Change> {
    let map = vec![Step::Key(list), Step::At(at), Step::Key(inner)];
    let item = &document.items(&document.root, list)[at];
    let Some(Kind::Map { entries, .. }) = document.get(item, inner).map(|found| &found.kind) else {
        // Nothing there, or nothing that kubectl could read.
        let map = vec![Step::Key(list), Step::At(at)];
        return vec![Change::Set { map, key: inner, to: Want::Map(set), before: None }];
    };
    let has = |key: &str| super::tree::own(entries, key).is_some();
    let before = Some("server");
    let set = set.into_iter().map(|(key, to)| Change::Set { map: map.clone(), key, to, before });
    let gone =
        gone.iter().filter(|key| has(key)).map(|key| Change::Remove { map: map.clone(), key });
    set.chain(gone).collect()
}

fn clusters(document: &Document, wanted: &Wanted) -> Vec<Change> {
    let Some(at) = find(document, "clusters", &wanted.alias) else {
        let item = cluster_item(wanted);
        return vec![Change::Append { map: Vec::new(), key: "clusters", item }];
    };
    let authority = wanted.certificate_authority.as_deref();
    let mut set = vec![("server", wanted.server.as_str().into())];
    set.extend(authority.map(|authority| ("certificate-authority-data", authority.into())));
    set.extend(wanted.proxy_url.as_deref().map(|url| ("proxy-url", url.into())));
    let gone = ["certificate-authority", "insecure-skip-tls-verify"];
    inner(document, "clusters", at, "cluster", set, &gone)
}

/// Refuses to take over a user with credentials, or with a plugin, of its own: the name is a coincidence.
fn check_user(document: &Document, wanted: &Wanted) -> Result<(), Refusal> {
    let Some(at) = find(document, "users", &wanted.user) else { return Ok(()) };
    let item = &document.items(&document.root, "users")[at];
    let Some(user) = document.get(item, "user") else { return Ok(()) };
    let command = document.get(user, "exec").and_then(|exec| document.text(exec, "command"));
    let is_anothers = match command.map(|command| command.rsplit('/').next().unwrap_or(command)) {
        Some(program) => !PLUGINS.contains(&program),
        None => OTHER_LOGINS.iter().any(|key| document.get(user, key).is_some()),
    };
    if is_anothers { Err(Refusal::Taken { line: item.line }) } else { Ok(()) }
}

fn users(document: &Document, wanted: &Wanted) -> Vec<Change> {
    let Some(at) = find(document, "users", &wanted.user) else {
        let item = user_item(wanted);
        return vec![Change::Append { map: Vec::new(), key: "users", item }];
    };
    let item = &document.items(&document.root, "users")[at];
    let stanza = document.get(item, "user").and_then(|user| document.get(user, "exec"));
    if stanza.is_none_or(|stanza| document.get(stanza, "command").is_none()) {
        let map = vec![Step::Key("users"), Step::At(at)];
        let to = Want::Map(vec![("exec", exec(wanted))]);
        return vec![Change::Set { map, key: "user", to, before: None }];
    }
    let mut changes = inner(document, "users", at, "user", Vec::new(), &OTHER_LOGINS);
    changes.extend(ask_eksd(document, at, &wanted.alias, &wanted.command));
    changes
}

fn contexts(document: &Document, wanted: &Wanted) -> Vec<Change> {
    let Some(at) = find(document, "contexts", &wanted.alias) else {
        let item = context_item(wanted);
        return vec![Change::Append { map: Vec::new(), key: "contexts", item }];
    };
    let set =
        vec![("cluster", wanted.alias.as_str().into()), ("user", wanted.user.as_str().into())];
    inner(document, "contexts", at, "context", set, &[])
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
