//! The agent's socket: who may connect, what arrives, what goes back.

mod confirm;
mod connection;
mod dispatch;
mod door;
mod hello;
mod listen;
mod live;
mod outbox;
mod pace;
mod progress;
mod reply;
mod report;
mod stranger;
mod turns;

pub(crate) use listen::{Listening, listen};

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::os::unix::uds_local_socket as uds;
use tokio::task::JoinSet;

use self::confirm::Desk;
use self::door::Strangers;
use self::hello::Seldom;
use self::live::Live;
use self::pace::Pace;
use self::turns::Turns;
use crate::audit::log::AuditLog;
use crate::clients::Clients;
use crate::identity::{Kernel, Principal};
use crate::policy::{Denied, Needs, Permit, Policy};
use crate::signer::Signer;

/// Most clients at once.
const MAX_CONNECTIONS: usize = 1_024;

/// What every connection needs.
pub(crate) struct Server {
    pub(crate) signer: Rc<Signer>,
    policy: Policy,
    pub(crate) audit: Rc<AuditLog>,
    clients: Clients,
    /// Connections that speak as a client.
    live: Live,
    /// What waits for a human.
    desk: Desk,
    /// Those who have connected and have not said hello yet.
    strangers: Rc<Strangers>,
    wrong_hellos: Seldom,
    kernel: Kernel,
    connections: Cell<usize>,
    turns: Turns,
}

impl Server {
    /// One that serves nobody yet. A request that needs a human waits for one `confirm_within`.
    pub(crate) fn new(
        signer: Rc<Signer>,
        policy: Policy,
        clients: Clients,
        kernel: Kernel,
        confirm_within: Duration,
    ) -> Rc<Self> {
        let audit = Rc::clone(signer.audit());
        Rc::new(Self {
            signer,
            policy,
            audit,
            clients,
            live: Live::default(),
            desk: Desk::new(confirm_within),
            strangers: Rc::default(),
            wrong_hellos: Seldom::default(),
            kernel,
            connections: Cell::new(0),
            turns: Turns::default(),
        })
    }

    /// Whether a principal may do what needs this; writes down where it may not, and what it has `asked` for.
    fn permit(&self, who: &Rc<Principal>, needs: Needs, asked: &str) -> Result<Permit, Denied> {
        let decided = self.policy.permit(who, needs);
        if let Err(denied) = &decided {
            self.signer.counters().turned_away();
            self.audit.turned_away(who, denied.rule(), &format!("{asked}: {denied}"));
        }
        decided
    }

    /// Accepts clients of all sockets for ever. Must run in a `LocalRuntime`.
    pub(crate) async fn accept(self: Rc<Self>, listening: &Listening) {
        // One for all: what a client of one socket does is taken from everybody's time.
        let pace = Rc::new(Pace::new());
        let mut sockets = JoinSet::new();
        for listener in &listening.listeners {
            sockets.spawn_local(Rc::clone(&self).accept_from(Rc::clone(listener), Rc::clone(&pace)));
        }
        while sockets.join_next().await.is_some() {}
    }

    async fn accept_from(self: Rc<Self>, listener: Rc<uds::tokio::Listener>, pace: Rc<Pace>) {
        loop {
            pace.next().await;
            match listener.accept().await {
                Ok(stream) => {
                    let server = Rc::clone(&self);
                    self.signer.counters().connected();
                    let full = self.connections.get() >= MAX_CONNECTIONS;
                    self.connections.set(self.connections.get().saturating_add(1));
                    tokio::task::spawn_local(async move {
                        connection::serve(&server, stream, full).await;
                        server.connections.set(server.connections.get().saturating_sub(1));
                    });
                    // Finding out who has come takes longer than a signature: one at a time.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    // Out of descriptors, most likely: wait for a client to go.
                    tracing::warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
