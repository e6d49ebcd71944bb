//! The audit log, from outside: every signature that a client has has its line, every edit is found.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strongroom_client::{ErrorCode, SignRequest, SignedRequest};
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, wait_until};
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, account, copy_program, edit};

pub(crate) fn room() -> Room {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    room
}

const HEADLESS: &str = "head.toml is gone, damaged, of another key or from before the last unlock: it tells how far the log goes";

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
fn canonical(signed: &SignedRequest) -> String {
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

fn text(room: &Room) -> String {
    files(room).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// All lines, read by nothing of ours; but for one that is half written at this moment.
pub(crate) fn lines(room: &Room) -> Vec<Value> {
    let text = text(room);
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Hashes of all that was signed.
fn signed_hashes(room: &Room) -> HashSet<String> {
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
fn tells_who_asked_for_what_and_what_came_of_it_but_no_secret() {
    let room = room();
    let agent = room.start();
    let _ = room.client().sign(&account()).unwrap_err();
    let wrong = room.run(&["unlock", "--pin-stdin"], Some("0000wrong"), &[]);
    assert_eq!(wrong.code(), 7, "{wrong:?}");
    let _ = room.unlock().ok();
    let signed = room.client().sign(&order("tell-1").query("Fund_Password", "hunter2-fund")).unwrap();
    let _ = room.client().sign(&SignRequest::new("nobody", "GET", "/a")).unwrap_err();
    let _ = room.client().sign(&SignRequest::new("binance-main", "GET", "/a/../b")).unwrap_err();
    room.client().lock().unwrap();
    let _ = room.run(&["remove", "binance-main", "--yes"], None, &[]).ok();
    let front = agent.pid();
    assert!(agent.terminate().success());

    let lines = lines(&room);
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let part = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            (part("kind"), part("verdict"), part("rule"), part("credential"))
        })
        .collect();
    let row = |kind: &str, verdict: &str, rule: &str, credential: &str| {
        (kind.to_owned(), verdict.to_owned(), rule.to_owned(), credential.to_owned())
    };
    let expected = [
        row("enroll", "allowed", "owner", "binance-main"),
        row("start", "-", "-", "-"),
        row("sign", "refused", "admin", "binance-main"),
        row("unlock", "refused", "admin", "-"),
        row("checkpoint", "-", "-", "-"),
        row("unlock", "allowed", "admin", "-"),
        row("checkpoint", "-", "-", "-"),
        row("sign", "allowed", "grant:user-0", "binance-main"),
        row("sign", "refused", "admin", "nobody"),
        row("sign", "refused", "admin", "binance-main"),
        row("lock", "allowed", "admin", "-"),
        row("checkpoint", "-", "-", "-"),
        row("remove", "allowed", "admin", "binance-main"),
        row("stop", "-", "-", "-"),
    ];
    assert_eq!(told, expected);
    let sign = &lines[7];
    let (uid, pid) = (rustix::process::geteuid().as_raw(), std::process::id());
    assert_eq!((sign["uid"].as_u64(), sign["pid"].as_u64()), (Some(uid.into()), Some(pid.into())));
    assert_eq!(
        (&sign["venue"], &sign["method"], &sign["path"]),
        (&"binance".into(), &"POST".into(), &"/api/v3/order".into())
    );
    assert_eq!(sign["query"]["symbol"], "BTCUSDT");
    assert_eq!(sign["query"]["Fund_Password"], "[hidden]");
    assert_eq!(sign["canonical"], canonical(&signed));
    assert!(sign["micros"].as_u64().is_some());
    assert_eq!(lines[1]["pid"], front);
    assert_eq!(lines[10]["cause"], "a client locked it");

    let text = text(&room);
    let signature = signed.url.split_once("&signature=").unwrap().1;
    for secret in [BINANCE.secret, signature, room.token.pin.as_str(), "0000wrong", "hunter2-fund"] {
        assert!(!text.contains(secret), "{secret} stands in the log");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder(&room)), mode(&files(&room)[0])), (0o700, 0o600));
    holds(&room);
}

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
    // Moved away, it is made anew, and that shows.
    std::fs::remove_file(&path).unwrap();
    assert!(room.start_unlocked().terminate().success());
    let (code, told) = verify(&room, &[]);
    assert_eq!((code, told["keys"].as_array().unwrap().len()), (0, 2), "{told}");
    assert_eq!(findings(&room, &["--key", &public]).len(), 4, "three checkpoints and head.toml");
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
fn stops_signing_while_the_disk_is_full_and_goes_on_by_itself() {
    if !is_root_or_skip("mounting a small file system") {
        return;
    }
    let room = room();
    std::fs::rename(folder(&room), room.folder().join("before")).unwrap();
    std::fs::create_dir(folder(&room)).unwrap();
    let mount = Mount::small(folder(&room));
    for file in std::fs::read_dir(room.folder().join("before")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder(&room).join(file.file_name())).unwrap();
    }
    let agent = room.start_unlocked();
    let client = room.client();
    let (mut got, mut refused) = (HashSet::new(), None);
    for at in 0..10_000 {
        // Many at once, so that a line is cut in the middle.
        let orders: Vec<_> = (0..16).map(|i| order(&format!("d{at}-{i}"))).collect();
        let answers = client.sign_many(&orders);
        got.extend(answers.iter().flatten().map(canonical));
        refused = answers.into_iter().find_map(Result::err);
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("the disk is full at some time");
    assert_eq!(refused.code(), Some(ErrorCode::Unavailable), "{refused}");
    let said = refused.to_string();
    assert!(
        said.starts_with("nothing is signed, because the audit log cannot be written: writing the audit log"),
        "{said}"
    );
    assert!(said.contains("No space left on device"), "{said}");
    assert!(refused.hint().contains("then signing goes on by itself"), "{}", refused.hint());
    let status = client.status().unwrap();
    assert_eq!((status.pid, status.locked), (agent.pid(), false), "all else is answered");
    // Where one line has room still, it goes on for a moment.
    wait_until("there is room for no line at all", SOON, || {
        std::thread::sleep(Duration::from_millis(100));
        let signed = client.sign(&order("last"));
        got.extend(signed.iter().map(canonical));
        signed.is_err() && client.sign(&account()).is_err()
    });

    assert_eq!(client.status().unwrap().weaknesses, ["audit_stopped"]);

    std::fs::remove_file(folder(&room).join("ballast")).unwrap();
    wait_until("it signs again", SOON, || match client.sign(&order("again")) {
        Ok(signed) => {
            got.insert(canonical(&signed));
            true
        }
        Err(_) => false,
    });
    assert!(agent.terminate().success());
    holds(&room);
    let lines = lines(&room);
    let gap = lines.iter().find(|line| line["kind"] == "gap").expect("a line that tells of the gap");
    assert!(gap["lost"]["sign"].as_u64().unwrap() > 0, "{gap}");
    assert!(gap["cause"].as_str().unwrap().contains("No space left"), "{gap}");
    let written = signed_hashes(&room);
    assert!(got.len() > 100 && got.is_subset(&written), "every signature that left has its line");
    drop(mount);
}

