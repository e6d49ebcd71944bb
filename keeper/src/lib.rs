//! The locked process of a Strongroom agent: the only one in which a plaintext secret may exist.
//!
//! It answers the front over one socket ([`serve`]): it loads a credential from its record
//! ([`envelope`]), keeps it in a slot ([`keyring`]), signs with it ([`key`]), and forgets it. All that
//! touches a secret happens in memory that root cannot read ([`strongroom_locked`]). It opens no files, has no
//! network, decides nothing, and cannot do otherwise ([`confine`]). It has two threads: one answers, and the other
//! computes signatures that take long (`slow`).
//!
//! Read it in this order: `serve`, `vault`, `keyring`, `key`, `slow`, `envelope`, `seed_port`,
//! `secret_pipe`, `kept_pin`, `looks`, `confine`.

#![forbid(unsafe_code)]

pub mod confine;
pub mod envelope;
mod kept_pin;
pub mod key;
pub mod keyring;
mod line;
pub mod looks;
mod secret_pipe;
mod seed_port;
pub mod serve;
mod slow;
mod vault;
