//! `strongroom`: the front process of the signing agent, and the command line of its admin.
//!
//! This process never holds a PIN, a seed or an exchange secret while it serves clients. Its rooms:
//! [`server`] (sockets, frames), [`identity`] (who asks), [`clients`] (who has a token), [`policy`] (may they),
//! [`signer`] (from order to signature), [`crew`] (the keeper and the token worker), [`store`] (the disk),
//! [`audit`] (what was decided), [`watch`] (what locks it without being asked), [`doctor`] (what protects it),
//! [`cli`] (the person).

#![forbid(unsafe_code)]

mod alert;
mod audit;
mod cli;
mod clients;
mod config;
mod crew;
mod doctor;
mod fault;
mod identity;
mod metrics;
mod policy;
mod server;
mod signer;
mod store;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
