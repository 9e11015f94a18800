//! Tokens for clusters: for whom, signed by whom, and what follows where a cluster seems to refuse one.
//! The model decides; see [`crate::model::token`].

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    event::{Ask, Event, Patience, Reply},
    owner::{Agent, Held},
    verdict::{self, Suspect},
};
use crate::{
    aws::{StsEndpoint, eks_token},
    ipc::wire::TokenParams,
    model::{
        Chain, Credentials, ProfileName, Reach, RoleHop, RoleTerms, Secret, Source,
        cluster::Cluster,
        source::{is_external_id, is_session_name},
        text::printable,
        token::{Asker, Book, Next, Refusals, Subject, Time, TokenKey},
    },
    report::{Code, Report},
};

/// A token is good for 15 minutes from the time it names.
const MOST_SKEW: Duration = Duration::from_mins(15);

/// What is remembered about tokens; no token is.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    book: Book,
    refusals: Refusals,
    /// Those who wait for what AWS says.
    waiting: BTreeMap<Subject, Vec<oneshot::Sender<Report>>>,
}

/// A question for a token.
#[derive(Clone, Debug)]
pub(super) struct TokenAsk {
    /// For which cluster.
    pub(super) params: TokenParams,
    /// The program that the plugin runs for, where it is known.
    pub(super) asker: Option<Asker>,
    /// How long it waits.
    pub(super) patience: Patience,
}

/// A token, given to somebody.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) token: Secret,
    /// The end to declare, by this machine's clock.
    pub(super) expires_at: Timestamp,
    /// What there is to say about it.
    pub(super) news: News,
}

/// What there is to say with a token.
#[derive(Debug)]
pub(super) enum News {
    /// Nothing.
    None,
    /// This.
    Report(Report),
    /// What AWS is just being asked; or this, if that takes too long.
    Coming(oneshot::Receiver<Report>, Report),
}

/// What a token is made of.
struct Making {
    subject: Subject,
    chain: Chain,
    asker: Option<Asker>,
    reach: Reach,
}

impl Agent {
    pub(super) fn ask_token(&mut self, ask: TokenAsk, reply: Reply<Handed>) {
        let TokenAsk { params, asker, patience } = ask;
        let found = self.token_subject(&params).and_then(|subject| {
            let chain = self.chain_of(&subject)?;
            Ok((subject, chain))
        });
        let (subject, chain) = match found {
            Ok(found) => found,
            Err(report) => {
                if report.code == Code::ClusterNotFound
                    && let Some(alias) = &params.cluster
                {
                    // It may have been made anew since.
                    self.suspect_cluster(alias);
                }
                let _hung_up = reply.send(Err(report));
                return;
            }
        };
        let reach = chain.reach.to_region(&subject.region);
        let ask = Ask::new(chain.profile.as_str(), patience);
        let making = Making { subject, chain: chain.clone(), asker, reach };
        let answer = move |agent: &mut Self, credentials: Result<Credentials, Report>| {
            // Whoever hung up was given nothing.
            if !reply.is_closed() {
                let handed = credentials.and_then(|credentials| agent.hand(making, &credentials));
                let _hung_up = reply.send(handed);
            }
        };
        self.ask(chain, &ask, Box::new(answer));
    }

    /// Returns whose token is asked for, and for which cluster.
    fn token_subject(&self, params: &TokenParams) -> Result<Subject, Report> {
        if let Some(alias) = &params.cluster {
            let cluster = self.clusters.get(alias)?;
            self.check_not_gone(cluster)?;
            return Ok(subject_of(cluster));
        }
        let Some(cluster_id) = params.cluster_id.clone().or_else(|| params.cluster_name.clone())
        else {
            return Err(Report::new(
                Code::Usage,
                "a token is for a cluster, and none was named",
                "give `--cluster ALIAS`, or `--cluster-name NAME --region REGION`",
            ));
        };
        let profile = params.profile.as_deref().unwrap_or("default");
        let own_region = self.known.chain(profile)?.reach.region.clone();
        let region = params.region.clone().or(own_region);
        let Some(region) = region.or_else(|| self.world.default_region.clone()) else {
            return Err(Report::new(
                Code::Usage,
                format!("no region is known for cluster `{}`", printable(&cluster_id)),
                "give `--region REGION`, or set `region` in the profile",
            ));
        };
        let role = params.role_arn.as_deref().map(|arn| role_terms(arn, params)).transpose()?;
        Ok(Subject { profile: ProfileName::new(profile), role, region, cluster_id })
    }

