//! What the command line does where its output goes nowhere, and where its input has no end.

use std::fs::File;
use std::process::{Command, Stdio};

use strongroom_softhsm_tests::room::{Key, Room, program};

use crate::keys::{BINANCE, OKX};

/// Runs a command with this as its standard output; gives its exit code and what it says.
fn into(room: &Room, words: &[&str], stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let mut command = Command::new(program("strongroom"));
    room.surround(&mut command);
    let output = command.args(words).stdin(Stdio::null()).stdout(stdout).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn fails_where_its_output_cannot_be_written() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &["--allow", "*"]).ok();
    let agent = room.start_unlocked();
    let sign = ["sign", BINANCE.name, "GET", "/api/v3/account"];
    let commands: [&[&str]; 10] = [
        &["metrics"],
        &sign,
        &["client", "add", "lost"],
        &["status"],
        &["status", "--json"],
        &["audit", "verify"],
        &["audit", "show"],
        &["venue", "list"],
        &["venue", "show", "binance"],
        &["list"],
    ];
    for words in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = into(&room, words, full);
        assert_eq!(code, Some(7), "{words:?}: {said}");
        assert!(
            said.contains("error: standard output cannot be written: No space left"),
            "{words:?}: {said}"
        );
        // A reader that has gone away is no error.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let again = if words.contains(&"lost") { &["client", "add", "unread"][..] } else { words };
        let (code, said) = into(&room, again, writer);
        assert_eq!(code, Some(0), "{again:?}: {said}");
    }
    drop(agent);
}

#[test]
fn writes_a_page_of_a_bare_name() {
    let room = Room::new();
    drop(room.start());
    let mut command = Command::new(program("strongroom"));
    room.surround(&mut command);
    let command = command.args(["audit", "report", "--html", "rep.html"]).current_dir(room.folder());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read_to_string(room.folder().join("rep.html")).unwrap().contains("</html>"));
}

#[test]
fn refuses_files_that_have_no_end() {
    let room = Room::bare();
    let check = room.run(&["venue", "check", "/dev/zero"], None, &[]);
    assert!(check.code() != 0 && check.stderr.contains("it has more than"), "{}", check.stderr);
    let sign = room.run(&["sign", "a", "POST", "/", "--body", "@/dev/zero"], None, &[]);
    assert!(sign.code() == 3 && sign.stderr.contains("it has more than"), "{}", sign.stderr);
}

#[test]
fn refuses_a_secret_that_is_the_key_id() {
    let room = Room::new();
    let twice = Key { key_id: BINANCE.secret, ..BINANCE };
    let run = room.enroll(&twice, &[]);
    assert_eq!(run.code(), 3, "{}", run.stderr);
    assert!(run.stderr.starts_with("error: the secret is the key id once more"), "{}", run.stderr);
    assert!(!run.stderr.contains(BINANCE.secret), "{}", run.stderr);
    assert!(!room.record(BINANCE.name).exists());
    let _ = room.enroll(&BINANCE, &[]).ok();
}

#[test]
fn says_why_a_passphrase_is_wanted_where_nobody_can_be_asked() {
    let room = Room::new();
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(program("strongroom"));
    room.surround(&mut command);
    command.args(["enroll", "okx-main", "--venue", "okx", "--key-id", OKX.key_id, "--secret-stdin"]);
    let mut child =
        command.args(["--pin-fd", "9"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended before.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), OKX.secret.as_bytes());
    let said = String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr).into_owned();
    assert!(
        said.starts_with("error: keys of okx have a passphrase, and the passphrase cannot be asked"),
        "{said}"
    );
    assert!(said.ends_with("hint: without a terminal, use --passphrase-fd\n"), "{said}");
}

#[test]
fn moves_no_credential_on_that_signs_by_a_profile_that_ships() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let run = room.run(&["venue", "repin", BINANCE.name, "--pin-stdin"], None, &[]);
    assert_eq!(run.code(), 3, "{}", run.stderr);
    assert!(run.stderr.contains("signs by a profile that ships; repin is for your own"), "{}", run.stderr);
}

#[test]
fn edits_no_grants_without_a_terminal_and_an_editor() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let run = room.run(&["grant", "edit", BINANCE.name, "--pin-stdin"], None, &[]);
    assert_eq!(run.code(), 3, "{}", run.stderr);
    assert!(run.stderr.contains("there is no terminal for the editor `vi`"), "{}", run.stderr);
    assert!(run.stderr.contains("use --file"), "{}", run.stderr);
}
