//! What `audit verify` finds, from outside: lines that were edited, files that are gone, a chain that was written anew.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};
use strongroom_softhsm_tests::room::Room;

use crate::audit::{files, findings, folder, head, hex, holds, lines, order, room, verify};
use crate::keys::account;

const HEADLESS: &str = "head.toml is gone, damaged, of another key or from before the last unlock: it tells how far the log goes";

#[test]
fn finds_each_kind_of_edit_in_the_files_and_says_where() {
    let room = room();
    let agent = room.start_unlocked();
    for id in 0..10 {
        let _ = room.client().sign(&order(&format!("e{id}"))).unwrap();
    }
    assert!(agent.terminate().success());
    let last = holds(&room);
    let path = &files(&room)[0];
    let whole = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = whole.lines().collect();
    assert_eq!(
        rows.len(),
        18,
        "enroll, start, checkpoint, unlock, checkpoint, ten orders, stop, lock, checkpoint"
    );
    let without = |gone: &[usize]| -> String {
        let kept = rows.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        kept.map(|(_, row)| format!("{row}\n")).collect()
    };
    let swapped = |a: usize, b: usize| -> String {
        let mut rows = rows.clone();
        rows.swap(a, b);
        rows.iter().map(|row| format!("{row}\n")).collect()
    };
    let twice = [&rows[..12], &rows[5..6], &rows[12..]].concat();
    let twice: String = twice.iter().map(|row| format!("{row}\n")).collect();
    let torn = whole[..whole.len() - 20].to_owned();
    let cases: [(&str, String, &[&str]); 8] = [
        ("a side", whole.replacen(":\"e4\"", ":\"e5\"", 1), &["line 10 was edited"]),
        ("a verdict", whole.replacen("allowed", "refused", 1), &["line 1 was edited"]),
        ("a space", whole.replacen("\"kind\":\"start\"", "\"kind\": \"start\"", 1), &["line 2 was edited"]),
        ("a line gone", without(&[6]), &["line 7 is missing"]),
        ("three lines gone", without(&[0, 1, 2]), &["lines 1 to 3 are missing"]),
        ("two lines swapped", swapped(5, 6), &["line 6 was moved behind later ones"]),
        ("a line twice", twice, &["line 6 stands there again"]),
        ("half a line", torn, &["line 18 is cut off in the middle"]),
    ];
    for (case, edited, expected) in cases {
        assert_ne!(edited, whole, "{case}");
        std::fs::write(path, &edited).unwrap();
        assert_eq!(findings(&room, &[]), expected, "{case}");
    }
    let (_, told) = verify(&room, &[]);
    assert_eq!(told["findings"][0]["file"], path.display().to_string());
    assert_eq!(told["findings"][0]["line"], 18);

    // The end, which leaves a chain that holds.
    std::fs::write(path, without(&[16, 17])).unwrap();
    assert_eq!(findings(&room, &[]), ["line 17 is missing"], "head.toml names the line of the lock");
    assert_eq!(findings(&room, &["--noted", &last]), ["lines 17 to 18 are missing"]);
    let head = head(&room);
    let named = std::fs::read_to_string(&head).unwrap();
    for (case, text) in
        [("edited", named.replace("covers = \"17:", "covers = \"16:")), ("emptied", String::new())]
    {
        std::fs::write(&head, text).unwrap();
        assert_eq!(findings(&room, &[]), [HEADLESS], "{case}");
    }
    std::fs::remove_file(&head).unwrap();
    assert_eq!(findings(&room, &[]), [HEADLESS], "gone");
    std::fs::write(&head, named).unwrap();
    std::fs::write(path, without(&[0, 1])).unwrap();
    assert_eq!(verify(&room, &["--part"]).0, 0);
    std::fs::write(path, &whole).unwrap();
    assert_eq!(verify(&room, &["--noted", &last]).0, 0);
}

#[test]
fn finds_a_log_that_was_emptied_or_deleted_and_says_where_there_is_none() {
    let room = room();
    assert!(room.start_unlocked().terminate().success());
    let whole = room.run(&["audit", "verify"], None, &[]).ok();
    assert!(whole.trim_end().ends_with("the log is as it was written, as far as its files tell"), "{whole}");
    let path = &files(&room)[0];
    let all_gone = ["all lines are missing: there was a log, and no line of it is left"];
    std::fs::write(path, "").unwrap();
    assert_eq!(findings(&room, &[]), all_gone);
    assert_eq!(findings(&room, &["--part"]), all_gone);
    std::fs::remove_file(path).unwrap();
    assert_eq!(findings(&room, &[]), all_gone, "the key of its checkpoints tells that there was one");
    let said = room.run(&["audit", "verify"], None, &[]);
    assert!(!said.stdout.contains("as it was written"), "{said:?}");

    for gone in ["key.toml", "head.toml"] {
        std::fs::remove_file(folder(&room).join(gone)).unwrap();
        assert_eq!(findings(&room, &[]), all_gone, "there are records");
    }
    std::fs::remove_dir_all(folder(&room)).unwrap();
    assert_eq!(findings(&room, &[]), all_gone, "there are records");

    // Nothing at all: neither a log nor a sign of one.
    let other = Room::bare();
    let room = &other;
    for made in [false, true] {
        if made {
            std::fs::create_dir_all(folder(room)).unwrap();
        }
        for command in ["verify", "show", "report"] {
            let run = room.run(&["audit", command, "--json"], None, &[]);
            assert_eq!((run.code(), run.stdout.as_str()), (4, ""), "{command}: {run:?}");
            let said = format!("there is no audit log in {}", folder(room).display());
            assert!(run.stderr.contains(&said), "{command}: {run:?}");
        }
    }
}

