//! `strongroom sign --curl`: the printed line, run by a shell, sends exactly what was signed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, KRAKEN, OKX};

/// What an HTTP server was sent.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// Takes one request from a listener.
fn receive(listener: &TcpListener) -> Sent {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    Sent { method, target, headers, body: String::from_utf8(body).unwrap() }
}

#[test]
fn prints_a_line_that_sends_exactly_what_was_signed() {
    let room = crate::keys::room_for_old_times();
    for key in [&BINANCE, &KRAKEN, &OKX] {
        let _ = room.enroll(key, &[]).ok();
    }
    let _agent = room.start_unlocked();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = format!("http://{}", listener.local_addr().unwrap());
    for (words, host) in [
        (
            &[
                "binance-main",
                "GET",
                "/api/v3/account",
                "-q",
                "a=it's $HOME `x` \"q\" é",
                "-q",
                "timestamp=1499827319559",
            ][..],
            "https://api.binance.com",
        ),
        (
            &[
                "binance-main",
                "POST",
                "/api/v3/order",
                "-q",
                "timestamp=1499827319559",
                "-f",
                "symbol=LTCBTC",
            ],
            "https://api.binance.com",
        ),
        (
            &["binance-main", "DELETE", "/api/v3/order", "-q", "timestamp=1499827319559"],
            "https://api.binance.com",
        ),
        (
            &["kraken-main", "POST", "/0/private/AddOrder", "-f", "pair=XBTUSD", "-f", "userref=it's"],
            "https://api.kraken.com",
        ),
        (
            &["okx-main", "POST", "/api/v5/trade/order", "--body", "{\"text\":\"it's $HOME \\\\ @file\"}"],
            "https://www.okx.com",
        ),
        (
            &["okx-main", "POST", "/api/v5/trade/batch-orders", "--body", "[{\"a\":null}]"],
            "https://www.okx.com",
        ),
    ] {
        let line = room.run(&[&["sign"], words, &["--curl"]].concat(), None, &[]).ok();
        assert!(line.starts_with("curl -X "), "{line}");
        assert_eq!(line.matches(host).count(), 1, "{line}");
        // Sent to this machine instead; all else as printed.
        let line = line.replace(host, &local).replacen("curl ", "curl -sS --max-time 60 ", 1);
        let (sent, output) = std::thread::scope(|scope| {
            let shell = scope.spawn(|| Command::new("/bin/sh").arg("-c").arg(&line).output().unwrap());
            (receive(&listener), shell.join().unwrap())
        });
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "ok",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );

        // The venue checks the bytes that it was sent: signed once more with the time in them, by the
        // same agent, they are the same.
        assert_eq!(sent.method, words[1]);
        let path = words[2];
        assert!(sent.target.starts_with(path), "{sent:?}");
        let value = |name: &str| crate::keys::header(&sent.headers, name).to_owned();
        match words[0] {
            "binance-main" => {
                let again = room.run(&[&["sign"], words].concat(), None, &[]).json();
                assert_eq!(again["url"], format!("{host}{}", sent.target));
                assert_eq!(again["body"], sent.body);
                assert_eq!(value("X-MBX-APIKEY"), BINANCE.key_id);
            }
            "kraken-main" => {
                assert!(
                    sent.body.starts_with("nonce=1") && sent.body.ends_with("&pair=XBTUSD&userref=it%27s"),
                    "{sent:?}"
                );
                assert_eq!(value("API-Key"), KRAKEN.key_id);
                assert_eq!(value("API-Sign").len(), 88);
                assert_eq!(value("Content-Type"), "application/x-www-form-urlencoded");
            }
            _ => {
                assert_eq!(sent.body, words[4], "the body as it was given");
                assert_eq!(value("Content-Type"), "application/json");
                assert_eq!(value("OK-ACCESS-PASSPHRASE"), OKX.passphrase.unwrap());
            }
        }
    }
}

#[test]
fn reads_a_body_from_a_file_and_from_standard_input() {
    let room = Room::new();
    let _ = room.enroll(&OKX, &[]).ok();
    let _agent = room.start_unlocked();
    let body = "{\"b\":1,\"a\":[1.50,\"x\"]}";
    let file = room.folder().join("body.json");
    std::fs::write(&file, body).unwrap();
    let at = format!("@{}", file.display());
    for (given, stdin) in [(body, None), (at.as_str(), None), ("-", Some(body))] {
        let words = ["sign", "okx-main", "POST", "/api/v5/trade/order", "--body", given];
        assert_eq!(room.run(&words, stdin, &[]).json()["body"], body, "{given}");
    }
}

#[test]
fn keeps_the_kind_of_each_parameter() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let words = [
        "sign",
        "binance-main",
        "GET",
        "/api/v3/ticker",
        "-q",
        "symbol=A=B",
        "-q",
        "limit:=5",
        "-q",
        "flag:=true",
        "-q",
        "empty=",
    ];
    let url = room.run(&words, None, &[]).json()["url"].as_str().unwrap().to_owned();
    let pairs: Vec<&str> = url.split(['?', '&']).collect();
    assert!(pairs[1].starts_with("timestamp="), "{url}");
    assert_eq!(&pairs[2..6], ["symbol=A%3DB", "limit=5", "flag=true", "empty="], "{url}");
}
