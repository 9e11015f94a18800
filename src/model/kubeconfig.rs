//! A cluster's kubeconfig file: what eksd owns in it, and what the person does.
//!
//! eksd owns the cluster's server and CA, the user's exec stanza and the names that tie them
//! together. The person owns everything else: the context's namespace, further contexts,
//! `proxy-url`, preferences, extensions. Owned parts are put back when edited, the rest survives.
//!
//! Format: Kubernetes `client-go/tools/clientcmd/api/v1/types.go` and
//! `client-go/pkg/apis/clientauthentication`.

use serde_yaml_ng::{Mapping, Value};

/// What the file must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the cluster, user and context.
    pub alias: String,
    /// The API server's address.
    pub server: String,
    /// Its CA, base64 as `DescribeCluster` gives it.
    pub certificate_authority: String,
    /// Absolute path of `eksd`: programs with a window have no useful PATH.
    pub command: String,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The new text; `None` where the file says what it must already.
    pub text: Option<String>,
    /// What was changed, in words, for people.
    pub changes: Vec<String>,
    /// Whether the old text was not a kubeconfig, so that it must be kept aside.
    pub was_nonsense: bool,
    /// Whether something that eksd wrote is missing altogether: the text may be half of one.
    pub is_suspect: bool,
}

/// Returns what to do to a file that now holds `existing` (`None`: there is none).
pub fn edit(existing: Option<&str>, wanted: &Wanted) -> Edit {
    let (mut tree, was_nonsense) = match existing.map(parse) {
        None => (Mapping::new(), false),
        Some(Some(tree)) => (tree, false),
        Some(None) => (Mapping::new(), true),
    };
    let before = tree.clone();
    let mut changes = Vec::new();
    if existing.is_none() {
        changes.push("the file was written".to_owned());
    } else if was_nonsense {
        changes.push("the file held no kubeconfig and was written anew".to_owned());
    }
    let is_new = existing.is_none() || was_nonsense;
    let is_suspect = existing.is_some() && !has_parts(&tree, &wanted.alias);
    let mut note = |what: &str| {
        if !is_new {
            changes.push(what.to_owned());
        }
    };
    set_plain(&mut tree, "apiVersion", "v1");
    set_plain(&mut tree, "kind", "Config");
    own_cluster(&mut tree, wanted, &mut note);
    own_user(&mut tree, wanted, &mut note);
    own_context(&mut tree, wanted, &mut note);

    if tree == before && !is_new {
        return Edit { text: None, changes: Vec::new(), was_nonsense: false, is_suspect };
    }
    if changes.is_empty() {
        changes.push("the file was completed".to_owned());
    }
    // A tree of maps, lists and texts always has a YAML form.
    let text = serde_yaml_ng::to_string(&Value::Mapping(tree)).unwrap_or_default();
    Edit { text: Some(text), changes, was_nonsense, is_suspect }
}

fn parse(text: &str) -> Option<Mapping> {
    match serde_yaml_ng::from_str(text).ok()? {
        Value::Mapping(tree) => Some(tree),
        _ => None,
    }
}

/// Returns whether cluster, user, context and the current context are there, whatever they say.
fn has_parts(tree: &Mapping, alias: &str) -> bool {
    let has = |list: &str| {
        let items = tree.get(list).and_then(Value::as_sequence);
        items.is_some_and(|items| {
            items.iter().any(|item| item.get("name").and_then(Value::as_str) == Some(alias))
        })
    };
    ["clusters", "users", "contexts"].into_iter().all(has) && tree.contains_key("current-context")
}

fn set_plain(map: &mut Mapping, key: &str, value: &str) {
    if map.get(key).and_then(Value::as_str) != Some(value) {
        map.insert(key.into(), value.into());
    }
}

/// Returns the map under `inner` of the entry named `name` in the list `list`, made where missing.
/// Only the first entry of a name counts, as for kubectl.
fn entry<'a>(tree: &'a mut Mapping, list: &str, name: &str, inner: &str) -> &'a mut Mapping {
    let items = force(tree, list, || Value::Sequence(Vec::new()), Value::as_sequence_mut);
    let is_named = |item: &Value| item.get("name").and_then(Value::as_str) == Some(name);
    let index = items.iter().position(is_named).unwrap_or_else(|| {
        let mut item = Mapping::new();
        item.insert("name".into(), name.into());
        items.push(Value::Mapping(item));
        items.len() - 1
    });
    let Value::Mapping(item) = &mut items[index] else { unreachable!("only maps have a name") };
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

fn own_cluster(tree: &mut Mapping, wanted: &Wanted, note: &mut impl FnMut(&str)) {
    let cluster = entry(tree, "clusters", &wanted.alias, "cluster");
    for (key, value, what) in [
        ("server", &wanted.server, "the server address was put right"),
        ("certificate-authority-data", &wanted.certificate_authority, "the CA was put right"),
    ] {
        if cluster.get(key).and_then(Value::as_str) != Some(value) {
            cluster.insert(key.into(), value.clone().into());
            note(what);
        }
    }
    for key in ["certificate-authority", "insecure-skip-tls-verify"] {
        if cluster.remove(key).is_some() {
            note("a setting that goes round the CA was removed");
        }
    }
}

