//! The text format of Prometheus (version 0.0.4).

use std::fmt::{Display, Write as _};

/// What a family's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Families one after the other. Names, helps and labels are the program's own, so that nothing is escaped.
#[derive(Debug, Default)]
pub(crate) struct Text {
    out: String,
    family: &'static str,
}

impl Text {
    /// Begins a family; its samples follow.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.family = name;
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample of the family; `suffix` goes behind its name.
    pub(crate) fn sample(
        &mut self,
        suffix: &'static str,
        labels: &[(&'static str, &str)],
        value: impl Display,
    ) {
        self.out.push_str(self.family);
        self.out.push_str(suffix);
        let mut between = '{';
        for (name, text) in labels {
            let _ = write!(self.out, "{between}{name}=\"{text}\"");
            between = ',';
        }
        if between == ',' {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// A family of one sample.
    pub(crate) fn one(&mut self, name: &'static str, kind: Kind, help: &'static str, value: impl Display) {
        self.family(name, kind, help);
        self.sample("", &[], value);
    }

    pub(crate) fn into_string(self) -> String {
        self.out
    }
}
