//! Signed requests that somebody trusts, compared with what a profile makes of them.

use std::path::Path;

use serde_json::{Value, json};
use strongroom_protocol::ErrorCode;
use strongroom_venues::rows::{self, Difference, Outcome, Signed};
use strongroom_venues::{Profile, json as rows_json};

use super::check::read;
use crate::cli::output;
use crate::fault::Fault;

/// What came of comparing.
#[derive(Debug, Default)]
pub(super) struct Compared {
    passed: usize,
    /// Rows that inform and do not bind, and differ.
    informed: usize,
    /// Rows of other venues.
    others: usize,
    /// Rows that are signatures alone.
    signatures: usize,
    failed: Vec<Failed>,
}

/// A row whose request is not signed as it expects.
#[derive(Debug)]
struct Failed {
    id: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Differs(Vec<Difference>, Box<Signed>),
    Refused(String),
}

/// Compares every row of a file that is for the profile's venue.
///
/// # Errors
/// Where the file cannot be read, or a line is no JSON.
pub(super) fn compare(profile: &Profile, file: &Path) -> Result<Compared, Fault> {
    let shown = file.display();
    let text = read(file)?;
    let mut compared = Compared::default();
    for (number, line) in (1_usize..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let invalid = |why: String| {
            let hint = "vectors/README.md has the form of a row";
            Fault::new(ErrorCode::Invalid, format!("{shown}:{number}: {why}"), hint)
        };
        let row = rows_json::parse(line.as_bytes())
            .map_err(|error| invalid(format!("no JSON object on one line: {error}")))?;
        if rows::exchange(&row).map_err(invalid)? != profile.id() {
            compared.others = compared.others.saturating_add(1);
            continue;
        }
        rows::check(&row).map_err(invalid)?;
        let id = row
            .get("id")
            .and_then(rows_json::Value::as_text)
            .map_or_else(|| format!("line {number}"), str::to_owned);
        let why = match rows::compare(profile, &row) {
            Outcome::Same => {
                compared.passed = compared.passed.saturating_add(1);
                continue;
            }
            Outcome::Differs { differences, signed } => Why::Differs(differences, signed),
            Outcome::Refused(why) => Why::Refused(why),
            _ => {
                compared.signatures = compared.signatures.saturating_add(1);
                continue;
            }
        };
        if rows::informs(&row) {
            compared.informed = compared.informed.saturating_add(1);
        } else {
            compared.failed.push(Failed { id, why });
        }
    }
    Ok(compared)
}

impl Compared {
    /// Several files as one.
    pub(super) fn all(files: Vec<Self>) -> Self {
        files.into_iter().fold(Self::default(), |mut all, file| {
            all.passed = all.passed.saturating_add(file.passed);
            all.informed = all.informed.saturating_add(file.informed);
            all.others = all.others.saturating_add(file.others);
            all.signatures = all.signatures.saturating_add(file.signatures);
            all.failed.extend(file.failed);
            all
        })
    }

    const fn bound(&self) -> usize {
        self.passed.saturating_add(self.failed.len())
    }

    /// Prints what differs; both sides, and the signed text.
    pub(super) fn print(&self) {
        for Failed { id, why } in &self.failed {
            output::data(&format!("DIFFERS {id}"));
            match why {
                Why::Refused(why) => output::data(&format!("  refused: {why}")),
                Why::Differs(differences, signed) => {
                    for difference in differences {
                        show(difference);
                    }
                    if let Some(message) = &signed.message {
                        output::data(&format!("  signed text: {}", readable(message)));
                    }
                }
            }
        }
        if self.bound() > 0 {
            output::data(&self.summary());
        }
    }

    fn summary(&self) -> String {
        let informed = match self.informed {
            0 => String::new(),
            count => format!(" ({count} that only inform differ)"),
        };
        let (passed, bound) = (self.passed, self.bound());
        format!("{passed} of {bound} requests are signed as expected{informed}{}", self.left_out())
    }

    /// How many rows were not compared, and why; empty where that is none.
    fn left_out(&self) -> String {
        let all = [(self.others, "for other profiles"), (self.signatures, "signatures alone")];
        let said: Vec<String> =
            all.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
        if said.is_empty() { String::new() } else { format!("; left out: {}", said.join(", ")) }
    }

    /// Whether all of it is as expected.
    ///
    /// # Errors
    /// Where a row differs, or none was there to compare with.
    pub(super) fn verdict(&self) -> Result<(), Fault> {
        if self.bound() == 0 {
            let message = format!(
                "no row is for this profile ({} are for others, {} are signatures alone)",
                self.others, self.signatures
            );
            let hint = "`exchange` of a row is the id of its profile";
            return Err(Fault::new(ErrorCode::Invalid, message, hint));
        }
        if self.failed.is_empty() {
            return Ok(());
        }
        let message = format!("{} of {} requests are signed otherwise", self.failed.len(), self.bound());
        if self.failed.iter().all(|failed| matches!(failed.why, Why::Refused(_))) {
            let hint = "what is refused is signed for nobody: mend the row, or the profile where the venue takes such requests";
            return Err(Fault::new(ErrorCode::Invalid, message, hint));
        }
        let hint = "look first at the signed text: a space that is `+`, a list that is written otherwise, a body that is \
                    there although it is empty; `encode` has a key for each";
        Err(Fault::new(ErrorCode::Invalid, message, hint))
    }

    pub(super) fn json(&self) -> Value {
        let failed = self.failed.iter().map(|Failed { id, why }| match why {
            Why::Refused(why) => json!({ "id": id, "refused": why }),
            Why::Differs(differences, signed) => json!({
                "id": id,
                "signed_text": signed.message.as_ref().map(|message| readable(message)),
                "differences": differences.iter().map(|one| json!({
                    "place": one.place,
                    "expected": one.expected,
                    "found": one.found,
                })).collect::<Vec<_>>(),
            }),
        });
        json!({
            "passed": self.passed,
            "failed": failed.collect::<Vec<_>>(),
            "only_inform": self.informed,
            "left_out": { "for_others": self.others, "signatures": self.signatures },
        })
    }
}

/// Prints both sides, and where they part.
fn show(Difference { place, expected, found }: &Difference) {
    const NONE: &str = "(none)";
    let (expected, found) = (expected.as_deref().unwrap_or(NONE), found.as_deref().unwrap_or(NONE));
    output::data(&format!("  {place}"));
    output::data(&format!("    expected: {expected}"));
    output::data(&format!("    found:    {found}"));
    let same = expected.chars().zip(found.chars()).take_while(|(one, other)| one == other).count();
    if expected != NONE && found != NONE && same > 0 {
        output::data(&format!("              {}^ from here on", " ".repeat(same)));
    }
}

/// Bytes as text, where some of them are none.
fn readable(message: &[u8]) -> String {
    match std::str::from_utf8(message) {
        Ok(text) => text.escape_debug().collect::<String>().replace("\\\"", "\"").replace("\\'", "'"),
        Err(_) => message.escape_ascii().to_string(),
    }
}
