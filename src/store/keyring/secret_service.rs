//! The Secret Service, version 0.2 (specifications.freedesktop.org/secret-service): what the key stores
//! of GNOME, of KDE and of others answer to on the session bus.
//!
//! Sessions are of the kind `plain`. The other kind encrypts what goes over the bus with a key of 1024
//! bits, against somebody who listens to it; but the bus is a socket of this machine that only this
//! user may open (anything else is refused here), and who may open it may ask the service for the same
//! secret. zbus does not wipe its messages: they are in the agent's memory for a moment, as is what is
//! on its way to AWS.
//!
//! `Unlock` and `Prompt.Prompt`, which show a dialog, are never called.

use std::{collections::HashMap, io};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use zbus::{
    Address, Connection, DBusError, DynamicType, Message, OwnedObjectPath, OwnedVariant, Type,
    Variant, address::transport::Transport, connection::Builder,
};
use zeroize::Zeroizing;

use super::{Failure, Request, entry};
use crate::model::{
    Credentials,
    keyring::{KeyringUse, MfaKey},
};

const NAME: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";

/// How the service writes that there is no such object, or no prompt.
const NOTHING: &str = "/";

/// A secret as it is on the bus: the session, its parameters (none for `plain`), the value, its type.
type Sealed = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// Does what is asked for.
pub(super) async fn carry_out(
    bus: Option<&str>,
    wanted: KeyringUse,
    request: Request,
) -> Result<Option<Credentials>, Failure> {
    let store = Store::open(bus, wanted).await?;
    match request {
        Request::Check => Ok(None),
        Request::Read { key, now } => store.read(&key, now).await,
        Request::Write { key, credentials } => store.write(&key, &credentials).await.map(|()| None),
        Request::Delete { key } => {
            for item in store.items(&key).await? {
                store.delete(&item).await?;
            }
            Ok(None)
        }
    }
}

/// The default collection, found unlocked.
struct Store {
    bus: Connection,
    collection: OwnedObjectPath,
}

impl Store {
    async fn open(address: Option<&str>, wanted: KeyringUse) -> Result<Self, Failure> {
        let address = match address {
            Some(address) => address.parse(),
            None => Address::session(),
        };
        let address = address.map_err(|_| Failure::NoBus)?;
        if !matches!(address.transport(), Transport::Unix(_)) {
            return Err(Failure::FarBus);
        }
        let bus = Builder::address(address).build().await.map_err(|_| Failure::NoBus)?;
        let mut store = Self { bus, collection: OwnedObjectPath::default() };
        if wanted == KeyringUse::Auto && !store.is_running().await? {
            return Err(Failure::NoService);
        }
        store.collection = store.call(SERVICE_PATH, SERVICE, "ReadAlias", &"default").await?;
        if store.collection.as_str() == NOTHING {
            return Err(Failure::NoCollection);
        }
        store.must_be_open(&store.collection, COLLECTION).await?;
        Ok(store)
    }

    /// Returns whether somebody has the name already. Without this question the bus starts a service
    /// that is installed, which is right only where the person asked for it.
    async fn is_running(&self) -> Result<bool, Failure> {
        let bus = "org.freedesktop.DBus";
        let call = self.bus.call_method(
            Some(bus),
            "/org/freedesktop/DBus",
            Some(bus),
            "NameHasOwner",
            &NAME,
        );
        body(&call.await.map_err(|error| failure(&error))?)
    }

