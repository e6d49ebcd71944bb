//! Every error message of the command line, once, as a person reads it.

use strongroom_client::SignRequest;
use strongroom_softhsm_tests::room::{Key, Room};

use crate::keys::{BINANCE, KRAKEN, OKX, account, edit};

/// Collects what commands say, with what differs between runs replaced.
struct Transcript<'a> {
    room: &'a Room,
    text: String,
}

impl Transcript<'_> {
    fn run(&mut self, words: &[&str], stdin: Option<&str>) {
        let run =
            self.room.run(words, stdin, &[(3, &self.room.token.pin), (4, BINANCE.secret), (5, "passphrase")]);
        let line = words.join(" ");
        self.text.push_str(&format!("$ strongroom {line}\n{}{}[{}]\n\n", run.stdout, run.stderr, run.code()));
    }

    fn end(self) -> String {
        let text = self.text.replace(&self.room.folder().display().to_string(), "/room");
        let text = text.replace(&self.room.token.dir.path().display().to_string(), "/token");
        text.replace(&self.room.token.serial, "5e21a1")
    }
}

const ENROLL: [&str; 9] =
    ["enroll", "new", "--venue", "binance", "--key-id", "KEY", "--pin-fd=3", "--secret-fd=4", "--json"];

#[test]
fn says_what_is_wrong_and_what_to_do_without_an_agent() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let mut said = Transcript { room: &room, text: String::new() };
    for words in [
        &["status"][..],
        &["sign", "binance-main", "GET", "/api/v3/account"],
        &["lock"],
        &["unlock", "--pin-fd=3"],
        &["show", "nobody"],
        &["remove", "nobody", "--yes"],
        &["remove", "No Name", "--yes"],
        &["remove", "binance-main"],
        &["--config", "/nowhere/strongroom.toml", "agent"],
        &["--config", "/nowhere/strongroom.toml", "enroll", "a", "--venue", "binance", "--key-id", "k"],
        &["agent", "--pin-fd", "77"],
        &["enroll", "binance-main", "--venue", "binance", "--key-id", "KEY", "--pin-fd=3", "--secret-fd=4"],
        &["enroll", "a", "--venue", "nowhere", "--key-id", "KEY", "--pin-fd=3", "--secret-fd=4"],
        &["enroll", "A", "--venue", "binance", "--key-id", "KEY", "--pin-fd=3", "--secret-fd=4"],
        &["enroll", "a", "--venue", "binance", "--key-id", "K Y", "--pin-fd=3", "--secret-fd=4"],
        &["enroll", "a", "--venue", "binance", "--key-id", "KEY", "--pin-fd=3", "--secret-fd=44"],
        &["enroll", "a", "--venue", "binance", "--key-id", "KEY", "--uid=7", "--pin-fd=3", "--secret-fd=4"],
        &[
            "enroll",
            "a",
            "--venue",
            "binance",
            "--key-id",
            "KEY",
            "--base-url=https://evil.example",
            "--pin-fd=3",
            "--secret-fd=4",
        ],
        &[
            "enroll",
            "a",
            "--venue",
            "binance",
            "--key-id",
            "KEY",
            "--passphrase-fd=5",
            "--pin-fd=3",
            "--secret-fd=4",
        ],
        &["enroll", "a", "--venue", "binance", "--key-id", "KEY", "--pin-fd=5", "--secret-fd=4"],
        &["install"],
        &["sign", "binance-main", "GET"],
        &["sign", "a", "GET", "/", "-q", "pair"],
        &["sign", "a", "GET", "/", "-q", "n:=five"],
        &["sign", "a", "POST", "/", "--body", "@/nowhere/body.json"],
        &["frobnicate"],
    ] {
        said.run(words, None);
    }
    insta::assert_snapshot!(said.end());
}

#[test]
fn says_what_is_wrong_and_what_to_do_with_an_agent() {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN, &OKX, &Key { name: "broken", ..BINANCE }] {
        let _ = room.enroll(key, &[]).ok();
    }
    edit(&room.record("broken"), |text| text.replace("name = \"broken\"", "name = \"other\""));
    let agent = room.start();
    let mut said = Transcript { room: &room, text: String::new() };
    said.run(&["sign", "binance-main", "GET", "/api/v3/account"], None);
    said.run(&["unlock", "--pin-stdin"], Some("wrong"));
    said.run(&["unlock", "--pin-stdin"], Some(""));
    said.run(&["unlock", "--pin-stdin"], Some(&"1".repeat(300)));
    said.run(&["agent"], None);
    said.run(&["unlock", "--pin-fd=3"], None);
    for words in [
        &["sign", "nobody", "GET", "/api/v3/account"][..],
        &["sign", "broken", "GET", "/api/v3/account"],
        &["show", "nobody"],
        &["show", "broken"],
        &["remove", "nobody", "--yes"],
        &["sign", "binance-main", "BREW", "/api/v3/account"],
        &["sign", "binance-main", "GET", "no/slash"],
        &["sign", "binance-main", "GET", "/api/v3/../account"],
        &["sign", "binance-main", "GET", "/api/v3/account?a=b"],
        &["sign", "binance-main", "GET", "/api/v3/account", "-q", "signature=1"],
        &["sign", "binance-main", "GET", "/api/v3/account", "-q", "a=1", "-q", "a=2"],
        &["sign", "binance-main", "GET", "/api/v3/account", "-q", "timestamp=soon"],
        &["sign", "binance-main", "POST", "/api/v3/order", "--body", "{\"a\":1"],
        &["sign", "binance-main", "POST", "/api/v3/order", "--body", "[1]"],
        &["sign", "okx-main", "GET", "/api/v5/account/balance", "--body", "{\"a\":1,\"a\":2}"],
        &ENROLL[..],
        &ENROLL[..],
    ] {
        said.run(words, None);
    }
    let text = said.end();
    drop(agent);
    insta::assert_snapshot!(text);
}

#[test]
fn reports_a_request_that_does_not_fit_a_frame() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let long = "x".repeat(70_000);
    let run =
        room.run(&["sign", "binance-main", "GET", "/api/v3/account", "-q", &format!("a={long}")], None, &[]);
    assert_eq!(run.code(), 3);
    assert!(run.stderr.starts_with("error: the request has 700"), "{}", run.stderr);
    assert!(run.stderr.ends_with("a frame has at most 65536\nhint: split the request\n"), "{}", run.stderr);
    // Fits on the way in, and not on the way out: each byte is escaped there.
    let wide = "é".repeat(15_000);
    let refused = room.client().sign(&account().query("a", &wide)).unwrap_err();
    assert_eq!(refused.code(), Some(strongroom_client::ErrorCode::Invalid));
    assert!(refused.to_string().starts_with("the answer does not fit a frame: "), "{refused}");
    let _ = room.client().sign(&SignRequest::new("binance-main", "GET", "/api/v3/account")).unwrap();
}
