//! The token worker: the only room that loads foreign code, and the only one that sees a PIN or a
//! seed on its way between the token and the keeper.
//!
//! [`serve`] answers one front over one socket until that closes. Inside, `Token` is the whole of
//! PKCS#11 for the rest of the crate: open, find or make the KEK, probe, protect, unprotect. No
//! handle, attribute or return code leaves it but as a name in a
//! [`TokenRefusal`](strongroom_link::token::TokenRefusal). One thread does everything, and blocks:
//! a module that hangs is ended with its process.

#![forbid(unsafe_code)]

mod anchor;
mod ckr;
mod kek;
mod module;
mod pin;
pub mod protect;
mod rung;
mod signing;
mod token;
mod watch;
mod worker;

pub use worker::{Broken, serve};
