//! Clusters that change and files that are edited, with the real kubectl: the next call works, what
//! is the person's is kept, and the desktop says what happened.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use eksd_lab::{Cluster, Script};

use crate::notices::{Desktop, notifies};
use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{tool, until};

fn kubectl(place: &Place, alias: &str, words: &str) -> Ran {
    let file = place.path(&format!("home/.kube/eksd/{alias}.yaml"));
    place.real(tool("kubectl"), &format!("--kubeconfig {} {words}", file.display()))
}

fn file(place: &Place, alias: &str) -> String {
    place.read(&format!("home/.kube/eksd/{alias}.yaml"))
}

fn nodes(place: &Place, alias: &str) {
    let nodes = kubectl(place, alias, "get nodes").ok();
    assert!(nodes.contains("ip-10-0-0-2"), "{nodes}");
}

#[test]
fn a_cluster_that_was_made_anew() {
    let mut place = Place::new();
    let mut desktop = Desktop::bus(&mut place);
    desktop.dunst(&mut place);
    place.login();
    place.add_demo();
    nodes(&place, "demo");
    kubectl(&place, "demo", "config set-context --current --namespace=team-a").ok();

    place.lab().recreate("demo");
    let born = jiff::Timestamp::from_second(place.lab().now()).unwrap().strftime("%Y-%m-%d");
    let happened = format!("was created anew on {born}; the file follows; namespace kept");
    kubectl(&place, "demo", "get nodes").failed();
    let said = place.eksd("cluster sync demo").talk();
    let expected = format!(
        "demo: was created anew on {born}; has another address; has another certificate authority\n"
    );
    assert_eq!(said, expected);
    nodes(&place, "demo");
    let namespace = kubectl(&place, "demo", "config view --minify -o jsonpath={..namespace}").ok();
    assert_eq!(namespace, "team-a");

    until("the notice", || !notifies(&place.read("monitor")).is_empty());
    let told = notifies(&place.read("monitor"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].title.contains("Cluster demo was created anew"), "{told:?}");
    assert!(told[0].body.contains(&format!("demo: {happened}")), "{told:?}");

    // Whoever looks later sees it too; nobody is told twice.
    assert_eq!(place.eksd("cluster sync").talk(), "demo: as it should be\n");
    let listed = place.eksd("cluster list").ok();
    assert!(listed.trim_end().ends_with(&happened), "{listed}");
    place.end_agent();
    let row = place.eksd("cluster list --json").json();
    assert_eq!(row[0]["drift"], happened);
    assert_eq!(row[0]["drifts"][0]["kind"], "created-anew");
    assert_eq!(notifies(&place.read("monitor")).len(), 1);
}

#[test]
fn a_deleted_cluster_is_named_by_kubectl() {
    let place = Place::new();
    place.login();
    place.add_demo();
    let before = file(&place, "demo");
    place.lab().edit(|script| script.clusters.clear());
    let said = place.eksd("cluster sync").fails(1);
    assert!(
        said.contains("cluster `demo` was deleted") && said.contains("eksd cluster remove demo")
    );
    let said = kubectl(&place, "demo", "get nodes").failed();
    assert!(said.contains("eksd: cluster `demo` was deleted"), "{said}");
    assert_eq!(file(&place, "demo"), before);
}

/// kubectl's own edits are the person's; what stops kubectl is mended under its hands.
#[test]
fn edits_of_the_file() {
    let place = Place::new();
    place.login();
    place.add_demo();
    for words in [
        "config set-context mine --cluster=demo --user=demo --namespace=team-b",
        "config use-context mine",
        "config set clusters.demo.tls-server-name 127.0.0.1",
    ] {
        kubectl(&place, "demo", words).ok();
    }
    let mine = file(&place, "demo");
    assert_eq!(place.eksd("cluster sync demo").talk(), "demo: as it should be\n");
    assert_eq!(file(&place, "demo"), mine);
    nodes(&place, "demo");

    // A name twice: kubectl takes nothing of such a file.
    let doubled = mine.replace(
        "contexts:\n",
        "- cluster:\n    server: https://evil.example\n  name: demo\ncontexts:\n",
    );
    let elsewhere = place.path("doubled.yaml");
    place.write("doubled.yaml", &doubled);
    let words = format!("--kubeconfig {} get nodes", elsewhere.display());
    let said = place.real(tool("kubectl"), &words).failed();
    assert!(said.contains("duplicate name"), "{said}");

    for broken in [
        doubled,
        mine.replace("server: https://", "server: https://evil."),
        "not: [a kubeconfig".to_owned(),
    ] {
        place.write("home/.kube/eksd/demo.yaml", &broken);
        until("put back", || {
            let text = file(&place, "demo");
            text != broken
                && !text.contains("evil")
                && text.contains("get nodes") == broken.contains("get nodes")
        });
        nodes(&place, "demo");
    }
    assert_eq!(place.read("home/.kube/eksd/demo.yaml.bad-1"), "not: [a kubeconfig");
    let listed = place.eksd("cluster list").ok();
    assert!(listed.contains("kept in ~/.kube/eksd/demo.yaml.bad-1"), "{listed}");
}

