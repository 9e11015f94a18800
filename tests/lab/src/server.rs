//! Sockets, and the way of a request through the lab.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::calls::{Call, CallLog};
use crate::clock::http_date;
use crate::control;
use crate::eks::{self, Place};
use crate::faults::{self, Act, Fault, Met};
use crate::http::{Answer, Fail, Request, hex, random};
use crate::payload::{Part, Payload};
use crate::script::Cluster;
use crate::tls::Authority;
use crate::world::World;
use crate::{iam, kube, limits, metadata, oidc, portal, route, signin, sigv4, sts};

/// What all connections share.
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) calls: CallLog,
    kubes: Mutex<HashMap<String, Kube>>,
    /// `host:port` spellings of the AWS doors, which tokens may name.
    hosts: Mutex<Vec<String>>,
    handle: Handle,
}

/// A running Kubernetes API server.
struct Kube {
    at: SocketAddr,
    ca_pem: String,
    task: AbortHandle,
}

/// Which listener a request came in by.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    /// The AWS services; the word is `http` or `https`.
    Aws(&'static str),
    /// The API server of the cluster with this ARN.
    Kube(String),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(world: World, calls: CallLog, handle: Handle) -> Self {
        Self {
            world: Mutex::new(world),
            calls,
            kubes: Mutex::default(),
            hosts: Mutex::default(),
            handle,
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    /// Opens a listener on loopback; returns its port.
    pub(crate) fn listen(
        self: &Arc<Self>,
        port: u16,
        door: Door,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<(u16, AbortHandle)> {
        self.listen_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), door, tls)
    }

    fn listen_at(
        self: &Arc<Self>,
        at: SocketAddr,
        door: Door,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<(u16, AbortHandle)> {
        let _inside = self.handle.enter();
        let socket = if at.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        let listener = socket.listen(1024)?;
        let port = listener.local_addr()?.port();
        if matches!(door, Door::Aws(_)) {
            locked(&self.hosts).extend([format!("127.0.0.1:{port}"), format!("localhost:{port}")]);
        }
        let task = self.handle.spawn(accept(listener, Arc::clone(self), door, tls));
        Ok((port, task.abort_handle()))
    }

    /// Starts and stops API servers until there is one for each cluster of the script.
    pub(crate) fn sync_kubes(self: &Arc<Self>) -> io::Result<()> {
        let arns: BTreeMap<String, bool> = {
            let world = self.world();
            let is_ipv6 = |c: &Cluster| c.ip_family == "ipv6";
            world.script.clusters.iter().map(|c| (world.script.arn_of(c), is_ipv6(c))).collect()
        };
        let mut kubes = locked(&self.kubes);
        kubes.retain(|arn, kube| {
            let stays = arns.get(arn) == Some(&kube.at.is_ipv6());
            if !stays {
                kube.task.abort();
            }
            stays
        });
        for (arn, is_ipv6) in arns {
            if let Entry::Vacant(free) = kubes.entry(arn) {
                let authority = Authority::new("kubernetes")?;
                let names =
                    ["127.0.0.1", "::1", "localhost", "kubernetes"].map(String::from).into();
                let acceptor = authority.acceptor(names)?;
                let mut at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                if is_ipv6 {
                    at.set_ip(Ipv6Addr::LOCALHOST.into());
                }
                let (port, task) =
                    self.listen_at(at, Door::Kube(free.key().clone()), Some(acceptor))?;
                at.set_port(port);
                free.insert(Kube { at, ca_pem: authority.pem().into(), task });
            }
        }
        Ok(())
    }

    /// Stops a cluster's API server, so that [`Shared::sync_kubes`] makes a new one.
    pub(crate) fn stop_kube(&self, arn: &str) {
        if let Some(kube) = locked(&self.kubes).remove(arn) {
            kube.task.abort();
        }
    }

    /// Where the API server of the cluster with this ARN is.
    pub(crate) fn place(&self, arn: &str) -> Option<Place> {
        locked(&self.kubes).get(arn).map(|kube| Place {
            endpoint: format!("https://{}", kube.at),
            ca_pem: kube.ca_pem.clone(),
        })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, door: Door, tls: Option<TlsAcceptor>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => match incoming {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let (shared, door, tls) = (Arc::clone(&shared), door.clone(), tls.clone());
                    connections.spawn(async move {
                        match tls {
                            None => talk(stream, shared, door).await,
                            Some(tls) => if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, shared, door).await;
                            },
                        }
                    });
                }
                // Out of file descriptors: one must close first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>, door: Door) {
    let service = service_fn(move |request| respond(Arc::clone(&shared), door.clone(), request));
    // A client that goes away is no concern of the lab.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    shared: Arc<Shared>,
    door: Door,
    incoming: hyper::Request<Incoming>,
) -> io::Result<hyper::Response<Payload>> {
    let request = read(&door, incoming).await?;
    if let (Door::Aws(_), Some(verb)) = (&door, request.path.strip_prefix("/_lab/")) {
        let answer = control::serve(&shared, verb, &request);
        return Ok(whole(&shared, answer, Part::All));
    }

    let mut call = {
        let world = shared.world();
        let cluster = if let Door::Kube(arn) = &door { Some(arn.as_str()) } else { None };
        route::open_call(&world, cluster, &request)
    };
    let number = shared.calls.begin(call.clone());
    let (limited, fault) = meet(&shared, &request, &call);
    if let Some(fail) = limited {
        call.throttled = true;
        let answer = route::refuse(&fail, &request, &mut call);
        call.status = Some(answer.status);
        shared.calls.finish(number, &call);
        return Ok(whole(&shared, answer, Part::All));
    }
    call.fault = fault.as_ref().map(|f| f.act.name().into());
    if let Some(delay) = fault.as_ref().map(|f| f.delay_ms).filter(|ms| *ms > 0) {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let act = fault.map(|Fault { act, .. }| act);
    let closed = || io::Error::new(io::ErrorKind::ConnectionAborted, "closed by a fault");
    let answer = match &act {
        Some(Act::Stall) => {
            shared.calls.finish(number, &call);
            std::future::pending::<Infallible>().await;
            return Err(closed());
        }
        Some(Act::Drop) => {
            shared.calls.finish(number, &call);
            return Err(closed());
        }
        Some(Act::Status { status, code, message, retry_after }) => {
            let fail = Fail { retry_after: *retry_after, ..Fail::new(*status, code, message) };
            route::refuse(&fail, &request, &mut call)
        }
        act => answer(&shared, &door, &request, &mut call, act.as_ref()),
    };
    if matches!(act, Some(Act::DropAfter)) {
        shared.calls.finish(number, &call);
        return Err(closed());
    }
    call.status = Some(answer.status);
    shared.calls.finish(number, &call);
    let part = match act {
        Some(Act::Half) => Part::HalfThenEnd,
        Some(Act::StallHalf) => Part::HalfThenNothing,
        _ => Part::All,
    };
    Ok(whole(&shared, answer, part))
}

/// Reads a request to its end.
async fn read(door: &Door, incoming: hyper::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = incoming.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let scheme = if let Door::Aws(scheme) = door { scheme } else { "https" };
    let host = head.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default();
    Ok(Request {
        method: head.method.to_string(),
        path: head.uri.path().into(),
        raw_query: head.uri.query().unwrap_or_default().into(),
        base: format!("{scheme}://{host}"),
        headers: head.headers,
        body,
    })
}

/// What stands between a call and its service: a limit that is used up, or else a fault.
fn meet(shared: &Shared, request: &Request, call: &Call) -> (Option<Fail>, Option<Fault>) {
    let mut world = shared.world();
    if let Err(fail) = limits::take(&mut world, &call.service, &call.op) {
        return (Some(fail), None);
    }
    let claimed = sigv4::claimed(&request.headers);
    let caller = claimed.and_then(|(key, _)| world.lookup(key)).map(|session| session.arn);
    let met = Met {
        op: &call.op,
        grant: call.grant.as_deref(),
        cluster: call.cluster.as_deref(),
        region: claimed.map(|(_, region)| region),
        caller: caller.as_deref(),
    };
    (None, faults::take(&mut world.faults, met))
}

/// The answer of the service, or what a fault makes of it.
fn answer(
    shared: &Shared,
    door: &Door,
    request: &Request,
    call: &mut Call,
    act: Option<&Act>,
) -> Answer {
    if let Some(answer) = act.and_then(Act::instead) {
        return answer;
    }
    let mut answer = perform(shared, door, request, call);
    if let Some(act) = act {
        act.spoil(&mut answer, shared.world().now());
    }
    answer
}

/// Lets the service answer.
fn perform(shared: &Shared, door: &Door, request: &Request, call: &mut Call) -> Answer {
    let op = call.op.clone();
    let mut world = shared.world();
    let result = match (door, call.service.as_str()) {
        (Door::Kube(arn), _) => {
            let cluster = world.script.clusters.iter().find(|c| world.script.arn_of(c) == *arn);
            let hosts = locked(&shared.hosts).clone();
            match cluster {
                Some(cluster) => {
                    let answer = kube::serve(&world, cluster, &hosts, request, call);
                    if answer.status >= 400 {
                        call.error = Some(kube::reason(answer.status).into());
                    }
                    Ok(answer)
                }
                None => Err(Fail::new(503, "ServiceUnavailable", "the cluster is gone")),
            }
        }
        (_, "oidc") => oidc::serve(&mut world, &op, request),
        (_, "portal") => portal::serve(&mut world, &op, request, call),
        (_, "signin") => signin::serve(&mut world, &op, request, call),
        (_, "imds") => metadata::serve(&mut world, &op, request, call),
        (_, "container") => route::container(&world.script, &request.path)
            .cloned()
            .ok_or_else(|| Fail::new(404, "NotFound", "no such endpoint"))
            .and_then(|container| metadata::container(&mut world, &container, request, call)),
        (_, "eks") => eks::serve(&mut world, &op, request, call, |arn| shared.place(arn)),
        (_, "iam") => iam::serve(&world, request, call),
        _ => sts::serve(&mut world, &op, request, call),
    };
    drop(world);
    result.unwrap_or_else(|fail| route::refuse(&fail, request, call))
}

fn whole(shared: &Shared, answer: Answer, part: Part) -> hyper::Response<Payload> {
    let mut builder = hyper::Response::builder()
        .status(answer.status)
        .header("content-type", answer.kind.as_ref())
        .header("content-length", answer.body.len())
        .header("date", http_date(shared.world().now()))
        .header("x-amzn-requestid", hex(&random::<16>()));
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    let payload = Payload::new(answer.body, part);
    builder.body(payload).unwrap_or_else(|_| {
        let mut plain = hyper::Response::new(Payload::default());
        *plain.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        plain
    })
}
