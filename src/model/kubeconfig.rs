//! A cluster's kubeconfig file: what eksd owns in it, and what the person does.
//!
//! eksd owns the cluster's server and CA, the user's exec stanza and the names that tie them
//! together; `proxy-url` too, where the registration names one. The person owns everything else: the
//! context's namespace, further contexts, another `proxy-url`, `tls-server-name` (it picks the name
//! that is checked, and the CA stays the cluster's own), preferences, extensions. Owned parts are put
//! back when edited, the rest survives. Comments survive as long as nothing has to be put right.
//!
//! Format: Kubernetes `client-go/tools/clientcmd/api/v1/types.go` and
//! `client-go/pkg/apis/clientauthentication`.

use serde_yaml_ng::{Mapping, Value};

use super::{cluster::WHOLE, foreign::merge::OTHER_LOGINS};

/// Aliases that a file may have. Nested, they make a text grow in memory by powers ("billion laughs",
/// CVE-2019-11253); no tool writes any into a kubeconfig, and so few cannot do harm.
const MOST_ALIASES: usize = 8;

/// Brackets that may be open at once. The parser's work grows with their square.
const MOST_OPEN: usize = 100;

/// The lists whose entries have names.
const LISTS: [(&str, &str); 3] =
    [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

/// What the file must say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the cluster, user and context.
    pub alias: String,
    /// The API server's address.
    pub server: String,
    /// Its CA, base64 as `DescribeCluster` gives it.
    pub certificate_authority: String,
    /// Absolute path of `eksd`: programs with a window have no useful PATH.
    pub command: String,
    /// The proxy that the registration names; where it names none, the person may.
    pub proxy_url: Option<String>,
    /// The one that it named before: that is not the person's.
    pub former_proxy_url: Option<String>,
}

/// A part of eksd's that was put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Put {
    /// All of it: there was no file, or no kubeconfig in it.
    Whole,
    /// The cluster's server.
    Server,
    /// The cluster's CA.
    Authority,
    /// Settings that go round the CA.
    Bypass,
    /// The cluster's proxy.
    Proxy,
    /// The exec stanza: only that eksd is somewhere else now.
    EksdMoved,
    /// The exec stanza.
    Plugin,
    /// Other ways to log in.
    OtherLogin,
    /// The context's cluster and user.
    Context,
    /// The current context.
    CurrentContext,
    /// Further entries of the same name: client-go refuses the whole file for them.
    Duplicate,
    /// `apiVersion` and `kind`.
    Kind,
}

impl Put {
    /// Returns it in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Whole => WHOLE,
            Self::Server => "the server address",
            Self::Authority => "the CA",
            Self::Bypass => "the check of the CA",
            Self::Proxy => "the proxy",
            Self::EksdMoved => "the path of eksd",
            Self::Plugin => "the credential plugin",
            Self::OtherLogin => "the only way to log in",
            Self::Context => "the context",
            Self::CurrentContext => "the current context",
            Self::Duplicate => "names that stood there twice",
            Self::Kind => "the kind of the file",
        }
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The new text; `None` where the file says what it must already.
    pub text: Option<String>,
    /// What was put right, each once.
    pub puts: Vec<Put>,
    /// Whether the old text was not a kubeconfig, so that it must be kept aside.
    pub was_nonsense: bool,
    /// Whether something that eksd writes is missing altogether: a text that is there may be half of one.
    pub is_suspect: bool,
}

/// Returns what to do to a file that now holds `existing` (`None`: there is none).
pub fn edit(existing: Option<&str>, wanted: &Wanted) -> Edit {
    let existing = existing.filter(|text| !text.trim().is_empty());
    let (mut tree, was_nonsense) = match existing.map(parse) {
        None => (Mapping::new(), false),
        Some(Some(tree)) => (tree, false),
        Some(None) => (Mapping::new(), true),
    };
    let before = tree.clone();
    let is_new = existing.is_none() || was_nonsense;
    let is_suspect = !has_parts(&tree, &wanted.alias);
    let mut puts = Vec::new();
    let mut note = |put: Put| {
        if !puts.contains(&put) {
            puts.push(put);
        }
    };
    for (key, value) in [("apiVersion", "v1"), ("kind", "Config")] {
        if tree.get(key).and_then(Value::as_str) != Some(value) {
            tree.insert(key.into(), value.into());
            note(Put::Kind);
        }
    }
    for (list, _) in LISTS {
        if drop_doubles(&mut tree, list, &wanted.alias) {
            note(Put::Duplicate);
        }
    }
    own_cluster(&mut tree, wanted, &mut note);
    own_user(&mut tree, wanted, &mut note);
    own_context(&mut tree, wanted, &mut note);

    if is_new {
        puts = vec![Put::Whole];
    } else if tree == before {
        return Edit { text: None, puts: Vec::new(), was_nonsense: false, is_suspect };
    }
    Edit { text: Some(text_of(tree)), puts, was_nonsense, is_suspect }
}

