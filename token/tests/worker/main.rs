//! Drives the real `strongroom-token` as the front does, against SoftHSM tokens that are made for
//! each test, and against a module that misbehaves on purpose.

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod anchor;
mod card;
mod faults;
mod front;
mod guard;
mod kek;
mod memory;
mod open;
mod process;
mod seed;
