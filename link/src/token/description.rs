//! What a token tells of itself before anybody has logged in.

use std::fmt;

use crate::codec::{Malformed, Reader, Writer};
use crate::key::names;

/// One token that a module shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDescription {
    /// Serial number, without the padding of PKCS#11.
    pub serial: String,
    /// Label, without the padding of PKCS#11.
    pub label: String,
    /// Manufacturer and model, for the person who chooses.
    pub model: String,
    /// What it says about the user's PIN.
    pub pin: PinState,
}

/// What a token says about the user's PIN. Asking costs no try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PinState {
    /// There is one (`CKF_USER_PIN_INITIALIZED`).
    pub initialised: bool,
    /// It is entered on a pad of the token or its reader (`CKF_PROTECTED_AUTHENTICATION_PATH`).
    pub pad: bool,
    /// How many wrong ones it still takes.
    pub tries: Tries,
}

/// What a token says about the counter of wrong PINs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tries {
    /// Nothing unusual; some tokens never say more.
    Unremarkable,
    /// A wrong PIN was entered since the last right one.
    CountLow,
    /// The next wrong PIN locks it.
    Final,
    /// It is locked.
    Locked,
}

names!(Tries {
    Unremarkable = 1 "unremarkable",
    CountLow = 2 "count-low",
    Final = 3 "final-try",
    Locked = 4 "locked",
});

impl fmt::Display for TokenDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (serial {}, {}", self.label, self.serial, self.model)?;
        if self.pin.pad {
            f.write_str(", PIN pad")?;
        }
        if !self.pin.initialised {
            f.write_str(", no PIN set")?;
        }
        f.write_str(match self.pin.tries {
            Tries::Unremarkable => "",
            Tries::CountLow => ", a wrong PIN was entered",
            Tries::Final => ", one try of the PIN left",
            Tries::Locked => ", PIN locked",
        })?;
        f.write_str(")")
    }
}

impl TokenDescription {
    pub(super) fn write(&self, to: &mut Writer<'_>) {
        to.bytes(self.serial.as_bytes());
        to.bytes(self.label.as_bytes());
        to.bytes(self.model.as_bytes());
        to.u8(u8::from(self.pin.initialised));
        to.u8(u8::from(self.pin.pad));
        to.u8(self.pin.tries.number());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            serial: from.str()?.to_owned(),
            label: from.str()?.to_owned(),
            model: from.str()?.to_owned(),
            pin: PinState {
                initialised: from.flag()?,
                pad: from.flag()?,
                tries: Tries::from_number(from.u8()?).ok_or(Malformed("tries"))?,
            },
        })
    }
}
