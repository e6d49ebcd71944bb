//! Old files of the audit log, from outside: the agent deletes them only behind a signature over them.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::Room;

use crate::audit::{files, findings, head, hex, holds, lines, order, room, verify};
use crate::keys::edit;

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
