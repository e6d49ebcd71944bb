//! The script: which token there is, and what goes wrong with it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::file::TomlFile;

/// Names the script.
const VARIABLE: &str = "STRONGROOM_MOCK";

static SCRIPT: TomlFile<Script> = TomlFile::new();

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    pub(crate) token: TokenScript,
    #[serde(default)]
    pub(crate) fault: Vec<Fault>,
}

/// The token, as it would be without faults.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenScript {
    pub(crate) serial: String,
    pub(crate) label: String,
    pub(crate) pin: String,
    /// How many wrong PINs in a row lock it.
    #[serde(default = "three")]
    pub(crate) tries: u32,
    /// Nothing is in the slot.
    #[serde(default)]
    pub(crate) absent: bool,
    /// There is a pad, and what the person at it does.
    #[serde(default)]
    pub(crate) pad: Option<Pad>,
}

/// What a person does whom the token asks for the PIN on its pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pad {
    /// Presses the red key.
    Cancels,
    /// Enters the right PIN.
    EntersRight,
    /// Enters a wrong PIN.
    EntersWrong,
    /// Is not there, so that the reader gives up.
    IsAbsent,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The function.
    pub(crate) call: String,
    /// Which of its calls in one process, from 1; 0 means every one.
    #[serde(default)]
    pub(crate) nth: u64,
    #[serde(rename = "do")]
    pub(crate) act: Act,
    /// For [`Act::Return`].
    #[serde(default)]
    pub(crate) code: String,
    /// For [`Act::Slow`].
    #[serde(default)]
    pub(crate) ms: u64,
    /// The call does its work first.
    #[serde(default)]
    pub(crate) after: bool,
    /// How often it happens in all processes together; 0 means each time.
    #[serde(default)]
    pub(crate) times: usize,
}

/// How it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// The process dies by a signal.
    Crash,
    /// The process ends as if it were done.
    Exit,
    /// The key says that it may leave the token.
    Extractable,
    /// One bit of what comes is wrong.
    Flip,
    /// The token gives the key's value out.
    GivesValue,
    /// The call never returns.
    Hang,
    /// Every session is gone, and with them the login.
    KillSession,
    /// The length that is reported is one too large.
    LongLength,
    /// The key says that its value may be read.
    NotSensitive,
    /// Another token stands in the slot.
    OtherSerial,
    /// The token is pulled out and stays away from this process.
    Remove,
    /// The call fails with a code.
    Return,
    /// Every buffer is too small, whatever its length.
    ShortBuffer,
    /// The length that is reported is one too small.
    ShortLength,
    /// The call takes its time and works.
    Slow,
}

impl Script {
    /// Reads the script; also says where the token lives.
    ///
    /// # Errors
    /// In words, for the log.
    pub(crate) fn read() -> Result<(Self, PathBuf), String> {
        let path = std::env::var_os(VARIABLE).ok_or_else(|| format!("{VARIABLE} is not set"))?;
        let path = Path::new(&path);
        Ok((SCRIPT.read(path)?, path.parent().unwrap_or(Path::new("/")).to_owned()))
    }

    /// What goes wrong at the `nth` call of `call`.
    pub(crate) fn fault(&self, call: &str, nth: u64) -> Option<&Fault> {
        self.fault.iter().find(|fault| fault.call == call && (fault.nth == 0 || fault.nth == nth))
    }
}

const fn three() -> u32 {
    3
}
