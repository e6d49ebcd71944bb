//! Hello: how a connection begins to speak as a client, and what an admin does with clients.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use strongroom_protocol::{ClientToken, ErrorCode, Reply};
use tokio::time::Instant;

use super::connection::Connection;
use super::dispatch::Next;
use super::{Server, reply};
use crate::audit::line::{Event, Kind, Verdict, clip};
use crate::audit::log::MAX_CAUSE_BYTES;
use crate::clients::{AddClient, RemoveClient};
use crate::fault::Fault;
use crate::identity::{Principal, log_of};
use crate::policy::{Authorized, Decision};

/// The rule by which a hello is refused.
const WRONG_TOKEN: &str = "wrong-token";

/// Hears a hello. It is the first thing on its connection or the last, and there is one try.
pub(super) fn hear(server: &Rc<Server>, connection: &Rc<Connection>, id: u64, token: &str) -> Next {
    if connection.has_begun() {
        let message = "hello comes first: a connection cannot change who it is";
        let fault = Fault::new(ErrorCode::Denied, message, "connect anew to speak as another");
        connection.say(id, reply::error(&fault));
        return Next::Close;
    }
    match server.clients.whose(token) {
        Ok(name) => {
            connection.begin_as(Some(name));
            server.live.join(connection);
            log_of!(debug, connection.principal(), "said hello");
            connection.say(id, Reply::Done);
            keep_use(server);
            Next::GoOn
        }
        Err(refused) => {
            let who = connection.principal();
            server.wrong_hellos.warn(who, &refused.to_string());
            server.audit.turned_away(who, WRONG_TOKEN, &refused.to_string());
            connection.say(id, reply::error(&refused.into()));
            Next::Close
        }
    }
}

/// Another request than a hello is the first.
///
/// # Errors
/// Of a stranger: it is told what it would have been told without clients.
pub(super) fn none(connection: &Connection) -> Result<(), Fault> {
    if connection.has_begun() {
        return Ok(());
    }
    match connection.refuse_stranger() {
        Some(fault) => Err(fault),
        None => {
            connection.begin_as(None);
            Ok(())
        }
    }
}

/// Writes down when a token was used, without anybody waiting for it.
fn keep_use(server: &Rc<Server>) {
    let server = Rc::clone(server);
    tokio::task::spawn_local(async move {
        if let Err(fault) = server.clients.write().await {
            tracing::warn!(%fault, "when a client token was used is not written down");
        }
    });
}

pub(super) fn add(server: &Rc<Server>, connection: &Rc<Connection>, id: u64, order: Authorized<AddClient>) {
    let (server, connection) = (Rc::clone(server), Rc::clone(connection));
    tokio::task::spawn_local(async move {
        let (by, what) = (order.decision(), format!("add {}", order.order().name));
        let added = match server.audit.check() {
            Ok(()) => server.clients.add(order).await,
            Err(error) => Err(error.into()),
        };
        tell(&server, &by, &what, added.as_ref().err());
        match added {
            Ok(token) => connection.answer(id, Reply::ClientAdded { token: ClientToken(&token) }),
            Err(fault) => connection.answer(id, reply::error(&fault)),
        }
    });
}

pub(super) fn remove(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    id: u64,
    order: Authorized<RemoveClient>,
) {
    let (server, connection) = (Rc::clone(server), Rc::clone(connection));
    tokio::task::spawn_local(async move {
        // A revocation does not wait for a log that cannot be written.
        let (by, what) = (order.decision(), format!("remove {}", order.order().name));
        let removed = server.clients.remove(order, |client| server.live.cut(client)).await;
        tell(&server, &by, &what, removed.as_ref().err());
        match removed {
            Ok(()) => connection.answer(id, Reply::Done),
            Err(fault) => connection.answer(id, reply::error(&fault)),
        }
    });
}

/// Writes down what was done with a client, and what came of it.
fn tell(server: &Server, by: &Decision, what: &str, fault: Option<&Fault>) {
    let cause = fault.map_or_else(|| what.to_owned(), |fault| format!("{what}: {}", fault.message));
    server.audit.record(&Event {
        verdict: Some(if fault.is_none() { Verdict::Allowed } else { Verdict::Refused }),
        rule: Some(by.rule.into()),
        cause: Some(clip(&cause, MAX_CAUSE_BYTES)),
        ..Event::by(Kind::Client, &by.who)
    });
}

/// Warnings that anybody can cause: the first, and then one in a while that counts the others.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    next: Cell<Option<Instant>>,
    held_back: Cell<u64>,
}

const PAUSE: Duration = Duration::from_secs(10);

impl Seldom {
    fn warn(&self, who: &Principal, reason: &str) {
        let now = Instant::now();
        if self.next.get().is_some_and(|next| now < next) {
            self.held_back.set(self.held_back.get().saturating_add(1));
            return;
        }
        self.next.set(now.checked_add(PAUSE));
        let before = self.held_back.replace(0);
        log_of!(warn, who, reason, before, "a hello was refused");
    }
}
