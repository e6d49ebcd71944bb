//! What else knows how far a log goes than its own lines: `head.toml` beside them, which the key of the checkpoints has
//! signed, and that there are records at all.
//!
//! An end that was cut off at a newline leaves a chain that holds. It is found by what stands here, and, from the next
//! login on, by what the token remembers.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::AuditError;
use super::chain::Head;
use super::checkpoint::PublicKey;
use super::key::{self, hex};
use super::segment::{self, failed};
use crate::fault::chain;
use crate::store::atomic::{self, Existing};
use crate::store::regular;

/// The last line that a checkpoint covers, as it stands in its file: no line of the log says the same, so that nobody
/// makes an older one who has not kept it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedHead {
    covers: String,
    at: String,
    #[serde(with = "hex")]
    key: Vec<u8>,
    #[serde(with = "hex")]
    signature: Vec<u8>,
}

impl SignedHead {
    /// What is signed for the line `covers` at the time `at`.
    pub(crate) fn message(covers: &str, at: &str) -> Vec<u8> {
        format!("strongroom audit head 1\n{covers}\n{at}\n").into_bytes()
    }

    pub(crate) fn new(covers: String, at: String, key: PublicKey, signature: &[u8]) -> Self {
        Self { covers, at, key: key.to_vec(), signature: signature.to_vec() }
    }

    fn to_text(&self) -> String {
        let text = toml::to_string(self).unwrap_or_default();
        format!(
            "# The last line that a checkpoint of the audit log covers. Back it up before the log.\n{text}"
        )
    }

    /// Reads a file of it; nothing where its signature does not hold.
    fn read(text: &str) -> Option<(Head, PublicKey)> {
        let Self { covers, at, key, signature } = toml::from_str(text).ok()?;
        let key = PublicKey::try_from(key).ok()?;
        let verifier = VerifyingKey::from_bytes(&key).ok()?;
        let signature = Signature::from_slice(&signature).ok()?;
        verifier.verify_strict(&Self::message(&covers, &at), &signature).ok()?;
        Some((covers.parse().ok()?, key))
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("head.toml")
}

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
        let path = path(folder);
        let head = match regular::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            text => {
                let text = text.map_err(failed("reading what is known of", &path))?;
                std::str::from_utf8(&text).ok().and_then(SignedHead::read)
            }
        };
        Ok(Self { head, has_key: key::path(folder).exists(), has_records })
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

/// Writes `head.toml`, each time when the line that it names is on the disk.
#[derive(Debug)]
pub(super) struct Scribe {
    path: PathBuf,
    pending: Mutex<Option<SignedHead>>,
    /// Held while it is written, so that whoever waits for it finds it done.
    writing: Mutex<()>,
}

impl Scribe {
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: path(folder), pending: Mutex::default(), writing: Mutex::default() }
    }

    /// Notes a line that was written.
    pub(super) fn note(&self, head: SignedHead) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    /// Has `sync` get all lines onto the disk, and writes what was noted before that.
    ///
    /// # Errors
    /// Those of `sync`, and of writing.
    pub(super) fn behind(&self, sync: impl FnOnce() -> Result<(), AuditError>) -> Result<(), AuditError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        sync()?;
        let Some(head) = noted else { return Ok(()) };
        let written = atomic::write(&self.path, head.to_text().as_bytes(), Existing::Replace);
        let written = written.map_err(|error| io::Error::other(chain(&error)));
        written.map_err(failed("writing what is known of", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    #[test]
    fn believes_no_head_whose_signature_does_not_hold() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let head = Head { seq: 7, hash: [9; 32] };
        let (covers, at) = (head.to_string(), "2026-11-22T04:00:00.000000Z".to_owned());
        let signature = key.sign(&SignedHead::message(&covers, &at)).to_bytes();
        let signed = SignedHead::new(covers, at, *key.verifying_key().as_bytes(), &signature);
        let text = signed.to_text();
        assert_eq!(SignedHead::read(&text), Some((head, *key.verifying_key().as_bytes())));
        for (from, to) in
            [("7:", "6:"), ("04:00", "05:00"), ("signature = \"", "signature = \"00"), ("at", "ta")]
        {
            let edited = text.replace(from, to);
            assert_ne!(edited, text);
            assert_eq!(SignedHead::read(&edited), None, "{from}");
        }
        // A checkpoint says the same of the same line, and is no head.
        let checkpoint = crate::audit::checkpoint::message(crate::audit::line::Kind::Checkpoint, "7:", "now");
        assert_ne!(checkpoint, SignedHead::message("7:", "now"));
    }

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
