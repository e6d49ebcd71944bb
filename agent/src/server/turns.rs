//! Fair turns: how much of one client is acted on before others are, and how much may lie here for those who do not
//! read.
//!
//! One thread serves everybody, and between two looks at what has arrived it should do little, whoever has much to
//! ask. So who asks for one thing is served when it is seen, and all who want more stand in one line: the first of them
//! has some requests acted on, then it is looked who else has come, then it is the next one's turn. How many stand
//! there makes nobody else wait longer.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Mutex, MutexGuard};

/// Requests of one who finds nobody else in the line that are acted on before it is looked who else has come: so many
/// that a system call carries many.
const LONG_ROUND: usize = 64;
/// Where some stand there, each has its part of this. The more there are, the shorter is each turn: else a crowd would
/// have the front always at work when somebody asks for one thing.
const ROUND: usize = 32;
/// And so many at least. A look costs as much as one or two.
const LEAST_ROUND: usize = 2;
/// Bytes of answers that one client has not taken.
const MAX_UNREAD_BYTES: usize = 256 * 1024;
/// The same of all together; above it, everybody has [`OWN_UNREAD_BYTES`] still.
const ALL_UNREAD_BYTES: usize = 16 * 1024 * 1024;
/// What one client may leave untaken, whatever others do.
const OWN_UNREAD_BYTES: usize = 16 * 1024;

/// What all connections share.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The line of those who want more than one thing; its head holds this.
    line: Mutex<()>,
    /// How many stand there behind the head.
    behind: Cell<usize>,
    /// How much of the round they have used up.
    used: Cell<usize>,
    /// Bytes of answers that were not taken.
    unread: Rc<Cell<usize>>,
}

/// What one connection may do now.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    head: Option<MutexGuard<'t, ()>>,
    round: usize,
    left: usize,
    /// It has asked for what costs as much as a round.
    rests: bool,
}

impl Turns {
    /// Of a connection that has asked for nothing.
    pub(super) const fn none(&self) -> Turn<'_> {
        Turn { turns: self, head: None, round: LONG_ROUND, left: 0, rests: false }
    }

    /// The answers of one connection that were not taken.
    pub(super) fn unread(&self) -> Unread {
        Unread { all: Rc::clone(&self.unread), own: Cell::new(0) }
    }

    /// How many requests the head has acted on.
    const fn round(&self) -> usize {
        match self.behind.get() {
            0 => LONG_ROUND,
            behind => match ROUND.checked_div(behind.saturating_add(1)) {
                Some(round @ LEAST_ROUND..) => round,
                _ => LEAST_ROUND,
            },
        }
    }

    fn left(&self) -> usize {
        self.round().saturating_sub(self.used.get())
    }

    /// Waits in the line for its head.
    async fn wait(&self) -> MutexGuard<'_, ()> {
        let _behind = Behind::new(&self.behind);
        self.line.lock().await
    }
}

/// One more that stands behind the head, until this is dropped: a connection may end there.
struct Behind<'t>(&'t Cell<usize>);

impl<'t> Behind<'t> {
    fn new(count: &'t Cell<usize>) -> Self {
        count.set(count.get().saturating_add(1));
        Self(count)
    }
}

