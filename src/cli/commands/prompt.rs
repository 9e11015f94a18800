//! `eksd prompt`: the segment, for prompt programs that start one.
//!
//! Reads the file that the agent keeps up to date and subtracts, as the hooks in `shell/` do: no
//! agent, no socket, nothing that can hang. `--tell` is the other direction: a shell says what it
//! uses.

use std::{
    fmt::Write as _,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    cli::{
        args::{PromptArgs, PromptFormat},
        door::Call,
        exit::Done,
        instant, output,
    },
    ipc::{
        client::Client,
        wire::{Empty, Request, UseParams},
    },
    model::{prompt::FORMAT, text::printable},
    report::{Code, Report},
};

/// A shell's background job shall not pile up behind an agent that hangs.
const TELL_LIMIT: Duration = Duration::from_millis(200);

/// Files larger than this are none of the agent's.
const LARGEST_FILE: u64 = 4096;

/// Longer names get no prompt file.
const LONGEST_NAME: usize = 200;

/// Runs `eksd prompt`.
pub fn run(call: &Call, args: &PromptArgs) -> Done {
    if args.tell {
        tell(call, args);
        return Ok(0);
    }
    let segment = used(call, args.name.as_deref())
        .and_then(|(kind, name)| Segment::read(&call.paths.prompt_dir, kind, &name));
    let now = instant().as_second();
    match (segment, args.format) {
        (Some(segment), PromptFormat::Json) => {
            let json = serde_json::to_string(&segment.json(now)).map_err(|error| {
                Report::new(Code::Internal, "the segment cannot be written", "report this as a bug")
                    .because(error.to_string())
            })?;
            output::data(json + "\n")?;
        }
        (None, PromptFormat::Json) => output::data("null\n")?,
        (Some(segment), format) => {
            let colour = call.env.no_color.is_none() && call.env.term.as_deref() != Some("dumb");
            output::data(segment.drawn(format, colour, now) + "\n")?;
        }
        // A prompt never shows an error.
        (None, _) => (),
    }
    Ok(0)
}

/// Says what a shell uses, if somebody listens; silent whatever comes of it.
fn tell(call: &Call, args: &PromptArgs) {
    let until = Instant::now() + TELL_LIMIT;
    let params = UseParams { profile: args.profile.clone(), cluster: args.cluster.clone() };
    if call.no_agent || params == UseParams::default() {
        return;
    }
    if let Ok(mut client) = Client::connect(&call.paths.socket, TELL_LIMIT) {
        let left = until.saturating_duration_since(Instant::now());
        drop(client.ask::<Empty>(Request::Use(params), left));
    }
}

/// What a segment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Profile,
    Cluster,
}

/// Returns what is asked for, else what this shell uses: its cluster, else its profile.
fn used(call: &Call, name: Option<&str>) -> Option<(Kind, String)> {
    if let Some(name) = name {
        let is_cluster = file_name(Kind::Cluster, name)
            .is_some_and(|file| call.paths.prompt_dir.join(file).exists());
        // A cluster wins over a profile of the same name, as everywhere.
        let kind = if is_cluster { Kind::Cluster } else { Kind::Profile };
        return Some((kind, name.to_owned()));
    }
    let cluster = call.env.kubeconfig.as_deref().and_then(|list| {
        // What is kept for one shell or command stands first; of the clusters' files the first counts.
        let mut files = std::env::split_paths(list);
        let file = files.find(|file| !file.starts_with(call.paths.overlay_dir()))?;
        let file = file.strip_prefix(&call.paths.kubeconfig_dir).ok()?;
        let alias = file.to_str()?.strip_suffix(".yaml")?;
        (!alias.contains('/')).then(|| (Kind::Cluster, alias.to_owned()))
    });
    cluster.or_else(|| Some((Kind::Profile, call.env.profile()?.to_owned())))
}

