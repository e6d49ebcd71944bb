//! The token itself, without a pointer: slots, sessions, login, keys; and the faults of the script.

use std::collections::BTreeMap;
use std::time::Duration;

use cryptoki_sys as ck;
use cryptoki_sys::{CK_FLAGS, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_SLOT_ID};

use crate::cipher::{self, Direction, Mechanism};
use crate::code::{self, Outcome};
use crate::key::{Attributes, Key};
use crate::script::{Act, Fault, Pad, Script, TokenScript};
use crate::store::Store;

/// The only slot. Not zero, so that nobody can take it for granted.
pub(crate) const SLOT: CK_SLOT_ID = 7;

/// One process' view of the token.
pub(crate) struct Module {
    initialized: bool,
    logged_in: bool,
    /// Pulled out, as far as this process will ever know.
    removed: bool,
    next_session: CK_SESSION_HANDLE,
    sessions: BTreeMap<CK_SESSION_HANDLE, Session>,
    calls: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Session {
    writes: bool,
    found: Option<Vec<CK_OBJECT_HANDLE>>,
    operation: Option<Operation>,
}

struct Operation {
    direction: Direction,
    mechanism: Mechanism,
    value: Vec<u8>,
}

/// What a call works with: the script and the store as they are now, and what is to go wrong in it.
pub(crate) struct Now {
    token: TokenScript,
    store: Store,
    pub(crate) act: Option<Act>,
}

/// What a token says about itself.
pub(crate) struct TokenFacts {
    pub(crate) label: String,
    pub(crate) serial: String,
    pub(crate) flags: CK_FLAGS,
}

impl Module {
    pub(crate) const fn new() -> Self {
        Self {
            initialized: false,
            logged_in: false,
            removed: false,
            next_session: 1,
            sessions: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Does one call: logs it, lets it go wrong as the script says, and else does its work.
    pub(crate) fn call(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self, &Now) -> Outcome<()>,
    ) -> CK_RV {
        let (script, folder) = match Script::read() {
            Ok(read) => read,
            Err(reason) => {
                // Nothing is known about the folder: the caller's standard error is all there is.
                drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("mock: {reason}\n")));
                return ck::CKR_GENERAL_ERROR;
            }
        };
        let nth = self.calls.entry(name).or_default();
        *nth = nth.saturating_add(1);
        let store = Store::at(folder);
        let fault = script.fault(name, *nth).filter(|fault| store.spend(fault.times)).cloned();
        store.log(name);
        let now = Now { token: script.token, store, act: fault.as_ref().map(|fault| fault.act) };
        match fault {
            Some(fault) if !fault.after => self
                .misbehave(&fault)
                .and_then(|()| self.check_presence(name, &now))
                .and_then(|()| work(self, &now))
                .map_or_else(|code| code, |()| ck::CKR_OK),
            Some(fault) => {
                let done = self.check_presence(name, &now).and_then(|()| work(self, &now));
                done.and_then(|()| self.misbehave(&fault)).map_or_else(|code| code, |()| ck::CKR_OK)
            }
            None => self
                .check_presence(name, &now)
                .and_then(|()| work(self, &now))
                .map_or_else(|code| code, |()| ck::CKR_OK),
        }
    }