/// A name that a further entry of the person's has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameTaken;

/// Returns the file under another alias, with everything that is the person's: what is called `old`
/// is called `new`. `None`: it is no kubeconfig.
///
/// # Errors
/// The file has something called `new`.
pub fn renamed(text: &str, old: &str, new: &str) -> Result<Option<String>, NameTaken> {
    let Some(mut tree) = parse(text) else { return Ok(None) };
    let rename = |value: &mut Value| {
        if value.as_str() == Some(old) {
            *value = new.into();
        }
    };
    for (list, inner) in LISTS {
        let items = tree.get_mut(list).and_then(Value::as_sequence_mut).into_iter().flatten();
        for item in items {
            if item.get("name").and_then(Value::as_str) == Some(new) {
                return Err(NameTaken);
            }
            let Value::Mapping(item) = item else { continue };
            item.get_mut("name").into_iter().for_each(rename);
            if let Some(Value::Mapping(inner)) = item.get_mut(inner)
                && list == "contexts"
            {
                for key in ["cluster", "user"] {
                    inner.get_mut(key).into_iter().for_each(rename);
                }
            }
        }
    }
    tree.get_mut("current-context").into_iter().for_each(rename);
    Ok(Some(text_of(tree)))
}

fn text_of(tree: Mapping) -> String {
    // A tree of maps, lists and texts always has a YAML form.
    serde_yaml_ng::to_string(&Value::Mapping(tree)).unwrap_or_default()
}

fn parse(text: &str) -> Option<Mapping> {
    if MOST_ALIASES < aliases(text) || MOST_OPEN < open_brackets(text) {
        return None;
    }
    match serde_yaml_ng::from_str(text).ok()? {
        Value::Mapping(tree) => Some(tree),
        _ => None,
    }
}

/// Returns whether cluster, user, context and the current context are there, whatever they say.
fn has_parts(tree: &Mapping, alias: &str) -> bool {
    let has = |list: &str| {
        let items = tree.get(list).and_then(Value::as_sequence);
        items.is_some_and(|items| items.iter().any(|item| is_named(item, alias)))
    };
    LISTS.into_iter().all(|(list, _)| has(list)) && tree.contains_key("current-context")
}

/// Counts what may be a YAML alias (YAML 1.2.2, 7.1): `*` and a letter where a node may begin. Counts
/// too many where a text holds some.
fn aliases(text: &str) -> usize {
    let bytes = text.as_bytes();
    let may_begin = |at: usize| {
        let before = at.checked_sub(1).map_or(b'\n', |at| bytes[at]);
        let after = bytes.get(at + 1).copied().unwrap_or(b' ');
        (before.is_ascii_whitespace() || b"[{,:-?".contains(&before))
            && !after.is_ascii_whitespace()
    };
    (0..bytes.len()).filter(|at| bytes[*at] == b'*' && may_begin(*at)).count()
}

/// Returns how many brackets are open at once at most. Those within texts count, too.
fn open_brackets(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn is_named(item: &Value, name: &str) -> bool {
    // One with a tag is no map, though it can be asked like one.
    matches!(item, Value::Mapping(_)) && item.get("name").and_then(Value::as_str) == Some(name)
}

/// Drops all entries of a name but the first: `client-go/tools/clientcmd/api/v1/conversion.go` takes
/// no name twice.
fn drop_doubles(tree: &mut Mapping, list: &str, name: &str) -> bool {
    let Some(items) = tree.get_mut(list).and_then(Value::as_sequence_mut) else { return false };
    let before = items.len();
    let mut is_first = true;
    items.retain(|item| !is_named(item, name) || std::mem::take(&mut is_first));
    items.len() != before
}

/// Returns the map under `inner` of the entry named `name` in the list `list`, made where missing.
fn entry<'a>(tree: &'a mut Mapping, list: &str, name: &str, inner: &str) -> &'a mut Mapping {
    let items = force(tree, list, || Value::Sequence(Vec::new()), Value::as_sequence_mut);
    let index = items.iter().position(|item| is_named(item, name)).unwrap_or_else(|| {
        let mut item = Mapping::new();
        item.insert("name".into(), name.into());
        items.push(Value::Mapping(item));
        items.len() - 1
    });
    let Value::Mapping(item) = &mut items[index] else { unreachable!("only maps are found") };
    force(item, inner, || Value::Mapping(Mapping::new()), Value::as_mapping_mut)
}

