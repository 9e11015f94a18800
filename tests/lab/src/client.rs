//! A small HTTP client, for loopback only.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

/// Opens a URL in a process of its own and returns at once, as a desktop's opener does.
pub(crate) fn open_in_background(url: &str) -> io::Result<()> {
    Command::new(std::env::current_exe()?)
        .args(["open", "--wait", "--", url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(drop)
}

/// Reads a page as a browser would, following redirects.
pub(crate) fn visit(url: &str) -> io::Result<()> {
    let mut url = url.to_owned();
    for _ in 0..10 {
        let page = fetch("GET", &url, "")?;
        match page.location {
            Some(place) if (300..400).contains(&page.status) => {
                url = if place.starts_with('/') {
                    let (scheme, rest) = url.split_once("://").unwrap_or_default();
                    let host = rest.split('/').next().unwrap_or_default();
                    format!("{scheme}://{host}{place}")
                } else {
                    place
                };
            }
            _ if page.status < 400 => return Ok(()),
            _ => return Err(io::Error::other(format!("{url}: status {}", page.status))),
        }
    }
    Err(io::Error::other("too many redirects"))
}

/// One request to an `http://` URL on loopback.
pub(crate) fn fetch(method: &str, url: &str, body: &str) -> io::Result<Response> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| io::Error::other(format!("not an http URL: {url}")))?;
    let url_end = rest.split('#').next().unwrap_or_default();
    let (host, path) = match url_end.find(['/', '?']) {
        Some(at) => url_end.split_at(at),
        None => (url_end, "/"),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut stream = connect(host)?;
    let text = request(method, host, &path, &[("Content-Type", "application/json")], body);
    stream.write_all(text.as_bytes())?;
    read_response(&mut stream)
}

fn connect(host: &str) -> io::Result<TcpStream> {
    let place = if host.rsplit(']').next().is_some_and(|tail| tail.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut last = io::Error::other(format!("not on loopback: {host}"));
    for address in place.to_socket_addrs()?.filter(|a: &SocketAddr| a.ip().is_loopback()) {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The text of a request that asks for the connection to be closed after it.
pub(crate) fn request(
    method: &str,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> String {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: eksd-lab\r\n\
         Connection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n" + body
}

/// Reads an answer to the end of its stream.
pub(crate) fn read_response(stream: &mut impl Read) -> io::Result<Response> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // A server that ends TLS without saying so has still said all.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && !bytes.is_empty() => {}
        other => drop(other?),
    }
    let text = String::from_utf8_lossy(&bytes);
    let broken = || io::Error::other("not an HTTP answer");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let header = |wanted: &str| {
        head.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
    };
    let chunked = header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    Ok(Response {
        status: status.and_then(|s| s.parse().ok()).ok_or_else(broken)?,
        location: header("location"),
        body: if chunked { unchunk(body) } else { body.to_owned() },
    })
}

fn unchunk(mut text: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16);
        let Some(chunk) = size.ok().filter(|n| *n > 0).and_then(|n| rest.get(..n)) else { break };
        out.push_str(chunk);
        text = rest[chunk.len()..].trim_start_matches("\r\n");
    }
    out
}
