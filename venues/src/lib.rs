//! Exchanges as data, and the engine that turns a request into the exact bytes that a venue checks.
//!
//! A [`Profile`] says how one exchange wants its requests signed. [`Profile::plan`] parses and checks
//! a [`Request`], [`Plan::canonicalise`] writes the signed text, and, when the keeper has signed it,
//! [`CanonicalRequest::finish`] puts the signature where the venue expects it. The engine is pure: no
//! clock, no I/O, no randomness and no log; what is signed is written anew from values that were
//! parsed once, and policy reads those same values.

#![forbid(unsafe_code)]

mod actions;
mod beside;
mod body_path;
mod builtin;
mod by_host;
mod canonical;
mod clock;
mod codec;
mod compile;
mod eip712;
mod error;
mod injected;
pub mod json;
mod key_id;
mod login;
mod msgpack;
mod pairs;
mod plan;
mod probe;
mod profile;
mod request;
#[cfg(feature = "sign-vectors")]
pub mod rows;
mod rule;
mod send_only;
mod signed;
mod template;
mod views;

pub use actions::{Action, ActionRule, ActionTable, Binds, Classified, NoAction, Order, Side, Unreadable};
pub use builtin::{builtin, builtin_profiles};
pub use canonical::{Account, CanonicalRequest};
pub use clock::Moment;
pub use error::{KeyIdError, Place, Position, ProfileError, RequestError};
pub use login::{Login, LoginFacts, LoginFinding, LoginParam};
pub use plan::{CallerTime, LOGIN, Plan, TimeNeeds};
pub use probe::Finding;
pub use profile::Profile;
pub use request::{Body, Param, Request};
pub use rule::{Covers, NonceKind};
pub use send_only::{SendOnly, send_only, send_only_profiles};
pub use signed::SignedRequest;
