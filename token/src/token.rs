//! One open token: everything that the worker can do with it.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use strongroom_link::seed::{SEED_BYTES, Seed};
use strongroom_link::token::{Anchor, AnchorId, KekId, Rung, SigningKey, TokenRefusal};

use crate::ckr::{self, Call};
use crate::module::{self, Module};
use crate::rung::{self, Blob, Iv};
use crate::{anchor, kek, pin, signing};

/// A token that is logged in to.
///
/// After any error the working session is thrown away and the next call opens another, because some
/// modules leave a session in the middle of an operation. The login lasts as long as one session is
/// open, so one is kept for that alone.
pub(crate) struct Token {
    module: Rc<Module>,
    slot: Slot,
    login: Session,
    working: Option<Session>,
    /// The KEK that was checked last, in the working session.
    checked: Option<(KekId, ObjectHandle)>,
}

impl Token {
    /// Finds a token by serial and label, and logs in with exactly one try: with the PIN that `pin`
    /// gives, else with one that a person enters on the token's pad.
    pub(crate) fn open(
        module: Rc<Module>,
        serial: &str,
        label: &str,
        pin: Option<&OwnedFd>,
        final_try: bool,
    ) -> Result<Self, TokenRefusal> {
        let call = |error| ckr::refusal(&error);
        let slot = module.slot_of(serial, label)?;
        let login = module.session(slot).map_err(call)?;
        // Asked again behind the session, which ends with the token that it was opened on: what
        // stands in the slot now is what gets the PIN.
        let token = module.describe(slot).map_err(call)?;
        if token.serial != serial || token.label != label {
            return Err(module::absent(serial, label, module::named(&token)));
        }
        pin::permit_one(token.pin.tries, final_try)?;

        let pin = match pin {
            Some(pin) => Some(pin::read(pin)?),
            None if token.pin.pad => None,
            None => return Err(TokenRefusal::PadAbsent),
        };
        let answer = login.login(UserType::User, pin.as_ref());
        let on_the_pad = pin.is_none();
        drop(pin);
        match answer {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Error::Pkcs11(RvError::PinIncorrect, _)) => {
                let left = module.describe(slot).map_or("", |token| pin::after_a_wrong_pin(token.pin.tries));
                return Err(TokenRefusal::PinIncorrect { left: left.to_owned() });
            }
            Err(Error::Pkcs11(RvError::PinLocked, _)) => return Err(TokenRefusal::PinLocked),
            Err(error @ Error::Pkcs11(RvError::FunctionCanceled | RvError::FunctionRejected, _))
                if on_the_pad =>
            {
                return Err(TokenRefusal::PadCancelled { code: ckr::code(&error) });
            }
            Err(error) => return Err(call(error)),
        }
        Ok(Self { module, slot, login, working: None, checked: None })
    }

    /// Finds the only KEK with that label (and id) and checks its attributes.
    pub(crate) fn find_kek(&mut self, label: &str, id: Option<&KekId>) -> Result<KekId, TokenRefusal> {
        let (key, id) = self.in_session(|session| {
            let keys = kek::find(session, Some(label), id)?;
            let [key] = keys.as_slice() else { return Ok(Err(not_one(label, keys.len()))) };
            let fault = match kek::fault(session, *key)? {
                Some(fault) => Err(fault),
                None => kek::id(session, *key)?.ok_or_else(|| kek::ID_FAULT.to_owned()),
            };
            Ok(fault.map(|id| (*key, id)).map_err(|fault| unfit(label, &fault)))
        })?;
        self.checked = Some((id, key));
        Ok(id)
    }

    /// Makes a KEK, reads it back, and destroys it again where it is not what was asked for.
    pub(crate) fn make_kek(&mut self, label: &str) -> Result<KekId, TokenRefusal> {
        let id: KekId = *rung::random()?;
        let call = |error| ckr::refusal(&error);
        // This session ends with the making; all else is done without the right to write.
        let session = self.module.session_for_writing(self.slot).map_err(call)?;
        if kek::label_is_taken(&session, label).map_err(call)? {
            return Err(TokenRefusal::LabelTaken { label: label.to_owned() });
        }
        let key = session.generate_key(&Mechanism::AesKeyGen, &kek::template(label, &id)).map_err(call)?;

        let fault = match read_back(&session, label, &id) {
            Ok(None) => return Ok(id),
            Ok(Some(fault)) => Ok(fault),
            Err(error) => Err(error),
        };
        // Where the session is in the middle of something, another one may still destroy the key.
        let destroyed = session.destroy_object(key).or_else(|_first| {
            self.module.session_for_writing(self.slot).and_then(|second| second.destroy_object(key))
        });
        let label = label.to_owned();
        Err(match (destroyed, fault) {
            (Ok(()), Ok(fault)) => {
                let fault = format!("{fault}, although it was made otherwise; it has been destroyed again");
                TokenRefusal::KekUnfit { label, fault }
            }
            (Ok(()), Err(error)) => call(error),
            (Err(left), fault) => {
                let fault = fault.unwrap_or_else(|error| ckr::text(&error));
                let left = ckr::text(&left);
                let fault = format!(
                    "{fault}; it could not be destroyed ({left}), so delete it with the token's own tool"
                );
                TokenRefusal::KekUnfit { label, fault }
            }
        })
    }

    /// The newest state of floors that this token remembers.
    pub(crate) fn anchored(&mut self, label: &str, id: &AnchorId) -> Result<Option<Anchor>, TokenRefusal> {
        self.in_session(|session| anchor::newest(session, label, id).map(Ok))
    }

    /// Remembers a state of floors.
    pub(crate) fn anchor(&mut self, label: &str, state: &Anchor) -> Result<(), TokenRefusal> {
        let session = self.module.session_for_writing(self.slot).map_err(|error| ckr::refusal(&error))?;
        anchor::keep(&session, label, state)
    }

    /// The public half of the token's own signing key; where there is none it is made, if that is wanted.
    pub(crate) fn signing_key(
        &mut self,
        label: &str,
        make: bool,
    ) -> Result<Option<SigningKey>, TokenRefusal> {
        let found = self.in_session(|session| signing::find(session, label))?;
        if found.is_some() || !make {
            return Ok(found.map(signing::Pair::into_public));
        }
        let session = self.module.session_for_writing(self.slot).map_err(|error| ckr::refusal(&error))?;
        signing::make(&session, label)?;
        drop(session);
        Ok(self.in_session(|session| signing::find(session, label))?.map(signing::Pair::into_public))
    }

    /// Signs a digest with the token's own signing key.
    pub(crate) fn sign(&mut self, label: &str, digest: &[u8; 32]) -> Result<Vec<u8>, TokenRefusal> {
        self.in_session(|session| {
            let pair = match signing::find(session, label)? {
                Ok(Some(pair)) => pair,
                Ok(None) => return Ok(Err(TokenRefusal::KekAbsent { label: format!("{label} audit") })),
                Err(refusal) => return Ok(Err(refusal)),
            };
            pair.sign(session, digest).map(Ok)
        })
    }

    /// Tells the best rung that works, by using it.
    pub(crate) fn probe(&mut self, kek: &KekId, only: Option<Rung>) -> Result<Rung, TokenRefusal> {
        let mut tried = Vec::new();
        for rung in rung::BEST_FIRST {
            if only.is_some_and(|only| only != rung) {
                continue;
            }
            match self.trial(kek, rung)? {
                Ok(()) => return Ok(rung),
                Err(reason) => tried.push(format!("{rung} ({reason})")),
            }
        }
        Err(TokenRefusal::NoRung { tried: tried.join(", ") })
    }

    /// Makes a seed and its blob.
    pub(crate) fn protect(&mut self, kek: &KekId, rung: Rung) -> Result<(Seed, Vec<u8>), TokenRefusal> {
        let (iv, seed) = (Iv::random(rung)?, rung::random::<SEED_BYTES>()?);
        let blob = self.with_kek(kek, |session, key| rung::encrypt(session, key, &iv, &seed))?;
        Ok((seed, blob.map_err(|error| ckr::refusal(&error))?))
    }

    /// Recovers the seed of a blob.
    pub(crate) fn unprotect(&mut self, kek: &KekId, rung: Rung, blob: &[u8]) -> Result<Seed, TokenRefusal> {
        let blob = Blob::parse(rung, blob)?;
        let mut decrypted = self.with_kek(kek, |session, key| blob.decrypt(session, key))?;
        if decrypted.as_ref().is_err_and(may_be_the_blob) {
            // The code for a changed blob differs from module to module, and some use the same one for
            // a token that is gone. A token that still serves a blob of our own is there; one that then
            // refuses this blob again has not just stumbled.
            match self.round_trip(kek, rung)? {
                Ok(true) => decrypted = self.with_kek(kek, |session, key| blob.decrypt(session, key))?,
                Ok(false) => {
                    return Err(TokenRefusal::NoRung { tried: format!("{rung} ({NOT_THE_SAME})") });
                }
                Err(canary) => return Err(ckr::refusal(&canary)),
            }
        }
        let plaintext = decrypted.map_err(|error| match error {
            error if may_be_the_blob(&error) => TokenRefusal::SeedRejected { code: ckr::code(&error) },
            error => ckr::refusal(&error),
        })?;
        let mut seed = Seed::default();
        if plaintext.len() != seed.len() {
            let code = format!("{} bytes came, not {SEED_BYTES}", plaintext.len());
            return Err(TokenRefusal::SeedRejected { code });
        }
        seed.copy_from_slice(&plaintext);
        Ok(seed)
    }

    /// Logs out and closes every session.
    pub(crate) fn close(self) {
        drop(self.working);
        // A token that is gone is logged out as well.
        drop(self.login.logout());
        drop(self.login);
    }

    /// Whether a rung works: `Err` within `Ok` tells why it does not.
    fn trial(&mut self, kek: &KekId, rung: Rung) -> Result<Result<(), String>, TokenRefusal> {
        if rung == Rung::AesGcm {
            let (iv, seed) = (Iv::random(rung)?, rung::random::<SEED_BYTES>()?);
            let accepted = self.with_kek(kek, |session, key| {
                let mut blob = rung::encrypt(session, key, &iv, &seed)?;
                if let Some(last) = blob.last_mut() {
                    *last ^= 1;
                }
                let Ok(changed) = Blob::parse(rung, &blob) else { return Err(Error::InvalidValue) };
                changed.decrypt(session, key)
            })?;
            match accepted {
                Ok(_) => return Ok(Err("it does not notice a changed ciphertext".to_owned())),
                Err(error) if is_decryption(&error) => {}
                Err(error) => return unless_gone(&error),
            }
        }
        match self.round_trip(kek, rung)? {
            Ok(true) => Ok(Ok(())),
            Ok(false) => Ok(Err(NOT_THE_SAME.to_owned())),
            Err(error) => unless_gone(&error),
        }
    }

    /// Protects and recovers 32 random bytes, and tells whether the blob hid them and gave them back.
    fn round_trip(&mut self, kek: &KekId, rung: Rung) -> Result<Call<bool>, TokenRefusal> {
        let (iv, seed) = (Iv::random(rung)?, rung::random::<SEED_BYTES>()?);
        self.with_kek(kek, |session, key| {
            let blob = rung::encrypt(session, key, &iv, &seed)?;
            let Ok(parsed) = Blob::parse(rung, &blob) else { return Err(Error::InvalidValue) };
            let hidden = !blob.windows(SEED_BYTES).any(|window| window == seed.as_slice());
            let same = parsed.decrypt(session, key)?.as_slice() == seed.as_slice();
            Ok(hidden && same)
        })
    }

    /// Calls the module with a KEK whose attributes have been checked in this session.
    fn with_kek<T>(
        &mut self,
        id: &KekId,
        work: impl FnOnce(&Session, ObjectHandle) -> Call<T>,
    ) -> Result<Call<T>, TokenRefusal> {
        let key = match self.checked {
            Some((checked, key)) if checked == *id => key,
            _ => {
                let name = || format!("(id {})", hex(id));
                let key = self.in_session(|session| {
                    let keys = kek::find(session, None, Some(id))?;
                    let [key] = keys.as_slice() else { return Ok(Err(not_one(&name(), keys.len()))) };
                    Ok(match kek::fault(session, *key)? {
                        None => Ok(*key),
                        Some(fault) => Err(unfit(&name(), &fault)),
                    })
                })?;
                self.checked = Some((*id, key));
                key
            }
        };
        Ok(self.in_working_session(|session| work(session, key)))
    }

    /// Calls the module for something that is refused in two ways: by the module, and by us.
    fn in_session<T>(
        &mut self,
        work: impl FnOnce(&Session) -> Call<Result<T, TokenRefusal>>,
    ) -> Result<T, TokenRefusal> {
        self.in_working_session(work).map_err(|error| ckr::refusal(&error))?
    }

    fn in_working_session<T>(&mut self, work: impl FnOnce(&Session) -> Call<T>) -> Call<T> {
        let session = match self.working.take() {
            Some(session) => session,
            None => self.module.session(self.slot)?,
        };
        let done = work(&session);
        if done.is_ok() {
            self.working = Some(session);
        } else {
            self.checked = None;
        }
        done
    }
}

