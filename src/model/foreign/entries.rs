//! The entries of a kubeconfig that lead to EKS: what each context says about its cluster and identity.

use super::{
    plugin::{Maker, Said, Stanza},
    tree::{Document, Node},
};

/// A context that leads to EKS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The context's name.
    pub context: String,
    /// Its line.
    pub line: usize,
    /// The name of its user.
    pub user: String,
    /// The file that has the user, and the user's index in it.
    pub user_at: Option<(usize, usize)>,
    /// What it comes to.
    pub says: Says,
}

/// What a context comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// A cluster and an identity that eksd can take.
    Cluster(Maker, Identity),
    /// A registered cluster already.
    Registered(String),
    /// EKS, but not in a way that eksd can take; the reason, and who wrote it.
    Left(Option<Maker>, String),
}

/// A cluster, and who signs for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The cluster's name at AWS.
    pub name: String,
    /// Its region; absent: the profile's.
    pub region: Option<String>,
    /// The profile; absent: the shell's.
    pub profile: Option<String>,
    /// The role that the profile assumes.
    pub role_arn: Option<String>,
    /// The proxy to its API server.
    pub proxy_url: Option<String>,
}

/// The files of one shell, in their order: what the first one names, the others cannot.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a>(pub &'a [&'a Document]);

impl<'a> Files<'a> {
    /// Returns the first entry of that name in a list, with its file and index. client-go looks for
    /// each entry in all files (`clientcmd/loader.go`).
    pub fn find(self, list: &str, name: &str) -> Option<(usize, usize, &'a Node)> {
        self.0.iter().enumerate().find_map(|(file, document)| {
            let items = document.items(&document.root, list);
            let is_named = |item: &&std::rc::Rc<Node>| document.text(item, "name") == Some(name);
            let index = items.iter().position(|item| is_named(&item))?;
            Some((file, index, &*items[index]))
        })
    }

    /// Returns the entries whose contexts stand in this file.
    pub fn entries(self, file: usize) -> Vec<Entry> {
        let document = self.0[file];
        let contexts = document.items(&document.root, "contexts");
        contexts.iter().filter_map(|item| self.entry(file, document, item)).collect()
    }

    fn entry(self, file: usize, document: &'a Document, item: &'a Node) -> Option<Entry> {
        let context = document.text(item, "name")?;
        if self
            .find("contexts", context)
            .is_some_and(|(first, _, node)| first != file || !std::ptr::eq(node, item))
        {
            return None;
        }
        let inner = document.get(item, "context")?;
        let user = document.text(inner, "user")?;
        let cluster = document.text(inner, "cluster").unwrap_or_default();
        let found = self.find("users", user);
        let cluster_found = self.find("clusters", cluster);
        let of_cluster = |key: &str| {
            let (at, _, node) = cluster_found?;
            let document = self.0[at];
            document.text(document.get(node, "cluster")?, key)
        };
        let server = of_cluster("server").unwrap_or_default();
        let stanza = found.and_then(|(at, _, node)| Stanza::of_user(self.0[at], node));
        let says = match stanza.as_ref().map(Stanza::says) {
            Some(Said::Registered(alias)) => Says::Registered(alias),
            Some(Said::Cluster(maker, named)) => {
                let by_name = [cluster, user, context].into_iter().find_map(Place::of);
                let is_eksctl =
                    [cluster, user].into_iter().any(|name| name.ends_with(".eksctl.io"));
                let maker = if is_eksctl && maker != Maker::Eksd { Maker::Eksctl } else { maker };
                let name = named.name.or_else(|| Some(by_name.clone()?.name));
                match (named.obstacle, name) {
                    (Some(why), _) => Says::Left(Some(maker), why),
                    (None, None) => Says::Left(
                        Some(maker),
                        "it has the id of an Outposts cluster and nowhere the name".to_owned(),
                    ),
                    (None, Some(name)) => Says::Cluster(
                        maker,
                        Identity {
                            name,
                            region: named.region.or_else(|| Some(by_name?.region)),
                            profile: named.profile,
                            role_arn: named.role_arn,
                            proxy_url: of_cluster("proxy-url").map(str::to_owned),
                        },
                    ),
                }
            }
            Some(Said::Other) | None if is_eks(server) || Place::of(cluster).is_some() => {
                let why = match &stanza {
                    Some(stanza) => format!("its plugin is `{}`", stanza.program()),
                    None if found.is_none() => format!("there is no user `{user}`"),
                    None => "it logs in without a plugin".to_owned(),
                };
                Says::Left(None, why)
            }
            Some(Said::Other) | None => return None,
        };
        Some(Entry {
            context: context.to_owned(),
            line: item.line,
            user: user.to_owned(),
            user_at: found.map(|(file, index, _)| (file, index)),
            says,
        })
    }
}

/// Where a cluster is, as an entry's name tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The cluster's name at AWS.
    pub name: String,
    /// Its region.
    pub region: String,
}

impl Place {
    /// Reads the names that `aws eks update-kubeconfig` (the ARN) and eksctl
    /// (`[USER@]NAME.REGION.eksctl.io`) give. The endpoint tells no region that could be relied on.
    pub fn of(name: &str) -> Option<Self> {
        let owned = |name: &str, region: &str| {
            let is_said = !name.is_empty() && !region.is_empty();
            is_said.then(|| Self { name: name.to_owned(), region: region.to_owned() })
        };
        if let Some(eksctl) = name.strip_suffix(".eksctl.io") {
            let (name, region) = eksctl.rsplit_once('.')?;
            return owned(name.rsplit('@').next()?, region);
        }
        let mut parts = name.split(':');
        let (arn, partition, service, region) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_eks = arn == "arn" && partition.starts_with("aws") && service == "eks";
        let cluster = parts.nth(1)?.strip_prefix("cluster/").filter(|_| is_eks)?;
        owned(cluster, region)
    }
}

