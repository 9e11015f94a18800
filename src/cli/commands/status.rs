//! `eksd status`: what is good, until when, and what to do.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use crate::{
    cli::{
        args::StatusArgs,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::{Done, of_phases},
        interrupt::Interrupt,
        now,
        output::{self, Canvas, Stop},
        screen::Screen,
        view::{Look, render},
    },
    ipc::{
        client::{Client, Heard, silent},
        wire::{Notification, Phase, Request, StatusAnswer, StatusParams},
    },
    report::{Code, Report},
};

/// Runs `eksd status`.
pub fn run(call: &Call, args: &StatusArgs) -> Done {
    if args.watch {
        if call.no_agent {
            let what = "`--watch` shows what an agent does, and there is none to be asked";
            return Err(Report::new(Code::Usage, what, "leave `--no-agent` out").into());
        }
        return watch(call, args, door::open(call, Wish::Served)?.client());
    }
    let request = Request::Status(params(args));
    let answer: StatusAnswer = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    if args.check {
        return Ok(of_phases(phases(&answer, !args.names.is_empty())));
    }
    output::data(text(call, args, &answer, output::canvas(&call.env))?)?;
    Ok(0)
}

fn params(args: &StatusArgs) -> StatusParams {
    StatusParams { names: args.names.clone() }
}

/// Returns the phases that count: of what was named, else of what is in use, else of all.
pub(super) fn phases(answer: &StatusAnswer, is_named: bool) -> Vec<Phase> {
    let in_use = answer.profiles.iter().filter(|profile| profile.in_use);
    let used: Vec<Phase> = in_use.map(|profile| profile.phase).collect();
    if !is_named && !used.is_empty() {
        return used;
    }
    let profiles = answer.profiles.iter().map(|profile| profile.phase);
    profiles.chain(answer.clusters.iter().map(|cluster| cluster.phase)).collect()
}

fn text(
    call: &Call,
    args: &StatusArgs,
    answer: &StatusAnswer,
    canvas: Canvas,
) -> Result<String, Report> {
    if args.json {
        let json = if args.watch {
            serde_json::to_string(answer)
        } else {
            serde_json::to_string_pretty(answer)
        };
        return json.map(|json| json + "\n").map_err(|error| {
            Report::new(Code::Internal, "the status cannot be written", "report this as a bug")
                .because(error.to_string())
        });
    }
    let paths = &call.paths;
    let look = Look {
        width: canvas.width,
        colour: canvas.colour,
        now: now(),
        all: args.all || !args.names.is_empty(),
        verbose: args.verbose,
        sources: format!(
            "{} and {}",
            paths.shown(&paths.aws_config),
            paths.shown(&paths.aws_credentials)
        ),
    };
    Ok(render(answer, &look))
}

/// Stays: on a screen redraws each second, into a pipe prints at each change.
fn watch(call: &Call, args: &StatusArgs, client: &mut Client) -> Done {
    let interrupt = Interrupt::listen()?;
    let canvas = output::canvas(&call.env);
    let mut screen = if canvas.is_screen && !args.json { Some(Screen::enter()?) } else { None };
    let mut id = client.send(Request::Subscribe(params(args)), Instant::now() + ANSWER_LIMIT)?;
    let mut answer: Option<StatusAnswer> = None;
    let mut asked_at = Some(Instant::now());
    let mut changed_since = false;
    loop {
        let limit = asked_at.map(|at| at + ANSWER_LIMIT);
        let tick = screen.as_ref().map(|_| Instant::now() + Duration::from_secs(1));
        let until = [limit, tick].into_iter().flatten().min();
        match client.hear::<StatusAnswer>(id, until, &[interrupt.as_fd()])? {
            Heard::Answer(new) => {
                asked_at = None;
                if screen.is_none() && answer.as_ref() != Some(&new) {
                    show_block(call, args, &new, answer.is_some())?;
                }
                answer = Some(new);
            }
            Heard::Notification(Notification::Changed(_)) => changed_since = true,
            Heard::Notification(_) => (),
            Heard::Late => {
                if limit.is_some_and(|limit| limit <= Instant::now()) {
                    return Err(silent(ANSWER_LIMIT).into());
                }
            }
            Heard::Other(_) => return Ok(0),
        }
        // One question at a time, however many changes come.
        if changed_since && asked_at.is_none() {
            id = client.send(Request::Status(params(args)), Instant::now() + ANSWER_LIMIT)?;
            asked_at = Some(Instant::now());
            changed_since = false;
        }
        if let (Some(screen), Some(answer)) = (&mut screen, &answer) {
            let canvas = output::canvas(&call.env);
            screen.draw(&text(call, args, answer, canvas)?, output::height())?;
        }
    }
}

fn show_block(
    call: &Call,
    args: &StatusArgs,
    answer: &StatusAnswer,
    is_later: bool,
) -> Result<(), Stop> {
    let block = text(call, args, answer, output::canvas(&call.env))?;
    let gap = if is_later && !args.json { "\n" } else { "" };
    output::data(format!("{gap}{block}"))
}
