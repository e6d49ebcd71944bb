//! Figures, and how they stand to the goals.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use strongroom_softhsm_tests::machine;

/// Lines of the report, in the order in which they were measured.
pub(crate) struct Report {
    text: String,
}

const MISSED: &str = "MISSED";

/// How a figure stands to its goal.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { text: format!("{:<58} {:>12} {:>12}  {}\n", "", "median", "best", "goal") }
    }

    /// One line: what, its median and best, in `unit`.
    pub(crate) fn line(&mut self, what: &str, median: f64, best: f64, unit: &str, goal: Goal) {
        let goal = match goal {
            Goal::AtLeast(least) => verdict(median >= least, &format!("at least {least:.0} {unit}")),
            Goal::AtMost(most) => verdict(median <= most, &format!("at most {most:.2} {unit}")),
            Goal::None => String::new(),
        };
        let number =
            |value: f64| if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let figure = |value: f64| format!("{} {unit}", number(value));
        let line = format!("{what:<58} {:>12} {:>12}  {goal}", figure(median), figure(best));
        talk(line.trim_end());
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    /// Says what is known of the cause, where the goal of the line before was missed.
    pub(crate) fn because(&mut self, cause: &str) {
        if self.text.trim_end().ends_with(MISSED) {
            let line = format!("    cause: {cause}");
            talk(&line);
            let _ = writeln!(self.text, "{line}");
        }
    }

    /// Writes the page of the book that holds these figures.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(
            path,
            format!(
                "# Benchmarks\n\nWritten by `./x bench --write docs/reference/benchmarks.md`; not by hand.\n\n\
                 {}; load at the end {}.\n\n\
                 *one CPU*: all processes pinned to one, so that a hop costs what it costs. *free*: they may move, and\n\
                 the wake-up of an idle CPU can drown the rest. Contenders alternate within one run.\n\
                 *CPU time*: what the main thread of a process has run, by the kernel's account; it depends little on what else\n\
                 the machine does. *idle CPU time only*: the abusive clients run where nobody else wants to (`chrt --idle`), as if they\n\
                 had CPUs of their own, so that what is seen are the agent's own queues and not the scheduler's.\n\n\
                 ```text\n{}\n```\n",
                machine::description(),
                machine::load(),
                self.text.trim_end(),
            ),
        )
    }

    pub(crate) fn print(&self) {
        let _ = writeln!(std::io::stdout().lock(), "\n{}", self.text.trim_end());
    }
}

fn verdict(met: bool, goal: &str) -> String {
    format!("{goal}: {}", if met { "met" } else { MISSED })
}

/// Says what is going on.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The smallest one.
pub(crate) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The largest one.
pub(crate) fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Microseconds, as a number to calculate with.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
