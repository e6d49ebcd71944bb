//! Client of the Strongroom signing agent.
//!
//! *Your bot can trade. It can't leak the key.* A bot describes the request that it wants to make; the agent
//! hands it back signed. The secret stays in the agent's keeper process.
//!
//! ```no_run
//! use strongroom_client::{Client, SignRequest};
//!
//! let room = Client::new()?; // $STRONGROOM_SOCKET, else $XDG_RUNTIME_DIR/strongroom/agent.sock
//! let order = SignRequest::new("binance-main", "POST", "/api/v3/order")
//!     .query("symbol", "LTCBTC")
//!     .query("side", "BUY")
//!     .query("type", "LIMIT")
//!     .query("timeInForce", "GTC")
//!     .query("quantity", 1)
//!     .query("price", "0.1");
//! let signed = room.sign(&order)?;
//! // Send exactly `signed.method`, `signed.url`, `signed.headers` and `signed.body`.
//! # Ok::<(), strongroom_client::Error>(())
//! ```
//!
//! * [`Client`] blocks. It is `Send` and `Sync`: share one between all threads. Nothing runs behind it.
//! * `AsyncClient`, with the feature `tokio`, does the same without blocking.
//! * [`Client::ws_login`] builds the login of a venue's WebSocket.
//! * [`Client::sign_many`] sends ahead instead of waiting for each answer.
//! * Every call has a deadline, 5 seconds if not set.
//! * Errors are one enum, [`Error`]; what the agent refuses has an [`ErrorCode`] and a hint for a person.
//!
//! `docs/reference/rust-client.md` has the details.

#![forbid(unsafe_code)]

mod batch;
mod client;
mod connection;
mod error;
mod inbox;
#[cfg(feature = "tokio")]
mod nonblocking;
mod reply;
mod request;
mod socket;
mod token;

use std::time::Duration;

pub use strongroom_protocol::ErrorCode;

pub use client::Client;
pub use error::{Error, ProtocolError};
#[cfg(feature = "tokio")]
pub use nonblocking::AsyncClient;
pub use reply::{
    AuditHead, Checkpoint, ClientEntry, Credential, Grants, Metrics, Progress, Protection, Question,
    SignedRequest, Status, Token, WsLogin,
};
pub use request::{Enrollment, Login, NewGrants, Repin, SignRequest, Value, WsLoginRequest};
pub use socket::default_socket;
pub use token::{ClientToken, default_token};

/// How long a call may take if nothing else is said.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// How long a call may take at least that waits for the token.
const TOKEN_DEADLINE: Duration = Duration::from_secs(60);
