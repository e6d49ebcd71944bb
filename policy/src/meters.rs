//! What a decision remembers while the agent runs: rates and last prices, for each grant of one credential.

use std::collections::HashMap;
use std::time::Duration;

use crate::amount::Amount;
use crate::grant::GrantId;

/// The volatile counters of one credential. What is lost with them gives nothing away: a rate counts as used up when
/// they are new. Last prices are a guard against slips and start empty.
#[derive(Debug, Clone)]
pub struct Meters {
    /// When these counters were new.
    since: Duration,
    /// When the bucket of a grant is full again (the theoretical arrival time of GCRA).
    rates: HashMap<GrantId, Duration>,
    /// The last price of each symbol, for each grant on its own: no client moves the band of another.
    prices: HashMap<GrantId, HashMap<Box<str>, Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    price: Amount,
    at: Duration,
}

/// A rate, as GCRA counts it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// From one request to the next.
    interval: Duration,
    /// How far ahead of the even pace a request may come.
    slack: Duration,
}

impl Rate {
    /// So many a minute, and this many of them at once; if it is not said, as many as come in ten seconds.
    pub(crate) fn new(per_minute: u32, burst: Option<u32>) -> Self {
        let interval = Duration::from_secs(60).checked_div(per_minute).unwrap_or(Duration::MAX);
        let burst = burst.unwrap_or_else(|| per_minute.div_ceil(6));
        Self { interval, slack: interval.saturating_mul(burst) }
    }
}

/// A price that no grant has room to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Meters {
    /// New counters at this uptime.
    #[must_use]
    pub fn new(uptime: Duration) -> Self {
        Self { since: uptime, rates: HashMap::new(), prices: HashMap::new() }
    }

    /// Forgets grants that are gone.
    pub fn retain(&mut self, mut kept: impl FnMut(&GrantId) -> bool) {
        self.rates.retain(|grant, _| kept(grant));
        self.prices.retain(|grant, _| kept(grant));
    }

    /// When one more request has its place, or how long it must wait for it.
    pub(crate) fn next(&self, grant: &GrantId, rate: Rate, uptime: Duration) -> Result<Duration, Duration> {
        let full = self.since.saturating_add(rate.slack);
        let even = self.rates.get(grant).copied().unwrap_or(full).max(uptime);
        let next = even.saturating_add(rate.interval);
        match next.saturating_sub(uptime).checked_sub(rate.slack) {
            None | Some(Duration::ZERO) => Ok(next),
            Some(wait) => Err(wait),
        }
    }

    pub(crate) fn count(&mut self, grant: &GrantId, next: Duration) {
        match self.rates.get_mut(grant) {
            Some(known) => *known = next,
            None => {
                self.rates.insert(grant.clone(), next);
            }
        }
    }

    /// The price of this symbol, in lower case, that a new one is compared with.
    pub(crate) fn last(
        &self,
        grant: &GrantId,
        symbol: &str,
        uptime: Duration,
    ) -> Result<Option<Amount>, NoRoom> {
        let Some(prices) = self.prices.get(grant) else { return Ok(None) };
        let fresh = |seen: &&Seen| uptime.saturating_sub(seen.at) < PRICE_HOLDS;
        match prices.get(symbol) {
            Some(seen) => Ok(Some(seen).filter(fresh).map(|seen| seen.price)),
            None if prices.len() >= MAX_SYMBOLS && prices.values().all(|seen| fresh(&seen)) => Err(NoRoom),
            None => Ok(None),
        }
    }

    pub(crate) fn see(&mut self, grant: &GrantId, symbol: &str, price: Amount, uptime: Duration) {
        let prices = self.prices.entry(grant.clone()).or_default();
        if prices.len() >= MAX_SYMBOLS {
            prices.retain(|_, seen| uptime.saturating_sub(seen.at) < PRICE_HOLDS);
        }
        if prices.len() < MAX_SYMBOLS || prices.contains_key(symbol) {
            prices.insert(symbol.into(), Seen { price, at: uptime });
        }
    }
}

/// How long a price counts: a bot that was away for longer starts anew, or it could never come back to a market that
/// has moved.
const PRICE_HOLDS: Duration = Duration::from_secs(3600);
/// Most symbols whose prices are remembered for a grant. An order for one more is denied.
const MAX_SYMBOLS: usize = 256;
