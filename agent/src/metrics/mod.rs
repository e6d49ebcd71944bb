//! What the agent counts, for Prometheus. No label has a symbol, an amount, or a name that somebody has chosen.

mod text;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use strongroom_venues::Action;

use crate::audit::line::Verdict;
pub(crate) use text::{Kind, Text};

/// The action of a request that could not be read.
const UNREAD: &str = "unread";
/// Upper bounds of the latency's buckets, in microseconds.
const BOUNDS: [u64; 12] = [10, 20, 50, 100, 200, 500, 1_000, 5_000, 20_000, 100_000, 1_000_000, 10_000_000];

/// What was counted since the agent was started. Of one thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: RefCell<BTreeMap<(Verdict, &'static str), u64>>,
    /// By the first bound that is not below, the rest behind all.
    latencies: RefCell<[u64; BOUNDS.len() + 1]>,
    latency_sum: Cell<Duration>,
    connections: Cell<u64>,
    turned_away: Cell<u64>,
}

impl Counters {
    /// Counts one request to sign.
    pub(crate) fn request(&self, verdict: Verdict, action: Option<Action>, took: Duration) {
        let action = action.map_or(UNREAD, Action::name);
        let mut requests = self.requests.borrow_mut();
        let count = requests.entry((verdict, action)).or_default();
        *count = count.saturating_add(1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = self.latencies.borrow_mut().get_mut(at) {
            *count = count.saturating_add(1);
        }
        self.latency_sum.set(self.latency_sum.get().saturating_add(took));
    }

    /// Counts one connection.
    pub(crate) fn connected(&self) {
        self.connections.set(self.connections.get().saturating_add(1));
    }

    /// Counts a client that was turned away, or dropped.
    pub(crate) fn turned_away(&self) {
        self.turned_away.set(self.turned_away.get().saturating_add(1));
    }

    /// Writes all of it.
    pub(crate) fn write(&self, text: &mut Text) {
        text.family("strongroom_requests_total", Kind::Counter, "Requests to sign, by outcome and action.");
        for ((verdict, action), count) in &*self.requests.borrow() {
            text.sample("", &[("verdict", verdict.name()), ("action", action)], count);
        }
        text.family(
            "strongroom_request_seconds",
            Kind::Histogram,
            "Time from reading a request to sign to its outcome.",
        );
        let mut sum = 0_u64;
        let latencies = self.latencies.borrow();
        for (bound, count) in BOUNDS.iter().zip(latencies.iter()) {
            sum = sum.saturating_add(*count);
            let seconds = Duration::from_micros(*bound).as_secs_f64().to_string();
            text.sample("_bucket", &[("le", &seconds)], sum);
        }
        let sum = sum.saturating_add(latencies.last().copied().unwrap_or_default());
        text.sample("_bucket", &[("le", "+Inf")], sum);
        text.sample("_sum", &[], self.latency_sum.get().as_secs_f64());
        text.sample("_count", &[], sum);
        text.one(
            "strongroom_connections_total",
            Kind::Counter,
            "Connections that were accepted.",
            self.connections.get(),
        );
        text.one(
            "strongroom_turned_away_total",
            Kind::Counter,
            "Clients and questions that were refused before it came to a grant, and connections that were dropped for an impostor.",
            self.turned_away.get(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_each_latency_below_its_bound_and_counts_upwards() {
        let counters = Counters::default();
        for micros in [0, 10, 11, 1_000_000, 60_000_000] {
            counters.request(Verdict::Allowed, Some(Action::Trade), Duration::from_micros(micros));
        }
        counters.request(Verdict::Denied, None, Duration::ZERO);
        let mut text = Text::default();
        counters.write(&mut text);
        let text = text.into_string();
        for line in [
            "# TYPE strongroom_requests_total counter",
            "strongroom_requests_total{verdict=\"allowed\",action=\"trade\"} 5",
            "strongroom_requests_total{verdict=\"denied\",action=\"unread\"} 1",
            "strongroom_request_seconds_bucket{le=\"0.00001\"} 3",
            "strongroom_request_seconds_bucket{le=\"0.00002\"} 4",
            "strongroom_request_seconds_bucket{le=\"1\"} 5",
            "strongroom_request_seconds_bucket{le=\"10\"} 5",
            "strongroom_request_seconds_bucket{le=\"+Inf\"} 6",
            "strongroom_request_seconds_sum 61.000021",
            "strongroom_request_seconds_count 6",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
