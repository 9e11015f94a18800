//! What the person's AWS files say, resolved once and kept until they change.

use std::collections::{BTreeMap, BTreeSet};

use super::shared::is_shared;
use crate::{
    config::Settings,
    model::{
        AwsFiles, Chain, ChainError, Finding, LoginKey, Origin, ProfileName, SsoLogin, chain,
        session::{SessionKey, Spec},
        text::{near_miss, printable, printable_sentence},
    },
    report::{Code, Report},
};

/// A profile, resolved.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The chain, or why there is none.
    pub(super) chain: Result<Chain, ChainError>,
    /// Its sessions, root first.
    pub(super) specs: Vec<Spec>,
    /// The line of the profile's header, for the order of rows.
    line: u32,
}

/// The AWS files, resolved.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: AwsFiles,
    profiles: BTreeMap<ProfileName, Resolved>,
    logins: BTreeMap<LoginKey, SsoLogin>,
    /// The root sessions, by key.
    roots: BTreeMap<SessionKey, Spec>,
    reports: Vec<Report>,
    /// Profiles that the files no longer hold in a form that works, kept as they were.
    carried: BTreeSet<ProfileName>,
}

/// Returns whether `now` holds a finding that `before` did not.
fn has_news(before: &[Finding], now: &[Finding]) -> bool {
    let count = |all: &[Finding], what: &str| all.iter().filter(|it| it.what == what).count();
    now.iter().any(|finding| count(before, &finding.what) < count(now, &finding.what))
}

fn report_of(finding: &Finding) -> Report {
    let refused = match finding.refused_by.as_slice() {
        [] => "eksd reads past it".to_owned(),
        by => format!("eksd reads past it; refused as a whole by: {}", by.join(", ")),
    };
    let what = format!("{}: {}", finding.origin, printable_sentence(&finding.what));
    Report::new(Code::ConfigBroken, what, format!("mend {}", finding.origin)).because(refused)
}

/// Adds what eksd's own settings say about MFA.
fn with_settings(mut chain: Chain, settings: &Settings) -> Chain {
    for device in chain.hops.iter_mut().filter_map(|hop| hop.mfa.as_mut()) {
        if device.process.is_none() {
            device.process = settings.mfa_process(&device.serial).map(str::to_owned);
        }
    }
    if let Some(hop) = chain.hops.first() {
        chain.mfa_way = settings.mfa_way(hop.profile.as_str());
    }
    chain
}

impl Known {
    /// Resolves `files`. A profile or sso-session that is lost because a line has just become
    /// unreadable keeps what `self` knew of it until the line is mended. `unread` are files that
    /// could not be read at all.
    pub(super) fn update(&mut self, mut files: AwsFiles, unread: Vec<Report>, settings: &Settings) {
        let lost_lines = !unread.is_empty() || has_news(&self.files.findings, &files.findings);
        let mut reports = unread;
        reports.extend(files.findings.iter().map(report_of));
        // What was lost earlier stays in use while something is still wrong with the files.
        let earlier = if reports.is_empty() { BTreeSet::new() } else { self.carried.clone() };
        let is_kept = |name: &ProfileName| lost_lines || earlier.contains(name);
        let carried = self.carry_over(&mut files, is_kept);
        reports.extend(carried.iter().map(|name| {
            let what = format!(
                "profile `{}` can no longer be read; its last good version is in use",
                printable(name.as_str())
            );
            Report::new(Code::ConfigBroken, what, "mend the lines named above")
        }));
        *self = Self { carried, ..Self::resolve(files, reports, settings) };
    }

    /// Puts the profiles that worked and do not work any more back, with their sso-sessions.
    fn carry_over(
        &self,
        files: &mut AwsFiles,
        is_kept: impl Fn(&ProfileName) -> bool,
    ) -> BTreeSet<ProfileName> {
        let mut carried = BTreeSet::new();
        for (name, known) in &self.profiles {
            let is_lost = known.chain.is_ok() && chain::resolve(files, name.as_str()).is_err();
            let Some(section) = self.files.profiles.get(name).filter(|_| is_lost && is_kept(name))
            else {
                continue;
            };
            files.profiles.insert(name.clone(), section.clone());
            for (session, section) in &self.files.sso_sessions {
                files.sso_sessions.entry(session.clone()).or_insert_with(|| section.clone());
            }
            carried.insert(name.clone());
        }
        carried
    }