    /// What goes wrong with any call. What goes wrong with an answer is done where that is made.
    fn misbehave(&mut self, fault: &Fault) -> Outcome<()> {
        match fault.act {
            Act::Crash => std::process::abort(),
            Act::Exit => std::process::exit(0),
            Act::Hang => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Act::KillSession => {
                self.sessions.clear();
                self.logged_in = false;
                Ok(())
            }
            Act::Remove => {
                self.removed = true;
                self.sessions.clear();
                self.logged_in = false;
                Ok(())
            }
            Act::Return => match code::by_name(&fault.code) {
                Some(ck::CKR_OK) => Ok(()),
                Some(code) => Err(code),
                None => Err(ck::CKR_ARGUMENTS_BAD),
            },
            Act::Slow => {
                std::thread::sleep(Duration::from_millis(fault.ms));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What every function says where there is no token or nobody has initialised the module.
    fn check_presence(&self, name: &str, now: &Now) -> Outcome<()> {
        if !self.initialized && name != "C_Initialize" {
            return Err(ck::CKR_CRYPTOKI_NOT_INITIALIZED);
        }
        if !self.removed && !now.token.absent {
            return Ok(());
        }
        match name {
            "C_Initialize" | "C_Finalize" | "C_GetInfo" | "C_GetSlotList" | "C_GetSlotInfo" => Ok(()),
            "C_GetTokenInfo" | "C_OpenSession" => Err(ck::CKR_TOKEN_NOT_PRESENT),
            "C_CloseSession" => Err(ck::CKR_SESSION_HANDLE_INVALID),
            _ => Err(ck::CKR_DEVICE_REMOVED),
        }
    }

    pub(crate) fn initialize(&mut self) -> Outcome<()> {
        if self.initialized {
            return Err(ck::CKR_CRYPTOKI_ALREADY_INITIALIZED);
        }
        self.initialized = true;
        Ok(())
    }

    pub(crate) fn finalize(&mut self) {
        self.sessions.clear();
        self.logged_in = false;
        self.initialized = false;
    }

    /// The slots, all or those with a token in them.
    pub(crate) fn slots(&self, now: &Now, with_token: bool) -> Vec<CK_SLOT_ID> {
        if with_token && !self.is_present(now) { Vec::new() } else { vec![SLOT] }
    }

    pub(crate) fn is_present(&self, now: &Now) -> bool {
        !self.removed && !now.token.absent
    }

    pub(crate) fn token(&self, now: &Now, slot: CK_SLOT_ID) -> Outcome<TokenFacts> {
        check_slot(slot)?;
        let wrong = now.store.wrong_pins()?;
        let tries = now.token.tries;
        let mut flags =
            ck::CKF_RNG | ck::CKF_LOGIN_REQUIRED | ck::CKF_USER_PIN_INITIALIZED | ck::CKF_TOKEN_INITIALIZED;
        if wrong > 0 {
            flags |= ck::CKF_USER_PIN_COUNT_LOW;
        }
        if wrong.saturating_add(1) == tries {
            flags |= ck::CKF_USER_PIN_FINAL_TRY;
        }
        if wrong >= tries {
            flags |= ck::CKF_USER_PIN_LOCKED;
        }
        if now.token.pad.is_some() {
            flags |= ck::CKF_PROTECTED_AUTHENTICATION_PATH;
        }
        let serial = match now.act {
            Some(Act::OtherSerial) => "another".to_owned(),
            _ => now.token.serial.clone(),
        };
        Ok(TokenFacts { label: now.token.label.clone(), serial, flags })
    }

    pub(crate) fn open_session(&mut self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Outcome<CK_SESSION_HANDLE> {
        check_slot(slot)?;
        let handle = self.next_session;
        self.next_session = handle.saturating_add(1);
        let writes = flags & ck::CKF_RW_SESSION != 0;
        self.sessions.insert(handle, Session { writes, ..Session::default() });
        Ok(handle)
    }

    pub(crate) fn close_session(&mut self, session: CK_SESSION_HANDLE) -> Outcome<()> {
        self.sessions.remove(&session).ok_or(ck::CKR_SESSION_HANDLE_INVALID)?;
        // The login is the application's, and ends with its last session.
        self.logged_in = self.logged_in && !self.sessions.is_empty();
        Ok(())
    }

    /// One try of the user's PIN, counted on the disk before it is compared, as a card does.
    /// Without a PIN the person at the pad is asked.
    pub(crate) fn login(&mut self, now: &Now, session: CK_SESSION_HANDLE, pin: Option<&[u8]>) -> Outcome<()> {
        self.session(session)?;
        if self.logged_in {
            return Err(ck::CKR_USER_ALREADY_LOGGED_IN);
        }
        let wrong = now.store.wrong_pins()?;
        if wrong >= now.token.tries {
            return Err(ck::CKR_PIN_LOCKED);
        }
        let is_right = match (pin, now.token.pad) {
            (Some(pin), _) => pin == now.token.pin.as_bytes(),
            (None, None) => return Err(ck::CKR_ARGUMENTS_BAD),
            (None, Some(Pad::Cancels)) => return Err(ck::CKR_FUNCTION_CANCELED),
            (None, Some(Pad::IsAbsent)) => return Err(ck::CKR_FUNCTION_REJECTED),
            (None, Some(Pad::EntersRight)) => true,
            (None, Some(Pad::EntersWrong)) => false,
        };
        now.store.set_wrong_pins(wrong.saturating_add(1))?;
        if !is_right {
            return Err(ck::CKR_PIN_INCORRECT);
        }
        now.store.set_wrong_pins(0)?;
        self.logged_in = true;
        Ok(())
    }

    pub(crate) fn logout(&mut self, session: CK_SESSION_HANDLE) -> Outcome<()> {
        self.session(session)?;
        if !self.logged_in {
            return Err(ck::CKR_USER_NOT_LOGGED_IN);
        }
        self.logged_in = false;
        Ok(())
    }

    /// Makes a key in the token.
    pub(crate) fn generate(
        &mut self,
        now: &Now,
        session: CK_SESSION_HANDLE,
        template: Attributes,
    ) -> Outcome<CK_OBJECT_HANDLE> {
        if !self.session(session)?.writes {
            return Err(ck::CKR_SESSION_READ_ONLY);
        }
        self.check_login()?;
        let key = Key::generate(template)?;
        if !key.is(ck::CKA_TOKEN) {
            return Err(ck::CKR_ATTRIBUTE_VALUE_INVALID);
        }
        now.store.add(key)
    }

    /// Keeps data in the token.
    pub(crate) fn create(
        &mut self,
        now: &Now,
        session: CK_SESSION_HANDLE,
        template: Attributes,
    ) -> Outcome<CK_OBJECT_HANDLE> {
        if !self.session(session)?.writes {
            return Err(ck::CKR_SESSION_READ_ONLY);
        }
        self.check_login()?;
        now.store.add(Key::data(template)?)
    }

    pub(crate) fn destroy(
        &mut self,
        now: &Now,
        session: CK_SESSION_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Outcome<()> {
        if !self.session(session)?.writes {
            return Err(ck::CKR_SESSION_READ_ONLY);
        }
        let _ = self.key(now, key)?;
        now.store.remove(key)
    }

    /// One attribute of one key, as the caller is told it.
    pub(crate) fn key(&self, now: &Now, key: CK_OBJECT_HANDLE) -> Outcome<Key> {
        let key = now.store.keys()?.remove(&key).ok_or(ck::CKR_OBJECT_HANDLE_INVALID)?;
        if key.is(ck::CKA_PRIVATE) && !self.logged_in {
            return Err(ck::CKR_OBJECT_HANDLE_INVALID);
        }
        Ok(key)
    }

    pub(crate) fn begin_search(
        &mut self,
        now: &Now,
        session: CK_SESSION_HANDLE,
        wanted: &Attributes,
    ) -> Outcome<()> {
        let logged_in = self.logged_in;
        let session = self.session(session)?;
        if session.found.is_some() {
            return Err(ck::CKR_OPERATION_ACTIVE);
        }
        let visible = |key: &Key| (logged_in || !key.is(ck::CKA_PRIVATE)) && key.fits(wanted);
        let keys = now.store.keys()?;
        session.found =
            Some(keys.iter().filter(|(_, key)| visible(key)).map(|(handle, _)| *handle).collect());
        Ok(())
    }

    /// At most `most` more of what a search has found.
    pub(crate) fn found(
        &mut self,
        session: CK_SESSION_HANDLE,
        most: usize,
    ) -> Outcome<Vec<CK_OBJECT_HANDLE>> {
        let found = self.session(session)?.found.as_mut().ok_or(ck::CKR_OPERATION_NOT_INITIALIZED)?;
        Ok(found.drain(..most.min(found.len())).collect())
    }

    pub(crate) fn end_search(&mut self, session: CK_SESSION_HANDLE) -> Outcome<()> {
        let found = self.session(session)?.found.take();
        found.map(drop).ok_or(ck::CKR_OPERATION_NOT_INITIALIZED)
    }

    pub(crate) fn begin(
        &mut self,
        now: &Now,
        session: CK_SESSION_HANDLE,
        direction: Direction,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> Outcome<()> {
        if self.session(session)?.operation.is_some() {
            return Err(ck::CKR_OPERATION_ACTIVE);
        }
        self.check_login()?;
        let key = self.key(now, key).map_err(|_| ck::CKR_KEY_HANDLE_INVALID)?;
        let permission = match direction {
            Direction::Decrypt => ck::CKA_DECRYPT,
            Direction::Encrypt => ck::CKA_ENCRYPT,
        };
        if !key.is(permission) {
            return Err(ck::CKR_KEY_FUNCTION_NOT_PERMITTED);
        }
        let value = key.value().to_vec();
        self.session(session)?.operation = Some(Operation { direction, mechanism, value });
        Ok(())
    }

    /// What the operation makes of `data`; the operation goes on until [`end`](Self::end).
    pub(crate) fn crypt(
        &mut self,
        session: CK_SESSION_HANDLE,
        direction: Direction,
        data: &[u8],
    ) -> Outcome<Vec<u8>> {
        let session = self.session(session)?;
        let operation = session.operation.as_ref().filter(|operation| operation.direction == direction);
        let operation = operation.ok_or(ck::CKR_OPERATION_NOT_INITIALIZED)?;
        let made = cipher::crypt(direction, &operation.mechanism, &operation.value, data);
        if made.is_err() {
            session.operation = None;
        }
        made
    }

    pub(crate) fn end(&mut self, session: CK_SESSION_HANDLE) -> Outcome<()> {
        self.session(session)?.operation = None;
        Ok(())
    }

    /// Says whether a session is there.
    pub(crate) fn check_session(&mut self, session: CK_SESSION_HANDLE) -> Outcome<()> {
        self.session(session).map(|_| ())
    }

    fn session(&mut self, session: CK_SESSION_HANDLE) -> Outcome<&mut Session> {
        self.sessions.get_mut(&session).ok_or(ck::CKR_SESSION_HANDLE_INVALID)
    }

    const fn check_login(&self) -> Outcome<()> {
        if self.logged_in { Ok(()) } else { Err(ck::CKR_USER_NOT_LOGGED_IN) }
    }
}

const fn check_slot(slot: CK_SLOT_ID) -> Outcome<()> {
    if slot == SLOT { Ok(()) } else { Err(ck::CKR_SLOT_ID_INVALID) }
}