/// Returns the name of the prompt file: bytes other than `[A-Za-z0-9._@+-]` become `%XX`. The agent
/// and the hooks compute the same.
fn file_name(kind: Kind, name: &str) -> Option<String> {
    let mut file = String::from(if kind == Kind::Cluster { "c." } else { "p." });
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'@' | b'+' | b'-' => {
                file.push(char::from(byte));
            }
            _ => drop(write!(file, "%{byte:02X}")),
        }
    }
    (file.len() - 2 <= LONGEST_NAME).then_some(file)
}

/// A prompt line, taken apart; see [`crate::model::prompt`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    kind: Kind,
    phase: String,
    expiring_at: i64,
    good_until: i64,
    trust_until: i64,
    confidence: String,
    label: String,
}

/// How much a segment wants to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Calm,
    Warning,
    Alarm,
}

impl Segment {
    fn read(dir: &Path, kind: Kind, name: &str) -> Option<Self> {
        let path = dir.join(file_name(kind, name)?);
        // Waits for nobody: a pipe in the file's place is an end at once.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        let mut text = String::new();
        file.take(LARGEST_FILE).read_to_string(&mut text).ok()?;
        Self::parse(kind, &text)
    }

    fn parse(kind: Kind, text: &str) -> Option<Self> {
        let mut fields = text.lines().next()?.splitn(7, '|');
        fields.next().filter(|format| *format == FORMAT)?;
        let phase = fields.next()?.to_owned();
        let mut instant = || fields.next()?.parse().ok().filter(|at| 0 <= *at);
        let (expiring_at, good_until, trust_until) = (instant()?, instant()?, instant()?);
        let confidence = fields.next()?.to_owned();
        let label = fields.next().filter(|label| !label.is_empty()).map(printable)?;
        Some(Self { kind, phase, expiring_at, good_until, trust_until, confidence, label })
    }

    /// Returns the word or the time that follows the name, and how it wants to be seen.
    fn state(&self, now: i64) -> (String, Tone) {
        let has_come = |at: i64| at != 0 && at <= now;
        let word = match self.phase.as_str() {
            "needs-login" => "login",
            "needs-mfa" => "mfa",
            "expired" => "expired",
            "misconfigured" => "config",
            "fresh" | "renewing" | "expiring" | "degraded" | "idle" | "static" => {
                if has_come(self.trust_until) {
                    "?"
                } else if has_come(self.good_until) {
                    "login"
                } else {
                    return self.time(now);
                }
            }
            _ => "?",
        };
        let tone = if word == "?" { Tone::Warning } else { Tone::Alarm };
        (word.to_owned(), tone)
    }

    fn time(&self, now: i64) -> (String, Tone) {
        let left = self.good_until - now;
        let mut time = match left {
            _ if self.good_until == 0 => String::new(),
            172_800.. => format!("{}d", left / 86_400),
            3_600.. => format!("{}h{:02}m", left / 3_600, left % 3_600 / 60),
            60.. => format!("{}m", left / 60),
            _ => format!("{left}s"),
        };
        if !time.is_empty() && self.confidence == "estimated" {
            time.insert(0, '~');
        }
        let is_soon = self.expiring_at != 0 && self.expiring_at <= now;
        if is_soon || self.phase == "expiring" || self.phase == "degraded" {
            return (time + "!", Tone::Warning);
        }
        (time, Tone::Calm)
    }

