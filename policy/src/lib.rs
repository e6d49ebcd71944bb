//! Who may do what: grants as admins write them, and the decision about one request.
//!
//! [`Grants`] are read strictly from TOML. The crate is pure: no clock, no I/O, no log. Time comes with the question,
//! and what a decision must remember for longer than the process lives it hands to the caller.

#![forbid(unsafe_code)]

mod action;
mod amount;
mod ask;
mod decide;
mod explain;
mod grant;
mod grants;
mod hours;
mod kinds;
mod learn;
mod limits;
mod lists;
mod meters;
mod reason;
pub mod scope;
mod subject;
mod symbol;
mod worth;
mod write;

pub use action::{Actions, NotActions};
pub use amount::{Amount, NotAnAmount};
pub use ask::{Ask, Caller};
pub use decide::{Charge, Decision, Policy};
pub use explain::{Explanation, Says, order_in_words};
pub use grant::{Effect, Grant, GrantError, GrantId, NotAPart, NotASide, NotAnId, Part, Sides, Terms};
pub use grants::{Grants, GrantsError, MAX_GRANTS, MAX_TEXT_BYTES};
pub use hours::{Hours, NotATime, Weekdays, Zone};
pub use kinds::{is_known_kind, known_kinds};
pub use learn::{LearnError, Learnt, Seen, learn};
pub use meters::Meters;
pub use reason::{Reason, Shown};
pub use subject::{NotASubject, Subject, is_name};
pub use symbol::{NotAPattern, Pattern};
pub use worth::notional;
