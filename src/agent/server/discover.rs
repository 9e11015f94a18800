//! A search for clusters on a connection: how far it is, and what it found.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{Peer, parse};
use crate::{
    agent::discover::discover,
    ipc::wire::{ClusterDiscoverParams, Empty, Notification, Request, RequestLine},
};

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Peer<R, W> {
    /// Searches, tells the peer how far it is, and answers. A peer that hangs up, or says anything but
    /// that it has enough, ends the search.
    pub(super) async fn discover(
        &mut self,
        id: u64,
        params: ClusterDiscoverParams,
    ) -> io::Result<()> {
        let (news, mut progress) = mpsc::unbounded_channel();
        let enough = CancellationToken::new();
        let (world, mailbox) = (self.service.world.clone(), self.service.mailbox.clone());
        let mut search = Box::pin(discover(world, mailbox, params, news, enough.clone()));
        loop {
            tokio::select! {
                biased;
                Some(progress) = progress.recv() => {
                    self.notify(Notification::DiscoverProgress(progress)).await?;
                }
                found = &mut search => {
                    // The search says how far it is up to its last breath.
                    while let Ok(progress) = progress.try_recv() {
                        self.notify(Notification::DiscoverProgress(progress)).await?;
                    }
                    return self.answer(id, found).await;
                }
                line = self.lines.next() => match line?.as_deref().map(parse) {
                    Some(Ok(RequestLine { id, request: Request::ClusterDiscoverStop(_), .. })) => {
                        enough.cancel();
                        self.answer(id, Ok(Empty {})).await?;
                    }
                    _ => return Err(io::ErrorKind::ConnectionAborted.into()),
                },
            }
        }
    }
}
