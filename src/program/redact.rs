//! A helper's complaints, fit to be shown.
//!
//! Helpers write secrets to standard error: their own debug output, a request that was refused, the
//! JSON that belonged on the other stream. What is left out here is more than that rather than less.

use crate::model::text::printable_sentence;

/// What is shown; the end of it, where a program says at last what is wrong.
const LONGEST: usize = 400;

/// From this length on, what has digits, or both cases and the signs of base64, is a key or a token: an
/// access key id has 20 characters, a secret access key 40. Some paths look like that, and go as well.
const LONG_RUN: usize = 20;

/// Shorter ones are, where letters of both cases and digits are mixed.
const MIXED_RUN: usize = 12;

/// Letters of both cases alone: the names of Java's and Python's exceptions are shorter.
const LETTERS_RUN: usize = 40;

/// A code of an MFA device.
const CODE_DIGITS: usize = 6;

/// What follows one of these, with a `:` or `=` or blank between, is a secret, however short.
const NAMES: [&str; 14] = [
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "authorization",
    "bearer",
    "cookie",
    "accesskey",
    "access_key",
    "apikey",
    "api_key",
    "api-key",
];

/// The same, where the sign follows at once: else it is a word of many sentences.
const NAMES_WITH_SIGN: [&str; 1] = ["session="];

/// After these and a colon several words may come.
const SEVERAL: [&str; 6] = ["password", "passwd", "passphrase", "pwd", "authorization", "cookie"];

/// What the words before say of the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing.
    Plain,
    /// The name of a secret: with a sign before it, it is the value.
    Named { several: bool },
    /// It is the value.
    Value { several: bool },
    /// It is more of a value, up to this quote.
    Quoted(char),
    /// It is more of a value, to the end of the line.
    Rest,
}

/// Returns the text on one line, without what looks like a secret and without control characters.
pub(super) fn redacted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut clear = String::new();
    let mut next = Next::Plain;
    for line in text.lines() {
        for word in line.split_whitespace() {
            let (shown, after) = redacted_word(word, next);
            if !clear.is_empty() && !shown.is_empty() {
                clear.push(' ');
            }
            clear.push_str(&shown);
            next = after;
        }
        // A quote that is never closed would take the cause along.
        if matches!(next, Next::Quoted(_) | Next::Rest) {
            next = Next::Plain;
        }
    }
    let length = clear.chars().count();
    let end: String = match length.checked_sub(LONGEST) {
        Some(over) if 0 < over => format!("…{}", clear.chars().skip(over).collect::<String>()),
        _ => clear,
    };
    printable_sentence(&end)
}

/// Returns a word without its secrets, and what it says of the next.
fn redacted_word(word: &str, next: Next) -> (String, Next) {
    match next {
        Next::Plain => plain_word(word),
        Next::Named { several } => {
            let value = word.trim_start_matches([':', '=']);
            let signs = &word[..word.len() - value.len()];
            if signs.is_empty() {
                return plain_word(word);
            }
            named_value(signs, value, several && signs.ends_with(':'))
        }
        Next::Value { several } => {
            let lower = word.to_ascii_lowercase();
            // A sign between name and value that stands alone, or a scheme before the token itself.
            let is_sign = word.chars().all(|c| "=:".contains(c));
            let schemes = ["bearer", "basic", "dpop"];
            if is_sign || schemes.contains(&lower.trim_matches(['"', '\''])) {
                return (word.to_owned(), next);
            }
            named_value("", word, several)
        }
        Next::Quoted(quote) if word.contains(quote) => (String::new(), Next::Plain),
        Next::Quoted(_) | Next::Rest => (String::new(), next),
    }
}

/// Returns what stands before a value, and marks in its place.
fn named_value(before: &str, value: &str, several: bool) -> (String, Next) {
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
    if quote.is_none() && value.chars().all(|c| c == ',') {
        return (before.to_owned() + value, Next::Value { several });
    }
    let after = match quote {
        Some(quote) if value[1..].contains(quote) => Next::Plain,
        Some(quote) => Next::Quoted(quote),
        None if several => Next::Rest,
        None => Next::Plain,
    };
    (format!("{before}***"), after)
}

fn plain_word(word: &str) -> (String, Next) {
    let lower = word.to_ascii_lowercase();
    let ends = |names: &[&str]| {
        names.iter().filter_map(|name| lower.find(name).map(|at| at + name.len())).min()
    };
    if let Some(end) = ends(&NAMES)
        && let Some(sign) = lower[end..].find([':', '=']).map(|at| end + at + 1)
    {
        let several = lower[..sign].ends_with(':') && is_several(&lower[..sign]);
        return named_value(&word[..sign], &word[sign..], several);
    }
    if let Some(end) = ends(&NAMES_WITH_SIGN) {
        return named_value(&word[..end], &word[end..], false);
    }
    let bare = lower.trim_matches(['"', '\'']);
    let several = is_several(bare);
    let after = if bare == "bearer" || is_key(bare) {
        Next::Value { several }
    } else if NAMES.iter().any(|name| bare.ends_with(name)) {
        Next::Named { several }
    } else {
        Next::Plain
    };
    (without_runs(&without_user(word)), after)
}

fn is_several(word: &str) -> bool {
    SEVERAL.iter().any(|name| word.contains(name))
}

