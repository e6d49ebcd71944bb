//! The token's own key vouches for the log at each unlock: what somebody writes who has every other key does not hold.

use std::path::PathBuf;

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strongroom_softhsm_tests::mock::Mock;
use strongroom_softhsm_tests::room::Room;
use strongroom_softhsm_tests::settings::set;
use strongroom_softhsm_tests::softhsm::FreshToken;

use crate::keys::{BINANCE, account};
use crate::records::assert_like;

const UNVOUCHED: &str = "no checkpoint has a signature of the token";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn verify(room: &Room, more: &[&str]) -> (i32, Value) {
    let run = room.run(&[&["audit", "verify", "--json"], more].concat(), None, &[]);
    (run.code(), serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}")))
}

fn findings(room: &Room, more: &[&str]) -> Vec<String> {
    let (_, told) = verify(room, more);
    let found = told["findings"].as_array().unwrap().iter();
    found.map(|found| found["what"].as_str().unwrap().to_owned()).collect()
}

fn log(room: &Room) -> PathBuf {
    room.data().join("audit/audit-000000000001.jsonl")
}

fn rows(room: &Room) -> Vec<String> {
    std::fs::read_to_string(log(room)).unwrap().lines().map(str::to_owned).collect()
}

/// One session: a signature, and a lock at the end.
fn session(room: &Room) {
    let agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    assert!(agent.terminate().success());
}

fn init_told(room: &Room) -> String {
    room.init(&["--json"]).json()["audit_key"].as_str().unwrap().to_owned()
}

/// The value of a text member of a line.
fn member<'r>(row: &'r str, name: &str) -> &'r str {
    row.split_once(&format!("\"{name}\":\"")).unwrap().1.split('"').next().unwrap()
}

/// Writes the log anew behind a row, with checkpoints by a key of the test's own: as somebody does who has what the
/// keeper signs by, as far as a test can.
fn write_anew(room: &Room, behind: usize, edit: impl Fn(usize, &str) -> String) {
    let forger = SigningKey::from_bytes(&[7; 32]);
    let mut written: Vec<String> = Vec::new();
    let mut hashes = vec!["0".repeat(64)];
    for (at, row) in rows(room).iter().enumerate() {
        let mut row = edit(at, row);
        if at >= behind {
            let prev = member(&row, "prev").to_owned();
            row = row.replacen(&prev, hashes.last().unwrap(), 1);
        }
        if at >= behind && row.contains("\"kind\":\"checkpoint\"") {
            let covers = member(&row, "covers").to_owned();
            let seq: usize = covers.split(':').next().unwrap().parse().unwrap();
            let now = format!("{seq}:{}", hashes[seq]);
            let message = format!("strongroom audit checkpoint 1\n{now}\n{}\n", member(&row, "at"));
            let (key, signature) = (member(&row, "key").to_owned(), member(&row, "signature").to_owned());
            row = row.replacen(&covers, &now, 1);
            row = row.replacen(&key, &hex(forger.verifying_key().as_bytes()), 1);
            row = row.replacen(&signature, &hex(&forger.sign(message.as_bytes()).to_bytes()), 1);
        }
        hashes.push(hex(&Sha256::digest(format!("{row}\n"))));
        written.push(row);
    }
    let text: String = written.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(log(room), text).unwrap();
    write_head(room, &forger, written.len(), hashes.last().unwrap());
}

/// Writes by a key of the test's own what tells how far the log goes.
fn write_head(room: &Room, key: &SigningKey, seq: usize, hash: &str) {
    let (covers, at) = (format!("{seq}:{hash}"), "2026-11-22T04:00:00.000000Z");
    let signature = key.sign(format!("strongroom audit head 1\n{covers}\n{at}\n").as_bytes());
    let (key, signature) = (hex(key.verifying_key().as_bytes()), hex(&signature.to_bytes()));
    let text =
        format!("covers = \"{covers}\"\nat = \"{at}\"\nkey = \"{key}\"\nsignature = \"{signature}\"\n");
    std::fs::write(head(room), text).unwrap();
}