/// A rung does not work; but where the token is gone, nothing is known about the rung.
fn unless_gone(error: &Error) -> Result<Result<(), String>, TokenRefusal> {
    match error {
        Error::Pkcs11(code, _) if ckr::is_connection(*code) => Err(ckr::refusal(error)),
        error => Ok(Err(ckr::text(error))),
    }
}

/// What is wrong with a KEK that has just been made.
fn read_back(session: &Session, label: &str, id: &KekId) -> Call<Option<String>> {
    match kek::find(session, Some(label), Some(id))?.as_slice() {
        [key] => kek::fault(session, *key),
        keys => {
            Ok(Some(format!("the token made it, and then shows {} keys of its label and id", keys.len())))
        }
    }
}

fn unfit(label: &str, fault: &str) -> TokenRefusal {
    TokenRefusal::KekUnfit { label: label.to_owned(), fault: kek::advise(fault) }
}

fn not_one(label: &str, count: usize) -> TokenRefusal {
    let label = label.to_owned();
    match count {
        0 => TokenRefusal::KekAbsent { label },
        count => TokenRefusal::KekAmbiguous { label, count: count.to_string() },
    }
}

/// Whether an error came from a decryption and not from a token that is known to be gone.
fn may_be_the_blob(error: &Error) -> bool {
    matches!(error, Error::Pkcs11(code, _) if is_decryption(error) && !ckr::is_connection(*code))
}

const fn is_decryption(error: &Error) -> bool {
    matches!(error, Error::Pkcs11(_, Function::DecryptInit | Function::Decrypt))
}

const NOT_THE_SAME: &str = "what it decrypts is not what it encrypted";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
