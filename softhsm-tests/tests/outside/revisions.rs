//! Records of an older revision, or that were edited: refused, and taken over by whoever has read them.

use std::path::PathBuf;

use serde_json::Value;
use strongroom_softhsm_tests::room::Room;

use crate::grants::{BOT, grant, listed, own_grant, room_of_two};
use crate::keys::{BINANCE, account, balance, edit};
use crate::records::assert_like;
use crate::rollback::Copy;

/// The one file of floors.
fn floors(room: &Room) -> PathBuf {
    let mut files: Vec<_> =
        std::fs::read_dir(room.data().join("floors")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn refuses_a_record_that_was_rolled_back_and_no_other() {
    let room = room_of_two();
    let path = room.record("binance-main");
    let old = std::fs::read(&path).unwrap();
    let agent = room.start_unlocked();
    let _ = grant(&room, &["remove", "binance-main", own_grant()["id"].as_str().unwrap()]).ok();
    drop(agent);
    let new = std::fs::read(&path).unwrap();

    std::fs::write(&path, &old).unwrap();
    let agent = room.start_unlocked();
    let client = room.client();
    let _ = client.sign(&balance()).unwrap();
    let refused = client.sign(&account()).unwrap_err();
    let said = "the record was rolled back: it has revision 1, and revision 2 was in force already; `strongroom grant edit \
                binance-main --accept-older` takes it over";
    assert_eq!(refused.to_string(), format!("credential `binance-main` cannot sign: {said}"));
    // Nor does it come back by a change of its grants.
    let add = ["add", "binance-main", "--to", "client:grid-bot", "--allow", "*"];
    let run = grant(&room, &add);
    assert_eq!(run.code(), 7);
    assert_like(
        &run.stderr,
        &format!("error: {said}\nhint: put the newer record back; *`strongroom grant list binance-main`*\n"),
        "",
    );
    // Whoever looks is told what to do.
    for command in [&["show", "binance-main"][..], &["doctor"]] {
        let run = room.run(command, None, &[]);
        assert!(run.stdout.contains("grant edit binance-main --accept-older"), "{command:?}: {}", run.stdout);
    }
    drop(agent);

    // The newer one still opens; and who has read the old one can take it over.
    std::fs::write(&path, &new).unwrap();
    let agent = room.start_unlocked();
    assert!(room.client().show("binance-main").unwrap().ready);
    drop(agent);
    std::fs::write(&path, &old).unwrap();
    let file = room.folder().join("grants.toml");
    std::fs::write(&file, BOT).unwrap();
    let edit = ["edit", "binance-main", "--file", file.to_str().unwrap(), "--accept-older"];
    let _ = grant(&room, &edit).ok();
    assert_eq!(listed(&room, "binance-main")["revision"], 3, "above every other");
    let told = room.run(&["audit", "show", "--json", "--kind", "grants"], None, &[]).json();
    let told: Vec<_> = told.as_array().unwrap().iter().map(|line| &line["accept_older"]).collect();
    assert_eq!(told, [&Value::Null, &Value::Null, &Value::Bool(true)], "removed, refused, accepted");
    let _agent = room.start_unlocked();
    assert!(room.client().show("binance-main").unwrap().ready);
}

#[test]
fn goes_on_above_the_floor_when_a_credential_is_enrolled_anew() {
    let room = room_of_two();
    let first = std::fs::read(room.record("binance-main")).unwrap();
    let _ = room.enroll(&BINANCE, &["--replace"]).ok();
    assert_eq!(listed(&room, "binance-main")["revision"], 2);
    let _ = room.run(&["remove", "binance-main", "--yes"], None, &[]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
    assert_eq!(listed(&room, "binance-main")["revision"], 5, "removing raises the floor by two");
    std::fs::write(room.record("binance-main"), first).unwrap();
    let _agent = room.start_unlocked();
    assert_like(&room.client().show("binance-main").unwrap().fault, "the record was rolled back: *", "");
}

#[test]
fn refuses_a_removed_record_that_was_put_back() {
    let room = room_of_two();
    let path = room.record("binance-main");
    let remove = || room.run(&["remove", "binance-main", "--yes"], None, &[]).ok();
    for (case, revision) in [("unlocked", 4), ("locked", 7), ("no agent", 10)] {
        let copy = std::fs::read(&path).unwrap();
        let agent = match case {
            "unlocked" => Some(room.start_unlocked()),
            "locked" => Some(room.start()),
            _ => None,
        };
        let _ = remove();
        let noted = room.data().join("removed.toml");
        assert_eq!(noted.exists(), case != "unlocked", "{case}");
        std::fs::write(&path, &copy).unwrap();
        let _agent = agent.unwrap_or_else(|| room.start());
        if case == "unlocked" {
            room.client().lock().unwrap();
        }
        let _ = room.unlock();
        let fault = room.client().show("binance-main").unwrap().fault;
        assert_like(&fault, "the record was rolled back: *", case);
        let _ = room.client().sign(&account()).unwrap_err();
        let _ = room.client().sign(&balance()).unwrap();
        assert!(!noted.exists(), "{case}: once is enough");
        // What is enrolled anew opens, now and later.
        let _ = room.enroll(&BINANCE, &["--replace"]).ok();
        assert_eq!(listed(&room, "binance-main")["revision"], revision, "{case}");
        room.client().lock().unwrap();
        let _ = room.unlock().ok();
        let _ = room.client().sign(&account()).unwrap();
    }
}

/// The agent remembers what it has removed, whatever becomes of its note.
#[test]
fn refuses_a_removed_record_though_the_note_of_a_locked_agent_was_deleted() {
    for is_ended in [false, true] {
        let room = room_of_two();
        let path = room.record("binance-main");
        let copy = std::fs::read(&path).unwrap();
        let mut agent = room.start();
        let _ = room.run(&["remove", "binance-main", "--yes"], None, &[]).ok();
        std::fs::remove_file(room.data().join("removed.toml")).unwrap();
        std::fs::write(&path, &copy).unwrap();
        if is_ended {
            assert!(agent.terminate().success());
            agent = room.start();
        }
        let _ = room.unlock();
        let shown = room.client().show("binance-main").unwrap();
        if is_ended {
            assert!(shown.ready, "the control, and what is left open: nobody knows any more");
            continue;
        }
        assert_like(&shown.fault, "the record was rolled back: *", "");
        let _ = room.client().sign(&account()).unwrap_err();
        let _ = room.client().sign(&balance()).unwrap();
        // The floor is signed from now on.
        assert!(agent.terminate().success());
        let _agent = room.start_unlocked();
        assert_like(&room.client().show("binance-main").unwrap().fault, "the record was rolled back: *", "");
    }
}

/// Whoever writes the folder cannot have an admin end the protection against older records.
#[test]
fn takes_no_revision_from_a_record_that_nobody_has_opened() {
    let room = room_of_two();
    let first = std::fs::read(room.record("binance-main")).unwrap();
    for (claimed, next) in [(u64::MAX, 3), (77, 5), (0, 6)] {
        edit(&room.record("binance-main"), |text| {
            let before = text.lines().find(|line| line.starts_with("revision = ")).unwrap().to_owned();
            text.replace(&before, &format!("revision = {claimed}"))
        });
        let change = ["add", "binance-main", "--to", "client:grid-bot", "--allow", "*"];
        assert_eq!(grant(&room, &change).code(), 7, "the control: {claimed} opens nothing");
        let _ = room.enroll(&BINANCE, &["--replace"]).ok();
        assert_eq!(listed(&room, "binance-main")["revision"], next, "after {claimed}");
    }
    let _ = grant(&room, &["add", "binance-main", "--to", "client:grid-bot", "--allow", "*"]).ok();
    assert_eq!(listed(&room, "binance-main")["revision"], 7);
    std::fs::write(room.record("binance-main"), first).unwrap();
    let _agent = room.start_unlocked();
    assert_like(&room.client().show("binance-main").unwrap().fault, "the record was rolled back: *", "");
}

#[test]
fn opens_no_record_without_its_floors() {
    let room = room_of_two();
    let path = floors(&room);
    let whole = std::fs::read_to_string(&path).unwrap();
    for (case, text, said) in [
        ("gone", None, "is gone"),
        ("lowered", Some(whole.replace("binance-main = 1", "binance-main = 0")), "was edited"),
        ("one less", Some(whole.replace("binance-main = 1\n", "")), "was edited"),
        ("no seed of ours", Some(whole.replace("seed = \"", "seed = \"AAAA")), "was edited"),
        ("cut", Some(whole[..whole.len() / 2].to_owned()), "is damaged"),
    ] {
        match text {
            Some(text) => {
                assert_ne!(text, whole, "{case}");
                std::fs::write(&path, text).unwrap();
            }
            None => std::fs::remove_file(&path).unwrap(),
        }
        let agent = room.start();
        let run = room.unlock();
        assert_eq!(run.code(), 7, "{case}: {}", run.stderr);
        let expected =
            format!("error: {} {said}, so nobody can say which records are too old\nhint: *", path.display());
        assert_like(&run.stderr, &expected, case);
        assert!(room.client().status().unwrap().locked, "{case}");
        drop(agent);
        // Enrolling makes no new one, which would let every older record in.
        let run = room.enroll(&BINANCE, &["--replace"]);
        assert_eq!(run.code(), 7, "{case}: {}", run.stderr);
    }
    std::fs::write(&path, whole).unwrap();
    let _agent = room.start_unlocked();
    assert_eq!(room.client().status().unwrap().ready, 2);
}

#[test]
fn opens_a_record_that_is_newer_than_its_floor() {
    // As a crash leaves it that comes between both.
    let room = room_of_two();
    let path = floors(&room);
    let before = std::fs::read(&path).unwrap();
    let token = Copy::of(&room.token.tokens());
    let _ = grant(&room, &["add", "binance-main", "--to", "client:grid-bot", "--allow", "*"]).ok();
    let after = std::fs::read(&path).unwrap();
    assert_ne!(before, after);
    std::fs::write(&path, before).unwrap();
    token.put_back();
    let _agent = room.start_unlocked();
    assert_eq!(room.client().status().unwrap().ready, 2);
    assert_eq!(std::fs::read(&path).unwrap(), after, "and raises the floor");
}

#[test]
fn refuses_a_record_whose_grants_were_edited() {
    let room = room_of_two();
    let _ = grant(&room, &["add", "binance-main", "--to", "client:grid-bot", "--allow", "*"]).ok();
    edit(&room.record("binance-main"), |text| text.replace("\"client:grid-bot\"", "\"client:grid-cat\""));
    let _agent = room.start_unlocked();
    let shown = room.client().show("binance-main").unwrap();
    assert_eq!(shown.fault, "the record does not open: it was edited, damaged, or swapped with another");
    assert!(room.client().show("kraken-main").unwrap().ready);
}
