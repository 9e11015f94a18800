//! Discovery of clusters: whom to ask about which account and region, what an error of one profile
//! means for the next, and who signs for what was found.

use std::collections::BTreeMap;

use super::{Chain, Source};

/// Returns the account that a chain's credentials act in, where the configuration says so.
pub fn account_of(chain: &Chain) -> Option<String> {
    let arn = match (chain.hops.last(), &chain.source) {
        (Some(hop), _) => &hop.terms.role_arn,
        (None, Source::Sso { account_id, .. }) => return Some(account_id.clone()),
        (None, Source::Keys(keys)) => return keys.account_id.clone(),
        (None, Source::WebIdentity(identity)) => &identity.role_arn,
        (None, Source::Console(login)) => &login.arn,
        (None, Source::SsoTokenOnly { .. } | Source::Process(_) | Source::Machine { .. }) => {
            return None;
        }
    };
    arn.split(':').nth(4).filter(|account| !account.is_empty()).map(str::to_owned)
}

/// Returns the ARN of a cluster (Service Authorization Reference, "Resource types defined by Amazon
/// Elastic Kubernetes Service"); the partitions are those of `partitions.json` of the SDKs.
pub fn arn(account: &str, region: &str, name: &str) -> String {
    const PARTITIONS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    let known = PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix));
    let partition = known.map_or("aws", |(_, partition)| partition);
    format!("arn:{partition}:eks:{region}:{account}:cluster/{name}")
}

/// Returns whether a text has the form of a region's name.
pub fn is_region(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= 40 && text.contains('-') && text.chars().all(is_fit)
}

/// A profile that can be asked. Their order is the rule: as named on the command line, else those that
/// assume the fewest roles first, and then as in the config file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its name.
    pub profile: String,
    /// The account it acts in.
    pub account: String,
    /// The regions to ask in.
    pub regions: Vec<String>,
}

/// An account's clusters in one region: one list, whoever asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// Who can ask, by index, in the order in which they are asked until one is answered.
    pub askers: Vec<usize>,
}

/// Returns the places that the askers reach, each once.
pub fn places(askers: &[Asker]) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (at, asker) in askers.iter().enumerate() {
        for region in &asker.regions {
            let place = *known.entry((&asker.account, region)).or_insert_with(|| {
                let (account, region) = (asker.account.clone(), region.clone());
                found.push(Place { account, region, askers: Vec::new() });
                found.len() - 1
            });
            if !found[place].askers.contains(&at) {
                found[place].askers.push(at);
            }
        }
    }
    found
}

/// Returns who could sign for a cluster, the best first: whoever is registered for it already, then
/// those of its account in the order of the rule, and behind them those whom EKS refused the list.
pub fn signers(registered: Option<&str>, askers: &[&str], refused: &[&str]) -> Vec<String> {
    let (behind, before): (Vec<&str>, Vec<&str>) =
        askers.iter().partition(|profile| refused.contains(profile));
    let mut signers: Vec<String> = Vec::new();
    for profile in registered.into_iter().chain(before).chain(behind) {
        if signers.iter().all(|other| other != profile) {
            signers.push(profile.to_owned());
        }
    }
    signers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(profile: &str, account: &str, regions: &[&str]) -> Asker {
        let regions = regions.iter().map(|it| (*it).to_owned()).collect();
        Asker { profile: profile.to_owned(), account: account.to_owned(), regions }
    }

    #[test]
    fn each_account_and_region_is_one_place() {
        let askers = [
            asker("a", "1", &["eu", "us"]),
            asker("b", "2", &["eu"]),
            asker("c", "1", &["us", "us", "ap"]),
            asker("d", "3", &[]),
        ];
        let found: Vec<(String, String, Vec<usize>)> =
            places(&askers).into_iter().map(|it| (it.account, it.region, it.askers)).collect();
        let place = |account: &str, region: &str, askers: &[usize]| {
            (account.to_owned(), region.to_owned(), askers.to_vec())
        };
        assert_eq!(
            found,
            [
                place("1", "eu", &[0]),
                place("1", "us", &[0, 2]),
                place("2", "eu", &[1]),
                place("1", "ap", &[2]),
            ]
        );
    }

    #[test]
    fn a_hundred_profiles_of_thirty_accounts_are_ninety_places() {
        let askers: Vec<Asker> = (0..100)
            .map(|n| asker(&format!("p{n}"), &format!("{}", n % 30), &["eu", "us", "ap"]))
            .collect();
        let places = places(&askers);
        assert_eq!(places.len(), 90);
        assert_eq!(places.iter().map(|place| place.askers.len()).sum::<usize>(), 300);
    }

    #[test]
    fn who_signs() {
        for (registered, askers, refused, expected) in [
            (None, vec!["a", "b"], vec![], vec!["a", "b"]),
            (None, vec!["a", "b", "c"], vec!["a"], vec!["b", "c", "a"]),
            (Some("b"), vec!["a", "b"], vec![], vec!["b", "a"]),
            (Some("b"), vec!["a", "b"], vec!["b"], vec!["b", "a"]),
            (Some("z"), vec!["a"], vec![], vec!["z", "a"]),
            (None, vec!["a"], vec!["a"], vec!["a"]),
        ] {
            assert_eq!(signers(registered, &askers, &refused), expected);
        }
    }

    #[test]
    fn arns_and_regions() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
            ("us-iso-east-1", "aws-iso"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            let expected = format!("arn:{partition}:eks:{region}:111122223333:cluster/demo");
            assert_eq!(arn("111122223333", region, "demo"), expected);
            assert!(is_region(region));
        }
        for bad in ["", "eu", "EU-WEST-1", "eu-west-1.evil.example", "eu west-1", "eu-west-1,"] {
            assert!(!is_region(bad), "{bad}");
        }
    }
}
