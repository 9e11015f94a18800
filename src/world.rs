//! The edges in one value: clock, network, disk, desktop. [`World::real`] is the one place that wires
//! them; tests wire their own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    aws::{Aws, ContainerSource, Endpoints, InstanceMetadata, Surroundings},
    clock::{Clock, SystemClock, system_now},
    config::{Env, Paths, Settings, ambient, is_own_endpoint},
    model::{Credentials, Section},
    notify::{Desktop, Notifier, Silent},
    pace::Pace,
    program,
    report::{Code, Report},
    store::{
        keyring::{Keyring, Limits},
        login_cache::LoginCache,
        sso_cache::SsoCache,
    },
};

/// How long this agent lives, and so what it may leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// In the background, until it is told to stop: it watches, warns and feeds prompts.
    Long,
    /// For the requests of one client.
    Once,
}

/// Everything the agent touches.
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// AWS.
    pub aws: Aws,
    /// How fast AWS is called.
    pub pace: Pace,
    /// Where files are.
    pub paths: Paths,
    /// What the person set.
    pub settings: Settings,
    /// The token cache shared with the AWS tools.
    pub sso_cache: SsoCache,
    /// Keys in the agent's environment, for `credential_source = Environment`.
    pub environment_keys: Result<Option<Credentials>, Report>,
    /// Where this container gets its credentials, for `credential_source = EcsContainer`.
    pub container: Option<ContainerSource>,
    /// What the environment says where no file says anything.
    pub ambient: Option<Section>,
    /// The console sign-ins shared with the AWS tools.
    pub login_cache: LoginCache,
    /// What programs of the person see of the environment.
    pub helpers: program::Environment,
    /// The system's key store.
    pub keyring: Keyring,
    /// The desktop.
    pub notifier: Arc<dyn Notifier>,
    /// Random numbers, 0.0 ..= 1.0.
    pub random: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// Absolute path of the client, for kubeconfig files.
    pub command: String,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`, for what names no region.
    pub default_region: Option<String>,
    /// `RoleSessionName` where the profile sets none; stable, for audit logs.
    pub role_session_name: String,
    /// How long this agent lives.
    pub life: Life,
}

impl World {
    /// Wires the machine's own edges.
    ///
    /// # Errors
    /// Says which part of the environment or the settings cannot be used.
    pub fn real(env: &Env, life: Life) -> Result<Self, Report> {
        let paths = Paths::new(env)?;
        let settings = Settings::load(&paths)?;
        let aws = Aws::new(surroundings(env)).map_err(|error| error.report("the environment"))?;
        let notifier: Arc<dyn Notifier> = match (life, settings.notices_enabled) {
            (Life::Long, true) => match Desktop::start() {
                Ok(desktop) => Arc::new(desktop),
                Err(_) => Arc::new(Silent),
            },
            _ => Arc::new(Silent),
        };
        // A person's sessions are for the agent that stays.
        let keyring = match life {
            Life::Long => Keyring::start(settings.keyring, None, Limits::default()),
            Life::Once => Ok(Keyring::off()),
        };
        Ok(Self {
            environment_keys: env.credentials(),
            container: container_source(env, &paths),
            ambient: ambient(env, &paths, life == Life::Once),
            helpers: helpers(env, &paths, life),
            keyring: keyring.unwrap_or_else(|_| Keyring::off()),
            clock: Arc::new(SystemClock),
            aws,
            pace: Pace::default(),
            sso_cache: SsoCache::new(&paths),
            login_cache: LoginCache::new(&paths),
            paths,
            settings,
            notifier,
            random: Arc::new(random),
            command: client_path()?.display().to_string(),
            default_region: env.region().map(str::to_owned),
            role_session_name: format!("eksd-{}", env.user.as_deref().unwrap_or("user")),
            life,
        })
    }

    /// Returns whether this agent is the one in the background.
    pub fn is_daemon(&self) -> bool {
        self.life == Life::Long
    }

    /// Returns the kubeconfig file of a cluster.
    pub fn kubeconfig_path(&self, alias: &str) -> PathBuf {
        self.paths.kubeconfig_dir.join(format!("{alias}.yaml"))
    }
}

fn helpers(env: &Env, paths: &Paths, life: Life) -> program::Environment {
    let helpers = program::Environment::of(env, paths);
    if life == Life::Once { helpers.for_one_call(env) } else { helpers }
}

fn surroundings(env: &Env) -> Surroundings {
    let is_true = |value: &Option<String>| value.as_ref().map(|it| it.eq_ignore_ascii_case("true"));
    let endpoints = if is_true(&env.aws_ignore_configured_endpoint_urls) == Some(true) {
        Endpoints::default()
    } else {
        Endpoints {
            all: env.aws_endpoint_url.clone(),
            sts: env.aws_endpoint_url_sts.clone(),
            sso: env.aws_endpoint_url_sso.clone(),
            sso_oidc: env.aws_endpoint_url_sso_oidc.clone(),
            eks: env.aws_endpoint_url_eks.clone(),
            signin: env.aws_endpoint_url_signin.clone(),
            iam: env.aws_endpoint_url_iam.clone(),
        }
    };
    Surroundings {
        endpoints,
        ca_bundle: absolute(env.aws_ca_bundle.as_ref()),
        ssl_cert_file: absolute(env.ssl_cert_file.as_ref()),
        https_proxy: env.https_proxy.clone(),
        http_proxy: env.http_proxy.clone(),
        no_proxy: env.no_proxy.clone(),
        fips: is_true(&env.aws_use_fips_endpoint),
        dual_stack: is_true(&env.aws_use_dualstack_endpoint),
        region: env.region().map(str::to_owned),
        instance: InstanceMetadata {
            is_disabled: is_true(&env.aws_ec2_metadata_disabled) == Some(true),
            endpoint: env.aws_ec2_metadata_service_endpoint.clone(),
            is_ipv6: env
                .aws_ec2_metadata_service_endpoint_mode
                .as_ref()
                .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")),
        },
        ..Surroundings::new(system_now)
    }
}

/// Returns where containers get their credentials, if the environment says so.
fn container_source(env: &Env, paths: &Paths) -> Option<ContainerSource> {
    if is_own_endpoint(env, paths) {
        return None;
    }
    ContainerSource::new(
        env.aws_container_credentials_relative_uri.as_ref(),
        env.aws_container_credentials_full_uri.as_ref(),
        env.aws_container_authorization_token.as_ref(),
        absolute(env.aws_container_authorization_token_file.as_ref()),
    )
}

/// The agent leaves the folder it was started in.
fn absolute(path: Option<&PathBuf>) -> Option<PathBuf> {
    path.and_then(|path| std::path::absolute(path).ok())
}

fn random() -> f64 {
    // Without randomness every session refreshes at exactly half of its life, which is no harm.
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

/// Returns the client that was installed with this agent.
fn client_path() -> Result<PathBuf, Report> {
    let own = std::env::current_exe();
    let own = own.and_then(std::fs::canonicalize).map_err(|error| {
        Report::new(Code::ReadFailed, "eksd cannot find its own program file", "install eksd again")
            .because(error.to_string())
    })?;
    Ok(own.parent().unwrap_or(Path::new("/")).join(format!("eksd{}", std::env::consts::EXE_SUFFIX)))
}
