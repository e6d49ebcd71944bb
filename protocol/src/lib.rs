//! The wire between a client and the Strongroom agent, as `docs/reference/protocol.md` defines it.
//!
//! [`message`] holds what is said, [`wire`] how one message becomes bytes and back, and [`frame`]
//! finds frames in a stream of bytes. Pure: no sockets, no clock. `bincode` is named in [`wire`] alone
//! and could be replaced there without changing a byte.

#![forbid(unsafe_code)]

pub mod frame;
#[cfg_attr(test, expect(clippy::mem_forget, reason = "what the test oracle derives uses it"))]
pub mod message;
pub mod wire;

#[cfg(test)]
mod tests;

pub use frame::{FrameBuffer, FrameError, MAX_FRAME_BYTES};
pub use message::{
    Body, ClientEntry, ClientToken, Credential, Enroll, ErrorCode, LoggedIn, Login, Operation, Param,
    Progress, Protection, Question, Refusal, Repin, Reply, Request, Response, SetGrants, Sign, Signed,
    Status, Token, WsLogin,
};
pub use wire::{DecodeError, EncodeError, VERSION, decode, encode, peek_id};