fn head(room: &Room) -> PathBuf {
    room.data().join("audit/head.toml")
}

fn without_token(row: &str) -> String {
    match row.split_once(",\"token_key\"") {
        Some((row, _)) => format!("{row}}}"),
        None => row.to_owned(),
    }
}

fn is_of_token(row: &str) -> bool {
    row.contains("\"token_signature\"")
}

#[test]
fn makes_a_key_at_init_that_cannot_leave_the_token_and_signs_at_each_unlock() {
    let room = Room::bare();
    let told = init_told(&room);
    assert_eq!(init_told(&room), told, "the same, run again");
    let listed = room.token.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let access = listed.lines().find(|line| line.trim().starts_with("Access:")).unwrap_or(&listed);
    for word in ["sensitive", "always sensitive", "never extractable", "local"] {
        assert!(access.contains(word), "{word}: {listed}");
    }
    assert!(listed.contains("EC") && listed.contains("strongroom audit"), "{listed}");
    // Computed by nothing of ours.
    let path = room.folder().join("public");
    let read = ["--read-object", "--type", "pubkey", "--label", "strongroom audit", "--output-file"];
    let read = room.token.pkcs11_tool(&[&read[..], &[path.to_str().unwrap()]].concat());
    assert!(read.status.success(), "{read:?}");
    assert_eq!(hex(&Sha256::digest(std::fs::read(path).unwrap())), told);

    let _ = room.enroll(&BINANCE, &[]).ok();
    for nth in 1..=3 {
        session(&room);
        let of_token = rows(&room).iter().filter(|row| is_of_token(row)).count();
        assert_eq!(of_token, nth, "one an unlock");
        let (code, said) = verify(&room, &[]);
        assert_eq!((code, &said["token_keys"]), (0, &serde_json::json!([told])), "{said}");
        let last = rows(&room).iter().rposition(|row| is_of_token(row)).unwrap();
        assert_eq!(said["token_signed"].as_u64(), u64::try_from(last).ok(), "all lines before it");
    }
    // A kill and a second unlock are sessions as well.
    let agent = room.start_unlocked();
    agent.kill();
    let agent = room.start_unlocked();
    room.client().lock().unwrap();
    let _ = room.unlock().ok();
    drop(agent);
    session(&room);
    assert_eq!(verify(&room, &[]).0, 0);
    let shown = room.run(&["audit", "verify"], None, &[]).ok();
    assert_like(&shown, &format!("*token: * up to line *\ntoken key: {told}\n*"), "");
}

