//! Fresh SoftHSM tokens, each in a temporary folder of its own.
//!
//! Nothing of the machine's own SoftHSM is read or changed: the configuration file of a token goes
//! to the environment of single child processes, never into that of the test. Where SoftHSM or
//! `pkcs11-tool` is missing, the tests that need it fail.

#![expect(clippy::panic, reason = "this is test support: a machine without SoftHSM fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The PIN of the security officer of every fresh token.
const SO_PIN: &str = "87654321";
/// Not of digits alone: those stand in some hash or time of a log by chance, where tests look for a PIN that got out.
const PIN: &str = "Kiesel-7";

const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// One initialised SoftHSM token in a folder that vanishes with this value.
#[derive(Debug)]
pub struct FreshToken {
    /// Holds all of it.
    pub dir: TempDir,
    /// The variable by which the module finds this token.
    pub variable: &'static str,
    /// What that variable must be.
    pub conf: PathBuf,
    /// Serial number, as the module gives it.
    pub serial: String,
    /// Label.
    pub label: String,
    /// The user's PIN.
    pub pin: String,
    /// Absolute path of SoftHSM's PKCS#11 module.
    pub module: PathBuf,
}

impl FreshToken {
    /// Makes a folder with one token in it.
    ///
    /// # Panics
    /// Where SoftHSM is not installed or does not work.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("strongroom-softhsm-")
            .tempdir()
            .unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let conf = dir.path().join("softhsm2.conf");
        let tokens = dir.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap_or_else(|error| panic!("{}: {error}", tokens.display()));
        let lines = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(&conf, lines).unwrap_or_else(|error| panic!("{}: {error}", conf.display()));
        let serial = initialise(&conf, label, &["--free"]);
        let (label, pin) = (label.to_owned(), PIN.to_owned());
        Self { dir, variable: "SOFTHSM2_CONF", conf, serial, label, pin, module: module() }
    }

    /// Initialises one more token in the same folder, with the same PIN, and gives its serial number.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn another(&self, label: &str) -> String {
        initialise(&self.conf, label, &["--free"])
    }

    /// The folder that holds the tokens; moving it away is how SoftHSM loses them.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    /// Runs `pkcs11-tool` on this token as an outsider who knows the PIN.
    ///
    /// # Panics
    /// Where `pkcs11-tool` is not installed.
    #[must_use]
    pub fn pkcs11_tool(&self, arguments: &[&str]) -> Output {
        let login = ["--token-label", &self.label, "--login", "--pin", &self.pin];
        self.pkcs11_tool_without_pin(&[&login, arguments].concat())
    }

    /// Runs `pkcs11-tool` with the module of this token as somebody who does not know the PIN.
    ///
    /// # Panics
    /// Where `pkcs11-tool` is not installed.
    #[must_use]
    pub fn pkcs11_tool_without_pin(&self, arguments: &[&str]) -> Output {
        let module = self.module.to_string_lossy().into_owned();
        run("pkcs11-tool", &self.conf, &[&["--module", &module], arguments].concat())
    }
}

/// The path of SoftHSM's PKCS#11 module.
///
/// # Panics
/// Where SoftHSM is not installed.
#[must_use]
pub fn module() -> PathBuf {
    let Some(path) = MODULES.iter().map(Path::new).find(|path| path.is_file()) else {
        panic!("SoftHSM's PKCS#11 module is in none of {MODULES:?}: install softhsm2");
    };
    path.to_owned()
}

/// Initialises a token and tells its serial number, which SoftHSM chooses.
fn initialise(conf: &Path, label: &str, place: &[&str]) -> String {
    let before = serials(conf);
    let mut arguments = vec!["--init-token", "--label", label, "--so-pin", SO_PIN, "--pin", PIN];
    arguments.extend_from_slice(place);
    let output = run("softhsm2-util", conf, &arguments);
    assert!(output.status.success(), "softhsm2-util {arguments:?}: {}", text(&output));
    let mut new = serials(conf).into_iter().filter(|serial| !before.contains(serial));
    match (new.next(), new.next()) {
        (Some(serial), None) => serial,
        _ => panic!("softhsm2-util made no token, or more than one"),
    }
}

/// The serial numbers of the initialised tokens.
fn serials(conf: &Path) -> Vec<String> {
    let output = run("softhsm2-util", conf, &["--show-slots"]);
    assert!(output.status.success(), "softhsm2-util --show-slots: {}", text(&output));
    // The slot with no token in it has an empty serial number.
    text(&output)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Serial number:"))
        .map(|serial| serial.trim().to_owned())
        .filter(|serial| !serial.is_empty())
        .collect()
}

fn run(program: &str, conf: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .env("SOFTHSM2_CONF", conf)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program} does not start, is it installed? {error}"))
}

/// Everything that a program printed.
fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
