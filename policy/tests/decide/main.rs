//! What is allowed, what is denied and why.

#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may fail by a panic")]

mod asking;
mod grants;
mod limits;
mod naive;
mod rates;

use asking::{Asked, limit_order, policy, user};
