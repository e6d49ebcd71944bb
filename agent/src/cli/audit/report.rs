//! Who has used which credential for what.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{as_text, output, plain, who};
use crate::audit::line::{Clock, Kind, Line, Verdict};

/// Different endpoints that are told apart; a client may make up any number.
const MAX_ENDPOINTS: usize = 2_000;
/// What stands for the rest.
const OTHERS: &str = "(others)";
/// Lines that are shown one by one, the last ones.
const MAX_SHOWN: usize = 500;
/// Steps of one timeline while it is collected.
const MAX_STEPS: usize = 4_096;

/// How often, and when.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Allowed, denied, tried on a trap, refused.
    pub(super) counts: [u64; 4],
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl Tally {
    fn add(&mut self, verdict: usize, time: Timestamp) {
        if let Some(count) = self.counts.get_mut(verdict) {
            *count = count.saturating_add(1);
        }
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }
}

/// Counts over time, in steps that widen as it grows.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Seconds of one step.
    pub(super) width: i64,
    /// By the number of the step since 1970.
    pub(super) steps: BTreeMap<i64, [u64; 4]>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: 1, steps: BTreeMap::new() }
    }
}

impl Timeline {
    fn add(&mut self, verdict: usize, time: Timestamp) {
        let step = time.as_second().div_euclid(self.width.max(1));
        if let Some(count) = self.steps.entry(step).or_default().get_mut(verdict) {
            *count = count.saturating_add(1);
        }
        while self.steps.len() > MAX_STEPS {
            self.width = self.width.saturating_mul(2);
            for (step, counts) in std::mem::take(&mut self.steps) {
                let into = self.steps.entry(step.div_euclid(2)).or_default();
                for (into, count) in into.iter_mut().zip(counts) {
                    *into = into.saturating_add(count);
                }
            }
        }
    }
}

/// One client at one credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) client: String,
    pub(super) credential: String,
    pub(super) venue: String,
}

/// One endpoint, as it was asked for with one credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    pub(super) credential: String,
    pub(super) method: String,
    pub(super) path: String,
}

/// What a report tells.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What does not hold in the log that it was made from.
    pub(super) findings: Vec<String>,
    pub(super) all: Tally,
    pub(super) ways: BTreeMap<Way, (Tally, Timeline)>,
    pub(super) endpoints: BTreeMap<Endpoint, Tally>,
    /// Signatures that were denied or refused, the last ones.
    pub(super) stopped: VecDeque<(Verdict, String)>,
    /// All that was no signature, the last ones.
    pub(super) events: VecDeque<(Option<Verdict>, String)>,
}

impl Report {
    /// Takes one line in.
    pub(super) fn add(&mut self, line: &Line) {
        let event = &line.event;
        let verdict = event.verdict.map_or(0, place);
        self.all.add(verdict, line.time);
        if event.kind != Kind::Sign {
            keep(&mut self.events, (event.verdict, as_text(line)));
            return;
        }
        let text = |text: Option<&str>| text.map(|text| plain(text).into_owned()).unwrap_or_default();
        let credential = text(event.credential.as_deref());
        let way =
            Way { client: who(event), credential: credential.clone(), venue: text(event.venue.as_deref()) };
        let (tally, timeline) = self.ways.entry(way).or_default();
        tally.add(verdict, line.time);
        timeline.add(verdict, line.time);
        let mut endpoint =
            Endpoint { credential, method: text(event.method.as_deref()), path: text(event.path.as_deref()) };
        if self.endpoints.len() >= MAX_ENDPOINTS && !self.endpoints.contains_key(&endpoint) {
            endpoint =
                Endpoint { method: String::new(), path: OTHERS.to_owned(), credential: endpoint.credential };
        }
        self.endpoints.entry(endpoint).or_default().add(verdict, line.time);
        if let Some(verdict @ (Verdict::Denied | Verdict::Honey | Verdict::Refused)) = event.verdict {
            keep(&mut self.stopped, (verdict, as_text(line)));
        }
    }

    /// Tables for a terminal.
    pub(super) fn text(&self) -> String {
        let ways = self.ways.iter().map(|(way, (tally, _))| {
            [vec![way.client.clone(), way.credential.clone(), way.venue.clone()], cells(tally)].concat()
        });
        // The path last, because whoever asks chooses how long it is.
        let endpoints = self.endpoints.iter().map(|(endpoint, tally)| {
            let path = vec![endpoint.path.clone()];
            [vec![endpoint.credential.clone(), endpoint.method.clone()], cells(tally), path].concat()
        });
        let counted = ["ALLOWED", "DENIED", "HONEY", "REFUSED", "FIRST", "LAST"];
        let ways_heading = [["CLIENT", "CREDENTIAL", "VENUE"].as_slice(), &counted].concat();
        let endpoints_heading = [["CREDENTIAL", "METHOD"].as_slice(), &counted, &["PATH"]].concat();
        let mut text = vec![
            output::table(&ways_heading, &ways.collect::<Vec<_>>()),
            output::table(&endpoints_heading, &endpoints.collect::<Vec<_>>()),
        ];
        let lists = [
            ("NOT SIGNED", self.stopped.iter().map(|(_, line)| line).collect::<Vec<_>>()),
            ("EVENTS", self.events.iter().map(|(_, line)| line).collect()),
        ];
        for (heading, lines) in lists {
            if !lines.is_empty() {
                let lines: Vec<&str> = lines.into_iter().map(String::as_str).collect();
                text.push(format!("{heading}\n{}", lines.join("\n")));
            }
        }
        text.join("\n\n")
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let tally = |tally: &Tally| {
            let [allowed, denied, honey, refused] = tally.counts;
            json!({ "allowed": allowed, "denied": denied, "honey": honey, "refused": refused, "first": time(tally.first), "last": time(tally.last) })
        };
        json!({
            "findings": self.findings,
            "clients": self.ways.iter().map(|(way, (counts, _))| json!({
                "client": way.client, "credential": way.credential, "venue": way.venue, "signatures": tally(counts),
            })).collect::<Vec<_>>(),
            "endpoints": self.endpoints.iter().map(|(endpoint, counts)| json!({
                "credential": endpoint.credential, "method": endpoint.method, "path": endpoint.path, "signatures": tally(counts),
            })).collect::<Vec<_>>(),
            "not_signed": self.stopped.iter().map(|(_, line)| line).collect::<Vec<_>>(),
            "events": self.events.iter().map(|(_, line)| line).collect::<Vec<_>>(),
        })
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() >= MAX_SHOWN {
        list.pop_front();
    }
    list.push_back(item);
}

const fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Allowed => 0,
        Verdict::Denied => 1,
        Verdict::Honey => 2,
        Verdict::Refused => 3,
    }
}

/// A time up to its second.
pub(super) fn time(time: Option<Timestamp>) -> String {
    time.map(|time| Clock::default().text(time).get(..19).map(|text| format!("{text}Z")).unwrap_or_default())
        .unwrap_or_default()
}

fn cells(tally: &Tally) -> Vec<String> {
    let counts = tally.counts.iter().map(ToString::to_string);
    counts.chain([time(tally.first), time(tally.last)]).collect()
}
