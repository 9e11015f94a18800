//! Who can be asked for clusters.

use crate::{
    agent::owner::Agent,
    ipc::wire::{ClusterDiscoverParams, NotListed},
    model::{
        ChainError, ProfileName, Reach, Source,
        discovery::{account_of, is_region},
        status::Phase,
        text::printable,
    },
    report::{Code, Report},
};

/// What is known before anybody is asked.
#[derive(Debug)]
pub(in crate::agent) struct Survey {
    /// Who can be asked, in the order of the rule.
    pub(super) chosen: Vec<Chosen>,
    /// Who cannot, and why.
    pub(super) refused: Vec<NotListed>,
    /// The registered clusters.
    pub(super) registered: Vec<Registered>,
}

#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) profile: String,
    pub(super) account: Option<String>,
    pub(super) regions: Vec<String>,
    pub(super) reach: Reach,
}

#[derive(Debug)]
pub(super) struct Registered {
    pub(super) arn: String,
    pub(super) alias: String,
    pub(super) profile: String,
}

impl Agent {
    /// Finds out who can be asked for clusters. A profile that needs a person is told of, and nothing is
    /// begun for it.
    pub(in crate::agent) fn survey(
        &self,
        params: &ClusterDiscoverParams,
    ) -> Result<Survey, Report> {
        if let Some(region) = params.regions.iter().find(|region| !is_region(region)) {
            let what = format!("`{}` is not the name of a region", printable(region));
            return Err(Report::new(Code::Usage, what, "give one such as `--region eu-west-1`"));
        }
        if let Some(signer) = &params.authenticate_with {
            self.known.chain(signer)?;
        }
        let mut names = self.named(params)?;
        if params.all {
            let hops = |name: &ProfileName| {
                self.known.chain(name.as_str()).map_or(0, |chain| chain.hops.len())
            };
            names.sort_by_key(hops);
        }
        let (mut chosen, mut refused) = (Vec::new(), Vec::new());
        for name in names {
            match self.choose(name.as_str(), params) {
                Ok(one) => chosen.push(one),
                Err(report) => {
                    refused.push(NotListed { profile: name.to_string(), region: None, report });
                }
            }
        }
        let registered = self.clusters.all().map(|cluster| Registered {
            arn: cluster.facts.arn.clone(),
            alias: cluster.alias.clone(),
            profile: cluster.profile.clone(),
        });
        Ok(Survey { chosen, refused, registered: registered.collect() })
    }

    /// Returns the profiles that are meant, each once.
    fn named(&self, params: &ClusterDiscoverParams) -> Result<Vec<ProfileName>, Report> {
        if params.all {
            let rows = self.known.in_file_order().into_iter();
            // Profiles that only hold settings or a sign-in are no news.
            let has_credentials = rows.filter(|(_, resolved)| match &resolved.chain {
                Ok(chain) => {
                    !chain.hops.is_empty() || !matches!(chain.source, Source::SsoTokenOnly { .. })
                }
                Err(error) => !matches!(error, ChainError::NoCredentials { .. }),
            });
            let names: Vec<ProfileName> = has_credentials.map(|(name, _)| name.clone()).collect();
            if names.is_empty() {
                let what = "no profile has credentials";
                return Err(Report::new(Code::Usage, what, "`aws configure sso` makes one"));
            }
            return Ok(names);
        }
        if params.profiles.is_empty() {
            // Nearly every config has a [default] that only holds settings.
            let own = self.known.profile("default").map(|resolved| &resolved.chain);
            if own.is_none_or(|own| matches!(own, Err(ChainError::NoCredentials { .. }))) {
                let what =
                    "no profile was named, and there is no profile `default` with credentials";
                let fix = "name some with `--profile`, or look with every profile: `--all`";
                return Err(Report::new(Code::Usage, what, fix));
            }
            return Ok(vec![ProfileName::new("default")]);
        }
        let mut names: Vec<ProfileName> = Vec::new();
        for name in &params.profiles {
            if self.known.profile(name).is_none() {
                self.known.chain(name)?;
            }
            if names.iter().all(|other| other.as_str() != name) {
                names.push(ProfileName::new(name));
            }
        }
        Ok(names)
    }

    fn choose(&self, name: &str, params: &ClusterDiscoverParams) -> Result<Chosen, Report> {
        let chain = self.known.chain(name)?;
        let view = self.view(name);
        if let (Phase::NeedsLogin | Phase::NeedsMfa, Some(report)) = (view.phase, view.report) {
            return Err(report);
        }
        let mut regions = params.regions.clone();
        if regions.is_empty() {
            regions.extend(chain.reach.region.clone());
            regions.extend(self.world.settings.cluster_regions.iter().cloned());
        }
        if regions.is_empty() {
            regions.extend(self.world.default_region.clone());
        }
        if regions.is_empty() {
            let what = format!("no region is known for profile `{}`", printable(name));
            let fix = "give `--region REGION`, set `region` in the profile, or `[clusters] regions` in the settings";
            return Err(Report::new(Code::Usage, what, fix));
        }
        Ok(Chosen {
            profile: name.to_owned(),
            account: account_of(chain),
            regions,
            reach: chain.reach.clone(),
        })
    }
}