/// The name of a secret with an underscore or a dash in it is an option or a variable, not a word of a
/// sentence.
fn is_key(word: &str) -> bool {
    NAMES.iter().any(|name| word.ends_with(name)) && word.contains(['_', '-'])
}

/// Takes user and password out of a URL.
fn without_user(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => word.to_owned(),
    }
}

fn without_runs(word: &str) -> String {
    let mut clear = String::with_capacity(word.len());
    let mut run = String::new();
    for c in word.chars() {
        if is_run_char(c) {
            run.push(c);
            continue;
        }
        push_run(&mut clear, &run);
        run.clear();
        clear.push(c);
    }
    push_run(&mut clear, &run);
    clear
}

fn push_run(clear: &mut String, run: &str) {
    clear.push_str(if is_secret(run) { "***" } else { run });
}

fn is_secret(run: &str) -> bool {
    let has = |is: fn(u8) -> bool| run.bytes().any(is);
    let has_cases = has(|b| b.is_ascii_lowercase()) && has(|b| b.is_ascii_uppercase());
    let has_digits = has(|b| b.is_ascii_digit());
    let has_signs = has(|b| matches!(b, b'+' | b'/' | b'=' | b'%' | b'~'));
    (LONG_RUN <= run.len() && (has_digits || (has_cases && has_signs)))
        || (MIXED_RUN <= run.len() && has_cases && has_digits)
        || (LETTERS_RUN <= run.len() && has_cases)
        || (run.len() == CODE_DIGITS && run.bytes().all(|b| b.is_ascii_digit()))
        || ["AKIA", "ASIA"].iter().any(|prefix| run.contains(prefix))
}

fn is_run_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '%' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_gone() {
        for (text, expected) in [
            ("no such vault item", "no such vault item"),
            ("key AKIAIOSFODNN7EXAMPLE refused", "key *** refused"),
            ("short ASIA12", "short ***"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "***"),
            (
                "{\"SecretAccessKey\": \"hunter2\", \"Version\": 1}",
                "{\"SecretAccessKey\": *** \"Version\": 1}",
            ),
            ("aws_secret_access_key=hunter2", "aws_secret_access_key=***"),
            ("aws_secret_access_key = hunter2 x", "aws_secret_access_key = *** x"),
            ("Password:hunter2", "Password:***"),
            ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
            ("bearer hunter2", "bearer ***"),
            ("--session-token hunter2", "--session-token ***"),
            ("https://ann:hunter2@proxy.example:3128/x", "https://***@proxy.example:3128/x"),
            ("eyJhbGciOiJFUzI1NiJ9.eyJqdGki.c2lnbmF0dXJl", "***.eyJqdGki.***"),
            ("code 123456 was used", "code *** was used"),
            ("0123456789abcdef0123456789abcdef", "***"),
            ("the token has expired", "the token has expired"),
            ("\"Password\" : \"hunter2\", next", "\"Password\" : *** next"),
            ("\"Password\" :\"hunter2\" next", "\"Password\" :*** next"),
            ("password: correct horse battery\nnot taken", "password: *** not taken"),
            ("Password:two words", "Password:***"),
            ("password:\nhunter2 x\nwrong", "password: *** wrong"),
            ("{\"password\": \"two words\", \"a\": 1}", "{\"password\": *** \"a\": 1}"),
            ("{\"passphrase\":\"two words\",\"a\":1} b", "{\"passphrase\":*** b"),
            ("password=\"two words\" wrong", "password=*** wrong"),
            ("password = 'a b' c", "password = *** c"),
            ("Cookie: a=hunter2; b=c\nrefused", "Cookie: *** refused"),
            (
                "pwd=hunter2 apikey=x api_key: y X-Api-Key: z",
                "pwd=*** apikey=*** api_key: *** X-Api-Key: ***",
            ),
            ("GET /?session=hunter2 failed", "GET /?session=*** failed"),
            ("the session has ended: log in", "the session has ended: log in"),
            ("wrong password for ann", "wrong password for ann"),
            ("password \"never closed\nthe cause", "password \"never closed the cause"),
            ("password=\"never closed\nthe cause", "password=*** the cause"),
            (
                "{\"SecretAccessKey\":\"hunter2\",\"SessionToken\":\"x\"}",
                "{\"SecretAccessKey\":***",
            ),
            (
                "UnauthorizedSSOTokenError in /usr/local/bin/get-keys",
                "UnauthorizedSSOTokenError in /usr/local/bin/get-keys",
            ),
            ("arn:aws:iam::111122223333:role/dev", "arn:aws:iam::111122223333:role/dev"),
            ("abcdefghijKLMNOPQRSTabcdefghijKLMNOPQRST", "***"),
            ("a\u{1b}[31mred\n\nand more", "a?[31mred and more"),
        ] {
            assert_eq!(redacted(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn the_end_is_shown_and_it_is_short() {
        let text = format!("{}the cause", "trace ".repeat(500));
        let shown = redacted(text.as_bytes());
        assert!(shown.starts_with('…') && shown.ends_with("the cause"), "{shown}");
        assert_eq!(shown.chars().count(), LONGEST + 1);
        assert_eq!(redacted(b"\xff\xfe bad"), "\u{fffd}\u{fffd} bad");
        assert_eq!(redacted(b""), "");
    }
}
