//! What is to be done with the entries of a person's kubeconfig files: which are registered, under which
//! names, and what their stanzas say afterwards.

use super::{
    edit::{Change, Place, Refusal, Step, apply},
    entries::{Entry, Identity, Says},
    plugin::{Maker, Said, Stanza, TAKEN_OVER},
    tree::{Document, Kind},
    write::Want,
};
use crate::model::alias::{is_fit, is_fit_char};

/// A registered cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it is called here.
    pub alias: String,
    /// Its name at AWS.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The profile that signs.
    pub profile: String,
    /// The role that the profile assumes.
    pub role_arn: Option<String>,
}

impl Known {
    /// Returns whether this is that cluster and identity. Where an entry says no region, its profile
    /// does, and a name within a profile is all there is.
    fn is(&self, identity: &Identity, profile: &str) -> bool {
        self.name == identity.name
            && identity.region.as_ref().is_none_or(|region| *region == self.region)
            && self.profile == profile
            && self.role_arn == identity.role_arn
    }
}

/// An entry, and what is to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The file with the context, from 0.
    pub file: usize,
    /// The context.
    pub entry: Entry,
    /// The profile that signs.
    pub profile: String,
    /// What is done.
    pub fate: Fate,
}

/// What is to be done with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is registered under this name.
    Register(String),
    /// An earlier context is the same cluster and identity.
    Same(String),
    /// It was registered before.
    Known(String),
    /// It asks eksd already.
    Ours(String),
    /// Nothing; the reason.
    Left(String),
}

impl Row {
    /// Returns the alias that the entry belongs to.
    pub fn alias(&self) -> Option<&str> {
        match &self.fate {
            Fate::Register(alias) | Fate::Same(alias) | Fate::Known(alias) | Fate::Ours(alias) => {
                Some(alias)
            }
            Fate::Left(_) => None,
        }
    }

    /// Returns who wrote it.
    pub fn maker(&self) -> Option<Maker> {
        match &self.entry.says {
            Says::Cluster(maker, _) => Some(*maker),
            Says::Registered(_) => Some(Maker::Eksd),
            Says::Left(maker, _) => *maker,
        }
    }
}

/// Plans for the entries of all files. `own_profile` is the shell's.
pub fn plan(entries: Vec<(usize, Entry)>, known: &[Known], own_profile: &str) -> Vec<Row> {
    let mut taken: Vec<Known> = known.to_vec();
    let mut rows = Vec::new();
    for (file, entry) in entries {
        let (profile, fate) = match &entry.says {
            Says::Left(_, why) => (String::new(), Fate::Left(why.clone())),
            Says::Registered(alias) => match known.iter().find(|known| known.alias == *alias) {
                Some(found) => (found.profile.clone(), Fate::Ours(alias.clone())),
                None => (
                    String::new(),
                    Fate::Left(format!("it asks for `{alias}`, which is not registered")),
                ),
            },
            Says::Cluster(_, identity) => {
                let profile = identity.profile.clone().unwrap_or_else(|| own_profile.to_owned());
                let at = taken.iter().position(|other| other.is(identity, &profile));
                let fate = match at {
                    Some(at) if at < known.len() => Fate::Known(taken[at].alias.clone()),
                    Some(at) => Fate::Same(taken[at].alias.clone()),
                    None => {
                        let alias = alias(&entry.context, identity, &profile, &taken);
                        taken.push(Known {
                            alias: alias.clone(),
                            name: identity.name.clone(),
                            region: identity.region.clone().unwrap_or_default(),
                            profile: profile.clone(),
                            role_arn: identity.role_arn.clone(),
                        });
                        Fate::Register(alias)
                    }
                };
                (profile, fate)
            }
        };
        rows.push(Row { file, entry, profile, fate });
    }
    rows
}

/// Returns the name for a new registration: the context's where a person chose it, else the cluster's,
/// with what tells it from others of that name.
fn alias(context: &str, identity: &Identity, profile: &str, taken: &[Known]) -> String {
    let is_free = |alias: &str| {
        is_fit(alias) && taken.iter().all(|other| !other.alias.eq_ignore_ascii_case(alias))
    };
    let name = fitted(&identity.name);
    let region = identity.region.as_deref().map(|region| format!("{name}-{region}"));
    // A context of eksctl says who made it, and all that the cluster's name says.
    let own = Some(context).filter(|context| !context.ends_with(".eksctl.io")).map(str::to_owned);
    let candidates = [own, Some(name.clone()), region, Some(fitted(&format!("{name}-{profile}")))];
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut all = candidates.into_iter().flatten().chain(numbered);
    all.find(|alias| is_free(alias)).unwrap_or(name)
}

fn fitted(text: &str) -> String {
    let fitted: String = text.chars().map(|c| if is_fit_char(c) { c } else { '-' }).collect();
    let fitted = fitted.trim_start_matches(['.', '-']);
    let fitted: String = fitted.chars().take(90).collect();
    if fitted.is_empty() { "cluster".to_owned() } else { fitted }
}

/// A user that is to ask eksd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its name.
    pub user: String,
    /// The registered cluster that it asks for.
    pub alias: String,
    /// What it said when that was decided; one that says something else by now is left alone.
    said: Said,
}

