//! A Secret Service with habits that GNOME Keyring does not have and others do: items that are locked
//! one by one, and a dialog before anything is changed.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures_core::Stream as _;
use zbus::message::{Message, Type};
use zbus::{Connection, MessageStream, ObjectPath, Result, Variant};

use crate::tools::SOON;

/// What it does.
#[derive(Clone, Copy)]
pub(crate) enum Habit {
    /// Items are locked, in a collection that is not.
    LocksItems,
    /// Whoever changes something is to be asked.
    AsksFirst,
    /// Answers something else than what was asked.
    Babbles,
}

const COLLECTION: &str = "/org/freedesktop/secrets/collection/fake";
const ITEM: &str = "/org/freedesktop/secrets/collection/fake/1";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/p1";

/// Serves on the bus at `address` until the bus is gone; returns the names of the methods called.
pub(crate) fn serve(address: String, habit: Habit) -> Receiver<String> {
    let (called, calls) = channel();
    let (ready, begun) = channel();
    std::thread::spawn(move || zbus::block_on(answer_all(&address, habit, &called, &ready)));
    begun.recv_timeout(SOON).unwrap();
    calls
}

async fn answer_all(address: &str, habit: Habit, called: &Sender<String>, ready: &Sender<()>) {
    let connection = zbus::connection::Builder::address(address).build().await.unwrap();
    let mut calls = MessageStream::from(&connection);
    connection.request_name("org.freedesktop.secrets").await.unwrap();
    ready.send(()).unwrap();
    while let Some(Ok(call)) = poll_fn(|context| Pin::new(&mut calls).poll_next(context)).await {
        if call.message_type() == Type::MethodCall {
            let _gone = called.send(call.header().member().unwrap().to_string());
            if answer(&connection, &call, habit).await.is_err() {
                return;
            }
        }
    }
}

async fn answer(bus: &Connection, call: &Message, habit: Habit) -> Result<()> {
    let header = call.header();
    let is_item = header.path().is_some_and(|path| path.as_str() == ITEM);
    let path = ObjectPath::try_from;
    match (header.member().unwrap().as_str(), habit) {
        ("Get", Habit::Babbles) => bus.reply(&header, &Variant::new("hunter2")).await,
        ("Get", Habit::LocksItems) => bus.reply(&header, &Variant::new(is_item)).await,
        ("Get", Habit::AsksFirst) => bus.reply(&header, &Variant::new(false)).await,
        ("ReadAlias", _) => bus.reply(&header, &path(COLLECTION)?).await,
        ("OpenSession", _) => bus.reply(&header, &(Variant::new(""), path(ITEM)?)).await,
        ("SearchItems", _) => bus.reply(&header, &[path(ITEM)?].as_slice()).await,
        ("CreateItem", _) => bus.reply(&header, &(path("/")?, path(PROMPT)?)).await,
        ("Delete", _) => bus.reply(&header, &path(PROMPT)?).await,
        ("GetSecret", _) => {
            let value = b"{}".as_slice();
            bus.reply(&header, &((path(ITEM)?, [0_u8; 0].as_slice(), value, "text/plain"),)).await
        }
        _ => bus.reply(&header, &()).await,
    }
}
