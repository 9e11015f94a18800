//! What a person may see of a profile at `now`: its phase, and until when it is good.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Chain, ChainError, Credentials, LoginKey, Source,
    plan::Sessions,
    policy::Policy,
    session::{Activity, Session, SessionKey, Spec},
    text::printable,
};
use crate::report::{Code, Report};

/// The one word for how a profile is.
///
/// | phase | means |
/// | --- | --- |
/// | fresh | credentials are held, or to be had at once, and no person is needed soon |
/// | renewing | a refresh is in flight |
/// | expiring | a person will be needed within the first notice threshold |
/// | degraded | AWS cannot be reached or throttles; served until the true end |
/// | needs-login | the root session is over; `eksd login` mends it |
/// | needs-mfa | an MFA code is needed |
/// | expired | temporary keys that eksd cannot renew have ended |
/// | misconfigured | cannot work as written, or AWS refuses it; the report says why |
/// | idle | renewable, not in use, nothing held |
/// | static | long-lived keys |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table above is their documentation")]
pub enum Phase {
    Fresh,
    Renewing,
    Expiring,
    Degraded,
    NeedsLogin,
    NeedsMfa,
    Expired,
    Misconfigured,
    Idle,
    Static,
}

impl Phase {
    /// Returns the phase as it is shown everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Renewing => "renewing",
            Self::Expiring => "expiring",
            Self::Degraded => "degraded",
            Self::NeedsLogin => "needs-login",
            Self::NeedsMfa => "needs-mfa",
            Self::Expired => "expired",
            Self::Misconfigured => "misconfigured",
            Self::Idle => "idle",
            Self::Static => "static",
        }
    }
}

/// How sure an instant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// AWS said so.
    Exact,
    /// From the settings.
    Estimated,
    /// Nobody knows.
    Unknown,
}

impl Confidence {
    /// Returns the word shown in JSON and in prompt lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Estimated => "estimated",
            Self::Unknown => "unknown",
        }
    }
}

/// When a root session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootEnd {
    /// The instant; `None` where nobody knows.
    pub ends_at: Option<Timestamp>,
    /// How sure it is.
    pub confidence: Confidence,
}

impl RootEnd {
    /// Nobody knows.
    pub const UNKNOWN: Self = Self { ends_at: None, confidence: Confidence::Unknown };

    /// AWS said so.
    pub fn exact(ends_at: Timestamp) -> Self {
        Self { ends_at: Some(ends_at), confidence: Confidence::Exact }
    }
}

/// What is known of an Identity Center sign-in besides its token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginFacts {
    /// When the person logged in.
    pub logged_in_at: Option<Timestamp>,
    /// How long a session lasts, from the settings.
    pub length: Option<Duration>,
    /// When the client registration ends; the token cannot be refreshed after it.
    pub registration_expires_at: Option<Timestamp>,
}

impl LoginFacts {
    fn estimate(&self) -> Option<Timestamp> {
        self.logged_in_at?.checked_add(self.length?).ok()
    }
}

/// Returns whether the estimated end of a sign-in has come and nobody knows yet whether it was
/// true: the token is older than the estimate. A refresh tells.
pub fn should_probe(login: &Session, facts: LoginFacts, now: Timestamp) -> bool {
    let estimate = facts.estimate().filter(|end| *end <= now);
    login.activity == Activity::Idle
        && login.renewable
        && estimate.zip(login.held).is_some_and(|(end, held)| held.issued_at < end)
}

/// Returns when a sign-in ends.
///
/// No AWS call says when an Identity Center session ends. A token without refresh token ends
/// with itself; else the settings may say how long a session lasts; else nobody knows. An
/// estimate that a later refresh has disproved is not repeated.
pub fn root_end(login: &Session, facts: LoginFacts, now: Timestamp) -> RootEnd {
    match login.held {
        Some(held) if !login.renewable => return RootEnd::exact(held.expires_at),
        _ => {}
    }
    // Until a refresh after it has shown that it was wrong.
    let stands =
        |end: &Timestamp| now < *end || login.held.is_some_and(|held| held.issued_at < *end);
    let estimate = facts.estimate().filter(stands);
    match (estimate, facts.registration_expires_at) {
        (Some(estimate), Some(exact)) if exact < estimate => RootEnd::exact(exact),
        (Some(estimate), _) => {
            RootEnd { ends_at: Some(estimate), confidence: Confidence::Estimated }
        }
        (None, _) => RootEnd::UNKNOWN,
    }
}

