//! The venues that this agent knows, compiled when they are first needed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use strongroom_protocol::ErrorCode;
use strongroom_venues::{Profile, builtin, builtin_profiles};

use crate::fault::Fault;

/// Compiled profiles by their id.
#[derive(Default)]
pub(crate) struct Profiles {
    compiled: RefCell<HashMap<String, Rc<Profile>>>,
}

impl Profiles {
    /// The profile of a venue.
    ///
    /// # Errors
    /// Where there is none; the hint names those that there are.
    pub(crate) fn get(&self, venue: &str) -> Result<Rc<Profile>, Fault> {
        if let Some(profile) = self.compiled.borrow().get(venue) {
            return Ok(Rc::clone(profile));
        }
        let Some(compiled) = builtin(venue) else {
            let known: Vec<_> = builtin_profiles().iter().map(|(id, _)| *id).collect();
            let hint = format!("the venues are: {}", known.join(", "));
            return Err(Fault::new(ErrorCode::NotFound, format!("there is no venue `{venue}`"), hint));
        };
        let profile = Rc::new(compiled.map_err(Fault::defect)?);
        self.compiled.borrow_mut().insert(venue.to_owned(), Rc::clone(&profile));
        Ok(profile)
    }
}
