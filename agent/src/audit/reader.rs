//! Reading a log line by line, also while an agent writes it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::AuditError;
use super::chain::{Fault, Finding, Place, Verified, Verifier};
use super::known::Known;
use super::line::{Line, MAX_LINE_BYTES};
use super::segment::{self, failed};
use crate::store::regular;

/// How often a line that is being written is looked at again.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) verified: Verified,
}

impl Read {
    /// Whether there is no log, nor a sign that there was one.
    pub(crate) fn is_nothing(&self) -> bool {
        self.files.is_empty() && self.verified.findings.is_empty()
    }
}

/// Reads all lines in `folder` through `verifier`, which demands what is known of them, and shows each to `each`.
///
/// # Errors
/// Where a file cannot be read.
pub(crate) fn read(
    folder: &Path,
    mut verifier: Verifier,
    known: &Known,
    mut each: impl FnMut(Line),
) -> Result<Read, AuditError> {
    let whole = verifier.is_whole();
    if let Some((head, _)) = known.head {
        verifier.expect(head);
    }
    let files = segment::files(folder)?;
    let mut place = Place { file: 0, line: 0 };
    for (at, path) in files.iter().enumerate() {
        place = Place { file: at, line: 0 };
        let file = regular::open(path).map_err(failed("opening", path))?;
        let mut lines = Lines { from: BufReader::with_capacity(1 << 16, file), text: Vec::new() };
        let is_last = files.len() == at.saturating_add(1);
        loop {
            let piece = lines.next(is_last).map_err(failed("reading", path))?;
            place.line = place.line.saturating_add(1);
            match piece {
                Piece::End => break,
                Piece::Torn => verifier.torn(place),
                Piece::Line => {
                    if let Some(line) = verifier.line(place, &lines.text) {
                        each(line);
                    }
                }
            }
        }
    }
    let mut verified = verifier.finish(place);
    let nothing_said = |finding: &Finding| matches!(finding.fault, Fault::Missing { .. });
    let is_empty = verified.lines == 0 && verified.findings.iter().all(nothing_said);
    if is_empty && (!files.is_empty() || known.tells_of_one()) {
        verified.findings = vec![Finding { fault: Fault::Emptied, place }];
    } else if whole && is_headless(&verified, known) {
        // It is about no line in particular.
        verified.findings.push(Finding { fault: Fault::Headless, place: Place { line: 0, ..place } });
    }
    Ok(Read { verified, files })
}

/// Whether `head.toml` must be there, and is not, or is not what it should be.
fn is_headless(verified: &Verified, known: &Known) -> bool {
    match known.head {
        None => known.lacks_head() || verified.signed > 0,
        // Another key's is no word of the agent's. It is written before the token vouches for a session.
        Some((head, key)) => {
            (verified.signed > 0 && !verified.keys.contains(&key)) || head.seq < verified.vouched.last
        }
    }
}

struct Lines {
    from: BufReader<File>,
    /// The line, without its newline; the beginning of one that is too long to be any.
    text: Vec<u8>,
}

enum Piece {
    End,
    Line,
    Torn,
}