    fn drawn(&self, format: PromptFormat, colour: bool, now: i64) -> String {
        let mark = match self.kind {
            Kind::Cluster => '⎈',
            Kind::Profile => '☁',
        };
        let (state, tone) = self.state(now);
        let gap = if state.is_empty() { "" } else { " " };
        let label = match format {
            PromptFormat::Plain | PromptFormat::Json => self.label.clone(),
            PromptFormat::Zsh => harmless_in_prompts(&self.label).replace('%', "%%"),
            PromptFormat::Bash => harmless_in_prompts(&self.label),
        };
        let text = format!("{mark} {label}{gap}{state}");
        let name = match tone {
            Tone::Calm => "green",
            Tone::Warning => "yellow",
            Tone::Alarm => "red",
        };
        match format {
            PromptFormat::Plain | PromptFormat::Json => text,
            _ if !colour => text,
            PromptFormat::Zsh => format!("%F{{{name}}}{text}%f"),
            PromptFormat::Bash => {
                let code = match tone {
                    Tone::Calm => 32,
                    Tone::Warning => 33,
                    Tone::Alarm => 31,
                };
                // \001 and \002 are what `\[` and `\]` turn into; bash does not turn them in what
                // `$(…)` brings.
                format!("\x01\x1b[{code}m\x02{text}\x01\x1b[0m\x02")
            }
        }
    }

    fn json(&self, now: i64) -> Json<'_> {
        let (state, _) = self.state(now);
        let instant = |at: i64| {
            let at = jiff::Timestamp::from_second(at).ok().filter(|_| at != 0);
            at.map(|at| at.to_string())
        };
        Json {
            kind: self.kind,
            name: &self.label,
            phase: &self.phase,
            good_until: instant(self.good_until),
            confidence: &self.confidence,
            is_trusted: self.trust_until == 0 || now < self.trust_until,
            text: self.drawn(PromptFormat::Plain, false, now),
            state,
        }
    }
}

/// `eksd prompt --format json`.
#[derive(Serialize)]
struct Json<'a> {
    kind: Kind,
    name: &'a str,
    phase: &'a str,
    good_until: Option<String>,
    confidence: &'a str,
    is_trusted: bool,
    state: String,
    text: String,
}

