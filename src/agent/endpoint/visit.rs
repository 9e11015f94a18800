//! One connection: one request, one answer, each within its time. Nothing is kept open: SDKs ask
//! once in most of an hour.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};
use zeroize::Zeroizing;

use super::{
    Endpoint, Order,
    answer::{self, Answer},
    request::{self, Refusal},
};
use crate::model::ProfileName;

/// From connecting to a whole head; a program on the same machine takes a millisecond.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// The head of an SDK's request has some 500 bytes.
const LONGEST_HEAD: usize = 8 * 1024;

/// Whoever does not take an answer of a few KiB, for which the kernel has room, is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// Serves one connection to `host`.
pub(super) async fn serve(mut stream: TcpStream, host: Arc<str>, endpoint: Endpoint) {
    // Else it hung up, or had its time.
    let Ok(Some(head)) = timeout(HEAD_DEADLINE, head_of(&mut stream)).await else { return };
    let answer = match profile_of(&head, &host, &endpoint).await {
        Ok(profile) => issue(&profile, &endpoint).await,
        Err(refusal) => {
            // Not louder: whoever may connect could fill the disk.
            tracing::debug!(why = %refusal, "a request at the endpoint was refused");
            answer::refused()
        }
    };
    let written = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    };
    let _gone = timeout(WRITE_DEADLINE, written).await;
}

/// Reads up to the empty line. `None`: the peer hung up. A head that is too long comes as far as it
/// was read.
async fn head_of(stream: &mut TcpStream) -> Option<Zeroizing<Vec<u8>>> {
    // Room from the start: growing would leave copies of the token behind.
    let mut head = Zeroizing::new(Vec::with_capacity(LONGEST_HEAD));
    let mut looked_at: usize = 0;
    loop {
        let room = (LONGEST_HEAD - head.len()) as u64;
        let read = stream.take(room).read_buf(&mut *head).await.ok()?;
        if read == 0 {
            return None;
        }
        let news = &head[looked_at.saturating_sub(3)..];
        if news.windows(4).any(|end| end == b"\r\n\r\n") || head.len() == LONGEST_HEAD {
            return Some(head);
        }
        looked_at = head.len();
    }
}

async fn profile_of(head: &[u8], host: &str, endpoint: &Endpoint) -> Result<ProfileName, Refusal> {
    let digest = request::judge(head, host)?;
    let (reply, answer) = oneshot::channel();
    endpoint.order(Order::Show { digest, visit: tokio::task::id(), reply });
    answer.await.ok().flatten().ok_or(Refusal::Token)
}

async fn issue(profile: &ProfileName, endpoint: &Endpoint) -> Answer {
    let credentials = endpoint.credentials(profile).await;
    if let Ok(credentials) = &credentials {
        // The key's id is no secret, and is what CloudTrail shows.
        let key = &credentials.access_key_id;
        tracing::info!(%profile, %key, "credentials were handed out at the endpoint");
    }
    answer::of(profile, credentials.as_ref())
}