/// Makes both halves of a P-256 pair outside, and puts them where `init` looks for its own.
fn import_pair(room: &Room) {
    let file = |name: &str| room.folder().join(name).display().to_string();
    let (pem, private, public) = (file("pair.pem"), file("private.der"), file("public.der"));
    for arguments in [
        vec!["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &pem],
        vec!["pkey", "-in", &pem, "-outform", "DER", "-out", &private],
        vec!["pkey", "-in", &pem, "-pubout", "-outform", "DER", "-out", &public],
    ] {
        let run = std::process::Command::new("openssl").args(&arguments).output().unwrap();
        assert!(run.status.success(), "{run:?}");
    }
    for (path, class, more) in
        [(&private, "privkey", &["--sensitive", "--usage-sign"][..]), (&public, "pubkey", &[])]
    {
        let write = ["--write-object", path, "--type", class, "--label", "strongroom audit", "--id", "77"];
        let run = room.token.pkcs11_tool(&[&write[..], &["--private"], more].concat());
        assert!(run.status.success(), "{run:?}");
    }
}

#[test]
fn takes_no_key_that_came_from_outside_and_says_whether_it_found_or_made_one() {
    let room = Room::bare();
    import_pair(&room);
    let run = room.init(&["--json"]);
    assert_like(
        &run.stderr,
        "warning: the token's key for the audit log is not used, *it came from outside*CKA_LOCAL*",
        "",
    );
    assert_eq!(run.json()["audit_key"], Value::Null);
    // It stays out where it is found later, too.
    let _ = room.enroll(&BINANCE, &[]).ok();
    session(&room);
    assert!(!rows(&room).iter().any(|row| is_of_token(row)));

    let room = Room::bare();
    let made = room.init(&["--json"]);
    let said = made.stderr.clone();
    let key = made.json()["audit_key"].as_str().unwrap().to_owned();
    assert_like(&said, &format!("*the token has made a key for the audit log: {key}*"), "made");
    let again = room.init(&["--json"]);
    assert!(!again.stderr.contains("key for the audit log"), "the configuration names it: {again:?}");
    std::fs::remove_file(room.config()).unwrap();
    let found = room.init(&["--json"]);
    let said = found.stderr.clone();
    assert_eq!(found.json()["audit_key"], key.as_str());
    assert_like(
        &said,
        &format!("*the token had a key for the audit log already, *: {key}; *"),
        "found, and it was born there",
    );
    // The control: it is used.
    let _ = room.enroll(&BINANCE, &[]).ok();
    session(&room);
    assert!(rows(&room).iter().any(|row| is_of_token(row)));
}

#[test]
fn finds_a_log_that_somebody_wrote_anew_who_has_all_keys_but_that_of_the_token() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    for _ in 0..3 {
        session(&room);
    }
    let (whole, own_head) = (std::fs::read(log(&room)).unwrap(), std::fs::read(head(&room)).unwrap());
    let own = ["--token-key", &init_told(&room)];
    let second = rows(&room).iter().enumerate().filter(|(_, row)| is_of_token(row)).nth(1).unwrap().0;
    let signed = |row: &str| row.contains("\"kind\":\"sign\"");
    let forged = |at: usize, row: &str| {
        if signed(row) && at > second { row.replace("/account", "/orders") } else { row.to_owned() }
    };
    for (case, found) in
        [("left as they are", "is not over the lines before it"), ("left out", "the token has not vouched")]
    {
        write_anew(&room, second + 1, |at, row| {
            let row = forged(at, row);
            if case == "left out" && at > second { without_token(&row) } else { row }
        });
        for more in [&[][..], &own] {
            let (code, told) = verify(&room, more);
            assert_eq!(code, 3, "{case}: {told}");
        }
        let all = findings(&room, &[]);
        assert!(all.iter().any(|one| one.contains(found)), "{case}: {all:?}");
        std::fs::write(log(&room), &whole).unwrap();
    }
    // All of them left out, or the whole log written anew.
    write_anew(&room, 0, |at, row| without_token(&forged(at, row)));
    assert_eq!(findings(&room, &[]), [UNVOUCHED]);
    // The control: nothing else tells.
    let nothing = room.folder().join("nothing").display().to_string();
    assert_eq!(verify(&room, &["--config", &nothing]).0, 0);
    std::fs::write(log(&room), &whole).unwrap();
    let found = findings(&room, &own);
    assert!(
        found.iter().any(|one| one.starts_with("head.toml is gone, damaged, of another key")),
        "{found:?}"
    );
    std::fs::write(head(&room), own_head).unwrap();
    assert_eq!(verify(&room, &own).0, 0);
    let other = "00".repeat(32);
    assert_eq!(verify(&room, &["--token-key", &other]).0, 3, "another key is demanded");
}

/// A log that somebody writes who has no key but one of their own.
struct Invented {
    key: SigningKey,
    rows: Vec<String>,
    prev: String,
}

impl Invented {
    /// One that goes on behind genuine rows.
    fn behind(rows: &[String]) -> Self {
        let prev = rows.last().map_or_else(|| "0".repeat(64), |row| hex(&Sha256::digest(format!("{row}\n"))));
        Self { key: SigningKey::from_bytes(&[9; 32]), rows: rows.to_vec(), prev }
    }

