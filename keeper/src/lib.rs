//! The locked process of a Strongroom agent: the only one in which a plaintext secret may exist.
//!
//! It answers the front over one socket ([`serve`]): it loads a credential from its record
//! ([`envelope`]), keeps it in a slot ([`keyring`]), signs with it ([`key`]), and forgets it. It opens
//! no files, has no network, starts no threads and decides nothing.
//!
//! Read it in this order: `serve`, `keyring`, `key`, `envelope`, `seed_port`, `secret_pipe`.

#![forbid(unsafe_code)]

pub mod envelope;
pub mod key;
pub mod keyring;
mod secret_pipe;
mod seed_port;
pub mod serve;
