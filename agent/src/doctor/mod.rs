//! What protects an installation and what does not: measured, and told in plain words.
//!
//! Each room looks at one thing and gives [`Check`]s. Nothing is assumed that can be looked at, and what
//! cannot be looked at is said to be unknown, never to be fine. Nothing is changed.

mod agent;
mod bots;
mod clock;
mod credentials;
mod files;
mod kernel;
mod limits;
mod memory;
mod process;
mod processes;
mod report;
mod settings;
mod socket;
mod token;

pub(crate) use report::{Report, Style};

use strongroom_client::{Protection, Status};

use self::process::Process;
use crate::config::{Config, Places};
use crate::fault::Fault;

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It protects as it should.
    Ok,
    /// The user should know of it.
    Notice,
    /// It is weaker than the configuration promises.
    Weak,
    /// It could not be looked at.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was looked at; stays the same from release to release.
    id: &'static str,
    /// Which of several: a process, a credential, a path, a setting.
    about: Option<String>,
    verdict: Verdict,
    /// One sentence.
    fact: String,
    /// What to do, in one sentence; empty where there is nothing to do.
    advice: String,
}

impl Check {
    fn new(id: &'static str, verdict: Verdict, fact: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { id, about: None, verdict, fact: fact.into(), advice: advice.into() }
    }

    fn ok(id: &'static str, fact: impl Into<String>) -> Self {
        Self::new(id, Verdict::Ok, fact, "")
    }

    fn notice(id: &'static str, fact: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(id, Verdict::Notice, fact, advice)
    }

    fn weak(id: &'static str, fact: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(id, Verdict::Weak, fact, advice)
    }

    fn unknown(id: &'static str, fact: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(id, Verdict::Unknown, fact, advice)
    }

    fn about(self, about: impl Into<String>) -> Self {
        Self { about: Some(about.into()), ..self }
    }
}

/// The agent of an installation.
#[derive(Debug)]
enum Agent {
    /// Nothing answers at the socket.
    Absent,
    /// Something is there and tells nothing.
    Silent(Fault),
    Answers(Box<Status>),
}

/// What is looked at.
struct Installation<'a> {
    places: &'a Places,
    config: Result<Config, Fault>,
    agent: Agent,
    /// The agent's process, where it can be seen.
    front: Option<Process>,
}

impl Installation<'_> {
    fn status(&self) -> Option<&Status> {
        match &self.agent {
            Agent::Answers(status) => Some(status),
            Agent::Absent | Agent::Silent(_) => None,
        }
    }

    /// What the running agent says of what protects one process.
    fn protection(&self, process: &str) -> Option<&Protection> {
        self.status()?.protection.iter().find(|protection| protection.process == process)
    }

    /// The user whose installation it is: that of the agent, else the owner of its data.
    fn user(&self) -> u32 {
        let owner = || files::owner(&self.places.data).or_else(|| files::owner(&self.places.config));
        let front = self.front.as_ref().map(|front| front.uid);
        front.or_else(owner).unwrap_or_else(|| rustix::process::geteuid().as_raw())
    }
}

/// Looks at all of one installation.
pub(crate) async fn examine(places: &Places) -> Report {
    let (agent, front) = agent::find(places);
    let installation = Installation { places, config: Config::read(&places.config), agent, front };
    let mut report = Report::default();
    report.add("agent", agent::checks(&installation));
    report.add("settings", settings::checks(&installation));
    report.add("kernel", kernel::checks());
    report.add("memory", memory::checks(&installation).await);
    report.add("limits", limits::checks(&installation));
    report.add("processes", processes::checks(&installation));
    report.add("socket", socket::checks(&installation));
    report.add("clients", bots::checks(&installation));
    report.add("files", files::checks(&installation));
    report.add("token", token::checks(&installation).await);
    report.add("credentials", credentials::checks(&installation));
    report.add("clock", clock::checks(places));
    report
}
