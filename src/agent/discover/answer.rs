//! The answer: who signs for what was found, and what to call it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use super::{
    Found,
    search::{Search, side_by_side},
    survey::Registered,
};
use crate::{
    aws::{AwsError, Kind},
    ipc::wire::{Discovered, DiscoveredCluster, NotListed},
    model::{
        alias::Field,
        discovery::{Place, arn, signers},
    },
};

/// What was known before.
pub(super) struct Known<'a> {
    pub(super) registered: &'a [Registered],
    pub(super) signer: Option<&'a str>,
}

impl Search {
    /// Makes the answer: who signs for what was found, and what to call it.
    pub(super) async fn put_together(
        self: &Arc<Self>,
        mut found: Found,
        known: &Known<'_>,
        stop: &CancellationToken,
    ) -> Discovered {
        found
            .told
            .sort_by(|(a, ..), (b, ..)| (&a.account, &a.region).cmp(&(&b.account, &b.region)));
        let aliases = self.account_aliases(&found.told, known, stop).await;
        let mut clusters: Vec<DiscoveredCluster> = Vec::new();
        for (place, teller, names) in &found.told {
            let refused = self.refused_at(place, &found.errors);
            let account_alias = aliases.get(&place.account).cloned();
            for name in names {
                let cluster = self.cluster(place, *teller, name, &refused, known);
                clusters
                    .push(DiscoveredCluster { account_alias: account_alias.clone(), ..cluster });
            }
        }
        let told: BTreeSet<usize> = found.told.iter().map(|(_, teller, _)| *teller).collect();
        let errors = std::mem::take(&mut found.errors);
        found.not_listed.extend(
            errors
                .into_iter()
                .map(|(region, at, error)| self.not_listed(region, at, &error, told.contains(&at))),
        );
        let template = &self.world.settings.cluster_alias;
        let mut answer = Discovered {
            clusters,
            refused: found.not_listed,
            listed: found.told.len(),
            places: found.places,
            // What was not asked because the search was stopped was not spared.
            spared: if found.stopped { 0 } else { found.spared },
            stopped: found.stopped,
            template: template.to_string(),
        };
        let taken: Vec<String> = known.registered.iter().map(|it| it.alias.clone()).collect();
        answer.propose_aliases(template, &taken);
        answer
    }

    /// Returns the profiles that did not get the list of a place, or have no credentials at all.
    fn refused_at(&self, place: &Place, errors: &[(String, usize, AwsError)]) -> Vec<&str> {
        let was_refused = |at: &usize| {
            errors.iter().any(|(region, other, _)| *region == place.region && other == at)
                || self.credentials[*at].get().is_some_and(Result::is_err)
        };
        place.askers.iter().filter(|at| was_refused(at)).map(|at| self.profile(*at)).collect()
    }

    fn cluster(
        &self,
        place: &Place,
        teller: usize,
        name: &str,
        refused: &[&str],
        known: &Known<'_>,
    ) -> DiscoveredCluster {
        let arn = arn(&place.account, &place.region, name);
        let registered = known.registered.iter().find(|registered| registered.arn == arn);
        let askers: Vec<&str> = place.askers.iter().map(|at| self.profile(*at)).collect();
        let registered_with = registered.map(|registered| registered.profile.as_str());
        let profiles = signers(registered_with, &askers, refused);
        let by_rule = profiles.first().cloned().unwrap_or_default();
        let profile = match (registered, known.signer) {
            (None, Some(signer)) => signer.to_owned(),
            _ => by_rule,
        };
        DiscoveredCluster {
            name: name.to_owned(),
            region: place.region.clone(),
            account_id: place.account.clone(),
            account_alias: None,
            arn,
            profile,
            described_by: self.profile(teller).to_owned(),
            profiles,
            registered_as: registered.map(|registered| registered.alias.clone()),
            alias: registered.map(|registered| registered.alias.clone()).unwrap_or_default(),
        }
    }

    /// Asks what the accounts are called in which something new was found, where the template wants to
    /// know. Whoever may not know that calls them by their number.
    async fn account_aliases(
        self: &Arc<Self>,
        told: &[(Place, usize, BTreeSet<String>)],
        known: &Known<'_>,
        stop: &CancellationToken,
    ) -> BTreeMap<String, String> {
        let mut aliases = BTreeMap::new();
        if !self.world.settings.cluster_alias.has(Field::AccountAlias) {
            return aliases;
        }
        let is_new = |place: &Place, name: &String| {
            let arn = arn(&place.account, &place.region, name);
            known.registered.iter().all(|registered| registered.arn != arn)
        };
        let with_news = told
            .iter()
            .filter(|(place, _, names)| names.iter().any(|name| is_new(place, name)))
            .map(|(place, teller, _)| (place.account.clone(), (place.region.clone(), *teller)));
        // The last of an account stands for all of them.
        let accounts: BTreeMap<String, (String, usize)> = with_news.collect();
        let jobs = accounts.into_iter().map(|(account, (region, teller))| {
            let search = self.clone();
            async move {
                let credentials = search.credentials(teller).await?;
                let reach = search.chosen[teller].reach.to_region(&region);
                search.world.pace.wait().await;
                let alias = search.world.aws.account_alias(&reach, credentials).await;
                alias.ok().flatten().map(|alias| (account, alias))
            }
        });
        // What is not known when somebody has enough goes by its number.
        side_by_side(jobs, stop, |alias| aliases.extend(alias)).await;
        aliases
    }

    fn not_listed(&self, region: String, at: usize, error: &AwsError, is_good: bool) -> NotListed {
        let profile = self.profile(at).to_owned();
        let mut report = error.report(&profile);
        // A key that works elsewhere is not wrong (General Reference, "Managing AWS Regions": in a
        // region that is not enabled nobody is known).
        if error.kind == Kind::KeyRefused && is_good {
            report.fix = format!(
                "other regions know the key: enable {region} for the account, or leave it out"
            );
        }
        NotListed { profile, region: Some(region), report }
    }
}
