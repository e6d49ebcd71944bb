//! A token's bad day: whatever the module does at whatever call, nothing is lost, the agent answers, and
//! the next try needs no restart.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by a panic"
)]

mod case;
mod matrix;
mod site;

mod enroll;
mod hang;
mod init;
mod latch;
mod pad;
mod partial;
mod pin;
mod relogin;
mod removal;
mod unlock;
mod watch;
