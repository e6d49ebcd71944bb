//! What else knows how far a log goes than its own lines: `head.toml` beside them, which the key of the checkpoints has
//! signed, and that there are records at all.
//!
//! An end that was cut off at a newline leaves a chain that holds. It is found by what stands here, and, from the next
//! login on, by what the token remembers.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::AuditError;
use super::chain::Head;
use super::checkpoint::PublicKey;
use super::head::SignedHead;
use super::key;
use super::segment::{self, failed};
use crate::store::regular;

/// What is known of a log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// The line that `head.toml` names, and by which key.
    pub(crate) head: Option<(Head, PublicKey)>,
    /// There is a key of its checkpoints, which is made behind the first `head.toml`.
    has_key: bool,
    /// There are records, each of which has lines.
    has_records: bool,
}

impl Known {
    /// Of the log in `folder`. To be read before the lines: it never knows of one that is not written.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn of(folder: &Path, has_records: bool) -> Result<Self, AuditError> {
        Ok(Self { head: SignedHead::read(folder)?, has_key: key::path(folder).exists(), has_records })
    }

    /// Whether anything tells that there was a log.
    pub(crate) const fn tells_of_one(&self) -> bool {
        self.has_key || self.has_records || self.head.is_some()
    }

    /// Whether `head.toml` must be there, and is not, or is none.
    pub(crate) const fn lacks_head(&self) -> bool {
        self.has_key && self.head.is_none()
    }

    /// What is missing in the log whose last line has this number.
    ///
    /// # Errors
    /// Where its files cannot be read.
    pub(super) fn missing(&self, folder: &Path, last: u64) -> Result<Option<Gone>, AuditError> {
        if let Some((head, _)) = self.head {
            return Ok((!holds(folder, head)?).then_some(Gone::Line(head)));
        }
        if last == 0 && self.tells_of_one() {
            return Ok(Some(Gone::All));
        }
        Ok(self.has_key.then_some(Gone::Head))
    }
}

/// What is not there, and was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    All,
    /// `head.toml`.
    Head,
    Line(Head),
}

impl std::fmt::Display for Gone {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => {
                to.write_str("no line was there, although there are records, or the key of checkpoints")
            }
            Self::Head => to.write_str("head.toml was gone or damaged"),
            Self::Line(head) => write!(to, "line {} was not there, or was another", head.seq),
        }
    }
}

/// Whether that line stands in the log. One whose file was deleted is taken to have stood there, where a later line is
/// left: `verify` demands a signature for that. The names of files are no line: who begins a log anew may choose them.
///
/// # Errors
/// Where a file cannot be read.
pub(crate) fn holds(folder: &Path, head: Head) -> Result<bool, AuditError> {
    if head.seq == 0 {
        return Ok(true);
    }
    let files = segment::numbered(folder)?;
    let of_it = files.iter().rev().find(|(first, _)| *first <= head.seq);
    let Some((_, path)) = of_it.or(files.first()) else { return Ok(false) };
    let file = regular::open(path).map_err(failed("opening", path))?;
    let (mut lines, mut text) = (BufReader::with_capacity(1 << 16, file), Vec::new());
    loop {
        text.clear();
        if lines.read_until(b'\n', &mut text).map_err(failed("reading", path))? == 0 {
            return Ok(false);
        }
        match number(&text) {
            Some(seq) if seq == head.seq => {
                return Ok(text.strip_suffix(b"\n").is_some_and(|text| Head::behind(seq, text) == head));
            }
            Some(seq) if seq > head.seq && of_it.is_none() => return Ok(true),
            _ => {}
        }
    }
}

/// The number of a line, which is all that is read of it.
fn number(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(br#"{"seq":"#)?;
    let end = digits.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_line_by_its_number_and_hash_behind_numbers_that_were_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let line = |seq: u64, rest: &str| format!("{{\"seq\":{seq},{rest}}}");
        let rows = [line(5, "a"), line(6, "b"), line(41, "c")];
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(folder.path().join("audit-000000000005.jsonl"), text).unwrap();
        let behind = |seq, row: &str| Head::behind(seq, row.as_bytes());
        for (case, head, expected) in [
            ("there", behind(6, &rows[1]), true),
            ("behind a gap", behind(41, &rows[2]), true),
            ("another", behind(6, &rows[0]), false),
            ("in the gap", behind(7, &rows[1]), false),
            ("behind the end", behind(42, &rows[2]), false),
            ("in a file that was deleted", behind(4, &rows[0]), true),
            ("before the first", Head::START, true),
        ] {
            assert_eq!(holds(folder.path(), head).unwrap(), expected, "{case}");
        }
        assert!(!holds(&folder.path().join("nothing"), behind(1, "x")).unwrap());
        // The names of files alone say nothing.
        let begun = folder.path().join("begun");
        std::fs::create_dir(&begun).unwrap();
        for (case, text, expected) in [
            ("empty", String::new(), false),
            ("of another", format!("{}\n", line(1, "d")), false),
            ("later", format!("{}\n", rows[2]), true),
        ] {
            std::fs::write(begun.join("audit-000000000041.jsonl"), text).unwrap();
            assert_eq!(holds(&begun, behind(6, &rows[1])).unwrap(), expected, "{case}");
        }
    }
}
