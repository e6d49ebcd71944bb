//! The end of the audit log, from outside: who cuts it off leaves a chain that holds, and is found all the same.

use std::path::PathBuf;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::Room;

use crate::audit::{files, findings, folder, head, hex, holds, lines, order, room, verify};

fn sign(room: &Room, ids: std::ops::Range<u32>) {
    for id in ids {
        let _ = room.client().sign(&order(&format!("h{id}"))).unwrap();
    }
}

/// Leaves so many lines of a log of one file.
fn cut(room: &Room, kept: usize) {
    let [path] = &files(room)[..] else { panic!("one file") };
    let text = std::fs::read_to_string(path).unwrap();
    assert!(kept < text.lines().count(), "there is something to cut off");
    std::fs::write(path, text.split_inclusive('\n').take(kept).collect::<String>()).unwrap();
}

fn length(room: &Room) -> usize {
    lines(room).len()
}

/// Whether the last line was cut off in the middle.
fn is_torn(room: &Room) -> bool {
    files(room).last().is_some_and(|path| !std::fs::read(path).unwrap().ends_with(b"\n"))
}

/// A copy of the folder of the log, to be put back.
struct Kept(Vec<(PathBuf, Vec<u8>)>);

impl Kept {
    fn of(room: &Room) -> Self {
        let entries = std::fs::read_dir(folder(room)).unwrap().map(|entry| entry.unwrap().path());
        Self(entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect())
    }