/// A profile as a person may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The one word.
    pub phase: Phase,
    /// The first instant at which a person will be needed.
    pub end: RootEnd,
    /// When `end` comes inside the first notice threshold.
    pub expiring_at: Option<Timestamp>,
    /// End of the credentials held now.
    pub credentials_expire_at: Option<Timestamp>,
    /// Whether it is kept warm.
    pub in_use: bool,
    /// What is wrong.
    pub report: Option<Report>,
}

impl View {
    /// Returns the view of a profile that is not there.
    pub fn missing(report: Report) -> Self {
        Self { report: Some(report), ..Self::new(Phase::Misconfigured) }
    }

    fn new(phase: Phase) -> Self {
        Self {
            phase,
            end: RootEnd::UNKNOWN,
            expiring_at: None,
            credentials_expire_at: None,
            in_use: false,
            report: None,
        }
    }
}

/// Who knows more about a sign-in than its session.
pub trait Facts {
    /// Returns what is known.
    fn login(&self, key: &LoginKey) -> LoginFacts;
}

/// Everything a view is made from.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// All sessions.
    pub sessions: &'a Sessions,
    /// What is known of each sign-in.
    pub facts: &'a dyn Facts,
    /// The figures.
    pub policy: &'a Policy,
    /// The instant.
    pub now: Timestamp,
}

/// Returns the view of the profile `name`.
pub fn view(name: &str, chain: Result<&Chain, &ChainError>, seen: Seen<'_>) -> View {
    let chain = match chain {
        Ok(chain) => chain,
        Err(error) => {
            let report = Some(Report::of_chain(name, error));
            return View { report, ..View::new(Phase::Misconfigured) };
        }
    };
    let mut view = match &chain.source {
        Source::Keys(keys) if chain.hops.is_empty() => {
            View::new(if keys.are_temporary() { Phase::Fresh } else { Phase::Static })
        }
        _ => of_sessions(name, chain, seen),
    };
    if let Source::Keys(Credentials { expires_at: Some(expires_at), .. }) = chain.source {
        limit_by_keys(&mut view, expires_at, seen);
    }
    view
}

/// The keys in the file are the root session: nothing below them outlives them for long.
fn limit_by_keys(view: &mut View, expires_at: Timestamp, seen: Seen<'_>) {
    view.credentials_expire_at.get_or_insert(expires_at);
    set_end(view, RootEnd::exact(expires_at), seen);
    if expires_at <= seen.now {
        view.phase = Phase::Expired;
        view.report = Some(Report::new(
            Code::Expired,
            "the temporary keys in the file have ended",
            "run the tool that wrote them again",
        ));
    }
}

fn set_end(view: &mut View, end: RootEnd, seen: Seen<'_>) {
    view.end = end;
    view.expiring_at = end.ends_at.and_then(|at| at.checked_sub(seen.policy.first_notice()).ok());
    if view.expiring_at.is_some_and(|at| at <= seen.now)
        && matches!(view.phase, Phase::Fresh | Phase::Renewing | Phase::Idle)
    {
        view.phase = Phase::Expiring;
    }
}

