//! Text in shell code and in files of variables.

/// Returns `value` as one word for any POSIX shell, whatever it holds.
pub(super) fn shell_word(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Returns `value` as a word of sh, bash or zsh that reads like what a person would type: quoted only
/// where it needs it. Nothing plain begins with `-` or `~`, or holds `=` where zsh looks for one.
pub(super) fn typed_word(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./+@:,".contains(c);
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric() || "_./".contains(c));
    if begins && value.chars().all(is_plain) { value.to_owned() } else { shell_word(value) }
}

/// Returns `value` as one word for fish, whose single quotes know two escapes (fish manual,
/// "Quotes").
pub(super) fn fish_word(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Returns `value` as one string for PowerShell, on one line: what a program prints comes to
/// `Invoke-Expression` line by line. It takes four typographic quotes for the plain one, and each
/// doubled for itself (`CodeGeneration.EscapeSingleQuotedStringContent`).
pub(super) fn powershell_word(value: &str) -> String {
    let mut word = String::from("'");
    for c in value.chars() {
        if is_line_end_or_control(c) {
            word.push_str(&format!("' + [char]{} + '", u32::from(c)));
            continue;
        }
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            word.push(c);
        }
        word.push(c);
    }
    word.push('\'');
    if value.contains(is_line_end_or_control) { format!("({word})") } else { word }
}

/// .NET takes two more for the end of a line.
fn is_line_end_or_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns `value` as every reader of `.env` files reads it; `None` where they disagree. Docker takes
/// all behind the `=` as it is, quotes too, so that only what needs none is the same for all; in
/// single quotes the rest is the same for Compose and the libraries, but for quotes, backslashes and
/// `$`, which python-dotenv and dotenv-expand expand there too.
pub(super) fn dotenv_value(value: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./+=:@%,".contains(c);
    if value.chars().all(is_plain) {
        return Some(value.to_owned());
    }
    let is_quotable = |c: char| !c.is_control() && !['\'', '\\', '$'].contains(&c);
    value.chars().all(is_quotable).then(|| format!("'{value}'"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn through_a_shell(shell: &str, value: &str) -> String {
        let code = format!("value={}; printf %s \"$value\"", shell_word(value));
        let output = Command::new(shell).args(["-c", &code]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn words() {
        for (value, expected) in [
            ("", "''"),
            ("dev", "'dev'"),
            ("it's", r"'it'\''s'"),
            ("$(rm -rf ~)`x`\\", r"'$(rm -rf ~)`x`\'"),
        ] {
            assert_eq!(shell_word(value), expected);
        }
    }

    #[test]
    fn words_as_typed() {
        for (value, expected) in [
            ("demo-eu.1", "demo-eu.1"),
            ("arn:aws:iam::1:role/x@y", "arn:aws:iam::1:role/x@y"),
            ("my profile", "'my profile'"),
            ("-x", "'-x'"),
            ("~x", "'~x'"),
            ("", "''"),
            ("$(id)", "'$(id)'"),
        ] {
            assert_eq!(typed_word(value), expected);
        }
    }

    #[test]
    fn history_and_newlines() {
        for shell in ["sh", "bash", "zsh"] {
            for value in ["!!", "a\nb\n", "-n", "~", "%s\\n", "'''"] {
                assert_eq!(through_a_shell(shell, value), value, "{shell}");
            }
        }
    }

    /// What shells, in some mode or other, make something else of.
    const HOSTILE: &[&str] = &[
        "",
        "'",
        "''",
        "\"",
        "$HOME",
        "${x}",
        "$(id)",
        "`id`",
        "\\",
        "\\\\",
        "\\'",
        "'\\''",
        "!!",
        "!x",
        "%s",
        "%PATH%",
        "~",
        "-n",
        "-",
        "--",
        "*",
        "a b",
        " a ",
        "\t",
        "\n",
        "a\n",
        "\n\n",
        "a\r\nb",
        "#x",
        "a=b",
        "(x)",
        "{a,b}",
        "[a]",
        "<x>",
        ";id",
        "&",
        "|",
        "\u{7}",
        "\u{1b}[2J",
        "é",
        "日本",
        "👩‍👩‍👧",
        "‘’‚‛“”",
        "\u{202e}",
    ];

    fn value() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(HOSTILE).prop_map(str::to_owned),
            "[^\0]{0,8}".prop_map(|text| text),
        ];
        prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
    }

    fn through_fish(value: &str) -> String {
        let code = format!("set -gx value {}; printf %s \"$value\"", fish_word(value));
        let output = Command::new("fish").args(["--no-config", "-c", &code]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn hostile_values_survive_real_shells() {
        for value in HOSTILE {
            for shell in ["sh", "bash", "zsh"] {
                assert_eq!(through_a_shell(shell, value), *value, "{shell}");
            }
            assert_eq!(through_fish(value), *value, "fish");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_value_survives_a_real_shell(value in value()) {
            for shell in ["sh", "bash", "zsh"] {
                prop_assert_eq!(&through_a_shell(shell, &value), &value, "{}", shell);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_value_survives_fish(value in value()) {
            prop_assert_eq!(through_fish(&value), value);
        }
    }

    /// There is no PowerShell here; the rule is its source's.
    #[test]
    fn powershell_strings() {
        for (value, expected) in [
            ("", "''"),
            ("a$b`c\"d\\", "'a$b`c\"d\\'"),
            ("it's", "'it''s'"),
            ("‘a’ ‚b‛", "'‘‘a’’ ‚‚b‛‛'"),
            ("“a”", "'“a”'"),
            ("a\nb", "('a' + [char]10 + 'b')"),
            ("\n", "('' + [char]10 + '')"),
            ("it's\r\n\u{2028}", "('it''s' + [char]13 + '' + [char]10 + '' + [char]8232 + '')"),
        ] {
            assert_eq!(powershell_word(value), expected);
        }
    }

    /// What python-dotenv 1.x and dotenv 18 (npm) read back as it was.
    #[test]
    fn dotenv_values() {
        for (value, expected) in [
            ("", Some("")),
            ("wJalr/UtnFEMI+K7MDENG==", Some("wJalr/UtnFEMI+K7MDENG==")),
            ("2026-11-24T15:00:00Z", Some("2026-11-24T15:00:00Z")),
            ("/home/ann b/x", Some("'/home/ann b/x'")),
            ("a#b `d` \"e\" !", Some("'a#b `d` \"e\" !'")),
            ("${HOME} x", None),
            ("é", Some("'é'")),
            ("it's", None),
            ("a\\b", None),
            ("a\nb", None),
        ] {
            assert_eq!(dotenv_value(value).as_deref(), expected, "{value:?}");
        }
    }
}
