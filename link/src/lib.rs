//! The private wires between the three processes of one Strongroom agent.
//!
//! The front (`strongroom agent`), the keeper (`strongroom-keeper`) and the token worker
//! (`strongroom-token`) are three binaries. They talk in length-prefixed frames over unix stream
//! sockets, and hand each other descriptors that nobody in between reads. This crate is all that
//! they agree on: [`frame`] carries bytes and descriptors, [`keeper`] and [`token`] are the two
//! vocabularies, [`seed`] is the one-way wire from the token worker to the keeper, [`key`] says how a
//! secret is to be used, [`text`] where a text from a pipe ends, and [`child`] is how a child process starts.
//!
//! [`peer`] is the one room that a client of the agent reaches: it asks the kernel who that is. Nothing here knows
//! exchanges, PKCS#11 or cryptography.

pub mod child;
mod codec;
pub mod frame;
pub mod keeper;
pub mod key;
pub mod peer;
pub mod seed;
pub mod text;
pub mod token;

pub use codec::Malformed;
