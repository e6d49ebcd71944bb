//! A whole installation in a temporary folder: token, configuration, data, socket, and the built
//! programs that a user would run.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use strongroom_client::Client;
use tempfile::TempDir;

use crate::process::{SOON, is_stopped, wait_until};
use crate::softhsm::FreshToken;

/// One installation that nothing else on the machine knows.
#[derive(Debug)]
pub struct Room {
    /// Its token.
    pub token: FreshToken,
    dir: TempDir,
}

/// What a command has printed, and how it ended.
#[derive(Debug)]
pub struct Run {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Run {
    /// The exit code; -1 where a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Standard output of a command that must have succeeded.
    ///
    /// # Panics
    /// Where it has not.
    #[must_use]
    pub fn ok(self) -> String {
        if self.status.success() {
            self.stdout
        } else {
            panic!("exit {}: {}{}", self.code(), self.stdout, self.stderr)
        }
    }

    /// Standard output as JSON, of a command that must have succeeded.
    ///
    /// # Panics
    /// Where it has not, or has printed something else.
    #[must_use]
    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// A credential to enrol in a test.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Name of the credential.
    pub name: &'a str,
    /// Id of the venue's profile.
    pub venue: &'a str,
    /// Public half.
    pub key_id: &'a str,
    /// The secret.
    pub secret: &'a str,
    /// The passphrase, where the venue has one.
    pub passphrase: Option<&'a str>,
}

/// Grants by which this user may do everything, as TOML.
#[must_use]
pub fn everything() -> String {
    let uid = rustix::process::geteuid().as_raw();
    format!("[[grant]]\nid = \"own\"\nto = \"user:{uid}\"\nallow = [\"*\"]\n")
}

impl Room {
    /// A fresh token and empty folders; nothing is initialised.
    ///
    /// # Panics
    /// Where SoftHSM is missing.
    #[must_use]
    pub fn bare() -> Self {
        Self::with(FreshToken::new("strongroom test"))
    }

    /// Empty folders for a token of the test's; nothing is initialised.
    ///
    /// # Panics
    /// Where there can be no temporary folder.
    #[must_use]
    pub fn with(token: FreshToken) -> Self {
        let dir = tempfile::Builder::new().prefix("strongroom-room-").tempdir();
        let dir = dir.unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        Self { token, dir }
    }

    /// A fresh token on which `strongroom init` has run.
    ///
    /// # Panics
    /// Where SoftHSM is missing or `init` fails.
    #[must_use]
    pub fn new() -> Self {
        let room = Self::bare();
        let _ = room.init(&[]).ok();
        room
    }

    /// Runs `strongroom init` for this token, with more arguments.
    pub fn init(&self, more: &[&str]) -> Run {
        let module = self.token.module.display().to_string();
        let conf = format!("{}={}", self.token.variable, self.token.conf.display());
        let fixed = [
            "init",
            "--module",
            &module,
            "--serial",
            &self.token.serial,
            "--module-env",
            &conf,
            "--pin-stdin",
        ];
        self.run(&[&fixed, more].concat(), Some(&self.token.pin), &[])
    }

    /// Enrols a credential; the PIN and the secret go by descriptors. This user may do everything with it, unless
    /// `more` says who may do what.
    pub fn enroll(&self, key: &Key<'_>, more: &[&str]) -> Run {
        let fixed = [
            "enroll",
            key.name,
            "--venue",
            key.venue,
            "--key-id",
            key.key_id,
            "--pin-fd",
            "3",
            "--secret-fd",
            "4",
        ];
        let mut arguments = [&fixed, more].concat();
        if !more.iter().any(|argument| matches!(*argument, "--allow" | "--grants")) {
            arguments.extend(["--allow", "*"]);
        }
        let mut descriptors = vec![(3, self.token.pin.as_str()), (4, key.secret)];
        if let Some(passphrase) = key.passphrase {
            arguments.extend(["--passphrase-fd", "5"]);
            descriptors.push((5, passphrase));
        }
        self.run(&arguments, None, &descriptors)
    }

    /// Runs `strongroom` with standard input and further descriptors that give these texts.
    ///
    /// # Panics
    /// Where the program cannot be started at all.
    pub fn run(&self, arguments: &[&str], stdin: Option<&str>, descriptors: &[(u32, &str)]) -> Run {
        let mut script = "exec \"$0\" \"$@\"".to_owned();
        for (number, text) in descriptors {
            let path = self.dir.path().join(format!("fd-{number}"));
            std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            script.push_str(&format!(" {number}<'{}'", path.display()));
        }
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(program("strongroom")).args(arguments);
        self.surround(&mut command);
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            // A program that reads nothing closes its end, and then there is nothing to write to.
            let _ = pipe.write_all(text.as_bytes());
        }
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
        Run {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status,
        }
    }

    /// Starts `strongroom agent`, locked, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not within seconds.
    #[must_use]
    pub fn start(&self) -> Agent {
        let mut command = Command::new(program("strongroom"));
        command.arg("agent");
        self.start_command(command)
    }

    /// Starts an agent by a command of the test's, in the environment of this installation.
    ///
    /// # Panics
    /// Where it does not answer within seconds.
    #[must_use]
    pub fn start_command(&self, command: Command) -> Agent {
        self.start_until(command, || self.client().status().is_ok())
    }

