//! Records on the disk: what was changed from outside does not open, says so, and harms no other.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::room::{Key, Room};

use crate::keys::{BINANCE, KRAKEN, account, balance, edit};

const CHANGED: &str = "the record does not open: it was edited, damaged, or swapped with another";

/// What the agent says of a credential after an unlock; empty where it can sign.
fn fault(room: &Room, name: &str) -> String {
    let agent = room.start();
    let run = room.unlock();
    let listed = room.client().list().unwrap();
    let found = listed.iter().find(|credential| credential.name == name).unwrap();
    assert_eq!(found.ready, found.fault.is_empty());
    // Others are unaffected.
    let other = listed.iter().find(|credential| credential.name == "kraken-main").unwrap();
    assert!(other.ready, "{}", other.fault);
    let _ = room.client().sign(&balance()).unwrap();
    assert_eq!(run.code(), 0, "{}", run.stderr);
    if !found.ready {
        let told = format!("warning: {name}: {}\n", found.fault);
        assert_eq!(run.stderr, told, "unlock reports it");
        let refused = room.client().sign(&account()).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Unavailable));
        assert_eq!(refused.to_string(), format!("credential `{name}` cannot sign: {}", found.fault));
    }
    drop(agent);
    found.fault.clone()
}

fn room_of_two() -> Room {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    room
}

/// The edit of one field: its line, and what is said then. `*` stands for anything.
const EDITS: [(&str, &str, &str); 25] = [
    ("name", "\"binance-mainx\"", "* holds the record of `binance-mainx`; records must not be renamed"),
    ("venue", "\"bybit\"", CHANGED),
    ("key_id", "\"AnotherPublicHalf\"", CHANGED),
    ("base_url", "\"https://fapi.binance.com\"", CHANGED),
    ("algorithm", "\"hmac-sha512\"", CHANGED),
    ("secret_form", "\"base64\"", CHANGED),
    ("passphrase", "\"plain\"", CHANGED),
    ("secret_min_bytes", "33", CHANGED),
    ("secret_max_bytes", "129", CHANGED),
    ("enrolled", "\"2020-01-01T00:00:00Z\"", CHANGED),
    ("token_serial", "\"0000000000000000\"", "the record was wrapped by token `strongroom test` (serial 0*"),
    ("token_label", "\"another label\"", CHANGED),
    ("kek_id", "\"00112233445566778899aabbccddeeff\"", "the record was wrapped by token `strongroom test` *"),
    ("rung", "\"aes-cbc\"", "the token does not recover the record's seed (*"),
    ("rung", "\"xor\"", "* is no record: *"),
    ("seed", "\"AgIC\"", "the token does not recover the record's seed (*"),
    ("envelope", "\"AQID\"", CHANGED),
    ("envelope", "\"not base64\"", "* is no record: *"),
    ("id", "\"another-name\"", CHANGED),
    ("to", "\"client:grid-bot\"", CHANGED),
    ("allow", "[\"read\"]", CHANGED),
    ("allow", "[\"everything\"]", "* is no record: *"),
    ("revision", "2", CHANGED),
    (
        "revision",
        "0",
        "the record was rolled back: it has revision 0, and revision 1 was in force already; *",
    ),
    ("format", "1", "* has format 1, and this strongroom reads format 2 only"),
];

