//! Telling a client how far its unlock is.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use strongroom_protocol::{Progress as Wire, Reply};

use super::connection::Connection;
use crate::signer::Progress;

/// A client is told at most so often, and hears nothing of what is done sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells `connection` how far its request `id` is.
pub(super) fn told_to(connection: &Rc<Connection>, id: u64) -> Progress {
    let to = Rc::clone(connection);
    let told = Cell::new(None);
    Box::new(move |done, total| {
        let now = Instant::now();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        match told.get() {
            Some(last) if now.duration_since(last) < PAUSE => return,
            Some(_) => to.say(id, Reply::Progress(Wire { done: number(done), total: number(total) })),
            // What came before, the login, is no part of it.
            None => {}
        }
        told.set(Some(now));
    })
}
