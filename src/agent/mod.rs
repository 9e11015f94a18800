//! The background agent: holds every session, renews ahead, answers on the socket.
//!
//! [`lifecycle`] is the program; [`run`] is the agent itself, with its edges, its listener and its end
//! as parameters, so that tests call the same function.

mod adopt;
mod answers;
mod asks;
mod callback;
mod clocks;
mod clusters;
mod console;
mod discover;
mod endpoint;
mod ensure;
mod event;
pub mod explain;
mod flights;
mod kept;
mod known;
pub mod lifecycle;
mod login;
mod logout;
mod mirrored;
mod owner;
mod person;
mod process;
mod prompts;
mod refresh;
mod scribe;
mod server;
mod shared;
#[cfg(test)]
mod tests;
mod tokens;
mod uses;
mod verdict;
mod watcher;

use std::sync::Arc;

use interprocess::local_socket::tokio::Listener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use self::{clusters::Clusters, endpoint::Endpoint, event::Mailbox, owner::Agent};
use crate::{
    report::Report,
    store::{clusters as registry, state::State},
    world::World,
};

/// Runs an agent on `listener` until `shutdown` is cancelled.
pub async fn run(world: World, listener: Listener, shutdown: CancellationToken) {
    let world = Arc::new(world);
    let (mut agent, mailbox, inbox) = wake(&world, &shutdown);
    agent.watches = watcher::watch(&world, &mailbox);
    let (endpoint, desk) = Endpoint::new(mailbox.clone(), endpoint::folder(&world.paths));
    let server = server::serve(listener, world, mailbox, endpoint, shutdown.clone());
    tokio::join!(agent.run(inbox), server, desk.run(shutdown));
}

/// Runs an agent for one client, which talks over `reader` and `writer`, until it hangs up.
pub async fn run_once<R, W>(world: World, reader: R, writer: W, shutdown: CancellationToken)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let world = Arc::new(world);
    let (agent, mailbox, inbox) = wake(&world, &shutdown);
    let talk = async {
        if let Err(error) = server::talk(reader, writer, world, mailbox, None).await {
            tracing::debug!(%error, "the client is gone");
        }
        shutdown.cancel();
    };
    tokio::join!(agent.run(inbox), talk);
}

type Inbox = tokio::sync::mpsc::UnboundedReceiver<event::Event>;

fn wake(world: &Arc<World>, shutdown: &CancellationToken) -> (Agent, Mailbox, Inbox) {
    let (mailbox, inbox) = Mailbox::new();
    let (memory, lost) = State::load(&world.paths.state);
    let (clusters, unread) = registry::load(&world.paths.clusters);
    let mut agent = Agent::new(
        world.clone(),
        mailbox.clone(),
        memory,
        Clusters::new(clusters),
        shutdown.clone(),
    );
    let complaints: [(&'static str, Option<Report>); 2] = [("state", lost), ("clusters", unread)];
    for (what, report) in complaints {
        if let Some(report) = report {
            agent.reports.insert(what.to_owned(), report);
        }
    }
    agent.begin();
    (agent, mailbox, inbox)
}
