//! Honey credentials: nobody can tell one from another before it is used, and every use raises an alarm.

use std::path::PathBuf;

use strongroom_client::{Client, Credential, Error, ErrorCode, SignRequest};
use strongroom_softhsm_tests::process::{SOON, wait_until, write_script};
use strongroom_softhsm_tests::room::{Key, Room};

use crate::keys::BINANCE;

/// Who may do what, for a client called `bot` and for this user.
fn grants(room: &Room, name: &str, allow: &str) -> String {
    let path = room.folder().join(format!("{name}.grants"));
    let uid = rustix::process::geteuid().as_raw();
    let unbound = if allow == "*" { "" } else { "accept_unbound = [\"method\", \"path\"]\n" };
    let text = format!(
        "[[grant]]\nid = \"own\"\nto = \"user:{uid}\"\nallow = [\"*\"]\n\n[[grant]]\nid = \"bot\"\nto = \"client:bot\"\nallow = [\"{allow}\"]\n{unbound}"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A room with a trap, a credential like it, and one that `bot` may only read with; and a script that notes each alarm.
fn room(script: &str) -> (Room, PathBuf) {
    let room = Room::new();
    for (name, allow, more) in
        [("bait", "*", ["--honey"].as_slice()), ("like-it", "*", &[]), ("reader", "read", &[])]
    {
        let file = grants(&room, name, allow);
        let _ = room.enroll(&Key { name, ..BINANCE }, &[&["--grants", &file], more].concat()).ok();
    }
    let (alarm, noted) = (room.folder().join("alarm"), room.folder().join("noted"));
    std::fs::create_dir(&noted).unwrap();
    write_script(&alarm, &format!("#!/bin/sh\n{script}\n"));
    let config = std::fs::read_to_string(room.config()).unwrap();
    let command = format!("\n[alert]\ncommand = [{alarm:?}, {noted:?}, \"an argument; with $signs\"]\n");
    std::fs::write(room.config(), config + &command).unwrap();
    (room, noted)
}

fn bot(room: &Room) -> Client {
    room.client().with_token(room.client().add_client("bot").unwrap())
}

fn order(name: &str) -> SignRequest<'_> {
    SignRequest::new(name, "POST", "/api/v3/order").query("symbol", "BTCUSDT").query("side", "BUY")
}

fn denied(error: &Error) -> (Option<ErrorCode>, String, String) {
    (error.code(), error.to_string(), error.hint().to_owned())
}

/// Lines of the audit log about a credential, by verdict.
fn verdicts(room: &Room, name: &str) -> Vec<String> {
    let told =
        room.run(&["audit", "show", "--json", "--kind", "sign", "--credential", name], None, &[]).json();
    told.as_array().unwrap().iter().map(|line| line["verdict"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn looks_like_any_other_to_a_client_and_denies_as_any_other_does() {
    let (room, noted) = room(
        "cat /proc/$$/environ > \"$1/$$.part\" && printf '%s' \"$2\" > \"$1/$$.said\" && mv \"$1/$$.part\" \"$1/$$\"",
    );
    let agent = room.start_unlocked();
    let bot = bot(&room);
    let listed = bot.list().unwrap();
    let told = |name: &str| -> Credential {
        let mut found = listed.iter().find(|credential| credential.name == name).unwrap().clone();
        (found.name, found.enrolled_unix) = (String::new(), 0);
        found
    };
    assert_eq!(told("bait"), told("like-it"));
    assert!(!told("bait").honey && told("bait").ready);
    assert!(!format!("{:?}", bot.grants("bait").unwrap()).contains("honey"));
    let admins: Vec<_> = room.client().list().unwrap().into_iter().map(|one| (one.name, one.honey)).collect();
    assert_eq!(
        admins,
        [("bait".to_owned(), true), ("like-it".to_owned(), false), ("reader".to_owned(), false)]
    );

    let fell = denied(&bot.sign(&order("bait")).unwrap_err());
    let ordinary = denied(&bot.sign(&order("reader")).unwrap_err());
    assert_eq!((&fell, fell.0), (&ordinary, Some(ErrorCode::Denied)));
    let _ = bot.sign(&order("like-it")).unwrap();
    // What cannot even be read is answered as ever, and noted all the same.
    let odd = |name| denied(&bot.sign(&SignRequest::new(name, "GET", "/a/../b")).unwrap_err());
    assert_eq!(odd("bait"), odd("like-it"));
    // Neither an admin nor a locked agent changes that.
    assert_eq!(room.client().sign(&order("bait")).unwrap_err().code(), Some(ErrorCode::Denied));
    room.client().lock().unwrap();
    let locked = |name| denied(&bot.sign(&order(name)).unwrap_err());
    assert_eq!(locked("bait"), locked("like-it"));

    assert_eq!(verdicts(&room, "bait"), ["honey"; 4]);
    assert_eq!(verdicts(&room, "like-it"), ["allowed", "refused", "refused"]);
    // Nor do grants explain it away.
    let lines = room
        .run(&["audit", "show", "--json", "--credential", "bait", "--verdict", "honey"], None, &[])
        .json();
    let first = lines[0]["seq"].to_string();
    let told = room.run(&["grant", "explain", "bait", "--json", "--line", &first], None, &[]).json();
    assert_eq!((&told["verdict"], &told["log"]["verdict"]), (&"denied".into(), &"honey".into()), "{told}");
    assert!(told["lines"].to_string().contains("the credential is a trap (honey)"), "{told}");
    // A report does not pass it off as something that was denied.
    let report = room.run(&["audit", "report", "--credential", "bait", "--json"], None, &[]).json();
    let ways = report["clients"].as_array().unwrap();
    let sum =
        |verdict: &str| -> u64 { ways.iter().map(|way| way["signatures"][verdict].as_u64().unwrap()).sum() };
    assert_eq!((sum("honey"), sum("denied")), (4, 0), "{report}");
    let page = room.folder().join("bait.html");
    let _ = room
        .run(&["audit", "report", "--credential", "bait", "--html", page.to_str().unwrap()], None, &[])
        .ok();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<rect class=\"honey\"") && !page.contains("<rect class=\"denied\""), "{page}");
    assert_eq!(agent.log().matches("a honey credential was used").count(), 4, "{}", agent.log());
    let alarms = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&noted).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_none()).collect()
    };
    wait_until("four alarms", SOON, || alarms().len() == 4);
    for alarm in alarms() {
        let facts = std::fs::read(&alarm).unwrap();
        let facts: Vec<_> = facts.split(|byte| *byte == 0).filter(|fact| !fact.is_empty()).collect();
        assert!(facts.iter().all(|fact| fact.starts_with(b"STRONGROOM_")), "nothing but facts: {facts:?}");
        assert!(facts.contains(&b"STRONGROOM_CREDENTIAL=bait".as_slice()), "{facts:?}");
        assert!(facts.contains(&b"STRONGROOM_EVENT=honey".as_slice()), "{facts:?}");
        assert_eq!(
            std::fs::read_to_string(alarm.with_extension("said")).unwrap(),
            "an argument; with $signs"
        );
    }
    let facts = alarms().into_iter().filter(|path| {
        let facts = std::fs::read(path).unwrap();
        strongroom_softhsm_tests::process::contains(&facts, b"STRONGROOM_PRINCIPAL=client:bot")
    });
    assert_eq!(facts.count(), 3, "and one of the admin");
    wait_until("nobody is left behind", SOON, || agent.children("alarm").is_empty());
}

