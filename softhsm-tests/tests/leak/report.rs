//! All figures, and which of them are not as they must be.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use strongroom_scanner::needles::{Hits, classes};
use strongroom_scanner::{Class, Dump, Needles};

/// What a search must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Each of these classes in every sample: a control.
    Each(&'static [Class]),
    /// Nothing in any sample.
    Nothing,
    /// Whatever it gives; it is told.
    Told,
}

/// Samples of one kind.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) process: String,
    pub(crate) samples: u32,
    pub(crate) bytes: u64,
    /// Samples with a hit, for each class of [`Class::ALL`].
    pub(crate) hit: [u32; Class::ALL.len()],
    /// Samples with any hit.
    pub(crate) any: u32,
    pub(crate) expected: Expected,
}

/// Something that was tried, and what came of it.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) what: String,
    pub(crate) outcome: String,
    pub(crate) holds: bool,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) facts: Vec<Fact>,
    /// What was found where nothing must be: in how many windows.
    unexpected: BTreeMap<String, usize>,
    samples: Option<u32>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let samples = std::env::var("STRONGROOM_LEAK_SAMPLES").ok();
        let samples = samples.map(|count| count.parse().expect("STRONGROOM_LEAK_SAMPLES is a number"));
        Self { rows: Vec::new(), facts: Vec::new(), unexpected: BTreeMap::new(), samples }
    }

    /// How many samples to take: `few`, or `part` of a hundred of what was asked for.
    pub(crate) fn samples(&self, few: u32, part: u32) -> u32 {
        self.samples.map_or(few, |asked| (asked * part / 100).max(few))
    }

    /// Whether it may take minutes.
    pub(crate) const fn is_long(&self) -> bool {
        self.samples.is_some()
    }

    /// Searches one dump and counts it.
    pub(crate) fn sample(
        &mut self,
        what: &str,
        process: &str,
        expected: Expected,
        needles: &[&Needles],
        dump: &Dump,
    ) {
        let mut hits = Hits::new();
        for needles in needles {
            hits.extend(needles.hits(dump));
        }
        self.count(what, process, expected, &hits, dump.bytes());
    }

    /// Counts one sample that was searched.
    pub(crate) fn count(&mut self, what: &str, process: &str, expected: Expected, hits: &Hits, bytes: u64) {
        let row = self.rows.iter_mut().find(|row| row.what == what && row.process == process);
        let row = match row {
            Some(row) => row,
            None => {
                let (what, process) = (what.to_owned(), process.to_owned());
                self.rows.push(Row { what, process, samples: 0, bytes: 0, hit: [0; 5], any: 0, expected });
                self.rows.last_mut().expect("one was added")
            }
        };
        row.samples += 1;
        row.bytes += bytes;
        row.any += u32::from(!hits.is_empty());
        let found = classes(hits);
        for (count, class) in row.hit.iter_mut().zip(Class::ALL) {
            *count += u32::from(found.contains(&class));
        }
        if expected == Expected::Nothing {
            for ((needle, mapping), windows) in hits {
                let line = format!(
                    "{what}, {process}: {} of {} ({}) in {mapping}",
                    needle.class.name(),
                    needle.of,
                    needle.spelling
                );
                *self.unexpected.entry(line).or_default() += windows;
            }
        }
    }

    /// Something that was tried.
    pub(crate) fn fact(&mut self, what: &str, outcome: impl Into<String>, holds: bool) {
        self.facts.push(Fact { what: what.to_owned(), outcome: outcome.into(), holds });
    }

    /// What this machine does not let be tried. Where all figures are needed, that is a fault.
    pub(crate) fn skip(&mut self, why: &str) {
        // `./x test` adds these lines up.
        crate::say(&format!("1 skipped: {why}"));
        self.fact("not tried", why, !self.needs_all());
    }

    /// Whether what was skipped has failed.
    pub(crate) fn needs_all(&self) -> bool {
        self.is_long() || std::env::var_os("CI").is_some()
    }

    /// Samples taken under this heading.
    pub(crate) fn taken(&self, what: &str, process: &str) -> u32 {
        let row = self.rows.iter().find(|row| row.what == what && row.process == process);
        row.map_or(0, |row| row.samples)
    }

    /// How many figures are not as they must be.
    pub(crate) fn faults(&self) -> usize {
        let rows = self.rows.iter().filter(|row| !row.holds()).count();
        rows + self.facts.iter().filter(|fact| !fact.holds).count()
    }

    /// For a terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{:<44} {:<13} {:>7} {:>6}", "", "process", "samples", "MiB");
        for class in Class::ALL {
            let _ = write!(text, " {:>14}", class.name());
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(
                text,
                "{:<44} {:<13} {:>7} {:>6.1}",
                row.what,
                row.process,
                row.samples,
                row.mebibytes()
            );
            for hit in row.hit {
                let _ = write!(text, " {hit:>14}");
            }
            let _ = writeln!(text, "  {}", row.verdict());
        }
        text.push('\n');
        for fact in &self.facts {
            let verdict = if fact.holds { "" } else { "  NOT AS IT MUST BE" };
            let _ = writeln!(text, "{}: {}{verdict}", fact.what, fact.outcome);
        }
        text
    }

    /// What was found where nothing must be.
    pub(crate) fn details(&self) -> String {
        let mut text = String::from("found where nothing must be:\n");
        for (line, windows) in &self.unexpected {
            let _ = writeln!(text, "  {line}: {windows} windows");
        }
        text
    }
}

impl Row {
    pub(crate) fn holds(&self) -> bool {
        match self.expected {
            Expected::Each(classes) => {
                let found = |class: &Class| {
                    let at = Class::ALL.iter().position(|other| other == class);
                    at.and_then(|at| self.hit.get(at)) == Some(&self.samples)
                };
                self.samples > 0 && !classes.is_empty() && classes.iter().all(found)
            }
            Expected::Nothing => self.any == 0,
            Expected::Told => true,
        }
    }

    /// What must be said beside it.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.expected, self.holds()) {
            (Expected::Each(_), true) => "control",
            (Expected::Each(_), false) => "CONTROL NOT FOUND",
            (Expected::Nothing, true) => "",
            (Expected::Nothing, false) => "LEAK",
            (Expected::Told, _) => "for comparison",
        }
    }

    /// The mean size of a sample.
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "for people")]
    pub(crate) fn mebibytes(&self) -> f64 {
        self.bytes as f64 / f64::from(self.samples.max(1)) / (1024.0 * 1024.0)
    }
}
