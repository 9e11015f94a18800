//! TLS under the services' real names, and the API servers' own certificates.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use eksd_lab::{Cluster, Lab, Script};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The answer to a GET from `name`, reached at a port of loopback; an error when its
/// certificate is not good for that name under that CA.
fn ask(port: u16, name: &str, ca_pem: &str, path: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("PEM");
    roots.add(ca).expect("a CA");
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
    let server = ServerName::try_from(name.to_owned()).expect("a name");
    let session = ClientConnection::new(Arc::new(config), server).expect("a session");
    let mut stream = StreamOwned::new(session, TcpStream::connect(("127.0.0.1", port))?);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    Ok(text)
}

fn kube_port(lab: &Lab, cluster: &str) -> u16 {
    let url = lab.kube_url(cluster);
    url.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port")
}

#[test]
fn the_certificate_is_good_for_every_region_that_plays_a_part() {
    let mut script = Script::default();
    script.regions.push("us-east-1".into());
    script.clusters.push(Cluster {
        name: "far".into(),
        account: "111122223333".into(),
        region: Some("cn-north-1".into()),
        ..Cluster::default()
    });
    let lab = Lab::start_tls(script);
    let port = lab.tls_port().expect("a TLS port");
    for name in [
        "oidc.eu-west-1.amazonaws.com",
        "portal.sso.eu-west-1.amazonaws.com",
        "sts.us-east-1.amazonaws.com",
        "sts.amazonaws.com",
        "eks.cn-north-1.amazonaws.com.cn",
        "d-0123456789.awsapps.com",
        "eu-west-1.signin.aws.amazon.com",
        "cn-north-1.signin.amazonaws.cn",
        "127.0.0.1",
    ] {
        let reply = ask(port, name, lab.ca_pem(), "/start").expect(name);
        assert!(reply.starts_with("HTTP/1.1 200"), "{name}: {reply}");
    }
    for name in ["oidc.eu-west-2.amazonaws.com", "example.com"] {
        assert!(ask(port, name, lab.ca_pem(), "/start").is_err(), "{name}");
    }
}

#[test]
fn each_api_server_has_its_own_ca() {
    let lab = Lab::start_tls(Script::default());
    let (demo, prod) = (kube_port(&lab, "demo"), kube_port(&lab, "prod"));
    let version = ask(demo, "127.0.0.1", &lab.kube_ca_pem("demo"), "/version").expect("trusted");
    assert!(version.contains("v1.32.0-eks-lab"), "the anonymous user may see it: {version}");
    let nodes = ask(demo, "127.0.0.1", &lab.kube_ca_pem("demo"), "/api/v1/nodes").expect("trusted");
    assert!(nodes.starts_with("HTTP/1.1 403") && nodes.contains("system:anonymous"), "{nodes}");
    assert!(ask(prod, "127.0.0.1", &lab.kube_ca_pem("demo"), "/version").is_err());
    assert!(ask(demo, "127.0.0.1", lab.ca_pem(), "/version").is_err());
}

#[test]
fn a_cluster_that_is_gone_does_not_answer() {
    let lab = Lab::start(Script::default());
    let (port, ca) = (kube_port(&lab, "demo"), lab.kube_ca_pem("demo"));
    lab.edit(|s| s.clusters.retain(|c| c.name != "demo"));
    // The listener closes on the lab's own thread; a call that the lab answers comes after it.
    common::get(&lab, "/start");
    assert!(ask(port, "127.0.0.1", &ca, "/version").is_err());
}
