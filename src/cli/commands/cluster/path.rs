//! `eksd cluster path`.

use std::path::Path;

use super::clusters;
use crate::{
    cli::{door::Call, exit::Done, output},
    model::text::{near_miss, printable},
    report::{Code, Report},
};

/// The file is where it is whether an agent runs or not.
pub(super) fn path(call: &Call, alias: &str) -> Done {
    let file = call.paths.kubeconfig_dir.join(format!("{alias}.yaml"));
    let is_one_name = Path::new(alias).file_name().is_some_and(|name| name == alias);
    let found = if is_one_name && file.is_file() {
        file.display().to_string()
    } else {
        registered_path(call, alias)?
    };
    output::data(format!("{found}\n"))?;
    Ok(0)
}

fn registered_path(call: &Call, alias: &str) -> Result<String, Report> {
    let Ok(clusters) = clusters(call) else {
        // Without an agent the files are what is known.
        return Err(unknown(alias, &files(&call.paths.kubeconfig_dir)));
    };
    if let Some(cluster) = clusters.iter().find(|cluster| cluster.cluster == alias) {
        return Ok(cluster.kubeconfig.clone());
    }
    let known: Vec<String> = clusters.into_iter().map(|cluster| cluster.cluster).collect();
    Err(unknown(alias, &known))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect()
}

fn unknown(alias: &str, known: &[String]) -> Report {
    let what = format!("no cluster `{}` is registered", printable(alias));
    let fix = match near_miss(alias, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{}`?", printable(near)),
        None => "`eksd cluster list` lists them; `eksd cluster add` registers one".to_owned(),
    };
    Report::new(Code::UnknownCluster, what, fix)
}
