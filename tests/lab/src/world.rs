//! All that the lab remembers.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::faults::Fault;
use crate::http::{Fail, random, word};
use crate::limits::Bucket;
use crate::script::{Script, User};
use crate::totp;

/// The state behind all services.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: Script,
    pub(crate) script: Script,
    pub(crate) clock: Clock,
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) devices: HashMap<String, Device>,
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) access: HashMap<String, Access>,
    pub(crate) refresh: HashMap<String, Refresh>,
    pub(crate) sessions: HashMap<String, Session>,
    pub(crate) faults: Vec<Fault>,
    /// Console sign-ins by refresh token.
    pub(crate) consoles: HashMap<String, ConsoleRefresh>,
    pub(crate) console_codes: HashMap<String, ConsoleCode>,
    /// The `jti` of every DPoP proof so far.
    pub(crate) proofs: HashSet<String>,
    /// Tokens of the metadata service, with their end.
    pub(crate) metadata_tokens: HashMap<String, i64>,
    pub(crate) buckets: HashMap<String, Bucket>,
    used_codes: HashSet<(String, i64)>,
    signins: u64,
}

/// An OAuth client registration.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) secret: String,
    pub(crate) expires_ms: i64,
    pub(crate) grants: Vec<String>,
    pub(crate) redirects: Vec<String>,
    pub(crate) scopes: Vec<String>,
}

/// A device code.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) user_code: String,
    pub(crate) client: String,
    pub(crate) state: DeviceState,
    /// Who was at the browser when it was decided on.
    pub(crate) person: String,
    pub(crate) polled_ms: Option<i64>,
    pub(crate) expires_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceState {
    Pending,
    Approved,
    Denied,
}

impl DeviceState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}

/// An authorization code.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) client: String,
    pub(crate) redirect: String,
    pub(crate) challenge: String,
    pub(crate) person: String,
    pub(crate) expires_ms: i64,
}

/// What every token of one sign-in shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignIn {
    pub(crate) number: u64,
    pub(crate) person: String,
    pub(crate) ends_ms: i64,
}

/// An authorization code of the console sign-in.
#[derive(Debug, Clone)]
pub(crate) struct ConsoleCode {
    pub(crate) client: String,
    pub(crate) redirect: String,
    pub(crate) challenge: String,
    pub(crate) arn: String,
    pub(crate) expires_ms: i64,
}

/// A refresh token of the console sign-in.
#[derive(Debug, Clone)]
pub(crate) struct ConsoleRefresh {
    pub(crate) client: String,
    /// The thumbprint (RFC 7638) of the key that proofs must be signed with.
    pub(crate) key: String,
    pub(crate) arn: String,
    pub(crate) number: u64,
    pub(crate) ends_ms: i64,
    pub(crate) used: bool,
}

/// An access token.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) signin: SignIn,
    pub(crate) expires_ms: i64,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub(crate) struct Refresh {
    pub(crate) client: String,
    pub(crate) signin: SignIn,
    pub(crate) used: bool,
}

/// Credentials: a user's key, or what STS or the portal handed out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) expires_ms: Option<i64>,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(crate) account: String,
    /// The user whose key this is; not for what was made from it.
    pub(crate) user: Option<User>,
    pub(crate) mfa: bool,
    /// What sticks to every session that is made from this one.
    pub(crate) source_identity: Option<String>,
    pub(crate) transitive_tags: BTreeMap<String, String>,
}

impl Session {
    /// Whose session of a role is: nothing yet that opens a door.
    pub(crate) fn of_role(role: &str, name: &str) -> Self {
        let account = role.split(':').nth(4).unwrap_or_default();
        let partition = role.split(':').nth(1).unwrap_or("aws");
        let role_name = role.rsplit('/').next().unwrap_or_default();
        Self {
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}"),
            user_id: format!("AROA{}:{name}", role_name.to_uppercase()),
            account: account.into(),
            ..Self::default()
        }
    }
}

