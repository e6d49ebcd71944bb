//! Fair turns: how much of one client is acted on before others are, and how much may lie here for those who do not
//! read.
//!
//! One thread serves everybody, and between two looks at what has arrived it should do little, whoever has much to
//! ask. So those who want to go on share one round between them, and who has only one request does not wait for them.

use std::cell::Cell;
use std::rc::Rc;

/// Requests that all who have more to ask may have acted on together before it is looked who else has come.
const ROUND: usize = 16;
/// Bytes of answers that one client has not taken.
const MAX_UNREAD_BYTES: usize = 256 * 1024;
/// The same of all together; above it, everybody has [`OWN_UNREAD_BYTES`] still.
const ALL_UNREAD_BYTES: usize = 16 * 1024 * 1024;
/// What one client may leave untaken, whatever others do.
const OWN_UNREAD_BYTES: usize = 16 * 1024;

/// What all connections share.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Connections that want to go on and let others go first.
    waiting: Cell<usize>,
    /// One at a time comes back from a rest.
    resting: tokio::sync::Mutex<()>,
    /// Bytes of answers that were not taken.
    unread: Rc<Cell<usize>>,
}

/// What is left of one connection's turn.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    left: usize,
}

impl Turns {
    /// The first turn of a connection.
    pub(super) const fn begin(&self) -> Turn<'_> {
        Turn { turns: self, left: ROUND }
    }

    /// The answers of one connection that were not taken.
    pub(super) fn unread(&self) -> Unread {
        Unread { all: Rc::clone(&self.unread), own: Cell::new(0) }
    }
}

impl Turn<'_> {
    /// Notes that a request was acted on.
    pub(super) const fn use_up(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Whether others are to go first now.
    pub(super) const fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Lets others go first, and begins the next turn: the more want one, the shorter it is.
    pub(super) async fn pass(&mut self) {
        let waiting = Waiting::join(&self.turns.waiting);
        tokio::task::yield_now().await;
        self.left = ROUND.checked_div(self.turns.waiting.get()).unwrap_or(ROUND).max(1);
        drop(waiting);
    }

    /// The same for one that has asked for what costs more than others do: of all who have, one comes back at a time.
    pub(super) async fn rest(&mut self) {
        let _alone = self.turns.resting.lock().await;
        self.pass().await;
    }
}

/// Counts one that waits, until it is dropped: its connection may end meanwhile.
struct Waiting<'t>(&'t Cell<usize>);

impl<'t> Waiting<'t> {
    fn join(count: &'t Cell<usize>) -> Self {
        count.set(count.get().saturating_add(1));
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// How many bytes of answers lie here for one client.
#[derive(Debug)]
pub(super) struct Unread {
    all: Rc<Cell<usize>>,
    own: Cell<usize>,
}

impl Unread {
    /// Notes how many there are now.
    pub(super) fn set(&self, bytes: usize) {
        let others = self.all.get().saturating_sub(self.own.replace(bytes));
        self.all.set(others.saturating_add(bytes));
    }

    /// Whether it is to take some before it is read from again.
    pub(super) fn is_too_much(&self) -> bool {
        let own = self.own.get();
        own >= MAX_UNREAD_BYTES || (own >= OWN_UNREAD_BYTES && self.all.get() >= ALL_UNREAD_BYTES)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Lets each of `many` act on 64 requests, and gives who has acted in which order.
    async fn acted(many: usize) -> Vec<usize> {
        let (turns, order) = (Turns::default(), RefCell::new(Vec::new()));
        let one = async |number: usize| {
            let mut turn = turns.begin();
            for _ in 0..64 {
                if turn.is_over() {
                    turn.pass().await;
                }
                order.borrow_mut().push(number);
                turn.use_up();
            }
        };
        let mut all: Vec<_> = (0..many).map(|number| Box::pin(one(number))).collect();
        std::future::poll_fn(|context| {
            all.retain_mut(|one| one.as_mut().poll(context).is_pending());
            if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        order.take()
    }

    #[tokio::test]
    async fn shares_a_round_between_those_who_want_more() {
        for (many, fair) in [(1, 48), (2, 8), (8, 2), (16, 1), (40, 1)] {
            let order = acted(many).await;
            assert_eq!(order.len(), many * 64);
            // Behind the first turn of each, for which it has waited for nobody.
            let runs = order[many * ROUND..].chunk_by(|one, next| one == next).map(<[usize]>::len);
            assert!(runs.clone().all(|run| run == fair), "{many}: {:?}", runs.collect::<Vec<_>>());
        }
    }

    #[test]
    fn holds_back_who_reads_nothing_and_leaves_room_for_the_others() {
        let turns = Turns::default();
        let greedy: Vec<Unread> = (0..ALL_UNREAD_BYTES / MAX_UNREAD_BYTES).map(|_| turns.unread()).collect();
        for one in &greedy {
            assert!(!one.is_too_much());
            one.set(MAX_UNREAD_BYTES);
            assert!(one.is_too_much());
        }
        let other = turns.unread();
        other.set(OWN_UNREAD_BYTES - 1);
        assert!(!other.is_too_much());
        other.set(OWN_UNREAD_BYTES);
        assert!(other.is_too_much());
        drop(greedy);
        assert!(!other.is_too_much());
        other.set(0);
        assert_eq!(turns.unread.get(), 0);
    }
}
