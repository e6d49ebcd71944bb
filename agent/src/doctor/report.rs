//! What was found: for a person, and for a program.

use std::io::IsTerminal as _;

use serde_json::{Value, json};

use super::{Check, Verdict};

/// All checks, by group, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: Vec<(&'static str, Vec<Check>)>,
}

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Coloured,
    Plain,
}

impl Style {
    /// Colours for a terminal, unless its user wants none (no-color.org).
    pub(crate) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if wanted && std::io::stdout().is_terminal() { Self::Coloured } else { Self::Plain }
    }
}

/// So many of one kind that are fine are shown; a person does not read thousands.
const SHOWN_OF_A_KIND: usize = 10;

impl Verdict {
    const ALL: [Self; 4] = [Self::Ok, Self::Notice, Self::Weak, Self::Unknown];

    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Weak => "weak",
            Self::Unknown => "unknown",
        }
    }

    /// Select graphic rendition (ECMA-48): green, yellow, red, cyan.
    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Notice => "33",
            Self::Weak => "1;31",
            Self::Unknown => "36",
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, group: &'static str, checks: Vec<Check>) {
        if !checks.is_empty() {
            self.groups.push((group, checks));
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.groups.iter().flat_map(|(_, checks)| checks).filter(|check| check.verdict == verdict).count()
    }

    /// Whether something is weaker than the configuration promises.
    pub(crate) fn is_weak(&self) -> bool {
        self.count(Verdict::Weak) > 0
    }

    /// For a program; docs/reference/cli.md describes it.
    pub(crate) fn json(&self) -> Value {
        let counts: serde_json::Map<String, Value> = Verdict::ALL
            .iter()
            .map(|verdict| (verdict.name().to_owned(), json!(self.count(*verdict))))
            .collect();
        let each = |(group, checks): &(&str, Vec<Check>)| {
            let group = (*group).to_owned();
            let json = |check: &Check| {
                json!({
                    "group": group,
                    "id": check.id,
                    "about": check.about,
                    "verdict": check.verdict.name(),
                    "fact": check.fact,
                    "advice": check.advice,
                })
            };
            checks.iter().map(json).collect::<Vec<_>>()
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "weak": self.is_weak(),
            "counts": counts,
            "checks": self.groups.iter().flat_map(each).collect::<Vec<_>>(),
        })
    }

    /// For a person: one line for each check, and under it what to do.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for (group, checks) in &self.groups {
            text.push_str(&painted(style, "1", group));
            text.push('\n');
            let (mut fine, mut left_out) = (0_usize, 0_usize);
            let width =
                checks.iter().map(|check| label(check).chars().count().min(WIDEST)).max().unwrap_or_default();
            for check in checks {
                if check.verdict == Verdict::Ok {
                    fine = fine.saturating_add(1);
                    if fine > SHOWN_OF_A_KIND {
                        left_out = left_out.saturating_add(1);
                        continue;
                    }
                }
                line(&mut text, check, width, style);
            }
            if left_out > 0 {
                text.push_str(&format!("{INDENT}and {left_out} more that are ok\n"));
            }
        }
        let counts: Vec<String> = Verdict::ALL
            .iter()
            .map(|verdict| format!("{} {}", self.count(*verdict), verdict.name()))
            .collect();
        text.push_str(&counts.join(", "));
        text
    }
}

/// As wide as a verdict and the blanks around it.
const INDENT: &str = "           ";

/// Labels are aligned up to this many characters; a path is longer.
const WIDEST: usize = 30;

fn label(check: &Check) -> String {
    let about = check.about.as_ref().map(|about| format!(" [{about}]")).unwrap_or_default();
    format!("{}{about}", check.id)
}

fn line(text: &mut String, check: &Check, width: usize, style: Style) {
    let verdict = painted(style, check.verdict.colour(), &format!("{:<7}", check.verdict.name()));
    text.push_str(&format!("  {verdict}  {:<width$}  {}\n", label(check), check.fact));
    if !check.advice.is_empty() {
        let indent = " ".repeat(width.saturating_add(2));
        text.push_str(&format!("{INDENT}{indent}{}\n", painted(style, "2", &format!("→ {}", check.advice))));
    }
}

fn painted(style: Style, colour: &str, text: &str) -> String {
    match style {
        Style::Coloured => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        Style::Plain => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.add("nothing", Vec::new());
        report.add("files", vec![Check::weak("data-mode", "others can read it", "close it").about("/x")]);
        report.add(
            "credentials",
            (0..12).map(|n| Check::ok("credential", "fine").about(n.to_string())).collect(),
        );
        report
    }

    #[test]
    fn shows_every_fault_and_some_of_what_is_fine() {
        let text = report().text(Style::Plain);
        assert!(
            text.starts_with(
                "files\n  weak     data-mode [/x]  others can read it\n                           → close it\n"
            ),
            "{text}"
        );
        assert_eq!(text.matches("credential [").count(), 10, "{text}");
        assert!(
            text.ends_with("           and 2 more that are ok\n12 ok, 0 notice, 1 weak, 0 unknown"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
        assert!(report().text(Style::Coloured).contains("\u{1b}[1;31mweak   \u{1b}[0m"));
    }

    #[test]
    fn gives_programs_all_of_it() {
        let json = report().json();
        assert_eq!(json["weak"], true);
        assert_eq!(json["counts"], json!({ "ok": 12, "notice": 0, "weak": 1, "unknown": 0 }));
        assert_eq!(json["checks"].as_array().unwrap().len(), 13);
        let first = json!({ "group": "files", "id": "data-mode", "about": "/x", "verdict": "weak", "fact": "others can read it", "advice": "close it" });
        assert_eq!(json["checks"][0], first);
    }
}
