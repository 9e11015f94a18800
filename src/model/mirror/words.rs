//! Names as words of commands and headers, the same for every reader.

use super::Profile;

/// Returns the text as one word for `sh -c` (Rust, Go, JavaScript, Java), for Python's `shlex` (the AWS CLI,
/// both for commands and for headers), and through readers that take a `#` or `;` after a blank for a
/// comment wherever it stands.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-/.%@:+,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut word = String::from("'");
    let mut after_blank = false;
    for c in text.chars() {
        match c {
            '\'' => word.push_str(r"'\''"),
            '#' | ';' if after_blank => word.extend(['\'', '\'', c]),
            c => word.push(c),
        }
        after_blank = c.is_whitespace();
    }
    word.push('\'');
    word
}

/// Returns the header under which all find the profile that can find it at all.
pub(super) fn header(name: &str) -> String {
    if name == "default" { "[default]".to_owned() } else { format!("[profile {}]", word(name)) }
}

/// Returns the line of a header so that nobody takes the keys under it for another profile's, which
/// JavaScript does where it cannot read it: `[profile dev]#x`, `[profile "dev"] x`. The name is
/// only touched where no other section has it, since the AWS CLI refuses a section that stands twice.
pub(super) fn put_straight(line: &str, profile: Profile<'_, '_>, is_only: bool) -> String {
    let content = line.trim_end_matches(['\n', '\r']);
    let end = &line[content.len()..];
    let start = content.find('[').unwrap_or_default();
    let closed = (start + 1 + profile.written.len() + 1).min(content.len());
    let (written, rest) = content.split_at(closed);

    let name = profile.name.as_str();
    let is_odd = profile.written != "profile default" && is_identifier(name) && is_only;
    let written = if is_odd { header(name) } else { written.to_owned() };
    let note = rest.trim_start();
    let rest = match (note.starts_with(['#', ';']), note.len() < rest.len()) {
        (false, _) if !note.is_empty() => format!(" # {note}"),
        (true, false) => format!(" {note}"),
        _ => rest.to_owned(),
    };
    format!("{written}{rest}{end}")
}

/// Returns whether every SDK keeps a profile of this name (aws-runtime `normalize.rs`).
fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, expected) in [
            ("dev", "dev"),
            ("a-b_c.d/e@f:g+h%i", "a-b_c.d/e@f:g+h%i"),
            ("", "''"),
            ("my dev", "'my dev'"),
            ("it's", r"'it'\''s'"),
            (r#"a"b\c$d`e`!"#, r#"'a"b\c$d`e`!'"#),
            ("é⎈", "'é⎈'"),
            ("a#b", "'a#b'"),
            ("a #b\t;c", "'a ''#b\t'';c'"),
            ("~", "'~'"),
        ] {
            assert_eq!(word(text), expected, "{text}");
        }
    }

    #[test]
    fn headers_that_some_misread() {
        for (line, written, name, is_only, expected) in [
            ("[profile dev]\r\n", "profile dev", "dev", true, "[profile dev]\r\n"),
            ("[profile dev]  ; x", "profile dev", "dev", true, "[profile dev]  ; x"),
            ("[profile dev]#x\n", "profile dev", "dev", true, "[profile dev] #x\n"),
            ("[profile dev] x\n", "profile dev", "dev", true, "[profile dev] # x\n"),
            (" [profile \"dev\"]\n", "profile \"dev\"", "dev", true, "[profile dev]\n"),
            ("[profile\t dev]\n", "profile\t dev", "dev", true, "[profile dev]\n"),
            ("[profiles dev]x\n", "profiles dev", "dev", false, "[profiles dev] # x\n"),
            (" [profile \"a b\"]#\n", "profile \"a b\"", "a b", true, " [profile \"a b\"] #\n"),
            ("[profile default]\n", "profile default", "default", true, "[profile default]\n"),
            ("[default] \n", "default", "default", true, "[default] \n"),
        ] {
            let name = name.into();
            let profile = Profile { name: &name, written };
            assert_eq!(put_straight(line, profile, is_only), expected, "{line}");
        }
    }
}
