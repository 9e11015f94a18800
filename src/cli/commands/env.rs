//! `eksd env`: a profile's keys as variables.
//!
//! They are a copy that ends; for what runs longer there is `eksd exec`, and it says so.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    cli::{
        args::{EnvArgs, EnvFormat},
        asks,
        door::{ANSWER_LIMIT, Call},
        exit::{Done, stop},
        now, output,
        quote::{dotenv_value, fish_word, powershell_word, shell_word},
        variables::Change,
        view::until_in_words,
    },
    ipc::wire::Confidence,
    model::text::printable,
    report::{Code, Report},
};

/// Room for all of it: growing would leave copies of secrets behind.
const ROOM: usize = 16 * 1024;

/// Runs `eksd env`.
pub fn run(call: &Call, args: &EnvArgs) -> Done {
    let asked = asks::resolve(call, &args.name, None).and_then(|resolved| {
        Ok((asks::credentials(call, &resolved.profile, ANSWER_LIMIT)?, resolved))
    });
    let (keys, resolved) = match asked {
        Ok(answers) => answers,
        Err(report) => return Ok(stop(&report)),
    };
    let text = render(&Change::to_hold(&resolved, &keys), args.format)?;
    output::data(text.as_bytes())?;
    let end = keys.expiration.as_deref();
    if let Some(end) = until_in_words(end, Confidence::Exact, &now()) {
        let name = printable(&args.name);
        output::talk(format!(
            "eksd: these keys end at {end} and do not renew; `eksd exec {name} -- COMMAND` renews"
        ));
    }
    Ok(0)
}

/// Writes a change for a reader.
pub(super) fn render(change: &Change, format: EnvFormat) -> Result<Zeroizing<String>, Report> {
    let mut text = Zeroizing::new(String::with_capacity(ROOM));
    if format == EnvFormat::Json {
        text.push_str(&json(change));
        return Ok(text);
    }
    for name in change.gone() {
        match format {
            EnvFormat::Sh => text.push_str(&format!("unset {name}\n")),
            // Silent where there is none. `set -e` alone erases the innermost and brings to light what
            // stands behind it.
            EnvFormat::Fish => {
                text.push_str(&format!("set -eg {name}; set -eU {name}\n"));
            }
            EnvFormat::Powershell => {
                text.push_str(&format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue\n"));
            }
            // Such a file only adds.
            EnvFormat::Dotenv | EnvFormat::Json => (),
        }
    }
    for (name, value) in change.come() {
        let (start, word) = match format {
            EnvFormat::Sh => (format!("export {name}="), shell_word(value)),
            EnvFormat::Fish => (format!("set -gx {name} "), fish_word(value)),
            EnvFormat::Powershell => (format!("$env:{name} = "), powershell_word(value)),
            EnvFormat::Dotenv | EnvFormat::Json => {
                (format!("{name}="), dotenv_value(value).ok_or_else(|| not_for_dotenv(name))?)
            }
        };
        text.push_str(&start);
        text.push_str(&Zeroizing::new(word));
        text.push('\n');
    }
    Ok(text)
}

/// A wrong value would be found out by a refusal of AWS, far from here.
fn not_for_dotenv(name: &str) -> Report {
    let what =
        format!("`{name}` cannot be written so that every reader of env files reads the same");
    let fix = "use `--format json`, or `eksd exec`";
    Report::new(Code::Usage, what, fix)
        .because("its value holds a quote, a dollar sign, a backslash or a line end")
}

fn json(change: &Change) -> String {
    let gone = change.gone().map(|name| (name.to_owned(), Value::Null));
    let come = change.come().map(|(name, value)| (name.to_owned(), Value::from(value)));
    let object: Map<String, Value> = gone.chain(come).collect();
    format!("{:#}\n", Value::Object(object))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A change of three variables, one of them of any value.
    fn change(value: &str) -> Change {
        let mut change = Change::default();
        change.unset("AWS_PROFILE");
        change.set("AWS_REGION", value);
        change.set("AWS_ACCESS_KEY_ID", "ASIA1");
        change
    }

    #[test]
    fn each_reader_has_its_form() {
        for (format, expected) in [
            (
                EnvFormat::Sh,
                "unset AWS_PROFILE\nexport AWS_REGION='it'\\''s'\nexport AWS_ACCESS_KEY_ID='ASIA1'\n",
            ),
            (
                EnvFormat::Fish,
                "set -eg AWS_PROFILE; set -eU AWS_PROFILE\nset -gx AWS_REGION 'it\\'s'\nset -gx AWS_ACCESS_KEY_ID 'ASIA1'\n",
            ),
            (
                EnvFormat::Powershell,
                "Remove-Item Env:AWS_PROFILE -ErrorAction SilentlyContinue\n\
                 $env:AWS_REGION = 'it''s'\n$env:AWS_ACCESS_KEY_ID = 'ASIA1'\n",
            ),
            (
                EnvFormat::Json,
                "{\n  \"AWS_ACCESS_KEY_ID\": \"ASIA1\",\n  \"AWS_PROFILE\": null,\n  \"AWS_REGION\": \"it's\"\n}\n",
            ),
        ] {
            assert_eq!(render(&change("it's"), format).unwrap().as_str(), expected);
        }
        assert_eq!(
            render(&change("eu west"), EnvFormat::Dotenv).unwrap().as_str(),
            "AWS_REGION='eu west'\nAWS_ACCESS_KEY_ID=ASIA1\n"
        );
        let report = render(&change("it's"), EnvFormat::Dotenv).unwrap_err();
        assert!(report.what.starts_with("`AWS_REGION` cannot"), "{report}");
    }

    /// What the shells' manuals tell people to write, with every mode on that is a trap.
    #[test]
    fn shells_take_it() {
        let value = "a'b\"c$d`e\\f!g%h\n-é";
        for (shell, format, script) in [
            ("sh", EnvFormat::Sh, "set -eu; eval \"$code\"; set -u; "),
            ("bash", EnvFormat::Sh, "set -eu -o posix -o histexpand; eval \"$code\"; set -u; "),
            ("zsh", EnvFormat::Sh, "setopt err_exit ksh_glob bang_hist; eval \"$code\"; "),
            ("fish", EnvFormat::Fish, "printf %s \"$code\" | source; "),
        ] {
            let tail = if shell == "fish" {
                "set -q AWS_PROFILE; and echo there; printf %s $AWS_REGION"
            } else {
                "printf %s \"${AWS_PROFILE+there}$AWS_REGION\""
            };
            let mut command = Command::new(shell);
            command.args((shell == "fish").then_some("--no-config"));
            let code = render(&change(value), format).unwrap();
            command.arg("-c").arg(format!("{script}{tail}"));
            command.env("code", code.as_str()).env("AWS_PROFILE", "old");
            let output = command.output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), value, "{shell}");
        }
    }

    /// What was inherited hides what is universal, and that comes to light when the other goes.
    #[test]
    fn fish_forgets_every_scope() {
        let folder = tempfile::tempdir().unwrap();
        let code = render(&change("x"), EnvFormat::Fish).unwrap();
        let script = "set -U AWS_PROFILE older; printf %s \"$code\" | source; \
                      set -q AWS_PROFILE; and echo \"there: $AWS_PROFILE\"; printf %s $AWS_REGION";
        // Without its settings it has no universal variables.
        let mut command = Command::new("fish");
        command.args(["-c", script]).env("XDG_CONFIG_HOME", folder.path());
        command.env("code", code.as_str()).env("AWS_PROFILE", "old");
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "x");
    }
}
