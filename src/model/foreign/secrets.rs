//! What of a kubeconfig is nobody's to see.

use std::rc::Rc;

use super::tree::{Document, Kind, Node};

/// Keys of a user whose values are secrets.
const KEYS: [&str; 4] = ["token", "password", "client-key-data", "auth-provider"];

/// Parts of the names of variables whose values may be secrets.
const VARIABLES: [&str; 4] = ["SECRET", "TOKEN", "PASSWORD", "KEY"];

/// What is shown in a secret's place.
const MASK: &str = "REDACTED";

/// Returns the text without the secrets of its users.
pub fn masked(text: &str) -> String {
    // What cannot be read is not shown: nobody knows what is in it.
    let Ok(document) = Document::read(text) else { return String::new() };
    let mut ranges = Vec::new();
    for item in document.items(&document.root, "users") {
        let Some(user) = document.get(item, "user") else { continue };
        for key in KEYS {
            ranges.extend(document.get(user, key).into_iter().flat_map(scalars));
        }
        let variables = document.get(user, "exec").map(|exec| document.items(exec, "env"));
        for variable in variables.unwrap_or_default() {
            let name = document.text(variable, "name").unwrap_or_default().to_uppercase();
            if VARIABLES.iter().any(|part| name.contains(part)) {
                ranges.extend(document.get(variable, "value").into_iter().flat_map(scalars));
            }
        }
    }
    for item in document.items(&document.root, "clusters") {
        // An address may have a password in it.
        let cluster = document.get(item, "cluster");
        let proxy = cluster.and_then(|cluster| document.get(cluster, "proxy-url"));
        let has_user = |node: &&Node| document.as_text(node).is_some_and(|url| url.contains('@'));
        ranges.extend(proxy.filter(has_user).into_iter().flat_map(scalars));
    }
    ranges.sort_unstable();
    ranges.dedup();
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in ranges {
        shown.push_str(text.get(done..start).unwrap_or_default());
        let is_whole_lines = text.get(start..end).is_some_and(|it| it.ends_with('\n'));
        shown.push_str(MASK);
        shown.push_str(if is_whole_lines { "\n" } else { "" });
        done = end;
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown
}

/// Returns where the scalars in a value stand.
fn scalars(node: &Node) -> Vec<(usize, usize)> {
    let all = |nodes: &mut dyn Iterator<Item = &Rc<Node>>| {
        nodes.flat_map(|node| scalars(node)).collect::<Vec<_>>()
    };
    match &node.kind {
        Kind::Scalar { .. } if node.is_null() => Vec::new(),
        Kind::Scalar { .. } => vec![(node.start, node.end)],
        Kind::Map { entries, .. } => all(&mut entries.iter().map(|(_, value)| value)),
        Kind::List { items, .. } => all(&mut items.iter()),
        Kind::Alias(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let text = "clusters:\n- {name: p, cluster: {proxy-url: 'http://me:s3cret@p'}}\nusers:\n- name: a\n  user:\n    token: s3cret # x\n    username: me\n\
                    - {name: b, user: {password: \"s3cret\", client-key-data: s3cret}}\n\
                    - name: c\n  user:\n    auth-provider:\n      name: oidc\n      config: {id-token: s3cret}\n\
                    - name: d\n  user:\n    token: |\n      s3cret\n    exec:\n      command: aws\n      env:\n\
                    \u{20}     - {name: AWS_SECRET_ACCESS_KEY, value: s3cret}\n      - {name: AWS_PROFILE, value: dev}\n";
        let shown = masked(text);
        assert!(!shown.contains("s3cret"), "{shown}");
        for kept in ["token: REDACTED # x", "username: me", "value: dev", "command: aws"] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        assert!(Document::read(&shown).is_ok(), "{shown}");
        assert_eq!(masked("token: s3cret\n---\n"), "", "not understood, not shown");
    }
}
