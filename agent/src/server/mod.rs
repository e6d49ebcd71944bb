//! The agent's socket: who may connect, what arrives, what goes back.

mod connection;
mod dispatch;
mod door;
mod hello;
mod listen;
mod live;
mod progress;
mod reply;
mod stranger;

pub(crate) use listen::{Listening, listen};

use std::cell::Cell;
use std::rc::Rc;

use interprocess::local_socket::traits::tokio::Listener as _;

use self::door::Strangers;
use self::hello::Seldom;
use self::live::Live;
use crate::clients::Clients;
use crate::identity::Kernel;
use crate::policy::Policy;
use crate::signer::Signer;

/// Most clients at once.
const MAX_CONNECTIONS: usize = 1_024;

/// What every connection needs.
pub(crate) struct Server {
    pub(crate) signer: Rc<Signer>,
    pub(crate) policy: Policy,
    clients: Clients,
    /// Connections that speak as a client.
    live: Live,
    /// Those who have connected and have not said hello yet.
    strangers: Rc<Strangers>,
    wrong_hellos: Seldom,
    kernel: Kernel,
    connections: Cell<usize>,
}

impl Server {
    pub(crate) fn new(signer: Rc<Signer>, policy: Policy, clients: Clients, kernel: Kernel) -> Rc<Self> {
        Rc::new(Self {
            signer,
            policy,
            clients,
            live: Live::default(),
            strangers: Rc::default(),
            wrong_hellos: Seldom::default(),
            kernel,
            connections: Cell::new(0),
        })
    }

    /// Accepts clients for ever. Must run in a `LocalSet`.
    pub(crate) async fn accept(self: Rc<Self>, listening: &Listening) {
        loop {
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
