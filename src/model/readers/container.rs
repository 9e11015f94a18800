//! What the readers want of a container credentials endpoint (`AWS_CONTAINER_CREDENTIALS_FULL_URI`),
//! seen with botocore 1.43, `@aws-sdk/credential-provider-http` 3.x and aws-config 1.13.

use super::Reader;
use crate::model::Credentials;

/// Returns whether these credentials can be handed out: an answer without `Token` or `Expiration` is an
/// error in all three, and asked for again.
pub fn can_serve(credentials: &Credentials) -> bool {
    credentials.session_token.is_some() && credentials.expires_at.is_some()
}

/// Returns how often `reader` asks before it gives up on answers with this status. A refusal that will
/// stay one is best said with a 4xx.
pub fn tries(reader: Reader, status: u16) -> u32 {
    match (reader, status) {
        (_, 200) | (Reader::Rust, 400..500) => 1,
        (Reader::JavaScript, _) => 4,
        (Reader::AwsCli | Reader::Rust | Reader::Go, _) => 3,
    }
}

/// Returns whether `reader` shows the text of an answer that is not 200 to a person.
pub fn shows_body(reader: Reader) -> bool {
    reader == Reader::AwsCli
}

/// Returns whether a token file's content can be sent as it is: all readers send it unchanged, and a
/// line end at its end is no part of a header.
pub fn is_token(content: &str) -> bool {
    !content.is_empty() && content.chars().all(|c| c.is_ascii_graphic())
}