    /// Returns the chain that signs, with a role assumed at its end where one is named.
    fn chain_of(&self, subject: &Subject) -> Result<Chain, Report> {
        let profile = subject.profile.as_str();
        let mut chain = self.known.chain(profile)?.clone();
        if let (Some(terms), Some(origin)) = (&subject.role, self.known.origin_of(profile)) {
            let reach = chain.reach.to_region(&subject.region);
            chain.hops.push(RoleHop {
                profile: chain.profile.clone(),
                terms: terms.clone(),
                mfa: None,
                origin: origin.clone(),
                reach,
            });
        }
        Ok(chain)
    }

    /// Makes a token and gives it to whoever asked.
    fn hand(&mut self, making: Making, credentials: &Credentials) -> Result<Handed, Report> {
        self.check_clock()?;
        let cluster_id = &making.subject.cluster_id;
        let shown = |error: crate::aws::AwsError| error.report(cluster_id);
        let sts = self.world.aws.sts_endpoint(&making.reach).map_err(shown)?;
        let key = key_of(cluster_id, &sts, credentials);
        let time = Time { here: self.now(), at_aws: self.world.aws.signing_time() };
        let asker = making.asker.as_ref();
        let order = self.tokens.book.order(&key, asker, credentials.expires_at, time);
        let minted =
            eks_token::mint(credentials, cluster_id, &sts, order.sign_at).map_err(shown)?;
        self.tokens.book.note(&key, asker, &order, time);
        let news = match &making.asker {
            Some(asker) if order.is_early => {
                let client = asker.name.clone();
                self.seems_refused(&client, making, credentials, &minted.token)
            }
            _ => News::None,
        };
        Ok(Handed { token: minted.token, expires_at: order.expires_at, news })
    }

    /// Tokens are signed by AWS's clock, which is known to a quarter of an hour: beyond that no cluster
    /// would take one.
    fn check_clock(&self) -> Result<(), Report> {
        let ahead = self.world.aws.ahead();
        let Some(ahead) = ahead.filter(|ahead| MOST_SKEW < ahead.unsigned_abs()) else {
            return Ok(());
        };
        let side = if ahead.is_positive() { "ahead of" } else { "behind" };
        let what = format!(
            "this machine's clock is {} s {side} AWS's: the cluster would refuse every token",
            ahead.unsigned_abs().as_secs()
        );
        Err(Report::new(Code::Misconfigured, what, "set the clock, then try again"))
    }

    /// A program came back for another token, well before the end of the one that it has.
    fn seems_refused(
        &mut self,
        client: &str,
        making: Making,
        credentials: &Credentials,
        token: &Secret,
    ) -> News {
        let now = self.now();
        let key_id = &credentials.access_key_id;
        let next = self.tokens.refusals.note(&making.subject, key_id, client, now);
        self.is_news = true;
        let suspect = self.suspect(making);
        if let Some(alias) = &suspect.alias
            && !matches!(next, Next::Suspect)
        {
            self.suspect_cluster(alias);
        }
        let suspicion = suspect.suspicion(client);
        let seen = self.tokens.refusals.of(&suspect.subject, now);
        tracing::info!(
            cluster = suspect.subject.cluster_id,
            profile = %suspect.subject.profile,
            client,
            count = seen.map_or(0, |seen| seen.count),
            "a token seems to have been refused"
        );
        let told = |verdict: Report| match seen {
            Some(seen) => verdict::told(&verdict, seen),
            None => verdict,
        };
        match next {
            Next::Suspect => News::Report(suspicion),
            Next::Known(verdict) => News::Report(told(verdict)),
            Next::Wait => {
                let (tell, told) = oneshot::channel();
                self.tokens.waiting.entry(suspect.subject).or_default().push(tell);
                News::Coming(told, suspicion)
            }
            Next::Ask(known) => {
                let news = known.map_or(suspicion, told);
                self.ask_aws(suspect, credentials.clone(), token.clone());
                News::Report(news)
            }
        }
    }

    fn suspect(&self, making: Making) -> Suspect {
        let Making { subject, chain, reach, .. } = making;
        let registered = self.clusters.all().find(|cluster| subject_of(cluster) == subject);
        let alias = registered.map(|cluster| cluster.alias.clone());
        let sso_region = chain.login().and_then(|login| login.reach.region.clone());
        Suspect { subject, alias, reach, sso_region }
    }

    /// Has a worker send AWS the request inside a token, as the cluster does.
    fn ask_aws(&mut self, suspect: Suspect, credentials: Credentials, token: Secret) {
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        self.workers.spawn(async move {
            world.pace.wait().await;
            let id = suspect.subject.cluster_id.as_str();
            let said = world.aws.replay(&suspect.reach, &credentials, &token, id).await;
            let verdict = suspect.verdict(&credentials, said.as_ref());
            if verdict.code == Code::Throttled {
                world.pace.ease().await;
            }
            let access_key_id = credentials.access_key_id;
            let subject = Box::new(suspect.subject);
            mailbox.send(Event::TokenJudged { subject, access_key_id, verdict });
        });
    }