fn own_user(tree: &mut Mapping, wanted: &Wanted, note: &mut impl FnMut(&str)) {
    let user = entry(tree, "users", &wanted.alias, "user");
    let exec = exec_stanza(wanted);
    if user.get("exec") != Some(&exec) {
        user.insert("exec".into(), exec);
        note("the credential plugin was put right");
    }
    for key in ["token", "tokenFile", "client-certificate-data", "client-key-data", "auth-provider"]
    {
        if user.remove(key).is_some() {
            note("another way to log in was removed");
        }
    }
}

fn exec_stanza(wanted: &Wanted) -> Value {
    let mut exec = Mapping::new();
    exec.insert("apiVersion".into(), "client.authentication.k8s.io/v1".into());
    exec.insert("command".into(), wanted.command.clone().into());
    let args = ["token", "--cluster", &wanted.alias].map(Value::from);
    exec.insert("args".into(), Value::Sequence(args.to_vec()));
    exec.insert("interactiveMode".into(), "Never".into());
    exec.insert("provideClusterInfo".into(), false.into());
    let hint = "eksd makes the tokens for this cluster; install it, or run `eksd agent start` to see what is wrong";
    exec.insert("installHint".into(), hint.into());
    Value::Mapping(exec)
}

fn own_context(tree: &mut Mapping, wanted: &Wanted, note: &mut impl FnMut(&str)) {
    let context = entry(tree, "contexts", &wanted.alias, "context");
    for key in ["cluster", "user"] {
        if context.get(key).and_then(Value::as_str) != Some(&wanted.alias) {
            context.insert(key.into(), wanted.alias.clone().into());
            note("the context was put right");
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
        note("the current context was put right");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            alias: "demo".into(),
            server: "https://demo.example".into(),
            certificate_authority: "Q0E=".into(),
            command: "/usr/bin/eksd".into(),
        }
    }

    fn fresh() -> String {
        edit(None, &wanted()).text.unwrap()
    }

    #[test]
    fn a_new_file() {
        assert_eq!(
            fresh(),
            "\
apiVersion: v1
kind: Config
clusters:
- name: demo
  cluster:
    server: https://demo.example
    certificate-authority-data: Q0E=
users:
- name: demo
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: /usr/bin/eksd
      args:
      - token
      - --cluster
      - demo
      interactiveMode: Never
      provideClusterInfo: false
      installHint: eksd makes the tokens for this cluster; install it, or run `eksd agent start` to see what is wrong
contexts:
- name: demo
  context:
    cluster: demo
    user: demo
current-context: demo
"
        );
    }

    #[test]
    fn editing_twice_changes_nothing() {
        assert_eq!(edit(Some(&fresh()), &wanted()).text, None);
    }

    #[test]
    fn what_belongs_to_the_person_survives() {
        let mine = fresh()
            .replace("    user: demo\n", "    user: demo\n    namespace: team-a\n")
            .replace("    server:", "    proxy-url: http://proxy:3128\n    server:")
            + "preferences:\n  colors: true\n";
        assert_eq!(edit(Some(&mine), &wanted()).text, None);
        let moved = Wanted { server: "https://new.example".into(), ..wanted() };
        let edit = edit(Some(&mine), &moved);
        assert_eq!(edit.changes, ["the server address was put right"]);
        let text = edit.text.unwrap();
        for kept in ["namespace: team-a", "proxy-url: http://proxy:3128", "colors: true"] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
        assert!(text.contains("https://new.example") && !text.contains("https://demo.example"));
    }

    #[test]
    fn what_belongs_to_eksd_is_put_back() {
        let hijacked = fresh().replace("/usr/bin/eksd", "/tmp/evil");
        let edit_made = edit(Some(&hijacked), &wanted());
        assert_eq!(edit_made.changes, ["the credential plugin was put right"]);
        assert_eq!(edit_made.text.as_deref(), Some(fresh().as_str()));

        let open =
            fresh().replace("    server:", "    insecure-skip-tls-verify: true\n    server:");
        let edit_made = edit(Some(&open), &wanted());
        assert_eq!(edit_made.changes, ["a setting that goes round the CA was removed"]);

        let lost = fresh().replace("current-context: demo", "current-context: gone");
        assert_eq!(edit(Some(&lost), &wanted()).text.as_deref(), Some(fresh().as_str()));
    }

    #[test]
    fn a_context_of_the_person_may_be_the_current_one() {
        let mine = fresh().replace(
            "current-context: demo",
            "- name: mine\n  context:\n    cluster: demo\n    user: demo\ncurrent-context: mine",
        );
        assert_eq!(edit(Some(&mine), &wanted()).text, None);
    }

    #[test]
    fn nonsense_is_replaced_and_said_so() {
        for nonsense in ["", "- a\n- b\n", "{{{{", "clusters: 7\nusers: x\ncontexts: [1, [2]]\n"] {
            let edit = edit(Some(nonsense), &wanted());
            let tree = parse(&edit.text.unwrap()).unwrap();
            assert!(tree.contains_key("current-context"), "{nonsense}");
            assert!(!edit.changes.is_empty());
        }
        assert!(edit(Some("{{{{"), &wanted()).was_nonsense);
    }

    proptest::proptest! {
        /// Whatever text stood there, the result is a fixed point.
        #[test]
        fn edits_settle(text in "[a-z:{}\\[\\]\\-\\n #&*!']{0,80}") {
            let first = edit(Some(&text), &wanted());
            let text = first.text.unwrap_or(text);
            proptest::prop_assert_eq!(edit(Some(&text), &wanted()).text, None);
        }
    }
}
