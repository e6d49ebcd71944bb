//! Every kind of edit of a chain is found, and in its place.

#![expect(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "a test may fail by a panic")]

use proptest::prelude::*;

use super::*;
use crate::audit::line::{Event, Kind};

/// A chain of so many lines, without newlines.
fn log(lines: u32) -> Vec<Vec<u8>> {
    let (mut head, mut clock, mut out) = (Head::START, Clock::default(), Vec::new());
    for uid in 0..lines {
        let event = Event { uid: Some(uid), path: Some("/api/v3/order".into()), ..Event::of(Kind::Sign) };
        head.write(&mut clock, Timestamp::UNIX_EPOCH, |pen| event.write(pen), &mut out);
    }
    let mut lines: Vec<_> = out.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop();
    lines
}

fn verify(lines: &[Vec<u8>], noted: &[Head]) -> Vec<Fault> {
    let mut verifier = Verifier::new(true);
    noted.iter().for_each(|head| verifier.expect(*head));
    let mut place = Place { file: 0, line: 0 };
    for line in lines {
        place.line += 1;
        verifier.line(place, line);
    }
    let verified = verifier.finish(place);
    assert_eq!(verified.lines, lines.len() as u64);
    verified.findings.into_iter().map(|finding| finding.fault).collect()
}

fn head_of(lines: &[Vec<u8>]) -> Head {
    Head::behind(lines.len() as u64, lines.last().unwrap())
}

#[test]
fn passes_an_untouched_log() {
    for length in [0, 1, 2, 50] {
        assert_eq!(verify(&log(length), &[]), []);
    }
    let lines = log(9);
    assert_eq!(verify(&lines, &[head_of(&lines)]), []);
    let text = head_of(&lines).to_string();
    assert_eq!(text.parse(), Ok(head_of(&lines)));
}

#[test]
fn finds_a_line_under_a_wrong_number_and_one_that_is_there_twice() {
    let mut lines = log(9);
    lines[4] = String::from_utf8(lines[4].clone()).unwrap().replace("\"seq\":5", "\"seq\":8").into_bytes();
    assert_eq!(verify(&lines, &[]), [Fault::Edited { seq: 5 }]);
    // A number that another line has, which was noted.
    let mut lines = log(9);
    let noted = head_of(&lines);
    lines[4] = String::from_utf8(lines[4].clone()).unwrap().replace("\"seq\":5", "\"seq\":9").into_bytes();
    assert_eq!(verify(&lines, &[noted]), [Fault::Edited { seq: 5 }]);
    let mut lines = log(9);
    lines.insert(6, lines[3].clone());
    assert_eq!(verify(&lines, &[]), [Fault::Repeated { seq: 4 }]);
}

#[test]
fn finds_a_new_chain_and_a_cut_end_only_by_what_was_noted() {
    let lines = log(9);
    let noted = head_of(&lines[..7]);
    assert_eq!(verify(&lines[..5], &[]), [], "the control: nothing else tells");
    assert_eq!(verify(&lines[..5], &[noted]), [Fault::Missing { from: 6, to: 7 }]);
    let (mut head, mut clock, mut out) = (head_of(&lines[..5]), Clock::default(), Vec::new());
    for _ in 5..9 {
        head.write(&mut clock, Timestamp::UNIX_EPOCH, |pen| Event::of(Kind::Stop).write(pen), &mut out);
    }
    let mut forged = lines[..5].to_vec();
    forged.extend(out.trim_ascii_end().split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    assert_eq!(verify(&forged, &[]), [], "the control: nothing else tells");
    assert_eq!(verify(&forged, &[noted]), [Fault::NotAsNoted { seq: 7 }]);
}

#[test]
fn finds_a_checkpoint_over_a_line_that_is_not_there_or_too_far_behind() {
    use ed25519_dalek::{Signer as _, SigningKey};

    let (key, at) = (SigningKey::from_bytes(&[3; 32]), "2026-11-22T04:00:00.000000Z");
    let with = |lines: &[Vec<u8>], covers: Head| {
        let covers = covers.to_string();
        let message = crate::audit::checkpoint::message(Kind::Checkpoint, &covers, at);
        let event = Event {
            key: Some(*key.verifying_key().as_bytes()),
            covers: Some(covers.into()),
            at: Some(at.into()),
            signature: Some(base16ct::lower::encode_string(&key.sign(&message).to_bytes()).into()),
            ..Event::of(Kind::Checkpoint)
        };
        let (mut head, mut out) = (head_of(lines), Vec::new());
        head.write(&mut Clock::default(), Timestamp::UNIX_EPOCH, |pen| event.write(pen), &mut out);
        out.pop();
        [lines, &[out]].concat()
    };
    let lines = log(9_000);
    assert_eq!(verify(&with(&lines, head_of(&lines)), &[]), [], "the control");
    assert_eq!(verify(&with(&lines, head_of(&lines[..1_000])), &[]), [], "the control");
    let forged = [Fault::Forged { seq: 9_001 }];
    assert_eq!(verify(&with(&lines, head_of(&lines[..500])), &[]), forged);
    assert_eq!(verify(&with(&lines, Head { seq: 9_900, hash: [1; 32] }), &[]), forged);
    // Of a line that is missing nothing more is said.
    let mut fewer = with(&lines, head_of(&lines[..8_000]));
    fewer.remove(7_999);
    assert_eq!(verify(&fewer, &[]), [Fault::Missing { from: 8_000, to: 8_000 }]);
}

proptest! {
    #[test]
    fn finds_an_edited_byte_in_its_line(
        length in 3_u32..40, line: prop::sample::Index, byte: prop::sample::Index, to in 0_u8..,
    ) {
        let mut lines = log(length);
        // The last line is held by nothing yet.
        let at = line.index(lines.len() - 1);
        let byte = byte.index(lines[at].len());
        prop_assume!(lines[at][byte] != to && to != b'\n');
        lines[at][byte] = to;
        let found = verify(&lines, &[head_of(&log(length))]);
        prop_assert_eq!(found.first(), Some(&Fault::Edited { seq: at as u64 + 1 }), "{:?}", found);
        prop_assert_eq!(found.len(), 1);
    }

    #[test]
    fn finds_removed_lines(length in 3_u32..40, first: prop::sample::Index, count in 1_usize..5) {
        let mut lines = log(length);
        let noted = head_of(&lines);
        let first = first.index(lines.len());
        let count = count.min(lines.len() - first);
        lines.drain(first..first + count);
        let expected = Fault::Missing { from: first as u64 + 1, to: (first + count) as u64 };
        prop_assert_eq!(verify(&lines, &[noted]), [expected]);
    }

    #[test]
    fn finds_swapped_lines(length in 3_u32..40, a: prop::sample::Index, b: prop::sample::Index) {
        let mut lines = log(length);
        let (a, b) = (a.index(lines.len()), b.index(lines.len()));
        prop_assume!(a < b);
        lines.swap(a, b);
        let found = verify(&lines, &[]);
        prop_assert!(!found.is_empty());
        let seqs: Vec<u64> = found.iter().map(|fault| fault.seq()).collect();
        prop_assert!(seqs.contains(&(a as u64 + 1)), "{:?}", found);
    }

    #[test]
    fn takes_any_bytes(texts: Vec<Vec<u8>>) {
        let lines: Vec<_> = texts;
        prop_assert_eq!(verify(&lines, &[]).is_empty(), lines.is_empty());
    }
}
