//! Enrolment from outside: what it takes, what it refuses, and that the secret appears nowhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_client::SignRequest;
use strongroom_softhsm_tests::process::contains;
use strongroom_softhsm_tests::room::{Key, Room, program};

use crate::keys::{BINANCE, KRAKEN, KUCOIN, OKX, account};

const PEM: &str = include_str!("../../../keeper/tests/pem/p256-sec1.pem");

/// A made-up key of each shipped venue, and a request that it signs.
fn every_venue() -> [(Key<'static>, &'static str); 12] {
    let plain = |name, venue, secret| Key { name, venue, key_id: "PUBLICHALF", secret, passphrase: None };
    let base64 = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/QA==";
    let text = "TEST0secret1ZZZZyyyyXXXXwwwwVVVVuuuu";
    [
        (plain("v-binance", "binance", text), "/api/v3/account"),
        (plain("v-bitfinex", "bitfinex", text), "/v2/auth/r/wallets"),
        (plain("v-bittrex", "bittrex", text), "/v3/balances"),
        (plain("v-bybit", "bybit", text), "/v5/account/wallet-balance"),
        (plain("v-coinbase", "coinbase", PEM), "/api/v3/brokerage/accounts"),
        (plain("v-coinbase-legacy", "coinbase-legacy", text), "/v2/accounts"),
        (
            Key { passphrase: Some("pass phrase"), ..plain("v-exchange", "coinbaseexchange", base64) },
            "/accounts",
        ),
        (plain("v-gate", "gate", text), "/api/v4/spot/accounts"),
        (plain("v-kraken", "kraken", base64), "/0/private/Balance"),
        (Key { passphrase: Some("pass phrase"), ..plain("v-kucoin", "kucoin", text) }, "/api/v1/accounts"),
        (Key { passphrase: Some("pass phrase"), ..plain("v-okx", "okx", text) }, "/api/v5/account/balance"),
        (plain("v-poloniex", "poloniex", text), "/accounts/balances"),
    ]
}

#[test]
fn enrols_a_key_of_every_shipped_venue_and_signs_with_it() {
    let room = Room::new();
    let _agent = room.start_unlocked();
    for (key, path) in every_venue() {
        let told = room.enroll(&key, &["--json"]).json();
        assert_eq!(told, serde_json::json!({ "enrolled": key.name, "venue": key.venue }));
        let method = if matches!(key.venue, "kraken" | "bitfinex") { "POST" } else { "GET" };
        let signed = room.client().sign(&SignRequest::new(key.name, method, path)).unwrap();
        let all = format!("{}{:?}{}", signed.url, signed.headers, String::from_utf8_lossy(&signed.body));
        assert!(all.contains("PUBLICHALF") || key.venue == "coinbase", "{all}");
        assert!(!all.contains(key.secret), "{}", key.venue);
    }
    // They all open again.
    room.client().lock().unwrap();
    let _ = room.unlock().ok();
    assert_eq!(room.client().status().unwrap().ready, 12);
}

#[test]
fn enrols_without_an_agent_and_with_a_locked_one_for_the_next_unlock() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    assert!(room.client().status().unwrap().locked);
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
    let _ = room.client().sign(&crate::keys::balance()).unwrap();
}

#[test]
fn signs_with_the_new_secret_at_once_after_a_replacement() {
    let room = crate::keys::room_for_old_times();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let old = account().query("timestamp", "1499827319559");
    let before = room.client().sign(&old).unwrap().url;
    let again = room.enroll(&BINANCE, &[]);
    assert_eq!(again.code(), 9);
    let other = Key { secret: "another-secret-of-binance-0123456789", ..BINANCE };
    let _ = room.enroll(&other, &["--replace"]).ok();
    let after = room.client().sign(&old).unwrap().url;
    assert_ne!(before, after);
    // A refused replacement changes nothing.
    let record = std::fs::read(room.record("binance-main")).unwrap();
    let refused = room.enroll(&Key { secret: "short", ..BINANCE }, &["--replace"]);
    assert_eq!(refused.code(), 3);
    assert_eq!(std::fs::read(room.record("binance-main")).unwrap(), record);
    assert_eq!(room.client().sign(&old).unwrap().url, after);
}

#[test]
fn takes_the_secret_from_standard_input_and_one_line_break_off_its_end() {
    let room = crate::keys::room_for_old_times();
    let pin = [(3, room.token.pin.as_str())];
    let mut signatures = Vec::new();
    for (name, end) in [("plain", ""), ("lf", "\n"), ("crlf", "\r\n")] {
        let words = [
            "enroll",
            name,
            "--venue",
            "binance",
            "--key-id",
            BINANCE.key_id,
            "--secret-stdin",
            "--pin-fd",
            "3",
            "--allow",
            "*",
        ];
        let _ = room.run(&words, Some(&format!("{}{end}", BINANCE.secret)), &pin).ok();
    }
    let _agent = room.start_unlocked();
    for name in ["plain", "lf", "crlf"] {
        let order = SignRequest::new(name, "GET", "/api/v3/account").query("timestamp", "1499827319559");
        signatures.push(room.client().sign(&order).unwrap().url);
    }
    signatures.dedup();
    assert_eq!(signatures.len(), 1, "the same secret three times");
}

