//! The README says what the code does: settings, variables, and commands that exist.

use std::{collections::BTreeSet, process::Command};

use eksd::config::{Env, Settings};

use crate::source::read;

/// Returns the text below a heading of the README, up to the next one of any level.
#[track_caller]
fn section(heading: &str) -> String {
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("README.md has no section `{heading}`"));
    rest.split("\n## ").next().unwrap().to_owned()
}

/// Returns what stands in backticks in the first column of a section's tables.
fn first_column(section: &str) -> BTreeSet<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn set<T: Into<String>>(items: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    items.into_iter().map(Into::into).collect()
}

#[test]
fn settings_are_those_of_the_code() {
    let code = read("src/config/settings.rs");
    let documented = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// `[")?.split('`').next())
        .map(|key| format!("[{key}"));
    assert_eq!(first_column(&section("Settings")), set(documented));
}

#[test]
fn the_settings_example_holds_the_defaults() {
    let section = section("Settings");
    let (_, example) = section.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert_eq!(Settings::parse(example, "README.md").unwrap(), Settings::default());
}

#[test]
fn environment_variables_are_those_of_the_code() {
    let listed = first_column(&section("Environment variables"));
    assert_eq!(listed, &set(Env::NAMES.iter().copied()) | &shell_variables());
}

/// Returns the variables of eksd's own that the shell hooks name.
fn shell_variables() -> BTreeSet<String> {
    let hooks = read("shell/eksd.zsh") + &read("shell/eksd.bash");
    let names = hooks.match_indices("EKSD_").filter(|(at, _)| {
        hooks[..*at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_')
    });
    names
        .map(|(at, _)| {
            let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
            hooks[at..].chars().take_while(|c| is_part(*c)).collect()
        })
        .collect()
}

#[test]
fn exit_codes_are_listed() {
    let section = section("Exit codes");
    for code in ["0", "1", "2", "3", "10", "11", "12", "13", "14", "15", "126, 127"] {
        assert!(section.contains(&format!("| {code} |")), "exit code {code}");
    }
}

/// Each `eksd …` of a shell example is tried with `--help` behind it, which the parser only reaches
/// when it knows every word before; before a `--`, for what comes after that is not eksd's.
#[test]
fn the_commands_of_the_examples_exist() {
    let mut tried = 0;
    for file in ["README.md", "CONTRIBUTING.md", "SECURITY.md"] {
        for command in commands(&read(file)) {
            let own = command.split(|word| word == "--").next().unwrap_or_default();
            let output = Command::new(env!("CARGO_BIN_EXE_eksd"))
                .args(own)
                .arg("--help")
                .env_clear()
                .output()
                .unwrap();
            let help = String::from_utf8_lossy(&output.stdout);
            let is_known = output.status.success() && help.contains("Usage: eksd");
            let why = String::from_utf8_lossy(&output.stderr);
            assert!(is_known, "{file}: `eksd {}`: {why}{help}", command.join(" "));
            tried += 1;
        }
    }
    assert!(5 < tried, "only {tried} commands were found");
}

/// Returns the words behind `eksd` of each command in the `sh` blocks of a document.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for line in block.lines() {
            let line = line.split(" #").next().unwrap_or_default();
            let starts = line.match_indices("eksd ").filter(|(at, _)| {
                line[..*at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == '(')
            });
            for (at, name) in starts {
                let rest = &line[at + name.len()..];
                let end = rest.find([')', '|', ';', '&', '>']).unwrap_or(rest.len());
                found.push(rest[..end].split_whitespace().map(str::to_owned).collect());
            }
        }
    }
    found
}

#[test]
fn commands_are_found() {
    let text = "```sh\neval \"$(eksd init zsh)\"   # eksd in a comment\neksd status --json | jq .\n\
                cargo install eksd-agent\n```\neksd not in a block\n";
    assert_eq!(commands(text), [vec!["init", "zsh"], vec!["status", "--json"]]);
}
