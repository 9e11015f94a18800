//! YAML text of new values.

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// A text.
    Text(String),
    /// Values.
    List(Vec<Want>),
    /// Keys and values.
    Map(Vec<(&'static str, Want)>),
}

impl From<&str> for Want {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Want {
    /// Returns its text in braces and quotes, which is JSON too.
    pub fn flow(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::flow).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {}", quoted(key), value.flow()))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// Returns its text after a key or dash: on the same line, or on lines of its own that begin at
    /// `column`. Lists begin at the column of their key, as kubectl writes them.
    pub fn after_key(&self, column: usize, newline: &str) -> String {
        let margin = " ".repeat(column);
        match self {
            Self::Text(text) => format!(" {}", scalar(text)),
            Self::List(items) if items.is_empty() => " []".to_owned(),
            Self::Map(entries) if entries.is_empty() => " {}".to_owned(),
            Self::List(_) => format!("{newline}{margin}{}", self.block(column, newline)),
            Self::Map(_) => {
                format!("{newline}{margin}  {}", self.block(column + 2, newline))
            }
        }
    }

    /// Returns its lines, of which the first one stands at `column` already.
    pub fn block(&self, column: usize, newline: &str) -> String {
        let between = format!("{newline}{}", " ".repeat(column));
        match self {
            Self::Text(text) => scalar(text),
            Self::List(items) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| format!("- {}", item.block(column + 2, newline)))
                    .collect();
                items.join(&between)
            }
            Self::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.after_key(column, newline)))
                    .collect();
                entries.join(&between)
            }
        }
    }
}

/// Returns a text as a scalar that every reader takes for a text.
pub fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Returns whether a text without quotes is a text for readers of YAML 1.1 and 1.2.
pub fn is_plain(text: &str) -> bool {
    // YAML 1.1 has more words for truth values; `http://yaml.org/type/bool.html`.
    const WORDS: [&str; 10] =
        ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "undefined"];
    let begins = text.strip_prefix("--").unwrap_or(text);
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_./:@+=-".contains(c);
    begins.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && text.chars().all(is_word)
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Returns a text in double quotes: YAML takes JSON's escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c) || c == '\u{feff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        for (text, expected) in [
            ("demo", "demo"),
            ("--cluster", "--cluster"),
            ("/usr/bin/eksd", "/usr/bin/eksd"),
            ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1"),
            ("arn:aws:eks:eu-west-1:1:cluster/x", "arn:aws:eks:eu-west-1:1:cluster/x"),
            ("Yes", "\"Yes\""),
            ("null", "\"null\""),
            ("12", "\"12\""),
            ("1e3", "\"1e3\""),
            (".5", "\".5\""),
            ("-x", "\"-x\""),
            ("---", "\"---\""),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a: b", "\"a: b\""),
            ("a:", "\"a:\""),
            ("a\"\\\n", "\"a\\\"\\\\\\n\""),
            ("/o'p/é", "\"/o'p/é\""),
        ] {
            assert_eq!(scalar(text), expected, "{text:?}");
            let read: serde_json::Value = serde_json::from_str(&quoted(text)).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn both_forms() {
        let want = Want::Map(vec![
            ("name", "a".into()),
            ("user", Want::Map(vec![("args", Want::List(vec!["x".into(), "on".into()]))])),
        ]);
        assert_eq!(want.flow(), r#"{"name": "a", "user": {"args": ["x", "on"]}}"#);
        let list = Want::List(vec![want]);
        assert_eq!(
            format!("users:{}\n", list.after_key(0, "\n")),
            "users:\n- name: a\n  user:\n    args:\n    - x\n    - \"on\"\n"
        );
    }
}
