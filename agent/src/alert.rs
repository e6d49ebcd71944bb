//! Telling a person at once: a command of the configuration, run with facts in its environment.
//!
//! No shell, nothing of this process's environment, and no descriptors. Few at once, and each for a while only:
//! whoever raises alarms on purpose keeps nothing else busy.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// So many run at once; further alarms are in the audit log only.
const MOST: usize = 4;
/// So long one may run.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
/// Begins the name of each fact.
const PREFIX: &str = "STRONGROOM_";

/// The configured command.
#[derive(Debug)]
pub(crate) struct Alert {
    command: Vec<String>,
    running: Arc<AtomicUsize>,
}

impl Alert {
    pub(crate) fn new(command: Vec<String>) -> Self {
        Self { command, running: Arc::default() }
    }

    /// Runs it, if there is one. Waits for nothing.
    pub(crate) fn raise(&self, facts: &BTreeMap<&'static str, String>) {
        let [program, arguments @ ..] = self.command.as_slice() else { return };
        if self.running.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.running.fetch_sub(1, Ordering::AcqRel);
            return tracing::error!(
                most = MOST,
                "the alert command was not run: as many as may run do already"
            );
        }
        let mut command = Command::new(program);
        command.args(arguments).env_clear().process_group(0).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        for (name, text) in facts {
            // An environment takes no byte 0.
            command.env(format!("{PREFIX}{name}"), text.replace('\0', ""));
        }
        let running = Arc::clone(&self.running);
        let started = std::thread::Builder::new().name("alert".to_owned()).spawn(move || {
            run(command);
            running.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(error) = started {
            self.running.fetch_sub(1, Ordering::AcqRel);
            tracing::error!(%error, "the alert command was not run");
        }
    }
}

fn run(mut command: Command) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return tracing::error!(%error, "the alert command does not start"),
    };
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(LOOK),
            Ok(Some(status)) if status.success() => return,
            Ok(Some(status)) => return tracing::error!(%status, "the alert command has failed"),
            Err(error) => return tracing::error!(%error, "the alert command is lost"),
        }
    }
    tracing::error!(seconds = PATIENCE.as_secs(), "the alert command was ended: it has run for too long");
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}
