//! What is wrong with a person's kubeconfig files, as far as that can be known without asking a cluster.
//!
//! An error is what makes kubectl fail, or trust whom it should not; the rest are warnings.

mod certificate;
pub mod kuberc;

use std::{collections::HashMap, time::Duration};

use super::{
    adoption::Known,
    entries::{Files, Place, is_eks},
    plugin::{Maker, Said, Stanza},
    tree::{Document, Node, Unreadable},
};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// kubectl fails, or should not be trusted with this.
    Error,
    /// It works, and not as somebody may think.
    Warning,
}

impl Level {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// A stable name for it.
    pub code: &'static str,
    /// The file, from 0; absent: the kuberc.
    pub file: Option<usize>,
    /// From 1; absent where it is about the whole file.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// Why that is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// What is known of a file besides its text.
#[derive(Debug)]
pub struct Seen {
    /// Its name, as a word of a shell.
    pub word: String,
    /// Its permissions.
    pub mode: u32,
    /// Why it could not be read; its document is empty then.
    pub trouble: Option<Unreadable>,
    /// How long a lock has been beside it, and whether eksd made it.
    pub lock: Option<(Duration, bool)>,
}

/// A registered cluster, and what its own file says.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Which.
    pub known: Known,
    /// The API server's address.
    pub server: Option<String>,
    /// Its CA, in base64.
    pub certificate_authority: Option<String>,
}

/// What the files are compared with.
pub struct Around<'a> {
    /// Returns where a program is found that this file names, as kubectl looks for it.
    pub program: &'a dyn Fn(usize, &str) -> Option<String>,
    /// The profiles of the AWS files; absent: not known.
    pub profiles: Option<&'a [String]>,
    /// The registered clusters; absent: not known.
    pub registered: Option<&'a [Registered]>,
    /// Returns a name as a word of a shell: what is to be done may be pasted.
    pub word: &'a dyn Fn(&str) -> String,
    /// The profile of this shell.
    pub own_profile: Option<&'a str>,
}

/// A lock that is older than this is nobody's: an edit takes milliseconds.
const STALE_LOCK: Duration = Duration::from_secs(5);

/// Looks at all files of a shell, in their order.
pub fn lint(files: Files<'_>, seen: &[Seen], around: &Around<'_>) -> Vec<Finding> {
    let mut findings = Findings { all: Vec::new(), file: 0 };
    for (file, (document, seen)) in files.0.iter().zip(seen).enumerate() {
        findings.file = file;
        whole_file(document, seen, &mut findings);
        for list in ["clusters", "users", "contexts"] {
            names(files, document, list, &mut findings);
        }
        for item in document.items(&document.root, "clusters") {
            cluster(document, item, around, &mut findings);
        }
        for item in document.items(&document.root, "users") {
            user(document, item, around, &mut findings);
        }
        contexts(files, document, around, &mut findings);
    }
    // What matters first within a file is what stands first.
    findings.all.sort_by_key(|finding| (finding.file, finding.line, finding.level));
    findings.all
}

struct Findings {
    all: Vec<Finding>,
    file: usize,
}

impl Findings {
    fn add(
        &mut self,
        level: Level,
        code: &'static str,
        line: Option<usize>,
        [what, why, fix]: [String; 3],
    ) {
        self.all.push(Finding { level, code, file: Some(self.file), line, what, why, fix });
    }

    fn error(&mut self, code: &'static str, line: usize, texts: [String; 3]) {
        self.add(Level::Error, code, Some(line), texts);
    }

    fn warn(&mut self, code: &'static str, line: usize, texts: [String; 3]) {
        self.add(Level::Warning, code, Some(line), texts);
    }
}

/// Keys of a user whose values are secrets.
const SECRETS: [&str; 3] = ["token", "password", "client-key-data"];

fn whole_file(document: &Document, seen: &Seen, findings: &mut Findings) {
    if let Some(trouble) = &seen.trouble {
        let line = match trouble {
            Unreadable::NotYaml { line, .. } | Unreadable::SecondDocument { line } => Some(*line),
            Unreadable::NotAMap => None,
        };
        findings.add(
            Level::Error,
            "unreadable",
            line,
            [
                "the file is no kubeconfig".to_owned(),
                trouble.to_string(),
                format!("mend it, or take one of the backups: ls -t {}*", seen.word),
            ],
        );
    }
    if seen.mode & 0o077 != 0 {
        let has_secret = |item: &std::rc::Rc<Node>| {
            let user = document.get(item, "user");
            user.is_some_and(|user| SECRETS.iter().any(|key| document.text(user, key).is_some()))
        };
        let (level, why) = if document.items(&document.root, "users").iter().any(has_secret) {
            (Level::Error, "it holds secrets that log in to a cluster")
        } else {
            (
                Level::Warning,
                "helm and others warn about it; who can write it can run programs as you",
            )
        };
        findings.add(
            level,
            "open-file",
            None,
            [
                format!("other users may open the file (mode {:03o})", seen.mode),
                why.to_owned(),
                format!("chmod go-rwx {}", seen.word),
            ],
        );
    }
    if let Some((age, is_own)) = seen.lock.filter(|(age, _)| STALE_LOCK < *age) {
        let seconds = age.as_secs();
        let fix = if is_own {
            "`eksd cluster adopt` removes it, since eksd made it".to_owned()
        } else {
            format!("if no kubectl, helm or eksctl is running: rm -f {}.lock", seen.word)
        };
        findings.add(
            Level::Error,
            "stale-lock",
            None,
            [
                format!("a lock has been beside the file for {seconds} s"),
                "`kubectl config` fails while it is there; who made it died".to_owned(),
                fix,
            ],
        );
    }
}

