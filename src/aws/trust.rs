//! Which certificate authorities are believed.

use std::{fs, io::Read as _, path::Path};

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// The platforms' own bundles are about 250 KB.
const LONGEST_BUNDLE: u64 = 16 * 1024 * 1024;

/// Trust in the platform's authorities.
pub(crate) fn platform() -> Result<TlsContext, String> {
    context(TrustStore::default())
}

/// Trust in nobody, for connections without TLS: the platform's store is not even read.
pub(crate) fn nobody() -> Result<TlsContext, String> {
    context(TrustStore::empty())
}

/// Trust in the authorities of a PEM file alone, as the AWS CLI does for `ca_bundle` (botocore
/// hands it to urllib3 in place of its own bundle).
///
/// What TLS could not use is left out: corporate bundles carry odd certificates, and the HTTP
/// client would panic on them. A file without one good certificate is an error.
pub(crate) fn bundle(path: &Path) -> Result<TlsContext, String> {
    let shown = path.display();
    let mut pem = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LONGEST_BUNDLE).read_to_end(&mut pem))
        .map_err(|error| format!("the CA bundle `{shown}` cannot be read: {error}"))?;
    let mut good = RootCertStore::empty();
    let mut store = TrustStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
        let text = armoured(&certificate);
        if good.add(certificate).is_ok() {
            store.add_pem_certificate(text);
        }
    }
    if good.is_empty() {
        return Err(format!("the CA bundle `{shown}` holds no usable certificate"));
    }
    context(store)
}

fn context(store: TrustStore) -> Result<TlsContext, String> {
    TlsContext::builder().with_trust_store(store).build().map_err(|error| error.to_string())
}

fn armoured(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let body = BASE64_STANDARD.encode(certificate);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rest.len().min(64));
        text.push_str(head);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's file, in a room that may not use `store`")]
mod tests {
    use super::*;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn odd_certificates_are_left_out() {
        let key = rcgen::KeyPair::generate().unwrap();
        let good = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        bundle(written(&format!("# corporate\n{odd}{good}")).path()).unwrap();
        let none = bundle(written(odd).path()).unwrap_err();
        assert!(none.contains("holds no usable certificate"), "{none}");
        let missing = bundle(Path::new("/nowhere/ca.pem")).unwrap_err();
        assert!(missing.contains("`/nowhere/ca.pem` cannot be read"), "{missing}");
    }
}