    fn put_back(&self, room: &Room) {
        let _ = std::fs::remove_dir_all(folder(room));
        std::fs::create_dir(folder(room)).unwrap();
        for (path, bytes) in &self.0 {
            std::fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn finds_an_end_that_is_cut_off_while_the_agent_runs() {
    let room = room();
    let agent = room.start_unlocked();
    sign(&room, 0..5);
    let last = holds(&room);
    let number: usize = last.split(':').next().unwrap().parse().unwrap();
    let (_, told) = verify(&room, &[]);
    assert_eq!(told["agent"]["head"], last, "{told}");
    // Behind the checkpoint of the unlock: no signature tells.
    cut(&room, number - 2);
    assert_eq!(findings(&room, &[]), [format!("lines {} to {number} are missing", number - 1)]);
    // Locked or not.
    room.client().lock().unwrap();
    let found = findings(&room, &[]);
    assert!(found.iter().any(|what| what.contains("missing")), "{found:?}");
    // Another folder is compared with no agent of this one.
    let other = Room::new();
    let socket = room.socket().display().to_string();
    let _ = other.enroll(&crate::keys::BINANCE, &[]).ok();
    let (code, told) = verify(&other, &["--socket", &socket]);
    let why = told["agent"]["not_compared"].as_str().unwrap_or_default();
    assert!(code == 0 && why.starts_with("it writes another log"), "{told}");
    agent.kill();
    let (_, told) = verify(&room, &[]);
    assert_eq!(told["agent"]["not_compared"], "none runs", "{told}");
}

#[test]
fn finds_a_log_that_was_deleted_and_begun_anew_for_ever_after() {
    let room = room();
    let agent = room.start_unlocked();
    sign(&room, 0..3);
    assert!(agent.terminate().success());
    assert!(room.start_unlocked().terminate().success());
    // What the token remembers is a line of the last unlock.
    let known = lines(&room).iter().rfind(|line| line["token_key"].is_string()).unwrap()["covers"].clone();
    let number: u64 = known.as_str().unwrap().split(':').next().unwrap().parse().unwrap();
    std::fs::remove_dir_all(folder(&room)).unwrap();

    let agent = room.start();
    let begun = lines(&room);
    assert_eq!((&begun[0]["seq"], &begun[0]["kind"]), (&1.into(), &"cut".into()), "{begun:?}");
    assert!(agent.log().contains("lines of the audit log were cut off or written anew"), "{}", agent.log());
    assert_eq!(room.client().status().unwrap().weaknesses, ["audit_cut"], "while it is locked");
    assert!(findings(&room, &[])[0].starts_with("lines before line 1 were cut off"));
    let _ = room.unlock().ok();
    sign(&room, 0..1);
    assert_eq!(room.client().status().unwrap().weaknesses, ["audit_cut"]);
    let gone = lines(&room).iter().rfind(|line| line["kind"] == "cut").unwrap().clone();
    assert_eq!((&gone["covers"], &gone["seq"]), (&known, &(number + 1).into()), "no number is given twice");
    assert!(agent.terminate().success());

    for _ in 0..2 {
        let found = findings(&room, &[]);
        assert!(found.iter().any(|what| what.ends_with("are missing")), "{found:?}");
        let told = format!("line {} tells that line {number} was gone", number + 1);
        assert!(found.iter().any(|what| what.starts_with(&told)), "{found:?}");
        let agent = room.start_unlocked();
        assert_eq!(
            room.client().status().unwrap().weaknesses,
            Vec::<String>::new(),
            "nothing new is missing"
        );
        assert!(agent.terminate().success());
    }
    assert_eq!(lines(&room).iter().filter(|line| line["kind"] == "cut").count(), 2, "and is told once");
}

#[test]
fn says_at_the_start_what_was_cut_off_before_it() {
    let room = room();
    let agent = room.start_unlocked();
    sign(&room, 0..3);
    assert!(agent.terminate().success());
    let (whole, length) = (Kept::of(&room), length(&room));
    type Case = (&'static str, fn(&Room), &'static str);
    let cases: [Case; 4] = [
        ("two lines", |room| cut(room, lines(room).len() - 2), "line {} was not there, or was another"),
        (
            "all files, for one that is called after a later line",
            |room| {
                std::fs::remove_file(&files(room)[0]).unwrap();
                std::fs::write(folder(room).join("audit-999999999999.jsonl"), "").unwrap();
            },
            "line {} was not there, or was another",
        ),
        ("head.toml", |room| std::fs::remove_file(head(room)).unwrap(), "head.toml was gone or damaged"),
        (
            "the files, and not the key",
            |room| {
                std::fs::remove_file(&files(room)[0]).unwrap();
                std::fs::remove_file(head(room)).unwrap();
            },
            "no line was there, although there are records, or the key of checkpoints",
        ),
    ];
    for (case, attack, said) in cases {
        attack(&room);
        assert_eq!(verify(&room, &[]).0, 3, "{case}: before");
        room.start().kill();
        let told = lines(&room).iter().find(|line| line["kind"] == "cut").unwrap()["cause"].clone();
        assert_eq!(told, said.replace("{}", &(length - 1).to_string()), "{case}");
        assert_eq!(verify(&room, &[]).0, 3, "{case}: after");
        whole.put_back(&room);
        holds(&room);
    }
    room.start().kill();
    assert!(!lines(&room).iter().any(|line| line["kind"] == "cut"), "the control");
}

#[test]
fn finds_at_the_next_unlock_whoever_has_kept_everything_from_before_the_last_one() {
    let room = room();
    let agent = room.start_unlocked();
    sign(&room, 0..2);
    assert!(agent.terminate().success());
    let before = Kept::of(&room);
    let agent = room.start_unlocked();
    sign(&room, 2..4);
    assert!(agent.terminate().success());
    let end = length(&room);

    // The files alone say nothing: the whole folder is as it was. This is what is left open.
    before.put_back(&room);
    holds(&room);
    let agent = room.start();
    holds(&room);
    let _ = room.unlock().ok();
    assert_eq!(room.client().status().unwrap().weaknesses, ["audit_cut"]);
    let found = findings(&room, &[]);
    assert!(found.iter().any(|what| what.contains("tells that line")), "{found:?}");
    agent.kill();
    assert_eq!(verify(&room, &[]).0, 3);

    // The control: the newest folder is not told of.
    assert!(end > before.0.len());
    let room = self::room();
    assert!(room.start_unlocked().terminate().success());
    let newest = Kept::of(&room);
    newest.put_back(&room);
    assert!(room.start_unlocked().terminate().success());
    holds(&room);
}

#[test]
fn raises_no_false_alarm_wherever_an_agent_is_killed() {
    let room = room();
    for round in 0..12 {
        let before = length(&room);
        let agent = room.start();
        std::thread::scope(|scope| {
            let _ = scope.spawn(|| {
                let _ = room.unlock();
                while room.client().sign(&order("k")).is_ok() {}
            });
            // Amid the unlock, and behind it: each round a few lines later.
            wait_until("so much is written", SOON, || length(&room) > before + round / 2);
            std::thread::sleep(Duration::from_millis(u64::try_from(round % 4).unwrap()));
            agent.kill();
        });
        if is_torn(&room) {
            // A kill may leave half a line, which is told of until the next start sets it aside.
            let _ = room.start().terminate();
        }
        holds(&room);
        assert!(length(&room) > before, "round {round}");
    }
    let agent = room.start_unlocked();
    assert!(!lines(&room).iter().any(|line| line["kind"] == "cut"));
    assert!(agent.terminate().success());
    holds(&room);
}

/// Whoever can write the folder has a key too, and may sign with it that lines were deleted.
#[test]
fn takes_no_strangers_word_for_lines_that_were_deleted() {
    let room = room();
    let agent = room.start_unlocked();
    sign(&room, 0..3);
    assert!(agent.terminate().success());
    holds(&room);
    let last = head_of(&lines_as_written(&room).pop().unwrap());
    let forged = prune(&SigningKey::from_bytes(&[7; 32]), &last);
    std::fs::remove_file(&files(&room)[0]).unwrap();
    let (number, _) = last.split_once(':').unwrap();
    let number: u64 = number.parse().unwrap();
    std::fs::write(folder(&room).join(format!("audit-{:012}.jsonl", number + 1)), forged).unwrap();
    let missing = format!("lines 1 to {number} are missing");
    for _ in 0..2 {
        let found = findings(&room, &[]);
        assert!(found.contains(&missing), "{found:?}");
        let agent = room.start_unlocked();
        sign(&room, 3..4);
        assert!(agent.terminate().success());
    }
}

fn lines_as_written(room: &Room) -> Vec<String> {
    let texts = files(room).into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn head_of(row: &str) -> String {
    let seq = serde_json::from_str::<serde_json::Value>(row).unwrap()["seq"].clone();
    format!("{seq}:{}", hex(&Sha256::digest(row)))
}

/// The line behind `covers` which says that all up to there was deleted.
fn prune(key: &SigningKey, covers: &str) -> String {
    let (number, hash) = covers.split_once(':').unwrap();
    let (next, at) = (number.parse::<u64>().unwrap() + 1, "2026-11-22T04:00:00.000000Z");
    let signature = key.sign(format!("strongroom audit prune 1\n{covers}\n{at}\n").as_bytes());
    let (key, signature) = (hex(key.verifying_key().as_bytes()), hex(&signature.to_bytes()));
    format!(
        "{{\"seq\":{next},\"time\":\"{at}\",\"prev\":\"{hash}\",\"kind\":\"prune\",\"file\":\"audit-000000000001.jsonl\",\"bytes\":1,\
         \"key\":\"{key}\",\"covers\":\"{covers}\",\"at\":\"{at}\",\"signature\":\"{signature}\"}}\n"
    )
}
