//! What a registered cluster is called here: the template of the settings, and aliases that are fit,
//! short, and each only once.

use std::{collections::BTreeMap, fmt};

use super::text::near_miss;

/// The longest alias: it is a file name, and file systems take 255 bytes with `.yaml` and what a
/// temporary name adds.
const LONGEST: usize = 100;

/// Returns whether a text can be an alias. It is a file name, a kubectl context and a word in a prompt.
pub fn is_fit(alias: &str) -> bool {
    !alias.is_empty()
        && alias.len() <= LONGEST
        && !alias.starts_with(['.', '-'])
        && alias.chars().all(is_fit_char)
}

/// Returns whether a character can be in an alias.
pub fn is_fit_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-@+".contains(c)
}

/// What a template can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The cluster's name at AWS.
    Name,
    /// Its region.
    Region,
    /// The twelve digits of its account.
    AccountId,
    /// What its account is called; the twelve digits where nobody may know.
    AccountAlias,
    /// The profile that signs.
    Profile,
}

impl Field {
    const ALL: [(&'static str, Self); 5] = [
        ("name", Self::Name),
        ("region", Self::Region),
        ("account_id", Self::AccountId),
        ("account_alias", Self::AccountAlias),
        ("profile", Self::Profile),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, field)| *field == self).map_or("", |(word, _)| word)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// `[clusters] alias`: text with fields in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Default for Template {
    fn default() -> Self {
        Self(vec![Piece::Field(Field::Name)])
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Field(field) => write!(f, "{{{}}}", field.word())?,
            }
        }
        Ok(())
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is nothing in it.
    #[error("a template without anything in it")]
    Empty,
    /// A brace without its other half.
    #[error("a brace without its other half")]
    Brace,
    /// A field that no cluster has.
    #[error("unknown field `{{{name}}}`")]
    UnknownField {
        /// What stands in the braces.
        name: String,
        /// A field that is spelled almost the same.
        near: Option<&'static str>,
    },
}

impl TemplateError {
    /// Says what to write instead.
    pub fn fix(&self) -> String {
        let known = || Field::ALL.map(|(word, _)| format!("{{{word}}}")).join(", ");
        match self {
            Self::UnknownField { near: Some(near), .. } => format!("did you mean `{{{near}}}`?"),
            Self::UnknownField { .. } => format!("known here: {}", known()),
            Self::Empty | Self::Brace => {
                format!("write one such as \"{{account_alias}}-{{name}}\"; fields are {}", known())
            }
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Says what in it is no field.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            let inner = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (name, after) = inner.ok_or(TemplateError::Brace)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Field(field(name)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        if pieces.is_empty() { Err(TemplateError::Empty) } else { Ok(Self(pieces)) }
    }

    /// Returns whether the template names a field.
    pub fn has(&self, field: Field) -> bool {
        self.0.contains(&Piece::Field(field))
    }

    fn fill(&self, cluster: &Subject) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Field(field) => cluster.value(*field),
        });
        pieces.collect()
    }
}

fn field(name: &str) -> Result<Field, TemplateError> {
    if let Some((_, field)) = Field::ALL.iter().find(|(word, _)| *word == name) {
        return Ok(*field);
    }
    let near = near_miss(name, Field::ALL.iter().map(|(word, _)| *word));
    let near = near.and_then(|near| Field::ALL.iter().find(|(word, _)| *word == near));
    Err(TemplateError::UnknownField { name: name.to_owned(), near: near.map(|(word, _)| *word) })
}

/// A cluster that wants an alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The twelve digits of its account.
    pub account_id: String,
    /// Its region.
    pub region: String,
    /// Its name at AWS.
    pub name: String,
    /// What its account is called, where that is known.
    pub account_alias: Option<String>,
    /// The profile that signs.
    pub profile: String,
}

impl Subject {
    fn value(&self, field: Field) -> &str {
        match field {
            Field::Name => &self.name,
            Field::Region => &self.region,
            Field::AccountId => &self.account_id,
            Field::AccountAlias => self.account_alias.as_deref().unwrap_or(&self.account_id),
            Field::Profile => &self.profile,
        }
    }
}

/// What is added, one after the other, to aliases that would be equal: with all of them no two clusters
/// are.
const TELLING: [Field; 3] = [Field::Region, Field::AccountId, Field::Name];