    fn resolve(files: AwsFiles, reports: Vec<Report>, settings: &Settings) -> Self {
        let (mut logins, mut roots) = (BTreeMap::new(), BTreeMap::new());
        let profiles = files
            .profiles
            .iter()
            .map(|(name, section)| {
                let chain = chain::resolve(&files, name.as_str())
                    .map(|chain| with_settings(chain, settings));
                if let Ok(chain) = &chain
                    && let Some(login) = chain.login()
                {
                    logins.entry(login.key.clone()).or_insert_with(|| login.clone());
                }
                let specs = chain.as_ref().map(Chain::specs).unwrap_or_default();
                if let Some(root) = specs.first().filter(|spec| spec.is_root()) {
                    roots.entry(root.key.clone()).or_insert_with(|| root.clone());
                }
                (name.clone(), Resolved { chain, specs, line: section.origin.line })
            })
            .collect();
        Self { files, profiles, logins, roots, reports, carried: BTreeSet::new() }
    }

    /// Returns what is wrong with the files.
    pub(super) fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// Returns what the files say.
    pub(super) fn files(&self) -> &AwsFiles {
        &self.files
    }

    /// Returns the profiles in the order of the config file.
    pub(super) fn in_file_order(&self) -> Vec<(&ProfileName, &Resolved)> {
        let mut rows: Vec<_> = self.profiles.iter().collect();
        rows.sort_by_key(|(name, resolved)| (resolved.line, (*name).clone()));
        rows
    }

    /// Returns a profile.
    pub(super) fn profile(&self, name: &str) -> Option<&Resolved> {
        self.profiles.get(name)
    }

    /// Returns a profile's chain.
    ///
    /// # Errors
    /// No such profile, or it cannot work as written.
    pub(super) fn chain(&self, name: &str) -> Result<&Chain, Report> {
        match self.profiles.get(name) {
            Some(Resolved { chain: Ok(chain), .. }) => Ok(chain),
            Some(Resolved { chain: Err(error), .. }) => Err(Report::of_chain(name, error)),
            None => match chain::resolve(&self.files, name) {
                Ok(_) => {
                    Err(Report::new(Code::Internal, "a profile was lost", "report this as a bug"))
                }
                Err(error) => Err(Report::of_chain(name, &error)),
            },
        }
    }

    /// Returns the line of a profile's header.
    pub(super) fn origin_of(&self, profile: &str) -> Option<&Origin> {
        self.files.profiles.get(profile).map(|section| &section.origin)
    }

    /// Returns the sign-ins that profiles lead to.
    pub(super) fn logins(&self) -> &BTreeMap<LoginKey, SsoLogin> {
        &self.logins
    }

    /// Returns the root sessions whose tokens are in files shared with the AWS tools.
    pub(super) fn shared(&self) -> Vec<SessionKey> {
        self.roots.keys().filter(|key| is_shared(key)).cloned().collect()
    }

    /// Returns the sign-in of that name (sso-session or start URL).
    pub(super) fn login_named(&self, name: &str) -> Option<&SsoLogin> {
        self.logins.values().find(|login| login.key.cache_text() == name)
    }

    /// Returns the root session of that name: a sign-in, an MFA device, or a console identity.
    pub(super) fn root_named(&self, name: &str) -> Option<&Spec> {
        self.roots().find(|root| match &root.key {
            SessionKey::Login(login) => login.cache_text() == name,
            SessionKey::Mfa { serial, .. } => serial == name,
            SessionKey::Console(arn) => arn == name,
            _ => false,
        })
    }

    /// Returns every root session that some profile leads to.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Spec> {
        self.roots.values()
    }

    /// Returns a name that is spelled almost like `name`.
    pub(super) fn near(&self, name: &str, more: impl Iterator<Item = String>) -> Option<String> {
        let profiles = self.profiles.keys().map(ToString::to_string);
        let logins = self.logins.keys().map(ToString::to_string);
        let known: Vec<String> = profiles.chain(logins).chain(more).collect();
        near_miss(name, known.iter().map(String::as_str)).map(str::to_owned)
    }

    /// Returns the specs of every session that some profile leads to.
    pub(super) fn specs(&self) -> BTreeMap<&SessionKey, &Spec> {
        self.profiles
            .values()
            .flat_map(|resolved| &resolved.specs)
            .map(|spec| (&spec.key, spec))
            .collect()
    }

    /// Returns the profiles whose chain begins at `login`.
    pub(super) fn profiles_of(&self, login: &LoginKey) -> BTreeSet<&ProfileName> {
        self.profiles
            .iter()
            .filter(|(_, resolved)| {
                let chain = resolved.chain.as_ref().ok();
                chain.and_then(Chain::login).is_some_and(|found| found.key == *login)
            })
            .map(|(name, _)| name)
            .collect()
    }
}
