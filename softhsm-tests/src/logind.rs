//! A system bus of the test's own, with a logind on it that sleeps and wakes when it is told.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::process::{SOON, wait_until};

/// A running `dbus-daemon`; killed when dropped.
#[derive(Debug)]
pub struct Bus {
    daemon: Child,
    socket: PathBuf,
}

impl Bus {
    /// Starts a bus whose files are in `folder`, on which everybody may do everything.
    ///
    /// # Panics
    /// Where `dbus-daemon` is not installed or does not start.
    #[must_use]
    pub fn start(folder: &Path) -> Self {
        let (socket, config) = (folder.join("bus"), folder.join("bus.conf"));
        let _ = std::fs::remove_file(&socket);
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(&config, text).unwrap_or_else(|error| panic!("{}: {error}", config.display()));
        let daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .arg("--nofork")
            .stdin(Stdio::null())
            // As an ordinary user it says each time that it may not raise its limit.
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("dbus-daemon does not start, is dbus installed? {error}"));
        let bus = Self { daemon, socket };
        wait_until("the bus listens", SOON, || UnixStream::connect(&bus.socket).is_ok());
        bus
    }

    /// What `DBUS_SYSTEM_BUS_ADDRESS` must be.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A running logind; killed when dropped.
#[derive(Debug)]
pub struct Logind {
    child: Child,
    orders: ChildStdin,
    said: Receiver<String>,
}

impl Logind {
    /// Starts one on a bus.
    ///
    /// # Panics
    /// Where Debian's `python3-dbus` or `python3-gi` is not installed.
    #[must_use]
    pub fn start(bus: &Bus) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("logind/logind.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("/usr/bin/python3 does not start: {error}"));
        let (Some(orders), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            panic!("no pipes to logind");
        };
        let (sender, said) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let logind = Self { child, orders, said };
        logind.says("serving org.freedesktop.login1");
        logind
    }

    /// Waits for this line, which must be the next.
    ///
    /// # Panics
    /// Where another comes, or none within seconds.
    pub fn says(&self, line: &str) {
        match self.said.recv_timeout(SOON) {
            Ok(said) if said == line => {}
            other => panic!("logind has not said `{line}` but {other:?}"),
        }
    }

    /// Whether it has said nothing more for so long.
    #[must_use]
    pub fn is_silent_for(&self, time: Duration) -> bool {
        self.said.recv_timeout(time).is_err()
    }

    /// Gives an order and waits until it is done.
    ///
    /// # Panics
    /// Where it is not.
    pub fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap_or_else(|error| panic!("{order}: {error}"));
        self.says(order);
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