/// Whether a shell expands its prompt once more depends on its options and on how the segment got
/// there; what could start a program then has no place in a name.
fn harmless_in_prompts(name: &str) -> String {
    name.replace(['$', '`', '\\', '!'], "?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    fn segment(line: &str) -> Segment {
        Segment::parse(Kind::Cluster, line).unwrap()
    }

    #[test]
    fn segments() {
        for (line, expected) in [
            ("eksd1|fresh|7000|8040|0|exact|prod-eu", "⎈ prod-eu 2h14m"),
            ("eksd1|fresh|7000|8040|0|estimated|prod-eu\n", "⎈ prod-eu ~2h14m"),
            ("eksd1|fresh|0|540|0|exact|prod-eu", "⎈ prod-eu 9m"),
            ("eksd1|expiring|0|540|0|exact|prod-eu", "⎈ prod-eu 9m!"),
            ("eksd1|degraded|0|540|0|exact|prod-eu", "⎈ prod-eu 9m!"),
            ("eksd1|fresh|-1|540|0|exact|prod-eu", ""),
            ("eksd1|fresh|0|42|0|exact|x", "⎈ x 42s"),
            ("eksd1|fresh|0|172800|0|exact|x", "⎈ x 2d"),
            ("eksd1|fresh|0|172799|0|exact|x", "⎈ x 47h59m"),
            ("eksd1|idle|0|0|0|unknown|x", "⎈ x"),
            ("eksd1|static|0|0|0|exact|x", "⎈ x"),
            ("eksd1|needs-login|0|0|0|exact|x", "⎈ x login"),
            ("eksd1|needs-mfa|0|0|0|exact|x", "⎈ x mfa"),
            ("eksd1|expired|0|0|0|exact|x", "⎈ x expired"),
            ("eksd1|misconfigured|0|0|0|exact|x", "⎈ x config"),
            ("eksd1|from-the-future|0|0|0|exact|x", "⎈ x ?"),
            ("eksd1|fresh|0|0|0|exact|a|b", "⎈ a|b"),
            ("eksd2|fresh|0|0|0|exact|x", ""),
            ("eksd1|fresh|0|0|0|exact|", ""),
            ("eksd1|fresh|0|0|exact|x", ""),
            ("", ""),
        ] {
            let drawn = Segment::parse(Kind::Cluster, line)
                .map(|segment| segment.drawn(PromptFormat::Plain, false, 0));
            assert_eq!(drawn.unwrap_or_default(), expected, "{line}");
        }
    }

    #[test]
    fn time_goes_on_without_the_agent() {
        let segment = segment("eksd1|fresh|1000|2000|3000|exact|x");
        for (now, expected, tone) in [
            (999, "16m", Tone::Calm),
            (1000, "16m!", Tone::Warning),
            (1999, "1s!", Tone::Warning),
            (2000, "login", Tone::Alarm),
            (3000, "?", Tone::Warning),
        ] {
            assert_eq!(segment.state(now), (expected.to_owned(), tone), "{now}");
        }
    }

    #[test]
    fn names_are_escaped_for_the_shell() {
        let segment = segment("eksd1|expiring|0|60|0|exact|%F{red}$(id)`id`\\[!x");
        for (format, expected) in [
            (PromptFormat::Plain, "⎈ %F{red}$(id)`id`\\[!x 1m!"),
            (PromptFormat::Zsh, "⎈ %%F{red}?(id)?id??[?x 1m!"),
            (PromptFormat::Bash, "⎈ %F{red}?(id)?id??[?x 1m!"),
        ] {
            assert_eq!(segment.drawn(format, false, 0), expected);
        }
    }

    #[test]
    fn colours() {
        let segment = segment("eksd1|fresh|0|60|0|exact|x");
        assert_eq!(segment.drawn(PromptFormat::Zsh, true, 0), "%F{green}⎈ x 1m%f");
        assert_eq!(
            segment.drawn(PromptFormat::Bash, true, 0),
            "\x01\x1b[32m\x02⎈ x 1m\x01\x1b[0m\x02"
        );
    }

    #[test]
    fn file_names() {
        for (kind, name, expected) in [
            (Kind::Profile, "dev", Some("p.dev")),
            (Kind::Cluster, "a/b c%é", Some("c.a%2Fb%20c%25%C3%A9")),
            (Kind::Profile, &"x".repeat(201), None),
        ] {
            assert_eq!(file_name(kind, name).as_deref(), expected);
        }
    }

    #[test]
    fn what_a_shell_uses() {
        let used_in = |pairs: &[(&str, &str)], name| {
            let home = [("HOME", "/home/ann")];
            let env = Env::from_map(home.iter().chain(pairs).copied());
            used(&Call::new(&env, false).unwrap(), name)
        };
        let owned = |kind, name: &str| Some((kind, name.to_owned()));
        let demo = "/home/ann/.kube/eksd/demo.yaml";
        for (pairs, expected) in [
            (&[][..], None),
            (&[("AWS_PROFILE", "dev")], owned(Kind::Profile, "dev")),
            (&[("AWS_PROFILE", "dev"), ("KUBECONFIG", demo)], owned(Kind::Cluster, "demo")),
            (
                &[("AWS_PROFILE", "dev"), ("KUBECONFIG", "/home/ann/.kube/config")],
                owned(Kind::Profile, "dev"),
            ),
            (
                &[("KUBECONFIG", "/home/ann/.kube/eksd/a.yaml:/home/ann/.kube/eksd/b.yaml")],
                owned(Kind::Cluster, "a"),
            ),
            (
                &[
                    ("KUBECONFIG", "/r/shell/12-34.yaml:/home/ann/.kube/eksd/a.yaml"),
                    ("EKSD_RUNTIME_DIR", "/r"),
                ],
                owned(Kind::Cluster, "a"),
            ),
            (&[("KUBECONFIG", "/home/ann/.kube/config:/home/ann/.kube/eksd/a.yaml")], None),
        ] {
            assert_eq!(used_in(pairs, None), expected, "{pairs:?}");
        }
        assert_eq!(
            used_in(&[("AWS_PROFILE", "dev")], Some("other")),
            owned(Kind::Profile, "other")
        );
    }
}