/// Returns an alias for each cluster, in their order: none twice, none that is `taken`, all fit.
///
/// Of clusters whose aliases would be equal none is preferred: all of them get what tells them apart. So
/// the order in which they were found plays no part. Upper and lower case are one, as for some file
/// systems.
pub fn propose(template: &Template, clusters: &[Subject], taken: &[String]) -> Vec<String> {
    let telling: Vec<Field> = TELLING.into_iter().filter(|field| !template.has(*field)).collect();
    let taken: Vec<String> = taken.iter().map(|alias| alias.to_ascii_lowercase()).collect();
    let mut added = vec![0; clusters.len()];
    loop {
        let texts: Vec<String> = clusters
            .iter()
            .zip(&added)
            .map(|(cluster, added)| fit(&text(template, cluster, &telling[..*added]), LONGEST))
            .collect();
        let mut is_over = true;
        for at in equals(&texts, &taken) {
            if added[at] < telling.len() {
                added[at] += 1;
                is_over = false;
            }
        }
        if is_over {
            return number(texts, clusters, taken);
        }
    }
}

fn text(template: &Template, cluster: &Subject, added: &[Field]) -> String {
    let mut text = template.fill(cluster);
    for field in added {
        text.push('-');
        text.push_str(cluster.value(*field));
    }
    text
}

/// Returns which of the texts there are more than once, or are taken.
fn equals(texts: &[String], taken: &[String]) -> Vec<usize> {
    let mut count: BTreeMap<String, usize> = taken.iter().map(|alias| (alias.clone(), 1)).collect();
    for text in texts {
        *count.entry(text.to_ascii_lowercase()).or_default() += 1;
    }
    let is_equal = |text: &String| count.get(&text.to_ascii_lowercase()).is_some_and(|n| 1 < *n);
    (0..texts.len()).filter(|at| is_equal(&texts[*at])).collect()
}

/// Numbers what is equal still: long names that were cut, or an alias that is taken.
fn number(mut texts: Vec<String>, clusters: &[Subject], mut taken: Vec<String>) -> Vec<String> {
    let mut equal = equals(&texts, &taken);
    let is_free = |at: &usize| !equal.contains(at);
    let free: Vec<usize> = (0..texts.len()).filter(is_free).collect();
    taken.extend(free.into_iter().map(|at| texts[at].to_ascii_lowercase()));
    equal.sort_by_key(|at| &clusters[*at]);
    for at in equal {
        let mut number = 2;
        let mut alias = texts[at].clone();
        while taken.contains(&alias.to_ascii_lowercase()) {
            let tail = format!("-{number}");
            alias = fit(&texts[at], LONGEST - tail.len()) + &tail;
            number += 1;
        }
        taken.push(alias.to_ascii_lowercase());
        texts[at] = alias;
    }
    texts
}