    /// The same for an agent that does not answer the test: it is there when `is_ready` says so.
    ///
    /// # Panics
    /// Where it is not within seconds.
    #[must_use]
    pub fn start_until(&self, mut command: Command, is_ready: impl Fn() -> bool) -> Agent {
        let log = self.dir.path().join("agent.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        self.surround(&mut command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(file)).spawn();
        let mut agent = Agent { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), log };
        let began = Instant::now();
        while !is_ready() {
            let ended = agent.child.try_wait().ok().flatten();
            if began.elapsed() > SOON || ended.is_some() {
                panic!("the agent does not answer ({ended:?}): {}", agent.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        agent
    }

    /// Starts an agent and unlocks it.
    ///
    /// # Panics
    /// Where either fails.
    #[must_use]
    pub fn start_unlocked(&self) -> Agent {
        let agent = self.start();
        let _ = self.unlock().ok();
        agent
    }

    /// Runs `strongroom unlock` with the right PIN.
    pub fn unlock(&self) -> Run {
        self.run(&["unlock", "--pin-stdin"], Some(&self.token.pin), &[])
    }

    /// A new client of this installation's agent. It has more patience than a bot: what it asks for must come.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::at(self.socket()).with_deadline(SOON)
    }

    /// How many clients are connected, as the kernel has it: also those whose end the agent has not seen yet.
    #[must_use]
    pub fn connections(&self) -> usize {
        const CONNECTED: &str = "03";
        let path = self.socket().display().to_string();
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let is_one = |line: &&str| {
            let mut fields = line.split_whitespace();
            (fields.nth(5), fields.nth(1)) == (Some(CONNECTED), Some(path.as_str()))
        };
        sockets.lines().filter(is_one).count()
    }

    /// Whether somebody listens on the agent's socket, as the kernel has it: a socket's file is there a moment before.
    #[must_use]
    pub fn listens(&self) -> bool {
        const LISTENING: &str = "00010000";
        let path = self.socket().display().to_string();
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let is_it = |line: &str| {
            let mut fields = line.split_whitespace();
            (fields.nth(3), fields.nth(3)) == (Some(LISTENING), Some(path.as_str()))
        };
        sockets.lines().any(is_it)
    }

    /// Where the agent's socket is.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/agent.sock")
    }

    /// The folder of records and nonces.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config/strongroom.toml")
    }

    /// The record file of a credential.
    #[must_use]
    pub fn record(&self, name: &str) -> PathBuf {
        self.data().join("records").join(format!("{name}.toml"))
    }

    /// A folder for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Gives a command the environment of this installation, and nothing of the machine's.
    pub fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("STRONGROOM_CONFIG", self.config())
            .env("STRONGROOM_DATA", self.data())
            .env("STRONGROOM_SOCKET", self.socket());
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// A running agent; killed when dropped, and its helpers with it.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it with SIGTERM and waits.
    ///
    /// # Panics
    /// Where it does not end within seconds.
    pub fn terminate(mut self) -> ExitStatus {
        signal(self.pid(), rustix::process::Signal::TERM);
        let began = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            if began.elapsed() > SOON {
                panic!("the agent does not end: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Process ids of its children whose program has this name.
    #[must_use]
    pub fn children(&self, program: &str) -> Vec<u32> {
        children(self.pid(), program)
    }

    /// The one child whose program has this name, which is waited for.
    ///
    /// # Panics
    /// Where there is none, or more than one stay.
    #[must_use]
    pub fn child(&self, program: &str) -> u32 {
        let mut only = None;
        wait_until(&format!("there is one {program}"), SOON, || {
            only = <[u32; 1]>::try_from(self.children(program)).ok();
            only.is_some()
        });
        only.map_or_else(|| panic!("no {program}"), |[pid]| pid)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process of this test.
///
/// # Panics
/// Where the number is no process id.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.unwrap_or_else(|| panic!("no process id"));
    let _ = rustix::process::kill_process(pid, signal);
}

/// Stops a process, and waits until it is: a signal that was sent has not come yet.
///
/// # Panics
/// Where the number is no process id, or the process goes on.
pub fn stop(pid: u32) {
    signal(pid, rustix::process::Signal::STOP);
    wait_until("it is stopped", SOON, || is_stopped(pid));
}

/// Process ids of the children of `parent` whose program has this name.
#[must_use]
pub fn children(parent: u32, program: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // A helper cannot be traced, so not even its `exe` may be read by its own user; its `stat` may.
    // The kernel keeps 15 bytes of the name.
    let name = program.get(..15).unwrap_or(program);
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name stands in brackets and may hold anything but its own last bracket.
        let Some((begin, fields)) = stat.rsplit_once(')') else { return false };
        let named = begin.split_once('(').is_some_and(|(_, found)| found == name);
        named && fields.split_whitespace().nth(1).and_then(|field| field.parse().ok()) == Some(parent)
    };
    pids.filter(is_child).collect()
}

/// A built program of this workspace: beside the test's own, or in `$STRONGROOM_BIN_DIR`.
///
/// # Panics
/// Where it has not been built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("STRONGROOM_BIN_DIR").map(PathBuf::from).or_else(|| {
        let own = std::env::current_exe().ok()?;
        // Tests lie in deps/, the programs one folder up.
        own.ancestors().nth(2).map(Path::to_owned)
    });
    let path = folder.unwrap_or_default().join(name);
    if path.is_file() { path } else { panic!("{} is not built: run `cargo build` first", path.display()) }
}
