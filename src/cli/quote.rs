//! Text in shell code.

/// Returns `value` as one word for any POSIX shell, whatever it holds.
pub(super) fn shell_word(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
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
    fn history_and_newlines() {
        for shell in ["sh", "bash", "zsh"] {
            for value in ["!!", "a\nb\n", "-n", "~", "%s\\n", "'''"] {
                assert_eq!(through_a_shell(shell, value), value, "{shell}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_value_survives_a_real_shell(value in "[^\0]{0,40}") {
            prop_assert_eq!(through_a_shell("sh", &value), value);
        }
    }
}