    /// AWS has said what it makes of a token.
    pub(super) fn token_judged(&mut self, subject: &Subject, key_id: &str, verdict: &Report) {
        tracing::warn!(cluster = subject.cluster_id, what = verdict.what, "a token was replayed");
        self.tokens.refusals.judge(subject, key_id, verdict.clone());
        let seen = self.tokens.refusals.of(subject, self.now());
        let told = seen.map_or_else(|| verdict.clone(), |seen| verdict::told(verdict, seen));
        for waiting in self.tokens.waiting.remove(subject).unwrap_or_default() {
            let _hung_up = waiting.send(told.clone());
        }
    }

    /// Returns what AWS said of the tokens of a registered cluster that seems to refuse them.
    pub(super) fn verdict_of(&self, cluster: &Cluster) -> Option<Report> {
        let seen = self.tokens.refusals.of(&subject_of(cluster), self.now())?;
        Some(verdict::told(seen.verdict()?, seen))
    }

    /// Forgets what was seen of the refusals of one registered cluster, or of all: somebody mends it.
    pub(super) fn forget_refusals(&mut self, alias: Option<&str>) {
        let is_meant = |cluster: &&Cluster| alias.is_none_or(|alias| cluster.alias == alias);
        let subjects: Vec<Subject> = self.clusters.all().filter(is_meant).map(subject_of).collect();
        for subject in subjects {
            self.tokens.refusals.forget(&subject);
        }
    }

    /// Forgets what is over, and what was seen of keys that are not held any more: who logged out, or is
    /// somebody else now, is not who was refused. Returns when to look again.
    pub(super) fn tokens_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.tokens.book.age(now);
        let gone: Vec<Subject> = self
            .tokens
            .refusals
            .all()
            .filter(|(subject, seen)| {
                seen.is_over(now)
                    || self.signing_key(subject).is_none_or(|key| key != seen.access_key_id)
            })
            .map(|(subject, _)| subject.clone())
            .collect();
        for subject in gone {
            self.tokens.refusals.forget(&subject);
            self.is_news = true;
        }
        self.tokens.refusals.wake_at()
    }

    /// Returns the access key that would sign a token now.
    fn signing_key(&self, subject: &Subject) -> Option<&str> {
        let chain = self.chain_of(subject).ok()?;
        let keys = match chain.specs().last() {
            Some(leaf) => self.vault.get(&leaf.key).and_then(Held::keys)?,
            None => match &self.known.chain(subject.profile.as_str()).ok()?.source {
                Source::Keys(keys) => keys,
                _ => return None,
            },
        };
        Some(&keys.access_key_id)
    }
}

/// Returns whose tokens a registered cluster's are.
fn subject_of(cluster: &Cluster) -> Subject {
    let role = |arn: &String| RoleTerms { role_arn: arn.clone(), ..RoleTerms::default() };
    Subject {
        profile: ProfileName::new(&cluster.profile),
        role: cluster.role_arn.as_ref().map(role),
        region: cluster.region.clone(),
        cluster_id: cluster.facts.token_id().to_owned(),
    }
}

fn key_of(cluster_id: &str, sts: &StsEndpoint, credentials: &Credentials) -> TokenKey {
    TokenKey {
        cluster_id: cluster_id.to_owned(),
        sts: sts.url.clone(),
        region: sts.region.clone(),
        access_key_id: credentials.access_key_id.clone(),
    }
}

/// Returns the terms of a role that a token is asked for with. AWS would refuse what does not fit, and
/// not say so plainly.
fn role_terms(role_arn: &str, params: &TokenParams) -> Result<RoleTerms, Report> {
    let wrong = |what: &str, fix: &str| Err(Report::new(Code::Usage, what, fix));
    let (session_name, external_id) = (&params.role_session_name, &params.external_id);
    if session_name.as_deref().is_some_and(|name| !is_session_name(name)) {
        return wrong(
            "this cannot be the name of a role's session",
            "give 2 to 64 letters, digits or `_+=,.@-`",
        );
    }
    if external_id.as_deref().is_some_and(|id| !is_external_id(id)) {
        return wrong(
            "this cannot be an external id",
            "give 2 to 1224 letters, digits or `_+=,.@:/-`",
        );
    }
    Ok(RoleTerms {
        role_arn: role_arn.to_owned(),
        session_name: session_name.clone(),
        external_id: external_id.clone(),
        ..RoleTerms::default()
    })
}
