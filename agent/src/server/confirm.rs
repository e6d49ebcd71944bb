//! Requests that wait for a human, and the admins who wait for such requests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_protocol::{self as wire, ErrorCode, Reply, decode};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::dispatch;
use super::{Server, reply};
use crate::fault::{Fault, chain};
use crate::identity::log_of;
use crate::policy::{Authorized, Needs};
use crate::signer::confirm::{Confirmed, Unconfirmed, Waiting};
use crate::signer::sign::SignOrder;

/// Most requests that wait at once, and most of one principal.
const MAX_PENDING: usize = 64;
const MAX_PENDING_OF_ONE: usize = 8;
/// Most admins' connections that wait for one.
const MAX_WATCHES: usize = 64;
/// How long an admin waits before it is told that there is nothing. Shorter than a client's patience.
const WATCH: Duration = Duration::from_secs(20);
/// Bytes of texts in one answer: the rest goes with the next.
const MAX_PAGE_BYTES: usize = 32 * 1024;

/// The order to tell what waits for a human.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) after: u64,
    pub(super) wait: bool,
}

/// A human's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) yes: bool,
}

/// Where questions lie until a human answers them.
pub(super) struct Desk {
    /// How long they do.
    within: Duration,
    /// Greater than all numbers that were given, also by agents that ran before this one.
    next: Cell<u64>,
    pending: RefCell<BTreeMap<u64, Pending>>,
    watches: RefCell<Vec<Watch>>,
}

/// One question.
struct Pending {
    waiting: Waiting,
    /// The whole request, to be decided about anew.
    frame: Vec<u8>,
    connection: Rc<Connection>,
    until: Option<Instant>,
    _timer: Timer,
}

/// An admin's connection that is told of the next question.
struct Watch {
    connection: Rc<Connection>,
    id: u64,
    after: u64,
    _timer: Timer,
}

/// Does something after a time, unless it is dropped before.
struct Timer(AbortHandle);

