//! Who may do what: grants as admins write them, and the decision about one request.
//!
//! [`Grants`] are read strictly from TOML. The crate is pure: no clock, no I/O, no log. Time comes with the question,
//! and what a decision must remember for longer than the process lives it hands to the caller.

#![forbid(unsafe_code)]

mod action;
mod amount;
mod grant;
mod grants;
mod hours;
mod subject;
mod symbol;
mod write;

pub use action::{Action, Actions, NotActions, NotAnAction};
pub use amount::{Amount, NotAnAmount};
pub use grant::{Effect, Grant, GrantError, GrantId, NotAnId, Part, Side, Terms};
pub use grants::{Grants, GrantsError, MAX_GRANTS, MAX_TEXT_BYTES};
pub use hours::{Hours, NotATime, Weekdays, Zone};
pub use subject::{NotASubject, Subject};
pub use symbol::{NotAPattern, Pattern};
