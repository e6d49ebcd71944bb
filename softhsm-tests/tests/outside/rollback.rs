//! A whole data folder that is rolled back: its floors with its records, which the token remembers better.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::room::{Room, Run};

use crate::keys::{BINANCE, KRAKEN, account, balance};
use crate::records::assert_like;

const ROLLED_BACK: &str = "error: the data folder was rolled back: its floors have the number *, and the token knows number *\n\
                           hint: put the newest data folder back; *`strongroom accept-restore`\n";

/// A folder as it is now, beside it.
pub(crate) struct Copy {
    of: PathBuf,
    at: PathBuf,
}

impl Copy {
    pub(crate) fn of(folder: &Path) -> Self {
        let name = format!("copy-{}", folder.file_name().unwrap().display());
        let at = (0_u32..).map(|nth| folder.with_file_name(format!("{name}-{nth}")));
        let at = at.into_iter().find(|at| !at.exists()).unwrap();
        copy(folder, &at);
        Self { of: folder.to_owned(), at }
    }

    /// Puts it back, in the place of what is there.
    pub(crate) fn put_back(&self) {
        std::fs::remove_dir_all(&self.of).unwrap();
        copy(&self.at, &self.of);
    }

    fn record(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at.join("records").join(format!("{name}.toml"))).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

fn room_of_two() -> Room {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    room
}

fn with_pin(room: &Room, arguments: &[&str]) -> Run {
    room.run(&[arguments, &["--pin-fd", "3"]].concat(), None, &[(3, &room.token.pin)])
}

fn narrow(room: &Room) {
    let own = format!("user-{}", rustix::process::geteuid().as_raw());
    let _ = with_pin(room, &["grant", "remove", "binance-main", &own]).ok();
}

/// Nothing opens, and nothing is made.
fn assert_refused(room: &Room, case: &str) {
    let agent = room.start();
    let run = room.unlock();
    assert_eq!(run.code(), 7, "{case}: {}", run.stderr);
    assert_like(&run.stderr, ROLLED_BACK, case);
    assert!(room.client().status().unwrap().locked, "{case}");
    drop(agent);
    for run in [
        room.enroll(&BINANCE, &["--replace"]),
        with_pin(room, &["grant", "add", "binance-main", "--to", "client:bot", "--allow", "*"]),
    ] {
        assert_eq!(run.code(), 7, "{case}: {}", run.stderr);
        assert_like(&run.stderr, ROLLED_BACK, case);
    }
}

#[test]
fn refuses_a_whole_data_folder_from_before_grants_were_narrowed() {
    let room = room_of_two();
    let before = Copy::of(&room.data());
    narrow(&room);
    let after = Copy::of(&room.data());
    before.put_back();
    assert_refused(&room, "narrowed without an agent");

    // The control: the newest one opens, and says what it said.
    after.put_back();
    let agent = room.start_unlocked();
    let client = room.client();
    let _ = client.sign(&balance()).unwrap();
    assert!(client.sign(&account()).is_err(), "its only grant was taken away");
    assert_eq!(client.status().unwrap().weaknesses, Vec::<String>::new());

    // And so it is for what a running agent changes.
    let before = Copy::of(&room.data());
    let add = ["grant", "add", "binance-main", "--to", "client:bot", "--allow", "*"];
    let _ = with_pin(&room, &add).ok();
    drop(agent);
    before.put_back();
    assert_refused(&room, "changed by an agent");
}

#[test]
fn refuses_a_whole_data_folder_from_before_a_removal_that_the_token_knows_of() {
    let room = room_of_two();
    for (case, unlocked) in [("unlocked", true), ("no agent", false)] {
        let before = Copy::of(&room.data());
        let agent = unlocked.then(|| room.start_unlocked());
        let _ = room.run(&["remove", "binance-main", "--yes"], None, &[]).ok();
        let agent = agent.unwrap_or_else(|| room.start());
        if unlocked {
            assert_eq!(room.client().status().unwrap().weaknesses, ["anchor_behind"], "{case}");
            let told = room.run(&["status"], None, &[]);
            assert!(told.stderr.contains("`strongroom unlock` tells it\n"), "{case}: {}", told.stderr);
        }
        // All records are loaded, and still this login has something to do.
        let _ = room.unlock().ok();
        assert_eq!(room.client().status().unwrap().weaknesses, Vec::<String>::new(), "{case}");
        drop(agent);
        let after = Copy::of(&room.data());
        before.put_back();
        assert_refused(&room, case);
        after.put_back();
        let _ = room.enroll(&BINANCE, &[]).ok();
    }
}

#[test]
fn takes_a_restored_folder_over_and_nothing_that_came_after_it() {
    let room = room_of_two();
    let backup = Copy::of(&room.data());
    // Wider for a while, then narrow; and one that comes and goes.
    let add = ["grant", "add", "binance-main", "--to", "client:bot", "--allow", "*"];
    let _ = with_pin(&room, &add).ok();
    let wide = Copy::of(&room.data());
    let _ = with_pin(&room, &["grant", "remove", "binance-main", "bot"]).ok();
    let later = strongroom_softhsm_tests::room::Key { name: "later", ..BINANCE };
    let _ = room.enroll(&later, &[]).ok();
    let newest = Copy::of(&room.data());
    let accept = ["accept-restore"];
    let refused = with_pin(&room, &accept);
    assert_eq!(refused.code(), 3, "{}", refused.stderr);
    assert_like(&refused.stderr, "error: there is nothing to accept: *", "the newest one");

    backup.put_back();
    let agent = room.start();
    let refused = with_pin(&room, &accept);
    assert_eq!((refused.code(), refused.stderr.starts_with("error: an agent runs on")), (7, true));
    drop(agent);
    let wrong = room.run(&["accept-restore", "--pin-fd", "3"], None, &[(3, "00000000")]);
    assert_eq!(wrong.code(), 7, "{}", wrong.stderr);
    assert_refused(&room, "not without the PIN");
    let told = with_pin(&room, &["accept-restore", "--json"]).json();
    assert_eq!((&told["accepted"], &told["left"]), (&json!(["binance-main", "kraken-main"]), &json!([])));

    let agent = room.start_unlocked();
    let client = room.client();
    let _ = client.sign(&account()).unwrap();
    let _ = client.sign(&balance()).unwrap();
    let shown = client.show("binance-main").unwrap();
    assert_eq!((json!(shown.revision), shown.grants), (told["revision"].clone(), 1));
    let lines = room.run(&["audit", "show", "--kind", "restore", "--json"], None, &[]).json();
    let verdicts: Vec<_> = lines.as_array().unwrap().iter().map(|line| &line["verdict"]).collect();
    assert_eq!(verdicts, [&json!("refused"), &json!("allowed")], "wrong PIN, right PIN");
    drop(agent);

    // What was in force between the backup and now is not any more.
    let kept = Copy::of(&room.data());
    for (case, name, record) in [
        ("wide for a while", "binance-main", wide.record("binance-main")),
        ("enrolled later", "later", newest.record("later")),
    ] {
        std::fs::write(room.record(name), record).unwrap();
        let _agent = room.start();
        let _ = room.unlock();
        assert_like(&room.client().show(name).unwrap().fault, "the record was rolled back: *", case);
        kept.put_back();
    }
    // Nor is any folder from before.
    for older in [&backup, &wide, &newest] {
        older.put_back();
        assert_refused(&room, "an older folder");
    }
    kept.put_back();
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn opens_nothing_by_the_newest_floors_wherever_taking_over_was_cut_off() {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let backup = Copy::of(&room.data());
    narrow(&room);
    let newest = Copy::of(&room.data());
    let contents = mock.keep_contents();
    let floors = |data: &Path| data.join("floors");
    let mut cut = 0;
    for call in ["C_Decrypt", "C_CreateObject"] {
        for nth in 1.. {
            let case = format!("{call} {nth}");
            mock.put_contents(&contents);
            backup.put_back();
            mock.set(&[Fault::new(call, nth, "crash")]);
            let run = with_pin(&room, &["accept-restore"]);
            mock.clear();
            if run.code() == 0 && call == "C_Decrypt" {
                assert!(nth > 3, "{case}: both records are behind the floors");
                break;
            }
            let left = Copy::of(&room.data());
            std::fs::remove_dir_all(floors(&room.data())).unwrap();
            copy(&floors(&newest.at), &floors(&room.data()));
            let agent = room.start();
            let _ = room.unlock();
            assert!(room.client().sign(&account()).is_err(), "{case}");
            assert!(room.client().sign(&balance()).is_err() || run.code() != 0, "{case}");
            drop(agent);
            left.put_back();
            cut += 1;
            if run.code() == 0 {
                // The token alone was not told of the end; the next login does that.
                let _agent = room.start_unlocked();
                let _ = room.client().sign(&account()).unwrap();
                break;
            }
            let again = with_pin(&room, &["accept-restore"]).ok();
            assert!(again.contains("accepted binance-main"), "{case}: {again:?}");
            let _agent = room.start_unlocked();
            let _ = room.client().sign(&account()).unwrap();
        }
    }
    assert!(cut > 3, "{cut}");
}

#[test]
fn leaves_out_of_a_restored_folder_what_does_not_belong_to_it() {
    let room = room_of_two();
    let older = std::fs::read(room.record("binance-main")).unwrap();
    let add = ["grant", "add", "binance-main", "--to", "client:bot", "--allow", "*"];
    let _ = with_pin(&room, &add).ok();
    let backup = Copy::of(&room.data());
    narrow(&room);
    backup.put_back();
    std::fs::write(room.record("binance-main"), older).unwrap();
    let told = with_pin(&room, &["accept-restore", "--json"]).json();
    assert_eq!(told["accepted"], json!(["kraken-main"]));
    assert_eq!(told["left"][0]["name"], "binance-main");
    let _agent = room.start_unlocked();
    assert_like(&room.client().show("binance-main").unwrap().fault, "the record was rolled back: *", "");
    let _ = room.client().sign(&balance()).unwrap();
}

#[test]
fn refuses_where_the_token_has_forgotten_what_it_knew() {
    let room = room_of_two();
    let delete = ["--delete-object", "--type", "data", "--label", "strongroom floors"];
    let mut deleted = 0;
    while room.token.pkcs11_tool(&delete).status.success() {
        deleted += 1;
    }
    assert_eq!(deleted, 2, "the newest, and the one before it");
    let agent = room.start();
    let run = room.unlock();
    let said =
        "error: the token does not know the floors of this data folder any more, though it did\nhint: *";
    assert_like(&run.stderr, said, "");
    drop(agent);
    let _ = with_pin(&room, &["accept-restore"]).ok();
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    assert_eq!(room.client().status().unwrap().weaknesses, Vec::<String>::new());
}

/// Who has no PIN can make public objects, at most.
#[test]
fn believes_no_object_that_was_made_without_the_pin() {
    let room = room_of_two();
    let value = room.folder().join("value");
    let path = value.to_str().unwrap();
    let named = ["--type", "data", "--label", "strongroom floors"];
    let read = room.token.pkcs11_tool(&[&["--read-object", "--output-file", path], &named[..]].concat());
    assert!(read.status.success(), "{read:?}");
    let mut anchor = std::fs::read(&value).unwrap();
    assert!(anchor.starts_with(b"SRfloor1"), "{anchor:?}");
    // Behind the mark and the id, as a little-endian number.
    anchor[31] = 0x70;
    std::fs::write(&value, anchor).unwrap();
    let write =
        ["--token-label", &room.token.label, "--write-object", path, "--application-label", "strongroom"];
    let made = room.token.pkcs11_tool_without_pin(&[&write, &named[..]].concat());
    assert!(made.status.success(), "the control needs the object: {made:?}");
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn keeps_two_folders_of_one_kek_apart() {
    let room = room_of_two();
    let other = room.folder().join("other");
    let other = other.to_str().unwrap();
    let enroll = [
        "--data",
        other,
        "enroll",
        "second",
        "--venue",
        "binance",
        "--key-id",
        BINANCE.key_id,
        "--allow",
        "*",
    ];
    let all = [&enroll[..], &["--pin-fd", "3", "--secret-fd", "4"]].concat();
    let _ = room.run(&all, None, &[(3, &room.token.pin), (4, BINANCE.secret)]).ok();
    let add = ["--data", other, "grant", "add", "second", "--to", "client:bot", "--allow", "*"];
    let _ = with_pin(&room, &add).ok();
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    assert_eq!(room.client().status().unwrap().weaknesses, Vec::<String>::new());
}

/// The token and the folder as every moment of a crash can leave them: the folder is never older than what the
/// token knows.
#[test]
fn unlocks_whatever_a_crash_leaves_of_file_and_token() {
    for (nth, after) in [(1, false), (1, true), (2, false), (2, true), (3, false)] {
        let (token, mock) = Mock::token();
        let room = Room::with(token);
        let _ = room.init(&[]).ok();
        let fault = Fault::new("C_CreateObject", nth, "crash");
        let case =
            format!("the first enrolment, call {nth}, {}", if after { "behind it" } else { "before it" });
        mock.set(&[if after { fault.after() } else { fault }]);
        let run = room.enroll(&BINANCE, &[]);
        mock.clear();
        if !room.record("binance-main").exists() {
            assert_ne!(run.code(), 0, "{case}");
            let _ = room.enroll(&BINANCE, &[]).ok();
        }
        let contents = mock.keep_contents();
        // Before, and behind: what the token was told of each change.
        for (nth, after) in [(1, false), (1, true)] {
            let fault = Fault::new("C_CreateObject", nth, "crash");
            mock.set(&[if after { fault.after() } else { fault }]);
            let add = ["grant", "add", "binance-main", "--to", "client:bot", "--allow", "*", "--id"];
            let id = format!("bot-{nth}-{after}");
            let _ = with_pin(&room, &[&add[..], &[&id]].concat()).ok();
            mock.clear();
            let agent = room.start_unlocked();
            let _ = room.client().sign(&account()).unwrap();
            assert_eq!(room.client().status().unwrap().weaknesses, Vec::<String>::new(), "{case}");
            drop(agent);
        }
        // A token that was told nothing of all that, as after a loss of power.
        mock.put_contents(&contents);
        let before = Copy::of(&room.data());
        let agent = room.start_unlocked();
        let _ = room.client().sign(&account()).unwrap();
        narrow(&room);
        drop(agent);
        before.put_back();
        assert_refused(&room, &case);
    }
}

#[test]
fn goes_on_with_a_token_that_keeps_no_data_and_says_so() {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    mock.set(&[Fault::code("C_CreateObject", 0, "CKR_FUNCTION_NOT_SUPPORTED")]);
    let _ = room.enroll(&BINANCE, &[]).ok();
    let before = Copy::of(&room.data());
    narrow(&room);
    before.put_back();
    let agent = room.start_unlocked();
    let client = room.client();
    let _ = client.sign(&account()).unwrap();
    assert_eq!(client.status().unwrap().weaknesses, ["anchor_absent"]);
    let said =
        "the token keeps no data objects, so a data folder that is rolled back as a whole is not found out";
    let told = room.run(&["status"], None, &[]);
    assert!(told.stderr.contains(said), "{}", told.stderr);
    let doctor = room.run(&["doctor", "--json"], None, &[]).stdout;
    assert!(doctor.contains(said), "{doctor}");
    assert!(agent.log().contains("rolled back as a whole is not found out"), "{}", agent.log());

    // Where it keeps some from now on, the next login uses that.
    mock.clear();
    client.lock().unwrap();
    let _ = room.unlock().ok();
    assert_eq!(client.status().unwrap().weaknesses, Vec::<String>::new());
    let before = Copy::of(&room.data());
    narrow(&room);
    drop(agent);
    before.put_back();
    assert_refused(&room, "it knows now");
}
