//! What of a kubeconfig is nobody's to see.

use std::rc::Rc;

use super::tree::{Document, Kind, Node};

/// Keys of a user whose values are secrets.
const KEYS: [&str; 4] = ["token", "password", "client-key-data", "auth-provider"];

/// Parts of the names of variables and flags whose values may be secrets.
const NAMES: [&str; 4] = ["SECRET", "TOKEN", "PASSWORD", "KEY"];

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
            // Of a key that stands there twice each value.
            let Kind::Map { entries, .. } = &document.meant(user).kind else { continue };
            let all = entries.iter().filter(|(name, _)| document.as_text(name) == Some(key));
            ranges.extend(all.flat_map(|(_, value)| scalars(value)));
        }
        let Some(exec) = document.get(user, "exec") else { continue };
        for variable in document.items(exec, "env") {
            let Some(value) = document.get(variable, "value") else { continue };
            let name = document.text(variable, "name").unwrap_or_default();
            if is_secret(name) || has_login(&document, value) {
                ranges.extend(scalars(value));
            }
        }
        ranges.extend(arguments(&document, exec));
    }
    for item in document.items(&document.root, "clusters") {
        let Some(cluster) = document.get(item, "cluster") else { continue };
        let urls = ["server", "proxy-url"].into_iter().filter_map(|key| document.get(cluster, key));
        ranges.extend(urls.filter(|url| has_login(&document, url)).flat_map(scalars));
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

fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    NAMES.iter().any(|part| name.contains(part))
}

/// Returns whether a value is an address, which may have a password in it.
fn has_login(document: &Document, node: &Node) -> bool {
    document.as_text(node).is_some_and(|text| text.contains('@') && text.contains("://"))
}

/// Returns where a plugin's arguments stand that may be secrets: `--client-secret=X`,
/// `--client-secret X`.
fn arguments(document: &Document, exec: &Node) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut is_value = false;
    for item in document.items(exec, "args") {
        let text = document.as_text(item).unwrap_or_default();
        let (flag, value) = text.split_once('=').map_or((text, None), |(it, of)| (it, Some(of)));
        let is_flag = text.starts_with('-');
        let names_one = is_flag && is_secret(flag);
        if (is_value && !is_flag) || (names_one && value.is_some()) || has_login(document, item) {
            ranges.extend(scalars(document.meant(item)));
        }
        is_value = names_one && value.is_none();
    }
    ranges
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

    #[test]
    fn secrets_of_other_plugins_are_not_shown() {
        let text = "clusters:\n- {name: p, cluster: {server: 'https://me:s3cret@p'}}\nusers:\n- name: a\n  user:\n    exec:\n      command: kubectl\n\
                    \u{20}     args:\n      - oidc-login\n      - get-token\n      - --oidc-client-secret=s3cret\n      - --client-id=me\n\
                    \u{20}     - --password\n      - s3cret\n      - --token-only\n      - --cluster\n      - demo\n      - --proxy=http://me:s3cret@p\n\
                    \u{20}     env: [{name: HTTPS_PROXY, value: 'http://me:s3cret@p'}]\n\
                    - name: b\n  user: {token: one s3cret, token: another s3cret}\n";
        let shown = masked(text);
        assert!(!shown.contains("s3cret"), "{shown}");
        for kept in ["- get-token", "--client-id=me", "--token-only", "- --cluster\n      - demo"] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        assert!(Document::read(&shown).is_ok(), "{shown}");
    }
}