    fn line(&mut self, members: &str) {
        let (seq, time) = (self.rows.len() + 1, "2026-11-22T04:00:00.000000Z");
        let row = format!("{{\"seq\":{seq},\"time\":\"{time}\",\"prev\":\"{}\",{members}}}", self.prev);
        self.prev = hex(&Sha256::digest(format!("{row}\n")));
        self.rows.push(row);
    }

    fn lines(&mut self, kinds: &[&str]) {
        for kind in kinds {
            let verdict = if ["sign", "unlock"].contains(kind) { ",\"verdict\":\"allowed\"" } else { "" };
            match *kind {
                "checkpoint" => self.checkpoint(),
                kind => self.line(&format!("\"kind\":\"{kind}\",\"uid\":7{verdict}")),
            }
        }
    }

    /// Over the line before.
    fn checkpoint(&mut self) {
        let (covers, at) = (format!("{}:{}", self.rows.len(), self.prev), "2026-11-22T04:00:00.000000Z");
        let message = format!("strongroom audit checkpoint 1\n{covers}\n{at}\n");
        let signature = hex(&self.key.sign(message.as_bytes()).to_bytes());
        let key = hex(self.key.verifying_key().as_bytes());
        self.line(&format!(
            "\"kind\":\"checkpoint\",\"key\":\"{key}\",\"covers\":\"{covers}\",\"at\":\"{at}\",\"signature\":\"{signature}\""
        ));
    }
}

#[test]
fn finds_logs_that_somebody_wrote_who_has_no_key_at_all() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    for _ in 0..2 {
        session(&room);
    }
    let own = ["--token-key", &init_told(&room)];
    let nothing = room.folder().join("nothing").display().to_string();
    let (genuine, own_head) = (rows(&room), std::fs::read(head(&room)).unwrap());
    assert_eq!(findings(&room, &own), Vec::<String>::new(), "the control");
    assert_eq!(verify(&room, &own).0, 0, "the control");
    let vouched = genuine.iter().position(|row| is_of_token(row)).unwrap() + 1;
    let uncertified = "the token has not vouched for the key of the checkpoint in line ";
    let again = ["sign", "lock", "checkpoint"];
    for (case, kept, kinds, found) in [
        ("a lock before each checkpoint", vouched, [again, again].concat(), vec![uncertified; 2]),
        ("a start before each", vouched, vec!["start", "sign", "checkpoint"], vec![uncertified]),
        ("no start", 0, vec!["sign", "checkpoint", "sign", "checkpoint"], vec![UNVOUCHED]),
        ("a lock first", 0, vec!["lock", "checkpoint", "lock", "checkpoint"], vec![UNVOUCHED]),
        ("no checkpoint", 0, vec!["start", "unlock", "sign", "sign"], vec![UNVOUCHED]),
        ("unlocked only", 0, vec!["start", "unlock"], vec![UNVOUCHED]),
        ("signed only", 0, vec!["sign"], vec![UNVOUCHED]),
    ] {
        let mut invented = Invented::behind(&genuine[..kept]);
        invented.lines(&kinds);
        write_head(&room, &invented.key, invented.rows.len(), &invented.prev);
        let text: String = invented.rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(log(&room), text).unwrap();
        assert_eq!(verify(&room, &own).0, 3, "{case}");
        let all = findings(&room, &own);
        let of_head = |one: &&String| one.starts_with("head.toml is gone, damaged, of another key");
        assert_eq!(all.iter().filter(of_head).count(), usize::from(kept > 0), "{case}: {all:?}");
        assert_eq!(all.len(), found.len() + usize::from(kept > 0), "{case}: {all:?}");
        assert!(all.iter().zip(found).all(|(one, found)| one.starts_with(found)), "{case}: {all:?}");
        // It is the token's key that tells, and nothing else.
        assert_eq!(verify(&room, &["--config", &nothing]).0, 0, "{case}: the control");
    }
    let text: String = genuine.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(log(&room), text).unwrap();
    std::fs::write(head(&room), own_head).unwrap();
    assert_eq!(verify(&room, &own).0, 0, "the control");
}

