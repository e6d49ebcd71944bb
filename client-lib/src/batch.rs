//! Many requests under way at once, from one thread.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use strongroom_protocol::{Request, encode};

use crate::connection::{Connection, Deadline};
use crate::error::{End, Error};
use crate::reply::{self, SignedRequest};
use crate::request::SignRequest;

/// Most requests under way. The agent works on 1,024 for one connection.
const WINDOW: usize = 256;

/// Requests under way at which more are sent, so that the agent never waits for us.
const LOW_WINDOW: usize = WINDOW / 2;

/// Requests that are written by one call: the agent works on them while the next are encoded.
const CHUNK: usize = 64;

type Slot = Option<Result<SignedRequest, Error>>;

/// Signs all, and those that a dead connection left open once more on a new one.
pub(crate) fn sign<'a, R: Borrow<SignRequest<'a>>>(
    requests: &[R],
    after: Duration,
    connect: impl Fn() -> Result<Arc<Connection>, Error>,
) -> Vec<Result<SignedRequest, Error>> {
    let mut slots: Vec<Slot> = Vec::new();
    slots.resize_with(requests.len(), || None);
    let mut attempt = || connect().and_then(|connection| run(&connection, requests, &mut slots, after));
    let outcome = match attempt() {
        Err(Error::Disconnected) => attempt(),
        outcome => outcome,
    };
    let why = outcome.err().unwrap_or(Error::Disconnected);
    slots.into_iter().map(|slot| slot.unwrap_or_else(|| Err(why.again()))).collect()
}

/// Fills the slots that are empty.
fn run<'a, R: Borrow<SignRequest<'a>>>(
    connection: &Connection,
    requests: &[R],
    slots: &mut [Slot],
    after: Duration,
) -> Result<(), Error> {
    let open: Vec<usize> =
        slots.iter().enumerate().filter(|(_, slot)| slot.is_none()).map(|(at, _)| at).collect();
    let count = u64::try_from(open.len()).unwrap_or(u64::MAX);
    let place = connection.enter(count)?;
    let mut unsent = place.ids.clone().zip(open.iter()).peekable();
    let mut under_way = 0_usize;
    loop {
        let deadline = Deadline::start(after);
        while under_way < WINDOW && unsent.peek().is_some() {
            let enough = under_way.saturating_add(CHUNK).min(WINDOW);
            connection.write(&[], deadline, |bytes| {
                while under_way < enough
                    && let Some((id, &at)) = unsent.next()
                {
                    let Some(request) = requests.get(at) else { continue };
                    match encode(&Request { id, operation: request.borrow().to_wire() }, bytes) {
                        Ok(()) => under_way = under_way.saturating_add(1),
                        Err(error) => fill(slots, at, Err(error.into())),
                    }
                }
                Ok(())
            })?;
        }
        let keep = if unsent.peek().is_some() { LOW_WINDOW } else { 0 };
        let wanted = under_way.saturating_sub(keep);
        if wanted > 0 {
            connection.wait(&place, wanted, deadline, &mut |id, frame| {
                let nth = usize::try_from(id.saturating_sub(place.ids.start)).unwrap_or(usize::MAX);
                if let Some(&at) = open.get(nth) {
                    fill(slots, at, reply::read(frame)?);
                }
                under_way = under_way.saturating_sub(1);
                Ok::<(), End>(())
            })?;
        } else if unsent.peek().is_none() {
            return Ok(());
        }
    }
}

fn fill(slots: &mut [Slot], at: usize, result: Result<SignedRequest, Error>) {
    if let Some(slot) = slots.get_mut(at) {
        *slot = Some(result);
    }
}
