//! The agent itself: whether one answers, and whether it is the one that is installed.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::net::sockopt::socket_peercred;
use strongroom_client::{Client, Error};

use super::process::Process;
use super::{Agent, Check, Installation};
use crate::config::Places;
use crate::fault::{Fault, chain};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The other programs, and what the first word of their `--version` is.
const HELPERS: [&str; 2] = ["strongroom-keeper", "strongroom-token"];

/// Asks the agent how it is, and looks for its process.
pub(super) fn find(places: &Places) -> (Agent, Option<Process>) {
    let Some(socket) = &places.socket else { return (Agent::Absent, None) };
    match Client::at(socket).status() {
        Ok(status) => {
            let front = Process::read(status.pid).filter(|process| process.is("strongroom"));
            (Agent::Answers(Box::new(status)), front)
        }
        Err(Error::NoAgent { .. }) => (Agent::Absent, None),
        Err(error) => {
            let code = error.code().unwrap_or(strongroom_protocol::ErrorCode::Unavailable);
            (Agent::Silent(Fault::new(code, chain(&error), error.hint())), listener(socket))
        }
    }
}

/// The process that listens at `socket`, which the kernel names also to those whom it does not serve.
fn listener(socket: &Path) -> Option<Process> {
    let stream = UnixStream::connect(socket).ok()?;
    let pid = socket_peercred(&stream).ok()?.pid.as_raw_nonzero().get();
    // Where the service manager listens, the agent is one of those that it has started.
    Process::read(u32::try_from(pid).ok()?).filter(|process| process.is("strongroom"))
}

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let mut checks = vec![answers(installation)];
    if let Some(status) = installation.status()
        && status.version != VERSION
    {
        let fact = format!("the running agent is version {}, and this program is {VERSION}", status.version);
        checks.push(Check::notice("agent-version", fact, "restart the agent"));
    }
    checks.push(programs());
    checks
}

fn answers(installation: &Installation<'_>) -> Check {
    match &installation.agent {
        Agent::Absent => Check::notice(
            "agent",
            "no agent answers, so nothing is in memory and nothing can be signed",
            "run `strongroom agent`, or start its service",
        ),
        Agent::Silent(fault) => Check::unknown("agent", fault.message.clone(), fault.hint.clone()),
        Agent::Answers(status) if status.locked => Check::ok(
            "agent",
            format!(
                "process {} answers and is locked ({}): no secret is in memory",
                status.pid, status.reason
            ),
        ),
        Agent::Answers(status) => Check::ok(
            "agent",
            format!("process {} answers and is unlocked: {} credentials can sign", status.pid, status.ready),
        ),
    }
}

/// Whether the three programs of this folder are of one version.
fn programs() -> Check {
    let faults: Vec<String> = HELPERS
        .iter()
        .filter_map(|program| match version(program) {
            Ok(said) if said == format!("{program} {VERSION}") => None,
            Ok(said) => Some(format!("{program} says `{said}`")),
            Err(error) => Some(format!("{program} does not run: {error}")),
        })
        .collect();
    if faults.is_empty() {
        return Check::ok("programs", format!("all three programs are version {VERSION}"));
    }
    let fact = format!("strongroom is version {VERSION}, but {}", faults.join(", and "));
    Check::weak("programs", fact, "install all three programs of one release into one folder")
}

fn version(program: &str) -> std::io::Result<String> {
    let path = std::env::current_exe()?.with_file_name(program);
    let output = Command::new(path).arg("--version").env_clear().stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    // Whatever it is, it need not fill the screen.
    Ok(said.trim().chars().take(80).collect())
}
