//! The least that a Kubernetes client does: run the exec plugin, ask with its token.

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};

use crate::client;

/// Prints what the cluster says; exit code 1 when it refuses.
pub(crate) fn get(
    what: &str,
    kubeconfig: Option<PathBuf>,
    context: Option<&str>,
) -> io::Result<ExitCode> {
    let path = kubeconfig
        .or_else(|| std::env::var_os("KUBECONFIG").map(PathBuf::from))
        .ok_or_else(|| io::Error::other("no --kubeconfig and no KUBECONFIG"))?;
    let text = fs::read_to_string(&path)?;
    let config: Value = serde_yaml_ng::from_str(&text).map_err(io::Error::other)?;
    let context = context.or(config["current-context"].as_str()).unwrap_or_default();
    let context = &entry(&config, "contexts", context)?["context"];
    let cluster = &entry(&config, "clusters", word(context, "cluster")?)?["cluster"];
    let user = &entry(&config, "users", word(context, "user")?)?["user"];

    let token = token(&user["exec"], cluster)?;
    let path = match what {
        "nodes" => "/api/v1/nodes",
        "version" => "/version",
        path if path.starts_with('/') => path,
        _ => return Err(io::Error::other("get what? nodes, version or a path")),
    };
    let answer = ask(cluster, path, &token)?;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if answer.status != 200 {
        let message = body["message"].as_str().unwrap_or(&answer.body);
        writeln!(io::stderr(), "error from server ({}): {message}", answer.status)?;
        return Ok(ExitCode::FAILURE);
    }
    let mut out = io::stdout().lock();
    match what {
        "nodes" => {
            for node in body["items"].as_array().into_iter().flatten() {
                writeln!(out, "{}", node["metadata"]["name"].as_str().unwrap_or_default())?;
            }
        }
        "version" => writeln!(out, "{}", body["gitVersion"].as_str().unwrap_or_default())?,
        _ => writeln!(out, "{}", answer.body)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn entry<'a>(config: &'a Value, list: &str, name: &str) -> io::Result<&'a Value> {
    let mut items = config[list].as_array().into_iter().flatten();
    items
        .find(|item| item["name"] == name)
        .ok_or_else(|| io::Error::other(format!("no {name:?} among the kubeconfig's {list}")))
}

fn word<'a>(value: &'a Value, key: &str) -> io::Result<&'a str> {
    value[key].as_str().ok_or_else(|| io::Error::other(format!("the kubeconfig has no {key}")))
}

/// Runs the exec plugin and takes the token from what it prints.
fn token(exec: &Value, cluster: &Value) -> io::Result<String> {
    let api = word(exec, "apiVersion")?;
    let mut command = Command::new(word(exec, "command")?);
    command.args(exec["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
    for pair in exec["env"].as_array().into_iter().flatten() {
        command.env(word(pair, "name")?, word(pair, "value")?);
    }
    let mut spec = json!({"interactive": false});
    if exec["provideClusterInfo"] == true {
        spec["cluster"] = json!({
            "server": cluster["server"],
            "certificate-authority-data": cluster["certificate-authority-data"],
        });
    }
    let info = json!({"kind": "ExecCredential", "apiVersion": api, "spec": spec});
    let output = command
        .env("KUBERNETES_EXEC_INFO", format!("{info}\n"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("the exec plugin failed ({})", output.status)));
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(io::Error::other)?;
    if answer["apiVersion"] != api {
        let got = &answer["apiVersion"];
        return Err(io::Error::other(format!("the exec plugin speaks {got}, not {api}")));
    }
    Ok(word(&answer["status"], "token")?.to_owned())
}

fn ask(cluster: &Value, path: &str, token: &str) -> io::Result<client::Response> {
    let server = word(cluster, "server")?;
    let place = server
        .strip_prefix("https://")
        .ok_or_else(|| io::Error::other(format!("not an https URL: {server}")))?
        .trim_end_matches('/');
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let pem = match cluster["certificate-authority"].as_str() {
        Some(file) => fs::read(file)?,
        None => base64::engine::general_purpose::STANDARD
            .decode(word(cluster, "certificate-authority-data")?)
            .map_err(io::Error::other)?,
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let session =
        rustls::ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let with_port = if place.contains(':') { place.to_owned() } else { format!("{place}:443") };
    let mut stream = rustls::StreamOwned::new(session, TcpStream::connect(with_port)?);
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Accept", "application/json")];
    stream.write_all(client::request("GET", place, path, &headers, "").as_bytes())?;
    client::read_response(&mut stream)
}