fn names(files: Files<'_>, document: &Document, list: &'static str, findings: &mut Findings) {
    let mut lines: HashMap<&str, usize> = HashMap::new();
    let kind = list.trim_end_matches('s');
    for item in document.items(&document.root, list) {
        let Some(name) = document.text(item, "name") else {
            let texts = [
                format!("a {kind} has no name"),
                "nothing can refer to it".to_owned(),
                "name it, or remove it".to_owned(),
            ];
            findings.error("no-name", item.line, texts);
            continue;
        };
        if let Some(first) = lines.insert(name, item.line) {
            // client-go `clientcmd/api/v1/conversion.go`: "duplicate name".
            let texts = [
                format!("there are two {list} `{name}`, the other one at line {first}"),
                "kubectl refuses the whole file".to_owned(),
                "rename or remove one of them".to_owned(),
            ];
            findings.error("duplicate-name", item.line, texts);
        } else if files.find(list, name).is_some_and(|(file, _, _)| file < findings.file) {
            let texts = [
                format!("an earlier file of KUBECONFIG has a {kind} `{name}` too"),
                "the first one wins: this one is never used".to_owned(),
                "rename or remove one of them".to_owned(),
            ];
            findings.warn("shadowed-name", item.line, texts);
        }
    }
}

fn cluster(document: &Document, item: &Node, around: &Around<'_>, findings: &mut Findings) {
    let Some(cluster) = document.get(item, "cluster") else { return };
    let name = document.text(item, "name").unwrap_or_default();
    if document.text(cluster, "insecure-skip-tls-verify") == Some("true") {
        let texts = [
            format!("cluster `{name}` is not checked to be who it says"),
            "whoever is between can take the token and use it".to_owned(),
            "remove `insecure-skip-tls-verify`, and set `certificate-authority-data`".to_owned(),
        ];
        findings.error("insecure", cluster.line, texts);
    }
    let authority = document.get(cluster, "certificate-authority-data");
    if let Some(node) = authority
        && let Some(trouble) = certificate::trouble(document.as_text(node).unwrap_or_default())
    {
        let texts = [
            format!("the CA of cluster `{name}` is no certificate"),
            trouble.to_owned(),
            "take it from AWS: `aws eks describe-cluster`, or `eksd cluster add`".to_owned(),
        ];
        findings.error("bad-ca", node.line, texts);
        return;
    }
    // Who is meant can be told by the names of the AWS CLI and eksctl, and by the address.
    let Some(place) = Place::of(name) else { return };
    let mut registered = around.registered.into_iter().flatten();
    let same = registered.find(|it| it.known.name == place.name && it.known.region == place.region);
    if let Some(same) = same {
        differs(document, cluster, same, findings);
    }
}

/// Compares an entry with what AWS said of the registered cluster.
fn differs(document: &Document, cluster: &Node, same: &Registered, findings: &mut Findings) {
    let alias = &same.known.alias;
    let fix = || format!("`eksd cluster sync {alias}`; then use its own file: `eksd use {alias}`");
    if let (Some(node), Some(server)) = (document.get(cluster, "server"), &same.server)
        && document.as_text(node).map(|it| it.trim_end_matches('/'))
            != Some(server.trim_end_matches('/'))
    {
        let texts = [
            format!("the server is not that of `{alias}`"),
            format!("AWS says {server}: the cluster was made anew, or this is another one"),
            fix(),
        ];
        findings.error("other-server", node.line, texts);
    }
    if let (Some(node), Some(authority)) =
        (document.get(cluster, "certificate-authority-data"), &same.certificate_authority)
        && !certificate::are_same(document.as_text(node).unwrap_or_default(), authority)
    {
        let texts = [
            format!("the CA is not that of `{alias}`"),
            "AWS says another one: it was changed, or the cluster was made anew".to_owned(),
            fix(),
        ];
        findings.error("other-ca", node.line, texts);
    }
}

