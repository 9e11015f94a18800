//! Text that comes from elsewhere: names that are almost right, names on their way to a terminal.

/// Returns the known name most like `name`, if one is like it at all: at most a third of the
/// letters differ, or one begins with the other.
pub fn near_miss<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| {
            let distance =
                strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
            let is_prefix = name.len() >= 3 && candidate.starts_with(name);
            (if is_prefix { 1 } else { distance }, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, candidate)| (*distance, candidate.len()))
        .map(|(_, candidate)| candidate)
}

/// Longest name shown anywhere; longer ones end in `…`.
const LONGEST_NAME: usize = 80;

/// Longest sentence shown anywhere.
const LONGEST_SENTENCE: usize = 600;

/// Returns a name fit for a terminal: control, bidirectional-override and zero-width characters
/// become `?`, and what is longer than a line is cut.
///
/// Names come from files and servers that others may write (terminal escape sequences,
/// "Trojan Source", CVE-2021-42574).
pub fn printable(name: &str) -> String {
    harmless(name, LONGEST_NAME)
}

/// Returns a sentence from elsewhere (a server's message, an error) fit for a terminal.
pub fn printable_sentence(text: &str) -> String {
    harmless(text, LONGEST_SENTENCE)
}

fn harmless(text: &str, longest: usize) -> String {
    let mut shown: String =
        text.chars().take(longest).map(|c| if is_harmless(c) { c } else { '?' }).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        let known = ["prod-eu", "prod-us", "dev", "staging-admin"];
        for (typed, expected) in [
            ("prod-ue", Some("prod-eu")),
            ("PROD-EU", Some("prod-eu")),
            ("dve", Some("dev")),
            ("staging", Some("staging-admin")),
            ("nothing-like-it", None),
            ("", None),
        ] {
            assert_eq!(near_miss(typed, known), expected, "{typed}");
        }
    }

    #[test]
    fn terminal_escapes_do_not_pass() {
        assert_eq!(printable("a\u{1b}]52;c;x\u{7}\u{202e}\u{200b}é⎈"), "a?]52;c;x???é⎈");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 81);
    }
}
