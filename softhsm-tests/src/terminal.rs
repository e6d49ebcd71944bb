//! A person at a terminal: a program on a pseudo-terminal of its own, typed at by the test.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;

use crate::process::SOON;

/// A program whose controlling terminal is the test's.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    child: Child,
    /// Everything that was shown so far.
    shown: String,
    /// How much of it was waited for.
    seen: usize,
}

impl Terminal {
    /// Starts a program by its command line. `surround` gives it its environment.
    ///
    /// # Panics
    /// Where there are no pseudo-terminals, or no `setsid` of util-linux.
    pub fn start(command_line: &[&str], surround: impl FnOnce(&mut Command)) -> Self {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let master = master.unwrap_or_else(|error| panic!("a pseudo-terminal: {error}"));
        let slave = slave(&master);
        // A controlling terminal can be taken by a new session's own process only.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).args(command_line);
        surround(&mut command);
        let copy = || Stdio::from(slave.try_clone().unwrap_or_else(|error| panic!("{error}")));
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { master: File::from(master), child, shown: String::new(), seen: 0 }
    }

    /// Waits until `text` has been shown, after what was waited for before.
    ///
    /// # Panics
    /// Where the program ends or falls silent before.
    pub fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown.get(self.seen..).and_then(|rest| rest.find(text)) {
                self.seen = self.seen.saturating_add(at).saturating_add(text.len());
                return;
            }
            if !self.read() {
                panic!("`{text}` was never shown: {:?}", self.shown);
            }
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// Where the terminal is gone.
    pub fn type_line(&mut self, line: &str) {
        let typed = self.master.write_all(format!("{line}\n").as_bytes());
        typed.unwrap_or_else(|error| panic!("typing: {error}: {:?}", self.shown));
    }

    /// The program's process: `setsid` has become it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Presses keys.
    ///
    /// # Panics
    /// Where the terminal is gone.
    pub fn press(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap_or_else(|error| panic!("typing: {error}: {:?}", self.shown));
    }

    /// Whether the terminal shows what is typed.
    ///
    /// # Panics
    /// Where the terminal is gone.
    #[must_use]
    pub fn echoes(&self) -> bool {
        let settings = rustix::termios::tcgetattr(&self.master).unwrap_or_else(|error| panic!("{error}"));
        settings.local_modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// Waits for the program's end; gives all that was shown, and how it ended.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn end(self) -> (String, ExitStatus) {
        let (shown, status, _) = self.end_and_look();
        (shown, status)
    }

    /// The same, and whether the terminal shows again what is typed.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn end_and_look(mut self) -> (String, ExitStatus, bool) {
        while self.read() {}
        let status = self.child.wait().unwrap_or_else(|error| panic!("{error}"));
        let echoes = self.echoes();
        (self.shown, status, echoes)
    }

    /// Takes what is shown next; `false` at the end.
    fn read(&mut self) -> bool {
        let mut waiting = [PollFd::new(&self.master, PollFlags::IN)];
        let patience = Timespec::try_from(SOON).unwrap_or_else(|_| panic!("a time"));
        match poll(&mut waiting, Some(&patience)) {
            Ok(0) => {
                let _ = self.child.kill();
                panic!("the program fell silent: {:?}", self.shown)
            }
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
        let mut bytes = [0; 4096];
        // The kernel answers EIO when the last user of the terminal has gone.
        let read = self.master.read(&mut bytes).unwrap_or_default();
        self.shown.push_str(&String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()));
        read > 0
    }
}

/// The program's end of the terminal.
fn slave(master: &OwnedFd) -> File {
    let opened = rustix::pty::grantpt(master)
        .and_then(|()| rustix::pty::unlockpt(master))
        .and_then(|()| rustix::pty::ptsname(master, Vec::new()));
    let name = opened.unwrap_or_else(|error| panic!("a pseudo-terminal: {error}"));
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&*name, flags, Mode::empty());
    File::from(opened.unwrap_or_else(|error| panic!("{name:?}: {error}")))
}