#[test]
fn has_no_option_and_no_variable_that_takes_a_secret_or_a_pin() {
    let room = Room::new();
    for option in ["--secret=x", "--pin=x", "--passphrase=x", "--secret", "--pin", "--passphrase"] {
        for command in ["enroll", "unlock", "init", "agent"] {
            let run = room.run(&[command, option, "x"], None, &[]);
            assert_eq!(run.code(), 2, "{command} {option}: {}", run.stderr);
        }
    }
    // Nor is one read from the environment: without a terminal it is not there.
    for name in ["SECRET", "PIN", "PASSPHRASE"] {
        let mut command = Command::new(program("strongroom"));
        command.args(["enroll", "x", "--venue", "binance", "--key-id", "k"]);
        room.surround(&mut command);
        command.env(format!("STRONGROOM_{name}"), BINANCE.secret).env(name, BINANCE.secret);
        let output = Command::new("setsid")
            .arg("--wait")
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.starts_with("error: the secret cannot be asked for: there is no terminal"), "{said}");
        assert!(said.ends_with("hint: without a terminal, use --secret-stdin or --secret-fd\n"), "{said}");
    }
    assert!(!room.record("x").exists());
}

#[test]
fn shows_a_secret_nowhere() {
    let room = Room::new();
    // `surround` empties the environment, so the level goes by the shell.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "STRONGROOM_LOG=trace exec \"$0\" agent"]).arg(program("strongroom"));
    let agent = room.start_command(shell);
    let _ = room.unlock().ok();
    let mut said = String::new();
    let mut hear = |run: strongroom_softhsm_tests::room::Run| said.push_str(&(run.stdout + &run.stderr));
    for key in [&BINANCE, &KRAKEN, &KUCOIN, &OKX] {
        hear(room.enroll(key, &[]));
    }
    // Refused ones too, of each kind that the shape check knows.
    for (name, venue, secret) in [
        ("short", "binance", "shortSecretThatIsRefused"),
        ("no-base64", "kraken", "***notBase64ButLongEnoughToBeOne***"),
        (
            "no-pem",
            "coinbase",
            "notPemButLongEnough_notPemButLongEnough_notPemButLongEnough_notPemButLongEnough_notPemButLongEnough",
        ),
        ("spaces", "gate", "secret with spaces in the end   "),
    ] {
        let run = room.enroll(&Key { name, venue, secret, ..BINANCE }, &[]);
        assert_eq!(run.code(), 3, "{}", run.stderr);
        hear(run);
    }
    let wrong = room.run(
        &["enroll", "pin", "--venue", "binance", "--key-id", "k", "--pin-fd", "3", "--secret-fd", "4"],
        None,
        &[(3, "wrongPinThatIsRefused"), (4, BINANCE.secret)],
    );
    assert_eq!(wrong.code(), 7);
    hear(wrong);
    let _ = room.client().sign(&account()).unwrap();
    let _ = room.client().sign(&SignRequest::new("okx-main", "GET", "/api/v5/account/balance")).unwrap();
    for words in [
        &["list"][..],
        &["show", "okx-main"],
        &["status"],
        &["list", "--json"],
        &["show", "kraken-main", "--json"],
    ] {
        hear(room.run(words, None, &[]));
    }
    room.client().lock().unwrap();
    let log = agent.log();
    assert!(log.contains("binance-main") && log.contains("api/v5/account/balance"), "the control: {log}");
    let _ = agent.terminate();

    let secrets = [
        BINANCE.secret,
        KRAKEN.secret,
        KUCOIN.secret,
        OKX.secret,
        KUCOIN.passphrase.unwrap(),
        OKX.passphrase.unwrap(),
        "shortSecretThatIsRefused",
        "***notBase64",
        "notPemButLongEnough",
        "secret with spaces",
        "wrongPinThatIsRefused",
        &room.token.pin,
    ];
    let mut places =
        vec![("what was printed".to_owned(), said.into_bytes()), ("the log".to_owned(), log.into_bytes())];
    for file in files(&room.data()).into_iter().chain([room.config()]) {
        places.push((file.display().to_string(), std::fs::read(&file).unwrap()));
    }
    assert!(places.len() >= 8, "{places:?}");
    for (place, bytes) in &places {
        for secret in secrets {
            assert!(!contains(bytes, secret.as_bytes()), "{secret} stands in {place}");
        }
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
