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

/// Requests of those in the line that are acted on before it is looked who else has come.
const ROUND: usize = 16;
/// The same of one who finds nobody else there, so that a system call carries more of them.
const LONG_ROUND: usize = 32;
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

    fn left_of(&self, round: usize) -> usize {
        round.saturating_sub(self.used.get())
    }
}

impl Turn<'_> {
    /// To be called when something has arrived. One request is served at once where nothing else of its client is
    /// worked on, and more where nobody stands in the line.
    pub(super) fn begin(&mut self, is_idle: bool) {
        self.head = self.turns.line.try_lock().ok();
        self.round = if self.head.is_some() { LONG_ROUND } else { ROUND };
        let of_the_round = if self.head.is_some() { self.turns.left_of(self.round) } else { 0 };
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
        let (head, round) = match self.turns.line.try_lock() {
            Ok(head) => (head, LONG_ROUND),
            Err(_) => (self.turns.line.lock().await, ROUND),
        };
        if std::mem::take(&mut self.rests) || self.turns.left_of(round) == 0 {
            tokio::task::yield_now().await;
            self.turns.used.set(0);
        }
        (self.round, self.left) = (round, self.turns.left_of(round));
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

    /// The same for one that has asked for what costs as much as a round: before its next turn it is looked who else has
    /// come.
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

    #[tokio::test]
    async fn serves_everybody_once_at_the_first_look_and_then_one_round_at_each() {
        for many in [1, 3, 8, 16, 40] {
            let order = acted(many).await;
            assert_eq!(order.len(), many * 64);
            let looks: Vec<_> = order.chunk_by(|(one, _), (next, _)| one == next).collect();
            let first: BTreeSet<_> = looks[0].iter().map(|(_, who)| who).collect();
            assert_eq!((first.len(), looks[0].len()), (many, LONG_ROUND + many - 1), "{many}");
            // The first one finds nobody else in the line once more.
            assert_eq!(looks[1].len(), LONG_ROUND, "{many}");
            let (in_line, last) = looks[2..].split_at(3 * (many - 1));
            assert!(in_line.iter().all(|look| look.len() == ROUND), "{many}: {in_line:?}");
            assert!(last.iter().all(|look| look.len() <= LONG_ROUND), "{many}: {last:?}");
        }
    }

    #[tokio::test]
    async fn gives_each_in_the_line_a_turn_before_anybody_has_the_next_one() {
        for many in [3, 8, 16, 40] {
            let mut had = vec![0_usize; many];
            for (_, who) in acted(many).await {
                had[who] += 1;
                // The first one was alone twice, and has had all that it wants.
                let least = had[1..].iter().min().unwrap();
                assert!(who == 0 || had[who] <= least + ROUND, "{many}: {who} is {} ahead", had[who] - least);
            }
            assert_eq!(had, vec![64; many]);
        }
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
