//! The container credentials endpoint: ECS tasks, EKS Pod Identity, and whatever else speaks the same
//! (AWS SDKs and Tools Reference Guide, "Container credential provider").

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    Aws, AwsError, Deadlines,
    metadata::{Local, address},
    token_file,
};
use crate::model::{Credentials, Secret};

pub(super) const OPERATION: &str = "ContainerCredentials";

/// Where ECS listens; `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is a path there.
const ECS: &str = "http://169.254.170.2";

/// Addresses that may be asked without TLS, beside loopback: ECS, and EKS Pod Identity by IPv4 and
/// IPv6. botocore `utils.py`, `ContainerMetadataFetcher`; the name `localhost` as well.
const PLAIN: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// What botocore waits.
const DEADLINES: Deadlines =
    Deadlines { connect: Duration::from_secs(2), attempt: Duration::from_secs(2) };

/// Where containers get their credentials, as the environment says it.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerSource {
    /// The whole URL. Whoever knows the path of ECS's gets the credentials.
    pub uri: Secret,
    /// What is sent as `Authorization`.
    pub authorization: Option<Authorization>,
}

/// What a container endpoint is asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    Text(Secret),
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, read anew each time: EKS replaces it.
    File(PathBuf),
}

impl fmt::Debug for ContainerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerSource")
            .field("authorization", &self.authorization)
            .finish_non_exhaustive()
    }
}

impl ContainerSource {
    /// Returns the endpoint that the four variables name, if they name one. The relative URI wins over
    /// the full one, and the file over the text, as in all SDKs.
    pub fn new(
        relative_uri: Option<&Secret>,
        full_uri: Option<&Secret>,
        token: Option<&Secret>,
        token_file: Option<PathBuf>,
    ) -> Option<Self> {
        let uri = match (relative_uri, full_uri) {
            (Some(path), _) => Secret::new(format!("{ECS}{}", path.expose())),
            (None, Some(uri)) => uri.clone(),
            (None, None) => return None,
        };
        let text = || token.cloned().map(Authorization::Text);
        Some(Self { uri, authorization: token_file.map(Authorization::File).or_else(text) })
    }
}

impl Aws {
    /// Gets the credentials of this container. One attempt, of 2 s at most. Blocks for as long as it
    /// takes to read the small token file.
    ///
    /// # Errors
    /// [`Kind::Local`](super::Kind::Local) where the address may not be asked without TLS, or the token
    /// cannot be sent. A token that ends in a line feed is refused, as the SDKs do: a program beside
    /// eksd would fail with the same file.
    pub async fn container_credentials(
        &self,
        source: &ContainerSource,
    ) -> Result<Credentials, AwsError> {
        let uri = source.uri.expose();
        check(uri)?;
        let token = source.authorization.as_ref().map(authorization).transpose()?;
        let mut local = Local::new(self, OPERATION, uri, DEADLINES)?;
        local.hide(source.uri.clone());
        if let Some(token) = &token {
            local.hide(token.clone());
        }
        let result = ask(&local, uri, token.as_ref()).await;
        local.log(&result);
        result
    }
}

async fn ask(local: &Local, uri: &str, token: Option<&Secret>) -> Result<Credentials, AwsError> {
    let headers: Vec<_> = token.map(|token| ("authorization", token)).into_iter().collect();
    let answer = local.send("GET", uri, &headers).await?;
    if answer.status().as_u16() != 200 {
        return Err(local.refused(&answer));
    }
    local.credentials(local.fields(&answer)?)
}

