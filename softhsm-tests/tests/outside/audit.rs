//! The audit log, from outside: every signature that a client has has its line, in one chain.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strongroom_client::{SignRequest, SignedRequest};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, edit};

pub(crate) fn room() -> Room {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    room
}

/// An order that no other order is like.
pub(crate) fn order(id: &str) -> SignRequest<'static> {
    SignRequest::new("binance-main", "POST", "/api/v3/order")
        .query("symbol", "BTCUSDT")
        .query("side", "BUY")
        .query("quantity", "0.01")
        .query("newClientOrderId", id.to_owned())
}

/// What the line of a signature must hold: the hash of the bytes that Binance checks, all of the query but the
/// signature itself.
pub(crate) fn canonical(signed: &SignedRequest) -> String {
    let query = signed.url.split_once('?').unwrap().1;
    let message = query.split_once("&signature=").unwrap().0;
    hex(&Sha256::digest(message))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn folder(room: &Room) -> PathBuf {
    room.data().join("audit")
}

pub(crate) fn head(room: &Room) -> PathBuf {
    folder(room).join("head.toml")
}

pub(crate) fn files(room: &Room) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(room)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    files.sort();
    files
}

pub(crate) fn text(room: &Room) -> String {
    files(room).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// All lines, read by nothing of ours; but for one that is half written at this moment.
pub(crate) fn lines(room: &Room) -> Vec<Value> {
    let text = text(room);
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Hashes of all that was signed.
pub(crate) fn signed_hashes(room: &Room) -> HashSet<String> {
    let of = |line: &Value| {
        (line["kind"] == "sign" && line["verdict"] == "allowed")
            .then(|| line["canonical"].as_str().unwrap().to_owned())
    };
    lines(room).iter().filter_map(of).collect()
}

pub(crate) fn verify(room: &Room, more: &[&str]) -> (i32, Value) {
    let run = room.run(&[&["audit", "verify", "--json"], more].concat(), None, &[]);
    (run.code(), serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}")))
}

/// Verifies a log that must hold; gives its last line as NUMBER:HASH.
pub(crate) fn holds(room: &Room) -> String {
    let (code, told) = verify(room, &[]);
    assert_eq!((code, &told["findings"]), (0, &serde_json::json!([])), "{told}");
    told["head"].as_str().unwrap().to_owned()
}

/// What is found in a log that does not hold.
pub(crate) fn findings(room: &Room, more: &[&str]) -> Vec<String> {
    let (code, told) = verify(room, more);
    assert_eq!((code, &told["ok"]), (3, &Value::Bool(false)), "{told}");
    told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["what"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn has_the_line_of_every_signature_that_a_client_got_before_the_agent_was_killed() {
    let room = room();
    let mut got = HashSet::new();
    for round in 0..6 {
        let agent = room.start_unlocked();
        let (over, signed) = (AtomicBool::new(false), AtomicUsize::new(0));
        let hashes = std::thread::scope(|scope| {
            let client = |thread: usize| {
                let (room, over, signed) = (&room, &over, &signed);
                move || {
                    let (client, mut hashes) = (room.client(), Vec::new());
                    for at in 0.. {
                        // One at a time, and many at once.
                        let ids = (0..thread * 20 + 1).map(|i| format!("k{round}-{thread}-{at}-{i}"));
                        let orders: Vec<_> = ids.map(|id| order(&id)).collect();
                        let answers = client.sign_many(&orders);
                        hashes.extend(answers.iter().flatten().map(canonical));
                        signed.store(hashes.len(), Ordering::Relaxed);
                        if over.load(Ordering::Relaxed) || answers.iter().any(Result::is_err) {
                            break;
                        }
                    }
                    hashes
                }
            };
            let clients: Vec<_> = (0..3).map(|thread| scope.spawn(client(thread))).collect();
            wait_until("some are signed", SOON, || signed.load(Ordering::Relaxed) > 20);
            std::thread::sleep(Duration::from_millis(37 * round));
            agent.kill();
            over.store(true, Ordering::Relaxed);
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(hashes.len() > 20, "only {} in round {round}", hashes.len());
        got.extend(hashes);
        // A kill may leave half a line, which the next start sets aside.
        let _ = room.start().terminate();
        holds(&room);
        let written = signed_hashes(&room);
        let without: Vec<_> = got.difference(&written).collect();
        assert!(without.is_empty(), "round {round}: {} of {} have no line", without.len(), got.len());
    }
}

#[test]
fn goes_on_behind_a_torn_line_and_refuses_to_behind_a_foreign_one() {
    let room = room();
    assert!(room.start().terminate().success());
    let path = files(&room)[0].clone();
    edit(&path, |text| format!("{text}{{\"seq\":4,\"ti"));
    assert!(room.start().terminate().success());
    holds(&room);
    let recovered = lines(&room).into_iter().find(|line| line["kind"] == "recovered").unwrap();
    assert_eq!(recovered["bytes"], 12);
    let aside = folder(&room).join(recovered["file"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(aside).unwrap(), "{\"seq\":4,\"ti");

    edit(&path, |text| format!("{text}no line\n"));
    let run = room.run(&["agent"], None, &[]);
    assert_eq!(run.code(), 7, "{run:?}");
    assert!(run.stderr.contains("ends with what is no line of it"), "{run:?}");
    assert!(run.stderr.contains("hint: run `strongroom audit verify`"), "{run:?}");
}

#[test]
fn keeps_one_chain_over_files_and_clients_and_verifies_while_it_is_written() {
    let room = room();
    edit(&room.config(), |text| text.replace("rotate_mib = 64", "rotate_mib = 1"));
    let agent = room.start_unlocked();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let verifier = scope.spawn(|| {
            loop {
                holds(&room);
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let clients: Vec<_> = (0..4)
            .map(|thread| {
                let room = &room;
                scope.spawn(move || {
                    for batch in 0..10 {
                        let orders: Vec<_> =
                            (0..60).map(|i| order(&format!("c{thread}-{batch}-{i}"))).collect();
                        assert!(room.client().sign_many(&orders).iter().all(Result::is_ok));
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        over.store(true, Ordering::Relaxed);
        verifier.join().unwrap();
    });
    assert!(agent.terminate().success());
    holds(&room);
    assert_eq!(signed_hashes(&room).len(), 2_400);
    let files = files(&room);
    assert!(files.len() >= 2, "{files:?}");
    let first = lines(&room).iter().position(|line| line["seq"] == 1);
    assert_eq!(first, Some(0));

    let second = std::fs::read_to_string(&files[1]).unwrap();
    let number =
        serde_json::from_str::<Value>(second.lines().next().unwrap()).unwrap()["seq"].as_u64().unwrap();
    std::fs::remove_file(&files[0]).unwrap();
    assert_eq!(findings(&room, &[]), [format!("lines 1 to {} are missing", number - 1)]);
}

#[test]
fn verifies_a_hundred_thousand_lines_that_were_written_by_the_book() {
    let room = room();
    // Of an installation whose token does not sign for the log.
    edit(&room.config(), |text| text.replace("audit_key", "# audit_key"));
    let mut prev = "0".repeat(64);
    let mut log = String::new();
    for seq in 1..=100_000 {
        let line = format!(
            "{{\"seq\":{seq},\"time\":\"2026-11-21T10:00:00.{seq:06}Z\",\"prev\":\"{prev}\",\"kind\":\"sign\",\"uid\":1000,\"pid\":7,\
             \"credential\":\"binance-main\",\"venue\":\"binance\",\"method\":\"GET\",\"path\":\"/api/v3/account\",\"canonical\":\"{prev}\",\
             \"verdict\":\"allowed\",\"rule\":\"own-user\",\"micros\":31}}\n"
        );
        prev = hex(&Sha256::digest(&line));
        log.push_str(&line);
    }
    let path = files(&room)[0].clone();
    std::fs::write(&path, &log).unwrap();
    assert_eq!(holds(&room), format!("100000:{prev}"));
    std::fs::write(
        &path,
        log.replacen("\"micros\":31}\n{\"seq\":77778,", "\"micros\":32}\n{\"seq\":77778,", 1),
    )
    .unwrap();
    assert_eq!(findings(&room, &[]), ["line 77777 was edited"]);
}