const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";
const V1ALPHA1: &str = "client.authentication.k8s.io/v1alpha1";

fn user(document: &Document, item: &Node, around: &Around<'_>, findings: &mut Findings) {
    let Some(stanza) = Stanza::of_user(document, item) else { return };
    let name = document.text(item, "name").unwrap_or_default();
    version(&stanza, name, findings);
    if (around.program)(findings.file, stanza.command).is_none() {
        let is_bare = !stanza.command.contains('/');
        let (what, fix) = match (stanza.program(), is_bare) {
            ("eksd", _) => ("", "install eksd again, then `eksd cluster adopt --rewrite`"),
            (_, true) => {
                (" on PATH", "install it, or let eksd sign: `eksd cluster adopt --rewrite`")
            }
            (_, false) => ("", "mend the path, or let eksd sign: `eksd cluster adopt --rewrite`"),
        };
        let texts = [
            format!("the plugin of user `{name}` is not there{what}: `{}`", stanza.command),
            "kubectl cannot log in without it".to_owned(),
            fix.to_owned(),
        ];
        findings.error("no-plugin", stanza.command_line, texts);
    }
    let other = document.get(item, "user").and_then(|user| {
        ["token", "tokenFile"].into_iter().find_map(|key| Some((key, document.get(user, key)?)))
    });
    if let Some((key, node)) = other.filter(|(_, node)| !node.is_null()) {
        let texts = [
            format!("user `{name}` has a `{key}` beside its plugin"),
            "the plugin is never asked".to_owned(),
            format!("remove the `{key}`"),
        ];
        findings.error("token-beside-plugin", node.line, texts);
    }
    match stanza.says() {
        Said::Registered(alias) => {
            let is_known = |all: &[Registered]| all.iter().any(|it| it.known.alias == alias);
            if around.registered.is_some_and(|all| !is_known(all)) {
                let texts = [
                    format!("user `{name}` asks for `{alias}`, which is not registered"),
                    "eksd has no token for it".to_owned(),
                    format!(
                        "eksd cluster add NAME --region R --profile P --alias {}",
                        (around.word)(&alias)
                    ),
                ];
                findings.error("unknown-alias", stanza.line, texts);
            }
        }
        Said::Cluster(maker, named) => {
            let profile = named.profile.as_deref();
            identity(&stanza, (name, maker, profile), around, findings);
        }
        Said::Other => (),
    }
}

fn version(stanza: &Stanza<'_>, name: &str, findings: &mut Findings) {
    let adopt = "`eksd cluster adopt --rewrite`";
    let (what, why, fix) = match (stanza.api_version, stanza.interactive_mode) {
        (Some(V1ALPHA1), _) => (
            format!("user `{name}` asks for the exec API v1alpha1"),
            "kubectl 1.24 and later refuse it: \"exec plugin: invalid apiVersion\"",
            format!("set `apiVersion: {V1BETA1}`, or {adopt}"),
        ),
        (Some(V1), None) => (
            format!("user `{name}` has no `interactiveMode`"),
            "the exec API v1 needs one, and kubectl refuses the file without",
            "add `interactiveMode: IfAvailable`".to_owned(),
        ),
        (Some(V1 | V1BETA1), _) => return,
        (Some(other), _) => (
            format!("user `{name}` asks for the exec API `{other}`"),
            "kubectl knows no such version",
            format!("set `apiVersion: {V1BETA1}`, or {adopt}"),
        ),
        (None, _) => (
            format!("the plugin of user `{name}` has no `apiVersion`"),
            "kubectl refuses the file without",
            format!("set `apiVersion: {V1BETA1}`, or {adopt}"),
        ),
    };
    let code = if stanza.api_version == Some(V1ALPHA1) { "v1alpha1" } else { "exec-version" };
    findings.error(code, stanza.line, [what, why.to_owned(), fix]);
}

fn identity(
    stanza: &Stanza<'_>,
    (name, maker, profile): (&str, Maker, Option<&str>),
    around: &Around<'_>,
    findings: &mut Findings,
) {
    let Some(profile) = profile else { return };
    let line = stanza.env.iter().find(|(variable, _, _)| *variable == "AWS_PROFILE");
    let line = line.map_or(stanza.line, |(_, _, line)| *line);
    let is_known = |all: &[String]| all.iter().any(|other| other == profile);
    if around.profiles.is_some_and(|all| !is_known(all)) {
        let texts = [
            format!("user `{name}` signs as profile `{profile}`, which there is not"),
            format!("`{}` fails without it", maker.name()),
            format!("add `[profile {profile}]` to the AWS config, or name another one"),
        ];
        findings.error("unknown-profile", line, texts);
    } else if around.own_profile.is_some_and(|own| own != profile) {
        let texts = [
            format!("user `{name}` signs as profile `{profile}`, whatever AWS_PROFILE says"),
            "the profile in the kubeconfig goes before the one of this shell".to_owned(),
            "nothing, if that is meant; eksd's entries name a cluster, which has its profile"
                .to_owned(),
        ];
        findings.warn("profile-baked-in", line, texts);
    }
}