/// Returns the value of `key` as the wanted kind, replaced by `make()` where it is of another.
fn force<'a, T: ?Sized>(
    map: &'a mut Mapping,
    key: &str,
    make: impl Fn() -> Value,
    read: impl for<'v> Fn(&'v mut Value) -> Option<&'v mut T>,
) -> &'a mut T {
    let key = Value::from(key);
    let slot = map.entry(key).or_insert_with(&make);
    if read(slot).is_none() {
        *slot = make();
    }
    read(slot).expect("`make` makes the kind that `read` reads")
}

fn own_cluster(tree: &mut Mapping, wanted: &Wanted, note: &mut impl FnMut(Put)) {
    let cluster = entry(tree, "clusters", &wanted.alias, "cluster");
    for (key, value, put) in [
        ("server", Some(&wanted.server), Put::Server),
        ("certificate-authority-data", Some(&wanted.certificate_authority), Put::Authority),
        ("proxy-url", wanted.proxy_url.as_ref(), Put::Proxy),
    ] {
        if let Some(value) = value
            && cluster.get(key).and_then(Value::as_str) != Some(value)
        {
            cluster.insert(key.into(), value.clone().into());
            note(put);
        }
    }
    let proxy = cluster.get("proxy-url").and_then(Value::as_str);
    if wanted.proxy_url.is_none() && proxy.is_some() && proxy == wanted.former_proxy_url.as_deref()
    {
        cluster.remove("proxy-url");
        note(Put::Proxy);
    }
    for key in ["certificate-authority", "insecure-skip-tls-verify"] {
        if cluster.remove(key).is_some() {
            note(Put::Bypass);
        }
    }
}

fn own_user(tree: &mut Mapping, wanted: &Wanted, note: &mut impl FnMut(Put)) {
    let user = entry(tree, "users", &wanted.alias, "user");
    let exec = exec_stanza(wanted, &wanted.command);
    let there = user.get("exec").map(said);
    if there.as_ref() != Some(&exec) {
        let command = there.as_ref().and_then(|exec| exec.get("command")).and_then(Value::as_str);
        let is_moved = command.is_some_and(|command| {
            command.rsplit('/').next() == wanted.command.rsplit('/').next()
                && there.as_ref() == Some(&exec_stanza(wanted, command))
        });
        user.insert("exec".into(), exec);
        note(if is_moved { Put::EksdMoved } else { Put::Plugin });
    }
    for key in OTHER_LOGINS {
        if user.remove(key).is_some() {
            note(Put::OtherLogin);
        }
    }
}

/// Returns what a map says, without what is not set: kubectl writes `env: null`.
fn said(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Mapping(map) = &mut value {
        map.retain(|_, value| {
            !value.is_null() && value.as_sequence().is_none_or(|list| !list.is_empty())
        });
    }
    value
}

fn exec_stanza(wanted: &Wanted, command: &str) -> Value {
    let mut exec = Mapping::new();
    exec.insert("apiVersion".into(), "client.authentication.k8s.io/v1".into());
    exec.insert("command".into(), command.into());
    let args = ["token", "--cluster", &wanted.alias].map(Value::from);
    exec.insert("args".into(), Value::Sequence(args.to_vec()));
    exec.insert("interactiveMode".into(), "Never".into());
    exec.insert("provideClusterInfo".into(), false.into());
    let hint = "eksd makes the tokens for this cluster; install it, or run `eksd agent start` to see what is wrong";
    exec.insert("installHint".into(), hint.into());
    Value::Mapping(exec)
}

fn own_context(tree: &mut Mapping, wanted: &Wanted, note: &mut impl FnMut(Put)) {
    let context = entry(tree, "contexts", &wanted.alias, "context");
    for key in ["cluster", "user"] {
        if context.get(key).and_then(Value::as_str) != Some(&wanted.alias) {
            context.insert(key.into(), wanted.alias.clone().into());
            note(Put::Context);
        }
    }
    let names: Vec<String> = tree
        .get("contexts")
        .and_then(Value::as_sequence)
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("name")?.as_str().map(str::to_owned))
        .collect();
    let current = tree.get("current-context").and_then(Value::as_str);
    if !current.is_some_and(|current| names.iter().any(|name| name == current)) {
        tree.insert("current-context".into(), wanted.alias.clone().into());
        note(Put::CurrentContext);
    }
}

#[cfg(test)]
mod tests;