/// Makes a text fit to be an alias of at most so many letters.
fn fit(text: &str, longest: usize) -> String {
    let fit: String = text.chars().map(|c| if is_fit_char(c) { c } else { '-' }).collect();
    let fit = fit.trim_start_matches(['.', '-']);
    // Only ASCII is left.
    let fit = fit[..fit.len().min(longest)].trim_end_matches('-');
    if fit.is_empty() { "cluster".to_owned() } else { fit.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(name: &str, region: &str, account: &str) -> Subject {
        Subject {
            name: name.to_owned(),
            region: region.to_owned(),
            account_id: account.to_owned(),
            account_alias: (account == "1").then(|| "Corp Prod".to_owned()),
            profile: format!("p{account}"),
        }
    }

    #[test]
    fn templates() {
        for (text, expected) in [
            ("{name}", Ok("{name}")),
            ("{account_alias}-{name}", Ok("{account_alias}-{name}")),
            ("eks.{region}.{account_id}@{profile}", Ok("eks.{region}.{account_id}@{profile}")),
            ("plain", Ok("plain")),
            (
                "",
                Err(
                    "a template without anything in it | write one such as \"{account_alias}-{name}\"; fields are {name}, {region}, {account_id}, {account_alias}, {profile}",
                ),
            ),
            ("{nmae}", Err("unknown field `{nmae}` | did you mean `{name}`?")),
            ("{account}", Err("unknown field `{account}` | did you mean `{account_id}`?")),
            (
                "a{colour}",
                Err(
                    "unknown field `{colour}` | known here: {name}, {region}, {account_id}, {account_alias}, {profile}",
                ),
            ),
            (
                "{name",
                Err(
                    "a brace without its other half | write one such as \"{account_alias}-{name}\"; fields are {name}, {region}, {account_id}, {account_alias}, {profile}",
                ),
            ),
            (
                "name}",
                Err(
                    "a brace without its other half | write one such as \"{account_alias}-{name}\"; fields are {name}, {region}, {account_id}, {account_alias}, {profile}",
                ),
            ),
        ] {
            let read = Template::parse(text);
            let said = read.map(|template| template.to_string());
            let said = said.map_err(|error| format!("{error} | {}", error.fix()));
            assert_eq!(said.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn proposals() {
        let (a, b) = ("eu-west-1", "us-east-1");
        let long = "n".repeat(100);
        let longer = format!("{}-2", "n".repeat(98));
        for (template, clusters, taken, expected) in [
            ("{name}", vec![("demo", a, "1"), ("prod", a, "1")], vec![], vec!["demo", "prod"]),
            ("{name}", vec![("demo", a, "1"), ("demo", b, "1")], vec![], vec!["demo-eu-west-1", "demo-us-east-1"]),
            // The region tells two of the three apart, the account the others.
            ("{name}", vec![("demo", a, "1"), ("demo", a, "2"), ("demo", b, "1")], vec![],
                vec!["demo-eu-west-1-1", "demo-eu-west-1-2", "demo-us-east-1"]),
            // Registered ones keep theirs.
            ("{name}", vec![("demo", a, "1")], vec!["demo"], vec!["demo-eu-west-1"]),
            ("{name}", vec![("demo", a, "1")], vec!["Demo", "demo-eu-west-1"], vec!["demo-eu-west-1-1"]),
            ("{name}", vec![("demo", a, "1")], vec!["demo", "demo-eu-west-1", "demo-eu-west-1-1"], vec!["demo-eu-west-1-1-2"]),
            // Case is nothing to tell apart by.
            ("{name}", vec![("Demo", a, "1"), ("demo", b, "1")], vec![], vec!["Demo-eu-west-1", "demo-us-east-1"]),
            // What the template has is not added again.
            ("{name}.{region}", vec![("demo", a, "1"), ("demo", a, "2")], vec![], vec!["demo.eu-west-1-1", "demo.eu-west-1-2"]),
            ("{account_alias}-{name}", vec![("demo", a, "1"), ("demo", a, "2")], vec![], vec!["Corp-Prod-demo", "2-demo"]),
            ("{profile}/{name}", vec![("demo", a, "1")], vec![], vec!["p1-demo"]),
            // A template that says little.
            ("x", vec![("demo", a, "1"), ("prod", a, "1")], vec![], vec!["x-eu-west-1-1-demo", "x-eu-west-1-1-prod"]),
            ("..{name}", vec![("demo", a, "1")], vec![], vec!["demo"]),
            ("é", vec![("demo", a, "1")], vec![], vec!["cluster"]),
            // Cut, and still told apart.
            ("{name}", vec![(long.as_str(), a, "1"), (long.as_str(), b, "1")], vec![], vec![long.as_str(), longer.as_str()]),
        ] {
            let template = Template::parse(template).unwrap();
            let clusters: Vec<Subject> = clusters.into_iter().map(|(n, r, a)| subject(n, r, a)).collect();
            let taken: Vec<String> = taken.into_iter().map(str::to_owned).collect();
            assert_eq!(propose(&template, &clusters, &taken), expected);
        }
    }

    fn clusters() -> impl Strategy<Value = Vec<Subject>> {
        let name = prop_oneof!["[aA]{1,2}", "[a-zA-Z0-9_-]{1,100}", Just("n".repeat(100))];
        let region = prop::sample::select(vec!["eu-west-1", "us-east-1"]);
        let account = prop::sample::select(vec!["1", "2", "11"]);
        let cluster = (name, region, account).prop_map(|(n, r, a)| subject(&n, r, a));
        prop::collection::vec(cluster, 0..9).prop_map(|mut clusters| {
            clusters.sort();
            clusters.dedup();
            clusters
        })
    }

    fn template() -> impl Strategy<Value = Template> {
        let pieces = vec![
            "{name}",
            "{region}",
            "{account_id}",
            "{account_alias}",
            "{profile}",
            "-",
            "/",
            ".",
            "é",
            "x",
        ];
        prop::collection::vec(prop::sample::select(pieces), 1..5)
            .prop_map(|pieces| Template::parse(&pieces.concat()).unwrap())
    }

    proptest! {
        #[test]
        fn every_alias_is_fit_free_and_there_once(
            template in template(),
            clusters in clusters(),
            taken in prop::collection::vec("[aA]{1,2}(-eu-west-1)?(-1)?(-2)?", 0..6),
            turn in any::<prop::sample::Index>(),
        ) {
            let aliases = propose(&template, &clusters, &taken);
            prop_assert_eq!(aliases.len(), clusters.len());
            let mut seen: Vec<String> = taken.iter().map(|it| it.to_ascii_lowercase()).collect();
            for alias in &aliases {
                prop_assert!(is_fit(alias), "{}", alias);
                prop_assert!(!seen.contains(&alias.to_ascii_lowercase()), "{} twice", alias);
                seen.push(alias.to_ascii_lowercase());
            }
            // The order in which they were found plays no part.
            let by = if clusters.is_empty() { 0 } else { turn.index(clusters.len()) };
            let mut turned = clusters.clone();
            turned.rotate_left(by);
            let mut expected = aliases;
            expected.rotate_left(by);
            prop_assert_eq!(propose(&template, &turned, &taken), expected);
        }
    }
}