fn contexts(files: Files<'_>, document: &Document, around: &Around<'_>, findings: &mut Findings) {
    for item in document.items(&document.root, "contexts") {
        let name = document.text(item, "name").unwrap_or_default();
        let Some(context) = document.get(item, "context") else { continue };
        for (key, list) in [("cluster", "clusters"), ("user", "users")] {
            let Some(node) = document.get(context, key) else { continue };
            let Some(named) = document.as_text(node) else { continue };
            if files.find(list, named).is_none() {
                let texts = [
                    format!("context `{name}` names a {key} `{named}`, which there is not"),
                    "kubectl asks localhost:8080, or nobody, in its place".to_owned(),
                    format!("kubectl config delete-context {}", (around.word)(name)),
                ];
                findings.error("dangling", node.line, texts);
            }
        }
        region(files, document, context, findings);
        registered_entry(files, document, context, around, findings);
    }
    let current = document.get(&document.root, "current-context");
    if let Some((node, name)) = current.and_then(|node| Some((node, document.as_text(node)?)))
        && files.find("contexts", name).is_none()
        && !name.is_empty()
    {
        let texts = [
            format!("the current context `{name}` is not there"),
            "kubectl without `--context` fails".to_owned(),
            "kubectl config use-context CONTEXT".to_owned(),
        ];
        findings.warn("no-current-context", node.line, texts);
    }
}

fn region(files: Files<'_>, document: &Document, context: &Node, findings: &mut Findings) {
    let find = |key: &str, list: &str| files.find(list, document.text(context, key)?);
    let (Some((user_file, _, user)), Some((cluster_file, _, cluster))) =
        (find("user", "users"), find("cluster", "clusters"))
    else {
        return;
    };
    let Some(stanza) = Stanza::of_user(files.0[user_file], user) else { return };
    let Said::Cluster(_, named) = stanza.says() else { return };
    let Some(asked) = named.region else { return };
    let document = files.0[cluster_file];
    let name = document.text(cluster, "name").unwrap_or_default();
    let server = document.get(cluster, "cluster").and_then(|it| document.text(it, "server"));
    let by_name = Place::of(name).map(|place| place.region);
    let by_server = server.and_then(region_of_server);
    let Some((region, where_from)) = by_name
        .map(|region| (region, "name"))
        .into_iter()
        .chain(by_server.map(|region| (region.to_owned(), "address")))
        .find(|(region, _)| *region != asked)
    else {
        return;
    };
    if user_file == findings.file {
        let texts = [
            format!("the plugin is told {asked}, and the cluster's {where_from} says {region}"),
            "in another partition the token is refused; in this one a cluster of that name in \
             the other region may be meant"
                .to_owned(),
            format!("set `--region {region}`"),
        ];
        findings.warn("region", stanza.line, texts);
    }
}

/// Returns the region in the address of an EKS cluster. Good enough to be suspicious, never to act on.
fn region_of_server(server: &str) -> Option<&str> {
    let host = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().filter(|_| is_eks(server))?;
    let before = [".eks.amazonaws.", ".api.aws", ".api.amazonwebservices."]
        .into_iter()
        .find_map(|end| Some(host.split_once(end)?.0))?;
    before.rsplit('.').next()
}

/// An entry of eksd's, in the person's file: its cluster is compared by alias.
fn registered_entry(
    files: Files<'_>,
    document: &Document,
    context: &Node,
    around: &Around<'_>,
    findings: &mut Findings,
) {
    let find = |key: &str, list: &str| files.find(list, document.text(context, key)?);
    let (Some((user_file, _, user)), Some((cluster_file, _, cluster))) =
        (find("user", "users"), find("cluster", "clusters"))
    else {
        return;
    };
    let stanza = Stanza::of_user(files.0[user_file], user);
    let Some(Said::Registered(alias)) = stanza.map(|stanza| stanza.says()) else { return };
    let mut registered = around.registered.into_iter().flatten();
    let Some(same) = registered.find(|it| it.known.alias == alias) else { return };
    let document = files.0[cluster_file];
    let is_told_by_name = document.text(cluster, "name").and_then(Place::of).is_some();
    let Some(inner) = document.get(cluster, "cluster").filter(|_| !is_told_by_name) else { return };
    let was = std::mem::replace(&mut findings.file, cluster_file);
    let mut once = Findings { all: Vec::new(), file: cluster_file };
    differs(document, inner, same, &mut once);
    findings.file = was;
    for finding in once.all {
        if !findings.all.contains(&finding) {
            findings.all.push(finding);
        }
    }
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
