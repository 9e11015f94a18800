//! kubectl's own policy for credential plugins (1.35 and later), in `~/.kube/kuberc`.
//!
//! Format and rules: kubernetes.io, "Kubectl user preferences (kuberc)", section "Credential Plugin Policy",
//! and `client-go/tools/clientcmd/api/types.go` (`PluginPolicy`). kubectl 1.35 calls the key of an
//! entry `name`; later ones call it `command` and read both. Links are not followed: the paths are
//! compared as they are written.

use super::{Finding, Level};
use crate::model::foreign::{tree::Document, write::scalar};

/// What a policy says to a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may run.
    Allowed,
    /// It may not; the reason.
    Refused(String),
    /// kubectl does nothing at all with such a file; the reason.
    Broken(String),
}

/// Returns what the policy says to this command. `program` finds programs as kubectl does.
pub fn verdict(
    kuberc: &Document,
    command: &str,
    program: &dyn Fn(&str) -> Option<String>,
) -> Verdict {
    let root = &kuberc.root;
    let policy = kuberc.text(root, "credentialPluginPolicy").unwrap_or_default();
    let list = kuberc.get(root, "credentialPluginAllowlist").filter(|node| !node.is_null());
    match (policy, list) {
        ("" | "AllowAll" | "DenyAll", Some(_)) => {
            Verdict::Broken(format!("there is an allowlist, and the policy is `{policy}`"))
        }
        ("" | "AllowAll", None) => Verdict::Allowed,
        ("DenyAll", None) => Verdict::Refused("the policy is `DenyAll`".to_owned()),
        ("Allowlist", None) => {
            Verdict::Broken("the policy is `Allowlist`, without a list".to_owned())
        }
        ("Allowlist", Some(_)) => {
            let entries = kuberc.items(root, "credentialPluginAllowlist").iter().map(|entry| {
                let name = kuberc.text(entry, "command").or_else(|| kuberc.text(entry, "name"));
                name.unwrap_or_default()
            });
            let entries: Vec<&str> = entries.collect();
            if entries.is_empty() || entries.contains(&"") {
                return Verdict::Broken("the allowlist, or an entry of it, is empty".to_owned());
            }
            let found = program(command);
            let allows = |entry: &&str| {
                let is_path = entry.contains('/');
                let named = if is_path { Some((*entry).to_owned()) } else { program(entry) };
                *entry == command || (named.is_some() && named == found)
            };
            if entries.iter().any(allows) {
                return Verdict::Allowed;
            }
            Verdict::Refused("it is not in the allowlist".to_owned())
        }
        (other, _) => Verdict::Broken(format!("there is no policy `{other}`")),
    }
}

/// Returns the lines that let a command run.
pub fn allowing(commands: &[&str]) -> String {
    let mut text = "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n".to_owned();
    for command in commands {
        text.push_str(&format!("- command: {}\n", scalar(command)));
    }
    text
}

/// Looks whether these commands may run, each with the users that need it.
pub fn lint(
    kuberc: &Document,
    commands: &[(&str, &str)],
    program: &dyn Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let node = kuberc.get(&kuberc.root, "credentialPluginPolicy");
    let line = node.map(|node| node.line);
    let mut findings: Vec<Finding> = Vec::new();
    for (command, user) in commands {
        let (code, what, why) = match verdict(kuberc, command, program) {
            Verdict::Allowed => continue,
            Verdict::Refused(why) => (
                "kuberc-refuses",
                format!("kubectl may not run `{command}`, which logs in user `{user}`"),
                why,
            ),
            Verdict::Broken(why) => {
                ("kuberc-broken", "kubectl refuses every command over its kuberc".to_owned(), why)
            }
        };
        let entry = allowing(&[command]);
        let entry = entry.trim_end().replace('\n', "\n       ");
        let fix =
            format!("let the kuberc say (kubectl 1.35: `name` for `command`):\n       {entry}");
        let finding = Finding { level: Level::Error, code, file: None, line, what, why, fix };
        // One user tells enough of a command.
        if findings.iter().all(|other| (other.code, &other.fix) != (code, &finding.fix)) {
            findings.push(finding);
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kubectl 1.37 answers; tried with each.
    #[test]
    fn policies() {
        let program = |name: &str| match name {
            "aws" | "/usr/bin/aws" => Some("/usr/bin/aws".to_owned()),
            _ => None,
        };
        let allow = "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:";
        let list = |entries: &str| format!("{allow} {entries}\n");
        for (text, command, expected) in [
            (String::new(), "aws", "allowed"),
            ("credentialPluginPolicy: AllowAll\n".into(), "aws", "allowed"),
            ("credentialPluginPolicy: DenyAll\n".into(), "aws", "refused"),
            ("credentialPluginPolicy: Allowlist\n".into(), "aws", "broken"),
            ("credentialPluginPolicy: Other\n".into(), "aws", "broken"),
            ("credentialPluginAllowlist: [{command: aws}]\n".into(), "aws", "broken"),
            (list("[]"), "aws", "broken"),
            (list("[{}]"), "aws", "broken"),
            (list("[{command: aws}]"), "aws", "allowed"),
            (list("[{name: aws}]"), "aws", "allowed"),
            (list("[{command: aws}]"), "/usr/bin/aws", "allowed"),
            (list("[{command: /usr/bin/aws}]"), "aws", "allowed"),
            (list("[{command: /opt/aws}]"), "aws", "refused"),
            (list("[{command: /opt/eksd}]"), "/opt/eksd", "allowed"),
            (list("[{command: other}]"), "/opt/eksd", "refused"),
        ] {
            let kuberc = Document::read(&text).unwrap();
            let found = match verdict(&kuberc, command, &program) {
                Verdict::Allowed => "allowed",
                Verdict::Refused(_) => "refused",
                Verdict::Broken(_) => "broken",
            };
            assert_eq!(found, expected, "{text}{command}");
            let findings = lint(&kuberc, &[(command, "a"), (command, "b")], &program);
            assert_eq!(findings.len(), usize::from(expected != "allowed"));
        }
        assert_eq!(
            allowing(&["/opt/eksd"]),
            "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: /opt/eksd\n"
        );
    }
}
