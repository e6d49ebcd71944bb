//! What the processes that touch secrets share: memory that root cannot read, a stack to work on in it,
//! a guard that keeps tracers off, and the giving up of rights.
//!
//! It knows nothing of keys, tokens or wires. It is the home of nearly all unsafe code of the project:
//! the keeper, the token worker and the command line use it and forbid such code to themselves.
//!
//! Read it in this order: [`memory`], [`SecretBuffer`], [`SharedPage`], [`guard`], [`confine`].

#![expect(
    unsafe_code,
    reason = "mapping memory, changing stacks, allocating and tracing are unsafe by nature"
)]

/// Whether this is the build without any of it, with which `./x bench` compares the real one. Only
/// `RUSTFLAGS='--cfg strongroom_naked'` makes that, no feature and no option. It has no secret memory, so an
/// agent refuses it unless `danger_allow_weak_memory` is on.
const NAKED: bool = cfg!(strongroom_naked);

mod buffer;
pub mod confine;
pub mod guard;
pub mod memory;
mod shared;

pub use buffer::SecretBuffer;
pub use shared::{ForeignPage, SharedPage, Words};
