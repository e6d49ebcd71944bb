//! A smart card reader that is not there, and a card for it: Debian's `pcscd` and `vsmartcard-vpcd`.
//!
//! The card knows as much of PIV (NIST SP 800-73-4) as OpenSC needs to show a token. It holds no key.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::process::{SOON, wait_until};

const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// How OpenSC calls the token of every card.
pub const LABEL: &str = "PIV_II";
/// The serial of every card: OpenSC's own, for one that has no identifier (CHUID).
pub const SERIAL: &str = "00000000";
/// OpenSC's module, on the machines that the tests run on.
pub const MODULE: &str = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so";

/// A `pcscd` of the test's own with one reader; killed when dropped.
#[derive(Debug)]
pub struct Reader {
    daemon: Child,
    dir: TempDir,
    port: u16,
}

impl Reader {
    /// Starts it, with no card in it.
    ///
    /// # Panics
    /// Where `pcscd` or the driver is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("strongroom-card-").tempdir();
        let dir = dir.unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        assert!(Path::new(DRIVER).exists(), "{DRIVER} is missing: install vsmartcard-vpcd");
        let port = free_port().unwrap_or_else(|error| panic!("no free port: {error}"));
        for folder in ["conf", "run"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        }
        let reader = format!(
            "FRIENDLYNAME \"Virtual reader\"\nDEVICENAME /dev/null:{port}\nLIBPATH {DRIVER}\nCHANNELID {port}\n"
        );
        std::fs::write(dir.path().join("conf/reader"), reader).unwrap_or_else(|error| panic!("{error}"));
        // The daemon's socket is always in /run/pcscd: of its own view of the machine.
        let script = "mkdir -p /run/pcscd && mount --bind \"$0/run\" /run/pcscd && \
                      exec pcscd --foreground --config \"$0/conf\" --critical";
        let namespace: &[&str] =
            if rustix::process::geteuid().is_root() { &["--mount"] } else { &["--mount", "--map-root-user"] };
        let daemon = Command::new("unshare")
            .args(namespace)
            .args(["sh", "-c", script])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("unshare: {error}"));
        let reader = Self { daemon, dir, port };
        wait_until("pcscd listens", SOON, || UnixStream::connect(reader.socket()).is_ok());
        reader
    }

    /// The environment of a program that is to use this reader.
    #[must_use]
    pub fn environment(&self) -> (&'static str, PathBuf) {
        ("PCSCLITE_CSOCK_NAME", self.socket())
    }

    /// Puts a card in.
    ///
    /// # Panics
    /// Where the reader takes none within seconds.
    #[must_use]
    pub fn insert(&self) -> Card {
        let mut connected = None;
        wait_until("the reader takes a card", SOON, || {
            connected = TcpStream::connect(("127.0.0.1", self.port)).ok();
            connected.is_some()
        });
        let Some(line) = connected else { panic!("no reader") };
        let other_end = line.try_clone().unwrap_or_else(|error| panic!("{error}"));
        let commands = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commands);
        let runs = std::thread::spawn(move || drop(serve(other_end, &counted)));
        Card { line, commands, runs: Some(runs) }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/pcscd.comm")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A card in the reader; taken out when dropped.
#[derive(Debug)]
pub struct Card {
    line: TcpStream,
    commands: Arc<AtomicUsize>,
    runs: Option<JoinHandle<()>>,
}

impl Card {
    /// How many commands it was given.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.commands.load(Ordering::Relaxed)
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.line.shutdown(Shutdown::Both);
        if let Some(runs) = self.runs.take() {
            let _ = runs.join();
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The protocol of vpcd: a length of two bytes, then a command; one byte alone is for the reader's power,
/// and only the question for the answer to reset (4) is answered.
fn serve(mut line: TcpStream, commands: &AtomicUsize) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        line.read_exact(&mut length)?;
        let mut command = vec![0; usize::from(u16::from_be_bytes(length))];
        line.read_exact(&mut command)?;
        let answer = match command.as_slice() {
            [4] => ANSWER_TO_RESET.to_vec(),
            [_] => continue,
            command => {
                commands.fetch_add(1, Ordering::Relaxed);
                piv(command)
            }
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        line.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
    }
}

/// No card that OpenSC knows by its answer to reset, so that it looks for PIV.
const ANSWER_TO_RESET: &[u8] = &[0x3b, 0x85, 0x80, 0x01, b'M', b'y', b'P', b'I', b'V', 0x7f];
const PIV_APPLICATION: [u8; 5] = [0xa0, 0x00, 0x00, 0x03, 0x08];
/// The application's template (part 2, section 3.1.1).
const PIV_TEMPLATE: &[u8] = &[
    0x61, 0x11, 0x4f, 0x06, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00, 0x79, 0x07, 0x4f, 0x05, 0xa0, 0x00, 0x00,
    0x03, 0x08, 0x90, 0x00,
];
const THREE_TRIES_LEFT: &[u8] = &[0x63, 0xc3];
const NOT_FOUND: &[u8] = &[0x6a, 0x82];

fn piv(command: &[u8]) -> Vec<u8> {
    const SELECT: u8 = 0xa4;
    const VERIFY: u8 = 0x20;
    let answer = match command {
        [_, SELECT, _, _, _, rest @ ..] if rest.starts_with(&PIV_APPLICATION) => PIV_TEMPLATE,
        [_, VERIFY, ..] => THREE_TRIES_LEFT,
        _ => NOT_FOUND,
    };
    answer.to_vec()
}