#[test]
fn another_name() {
    let place = Place::new();
    place.login();
    place.add_demo();
    kubectl(&place, "demo", "config set-context --current --namespace=team-a").ok();
    let said = place.eksd("cluster rename demo prod-eu").talk();
    assert!(said.contains("eksd use prod-eu"), "{said}");
    assert_eq!(file(&place, "demo"), "");
    nodes(&place, "prod-eu");
    let namespace = kubectl(&place, "prod-eu", "config view --minify -o jsonpath={..namespace}");
    assert_eq!(namespace.ok(), "team-a");
    assert!(place.eksd("cluster list").ok().starts_with("prod-eu\teu-west-1\tdev\tfresh\t"));
    place.eksd("cluster rename demo other").fails(2);
}

#[test]
fn clusters_of_every_kind() {
    let mut script = Script::default();
    let demo = script.clusters[0].clone();
    let like = |name: &str| Cluster { name: name.into(), ..demo.clone() };
    script.clusters = vec![
        Cluster { local_id: Some("0a1b2c3d-0000-4000-8000-00000000e45d".into()), ..like("local") },
        Cluster { connector: Some("GKE".into()), ..like("elsewhere") },
        Cluster { public: false, private: true, ..like("inside") },
        Cluster { ip_family: "ipv6".into(), ..like("six") },
    ];
    let place = Place::with(script);
    place.login();
    for alias in ["local", "inside", "six"] {
        let said = place.eksd(&format!("cluster add {alias} --profile dev")).talk();
        assert_eq!(
            said.contains("only be reached from inside its VPC"),
            alias == "inside",
            "{said}"
        );
        nodes(&place, alias);
    }
    let said = place.eksd("cluster add elsewhere --profile dev").fails(1);
    assert!(said.contains("`elsewhere` runs at GKE and is only registered with EKS"), "{said}");
    // The AWS CLI's own words for the local one work as well.
    let words =
        "--cluster-id 0a1b2c3d-0000-4000-8000-00000000e45d --region eu-west-1 --profile dev";
    place.eksd(&format!("token {words}")).ok();
}

/// A proxy of RFC 9110, 9.3.6 (CONNECT), and the names it was asked for.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = heard.clone();
                thread::spawn(move || drop(serve(stream, &heard)));
            }
        });
        Self { address, asked }
    }
}

fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let place = head.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
    let mut server = TcpStream::connect(place)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        drop(io::copy(&mut from_client, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

#[test]
fn a_cluster_behind_a_proxy() {
    let place = Place::new();
    let proxy = Proxy::start();
    place.login();
    let add = "cluster add demo --region eu-west-1 --profile dev";
    place.eksd(&format!("{add} --proxy-url http://{}", proxy.address)).ok();
    nodes(&place, "demo");
    let connect = place.lab().kube_url("demo").replace("https://", "CONNECT ") + " HTTP/1.1";
    let asked = proxy.asked.lock().unwrap().clone();
    assert!(!asked.is_empty() && asked.iter().all(|line| *line == connect), "{asked:?}");

    // The registration's proxy is eksd's, and goes with it; the person's own stays.
    let written = file(&place, "demo");
    let listed = place.eksd("cluster list --json").json();
    assert_eq!(listed[0]["proxy_url"], format!("http://{}", proxy.address));
    place.write(
        "home/.kube/eksd/demo.yaml",
        &written.replace("proxy-url: http", "proxy-url: socks5"),
    );
    until("put back", || file(&place, "demo") == written);
    place.eksd(add).ok();
    assert!(!file(&place, "demo").contains("proxy-url"));
    let own = format!("config set clusters.demo.proxy-url http://{}", proxy.address);
    kubectl(&place, "demo", &own).ok();
    place.eksd("cluster sync").ok();
    assert!(file(&place, "demo").contains(&proxy.address));
    nodes(&place, "demo");
    assert!(asked.len() < proxy.asked.lock().unwrap().len());

    for (url, said) in [
        ("ftp://proxy", "kubectl knows no `ftp` proxy"),
        ("proxy:3128", "is not a proxy's address"),
        ("http://me:hunter2@proxy", "a user or password would stand in files"),
    ] {
        let refused = place.eksd(&format!("{add} --proxy-url {url}")).fails(2);
        assert!(refused.contains(said) && !refused.contains("hunter2"), "{refused}");
    }
}