fn of_sessions(name: &str, chain: &Chain, seen: Seen<'_>) -> View {
    let specs = chain.specs();
    let path: Vec<&Session> =
        specs.iter().filter_map(|spec| seen.sessions.get(&spec.key)).collect();
    let leaf = specs.last().and_then(|spec| seen.sessions.get(&spec.key));
    let held = leaf.filter(|leaf| leaf.is_good(seen.now)).and_then(|leaf| leaf.held);

    let mut view = View::new(phase_of(&path, leaf, seen.now));
    view.in_use = leaf.is_some_and(|leaf| leaf.is_warm(seen.now));
    view.credentials_expire_at = leaf
        .filter(|leaf| leaf.has_end && leaf.spec.key.as_login().is_none())
        .and(held)
        .map(|held| held.expires_at);
    view.report =
        path.iter().find_map(|session| session.trouble.as_ref()).map(|it| it.report.clone());
    if matches!(view.phase, Phase::NeedsLogin | Phase::NeedsMfa) {
        if view.report.is_none()
            && let Some(root) = specs.first()
        {
            view.report = Some(needs_person(name, root, false));
        }
    } else if let Some(root) = path.iter().find(|session| session.is_root()) {
        set_end(&mut view, end_of(root, seen.facts, seen.now), seen);
    }
    view
}

/// Returns when a root session ends, and how sure that is.
pub fn end_of(root: &Session, facts: &dyn Facts, now: Timestamp) -> RootEnd {
    match (&root.spec.key, root.held) {
        (SessionKey::Login(login), _) => root_end(root, facts.login(login), now),
        // AWS said so when the code was given. With a command that prints codes nobody is needed.
        (_, Some(held)) if !root.renewable => RootEnd::exact(held.expires_at),
        // No answer carries the end of a sign-in to the console.
        _ => RootEnd::UNKNOWN,
    }
}

/// Returns the report for a profile whose root session is over (`has_ended`), or may never have
/// begun.
pub fn needs_person(name: &str, root: &Spec, has_ended: bool) -> Report {
    let name = printable(name);
    let fix = format!("run `eksd login {name}`");
    if let Some(device) = root.device() {
        let device = printable(&device.serial);
        let what = format!("profile `{name}` needs an MFA code of `{device}`");
        return Report::new(Code::NeedsMfa, what, fix);
    }
    let how = if has_ended { "has ended" } else { "is over or never began" };
    let session = match &root.key {
        SessionKey::Login(login) => format!("the SSO session `{}`", printable(login.cache_text())),
        SessionKey::Console(arn) => format!("the console login `{}`", printable(arn)),
        other => format!("`{other}`"),
    };
    let what = format!("profile `{name}` needs a login: {session} {how}");
    Report::new(Code::NeedsLogin, what, fix)
}

