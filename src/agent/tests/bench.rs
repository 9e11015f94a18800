//! One agent, one lab, one clock.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use eksd_lab::{Lab, Script};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{
        event::{Ask, Event, LoginNews, Mailbox, Patience},
        wake,
    },
    aws::{Aws, Endpoints, Surroundings},
    clock::{Clock, FakeClock},
    config::{Env, Paths, Settings},
    ipc::wire::{
        Flow, LoginDone, LoginParams, LogoutDone, LogoutParams, Phase, ProfileStatus, StatusAnswer,
        StatusParams,
    },
    model::{Credentials, notice::Notice},
    notify::Notifier,
    pace::Pace,
    report::Report,
    store::{atomic, keyring::Keyring, login_cache::LoginCache, sso_cache::SsoCache},
    world::{Life, World},
};

/// When every test begins.
pub(super) const START: &str = "2026-03-02T08:00:00Z";

/// How often files are looked at for what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long anything may take; a race for a refresh token takes five seconds.
pub(super) const DEADLINE: Duration = Duration::from_mins(1);

/// The AWS config of most tests; the lab knows these accounts, roles and keys.
pub(super) const CONFIG: &str = "\
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access

[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
region = eu-west-1

[profile readonly]
sso_session = corp
sso_account_id = 444455556666
sso_role_name = ReadOnly
region = eu-west-1

[profile hop]
role_arn = arn:aws:iam::111122223333:role/dev
source_profile = dev
region = eu-west-1

[profile two-hops]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = hop
region = eu-west-1
";

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Notice>>>);

impl Notifier for Heard {
    fn send(&self, notice: Notice) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
    }
}

/// An agent under test.
pub(super) struct Bench {
    pub(super) lab: Lab,
    pub(super) clock: FakeClock,
    pub(super) paths: Paths,
    env: Env,
    pub(super) mailbox: Mailbox,
    heard: Heard,
    shutdown: CancellationToken,
    running: Option<tokio::task::JoinHandle<()>>,
    world: Option<Arc<World>>,
    _home: tempfile::TempDir,
}

impl Bench {
    /// Starts a lab and an agent with [`CONFIG`].
    pub(super) async fn start() -> Self {
        Self::start_with(CONFIG, "", Script::default()).await
    }

    /// Starts them with an AWS config, settings and a script.
    pub(super) async fn start_with(config: &str, settings: &str, script: Script) -> Self {
        let home = tempfile::tempdir().unwrap();
        let env =
            Env::from_map([("HOME", home.path().as_os_str()), ("PATH", "/usr/bin:/bin".as_ref())]);
        let paths = Paths::new(&env).unwrap();
        for folder in paths.private_dirs() {
            atomic::ensure_private_dir(folder).unwrap();
        }
        atomic::ensure_dir(&paths.sso_cache_dir).unwrap();
        atomic::write(&paths.aws_config, config.as_bytes()).unwrap();
        let clock = FakeClock::new(START.parse().unwrap());
        let lab = Lab::start(script);
        lab.freeze(clock.now().as_second());
        let settings = Settings::parse(settings, "config.toml").unwrap();
        let mut bench = Self {
            lab,
            clock,
            paths,
            env,
            mailbox: Mailbox::new().0,
            heard: Heard::default(),
            shutdown: CancellationToken::new(),
            running: None,
            world: None,
            _home: home,
        };
        bench.run(settings).await;
        bench
    }

    async fn run(&mut self, settings: Settings) {
        let clock = self.clock.clone();
        let mut around = Surroundings::new(move || clock.now());
        around.endpoints = Endpoints { all: Some(self.lab.url()), ..Endpoints::default() };
        let world = Arc::new(World {
            clock: Arc::new(self.clock.clone()),
            aws: Aws::new(around).unwrap(),
            pace: Pace::default(),
            paths: self.paths.clone(),
            settings,
            sso_cache: SsoCache::new(&self.paths),
            login_cache: LoginCache::new(&self.paths),
            keyring: Keyring::off(),
            environment_keys: self.env.credentials(),
            container: None,
            ambient: None,
            helpers: crate::program::Environment::of(&self.env, &self.paths),
            notifier: Arc::new(self.heard.clone()),
            random: Arc::new(|| 0.5),
            command: "/usr/bin/eksd".to_owned(),
            default_region: None,
            role_session_name: "eksd-test".to_owned(),
            life: Life::Long,
        });
        self.world = Some(world.clone());
        self.shutdown = CancellationToken::new();
        let (agent, mailbox, inbox) = wake(&world, &self.shutdown);
        self.mailbox = mailbox;
        self.running = Some(tokio::spawn(agent.run(inbox)));
        // The files are read by workers; until then no profile is known.
        self.until(|status| !status.profiles.is_empty() || !status.reports.is_empty()).await;
    }

    /// Ends the agent as a kill would, and starts another one on the same files.
    pub(super) async fn restart(&mut self, settings: &str) {
        self.running.take().unwrap().abort();
        self.run(Settings::parse(settings, "config.toml").unwrap()).await;
    }

