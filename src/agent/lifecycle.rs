//! The program `eksd-agent`: one agent a user, found by its socket, alone by its lock.
//!
//! Order at the start: private folders, lock, stale socket away, bind, ready. The lock is held for life
//! and freed by the kernel, so a file left by a dead agent means nothing.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::ExitCode,
    time::Duration,
};

use interprocess::local_socket::{GenericFilePath, ListenerOptions, prelude::*, tokio::Listener};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{Env, Paths},
    ipc::wire::{AgentLine, RpcError, Startup},
    report::{Code, Report},
    store::{atomic, lock::Lock, overlays},
    world::{Life, World},
};

/// After a signal, what is under way may take this long to end.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// The log is moved aside at the start when it is larger.
const LARGEST_LOG: u64 = 1 << 20;

/// File workers at once: reads and writes of small files.
const FILE_WORKERS: usize = 8;

const USAGE: &str = "usage: eksd-agent run [--background] | eksd-agent once | eksd-agent --version";

/// Runs the program with the arguments after its name.
pub fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.map(|it| it.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["run"] => background(false),
        ["run", "--background"] => background(true),
        ["once"] => once().inspect_err(answer_failure),
        ["--version"] => {
            say(&format!("eksd-agent {}", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
        _ => Err(Report::new(Code::Usage, "eksd-agent is started by eksd", USAGE)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            complain(&report);
            ExitCode::from(report.code.exit_code())
        }
    }
}

/// Says a line on stdout; whether anybody listens is their business.
fn say(text: &str) {
    let _hung_up = writeln!(io::stdout(), "{text}");
}

/// Tells the client, which sees only what is said on the pipe, why nobody answers it.
fn answer_failure(report: &Report) {
    let error = RpcError { code: -32_000, message: report.what.clone(), data: report.clone() };
    let line = AgentLine::<()>::Failure { jsonrpc: "2.0".to_owned(), id: None, error };
    if let Ok(line) = serde_json::to_string(&line) {
        say(&line);
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a program that cannot go on")]
fn complain(report: &Report) {
    eprintln!("{report}");
}

/// Keeps secrets out of core files and away from debuggers of the same user, and files private.
fn harden() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _kept = rustix::process::setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _kept = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

fn runtime() -> Result<tokio::runtime::Runtime, Report> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(FILE_WORKERS)
        .thread_keep_alive(Duration::from_secs(5))
        .build()
        .map_err(|error| internal("no runtime", &error))
}

fn internal(what: &str, error: &dyn std::fmt::Display) -> Report {
    Report::new(Code::Internal, what, "free some memory and descriptors, and try again")
        .because(error.to_string())
}

/// Serves one client on stdin and stdout.
fn once() -> Result<(), Report> {
    harden();
    let env = Env::from_process();
    log_to_stderr(&env);
    let world = World::real(&env, Life::Once)?;
    let runtime = runtime()?;
    let shutdown = CancellationToken::new();
    let (reader, writer) = (tokio::io::stdin(), tokio::io::stdout());
    runtime.block_on(super::run_once(world, reader, writer, shutdown));
    // A thread that still waits for stdin cannot be joined.
    runtime.shutdown_background();
    Ok(())
}

fn background(detached: bool) -> Result<(), Report> {
    harden();
    if detached {
        // Out of the terminal's session: closing the window or Ctrl-C there must not end it.
        let _leader_already = rustix::process::setsid();
    }
    let begun = begin(detached);
    if detached {
        tell(&match &begun {
            Ok(Begun::Agent(_)) => Startup::Ready,
            Ok(Begun::AlreadyRunning) => Startup::AlreadyRunning,
            Err(report) => Startup::Failed(report.clone()),
        });
    }
    match begun? {
        Begun::Agent(agent) => {
            agent.run();
            Ok(())
        }
        Begun::AlreadyRunning if detached => Ok(()),
        Begun::AlreadyRunning => Err(Report::new(
            Code::AgentUnavailable,
            "another agent is running already",
            "`eksd agent status` shows it; `eksd agent stop` ends it",
        )),
    }
}

/// Says one line to whoever started the agent, then lets go of their pipe.
fn tell(word: &Startup) {
    let mut stdout = io::stdout();
    if let Ok(line) = serde_json::to_string(word) {
        let _gone = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _kept = rustix::stdio::dup2_stdout(&null);
    }
}

enum Begun {
    Agent(Box<Ready>),
    AlreadyRunning,
}

/// An agent that is about to run.
struct Ready {
    runtime: tokio::runtime::Runtime,
    world: World,
    listener: Listener,
    _lock: Lock,
}

fn begin(detached: bool) -> Result<Begun, Report> {
    let env = Env::from_process();
    let paths = Paths::new(&env)?;
    for folder in paths.private_dirs() {
        atomic::ensure_private_dir(folder)?;
    }
    // The folders of the AWS tools belong to the person; they are made so that they can be watched.
    for folder in [&paths.sso_cache_dir, &paths.kubeconfig_dir] {
        if let Err(error) = atomic::ensure_dir(folder) {
            tracing::warn!(%error, "folder not made");
        }
    }
    if detached {
        log_to_file(&env, &paths.log)?;
    } else {
        log_to_stderr(&env);
    }
    let Some(lock) = Lock::try_on(&paths.lock)? else { return Ok(Begun::AlreadyRunning) };
    let runtime = runtime()?;
    let world = World::real(&env, Life::Long)?;
    let listener = {
        let _context = runtime.enter();
        bind(&paths.socket)?
    };
    for folder in [
        &paths.prompt_dir,
        &paths.kubeconfig_dir,
        &paths.state_dir,
        &paths.sso_cache_dir,
        &paths.login_cache_dir,
    ] {
        let _nothing_to_sweep = atomic::sweep_temps(folder);
    }
    let _nothing_to_sweep = overlays::sweep(&paths.overlay_dir());
    Ok(Begun::Agent(Box::new(Ready { runtime, world, listener, _lock: lock })))
}

impl Ready {
    fn run(self) {
        let Self { runtime, world, listener, _lock } = self;
        // Keeps no file system busy. Not earlier: paths in the environment may be relative.
        let _kept = rustix::process::chdir("/");
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "the agent runs");
        let shutdown = CancellationToken::new();
        runtime.block_on(async {
            tokio::spawn(cancel_on_signal(shutdown.clone()));
            let agent = super::run(world, listener, shutdown.clone());
            let deadline = async {
                shutdown.cancelled().await;
                tokio::time::sleep(LAST_WORDS).await;
            };
            tokio::select! {
                () = agent => {}
                () = deadline => tracing::warn!("something did not end in time"),
            }
        });
        runtime.shutdown_background();
        tracing::info!("the agent has ended");
    }
}

async fn cancel_on_signal(shutdown: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
}

/// Binds the socket. Whoever holds the lock is the agent, so a socket that is there is stale.
fn bind(path: &Path) -> Result<Listener, Report> {
    let failed = |error: &dyn std::fmt::Display| {
        let what = format!("the agent cannot listen on `{}`", path.display());
        let fix = "set `EKSD_RUNTIME_DIR` to a private folder with a short path";
        Report::new(Code::AgentUnavailable, what, fix).because(error.to_string())
    };
    atomic::remove(path)?;
    let name = path.to_fs_name::<GenericFilePath>().map_err(|error| failed(&error))?;
    ListenerOptions::new().name(name).mode(0o600).create_tokio().map_err(|error| failed(&error))
}

/// What is logged: our own lines at the level asked for, of other crates only warnings. Some of them
/// print whole requests, with their secrets, at lower levels.
fn log_filter(env: &Env) -> Targets {
    let wanted = env.eksd_log.as_deref().unwrap_or_default();
    // An empty text would parse, as `error`.
    let own = Some(wanted).filter(|it| !it.is_empty()).and_then(|it| it.parse().ok());
    let own = own.unwrap_or(LevelFilter::INFO);
    Targets::new().with_target("eksd", own).with_default(LevelFilter::WARN)
}

fn log_to_stderr(env: &Env) {
    let lines = fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(false);
    let _already = tracing_subscriber::registry().with(lines).with(log_filter(env)).try_init();
}

fn log_to_file(env: &Env, path: &Path) -> Result<(), Report> {
    if path.metadata().is_ok_and(|metadata| LARGEST_LOG < metadata.len()) {
        let _kept = std::fs::rename(path, path.with_extension("log.1"));
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        let what = format!("the log `{}` cannot be written", path.display());
        Report::new(Code::WriteFailed, what, "set `EKSD_STATE_DIR` to a folder you can write")
            .because(error.to_string())
    })?;
    let file = std::sync::Mutex::new(file);
    let lines = fmt::layer().with_writer(file).with_target(false).with_ansi(false);
    let _already = tracing_subscriber::registry().with(lines).with(log_filter(env)).try_init();
    Ok(())
}
