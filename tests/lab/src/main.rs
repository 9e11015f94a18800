//! `eksd-lab`: the lab as a program, and the small clients that stand in for a person's tools.

mod client;
mod kube_get;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use eksd_lab::{Lab, Options, Script};
use serde_json::json;

/// Stands in for AWS and for EKS clusters on loopback.
#[derive(Debug, Parser)]
#[command(name = "eksd-lab", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT
    Serve(Serve),
    /// Play the person's browser: open a URL, follow its redirects, return at once
    Open {
        /// The URL; loopback HTTP only
        url: String,
        /// Return when the last page was read, and fail if it could not be
        #[arg(long)]
        wait: bool,
    },
    /// Ask a cluster something
    #[command(subcommand)]
    Kube(Kube),
    /// Print the MFA code of a seed
    Totp {
        /// The shared secret, base32
        seed: String,
        /// The moment in Unix seconds, if not now
        #[arg(long)]
        at: Option<i64>,
    },
    /// Talk to the control plane of the lab at `EKSD_LAB_URL`
    Ctl {
        /// state, calls, count or throttled (read without JSON); state, faults, approve, deny,
        /// revoke, clock, reset, clusters, reject, map, console or `identity_token`
        verb: String,
        /// The body; `state` with one changes the script
        json: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// The port of the AWS services; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A JSON file that replaces parts of the default script
    #[arg(long)]
    script: Option<PathBuf>,
    /// Append every finished call to this file, a JSON object a line
    #[arg(long)]
    calls: Option<PathBuf>,
    /// Write the addresses here, as JSON, once all is open
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// Serve TLS under the services' real names on this port too; 0 takes a free one
    #[arg(long)]
    tls_port: Option<u16>,
    /// Write the CA of the TLS port here, as PEM
    #[arg(long, requires = "tls_port")]
    ca_out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Kube {
    /// Print nodes (their names) or version, read with the kubeconfig's exec plugin
    Get {
        /// nodes, version, or a path such as /api/v1/pods
        what: String,
        /// The kubeconfig; else `KUBECONFIG`
        #[arg(long)]
        kubeconfig: Option<PathBuf>,
        /// The context; else the current one
        #[arg(long)]
        context: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "eksd-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> io::Result<ExitCode> {
    match command {
        Command::Serve(options) => serve(options)?,
        Command::Open { url, wait: false } => client::open_in_background(&url)?,
        Command::Open { url, wait: true } => client::visit(&url)?,
        Command::Kube(Kube::Get { what, kubeconfig, context }) => {
            return kube_get::get(&what, kubeconfig, context.as_deref());
        }
        Command::Totp { seed, at } => {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
            let at = at.unwrap_or_else(|| i64::try_from(now).unwrap_or(i64::MAX));
            let code = eksd_lab::totp(&seed, at)
                .ok_or_else(|| io::Error::other("the seed is not base32"))?;
            say(&code)?;
        }
        Command::Ctl { verb, json } => return ctl(&verb, json.as_deref()),
    }
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn serve(options: Serve) -> io::Result<()> {
    let script = match &options.script {
        Some(path) => Script::from_json(&fs::read_to_string(path)?)
            .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?,
        None => Script::default(),
    };
    // Before the first line of output, so that a signal sent after it is not lost.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let mut terminate = signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = signal(tokio::signal::unix::SignalKind::interrupt())?;
    let clusters: Vec<String> = script.clusters.iter().map(|c| c.name.clone()).collect();
    let lab = Lab::open(Options {
        script,
        port: options.port,
        tls_port: options.tls_port,
        calls: options.calls,
    })?;
    if let Some(path) = &options.ca_out {
        fs::write(path, lab.ca_pem())?;
    }
    let kubes: serde_json::Map<String, serde_json::Value> =
        clusters.iter().map(|name| (name.clone(), lab.kube_url(name).into())).collect();
    let ready = json!({"url": lab.url(), "tls_url": lab.tls_url(), "kubes": kubes});
    if let Some(path) = &options.ready_file {
        // Renamed into place: whoever sees the file sees all of it.
        let fresh = path.with_extension("new");
        fs::write(&fresh, ready.to_string())?;
        fs::rename(fresh, path)?;
    }
    say(&format!("eksd-lab ready {ready}"))?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    Ok(())
}

fn signal(kind: tokio::signal::unix::SignalKind) -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(kind)
}

fn ctl(verb: &str, body: Option<&str>) -> io::Result<ExitCode> {
    let base = std::env::var("EKSD_LAB_URL")
        .map_err(|_| io::Error::other("EKSD_LAB_URL is not set: the URL that `serve` printed"))?;
    let page = verb.split('?').next().unwrap_or_default();
    let method = if body.is_none() && ["state", "calls", "count", "throttled"].contains(&page) {
        "GET"
    } else {
        "POST"
    };
    let url = format!("{}/_lab/{verb}", base.trim_end_matches('/'));
    let answer = client::fetch(method, &url, body.unwrap_or_default())?;
    say(answer.body.trim_end())?;
    Ok(if answer.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