    /// Ends the agent as a signal would.
    pub(super) async fn stop(&mut self) {
        self.shutdown.cancel();
        self.running.take().unwrap().await.unwrap();
    }

    /// Starts another one on the same files, after [`Bench::stop`].
    pub(super) async fn start_again(&mut self, settings: &str) {
        self.run(Settings::parse(settings, "config.toml").unwrap()).await;
    }

    /// Returns the agent's edges.
    pub(super) fn world(&self) -> &Arc<World> {
        self.world.as_ref().unwrap()
    }

    /// Moves both clocks.
    pub(super) fn advance(&self, by: Duration) {
        self.lab.advance(i64::try_from(by.as_secs()).unwrap());
        self.clock.advance(by);
    }

    /// Moves both clocks and waits until the agent has done what was due.
    pub(super) async fn pass(&self, by: Duration) {
        self.advance(by);
        // The first answer wakes the loop, which plans for the new time; the second comes after.
        self.status().await;
        self.until(|status| status.agent.refreshing == 0).await;
    }

    /// Returns the status.
    pub(super) async fn status(&self) -> StatusAnswer {
        let params = StatusParams::default();
        self.mailbox.ask(|reply| Event::Status { params, reply }).await.unwrap()
    }

    /// Returns a profile's row.
    pub(super) async fn row(&self, profile: &str) -> ProfileStatus {
        let rows = self.status().await.profiles;
        rows.into_iter().find(|row| row.profile == profile).expect("a row for the profile")
    }

    /// Waits until the status, or a file, is as wanted. The agent says when the status changes; files
    /// are looked at.
    pub(super) async fn until(&self, wanted: impl Fn(&StatusAnswer) -> bool) -> StatusAnswer {
        let mut changes = self.mailbox.ask(|reply| Event::Subscribe { reply }).await.unwrap();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            changes.mark_unchanged();
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "not as wanted: {status:?}");
            if let Ok(heard) = tokio::time::timeout(LOOK_EVERY, changes.changed()).await {
                heard.unwrap();
            }
        }
    }

    /// Waits until a profile is in `phase`.
    pub(super) async fn until_phase(&self, profile: &str, phase: Phase) -> ProfileStatus {
        let is_it = |row: &&ProfileStatus| row.profile == profile && row.phase == phase;
        let status = self.until(|status| status.profiles.iter().any(|row| is_it(&row))).await;
        status.profiles.iter().find(is_it).unwrap().clone()
    }

    /// Asks for credentials as a patient caller.
    pub(super) async fn credentials(&self, profile: &str) -> Result<Credentials, Report> {
        let ask = Ask::new(profile, Patience::Some);
        self.mailbox.ask(|reply| Event::Credentials { ask, reply }).await
    }

    /// Asks for credentials as a caller who cannot wait.
    pub(super) async fn credentials_at_once(&self, profile: &str) -> Result<Credentials, Report> {
        let ask = Ask::new(profile, Patience::None);
        self.mailbox.ask(|reply| Event::Credentials { ask, reply }).await
    }

    /// Starts a login and returns its news.
    pub(super) fn begin_login(
        &self,
        name: &str,
        flow: Flow,
        force: bool,
    ) -> mpsc::UnboundedReceiver<LoginNews> {
        let (news, received) = mpsc::unbounded_channel();
        let params = LoginParams { name: Some(name.to_owned()), flow, force, mfa_code: None };
        self.mailbox.send(Event::Login { params, news });
        received
    }

    /// Logs in by device code, which the lab approves.
    pub(super) async fn login(&self, name: &str) -> LoginDone {
        let mut news = self.begin_login(name, Flow::DeviceCode, false);
        loop {
            if let LoginNews::Over(result) = news.recv().await.expect("news of the login") {
                return result.unwrap();
            }
        }
    }

    /// Logs out.
    pub(super) async fn logout(&self, name: &str) -> LogoutDone {
        let params = LogoutParams { name: Some(name.to_owned()), all: false };
        self.mailbox.ask(|reply| Event::Logout { params, reply }).await.unwrap()
    }

    /// Returns the titles of the notices sent since the last call; withdrawals as `withdrawn`.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard
            .drain(..)
            .map(|notice| match notice {
                Notice::Show { title, .. } => title,
                Notice::Withdraw { .. } => "withdrawn".to_owned(),
            })
            .collect()
    }

    /// Returns the shared token file of the sso-session `corp`.
    pub(super) fn token_file(&self) -> PathBuf {
        let key = crate::model::LoginKey::Named("corp".into());
        SsoCache::new(&self.paths).token_path(&key)
    }

    /// Returns the file as JSON.
    pub(super) fn token_json(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.token_file()).unwrap()).unwrap()
    }

    /// Replaces the AWS config.
    pub(super) fn write_config(&self, text: &str) {
        atomic::write(&self.paths.aws_config, text.as_bytes()).unwrap();
        self.mailbox.send(Event::Changed(crate::agent::watcher::Change::Files));
    }
}

/// Returns an instant of the tests' day.
pub(super) fn at(clock: &str) -> Timestamp {
    format!("2026-03-02T{clock}Z").parse().unwrap()
}

/// Returns a span of minutes.
pub(super) fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}
