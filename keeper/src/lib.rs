//! The locked process of a Strongroom agent: the only one in which a plaintext secret may exist.
//!
//! It answers the front over one socket: it loads a credential from its record
//!, keeps it in a slot, signs with it ([`key`]), and forgets it. It opens
//! no files, has no network, starts no threads and decides nothing.

pub mod envelope;
pub mod key;