impl World {
    pub(crate) fn new(seed: Script) -> Self {
        Self {
            script: seed.clone(),
            seed,
            clock: Clock::default(),
            clients: HashMap::new(),
            devices: HashMap::new(),
            codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            sessions: HashMap::new(),
            faults: Vec::new(),
            consoles: HashMap::new(),
            console_codes: HashMap::new(),
            proofs: HashSet::new(),
            metadata_tokens: HashMap::new(),
            buckets: HashMap::new(),
            used_codes: HashSet::new(),
            signins: 0,
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// A new sign-in of a person, as long as the script says.
    pub(crate) fn sign_in(&mut self, person: String) -> SignIn {
        let ends_ms = self.now_ms() + self.script.lifetimes.session * 1000;
        SignIn { number: self.next_sign_in(), person, ends_ms }
    }

    /// The number of a new sign-in, at the portal or at the console.
    pub(crate) fn next_sign_in(&mut self) -> u64 {
        self.signins += 1;
        self.signins
    }

    /// Ends every token of a sign-in.
    pub(crate) fn end(&mut self, signin: u64) {
        self.access.retain(|_, a| a.signin.number != signin);
        self.refresh.retain(|_, r| r.signin.number != signin);
    }

    /// The credentials behind an access key id.
    pub(crate) fn lookup(&self, key: &str) -> Option<Session> {
        if let Some(session) = self.sessions.get(key) {
            return Some(session.clone());
        }
        let user = self.script.users.get(key)?;
        Some(Session {
            secret: user.secret.clone(),
            arn: format!("arn:aws:iam::{}:user/{}", user.account, user.name),
            user_id: format!("AIDA{}", user.name.to_uppercase()),
            account: user.account.clone(),
            user: Some(user.clone()),
            ..Session::default()
        })
    }

    /// Makes temporary credentials for `whose`; returns their key id and what they are.
    pub(crate) fn mint(&mut self, seconds: i64, whose: Session) -> (String, Session) {
        let mut token = vec![0; self.script.session_token_bytes.max(1)];
        getrandom::fill(&mut token).expect("the system has random bytes");
        let session = Session {
            secret: word::<30>(),
            token: Some(STANDARD.encode(token)),
            expires_ms: Some((self.now() + seconds) * 1000),
            // Whose key it was made with is not whose key it is.
            user: None,
            ..whose
        };
        let key = format!("ASIA{}", totp::to_base32(&random::<10>()));
        self.sessions.insert(key.clone(), session.clone());
        (key, session)
    }

    /// Checks an MFA code of the calling user; each window's code works once.
    pub(crate) fn check_mfa(
        &mut self,
        user: Option<&User>,
        serial: Option<&str>,
        code: Option<&str>,
    ) -> Result<(), Fail> {
        let mfa = user.and_then(|u| u.mfa.as_ref());
        let (Some(mfa), Some(code)) = (mfa.filter(|m| Some(m.serial.as_str()) == serial), code)
        else {
            return Err(Fail::new(
                403,
                "AccessDenied",
                "MultiFactorAuthentication failed, unable to validate MFA code.  \
                 Please verify your MFA serial number is valid and associated with this user.",
            ));
        };
        let now = self.now();
        let window = [0, -30, 30]
            .into_iter()
            .find(|shift| totp::totp(&mfa.seed, now + shift).as_deref() == Some(code))
            .map(|shift| totp::step(now + shift));
        let fresh =
            window.is_some_and(|window| self.used_codes.insert((mfa.serial.clone(), window)));
        if fresh {
            return Ok(());
        }
        Err(Fail::new(
            403,
            "AccessDenied",
            "MultiFactorAuthentication failed with invalid MFA one time pass code.",
        ))
    }

    /// Decides on the pending device codes: all, or the one with this user code.
    pub(crate) fn decide(&mut self, user_code: Option<&str>, state: DeviceState) -> usize {
        let waiting = self.devices.values_mut().filter(|d| {
            d.state == DeviceState::Pending && user_code.is_none_or(|code| code == d.user_code)
        });
        waiting
            .map(|device| {
                device.state = state;
                device.person.clone_from(&self.script.person);
            })
            .count()
    }
}