impl Lines {
    fn next(&mut self, is_last_file: bool) -> io::Result<Piece> {
        self.text.clear();
        for look in 0..=LOOKS {
            self.more()?;
            if self.text.last() == Some(&b'\n') {
                self.text.pop();
                return Ok(Piece::Line);
            }
            if self.text.len() > MAX_LINE_BYTES {
                return Ok(if self.skip()? { Piece::Line } else { Piece::Torn });
            }
            if self.text.is_empty() {
                return Ok(Piece::End);
            }
            // The agent may be writing it.
            if !is_last_file || look == LOOKS {
                break;
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        Ok(Piece::Torn)
    }

    fn more(&mut self) -> io::Result<()> {
        let most = MAX_LINE_BYTES.saturating_add(1).saturating_sub(self.text.len());
        let most = u64::try_from(most).unwrap_or_default();
        (&mut self.from).take(most).read_until(b'\n', &mut self.text).map(drop)
    }

    /// Reads on to the end of a line that is too long; says whether it has one.
    fn skip(&mut self) -> io::Result<bool> {
        let mut rest = Vec::new();
        loop {
            rest.clear();
            (&mut self.from).take(1 << 16).read_until(b'\n', &mut rest)?;
            match rest.last() {
                None => return Ok(false),
                Some(b'\n') => return Ok(true),
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::line::{Event, Kind};
    use crate::audit::log::AuditLog;
    use crate::config::AuditConfig;

    fn faults(folder: &Path) -> Vec<Fault> {
        let read = read(folder, Verifier::new(true), &Known::default(), |_| {}).unwrap();
        read.verified.findings.iter().map(|finding| finding.fault).collect()
    }

    fn config() -> AuditConfig {
        toml::from_str("rotate_mib = 1").unwrap()
    }

    fn grow(folder: &Path, lines: usize) {
        let log = AuditLog::open(folder, config(), false).unwrap();
        for _ in 0..lines {
            log.note(&Event { cause: Some("x".repeat(400).into()), ..Event::of(Kind::Lock) }).unwrap();
            if log.failures() == 0 {
                log.settle();
            }
        }
        log.close();
    }

    #[test]
    fn keeps_the_chain_over_files_and_restarts() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            grow(folder.path(), 1_500);
        }
        let mut seen = 0;
        let read = read(folder.path(), Verifier::new(true), &Known::default(), |line| {
            seen += 1;
            assert_eq!(line.seq, seen);
        });
        let read = read.unwrap();
        assert!(read.files.len() >= 3, "{:?}", read.files);
        assert_eq!((read.verified.lines, read.verified.head.seq), (4_500, 4_500));
        assert_eq!(read.verified.findings, []);

        std::fs::remove_file(&read.files[1]).unwrap();
        let [Fault::Missing { from, to }] = faults(folder.path())[..] else {
            panic!("a whole file is missing")
        };
        assert!(1 < from && from < to && to < 4_500, "{from} to {to}");
    }

    #[test]
    fn sets_a_torn_line_aside_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        grow(folder.path(), 3);
        let path = folder.path().join("audit-000000000001.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"seq\":4,\"time\":\"2026-");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(faults(folder.path()), [Fault::Torn { seq: 4 }]);
        grow(folder.path(), 1);
        assert_eq!(faults(folder.path()), []);
        let mut kinds = Vec::new();
        read(folder.path(), Verifier::new(true), &Known::default(), |line| {
            kinds.push((line.event.kind, line.event.bytes))
        })
        .unwrap();
        assert_eq!(kinds[3..], [(Kind::Recovered, Some(22)), (Kind::Lock, None)]);
        let aside = std::fs::read(folder.path().join("torn-000000000004.bin")).unwrap();
        assert_eq!(aside, b"{\"seq\":4,\"time\":\"2026-");
    }

    #[test]
    fn refuses_to_go_on_behind_what_is_no_line() {
        let folder = tempfile::tempdir().unwrap();
        grow(folder.path(), 3);
        let path = folder.path().join("audit-000000000001.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"hello\n");
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(AuditLog::open(folder.path(), config(), false), Err(AuditError::Foreign { .. })));
        std::fs::write(&path, vec![b'a'; 100_000]).unwrap();
        assert!(matches!(AuditLog::open(folder.path(), config(), false), Err(AuditError::Foreign { .. })));
        assert_eq!(faults(folder.path()), [Fault::Torn { seq: 1 }]);
    }

    #[test]
    fn goes_on_by_itself_where_the_file_was_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::open(folder.path(), config(), false).unwrap();
        log.record(&Event::of(Kind::Start));
        std::fs::remove_file(folder.path().join("audit-000000000001.jsonl")).unwrap();
        let began = std::time::Instant::now();
        while log.failures() == 0 {
            assert!(began.elapsed() < Duration::from_secs(60), "nobody has noticed");
            log.record(&Event::of(Kind::Lock));
            std::thread::sleep(Duration::from_millis(5));
        }
        loop {
            while log.check().is_err() {
                assert!(began.elapsed() < Duration::from_secs(60), "it does not go on");
                std::thread::sleep(Duration::from_millis(5));
            }
            let failures = log.failures();
            log.record(&Event::of(Kind::Stop));
            // What was asked of the deleted file before may be refused only now, and is told of by a gap of its own.
            if log.check().is_ok() && log.failures() == failures {
                break;
            }
        }
        log.close();
        let mut kinds = Vec::new();
        let read =
            read(folder.path(), Verifier::new(true), &Known::default(), |line| kinds.push(line.event.kind))
                .unwrap();
        // One more may have been written between two looks at whether one was lost.
        kinds.retain(|kind| *kind != Kind::Lock);
        assert_eq!((kinds.first(), kinds.last()), (Some(&Kind::Gap), Some(&Kind::Stop)));
        let [finding] = read.verified.findings[..] else { panic!("{:?}", read.verified.findings) };
        assert!(matches!(finding.fault, Fault::Missing { from: 1, .. }));
    }
}
