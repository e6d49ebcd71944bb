//! The agent's socket: who may connect, what arrives, what goes back.

mod connection;
mod dispatch;
mod listen;
mod outbox;
mod pace;
mod progress;
mod reply;
mod stranger;

pub(crate) use listen::{Listening, listen};

use std::cell::Cell;
use std::rc::Rc;

use interprocess::local_socket::traits::tokio::Listener as _;

use crate::audit::log::AuditLog;
use crate::identity::{Kernel, Principal};
use crate::policy::{Authorized, Denied, Policy};
use crate::signer::Signer;
use pace::Pace;

/// Most clients at once.
const MAX_CONNECTIONS: usize = 1_024;

/// What every connection needs.
pub(crate) struct Server {
    pub(crate) signer: Rc<Signer>,
    policy: Policy,
    pub(crate) audit: Rc<AuditLog>,
    kernel: Kernel,
    connections: Cell<usize>,
}

impl Server {
    pub(crate) fn new(signer: Rc<Signer>, policy: Policy, kernel: Kernel) -> Rc<Self> {
        let audit = Rc::clone(signer.audit());
        Rc::new(Self { signer, policy, audit, kernel, connections: Cell::new(0) })
    }

    /// Decides about one order, and writes down where the answer is no.
    fn decide<T>(&self, who: &Rc<Principal>, order: T) -> Result<Authorized<T>, Denied> {
        let decided = self.policy.decide(who, order);
        if let Err(denied) = &decided {
            self.audit.turned_away(who, denied.rule(), &denied.to_string());
        }
        decided
    }

    /// Accepts clients for ever. Must run in a `LocalSet`.
    pub(crate) async fn accept(self: Rc<Self>, listening: &Listening) {
        let pace = Pace::new();
        loop {
            pace.next().await;
            match listening.listener.accept().await {
                Ok(stream) => {
                    let server = Rc::clone(&self);
                    let full = self.connections.get() >= MAX_CONNECTIONS;
                    self.connections.set(self.connections.get().saturating_add(1));
                    tokio::task::spawn_local(async move {
                        connection::serve(&server, stream, full).await;
                        server.connections.set(server.connections.get().saturating_sub(1));
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: wait for a client to go.
                    tracing::warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}
