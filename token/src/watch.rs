//! Whether a token is still there, again and again in one process, without a PIN and without a session.

use std::rc::Rc;

use cryptoki::slot::Slot;
use strongroom_link::token::TokenRefusal;

use crate::ckr;
use crate::module::Module;

/// Most events that a module may have kept from before the watch.
const STALE_EVENTS: usize = 64;

/// A token that was seen in a slot.
pub(crate) struct Seen {
    module: Rc<Module>,
    slot: Slot,
    serial: String,
    label: String,
}

impl Seen {
    /// Finds the token by serial and label.
    pub(crate) fn find(module: Rc<Module>, serial: &str, label: &str) -> Result<Self, TokenRefusal> {
        let slot = module.slot_of(serial, label)?;
        for _ in 0..STALE_EVENTS {
            if module.still_holds(slot).map_err(|error| ckr::refusal(&error))? {
                break;
            }
        }
        Ok(Self { module, slot, serial: serial.to_owned(), label: label.to_owned() })
    }

    pub(crate) fn is(&self, path: &str, serial: &str, label: &str) -> bool {
        self.module.path() == path && self.serial == serial && self.label == label
    }

    /// Looks whether it is still there.
    ///
    /// A card is not asked for its description again: that would be commands to the card each time, and
    /// OpenSC 0.23 was seen to lock itself up when it is asked again and again. Where the module does not
    /// promise to notice a removal, the description is what shows it.
    pub(crate) fn look_again(&mut self) -> Result<(), TokenRefusal> {
        let Self { module, slot, serial, label } = self;
        if !module.notices_removal(*slot) {
            *slot = module.slot_of(serial, label)?;
            return Ok(());
        }
        if module.still_holds(*slot).map_err(|error| ckr::refusal(&error))? {
            return Ok(());
        }
        let (serial, label) = (serial.clone(), label.clone());
        Err(TokenRefusal::TokenAbsent { label, serial, present: "another, or none".to_owned() })
    }
}