impl Drop for Behind<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Turn<'_> {
    /// To be called when something has arrived. One request is served at once where nothing else of its client is
    /// worked on, and more where nobody stands in the line.
    pub(super) fn begin(&mut self, is_idle: bool) {
        self.head = self.turns.line.try_lock().ok();
        self.round = self.turns.round();
        let of_the_round = if self.head.is_some() { self.turns.left() } else { 0 };
        self.left = of_the_round.max(usize::from(is_idle));
    }

    /// Notes that a request was acted on.
    pub(super) fn use_up(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.head.is_some() {
            self.turns.used.set(self.turns.used.get().saturating_add(1));
        }
    }

    /// Whether others are to go first now.
    pub(super) const fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Waits in the line, and begins the next turn.
    pub(super) async fn next(&mut self) {
        self.end();
        let head = match self.turns.line.try_lock() {
            Ok(head) => head,
            Err(_) => self.turns.wait().await,
        };
        if std::mem::take(&mut self.rests) || self.turns.left() == 0 {
            tokio::task::yield_now().await;
            self.turns.used.set(0);
        }
        // Who else has come counts already.
        (self.round, self.left) = (self.turns.round(), self.turns.left());
        self.head = Some(head);
    }

    /// Questions with the keeper above which the head of the line waits: enough that the keeper never does.
    pub(super) const fn most_asked(&self) -> usize {
        self.round.saturating_mul(2)
    }

    /// Ends it: the next in the line may begin.
    pub(super) fn end(&mut self) {
        (self.head, self.left) = (None, 0);
    }

    /// The same for one that has asked for what costs as much as a round: before its next turn it is looked who else
    /// has come.
    pub(super) fn rest(&mut self) {
        self.end();
        self.rests = true;
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
    use std::collections::BTreeSet;
    use std::task::Poll;

    use super::*;

    /// Lets each of `many` act on 64 requests; gives at which look who has acted, in that order.
    async fn acted(many: usize) -> Vec<(usize, usize)> {
        let (turns, looks, order) = (Turns::default(), Cell::new(0_usize), RefCell::new(Vec::new()));
        let one = async |number: usize| {
            let mut turn = turns.none();
            turn.begin(true);
            for _ in 0..64 {
                if turn.is_over() {
                    turn.next().await;
                }
                order.borrow_mut().push((looks.get(), number));
                turn.use_up();
            }
        };
        let mut all: Vec<_> = (0..many).map(|number| Box::pin(one(number))).collect();
        std::future::poll_fn(|context| {
            looks.set(looks.get().saturating_add(1));
            all.retain_mut(|one| one.as_mut().poll(context).is_pending());
            if all.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        order.take()
    }

    /// How many requests are acted on at one look where so many stand in the line, as the head of this file says.
    fn round_of(standing: usize) -> usize {
        [LONG_ROUND, LONG_ROUND, 16, 10, 8, 6, 5, 4, 4, 3, 3].get(standing).copied().unwrap_or(2)
    }

    #[tokio::test]
    async fn serves_everybody_once_at_the_first_look_and_then_the_shorter_the_more_there_are() {
        for many in [1, 2, 3, 8, 16, 40] {
            let order = acted(many).await;
            assert_eq!(order.len(), many * 64);
            let mut looks = order.chunk_by(|(one, _), (next, _)| one == next);
            let first = looks.next().unwrap();
            let served: BTreeSet<_> = first.iter().map(|(_, who)| who).collect();
            assert_eq!((served.len(), first.len()), (many, LONG_ROUND + many - 1), "{many}");
            let mut left: Vec<usize> = vec![63; many - 1];
            for look in looks {
                for (_, who) in look {
                    left[who - 1] -= 1;
                }
                // Who has all that it wanted leaves the line, and the next one's turn is as long as if it had not come.
                let standing = left.iter().filter(|left| **left > 0).count();
                assert!(look.len() <= round_of(standing), "{many}: {} where {standing} stand", look.len());
                assert!(look.len() >= LEAST_ROUND || standing == 0, "{many}: {}", look.len());
            }
            assert!(left.iter().all(|left| *left == 0));
        }
    }

    #[tokio::test]
    async fn gives_each_in_the_line_a_turn_before_anybody_has_the_next_one() {
        for many in [3, 8, 16, 40] {
            let mut had = vec![0_usize; many];
            for (_, who) in acted(many).await {
                had[who] += 1;
                // The first one was alone, and has had all that it wants.
                let least = had[1..].iter().min().unwrap();
                let ahead = had[who].saturating_sub(*least);
                assert!(who == 0 || ahead <= round_of(many - 1), "{many}: {who} is {ahead} ahead");
            }
            assert_eq!(had, vec![64; many]);
        }
    }

    #[tokio::test]
    async fn forgets_who_has_ended_in_the_line() {
        let turns = Turns::default();
        let (mut head, mut other) = (turns.none(), turns.none());
        head.begin(false);
        {
            let mut next = std::pin::pin!(other.next());
            let looks = std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending()));
            assert!(looks.await);
            assert_eq!(turns.round(), ROUND / 2);
        }
        assert_eq!(turns.round(), LONG_ROUND);
    }

    #[tokio::test]
    async fn looks_who_else_has_come_after_a_request_that_costs_as_much_as_a_round() {
        let turns = Turns::default();
        let (mut turn, mut other) = (turns.none(), turns.none());
        turn.begin(false);
        assert_eq!(turn.left, LONG_ROUND, "nobody stands in the line");
        turn.use_up();
        turn.rest();
        assert!(turn.is_over());
        other.begin(false);
        assert_eq!(other.left, LONG_ROUND - 1, "others go on");
        other.end();
        {
            let mut next = std::pin::pin!(turn.next());
            let looks = std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending()));
            assert!(looks.await);
            other.begin(true);
            assert_eq!(other.left, 1, "one thing of another is served meanwhile");
            next.await;
        }
        assert_eq!(turn.left, LONG_ROUND);
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
