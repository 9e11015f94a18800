//! org.freedesktop.Notifications, as far as a client can tell (Desktop Notifications Specification
//! 1.2): every notice is told on, and none is shown.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures_core::Stream as _;
use zbus::connection::Builder;
use zbus::message::{Message, Type};

use zbus::names::MemberName;
use zbus::{Connection, MessageStream, OwnedVariant, Result};

use crate::desk::Bubble;

/// Arguments of `Notify`.
type Notify =
    (String, u32, String, String, String, Vec<String>, HashMap<String, OwnedVariant>, i32);

/// A bus that is well answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves on the bus at `address`, on a thread of its own, until the bus is gone.
pub(crate) fn serve(address: &str) -> Result<Receiver<Bubble>> {
    let (sender, bubbles) = channel();
    let (ready, begun) = channel();
    let address = address.to_owned();
    std::thread::Builder::new()
        .name("notifications".into())
        .spawn(move || zbus::block_on(answer_all(&address, &sender, &ready)))
        .map_err(|error| zbus::Error::Failure(error.to_string()))?;
    begun
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| Err(zbus::Error::Failure("the bus does not answer".into())))?;
    Ok(bubbles)
}

async fn answer_all(address: &str, bubbles: &Sender<Bubble>, ready: &Sender<Result<()>>) {
    let (connection, mut calls) = match open(address).await {
        Ok(open) => open,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let mut last = 0;
    while let Some(Ok(call)) = poll_fn(|context| Pin::new(&mut calls).poll_next(context)).await {
        if call.message_type() == Type::MethodCall
            && answer(&connection, &call, bubbles, &mut last).await.is_err()
        {
            return;
        }
    }
}

async fn open(address: &str) -> Result<(Connection, MessageStream)> {
    let connection = Builder::address(address).build().await?;
    let calls = MessageStream::from(&connection);
    connection.request_name("org.freedesktop.Notifications").await?;
    Ok((connection, calls))
}

async fn answer(
    connection: &Connection,
    call: &Message,
    bubbles: &Sender<Bubble>,
    last: &mut u32,
) -> Result<()> {
    let header = call.header();
    match header.member().map(MemberName::as_str) {
        Some("Notify") => {
            let body = call.body();
            let (_, replaced, _, title, body, ..): Notify = body.deserialize()?;
            if replaced == 0 {
                *last += 1;
            }
            let _ = bubbles.send(Bubble::Shown { title, body: without_markup(&body) });
            connection.reply(&header, &if replaced == 0 { *last } else { replaced }).await
        }
        Some("CloseNotification") => {
            let _ = bubbles.send(Bubble::Closed);
            connection.reply(&header, &()).await
        }
        Some("GetCapabilities") => connection.reply(&header, &["body", "actions"]).await,
        Some("GetServerInformation") => {
            connection.reply(&header, &("eksd-try", "eksd", "0", "1.2")).await
        }
        _ => {
            let name = "org.freedesktop.DBus.Error.UnknownMethod";
            connection.reply_error(&header, name, &"not played").await
        }
    }
}

/// A service that shows no markup takes it out.
fn without_markup(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
