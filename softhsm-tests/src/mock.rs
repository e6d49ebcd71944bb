//! The token of `mock-module`: what a test can make go wrong with it, and what it was asked.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::room::program;
use crate::softhsm::FreshToken;

const LABEL: &str = "mock";
const SERIAL: &str = "5d2e8f0a";
const PIN: &str = "123456";
/// As many wrong PINs in a row lock the token.
pub const TRIES: u32 = 3;

/// One thing that goes wrong, as `mock-module/src/script.rs` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The function.
    pub call: String,
    /// Which of its calls in one process, from 1; 0 means every one.
    pub nth: u32,
    /// What happens.
    pub act: &'static str,
    /// The code, where the act is `return`.
    pub code: &'static str,
    /// The call does its work first.
    pub after: bool,
    /// How often it happens in all processes together; 0 means each time. One such fault at a time.
    pub times: usize,
    /// How long it takes, where the act is `slow`.
    pub ms: u32,
}

impl Fault {
    /// Something that happens at one call.
    #[must_use]
    pub fn new(call: &str, nth: u32, act: &'static str) -> Self {
        Self { call: call.to_owned(), nth, act, code: "", after: false, times: 0, ms: 300 }
    }

    /// A call that fails with a code.
    #[must_use]
    pub fn code(call: &str, nth: u32, code: &'static str) -> Self {
        Self { code, ..Self::new(call, nth, "return") }
    }

    /// The same, when the call has done its work.
    #[must_use]
    pub fn after(self) -> Self {
        Self { after: true, ..self }
    }

    /// The same, which takes so long.
    #[must_use]
    pub fn for_ms(self, ms: u32) -> Self {
        Self { ms, ..self }
    }

    /// The same, so often in all processes together.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, nth, act, code, after, times, ms: _ } = self;
        let when = if *after { " after" } else { "" };
        let often = if *times == 0 { String::new() } else { format!(" {times} times") };
        write!(f, "{call}#{nth} {act}{when} {code}{often}")
    }
}

/// A script and the log beside it.
#[derive(Debug, Clone)]
pub struct Mock {
    folder: PathBuf,
    user: Arc<Mutex<User>>,
}

/// Who uses the token.
#[derive(Debug)]
struct User {
    pin: &'static str,
    /// What the person at the pad does, as `mock-module/src/script.rs` names it; no pad if empty.
    pad: &'static str,
}

impl Mock {
    /// A fresh token, for [`Room::with`](crate::room::Room::with), and its script.
    ///
    /// # Panics
    /// Where the module has not been built, or there can be no temporary folder.
    #[must_use]
    pub fn token() -> (FreshToken, Self) {
        let dir = tempfile::Builder::new().prefix("strongroom-mock-").tempdir();
        let dir = dir.unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let mock =
            Self { folder: dir.path().to_owned(), user: Arc::new(Mutex::new(User { pin: PIN, pad: "" })) };
        mock.clear();
        let token = FreshToken {
            variable: "STRONGROOM_MOCK",
            conf: mock.script(),
            dir,
            serial: SERIAL.to_owned(),
            label: LABEL.to_owned(),
            pin: PIN.to_owned(),
            module: program("libstrongroom_mock_module.so"),
        };
        (token, mock)
    }

    /// Nothing goes wrong from now on.
    pub fn clear(&self) {
        self.write(false, &[]);
    }

    /// This goes wrong from now on, and nothing else.
    pub fn set(&self, faults: &[Fault]) {
        self.write(false, faults);
    }

    /// The token has a pad from now on, and this is what the person at it does: `enters_right`,
    /// `enters_wrong`, `cancels` or `is_absent`. Nothing else goes wrong.
    pub fn set_pad(&self, person: &'static str) {
        self.user().pad = person;
        self.clear();
    }

    /// The token has this PIN from now on, and nothing else goes wrong.
    pub fn set_pin(&self, pin: &'static str) {
        self.user().pin = pin;
        self.clear();
    }

    /// The slot is empty from now on.
    pub fn unplug(&self) {
        self.write(true, &[]);
    }

    /// The functions that were called, in order, since [`forget_calls`](Self::forget_calls).
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.join("calls.log")).unwrap_or_default();
        log.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
    }

    /// How often the module was asked to log in.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.calls().iter().filter(|call| *call == "C_Login").count()
    }

    /// How often a fault of a bounded number has happened since it was set.
    #[must_use]
    pub fn spent(&self) -> usize {
        std::fs::read(self.folder.join("spent.log")).unwrap_or_default().len()
    }

    /// Empties the log.
    pub fn forget_calls(&self) {
        let _ = std::fs::remove_file(self.folder.join("calls.log"));
    }

    /// Empties the token: no keys, and no wrong PINs.
    pub fn erase(&self) {
        let _ = std::fs::remove_file(self.folder.join("contents.toml"));
    }

    /// All that the token has, as it is now.
    #[must_use]
    pub fn keep_contents(&self) -> String {
        self.contents()
    }

    /// Gives the token what it had, as a loss of power or a copy would.
    ///
    /// # Panics
    /// Where the disk refuses.
    pub fn put_contents(&self, contents: &str) {
        let path = self.folder.join("contents.toml");
        let written = std::fs::write(&path, contents);
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// How many wrong PINs the token has counted.
    ///
    /// # Panics
    /// Where it was never used.
    #[must_use]
    pub fn wrong_pins(&self) -> u32 {
        let line = self.contents().lines().find_map(|line| line.strip_prefix("wrong_pins = ")?.parse().ok());
        line.unwrap_or_else(|| panic!("the token has no count"))
    }

    /// Sets the count, as the token's own tool or a thief would.
    ///
    /// # Panics
    /// Where the token was never used.
    pub fn set_wrong_pins(&self, count: u32) {
        let (old, new) = (format!("wrong_pins = {}\n", self.wrong_pins()), format!("wrong_pins = {count}\n"));
        let path = self.folder.join("contents.toml");
        let written = std::fs::write(&path, self.contents().replace(&old, &new));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn user(&self) -> MutexGuard<'_, User> {
        self.user.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contents(&self) -> String {
        std::fs::read_to_string(self.folder.join("contents.toml")).unwrap_or_default()
    }

    fn script(&self) -> PathBuf {
        self.folder.join("mock.toml")
    }

    fn write(&self, absent: bool, faults: &[Fault]) {
        let User { pin, pad } = *self.user();
        let mut text = format!(
            "[token]\nserial = \"{SERIAL}\"\nlabel = \"{LABEL}\"\npin = {pin:?}\ntries = {TRIES}\nabsent = {absent}\n"
        );
        if !pad.is_empty() {
            text.push_str(&format!("pad = \"{pad}\"\n"));
        }
        for Fault { call, nth, act, code, after, times, ms } in faults {
            text.push_str(&format!(
                "\n[[fault]]\ncall = \"{call}\"\nnth = {nth}\ndo = \"{act}\"\ncode = \"{code}\"\nafter = {after}\ntimes = {times}\nms = {ms}\n"
            ));
        }
        let _ = std::fs::remove_file(self.folder.join("spent.log"));
        // A module that reads it meanwhile sees the old script or the new.
        let new = self.folder.join("mock.new");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, self.script()));
        written.unwrap_or_else(|error| panic!("{}: {error}", self.script().display()));
    }
}