/// Returns whether an address is that of an EKS cluster: IPv4 and dual-stack ones, in all partitions
/// (EKS user guide, "Cluster API server endpoint").
pub fn is_eks(server: &str) -> bool {
    let host = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host.contains(".eks.amazonaws.")
        || host.ends_with(".api.aws")
        || host.contains(".api.amazonwebservices.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(texts: &[&str], file: usize) -> Vec<(String, Says)> {
        let documents: Vec<Document> =
            texts.iter().map(|text| Document::read(text).unwrap()).collect();
        let documents: Vec<&Document> = documents.iter().collect();
        let entries = Files(&documents).entries(file);
        entries.into_iter().map(|entry| (entry.context, entry.says)).collect()
    }

    fn identity(name: &str, region: &str) -> Identity {
        let region = (!region.is_empty()).then(|| region.to_owned());
        Identity { name: name.into(), region, profile: None, role_arn: None, proxy_url: None }
    }

    const ARN: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/demo";

    #[test]
    fn names_that_tell_a_place() {
        for (name, expected) in [
            (ARN, Some(("demo", "eu-west-1"))),
            ("arn:aws-us-gov:eks:us-gov-west-1:1:cluster/a", Some(("a", "us-gov-west-1"))),
            ("arn:aws:iam::1:role/x", None),
            ("demo.eu-west-1.eksctl.io", Some(("demo", "eu-west-1"))),
            ("me@x.y@demo.eu-west-1.eksctl.io", Some(("demo", "eu-west-1"))),
            ("eksctl.io", None),
            ("demo", None),
        ] {
            let place = Place::of(name);
            let place = place.as_ref().map(|it| (it.name.as_str(), it.region.as_str()));
            assert_eq!(place, expected, "{name}");
        }
    }

    #[test]
    fn the_region_is_never_guessed_from_the_endpoint() {
        let text = "clusters: [{name: c, cluster: {server: 'https://X.gr7.us-east-1.eks.amazonaws.com', proxy-url: p}}]\n\
                    users: [{name: u, user: {exec: {command: aws, args: [eks, get-token, --cluster-name, demo]}}}]\n\
                    contexts: [{name: x, context: {cluster: c, user: u}}]\n";
        let expected = Identity { proxy_url: Some("p".into()), ..identity("demo", "") };
        assert_eq!(entries(&[text], 0), [("x".into(), Says::Cluster(Maker::AwsCli, expected))]);
        let named = text.replace("name: c,", &format!("name: '{ARN}',"));
        let named = named.replace("cluster: c,", &format!("cluster: '{ARN}',"));
        let expected = Identity { proxy_url: Some("p".into()), ..identity("demo", "eu-west-1") };
        assert_eq!(entries(&[&named], 0), [("x".into(), Says::Cluster(Maker::AwsCli, expected))]);
    }

    #[test]
    fn entries_are_found_over_files_and_the_first_one_wins() {
        let first = format!(
            "clusters: [{{name: '{ARN}', cluster: {{server: s}}}}]\n\
             contexts: [{{name: x, context: {{cluster: '{ARN}', user: u}}}}]\n"
        );
        let second = "users: [{name: u, user: {exec: {command: aws-iam-authenticator, args: [token, -i, demo]}}}]\n\
                      contexts: [{name: x, context: {cluster: other, user: u}}, {name: y, context: {cluster: z, user: u}}]\n";
        let authenticator = |region| Says::Cluster(Maker::Authenticator, identity("demo", region));
        assert_eq!(entries(&[&first, second], 0), [("x".into(), authenticator("eu-west-1"))]);
        assert_eq!(entries(&[&first, second], 1), [("y".into(), authenticator(""))]);
    }

    #[test]
    fn what_is_not_for_eksd() {
        let text = "clusters:\n- {name: kind, cluster: {server: 'https://127.0.0.1:1'}}\n\
                    - {name: e, cluster: {server: 'https://X.yl4.eu-west-1.eks.amazonaws.com'}}\n\
                    users:\n- {name: v, user: {exec: {command: /opt/aws-vault, args: [exec]}}}\n- {name: t, user: {token: t}}\n\
                    - {name: own, user: {exec: {command: eksd, args: [token, --cluster, d]}}}\n\
                    contexts:\n- {name: a, context: {cluster: kind, user: v}}\n- {name: b, context: {cluster: e, user: v}}\n\
                    - {name: c, context: {cluster: e, user: t}}\n- {name: d, context: {cluster: e, user: own}}\n\
                    - {name: f, context: {cluster: e, user: gone}}\n";
        let left = |why: &str| Says::Left(None, why.to_owned());
        assert_eq!(
            entries(&[text], 0),
            [
                ("b".into(), left("its plugin is `aws-vault`")),
                ("c".into(), left("it logs in without a plugin")),
                ("d".into(), Says::Registered("d".into())),
                ("f".into(), left("there is no user `gone`")),
            ]
        );
    }

    #[test]
    fn addresses_of_eks() {
        for (server, expected) in [
            ("https://ABC.gr7.eu-west-1.eks.amazonaws.com", true),
            ("https://ABC.yl4.cn-north-1.eks.amazonaws.com.cn:443/x", true),
            ("https://abc.eks-cluster.eu-west-1.api.aws", true),
            ("https://127.0.0.1:6443", false),
            ("https://eks.example.com", false),
        ] {
            assert_eq!(is_eks(server), expected, "{server}");
        }
    }
}