fn phase_of(path: &[&Session], leaf: Option<&Session>, now: Timestamp) -> Phase {
    let any = |test: fn(&Activity) -> bool| path.iter().any(|session| test(&session.activity));
    let is_good = leaf.is_some_and(|leaf| leaf.is_good(now));
    let is_wanted = is_good || leaf.is_some_and(|leaf| leaf.is_warm(now));
    let waiting = path.iter().find(|session| session.activity == Activity::WaitingForPerson);
    if let Some(waiting) = waiting {
        if waiting.spec.device().is_some() { Phase::NeedsMfa } else { Phase::NeedsLogin }
    } else if any(|activity| matches!(activity, Activity::Refused { .. })) {
        Phase::Misconfigured
    } else if !is_wanted {
        // What happens to its source is not its own news.
        Phase::Idle
    } else if any(|activity| matches!(activity, Activity::BackingOff { .. })) {
        Phase::Degraded
    } else if any(|activity| matches!(activity, Activity::Refreshing)) {
        Phase::Renewing
    } else if is_good {
        Phase::Fresh
    } else {
        // In use and nothing held: the next turn of the loop fetches it.
        Phase::Renewing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        AwsFiles, Entry, FileKind, Origin, ProfileName, Section, Value, chain,
        session::{FailureClass, Outcome, Trouble, Validity},
    };

    fn at(clock: &str) -> Timestamp {
        format!("2026-01-01T{clock}:00Z").parse().unwrap()
    }

    fn section(keys: &[(&str, &str)]) -> Section {
        let origin = Origin { kind: FileKind::Config, file: "~/.aws/config".into(), line: 1 };
        let entry = |value: &str| Entry::new(Value::Plain(value.into()), origin.clone());
        Section {
            keys: keys.iter().map(|(key, value)| ((*key).into(), entry(value))).collect(),
            origin: origin.clone(),
        }
    }

    fn files() -> AwsFiles {
        let mut files = AwsFiles::default();
        let session = [("sso_start_url", "https://corp.example"), ("sso_region", "eu-west-1")];
        files.sso_sessions.insert("corp".into(), section(&session));
        let dev = [("sso_session", "corp"), ("sso_account_id", "1"), ("sso_role_name", "Dev")];
        files.profiles.insert(ProfileName::new("dev"), section(&dev));
        files
    }

    struct Known(LoginFacts);

    impl Facts for Known {
        fn login(&self, _: &LoginKey) -> LoginFacts {
            self.0
        }
    }

    fn hold(session: &mut Session, issued: &str, expires: &str) {
        let validity = Validity { issued_at: at(issued), expires_at: at(expires) };
        let outcome = Outcome::Held { validity, renewable: true };
        session.apply(outcome, &Policy::default(), at(issued));
    }

    fn fail(session: &mut Session, class: FailureClass) {
        let report = Report::new(Code::Unreachable, "x", "y");
        let outcome = Outcome::Failed(Trouble { class, report });
        session.apply(outcome, &Policy::default(), at("08:00"));
    }

    /// Views `dev` at 08:10, its login held since 08:00 and its role in use, after `arrange`.
    #[track_caller]
    fn check(arrange: impl FnOnce(&mut Session, &mut Session), expected: Phase) -> View {
        check_with(LoginFacts::default(), arrange, expected)
    }

    #[track_caller]
    fn check_with(
        facts: LoginFacts,
        arrange: impl FnOnce(&mut Session, &mut Session),
        expected: Phase,
    ) -> View {
        let files = files();
        let chain = chain::resolve(&files, "dev").unwrap();
        let mut pair = chain.specs().into_iter().map(|spec| Session::new(spec, 1.0));
        let (mut login, mut role) = (pair.next().unwrap(), pair.next().unwrap());
        hold(&mut login, "08:00", "09:00");
        role.warm_until = Some(at("20:00"));
        arrange(&mut login, &mut role);
        let sessions: Sessions =
            [login, role].into_iter().map(|it| (it.spec.key.clone(), it)).collect();
        let policy = Policy::default();
        let seen =
            Seen { sessions: &sessions, facts: &Known(facts), policy: &policy, now: at("08:10") };
        let view = view("dev", Ok(&chain), seen);
        assert_eq!(view.phase, expected);
        view
    }

    #[test]
    fn phases_of_a_profile_of_a_sign_in() {
        check(|_, role| hold(role, "08:05", "09:05"), Phase::Fresh);
        check(|_, _| {}, Phase::Renewing);
        check(|_, role| role.begin(), Phase::Renewing);
        check(|_, role| role.warm_until = None, Phase::Idle);
        let busy_source = |login: &mut Session, role: &mut Session| {
            login.begin();
            role.warm_until = None;
        };
        check(busy_source, Phase::Idle);
        check(|login, _| login.end(None), Phase::NeedsLogin);
        check(|_, role| fail(role, FailureClass::NeverWorks), Phase::Misconfigured);
        let unreachable = FailureClass::MayPass { retry_after: None };
        let served_on = |_: &mut Session, role: &mut Session| {
            hold(role, "08:05", "09:05");
            fail(role, unreachable);
        };
        let view = check(served_on, Phase::Degraded);
        assert_eq!(view.credentials_expire_at, Some(at("09:05")));
        assert_eq!(view.report.unwrap().code, Code::Unreachable);
    }

    #[test]
    fn the_end_of_a_sign_in() {
        let facts = |logged_in: &str, hours: u64| LoginFacts {
            logged_in_at: Some(at(logged_in)),
            length: Some(Duration::from_hours(hours)),
            registration_expires_at: None,
        };
        let fresh = |_: &mut Session, role: &mut Session| hold(role, "08:05", "09:05");
        let view = check_with(facts("08:00", 8), fresh, Phase::Fresh);
        let estimated =
            |clock| RootEnd { ends_at: Some(at(clock)), confidence: Confidence::Estimated };
        assert_eq!(view.end, estimated("16:00"));
        assert_eq!(view.expiring_at, Some(at("15:30")));
        // Half an hour before: soon.
        let view = check_with(facts("00:39", 8), fresh, Phase::Expiring);
        assert_eq!(view.end, estimated("08:39"));
        // The estimate has come and nobody knows yet; or a refresh after it has disproved it.
        assert_eq!(check_with(facts("00:05", 8), fresh, Phase::Expiring).end, estimated("08:05"));
        assert_eq!(check_with(facts("00:00", 8), fresh, Phase::Fresh).end, RootEnd::UNKNOWN);
        // AWS said when the registration ends, and that comes first.
        let sooner = LoginFacts { registration_expires_at: Some(at("12:00")), ..facts("08:00", 8) };
        assert_eq!(check_with(sooner, fresh, Phase::Fresh).end, RootEnd::exact(at("12:00")));
        // Nobody knows.
        assert_eq!(check(fresh, Phase::Fresh).end, RootEnd::UNKNOWN);
        // A token that cannot be renewed is its own end.
        let last = |login: &mut Session, role: &mut Session| {
            login.renewable = false;
            hold(role, "08:05", "09:05");
        };
        assert_eq!(check(last, Phase::Fresh).end, RootEnd::exact(at("09:00")));
    }

    #[test]
    fn an_estimate_that_has_come_is_put_to_the_test_once() {
        let files = files();
        let chain = chain::resolve(&files, "dev").unwrap();
        let mut login = Session::new(chain.specs().remove(0), 1.0);
        let facts = LoginFacts {
            logged_in_at: Some(at("00:00")),
            length: Some(Duration::from_hours(8)),
            registration_expires_at: None,
        };
        hold(&mut login, "07:40", "08:40");
        assert!(!should_probe(&login, facts, at("07:59")));
        assert!(should_probe(&login, facts, at("08:00")));
        assert!(!should_probe(&login, LoginFacts::default(), at("08:00")));
        login.begin();
        assert!(!should_probe(&login, facts, at("08:00")));
        hold(&mut login, "08:00", "09:00");
        assert!(!should_probe(&login, facts, at("08:01")));
    }

    #[test]
    fn a_login_that_is_needed_names_its_command() {
        let report = check(|login, _| login.end(None), Phase::NeedsLogin).report.unwrap();
        assert_eq!((report.code, report.fix.as_str()), (Code::NeedsLogin, "run `eksd login dev`"));
    }

    #[test]
    fn temporary_keys_in_a_file() {
        let view_at = |expires: Option<&str>| {
            let origin = section(&[]).origin;
            let secret = |text: &str| {
                Entry::new(Value::Secret(crate::model::Secret::new(text)), origin.clone())
            };
            let mut keys = section(&[("aws_access_key_id", "ASIAX")]);
            keys.keys.insert("aws_secret_access_key".into(), secret("s"));
            keys.keys.insert("aws_session_token".into(), secret("t"));
            if let Some(expires) = expires {
                let entry = Entry::new(Value::Plain(expires.into()), origin.clone());
                keys.keys.insert("x_security_token_expires".into(), entry);
            }
            let mut files = AwsFiles::default();
            files.profiles.insert(ProfileName::new("dev"), keys);
            let chain = chain::resolve(&files, "dev").unwrap();
            let (sessions, policy) = (Sessions::new(), Policy::default());
            let facts = Known(LoginFacts::default());
            let seen =
                Seen { sessions: &sessions, facts: &facts, policy: &policy, now: at("08:10") };
            view("dev", Ok(&chain), seen)
        };
        for (expires, phase) in [
            (None, Phase::Fresh),
            (Some("2026-01-01T12:00:00+01:00"), Phase::Fresh),
            (Some("2026-01-01T08:30:00Z"), Phase::Expiring),
            (Some("2026-01-01T08:10:00Z"), Phase::Expired),
        ] {
            assert_eq!(view_at(expires).phase, phase, "{expires:?}");
        }
    }
}