/// Returns the users of one file that are to ask eksd, where the aliases of `done` are registered, and
/// those whose contexts disagree about that.
pub fn taken(
    rows: &[Row],
    document: &Document,
    file: usize,
    done: &[String],
) -> (Vec<Taken>, Vec<String>) {
    let mut users: Vec<(usize, &str, Option<&str>)> = Vec::new();
    let mut torn: Vec<String> = Vec::new();
    for row in rows {
        let Some((_, at)) = row.entry.user_at.filter(|(in_file, _)| *in_file == file) else {
            continue;
        };
        let is_ours = matches!(row.fate, Fate::Ours(_));
        let alias = row.alias().filter(|alias| !is_ours && done.iter().any(|it| it == alias));
        match users.iter().find(|(other, _, _)| *other == at) {
            None => users.push((at, &row.entry.user, alias)),
            Some((_, user, other)) if *other != alias && !torn.iter().any(|it| it == user) => {
                torn.push((*user).to_owned());
            }
            Some(_) => (),
        }
    }
    let items = document.items(&document.root, "users");
    let taken = users.into_iter().filter_map(|(at, user, alias)| {
        let said = Stanza::of_user(document, &items[at])?.says();
        let alias = alias.filter(|_| !torn.iter().any(|it| it == user))?.to_owned();
        Some(Taken { user: user.to_owned(), alias, said })
    });
    let taken = taken.collect();
    (taken, torn)
}

/// A text in which users ask eksd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The text.
    pub text: String,
    /// The users that could not be edited, and why.
    pub refused: Vec<(String, Refusal)>,
    /// The users that are edited.
    pub users: usize,
}

/// Edits the users' stanzas so that they ask `command`.
pub fn rewrite(text: &str, taken: &[Taken], command: &str) -> Result<Rewritten, Refusal> {
    let document = Document::read(text)?;
    let items = document.items(&document.root, "users");
    let of = |it: &Taken| {
        let at = items.iter().position(|item| document.text(item, "name") == Some(&it.user))?;
        let says = Stanza::of_user(&document, &items[at])?.says();
        (says == it.said).then(|| ask_eksd(&document, at, &it.alias, command))
    };
    let edits: Vec<(&str, Vec<Change>)> =
        taken.iter().filter_map(|it| Some((it.user.as_str(), of(it)?))).collect();
    if let Ok(text) = apply(text, &edits.iter().flat_map(|(_, it)| it.clone()).collect::<Vec<_>>())
    {
        return Ok(Rewritten { text, refused: Vec::new(), users: edits.len() });
    }
    // One of them cannot be edited: the others can.
    let mut refused = Vec::new();
    let mut changes = Vec::new();
    let mut users = 0;
    for (user, edit) in edits {
        match apply(text, &edit) {
            Ok(_) => {
                users += 1;
                changes.extend(edit);
            }
            Err(refusal) => refused.push((user.to_owned(), refusal)),
        }
    }
    Ok(Rewritten { text: apply(text, &changes)?, refused, users })
}

/// The version of the exec API that eksd's stanzas ask for.
pub(super) const API_VERSION: &str = "client.authentication.k8s.io/v1";

/// What kubectl shows where `eksd` is missing.
pub(super) const INSTALL_HINT: &str = "eksd makes the tokens for this cluster: install it";

/// Returns the arguments of `eksd` for a registered cluster.
pub(super) fn arguments(alias: &str) -> Want {
    Want::List(vec!["token".into(), "--cluster".into(), alias.into()])
}

/// Returns the changes after which the user at this index asks eksd. What the stanza says besides stays.
pub(super) fn ask_eksd(document: &Document, at: usize, alias: &str, command: &str) -> Vec<Change> {
    let exec: Place = vec![Step::Key("users"), Step::At(at), Step::Key("user"), Step::Key("exec")];
    let item = document.items(&document.root, "users").get(at);
    let stanza = item.and_then(|item| document.get(document.get(item, "user")?, "exec"));
    let has = |key: &str| stanza.is_some_and(|stanza| document.get(stanza, key).is_some());
    let set = |key: &'static str, to: Want, before: &'static str| {
        let before = Some(if has(before) { before } else { "command" });
        Change::Set { map: exec.clone(), key, to, before }
    };
    let mut changes = vec![
        set("apiVersion", API_VERSION.into(), "args"),
        set("args", arguments(alias), "command"),
        set("command", command.into(), "command"),
        set("interactiveMode", "Never".into(), "provideClusterInfo"),
    ];
    if has("installHint") {
        changes.push(set("installHint", INSTALL_HINT.into(), "command"));
    }
    let variables = stanza.map(|stanza| document.items(stanza, "env")).unwrap_or_default();
    let is_gone = |variable: &std::rc::Rc<super::tree::Node>| {
        document.text(variable, "name").is_some_and(|name| TAKEN_OVER.contains(&name))
    };
    let gone: Vec<usize> =
        variables.iter().enumerate().filter(|(_, it)| is_gone(it)).map(|(at, _)| at).collect();
    let env = stanza.and_then(|stanza| document.get(stanza, "env"));
    let is_list = env.is_some_and(|env| matches!(env.kind, Kind::List { .. }));
    if is_list && !gone.is_empty() {
        changes.push(if gone.len() == variables.len() {
            Change::Remove { map: exec, key: "env" }
        } else {
            Change::Drop { map: exec, key: "env", items: gone }
        });
    }
    changes
}

#[cfg(test)]
#[path = "adoption_tests.rs"]
mod tests;