/// Refuses an address to which the token, and from which the credentials, would travel in the open.
fn check(uri: &str) -> Result<(), AwsError> {
    let wrong = |message: &str| Err(AwsError::local(OPERATION, message));
    let Ok(parsed) = uri.parse::<http::Uri>() else {
        return wrong("the address of the container credentials is not a URL");
    };
    let authority = parsed.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    // `http://169.254.170.2@elsewhere/`, which a relative URI without a slash could come to.
    if authority.contains('@') {
        return wrong("the address of the container credentials names a user");
    }
    let host = parsed.host().unwrap_or_default();
    match parsed.scheme_str() {
        Some("https") if !host.is_empty() => Ok(()),
        Some("http") if is_near(host) => Ok(()),
        Some("http") => wrong(
            "without TLS only this machine (`127.0.0.1`, `localhost`), 169.254.170.2, \
             169.254.170.23 and fd00:ec2::23 may be asked for container credentials",
        ),
        _ => wrong("the address of the container credentials is not an http or https URL"),
    }
}

fn is_near(host: &str) -> bool {
    match address(host) {
        Some(ip) => ip.is_loopback() || PLAIN.iter().any(|near| near.parse() == Ok(ip)),
        None => host.eq_ignore_ascii_case("localhost"),
    }
}

fn authorization(authorization: &Authorization) -> Result<Secret, AwsError> {
    let (token, place) = match authorization {
        Authorization::Text(token) => {
            (token.clone(), "AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned())
        }
        Authorization::File(path) => {
            (token_file::read(OPERATION, path)?, path.display().to_string())
        }
    };
    let text = token.expose();
    let wrong = |what: &str| Err(AwsError::local(OPERATION, &format!("`{place}` {what}")));
    if text.trim_end_matches(['\r', '\n']).len() < text.len()
        && !text.trim_end_matches(['\r', '\n']).contains(['\r', '\n'])
    {
        return wrong(
            "ends in a line feed, which the AWS SDKs refuse as well: write it with `printf %s`",
        );
    }
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return wrong("holds a line feed or another character that a header cannot have");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_asked_without_tls() {
        for (uri, is_fine) in [
            ("http://127.0.0.1:80/x", true),
            ("http://127.8.9.1/x", true),
            ("http://[::1]:80/x", true),
            ("http://localhost:80/x", true),
            ("http://169.254.170.2/v2/credentials/uuid", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("https://credentials.example/x", true),
            ("http://credentials.example/x", false),
            ("http://169.254.169.254/x", false),
            ("http://169.254.170.22/x", false),
            ("http://[fd00:ec2::254]/x", false),
            ("http://[::ffff:10.0.0.1]/x", false),
            ("http://127.0.0.1.evil.example/x", false),
            ("http://localhost.evil.example/x", false),
            ("http://169.254.170.2@evil.example/x", false),
            ("https://user@evil.example/x", false),
            ("http://2130706433/x", false),
            ("http://0.0.0.0/x", false),
            ("file:///etc/passwd", false),
            ("/relative", false),
            ("", false),
        ] {
            assert_eq!(check(uri).is_ok(), is_fine, "{uri}");
        }
    }

    #[test]
    fn what_wins() {
        let secret = Secret::new;
        let (relative, full, token) = (secret("/v2/id"), secret("http://x/y"), secret("t"));
        let made = |relative, full, token, file: Option<&str>| {
            ContainerSource::new(relative, full, token, file.map(PathBuf::from))
        };
        assert_eq!(made(None, None, Some(&token), Some("/f")), None);
        let both = made(Some(&relative), Some(&full), Some(&token), Some("/f")).unwrap();
        assert_eq!(both.uri.expose(), "http://169.254.170.2/v2/id");
        assert_eq!(both.authorization, Some(Authorization::File("/f".into())));
        let one = made(None, Some(&full), Some(&token), None).unwrap();
        assert_eq!(one.uri.expose(), "http://x/y");
        assert_eq!(one.authorization, Some(Authorization::Text(token.clone())));
        assert!(!format!("{one:?} {both:?}").contains("v2/id"));
        let tricked = made(Some(&secret("@evil.example/x")), None, None, None).unwrap();
        assert!(check(tricked.uri.expose()).is_err());
    }
}