impl Timer {
    fn start(after: Duration, what: impl FnOnce() + 'static) -> Self {
        let task = tokio::task::spawn_local(async move {
            sleep(after).await;
            what();
        });
        Self(task.abort_handle())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Desk {
    /// An empty one. `within` is how long a question waits.
    pub(super) fn new(within: Duration) -> Self {
        // A number that somebody was shown before a restart must not mean another request after it.
        let first = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(1).max(1);
        Self { within, next: Cell::new(first), pending: RefCell::default(), watches: RefCell::default() }
    }

    /// Takes what came with `connection` off: its questions are denied, and it waits for none.
    pub(super) fn leave(&self, connection: &Rc<Connection>) {
        let is_its = |other: &Rc<Connection>| Rc::ptr_eq(other, connection);
        let left: Vec<_> =
            self.pending.borrow_mut().extract_if(.., |_, pending| is_its(&pending.connection)).collect();
        for (_, pending) in left {
            pending.waiting.deny(Unconfirmed::Ended);
        }
        let left: Vec<_> =
            self.watches.borrow_mut().extract_if(.., |watch| is_its(&watch.connection)).collect();
        for watch in left {
            watch.connection.answer(watch.id, Reply::Pending(Vec::new()));
        }
    }

    fn take(&self, number: u64) -> Option<Pending> {
        self.pending.borrow_mut().remove(&number)
    }

    /// Why there is no room for one more question of `who`.
    fn full(&self, who: &str) -> Option<Unconfirmed> {
        let pending = self.pending.borrow();
        let of_one =
            pending.values().filter(|pending| pending.connection.principal().to_string() == who).count();
        if of_one >= MAX_PENDING_OF_ONE {
            Some(Unconfirmed::TooManyOfOne { most: MAX_PENDING_OF_ONE, who: who.to_owned() })
        } else if pending.len() >= MAX_PENDING {
            Some(Unconfirmed::TooMany { most: MAX_PENDING })
        } else {
            None
        }
    }

    /// Tells a connection of what has a number above `after`, if there is any.
    fn tell(&self, connection: &Connection, id: u64, after: u64) -> bool {
        // Numbers that an earlier agent gave are not above those of this one, unless the clock was set back.
        let after = if after >= self.next.get() { 0 } else { after };
        let pending = self.pending.borrow();
        let mut bytes = 0_usize;
        let above = pending.range(after.saturating_add(1)..);
        let page: Vec<_> = above
            .filter(|(_, pending)| !pending.connection.is_over())
            .take_while(|(_, pending)| {
                let is_first = bytes == 0;
                bytes = bytes.saturating_add(pending.waiting.told.bytes());
                is_first || bytes <= MAX_PAGE_BYTES
            })
            .map(|(number, pending)| (*number, pending, pending.connection.principal().to_string()))
            .collect();
        if page.is_empty() {
            return false;
        }
        let page = page.iter().map(|(number, pending, who)| pending.question(*number, who)).collect();
        connection.answer(id, Reply::Pending(page));
        true
    }
}

impl Pending {
    fn question<'a>(&'a self, number: u64, principal: &'a str) -> wire::Question<'a> {
        let told = &self.waiting.told;
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        wire::Question {
            number,
            principal,
            credential: &told.credential,
            venue: &told.venue,
            action: told.action.name(),
            grant: told.grant.as_str(),
            left_ms: u64::try_from(left.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
            lines: told.lines.iter().map(String::as_str).collect(),
        }
    }
}

/// Keeps a request until a human has answered, and tells those who wait for one.
pub(super) fn keep(server: &Rc<Server>, connection: &Rc<Connection>, waiting: Waiting, frame: &[u8]) {
    let desk = &server.desk;
    let who = connection.principal().to_string();
    if let Some(full) = desk.full(&who) {
        return waiting.deny(full);
    }
    let number = desk.next.get();
    desk.next.set(number.saturating_add(1));
    let told = &waiting.told;
    log_of!(info, connection.principal(), number, told.credential, %told.grant, "a human is asked");
    let (timed, seconds) = (Rc::clone(server), desk.within.as_secs());
    let timer = Timer::start(desk.within, move || {
        if let Some(pending) = timed.desk.take(number) {
            pending.waiting.deny(Unconfirmed::Late { seconds });
        }
    });
    let pending = Pending {
        waiting,
        frame: frame.to_vec(),
        connection: Rc::clone(connection),
        until: Instant::now().checked_add(desk.within),
        _timer: timer,
    };
    desk.pending.borrow_mut().insert(number, pending);
    desk.watches.borrow_mut().retain(|watch| !desk.tell(&watch.connection, watch.id, watch.after));
}

/// Tells an admin what waits for a human; where there is nothing, as soon as there is, if it waits.
///
/// # Errors
/// Where too many wait already.
pub(super) fn ask(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    id: u64,
    order: Authorized<Ask>,
) -> Result<(), Fault> {
    let (desk, Ask { after, wait }) = (&server.desk, order.spend());
    if desk.tell(connection, id, after) {
        return Ok(());
    }
    if !wait {
        connection.answer(id, Reply::Pending(Vec::new()));
        return Ok(());
    }
    if desk.watches.borrow().len() >= MAX_WATCHES {
        let message = format!("{MAX_WATCHES} admins wait for questions already");
        return Err(Fault::new(ErrorCode::Unavailable, message, "end some `strongroom confirm`"));
    }
    let (timed, to) = (Rc::clone(server), Rc::clone(connection));
    let timer = Timer::start(WATCH, move || {
        let is_this = |watch: &mut Watch| watch.id == id && Rc::ptr_eq(&watch.connection, &to);
        let over: Vec<_> = timed.desk.watches.borrow_mut().extract_if(.., is_this).collect();
        for watch in over {
            watch.connection.answer(watch.id, Reply::Pending(Vec::new()));
        }
    });
    let watch = Watch { connection: Rc::clone(connection), id, after, _timer: timer };
    desk.watches.borrow_mut().push(watch);
    Ok(())
}

/// Does as a human has said. The admin is answered when the bot is.
///
/// # Errors
/// Where that request does not wait any more.
pub(super) fn answer(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    id: u64,
    order: Authorized<Answer>,
) -> Result<(), Fault> {
    let by = order.decision().who;
    let Answer { number, yes } = order.spend();
    let Some(Pending { waiting, frame, connection: asker, .. }) = server.desk.take(number) else {
        let message = format!("request {number} does not wait for a human, or not any more");
        return Err(Fault::new(ErrorCode::NotFound, message, "`strongroom confirm --list` shows what does"));
    };
    log_of!(info, by, number, yes, "a human has answered");
    if asker.is_over() {
        // Its token was revoked a moment ago.
        waiting.deny(Unconfirmed::Ended);
        return Err(unsigned(&Unconfirmed::Ended));
    }
    if !yes {
        waiting.deny(Unconfirmed::No { who: by.to_string() });
        connection.answer(id, Reply::Done);
        return Ok(());
    }
    let permit = server.permit(asker.principal(), Needs::Known, "sign")?;
    let request: wire::Request<'_> = decode(&frame).map_err(Fault::defect)?;
    let Some(order) = dispatch::asked(request.operation, permit.sight()) else {
        return Err(Fault::defect("a human was asked about what is no signature"));
    };
    let confirmed = Confirmed { told: Rc::clone(&waiting.told), by: by.to_string() };
    let order = SignOrder { confirmed: Some(confirmed), ..order };
    let deliver = waiting.into_deliver();
    let admin = Rc::clone(connection);
    let again = server.signer.sign(permit.order(order), std::time::Instant::now(), move |outcome| {
        match &outcome {
            Ok(_) => admin.answer(id, Reply::Done),
            Err(error) => admin.answer(id, reply::error(&unsigned(error))),
        }
        deliver(outcome);
    });
    if let Some(waiting) = again {
        waiting.deny(Unconfirmed::Changed);
    }
    Ok(())
}

/// A yes that came to nothing.
fn unsigned(error: &dyn std::error::Error) -> Fault {
    let message = format!("it was not signed: {}", chain(error));
    Fault::new(ErrorCode::Denied, message, "the audit log has it; the bot may ask again")
}
