//! Edits of the audit log of every kind, from outside: each is found, and where it is.

use std::path::Path;

use strongroom_softhsm_tests::process::wait_until;
use strongroom_softhsm_tests::room::Room;

use crate::audit::{SOON, files, findings, holds, order, room, verify};
use crate::keys::edit;

/// A log of two sessions in one file, with refusals, grants, and more than one checkpoint.
fn log() -> (Room, Vec<String>) {
    let room = room();
    for session in 0..2 {
        let agent = room.start_unlocked();
        let _ = room.client().sign(&order(&format!("s{session}"))).unwrap();
        let unknown = strongroom_client::SignRequest::new("nobody", "GET", "/api/v3/account");
        assert!(room.client().sign(&unknown).is_err());
        assert!(agent.terminate().success());
    }
    holds(&room);
    let rows = std::fs::read_to_string(&files(&room)[0]).unwrap().lines().map(str::to_owned).collect();
    (room, rows)
}

fn write(path: &Path, rows: &[String]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(path, text).unwrap();
}

/// Where the values of a line's members begin.
fn values(row: &str) -> Vec<usize> {
    let inside = |at: usize| row[..at].bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
    row.match_indices("\":").map(|(at, _)| at + 2).filter(|at| !inside(*at)).collect()
}

/// Another byte of the same kind, so that the line can still be read.
fn other(byte: u8) -> u8 {
    match byte {
        b'9' | b'f' | b'z' | b'Z' => byte - 1,
        b'0'..=b'8' | b'a'..=b'y' | b'A'..=b'Y' => byte + 1,
        _ => b'x',
    }
}

#[test]
fn finds_one_byte_of_every_member_of_every_line() {
    let (room, rows) = log();
    let path = &files(&room)[0];
    let mut edits = 0;
    // Of the last line, a checkpoint, nobody has the hash yet.
    for (at, row) in rows.iter().enumerate().take(rows.len() - 1) {
        for value in values(row) {
            // Behind the quote, where there is one.
            let byte = if row.as_bytes()[value] == b'"' { value + 1 } else { value };
            let mut edited = row.clone().into_bytes();
            edited[byte] = other(edited[byte]);
            let edited = String::from_utf8(edited).unwrap();
            assert_ne!(edited, *row);
            let mut all = rows.clone();
            all[at] = edited;
            write(path, &all);
            let found = findings(&room, &[]);
            let number = format!("{}", at + 1);
            let names = |what: &String| what.split(' ').any(|word| word == number);
            assert!(found.iter().any(names), "line {number}, byte {byte} of {row}: {found:?}");
            edits += 1;
        }
    }
    assert!(edits > 100, "{edits}");
    write(path, &rows);
    holds(&room);
}

#[test]
fn finds_every_line_that_was_dropped_doubled_or_moved() {
    let (room, rows) = log();
    let path = &files(&room)[0];
    for at in 0..rows.len() {
        let number = at + 1;
        let mut dropped = rows.clone();
        let _ = dropped.remove(at);
        let mut doubled = rows.clone();
        doubled.insert(at, rows[at].clone());
        let mut swapped = rows.clone();
        let is_swapped = at > 0;
        if is_swapped {
            swapped.swap(at - 1, at);
        }
        let cases = [
            ("dropped", dropped, at + 1 < rows.len(), format!("line {number} is missing")),
            ("doubled", doubled, true, format!("line {number} stands there again")),
            ("moved", swapped, is_swapped, format!("line {} was moved behind later ones", number - 1)),
        ];
        for (case, edited, is_to_be_found, said) in cases {
            if is_to_be_found {
                write(path, &edited);
                let found = findings(&room, &[]);
                assert!(found.contains(&said), "{case}, line {number}: {found:?}");
            }
        }
    }
    write(path, &rows);
    holds(&room);
}

#[test]
fn finds_checkpoints_of_elsewhere_and_logs_that_were_spliced() {
    let (room, rows) = log();
    let path = &files(&room)[0];
    let is_checkpoint = |row: &String| row.contains("\"kind\":\"checkpoint\"");
    let at: Vec<usize> = (0..rows.len()).filter(|at| is_checkpoint(&rows[*at])).collect();
    assert!(at.len() >= 4, "{at:?}");
    // What an earlier one says, in the place of a later one.
    let members = |row: &str| row.split_once(",\"kind\"").unwrap().1.to_owned();
    for pair in at.windows(2) {
        let mut replaced = rows.clone();
        let before = rows[pair[1]].split_once(",\"kind\"").unwrap().0;
        replaced[pair[1]] = format!("{before},\"kind\"{}", members(&rows[pair[0]]));
        write(path, &replaced);
        if pair[1] + 1 < rows.len() {
            let found = findings(&room, &[]);
            let said = format!("line {} was edited", pair[1] + 1);
            assert!(found.contains(&said), "{found:?}");
        } else {
            // Nobody has the hash of the last line of all. It vouches for no more than it did where it stood.
            let signed = verify(&room, &[]).1["signed"].as_u64().unwrap();
            assert!(signed < u64::try_from(pair[1]).unwrap(), "{signed}");
        }
    }
    // Another installation's lines, from some line on or in the middle.
    let (_other, theirs) = log();
    assert_eq!(theirs.len(), rows.len());
    for from in [1, 3, rows.len() / 2, rows.len() - 1] {
        let spliced = [&rows[..from], &theirs[from..]].concat();
        write(path, &spliced);
        assert_eq!(verify(&room, &[]).0, 3, "from line {from}");
        let mut amid = rows.clone();
        amid[from] = theirs[from].clone();
        write(path, &amid);
        assert_eq!(verify(&room, &[]).0, 3, "line {from}");
    }
    write(path, &rows);
    holds(&room);
}

#[test]
fn finds_files_that_were_dropped_swapped_renamed_or_put_back() {
    let room = room();
    edit(&room.config(), |text| text.replace("rotate_mib = 64", "rotate_mib = 1"));
    let agent = room.start_unlocked();
    let client = room.client();
    let first = std::fs::read(&files(&room)[0]).unwrap();
    wait_until("there are three files", SOON, || {
        let orders: Vec<_> = (0..200).map(|i| order(&format!("r{i}"))).collect();
        assert!(client.sign_many(&orders).iter().all(Result::is_ok));
        files(&room).len() >= 3
    });
    assert!(agent.terminate().success());
    holds(&room);
    let names = files(&room);
    let whole: Vec<_> = names.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let put_back = || {
        for path in files(&room) {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in names.iter().zip(&whole) {
            std::fs::write(path, bytes).unwrap();
        }
        holds(&room);
    };
    for (at, name) in names.iter().enumerate() {
        std::fs::remove_file(name).unwrap();
        let found = findings(&room, &[]);
        assert!(found.iter().any(|what| what.contains("missing")), "file {at} gone: {found:?}");
        put_back();
        std::fs::write(name, &first).unwrap();
        assert_eq!(verify(&room, &[]).0, 3, "file {at} as the first one was once");
        put_back();
    }
    std::fs::write(&names[0], &whole[1]).unwrap();
    std::fs::write(&names[1], &whole[0]).unwrap();
    assert_eq!(verify(&room, &[]).0, 3, "swapped");
    put_back();
    std::fs::rename(&names[0], names[0].with_file_name("audit-000000900000.jsonl")).unwrap();
    assert_eq!(verify(&room, &[]).0, 3, "renamed to be the last");
    put_back();
}
