//! Gaps of the audit log that its owner accepts, from outside: with the PIN, visible for ever, and no others.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strongroom_softhsm_tests::room::{Room, Run};

use crate::audit::{files, findings, hex, lines, room, verify};
use crate::audit_head::{Kept, sign};
use crate::keys::edit;

fn session(room: &Room) {
    let agent = room.start_unlocked();
    sign(room, 0..2);
    assert!(agent.terminate().success());
}

/// A log that was restored from before the last unlock, and what its gap is called.
fn restored() -> (Room, String) {
    let room = room();
    session(&room);
    let (backup, kept) = (Kept::of(&room), lines(&room).len());
    session(&room);
    session(&room);
    backup.put_back(&room);
    session(&room);
    let cut = lines(&room).iter().find(|line| line["kind"] == "cut").unwrap()["seq"].as_u64().unwrap();
    // The start that came before the unlock has found nothing.
    (room, format!("lines {} to {} are missing", kept + 2, cut - 1))
}

fn accept(room: &Room) -> Run {
    room.run(&["audit", "accept-cut", "--pin-stdin", "--json"], Some(&room.token.pin), &[])
}

/// What is accepted in a log of which nothing else is found.
fn accepted(room: &Room) -> Vec<String> {
    let (code, told) = verify(room, &[]);
    assert_eq!(
        (code, &told["ok"], &told["findings"]),
        (11, &Value::Bool(true), &serde_json::json!([])),
        "{told}"
    );
    let told = told["accepted"].as_array().unwrap().iter();
    told.map(|accepted| accepted["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn shows_a_gap_for_ever_that_was_accepted_with_the_pin_and_demands_all_else() {
    let (room, gap) = restored();
    let before = findings(&room, &[]);
    assert!(before.contains(&gap) && before.len() == 2, "{gap}: {before:?}");

    let agent = room.start();
    assert_eq!(accept(&room).code(), 7, "an agent runs");
    assert!(agent.terminate().success());
    let wrong = room.run(&["audit", "accept-cut", "--pin-stdin"], Some("0000wrong"), &[]);
    assert_eq!(wrong.code(), 7, "{wrong:?}");
    assert_eq!(findings(&room, &[]), before, "that was no PIN, and its line accepts nothing");
    let run = accept(&room);
    assert!(run.stderr.contains(&format!("to be accepted: {gap}")), "{run:?}");
    let told = run.json();
    let line = lines(&room).pop().unwrap();
    assert_eq!(
        (&line["kind"], &line["seq"], &line["verdict"]),
        (&"accept-cut".into(), &told["line"], &"allowed".into())
    );
    assert_eq!(line["uid"], rustix::process::geteuid().as_raw());
    let what = accepted(&room);
    assert!(what.contains(&gap) && what.len() == 2, "{what:?}");
    let text = room.run(&["audit", "verify"], None, &[]);
    assert_eq!(text.code(), 11, "{text:?}");
    assert!(text.stdout.contains(&format!("accepted in line {}: {gap}", told["line"])), "{text:?}");

    // For ever, and once.
    session(&room);
    assert_eq!(accepted(&room), what);
    let again = accept(&room);
    assert!(again.code() == 3 && again.stderr.contains("there is nothing to accept"), "{again:?}");

    // What is cut off later is found, at this gap too.
    let path = &files(&room)[0];
    let whole = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = whole.split_inclusive('\n').collect();
    let at = rows.iter().position(|row| row.contains("\"kind\":\"cut\"")).unwrap();
    let with = |rows: &[&str]| std::fs::write(path, rows.concat()).unwrap();
    for (case, rows) in [
        ("one line more before it", [&rows[..at - 1], &rows[at..]].concat()),
        ("the line that tells of it", [&rows[..at], &rows[at + 1..]].concat()),
    ] {
        with(&rows);
        let found = findings(&room, &[]);
        assert!(found.iter().any(|what| what.ends_with("are missing") && *what != gap), "{case}: {found:?}");
        let refused = accept(&room);
        assert!(case.starts_with("one") || refused.code() == 3, "{case}: {refused:?}");
        with(&[&whole]);
    }
    assert_eq!(accepted(&room), what, "the control");
}

#[test]
fn accepts_nothing_that_the_token_has_not_signed_for_that_very_log() {
    let (room, gap) = restored();
    let untouched = Kept::of(&room);
    let _ = accept(&room).ok();
    let genuine = std::fs::read_to_string(&files(&room)[0]).unwrap();
    let line = genuine.lines().last().unwrap().to_owned();
    let value = |name: &str| {
        let rest = line.split_once(&format!("\"{name}\":\"")).unwrap().1;
        rest.split('"').next().unwrap().to_owned()
    };
    let signature = value("token_signature");
    let other = if signature.starts_with('0') { "1" } else { "0" };
    for (case, edited) in [
        ("another signature", line.replace(&signature, &format!("{other}{}", &signature[1..]))),
        ("another user", line.replacen("\"uid\":", "\"uid\":7", 1)),
        ("another time", line.replace(&value("at"), "2026-11-22T04:00:00.000000Z")),
        ("a longer gap", line.replacen("\"gaps\":[\"", "\"gaps\":[\"1", 1)),
        ("no token", line.replace("token_key", "key_token")),
    ] {
        assert_ne!(edited, line, "{case}");
        edit(&files(&room)[0], |text| text.replace(&line, &edited));
        let found = findings(&room, &[]);
        assert!(found.contains(&gap), "{case}: {found:?}");
        std::fs::write(&files(&room)[0], &genuine).unwrap();
    }
    assert_eq!(accepted(&room).len(), 2, "the control");

    // The same words at another place of the log: of one that went on before they were said.
    untouched.put_back(&room);
    session(&room);
    let last = files(&room)[0].clone();
    let text = std::fs::read_to_string(&last).unwrap();
    let before = text.lines().last().unwrap();
    let prev = hex(&Sha256::digest(format!("{before}\n")));
    let seq = serde_json::from_str::<Value>(before).unwrap()["seq"].as_u64().unwrap();
    let moved = line
        .replacen(
            &format!("\"seq\":{}", serde_json::from_str::<Value>(&line).unwrap()["seq"]),
            &format!("\"seq\":{}", seq + 1),
            1,
        )
        .replace(&value("prev"), &prev);
    std::fs::write(&last, format!("{text}{moved}\n")).unwrap();
    let found = findings(&room, &[]);
    let unsigned = format!("the token has not signed in line {} that missing lines are accepted", seq + 1);
    assert!(found.contains(&unsigned) && found.contains(&gap), "{found:?}");
}

#[test]
fn accepts_no_edit_and_no_end_that_the_agent_has_not_found_yet() {
    let room = room();
    session(&room);
    let nothing = accept(&room);
    assert!(nothing.code() == 3 && nothing.stderr.contains("there is nothing to accept"), "{nothing:?}");
    let path = &files(&room)[0];
    let whole = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = whole.split_inclusive('\n').collect();
    for (case, text) in [
        ("an edit", whole.replacen("BTCUSDT", "ETHUSDT", 1)),
        ("a line in the middle", [&rows[..4], &rows[5..]].concat().concat()),
        ("an end", rows[..rows.len() - 3].concat()),
    ] {
        std::fs::write(path, &text).unwrap();
        let refused = accept(&room);
        assert_eq!(refused.code(), 3, "{case}: {refused:?}");
        assert!(refused.stderr.contains("more than what the agent has found missing"), "{case}: {refused:?}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), text, "{case}: nothing was written");
    }
}