    async fn must_be_open(&self, object: &OwnedObjectPath, kind: &str) -> Result<(), Failure> {
        let properties = "org.freedesktop.DBus.Properties";
        let locked: OwnedVariant =
            self.call(object.as_str(), properties, "Get", &(kind, "Locked")).await?;
        match bool::try_from(locked) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Failure::Locked),
            Err(_) => Err(Failure::Broken),
        }
    }

    async fn read(&self, key: &MfaKey, now: Timestamp) -> Result<Option<Credentials>, Failure> {
        let items = self.items(key).await?;
        if items.is_empty() {
            return Ok(None);
        }
        let session = self.session().await?;
        let mut found = None;
        for item in items {
            // KeePassXC locks what it wants to ask about each time.
            self.must_be_open(&item, ITEM).await?;
            let sealed: (Sealed,) = self.call(item.as_str(), ITEM, "GetSecret", &session).await?;
            let value = Zeroizing::new(sealed.0.2);
            match entry::read(&value, now) {
                Some(credentials) => found = Some(credentials),
                // As well as it goes: the next session that is kept takes its place.
                None => drop(self.delete(&item).await),
            }
        }
        Ok(found)
    }

    async fn write(&self, key: &MfaKey, credentials: &Credentials) -> Result<(), Failure> {
        let value = entry::write(credentials).ok_or(Failure::NoSession)?;
        let session = self.session().await?;
        let name = key.to_string();
        let properties = HashMap::from([
            (
                "org.freedesktop.Secret.Item.Label",
                Variant::new(format!("eksd: MFA session of {}", key.access_key_id)),
            ),
            ("org.freedesktop.Secret.Item.Attributes", Variant::new(attributes(&name))),
        ]);
        // The type that the tools of libsecret show.
        let secret = (&session, &[] as &[u8], value.as_slice(), "text/plain");
        let is_replacing = true;
        let (item, prompt): (OwnedObjectPath, OwnedObjectPath) = self
            .call(
                self.collection.as_str(),
                COLLECTION,
                "CreateItem",
                &(properties, secret, is_replacing),
            )
            .await?;
        self.must_not_ask(&prompt).await?;
        if item.as_str() == NOTHING { Err(Failure::Broken) } else { Ok(()) }
    }

    async fn items(&self, key: &MfaKey) -> Result<Vec<OwnedObjectPath>, Failure> {
        let name = key.to_string();
        self.call(self.collection.as_str(), COLLECTION, "SearchItems", &attributes(&name)).await
    }

    async fn delete(&self, item: &OwnedObjectPath) -> Result<(), Failure> {
        let prompt: OwnedObjectPath = self.call(item.as_str(), ITEM, "Delete", &()).await?;
        self.must_not_ask(&prompt).await
    }

    /// A prompt that the service has ready is not shown until it is told to; it is taken back.
    async fn must_not_ask(&self, prompt: &OwnedObjectPath) -> Result<(), Failure> {
        if prompt.as_str() == NOTHING {
            return Ok(());
        }
        let _gone: Result<(), Failure> = self.call(prompt.as_str(), PROMPT, "Dismiss", &()).await;
        Err(Failure::WouldAsk)
    }

    /// Opens a session; it ends with the connection.
    async fn session(&self) -> Result<OwnedObjectPath, Failure> {
        let (_, session): (OwnedVariant, OwnedObjectPath) =
            self.call(SERVICE_PATH, SERVICE, "OpenSession", &("plain", Variant::new(""))).await?;
        Ok(session)
    }

    async fn call<T>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &(impl Serialize + DynamicType),
    ) -> Result<T, Failure>
    where
        T: DeserializeOwned + Type,
    {
        let call = self.bus.call_method(Some(NAME), path, Some(interface), method, arguments);
        body(&call.await.map_err(|error| failure(&error))?)
    }
}

fn attributes(name: &str) -> HashMap<&str, &str> {
    HashMap::from([("service", "eksd"), ("key", name)])
}

fn body<T: DeserializeOwned + Type>(answer: &Message) -> Result<T, Failure> {
    // The error's own text could quote the answer.
    answer.body().deserialize().map_err(|_| Failure::Broken)
}

/// Sorts an error. Its text stays behind: the service wrote it.
fn failure(error: &zbus::Error) -> Failure {
    match error {
        zbus::Error::FDO(error) => failure_named(error.name().as_str()),
        zbus::Error::MethodError(name, _, _) => failure_named(name.as_str()),
        zbus::Error::InputOutput(error) if error.kind() == io::ErrorKind::TimedOut => Failure::Late,
        _ => Failure::Broken,
    }
}

/// Sorts the name of an error (D-Bus specification, "Message Bus"; Secret Service, "Errors").
fn failure_named(name: &str) -> Failure {
    match name.strip_prefix("org.freedesktop.").unwrap_or(name) {
        "Secret.Error.IsLocked" => Failure::Locked,
        "DBus.Error.AccessDenied" | "DBus.Error.AuthFailed" => Failure::Denied,
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => Failure::NoService,
        name if name.starts_with("DBus.Error.Spawn.") => Failure::NoService,
        "DBus.Error.NoReply" | "DBus.Error.Timeout" | "DBus.Error.TimedOut" => Failure::Late,
        _ => Failure::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_name() {
        for (name, expected) in [
            ("org.freedesktop.Secret.Error.IsLocked", Failure::Locked),
            ("org.freedesktop.Secret.Error.NoSuchObject", Failure::Broken),
            ("org.freedesktop.DBus.Error.AccessDenied", Failure::Denied),
            ("org.freedesktop.DBus.Error.ServiceUnknown", Failure::NoService),
            ("org.freedesktop.DBus.Error.Spawn.ChildExited", Failure::NoService),
            ("org.freedesktop.DBus.Error.NoReply", Failure::Late),
            ("org.freedesktop.DBus.Error.UnknownMethod", Failure::Broken),
            ("com.example.Odd", Failure::Broken),
        ] {
            assert_eq!(failure_named(name), expected, "{name}");
        }
    }
}