#[test]
fn takes_rsa_where_the_token_has_no_curves() {
    let token = FreshToken::new("strongroom test");
    let conf = std::fs::read_to_string(&token.conf).unwrap();
    // SoftHSM 2.6.1 leaves the first and the last of such a list.
    let without = "slots.mechanisms = -CKM_MD5,CKM_ECDSA,CKM_MD5";
    std::fs::write(&token.conf, format!("{conf}{without}\n")).unwrap();
    let room = Room::with(token);
    let told = init_told(&room);
    let listed = room.token.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("RSA"), "{listed:?}");
    let _ = room.enroll(&BINANCE, &[]).ok();
    session(&room);
    let (code, said) = verify(&room, &[]);
    assert_eq!((code, &said["token_keys"]), (0, &serde_json::json!([told])), "{said}");
    // The signature is read, not only there.
    let row = rows(&room).into_iter().find(|row| is_of_token(row)).unwrap();
    let signature = member(&row, "token_signature").to_owned();
    let other = format!("{}{}", if signature.starts_with('0') { '1' } else { '0' }, &signature[1..]);
    let text = std::fs::read_to_string(log(&room)).unwrap();
    std::fs::write(log(&room), text.replace(&signature, &other)).unwrap();
    let found = findings(&room, &[]);
    assert!(found.iter().any(|one| one.contains("is not over the lines before it")), "{found:?}");
}

#[test]
fn goes_on_as_before_where_there_is_no_such_key_and_doctor_says_so() {
    let (token, _mock) = Mock::token();
    let room = Room::with(token);
    let run = room.init(&["--json"]);
    assert_like(&run.stderr, "warning: the token makes no key that signs, *", "init says so");
    assert_eq!(run.json()["audit_key"], Value::Null);
    let _ = room.enroll(&BINANCE, &[]).ok();
    session(&room);
    let (code, told) = verify(&room, &[]);
    assert_eq!((code, told["token_signed"].as_u64()), (0, Some(0)), "{told}");
    let doctor = room.run(&["doctor", "--json"], None, &[]).stdout;
    assert!(doctor.contains("\"audit-token-key\""), "{doctor}");
}

#[test]
fn begins_with_it_in_an_older_installation_when_init_is_run_again() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let config = std::fs::read_to_string(room.config()).unwrap();
    let older: String = config
        .lines()
        .filter(|line| !line.starts_with("audit_key"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(older, config);
    std::fs::write(room.config(), older).unwrap();
    session(&room);
    assert!(!rows(&room).iter().any(|row| is_of_token(row)));
    assert_eq!(verify(&room, &[]).0, 0);
    let told = init_told(&room);
    assert_eq!(findings(&room, &[]), [UNVOUCHED], "until the first unlock");
    session(&room);
    let (code, said) = verify(&room, &[]);
    assert_eq!((code, &said["token_keys"]), (0, &serde_json::json!([told])), "{said}");
}

#[test]
fn signs_no_checkpoint_where_the_key_of_the_token_is_not_the_configured_one() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    set(&room, "token", "audit_key", &format!("\"{}\"", "ab".repeat(32)));
    let agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    assert_eq!(room.client().status().unwrap().weaknesses, ["audit_unsigned"]);
    assert!(agent.log().contains("the token has not the signing key abab"), "{}", agent.log());
    assert!(agent.terminate().success());
    assert!(!rows(&room).iter().any(|row| row.contains("\"kind\":\"checkpoint\"")));
    let again = room.init(&[]);
    assert_like(&again.stderr, "warning: the token's key for the audit log is another than before: *", "");
    session(&room);
    assert_eq!(verify(&room, &[]).0, 0);
}
