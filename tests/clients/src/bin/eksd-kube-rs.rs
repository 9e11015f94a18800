//! A client of Kubernetes as people write it with kube-rs: for each line on standard input it lists
//! the nodes and the namespaces, and prints their names, or what went wrong.

use std::{
    error::Error,
    io::{self, BufRead as _, Write as _},
};

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::{Api, Client, ResourceExt, api::ListParams};

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // KUBECONFIG, else the file in the home folder: what every program does that is not told.
        let client = Client::try_default().await?;
        for line in io::stdin().lock().lines() {
            line?;
            let said = names(&client).await.unwrap_or_else(|error| format!("error: {error}"));
            writeln!(io::stdout(), "{said}")?;
        }
        Ok(())
    })
}

async fn names(client: &Client) -> Result<String, kube::Error> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    let namespaces = Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await?;
    let names = nodes.iter().map(ResourceExt::name_any);
    let names = names.chain(namespaces.iter().map(ResourceExt::name_any));
    Ok(names.collect::<Vec<_>>().join(" "))
}