/// A file system of 256 KiB, half of which a file fills.
struct Mount(PathBuf);

impl Mount {
    fn small(at: PathBuf) -> Self {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
            .arg(&at)
            .status();
        assert!(mounted.unwrap().success(), "a tmpfs at {}", at.display());
        std::fs::write(at.join("ballast"), vec![0; 128 * 1024]).unwrap();
        Self(at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Writes a log that begins where the genuine one does, and has its line about deleted ones, but is invented else.
fn refuses_the_words_of_a_deleted_session_from_who_has_no_key(room: &Room) {
    let names = files(room);
    let genuine: Vec<_> = names.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let named = std::fs::read(head(room)).unwrap();
    let rows: Vec<&str> = genuine.iter().flat_map(|text| text.lines()).collect();
    let prune = rows.iter().rposition(|row| row.contains("\"kind\":\"prune\"")).unwrap();
    let covered = serde_json::from_str::<Value>(rows[prune]).unwrap()["covers"].clone();
    let covered: usize = covered.as_str().unwrap().split(':').next().unwrap().parse().unwrap();
    let first: usize = serde_json::from_str::<Value>(rows[0]).unwrap()["seq"].as_u64().unwrap() as usize;
    assert_eq!(first, covered + 1);
    let kept: Vec<&str> =
        rows[..=prune].iter().filter(|row| !row.contains("\"checkpoint\"")).copied().collect();
    let mut prev = serde_json::from_str::<Value>(rows[0]).unwrap()["prev"].as_str().unwrap().to_owned();
    let mut text = String::new();
    for (seq, row) in (first..).zip(kept) {
        let (_, rest) = row.split_once(",\"time\"").unwrap();
        let (time, rest) = rest.split_once("\"prev\":\"").unwrap();
        let row = format!("{{\"seq\":{seq},\"time\"{time}\"prev\":\"{prev}{}\n", &rest[64..]);
        let row = row.replacen("BTCUSDT", "ETHUSDT", 1);
        prev = hex(&Sha256::digest(&row));
        text.push_str(&row);
    }
    for path in &names[1..] {
        std::fs::remove_file(path).unwrap();
    }
    std::fs::write(&names[0], text).unwrap();
    std::fs::remove_file(head(room)).unwrap();
    let found = findings(room, &[]);
    assert!(found.iter().any(|what| what == "no checkpoint has a signature of the token"), "{found:?}");
    for (path, text) in names.iter().zip(&genuine) {
        std::fs::write(path, text).unwrap();
    }
    std::fs::write(head(room), named).unwrap();
    holds(room);
}

#[test]
fn deletes_old_files_only_behind_a_signature_over_them() {
    let room = room();
    edit(&room.config(), |text| {
        text.replace("rotate_mib = 64", "rotate_mib = 1").replace("keep_files = 0", "keep_files = 2")
    });
    let agent = room.start_unlocked();
    let client = room.client();
    let token_keys = verify(&room, &[]).1["token_keys"].clone();
    let first = files(&room)[0].clone();
    // Three MiB of lines, of a build without optimisation.
    wait_until("the first file is deleted", 5 * SOON, || {
        let orders: Vec<_> = (0..200).map(|i| order(&format!("p{i}"))).collect();
        assert!(client.sign_many(&orders).iter().all(Result::is_ok));
        !first.exists()
    });
    assert!(agent.terminate().success());
    // The token's word for this session was in a file that is gone, and the line that tells of that has it.
    let (code, told) = verify(&room, &[]);
    assert_eq!((code, &told["findings"]), (0, &serde_json::json!([])), "{told}");
    assert_eq!((&told["token_keys"], told["token_first"] == 0), (&token_keys, false), "{told}");
    refuses_the_words_of_a_deleted_session_from_who_has_no_key(&room);
    // Where the configuration has no files deleted, no such line is to be believed.
    let deleting = std::fs::read_to_string(room.config()).unwrap();
    edit(&room.config(), |text| text.replace("keep_files = 2", "keep_files = 0"));
    assert_eq!(findings(&room, &[]), ["no checkpoint has a signature of the token"]);
    std::fs::write(room.config(), deleting).unwrap();
    assert!(room.start_unlocked().terminate().success());
    let (code, told) = verify(&room, &[]);
    assert_eq!((code, &told["findings"]), (0, &serde_json::json!([])), "{told}");
    let kept = lines(&room);
    let prune = kept.iter().rfind(|line| line["kind"] == "prune").unwrap();
    let covered: u64 = prune["covers"].as_str().unwrap().split(':').next().unwrap().parse().unwrap();
    assert_eq!(
        (&kept[0]["seq"], &told["pruned"]),
        (&Value::from(covered + 1), &Value::from(covered)),
        "{told}"
    );
    assert!(files(&room).len() <= 3, "{:?}", files(&room));
    let key = told["keys"][0].as_str().unwrap();
    assert_eq!(verify(&room, &["--key", key]).0, 0);

    // Whoever deletes more, or makes the signature up, is found.
    let path = files(&room)[0].clone();
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.split_once('\n').unwrap().1).unwrap();
    assert_eq!(findings(&room, &[]), [format!("line {} is missing", covered + 1)]);
    std::fs::write(&path, &whole).unwrap();
    let signature = prune["signature"].as_str().unwrap();
    let holder = files(&room)
        .into_iter()
        .rfind(|path| std::fs::read_to_string(path).unwrap().contains(signature))
        .unwrap();
    let text = std::fs::read_to_string(&holder).unwrap();
    std::fs::write(&holder, text.replace(signature, &"0".repeat(128))).unwrap();
    let found = findings(&room, &[]);
    assert!(found.iter().any(|what| *what == format!("lines 1 to {covered} are missing")), "{found:?}");
    std::fs::write(&holder, text).unwrap();
    assert_eq!(verify(&room, &[]).0, 0, "the control: it holds again");
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
fn waits_for_the_disk_where_the_configuration_asks_for_it() {
    const DELAY: Duration = Duration::from_secs(10);
    let signed_within = |durability: &str| {
        let room = room();
        if durability != "group" {
            let to = format!("durability = \"{durability}\"");
            edit(&room.config(), |text| text.replace("durability = \"group\"", &to));
        }
        let agent = room.start_unlocked();
        let _ = room.client().sign(&account()).unwrap();
        // Every sync takes so long from now on.
        let delay = format!("inject=fdatasync:delay_enter={}", DELAY.as_micros());
        let mut strace = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &delay])
            .args(["-p", &agent.pid().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It says so when it has them all.
        let (mut said, mut says) = (String::new(), BufReader::new(strace.stderr.take().unwrap()));
        let _ = says.read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{said}");
        let began = Instant::now();
        let _ = room.client().sign(&order("sync")).unwrap();
        let took = began.elapsed();
        let _ = strace.kill();
        let _ = strace.wait();
        // Not before: it may have more to say.
        drop(says);
        drop(agent);
        holds(&room);
        took
    };
    let group = signed_within("group");
    assert!(group < DELAY, "the control: nobody waits: {group:?}");
    let sync = signed_within("sync");
    assert!(sync >= DELAY, "{sync:?}");
}

#[test]
fn shows_and_reports_what_was_asked_for_without_letting_it_speak() {
    let room = room();
    let agent = room.start_unlocked();
    let hostile = "<script>alert(1)</script>\u{1b}[31m";
    for _ in 0..3 {
        let _ = room.client().sign(&order("shown")).unwrap();
    }
    let _ = room.client().sign(&SignRequest::new(hostile, "GET", "/<script>'\"")).unwrap_err();
    let _ = room.client().sign(&order(hostile)).unwrap();
    assert!(agent.terminate().success());

    let show = |more: &[&str]| room.run(&[&["audit", "show"], more].concat(), None, &[]).ok();
    let count = |more: &[&str]| -> usize {
        let json = room.run(&[&["audit", "show", "--json"], more].concat(), None, &[]).json();
        let json = json.as_array().unwrap().len();
        assert_eq!(json, show(more).lines().count());
        json
    };
    assert_eq!(count(&["--credential", "binance-main", "--kind", "sign"]), 4);
    assert_eq!(count(&["--credential", "binance-main"]), 5, "and its enrolment");
    assert_eq!(count(&["--verdict", "refused"]), 1);
    assert_eq!(count(&["--venue", "binance", "--since", "1h"]), 4);
    assert_eq!(count(&["--until", "2020-01-01"]), 0);
    assert_eq!(count(&["--uid", "4000000000"]), 0);
    let shown = show(&[]);
    assert!(shown.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{shown:?}");
    assert!(shown.contains("POST /api/v3/order {\"symbol\":\"BTCUSDT\""), "{shown}");
    // The number comes first, so that `grant explain --line` can be given it; then what it was and what decided.
    let first =
        lines(&room).into_iter().find(|line| line["verdict"] == "allowed" && line["kind"] == "sign").unwrap();
    let row = shown.lines().find(|row| row.contains("sign") && row.contains("allowed")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    let (number, rule) = (first["seq"].to_string(), first["rule"].as_str().unwrap());
    assert_eq!(
        [words[0], words[1], words[2], words[3], words[4], words[5]],
        [number.as_str(), first["time"].as_str().unwrap(), "allowed", "sign", "trade", rule]
    );
    let explained = room.run(&["grant", "explain", "binance-main", "--line", words[0]], None, &[]);
    assert_eq!(explained.code(), 0, "{explained:?}");
    let help = room.run(&["audit", "show", "--help"], None, &[]).ok();
    let reference = include_str!("../../../docs/reference/audit.md");
    let kinds = reference.split_once("| kind | what has happened |").unwrap().1;
    let kinds = kinds.split_once("\n\n").unwrap().0.lines().skip(2);
    let kinds = kinds.flat_map(|row| row.split('|').nth(1).unwrap().split(", "));
    let kinds: Vec<&str> = kinds.map(|kind| kind.trim().trim_matches('`')).collect();
    assert_eq!(kinds.len(), 17, "{kinds:?}");
    let listed = help.split_once("--kind").unwrap().1.split_once("possible values: ").unwrap().1;
    let listed = listed.split_once(']').unwrap().0;
    let listed: HashSet<&str> = listed.split(',').map(str::trim).collect();
    assert_eq!(listed, kinds.into_iter().collect(), "{help}");
    let bad = room.run(&["audit", "show", "--kind", "signature"], None, &[]);
    assert_eq!(bad.code(), 2, "{bad:?}");
    let bad = room.run(&["audit", "show", "--since", "yesterday"], None, &[]);
    assert_eq!(bad.code(), 2, "{bad:?}");

    let report = room.run(&["audit", "report"], None, &[]).ok();
    let row = |line: &str| {
        line.split_whitespace().take(3).eq(["binance-main", "POST", "4"]) && line.ends_with("  /api/v3/order")
    };
    assert!(report.lines().any(row), "{report}");
    let json = room.run(&["audit", "report", "--json"], None, &[]).json();
    assert_eq!(json["clients"].as_array().unwrap().len(), 2, "{json}");
    let ours =
        json["clients"].as_array().unwrap().iter().find(|way| way["credential"] == "binance-main").unwrap();
    assert_eq!((&ours["signatures"]["allowed"], &ours["venue"]), (&4.into(), &"binance".into()));

    let page = room.folder().join("report.html");
    let _ = room.run(&["audit", "report", "--html", page.to_str().unwrap()], None, &[]).ok();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
    for outside in ["http://", "https://", "src=", "url(", "@import", "href="] {
        assert!(!page.contains(outside), "the page loads nothing: {outside}");
    }
    assert!(
        page.contains("Content-Security-Policy")
            && page.contains("<svg")
            && page.contains("class=\"refused\"")
    );

    // A time axis from the first line of the report to its last.
    let all = lines(&room);
    let second = |line: &Value| format!("{}Z", &line["time"].as_str().unwrap()[..19]);
    let axis = format!(
        "<p class=\"axis muted\"><span>{}</span><span>{}</span></p>",
        second(&all[0]),
        second(all.last().unwrap())
    );
    assert!(page.contains(&axis), "{axis}: {page}");
    assert!(!page.contains("class=\"changed\""), "{page}");

    edit(&files(&room)[0], |text| text.replacen("BTCUSDT", "ETHUSDT", 1));
    let warned = room.run(&["audit", "show"], None, &[]);
    assert!(warned.stderr.contains("warning: the audit log is not as it was written"), "{warned:?}");
    let changed = findings(&room, &[]);
    let file = room.folder().join("report.html");
    let _ = room.run(&["audit", "report", "--html", file.to_str().unwrap()], None, &[]).ok();
    let page = std::fs::read_to_string(file).unwrap();
    let banner = page.find("class=\"changed\"").expect("a banner");
    assert!(banner < page.find("<svg").unwrap(), "above all else: {page}");
    assert!(page.contains(&format!("1 finding: {}.", changed[0])), "{changed:?}: {page}");
    let json = room.run(&["audit", "report", "--json"], None, &[]).json();
    assert_eq!(json["findings"], serde_json::json!(changed));
}

/// Nobody was asked about what can be signed for nobody, and the line says by what right it came so far.
#[test]
fn refuses_what_is_signed_for_nobody_by_the_rule_that_let_its_sender_in() {
    let room = room();
    let bot = room.start_unlocked();
    let token = room.client().add_client("bot").unwrap();
    let grant = ["grant", "add", "binance-main", "--to", "client:bot", "--allow", "*", "--pin-stdin"];
    let _ = room.run(&grant, Some(&room.token.pin), &[]).ok();
    let client = room.client().with_token(token);
    for path in ["/api//v3/order", "/api/v3%2Forder"] {
        let _ = client.sign(&SignRequest::new("binance-main", "POST", path)).unwrap_err();
    }
    let twice = order("twice").query("symbol", "ETHUSDT");
    let _ = client.sign(&twice).unwrap_err();
    let _ = room.client().sign(&twice).unwrap_err();
    assert!(bot.terminate().success());
    let lines = lines(&room);
    let signs: Vec<_> = lines.iter().filter(|line| line["kind"] == "sign").collect();
    let told: Vec<_> = signs
        .iter()
        .map(|line| (line["verdict"].as_str().unwrap(), line["rule"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [("refused", "client"), ("refused", "client"), ("refused", "client"), ("refused", "admin")]
    );
    assert!(signs.iter().all(|line| !line["cause"].as_str().unwrap().is_empty()), "{signs:?}");
    let reference = include_str!("../../../docs/reference/audit.md");
    let row = |name: &str| reference.lines().find(|row| row.starts_with(&format!("| `{name}` |"))).unwrap();
    for rule in ["client", "own-user", "granted", "admin", "owner", "no-grant"] {
        assert!(row("rule").contains(&format!("`{rule}`")), "{rule}");
    }
    assert!(row("verdict").contains("no grant has said no"));
}

#[test]
fn tells_of_clients_that_were_turned_away_without_filling_the_disk() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let room = Room::new();
    let agent = room.start();
    use std::os::unix::fs::PermissionsExt as _;
    for (path, mode) in
        [(room.folder().to_owned(), 0o755), (room.folder().join("run"), 0o755), (room.socket(), 0o666)]
    {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // The programs may lie in a folder that others cannot enter; a copy lies where they can.
    let public = tempfile::Builder::new().prefix("strongroom-public-").tempdir().unwrap();
    std::fs::set_permissions(public.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/bin/sh", "-c"]);
    nobody.arg("for i in $(seq 30); do \"$0\" status; done").arg(copy_program(public.path()));
    room.surround(&mut nobody);
    let began = Instant::now();
    let said = nobody.output().unwrap().stderr;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.matches("refusing user 65534: ").count(), 30, "{said}");
    assert!(agent.terminate().success());
    holds(&room);
    let turned: Vec<_> = lines(&room).into_iter().filter(|line| line["kind"] == "connect").collect();
    assert!((1..=seconds + 1).contains(&turned.len()), "{} lines in {seconds} s", turned.len());
    assert_eq!(
        (&turned[0]["uid"], &turned[0]["verdict"], &turned[0]["rule"]),
        (&65534.into(), &"denied".into(), &"stranger".into())
    );
}

/// Those of one user do not hide each other.
#[test]
fn tells_which_client_was_refused_and_what_it_has_asked_for() {
    let room = Room::new();
    let agent = room.start();
    let bots = ["arb-bot", "grid-bot"];
    for (name, asks) in bots.into_iter().zip(["lock", "remove"]) {
        let bot = room.client().with_token(room.client().add_client(name).unwrap());
        let refused = if asks == "lock" { bot.lock() } else { bot.remove("binance-main") };
        let _ = refused.unwrap_err();
    }
    assert!(agent.terminate().success());
    holds(&room);
    let turned = lines(&room).into_iter().filter(|line| line["kind"] == "connect");
    let causes: Vec<_> = turned.map(|line| (line["rule"].clone(), line["cause"].clone())).collect();
    let expected = bots.into_iter().zip(["lock", "remove"]).map(|(name, asks)| {
        let cause = format!("{asks}: refusing client:{name}: this is for admins, and it is none");
        ("not-admin".into(), cause.into())
    });
    assert_eq!(causes, expected.collect::<Vec<(Value, Value)>>());
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
