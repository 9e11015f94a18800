//! The browser's way back: one loopback address that takes one authorization code.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    model::{LoginKey, Secret, text::printable_sentence},
    report::{Code, Report},
};

/// A request line and headers longer than this are not a browser's.
const LONGEST_HEAD: usize = 16 * 1024;

/// Browsers open connections ahead and leave them idle; those do not hold up the real one.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// The path that the AWS CLI registers, too.
const PATH: &str = "/oauth/callback";

/// A loopback address waiting for the browser.
pub(super) struct Callback {
    listener: TcpListener,
    redirect_uri: String,
    host: String,
    state: String,
}

impl Callback {
    /// Listens on a free port of 127.0.0.1, before any browser is opened.
    pub(super) async fn bind() -> Result<Self, Report> {
        let failed = |error: &dyn std::fmt::Display| {
            Report::new(
                Code::LoginFailed,
                "no local address for the browser to come back to",
                "run `eksd login --device-code`",
            )
            .because(error.to_string())
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| failed(&error))?;
        let port = listener.local_addr().map_err(|error| failed(&error))?.port();
        let host = format!("127.0.0.1:{port}");
        let bits = [getrandom::u64(), getrandom::u64()];
        let [Ok(high), Ok(low)] = bits else { return Err(failed(&"no random bytes")) };
        let state = format!("{high:016x}{low:016x}");
        Ok(Self { listener, redirect_uri: format!("http://{host}{PATH}"), host, state })
    }

    /// Returns the address to come back to.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns the text that ties the answer to this login (RFC 6749 section 10.12).
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    /// Waits for the authorization code. Requests that are not the browser's answer to this login
    /// are refused and change nothing.
    pub(super) async fn code(&self, login: &LoginKey) -> Result<Secret, Report> {
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (host, state) = (self.host.clone(), self.state.clone());
                        visits.spawn(visit(stream, host, state));
                    }
                    // Out of descriptors, or the peer is gone already.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(visited) = visits.join_next(), if !visits.is_empty() => {
                    if let Ok(Some(answer)) = visited {
                        return answer.map_err(|reason| denied(login, &reason));
                    }
                }
            }
        }
    }
}

fn denied(login: &LoginKey, reason: &str) -> Report {
    Report::new(
        Code::LoginDenied,
        format!("the login to `{login}` was refused in the browser"),
        format!("run `eksd login {login}` again, and approve it there"),
    )
    .because(printable_sentence(reason))
}

/// Reads one request and answers it. Returns the code, or the server's refusal, where the request
/// is the answer to this login.
async fn visit(
    mut stream: TcpStream,
    host: String,
    state: String,
) -> Option<Result<Secret, String>> {
    let head = tokio::time::timeout(HEAD_DEADLINE, head_of(&mut stream)).await.ok()??;
    let (status, text, answer) = judge(&head, &host, &state);
    let body = format!(
        "<!doctype html><meta charset=utf-8><title>eksd</title><p style=\"font:1.2em sans-serif\">{text}"
    );
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _gone = stream.write_all(reply.as_bytes()).await;
    let _gone = stream.shutdown().await;
    answer
}

async fn head_of(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await.ok().filter(|read| 0 < *read)?;
        head.extend_from_slice(&chunk[..read]);
        if LONGEST_HEAD < head.len() {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// What to say to a request, and what it means for the login.
type Judgement = (&'static str, &'static str, Option<Result<Secret, String>>);

fn judge(head: &str, host: &str, state: &str) -> Judgement {
    const NOT_FOR_US: Judgement =
        ("400 Bad Request", "This is not the answer eksd waits for.", None);
    let mut lines = head.split("\r\n");
    let mut request = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (request.next(), request.next().unwrap_or_default());
    // A page that resolves its own name to 127.0.0.1 sends that name (DNS rebinding).
    let is_ours = lines.any(|line| {
        line.split_once(':')
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("host") && value.trim() == host)
    });
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if method != Some("GET") || !is_ours {
        return NOT_FOR_US;
    }
    if path != PATH {
        return ("404 Not Found", "There is nothing here.", None);
    }
    let value = |name: &str| {
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then(|| percent_decoded(value))
        })
    };
    if value("state").as_deref() != Some(state) {
        return NOT_FOR_US;
    }
    match (value("code"), value("error")) {
        (Some(code), None) if !code.is_empty() => (
            "200 OK",
            "You are logged in. You can close this window and go back to your terminal.",
            Some(Ok(Secret::new(code))),
        ),
        (_, Some(error)) => {
            let reason = value("error_description").unwrap_or(error);
            ("200 OK", "The login was refused. You can close this window.", Some(Err(reason)))
        }
        _ => NOT_FOR_US,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "127.0.0.1:4711";

    #[track_caller]
    fn check(request: &str, host: &str, status: &str, answer: Option<Result<&str, &str>>) {
        let head = format!("{request} HTTP/1.1\r\nUser-Agent: x\r\nHost: {host}\r\n\r\n");
        let (said, _, got) = judge(&head, HOST, "s-1");
        assert_eq!(said, status, "{request}");
        let got = got.map(|got| got.map(|code| code.expose().to_owned()));
        let wanted = answer.map(|it| it.map(str::to_owned).map_err(str::to_owned));
        assert_eq!(got, wanted, "{request}");
    }

    #[test]
    fn only_the_answer_to_this_login_counts() {
        check("GET /oauth/callback?code=abc&state=s-1", HOST, "200 OK", Some(Ok("abc")));
        check("GET /oauth/callback?state=s-1&code=a%2Bb+c", HOST, "200 OK", Some(Ok("a+b c")));
        check("GET /oauth/callback?code=abc&state=s-2", HOST, "400 Bad Request", None);
        check("GET /oauth/callback?code=abc", HOST, "400 Bad Request", None);
        check("GET /oauth/callback?code=&state=s-1", HOST, "400 Bad Request", None);
        check("GET /oauth/callback?state=s-1", HOST, "400 Bad Request", None);
        check("POST /oauth/callback?code=abc&state=s-1", HOST, "400 Bad Request", None);
        check("GET /favicon.ico", HOST, "404 Not Found", None);
        check(
            "GET /oauth/callback?code=abc&state=s-1",
            "evil.example:4711",
            "400 Bad Request",
            None,
        );
        check(
            "GET /oauth/callback?code=abc&state=s-1",
            "127.0.0.1.evil.example",
            "400 Bad Request",
            None,
        );
        let refused = "GET /oauth/callback?error=access_denied&state=s-1";
        check(refused, HOST, "200 OK", Some(Err("access_denied")));
        check("GET /oauth/callback?error=access_denied&state=x", HOST, "400 Bad Request", None);
        check("", HOST, "400 Bad Request", None);
    }

    #[test]
    fn percent_sequences_that_are_none_stay() {
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
        assert_eq!(percent_decoded("%E2%8E%88"), "⎈");
    }
}
