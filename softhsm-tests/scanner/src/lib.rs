//! Looks for secrets in running processes as an attacker who is root for a moment does.
//!
//! [`needles`] knows every spelling of a secret, and everything that is worth as much as one; [`memory`]
//! dumps a process at a moment of its own choosing; [`trace`] reads its registers; [`descriptors`] steals
//! its files. For tests of the keeper alone and of the whole agent.

#![deny(unsafe_code)]
#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

mod calls;
pub mod chance;
pub mod descriptors;
pub mod memory;
pub mod needles;
pub mod spelling;
pub mod trace;

pub use calls::{denying, fork_with_a_secret_in_a_register, page_out, secret_file, traced_from_start};
pub use memory::Dump;
pub use needles::{Class, Needles};
pub use trace::Traced;