#[test]
fn refuses_a_record_of_which_any_field_was_edited() {
    let room = room_of_two();
    let path = room.record("binance-main");
    let whole = std::fs::read_to_string(&path).unwrap();
    assert_eq!(fault(&room, "binance-main"), "", "the control: unedited it opens");
    for (field, value, said) in EDITS {
        let mut changed = 0;
        let lines: Vec<String> = whole
            .lines()
            .map(|line| match line.split_once(" = ") {
                Some((name, before)) if name == field => {
                    assert_ne!(before, value);
                    changed += 1;
                    format!("{name} = {value}")
                }
                _ => line.to_owned(),
            })
            .collect();
        assert_eq!(changed, 1, "{field} stands once in the record:\n{whole}");
        std::fs::write(&path, lines.join("\n")).unwrap();
        assert_like(&fault(&room, "binance-main"), said, field);
    }
    let fields = whole.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    for field in fields {
        assert!(EDITS.iter().any(|(edited, ..)| *edited == field), "no edit of `{field}` was tried");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(fault(&room, "binance-main"), "", "put back, it opens again");
}

#[test]
fn refuses_a_record_with_a_uid_added_an_unknown_field_or_a_field_gone() {
    let room = room_of_two();
    let path = room.record("binance-main");
    let whole = std::fs::read_to_string(&path).unwrap();
    for (what, from, to, said) in [
        ("a uid", "base_url = ", "uid = \"77\"\nbase_url = ", CHANGED),
        ("an empty uid", "base_url = ", "uid = \"\"\nbase_url = ", "* has an empty uid"),
        (
            "an unknown field",
            "base_url = ",
            "note = \"hello\"\nbase_url = ",
            "* is no record: *unknown field `note`*",
        ),
        (
            "a missing field",
            "base_url = \"https://api.binance.com\"\n",
            "",
            "* is no record: *missing field `base_url`*",
        ),
        ("a field twice", "rung = ", "rung = \"aes-gcm\"\nrung = ", "* is no record: *duplicate key*"),
    ] {
        assert!(whole.contains(from), "{whole}");
        std::fs::write(&path, whole.replace(from, to)).unwrap();
        assert_like(&fault(&room, "binance-main"), said, what);
    }
}

#[test]
fn refuses_a_record_that_was_cut_anywhere() {
    let room = room_of_two();
    let path = room.record("binance-main");
    let whole = std::fs::read(&path).unwrap();
    for eighths in [0, 2, 5, 7] {
        std::fs::write(&path, &whole[..whole.len() * eighths / 8]).unwrap();
        assert_like(&fault(&room, "binance-main"), "* is no record: *", "a cut record");
    }
}

#[test]
fn refuses_wrapped_parts_of_another_record_and_renamed_records() {
    let room = room_of_two();
    let second = Key { name: "binance-two", ..BINANCE };
    let _ = room.enroll(&second, &[]).ok();
    let (one, two) = (room.record("binance-main"), room.record("binance-two"));
    let (first, other) = (std::fs::read_to_string(&one).unwrap(), std::fs::read_to_string(&two).unwrap());
    let line = |text: &str, name: &str| -> String {
        text.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap().to_owned()
    };
    // Key, venue, secret and token are the same: only the name tells the two records apart.
    for fields in [&["seed"][..], &["envelope"], &["seed", "envelope"]] {
        let mut swapped = first.clone();
        for field in fields {
            swapped = swapped.replace(&line(&first, field), &line(&other, field));
        }
        assert_ne!(swapped, first);
        std::fs::write(&one, swapped).unwrap();
        assert_eq!(fault(&room, "binance-main"), CHANGED, "{fields:?}");
    }
    std::fs::write(&one, &other).unwrap();
    let said = "* holds the record of `binance-two`; records must not be renamed";
    assert_like(&fault(&room, "binance-main"), said, "a renamed record");
    std::fs::write(&one, other.replace("\"binance-two\"", "\"binance-main\"")).unwrap();
    assert_eq!(fault(&room, "binance-main"), CHANGED, "renamed in the record too");
}

#[test]
fn fails_to_unlock_only_where_no_record_opens() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    edit(&room.record("binance-main"), |text| text.replace("enrolled = \"2", "enrolled = \"1"));
    let _agent = room.start();
    let run = room.unlock();
    assert_eq!(run.code(), 7);
    assert_eq!(
        run.stderr,
        format!(
            "error: binance-main: {CHANGED}\n\
             hint: restore the record from a backup, or enrol the credential again with --replace\n"
        )
    );
    let _ = room.enroll(&BINANCE, &["--replace"]).ok();
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn opens_no_record_of_another_token() {
    let room = room_of_two();
    let foreign = Room::new();
    let _ = foreign.enroll(&BINANCE, &["--replace"]).ok();
    std::fs::copy(foreign.record("binance-main"), room.record("binance-main")).unwrap();
    let said = format!(
        "the record was wrapped by token `strongroom test` (serial {}), or by another KEK of it; this agent uses \
         token `strongroom test` (serial {})",
        foreign.token.serial, room.token.serial
    );
    assert_eq!(fault(&room, "binance-main"), said);
    // With its own token's serial and KEK written into it, it still does not open.
    let own = std::fs::read_to_string(room.config()).unwrap();
    let kek = own.lines().find(|line| line.starts_with("kek_id = ")).unwrap().to_owned();
    edit(&room.record("binance-main"), |text| {
        let theirs = text.lines().find(|line| line.starts_with("kek_id = ")).unwrap().to_owned();
        text.replace(&foreign.token.serial, &room.token.serial).replace(&theirs, &kek)
    });
    assert_like(
        &fault(&room, "binance-main"),
        "the token does not recover the record's seed (*",
        "a foreign seed",
    );
}

#[test]
fn refuses_every_record_when_another_kek_is_configured() {
    let room = room_of_two();
    let second = room.folder().join("second.toml");
    let run = room.run(
        &[
            "--config",
            second.to_str().unwrap(),
            "init",
            "--module",
            room.token.module.to_str().unwrap(),
            "--serial",
            &room.token.serial,
            "--kek-label",
            "second",
            "--module-env",
            &format!("SOFTHSM2_CONF={}", room.token.conf.display()),
            "--pin-stdin",
        ],
        Some(&room.token.pin),
        &[],
    );
    let _ = run.ok();
    std::fs::copy(&second, room.config()).unwrap();
    let _agent = room.start();
    let run = room.unlock();
    assert_eq!(run.code(), 7);
    assert_like(
        &run.stderr,
        "error: binance-main: the record was wrapped by token *or by another KEK of it*",
        "",
    );
    assert_eq!(room.client().status().unwrap().ready, 0);
}

#[test]
fn writes_files_and_folders_for_this_user_only() {
    let room = room_of_two();
    let agent = room.start_unlocked();
    let _ = room.client().sign(&balance()).unwrap();
    let mode =
        |path: &Path| std::fs::metadata(path).unwrap_or_else(|e| panic!("{path:?}: {e}")).mode() & 0o7777;
    let data = room.data();
    for folder in [data.clone(), data.join("records"), data.join("nonces"), room.folder().join("run")] {
        assert_eq!(mode(&folder), 0o700, "{folder:?}");
    }
    let files = [
        room.record("binance-main"),
        data.join("nonces/kraken-main.toml"),
        data.join("lock"),
        room.config(),
        room.socket(),
        room.socket().with_extension("lock"),
    ];
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
    assert!(!data.join("nonces/binance-main.toml").exists(), "this venue has no nonces");
    drop(agent);
}

/// Compares with a pattern in which each `*` stands for any text.
pub(crate) fn assert_like(text: &str, pattern: &str, case: &str) {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let mut rest = text.strip_prefix(first);
    let mut last = first;
    for part in parts {
        rest = rest.and_then(|rest| Some(&rest[rest.find(part)? + part.len()..]));
        last = part;
    }
    let whole = rest.is_some_and(|rest| rest.is_empty() || last.is_empty());
    assert!(whole, "{case}: {text:?}\nis not like {pattern:?}");
}
