//! One loaded PKCS#11 module, and the tokens that it shows.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::Session;
use cryptoki::slot::{Slot, TokenInfo};
use strongroom_link::token::{PinState, TokenDescription, TokenRefusal, Tries};

use crate::ckr::{self, Call};

/// A module between `C_Initialize` and `C_Finalize`. The process must not fork meanwhile.
pub(crate) struct Module {
    path: String,
    api: Pkcs11,
}

impl Module {
    /// Loads and initialises a module.
    pub(crate) fn load(path: &str) -> Result<Self, TokenRefusal> {
        let refuse = |reason: String| TokenRefusal::ModuleLoad { path: path.to_owned(), reason };
        if !Path::new(path).is_absolute() {
            return Err(refuse("its path must be absolute".to_owned()));
        }
        let found = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
        if !found.is_file() {
            return Err(refuse("it is not a regular file".to_owned()));
        }
        let api = Pkcs11::new(path).map_err(|error| match error {
            Error::LibraryLoading(error) => refuse(format!("the loader says: {error}")),
            Error::MissingSymbol(name) => {
                refuse(format!("it is a library, but not a PKCS#11 module: it has no {name}"))
            }
            other => refuse(ckr::text(&other)),
        })?;
        match api.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) if is_host_memory(&error) => return Err(ckr::refusal(&error)),
            Err(error) => {
                let reason = format!(
                    "it does not start ({}); look at its own configuration and at the folder of its tokens",
                    ckr::text(&error)
                );
                return Err(TokenRefusal::ModuleStart { path: path.to_owned(), reason });
            }
        }
        Ok(Self { path: path.to_owned(), api })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The initialised tokens, in the order of their slots.
    pub(crate) fn tokens(&self) -> Result<Vec<TokenDescription>, TokenRefusal> {
        let Survey { tokens, unreadable } = self.survey()?;
        match (tokens.is_empty(), unreadable.into_iter().next()) {
            (true, Some(error)) => Err(ckr::refusal(&error)),
            _ => Ok(tokens.into_iter().map(|(_, token)| token).collect()),
        }
    }

    /// The slot that holds a token. Slot numbers change on replug and on initialisation, so both
    /// names of the token decide, and the slots are listed anew each time.
    pub(crate) fn slot_of(&self, serial: &str, label: &str) -> Result<Slot, TokenRefusal> {
        let Survey { tokens, unreadable } = self.survey()?;
        if let Some((slot, _)) =
            tokens.iter().find(|(_, token)| token.serial == serial && token.label == label)
        {
            return Ok(*slot);
        }
        if let Some(error) = unreadable.iter().find(|error| is_host_memory(error)) {
            // Whether it is there is not known.
            return Err(ckr::refusal(error));
        }
        let mut present: Vec<String> = tokens.iter().map(|(_, token)| named(token)).collect();
        present.extend(
            unreadable.iter().map(|error| format!("a token that cannot be read ({})", ckr::text(error))),
        );
        let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
        Err(absent(serial, label, present))
    }

    /// Whether the module promises to notice that this slot becomes empty. Where it does not, the slot is
    /// full for ever, whatever happens to the token (PKCS#11 v3.1 section 3.2, `CK_SLOT_INFO`).
    pub(crate) fn notices_removal(&self, slot: Slot) -> bool {
        self.api.get_slot_info(slot).is_ok_and(|slot| slot.removable_device())
    }

    /// Whether a slot that notices removal has held its token since the last call. Sends nothing to the card.
    pub(crate) fn still_holds(&self, slot: Slot) -> Call<bool> {
        let held = self.api.get_slots_with_token()?.contains(&slot);
        // Most modules know no events; then a token that was out between two calls is not missed.
        Ok(held && !matches!(self.api.get_slot_event(), Ok(Some(_))))
    }

    /// What the token in that slot says about itself now.
    pub(crate) fn describe(&self, slot: Slot) -> Call<TokenDescription> {
        self.api.get_token_info(slot).map(|token| describe(&token))
    }

    /// A session that cannot change the token, or one that can where the token has no other kind.
    pub(crate) fn session(&self, slot: Slot) -> Call<Session> {
        self.api
            .open_ro_session(slot)
            .or_else(|refused| self.api.open_rw_session(slot).map_err(|_second| refused))
    }

    /// A session that can change the token.
    pub(crate) fn session_for_writing(&self, slot: Slot) -> Call<Session> {
        self.api.open_rw_session(slot)
    }

    /// Tells the module that the process is done with it. All sessions must be closed.
    pub(crate) fn finalize(&self) {
        // The module is not used again, and whatever it says changes nothing.
        drop(self.api.clone().finalize());
    }

    fn survey(&self) -> Result<Survey, TokenRefusal> {
        let slots = self.api.get_slots_with_token().map_err(|error| ckr::refusal(&error))?;
        let mut survey = Survey { tokens: Vec::new(), unreadable: Vec::new() };
        for slot in slots {
            match self.api.get_token_info(slot) {
                Ok(token) if token.token_initialized() => survey.tokens.push((slot, describe(&token))),
                Ok(_) => {}
                Err(error) => survey.unreadable.push(error),
            }
        }
        Ok(survey)
    }
}

/// The refusal of a token that is not where it should be; `present` tells what is.
pub(crate) fn absent(serial: &str, label: &str, present: String) -> TokenRefusal {
    TokenRefusal::TokenAbsent { label: label.to_owned(), serial: serial.to_owned(), present }
}

/// A token as the texts of refusals name it.
pub(crate) fn named(token: &TokenDescription) -> String {
    format!("`{}` (serial {})", token.label, token.serial)
}

/// Whether the process had no memory for the module, which says nothing about a token.
const fn is_host_memory(error: &Error) -> bool {
    matches!(error, Error::Pkcs11(RvError::HostMemory, _))
}

/// What stands in the slots of a module.
struct Survey {
    /// The initialised tokens.
    tokens: Vec<(Slot, TokenDescription)>,
    /// What the module said about each token that it cannot describe.
    unreadable: Vec<Error>,
}

fn describe(token: &TokenInfo) -> TokenDescription {
    TokenDescription {
        serial: trim(token.serial_number()).to_owned(),
        label: trim(token.label()).to_owned(),
        model: format!("{} {}", trim(token.manufacturer_id()), trim(token.model())).trim().to_owned(),
        pin: PinState {
            initialised: token.user_pin_initialized(),
            pad: token.protected_authentication_path(),
            tries: tries(token),
        },
    }
}

/// The worst of the flags: a token that has locked its PIN may set the others too.
fn tries(token: &TokenInfo) -> Tries {
    if token.user_pin_locked() {
        Tries::Locked
    } else if token.user_pin_final_try() {
        Tries::Final
    } else if token.user_pin_count_low() {
        Tries::CountLow
    } else {
        Tries::Unremarkable
    }
}

/// PKCS#11 pads with blanks; some modules pad with zeros.
fn trim(field: &str) -> &str {
    field.trim_end_matches([' ', '\0'])
}
