//! The token's PIN: who gives it, and what its owner is told before.

use std::os::fd::OwnedFd;

use clap::Args;
use strongroom_client as client;
use strongroom_link::keeper::MAX_PIN_BYTES;
use strongroom_link::token::{TokenDescription, TokenRefusal, Tries};
use strongroom_protocol::ErrorCode;

use super::pinentry::{self, PinentryError, Question};
use super::secret::Wanted;
use super::{Stop, output};
use crate::crew::CrewError;
use crate::crew::token::Login;
use crate::fault::{Fault, chain};

/// Where the PIN comes from, if no person is to be asked, and how a person is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct PinSource {
    /// Read the token's PIN from standard input
    #[arg(long, conflicts_with = "pin_fd")]
    pin_stdin: bool,
    /// Read the token's PIN from this descriptor
    #[arg(long, value_name = "N")]
    pin_fd: Option<u32>,
    /// Ask with this pinentry program; `none` asks at the terminal
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["pin_stdin", "pin_fd"])]
    pinentry: Option<String>,
    /// Give a PIN although the token says that one more wrong one locks it
    #[arg(long)]
    final_try: bool,
}

/// What is known of the token before anybody is asked.
#[derive(Debug)]
pub(super) struct Facts {
    name: String,
    pad: bool,
    initialised: bool,
    tries: Tries,
    /// The agent has kept the PIN.
    kept: bool,
}

impl From<&TokenDescription> for Facts {
    fn from(token: &TokenDescription) -> Self {
        Self {
            name: named(&token.label, &token.serial),
            pad: token.pin.pad,
            initialised: token.pin.initialised,
            tries: token.pin.tries,
            kept: false,
        }
    }
}

impl TryFrom<client::Token> for Facts {
    type Error = Fault;

    fn try_from(token: client::Token) -> Result<Self, Fault> {
        let unknown = |_| {
            Fault::new(
                ErrorCode::Version,
                "the agent tells of a token what this program does not know",
                "install the same version of client and agent",
            )
        };
        Ok(Self {
            name: named(&token.label, &token.serial),
            pad: token.pad,
            initialised: token.initialised,
            tries: token.tries.parse().map_err(unknown)?,
            kept: token.kept,
        })
    }
}

fn named(label: &str, serial: &str) -> String {
    format!("`{label}` (serial {serial})")
}

/// The way on which the PIN will come. It is settled before anything is typed.
#[derive(Debug)]
pub(super) struct Road {
    way: Way,
    final_try: bool,
}

#[derive(Debug)]
enum Way {
    Descriptor(u32),
    Kept,
    Pad { token: String },
    Person { token: String, warning: &'static str, program: Option<String> },
    Stdin,
}

impl PinSource {
    /// The descriptor that gives it, if one does.
    pub(super) fn descriptor(&self) -> Option<u32> {
        if self.pin_stdin { Some(0) } else { self.pin_fd }
    }

    /// Settles the way, tells what the token says about its PIN, and refuses where no PIN is to be given.
    /// `look` asks the token; that is not done for a PIN that no person is asked for.
    pub(super) fn road(
        &self,
        configured: Option<&str>,
        look: impl FnOnce() -> Result<Facts, Stop>,
    ) -> Result<Road, Stop> {
        let way = match (self.pin_stdin, self.pin_fd) {
            (true, _) => Way::Stdin,
            (false, Some(number)) => Way::Descriptor(number),
            (false, None) => self.way(configured, look()?)?,
        };
        Ok(Road { way, final_try: self.final_try })
    }

    fn way(&self, configured: Option<&str>, facts: Facts) -> Result<Way, Fault> {
        let Facts { name: token, pad, initialised, tries, kept } = facts;
        let refused = |refusal| Err(Fault::from(CrewError::Token(refusal)));
        let warning = match tries {
            Tries::Unremarkable => "",
            Tries::CountLow => "A wrong PIN was entered since the last right one.",
            Tries::Final if self.final_try => "This is the last try: a wrong PIN locks the token.",
            Tries::Final => return refused(TokenRefusal::PinFinalTry),
            Tries::Locked => return refused(TokenRefusal::PinLocked),
        };
        if kept && !self.final_try {
            return Ok(Way::Kept);
        }
        if !initialised {
            output::talk(&format!("warning: token {token} says that it has no PIN; its own tool sets one"));
        }
        if !warning.is_empty() {
            output::talk(&format!("warning: token {token}: {warning}"));
        }
        if pad {
            return Ok(Way::Pad { token });
        }
        let program = self.pinentry.as_deref().or(configured).map_or_else(found_pinentry, |program| {
            Some(program.to_owned()).filter(|program| program != TERMINAL)
        });
        Ok(Way::Person { token, warning, program })
    }
}

/// In the place of a program: ask at the terminal.
const TERMINAL: &str = "none";

impl Road {
    /// Gets the PIN, where it does not come from elsewhere.
    pub(super) fn login(self) -> Result<Login, Fault> {
        let wanted = Wanted {
            what: "PIN",
            limit: MAX_PIN_BYTES,
            options: "--pin-stdin or --pin-fd",
            public: None,
            because: None,
        };
        let pin = match self.way {
            Way::Stdin => Some(wanted.given(true, None)?),
            Way::Descriptor(number) => Some(wanted.given(false, Some(number))?),
            Way::Kept => None,
            Way::Pad { token } => {
                output::talk(&format!("enter the PIN on the pad of token {token}"));
                None
            }
            Way::Person { token, warning, program: Some(program) } => {
                Some(by_pinentry(&wanted, &program, &token, warning)?)
            }
            Way::Person { token, program: None, .. } => {
                Some(wanted.line(&format!("PIN of token {token}: "))?)
            }
        };
        Ok(Login { pin, final_try: self.final_try })
    }
}

impl From<Login> for client::Login {
    fn from(Login { pin, final_try }: Login) -> Self {
        let login = pin.map_or_else(Self::without_pin, Self::with_pin);
        if final_try { login.final_try() } else { login }
    }
}

fn by_pinentry(wanted: &Wanted<'_>, program: &str, token: &str, warning: &str) -> Result<OwnedFd, Fault> {
    let description = format!("PIN of token {token}\n{warning}");
    let question = Question { title: "Strongroom", description: description.trim_end(), prompt: "PIN:" };
    let mut pin = wanted.buffer()?;
    match pinentry::ask(program, &question, &mut pin) {
        Ok(()) => wanted.piped(&pin),
        Err(error) => {
            let hint = match &error {
                PinentryError::Cancelled | PinentryError::Nobody => {
                    "nothing was tried; run it again to enter the PIN"
                }
                _ => "name another program with --pinentry, or ask at the terminal with --pinentry none",
            };
            Err(Fault::new(ErrorCode::Invalid, chain(&error), hint))
        }
    }
}

/// The pinentry of a graphical session: who sits at a terminal, or comes over ssh, is asked there.
fn found_pinentry() -> Option<String> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let graphical = (is_set("WAYLAND_DISPLAY") || is_set("DISPLAY")) && !is_set("SSH_CONNECTION");
    let folders = std::env::var_os("PATH").filter(|_| graphical)?;
    let found = std::env::split_paths(&folders).map(|folder| folder.join("pinentry"));
    let found = found.into_iter().find(|program| program.is_absolute() && program.is_file())?;
    found.into_os_string().into_string().ok()
}
