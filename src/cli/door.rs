//! How a command gets to an agent: the one that runs, one that it starts, or a process for this
//! command alone.

use std::{
    cell::RefCell,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, WaitOptions, waitpid};
use serde::de::DeserializeOwned;

use crate::{
    config::{Env, Paths},
    ipc::{
        client::{Client, Refusal},
        start::{self, START_LIMIT},
        wire::Request,
    },
    report::{Code, Report},
};

/// How long a connection may take. The kernel accepts for the agent, so only a full queue waits.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How long an answer that may need AWS may take; the agent's own deadlines are shorter.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// How long an agent that ends may hold its lock; its own deadline is shorter.
const END_LIMIT: Duration = Duration::from_secs(3);

/// Between two looks at whether it has.
const PAUSE: Duration = Duration::from_millis(20);

/// How long one that answered in the agent's place may take to end, once nobody asks it any more.
const STAND_IN_LIMIT: Duration = Duration::from_secs(2);

/// Between two looks at whether it has: milliseconds are usual.
const STAND_IN_PAUSE: Duration = Duration::from_millis(2);

/// How often a question is asked whose agent ends over it. One that ends over every question has a
/// bug, and a new agent each time would not mend it.
const TRIES: u32 = 3;

/// What every command knows of its surroundings.
#[derive(Debug)]
pub struct Call {
    /// The environment.
    pub env: Env,
    /// The files.
    pub paths: Paths,
    /// Whether the agent is to be left alone.
    pub no_agent: bool,
    /// Those that this process started to answer in the agent's place.
    stand_ins: RefCell<Vec<Pid>>,
}

impl Call {
    /// Looks around; `no_agent` is the flag, the environment may say the same.
    pub fn new(env: &Env, no_agent: bool) -> Result<Self, Report> {
        let no_agent = no_agent || env.is_without_agent();
        let paths = Paths::new(env)?;
        Ok(Self { paths, env: env.clone(), no_agent, stand_ins: RefCell::default() })
    }
}

/// What a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// An agent that runs already.
    Running,
    /// An agent, started if need be.
    Started,
    /// An answer: where no agent can be started, from a process for this command alone.
    Served,
}

/// Somebody who answers.
#[derive(Debug)]
pub enum Door {
    /// The agent.
    Agent(Client),
    /// A process for this command alone.
    Once(Client),
}

impl Door {
    /// Returns the connection.
    pub fn client(&mut self) -> &mut Client {
        match self {
            Self::Agent(client) | Self::Once(client) => client,
        }
    }

    /// Returns `limit`, with time to start where that happens after the question.
    pub fn limit(&self, limit: Duration) -> Duration {
        match self {
            Self::Agent(_) => limit,
            Self::Once(_) => limit + START_LIMIT,
        }
    }

    /// Asks, and waits at most `limit`.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        request: Request,
        limit: Duration,
    ) -> Result<T, Report> {
        let limit = self.limit(limit);
        self.client().ask(request, limit)
    }
}

/// Opens the way to whoever answers.
pub fn open(call: &Call, wish: Wish) -> Result<Door, Report> {
    if call.no_agent {
        return match wish {
            Wish::Running => Err(not_running()),
            Wish::Started | Wish::Served => stand_in(call),
        };
    }
    match Client::connect(&call.paths.socket, CONNECT_LIMIT) {
        Ok(client) => Ok(Door::Agent(client)),
        Err(Refusal::Failed(report)) => Err(report),
        Err(Refusal::NoAgent) if wish == Wish::Running => Err(not_running()),
        Err(Refusal::NoAgent) => match start(call) {
            Ok(client) => Ok(Door::Agent(client)),
            Err(report) if wish == Wish::Started => Err(report),
            // Why there is no agent says more than why there is no stand-in either.
            Err(report) => stand_in(call).map_err(|_| report),
        },
    }
}

fn stand_in(call: &Call) -> Result<Door, Report> {
    let client = start::once(&agent_program(call)?)?;
    call.stand_ins.borrow_mut().extend(client.pid());
    Ok(Door::Once(client))
}

/// Waits, not for long, until those have ended that answered in the agent's place, where nobody asks
/// them any more. Other children are somebody else's: a shell that became this process has its own.
pub fn forget_stand_ins(call: &Call) {
    let until = Instant::now() + STAND_IN_LIMIT;
    for pid in call.stand_ins.take() {
        while matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)) {
            if until <= Instant::now() {
                return;
            }
            sleep(STAND_IN_PAUSE);
        }
    }
}

/// Opens the way and asks, and asks again where the agent ends over the question: whoever is killed
/// or replaced meanwhile, the caller is answered. Only for what may be asked twice.
pub fn ask<T: DeserializeOwned>(
    call: &Call,
    wish: Wish,
    request: &Request,
    limit: Duration,
) -> Result<T, Report> {
    let mut tries = 1;
    loop {
        let mut door = open(call, wish)?;
        match door.ask(request.clone(), limit) {
            Err(report)
                if report.code == Code::AgentUnavailable
                    && matches!(door, Door::Agent(_))
                    && tries < TRIES =>
            {
                tries += 1;
                sleep(PAUSE);
            }
            answer => return answer,
        }
    }
}

/// Starts an agent, or finds that one runs, and connects.
pub fn start(call: &Call) -> Result<Client, Report> {
    let program = agent_program(call)?;
    let until = Instant::now() + END_LIMIT;
    loop {
        start::start_agent(&program)?;
        match Client::connect(&call.paths.socket, CONNECT_LIMIT) {
            Ok(client) => return Ok(client),
            Err(Refusal::Failed(report)) => return Err(report),
            // One that is about to end listens no more, and holds the lock a little longer.
            Err(Refusal::NoAgent) if Instant::now() < until => sleep(PAUSE),
            Err(Refusal::NoAgent) => {
                let what = "the agent was started and is not there";
                let fix = "run `eksd agent logs` to see why";
                return Err(Report::new(Code::AgentUnavailable, what, fix)
                    .because(format!("nobody listens at `{}`", call.paths.socket.display())));
            }
        }
    }
}

/// Connects to an agent that runs, in at most `limit`.
pub fn running(call: &Call, limit: Duration) -> Result<Client, Report> {
    Client::connect(&call.paths.socket, limit).map_err(|refusal| match refusal {
        Refusal::Failed(report) => report,
        Refusal::NoAgent => not_running(),
    })
}

/// Returns the agent's program.
pub fn agent_program(call: &Call) -> Result<std::path::PathBuf, Report> {
    start::find_agent(call.env.path.as_deref())
}

/// No agent runs.
pub fn not_running() -> Report {
    Report::new(Code::AgentUnavailable, "no agent runs", "run `eksd agent start`")
}
