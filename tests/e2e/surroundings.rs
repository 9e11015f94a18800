//! Environment variables: TLS, proxies, and what a client's environment must not change.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eksd_lab::{Lab, Script};

use crate::home::{CONFIG, CREDENTIALS};
use crate::place::Place;

/// A place whose AWS speaks TLS with a private CA, which lies in `ca.pem`.
fn over_tls() -> Place {
    let lab = Lab::start_tls(Script::default());
    let url = lab.tls_url().unwrap();
    let mut place = Place::at(Some(lab));
    place.write("ca.pem", place.lab().ca_pem());
    place.set("AWS_ENDPOINT_URL", url);
    place
}

/// Without a person: profile `chained` begins at keys here, so that one call is made.
fn with_keys(place: &Place) {
    let config = CONFIG.replace("source_profile = dev", "source_profile = keys");
    place.write("home/.aws/config", &config);
}

const ASK: &str = "credential-process --profile chained";

#[test]
fn a_private_authority_is_believed_where_it_is_named() {
    let mut place = over_tls();
    with_keys(&place);
    let said = place.eksd(ASK).fails(1);
    assert!(said.contains("certificate"), "{said}");
    assert!(said.contains("AWS_CA_BUNDLE"), "it says what to set: {said}");
    place.end_agent();
    let ca = place.path("ca.pem").to_str().unwrap().to_owned();
    for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        place.set(name, &ca);
        place.eksd(ASK).json();
        place.end_agent();
        place.unset(name);
    }
    let config = place.read("home/.aws/config");
    let config =
        config.replace("[profile chained]", &format!("[profile chained]\nca_bundle = {ca}"));
    place.write("home/.aws/config", &config);
    place.eksd(ASK).json();
    place.end_agent();
    // A bundle that is not there, or holds nothing, says so.
    place.write("home/.aws/config", CONFIG);
    with_keys(&place);
    for (file, expected) in [("/nowhere.pem", "/nowhere.pem"), ("/etc/passwd", "/etc/passwd")] {
        place.set("AWS_CA_BUNDLE", file);
        let said = place.eksd(ASK).failed();
        assert!(said.contains(expected), "{said}");
        for agent in place.agents() {
            let _gone = rustix::process::kill_process(agent, rustix::process::Signal::TERM);
        }
        crate::tools::until("no agent", || place.agents().is_empty());
    }
}

/// The whole job under TLS.
#[test]
fn a_login_over_tls() {
    let mut place = over_tls();
    let ca = place.path("ca.pem").to_str().unwrap().to_owned();
    place.set("AWS_CA_BUNDLE", ca);
    // The lab's own browser speaks plain HTTP only; a code that is approved at once needs none.
    place.eksd("login dev --device-code --no-browser").ok();
    place.credentials("dev");
    place.add_demo();
    assert!(place.eksd("token --cluster demo").json()["status"]["token"].is_string());
}

/// A proxy that tunnels, and counts.
struct Proxy {
    port: u16,
    tunnels: Arc<AtomicUsize>,
}

fn proxy() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = tunnels.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let counted = counted.clone();
            std::thread::spawn(move || tunnel(client, &counted));
        }
    });
    Proxy { port, tunnels }
}

fn tunnel(mut client: TcpStream, counted: &AtomicUsize) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    // The name stands for this machine: a proxy knows names that its clients do not.
    let port = target.rsplit(':').next()?;
    let mut server = TcpStream::connect(format!("127.0.0.1:{port}")).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    counted.fetch_add(1, Ordering::Relaxed);
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut server, &mut client).ok()?;
    Some(())
}

#[test]
fn proxies_are_used_and_passed_by() {
    let mut place = over_tls();
    with_keys(&place);
    let proxy = proxy();
    let count = || proxy.tunnels.load(Ordering::Relaxed);
    let ca = place.path("ca.pem").to_str().unwrap().to_owned();
    place.set("AWS_CA_BUNDLE", ca);
    let port = place.lab().tls_port().unwrap();
    place.set("AWS_ENDPOINT_URL", format!("https://sts.eu-west-1.amazonaws.com:{port}"));
    place.set("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port));
    place.eksd(ASK).json();
    assert_eq!(count(), 1, "through the proxy");
    place.end_agent();

    place.set("AWS_ENDPOINT_URL", place.lab().tls_url().unwrap());
    place.set("NO_PROXY", "127.0.0.1");
    place.eksd(ASK).json();
    assert_eq!(count(), 1, "past the proxy");
    place.end_agent();

    // Not a variable of the AWS tools; where it is set it often names a proxy that speaks SOCKS.
    place.unset("NO_PROXY");
    place.unset("HTTPS_PROXY");
    place.set("ALL_PROXY", format!("socks5://127.0.0.1:{}", proxy.port));
    place.eksd(ASK).json();
    assert_eq!(count(), 1, "past the proxy that the AWS tools do not use either");
}

/// The agent's surroundings are those it was started in. Whoever asks it decides nothing but what
/// is in the request.
#[test]
fn a_clients_environment_moves_nothing() {
    let place = Place::new();
    place.login();
    let elsewhere = Lab::start(Script::default());
    place.write(
        "other-config",
        "[profile evil]\nregion = eu-west-1\ncredential_process = touch x\n",
    );
    place.write("other-credentials", &CREDENTIALS.replace("ALICE", "EVIL1"));
    let url = elsewhere.url();
    let (config, keys) = (place.path("other-config"), place.path("other-credentials"));
    let vars = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_ENDPOINT_URL_SSO", url.as_str()),
        ("AWS_ENDPOINT_URL_EKS", url.as_str()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_SHARED_CREDENTIALS_FILE", keys.to_str().unwrap()),
        ("HTTP_PROXY", url.as_str()),
        ("AWS_CA_BUNDLE", "/nowhere"),
        ("AWS_REGION", "us-east-1"),
    ];
    for profile in ["dev", "chained", "keys"] {
        let words = format!("credential-process --profile {profile}");
        let given = place.eksd_with(&vars, &words).json();
        assert_ne!(given["AccessKeyId"], "AKIALABEVIL100000001", "{profile}");
    }
    place.eksd_with(&vars, "cluster add demo --profile dev --region eu-west-1").ok();
    place.eksd_with(&vars, "token --cluster demo").json();
    let said = place.eksd_with(&vars, "credential-process --profile evil").fails(2);
    assert!(said.contains("evil"), "{said}");
    assert_eq!(elsewhere.count("*"), 0, "{:?}", elsewhere.calls());
    let server = place.lab().kube_url("demo");
    assert!(place.read("home/.kube/eksd/demo.yaml").contains(&server));
}