#[test]
fn runs_few_alarms_at_once_and_ends_those_that_hang() {
    let (room, _) = room("exec sleep 600");
    let agent = room.start_unlocked();
    let mut used = 0;
    wait_until("no more are run", SOON, || {
        let _ = room.client().sign(&order("bait")).unwrap_err();
        used += 1;
        let runs = agent.children("sleep").len();
        assert!(runs <= 4, "{runs}");
        agent.log().contains("as many as may run do already")
    });
    wait_until("they are ended", SOON, || {
        agent.children("sleep").is_empty() && agent.log().contains("it has run for too long")
    });
    assert_eq!(verdicts(&room, "bait"), vec!["honey"; used]);
}

#[test]
fn keeps_its_mark_as_all_else_in_its_record_is_kept() {
    let (room, _) = room("exit 0");
    let path = room.record("bait");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("honey = true\n"), "{text}");
    std::fs::write(&path, text.replace("honey = true\n", "")).unwrap();
    let other = std::fs::read_to_string(room.record("like-it")).unwrap();
    let marked = other.replace("revision = ", "honey = true\nrevision = ");
    std::fs::write(room.record("like-it"), &marked).unwrap();
    assert_ne!(marked, other);
    let _agent = room.start_unlocked();
    let ready: Vec<_> = room.client().list().unwrap().into_iter().map(|one| (one.name, one.ready)).collect();
    assert_eq!(
        ready,
        [("bait".to_owned(), false), ("like-it".to_owned(), false), ("reader".to_owned(), true)]
    );
}