/// Writes a chain anew from the line with this index on, as whoever can write the file can.
fn written_anew(rows: &[&str], from: usize) -> String {
    let mut out: String = rows[..from].iter().map(|row| format!("{row}\n")).collect();
    let mut prev = hex(&Sha256::digest(format!("{}\n", rows[from - 1])));
    for row in &rows[from..] {
        let (head, rest) = row.split_once("\"prev\":\"").unwrap();
        let row = format!("{head}\"prev\":\"{prev}{}\n", &rest[64..]).replacen("BTCUSDT", "ETHUSDT", 1);
        prev = hex(&Sha256::digest(&row));
        out.push_str(&row);
    }
    out
}

#[test]
fn finds_a_chain_that_was_written_anew_by_a_key_that_only_the_token_brings_to_life() {
    let room = room();
    let (mut keys, mut first_head) = (HashSet::new(), None);
    for _ in 0..2 {
        let agent = room.start_unlocked();
        // What is there as soon as it is unlocked; the first one in any case.
        let head = std::fs::read(head(&room)).unwrap();
        first_head.get_or_insert(head);
        for id in 0..3 {
            let _ = room.client().sign(&order(&format!("f{id}"))).unwrap();
        }
        assert!(agent.terminate().success());
        let (code, told) = verify(&room, &[]);
        assert_eq!(code, 0, "{told}");
        let lines = told["lines"].as_u64().unwrap();
        assert_eq!(told["signed"], lines - 1, "all but the last checkpoint itself");
        let [key] = &told["keys"].as_array().unwrap()[..] else { panic!("one key: {told}") };
        keys.insert(key.as_str().unwrap().to_owned());
    }
    assert_eq!(keys.len(), 1, "the same after a restart");
    let first_head = first_head.unwrap();
    let key = keys.into_iter().next().unwrap();
    assert_eq!(verify(&room, &["--key", &key]).0, 0);
    let other = "00".repeat(32);
    assert_eq!(findings(&room, &["--key", &other]).len(), 6, "no checkpoint is of another key");

    let path = &files(&room)[0];
    let whole = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = whole.lines().collect();
    let at = rows.iter().position(|row| row.contains("\"f1\"")).unwrap();
    let forged = written_anew(&rows, at);
    assert_ne!(forged, whole);
    std::fs::write(path, &forged).unwrap();
    let found = findings(&room, &[]);
    let number = rows.iter().skip(at).position(|row| row.contains("\"checkpoint\"")).unwrap() + at + 1;
    let expected =
        format!("the checkpoint in line {number} is not over the lines before it, or of another key");
    assert_eq!(found[0], expected, "{found:?}");
    assert_eq!(found.len(), 5, "and so are the later ones, and the line that head.toml names: {found:?}");
    // The control: without its checkpoints, and with a head.toml from before, nothing tells.
    let without: Vec<&str> = rows[..number - 1].to_vec();
    std::fs::write(path, written_anew(&without, at)).unwrap();
    let missing = findings(&room, &[]);
    assert!(missing.iter().all(|what| what.contains("missing")) && missing.len() == 1, "{missing:?}");
    std::fs::write(head(&room), &first_head).unwrap();
    let (code, told) = verify(&room, &[]);
    assert_eq!((code, told["signed"].as_u64()), (0, Some(4)), "{told}");
}

#[test]
fn makes_no_checkpoints_with_a_key_that_was_changed_and_says_so() {
    let room = room();
    assert!(room.start_unlocked().terminate().success());
    let path = folder(&room).join("key.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    let public = whole.split_once("public = \"").unwrap().1[..64].to_owned();
    let count = |room: &Room| lines(room).iter().filter(|line| line["kind"] == "checkpoint").count();
    let before = count(&room);
    for (edited, said) in [
        (whole.replace(&public, &"ab".repeat(32)), "checkpoints was changed"),
        (whole.replace("seed = \"", "seed = \"00"), "the audit log gets no checkpoints"),
        ("no key".to_owned(), "is damaged"),
    ] {
        std::fs::write(&path, edited).unwrap();
        let agent = room.start_unlocked();
        let _ = room.client().sign(&account()).unwrap();
        assert_eq!(room.client().status().unwrap().weaknesses, ["audit_unsigned"]);
        let log = agent.log();
        assert!(log.contains(said), "{said}: {log}");
        assert!(agent.terminate().success());
        assert_eq!(count(&room), before);
    }
    // Put back, the next unlock takes it, without a lock in between.
    std::fs::write(&path, "no key").unwrap();
    let agent = room.start_unlocked();
    std::fs::write(&path, &whole).unwrap();
    let _ = room.unlock().ok();
    assert_eq!(room.client().status().unwrap().weaknesses, Vec::<String>::new());
    assert!(agent.terminate().success());
    assert!(count(&room) > before);
    // Moved away, it is made anew, and that shows.
    std::fs::remove_file(&path).unwrap();
    assert!(room.start_unlocked().terminate().success());
    let (code, told) = verify(&room, &[]);
    assert_eq!((code, told["keys"].as_array().unwrap().len()), (0, 2), "{told}");
    assert_eq!(findings(&room, &["--key", &public]).len(), 4, "three checkpoints and head.toml");
}
