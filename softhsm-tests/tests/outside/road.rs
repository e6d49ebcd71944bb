//! The published examples, through token, keeper, agent, socket and client.

use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, KRAKEN, KUCOIN, OKX, accept_any_time, header, room_for_old_times, value};

/// The pairs of Binance's example, for one symbol.
fn binance_pairs(symbol: &str) -> [(&str, &str); 8] {
    [
        ("symbol", symbol),
        ("side", "BUY"),
        ("type", "LIMIT"),
        ("timeInForce", "GTC"),
        ("quantity", "1"),
        ("price", "0.1"),
        ("recvWindow", "5000"),
        ("timestamp", "1499827319559"),
    ]
}

const KRAKEN_PAIRS: [(&str, &str); 6] = [
    ("nonce", "1616492376594"),
    ("ordertype", "limit"),
    ("pair", "XBTUSD"),
    ("price", "37500"),
    ("type", "buy"),
    ("volume", "1.25"),
];

/// Symbol and published signature.
const BINANCE_PUBLISHED: [(&str, &str); 2] = [
    ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
    ("１２３４５６", "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
];

const KRAKEN_PUBLISHED: &str =
    "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==";

fn binance_order(symbol: &str) -> SignRequest<'_> {
    let order = SignRequest::new("binance-main", "POST", "/api/v3/order");
    binance_pairs(symbol).into_iter().fold(order, |order, (name, value)| order.query(name, value))
}

fn kraken_order() -> SignRequest<'static> {
    let order = SignRequest::new("kraken-main", "POST", "/0/private/AddOrder");
    KRAKEN_PAIRS.into_iter().fold(order, |order, (name, value)| order.form(name, value))
}

#[test]
fn signs_the_published_binance_examples_as_published() {
    let room = room_for_old_times();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    for (symbol, signature) in BINANCE_PUBLISHED {
        let signed = room.client().sign(&binance_order(symbol)).unwrap();
        assert_eq!(value(&signed.url, "signature"), signature);
        assert!(signed.url.starts_with("https://api.binance.com/api/v3/order?symbol="), "{}", signed.url);
        assert_eq!(signed.method, "POST");
        assert_eq!(header(&signed.headers, "X-MBX-APIKEY"), BINANCE.key_id);

        let mut words = vec!["sign".to_owned(), "binance-main".into(), "post".into(), "/api/v3/order".into()];
        for (name, value) in binance_pairs(symbol) {
            words.extend(["-q".to_owned(), format!("{name}={value}")]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = room.run(&words, None, &[]).json();
        assert_eq!(printed["url"], signed.url.as_str(), "the command line signs the same");
        assert_eq!(printed["headers"]["X-MBX-APIKEY"], BINANCE.key_id);
    }
}

#[test]
fn signs_the_published_kraken_example_as_published() {
    let room = room_for_old_times();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let _agent = room.start_unlocked();
    let signed = room.client().sign(&kraken_order()).unwrap();
    assert_eq!(header(&signed.headers, "API-Sign"), KRAKEN_PUBLISHED);
    assert_eq!(signed.url, "https://api.kraken.com/0/private/AddOrder");
    let body = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
    assert_eq!(String::from_utf8_lossy(&signed.body), body);

    let refused = room.client().sign(&kraken_order()).unwrap_err();
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        (
            Some(ErrorCode::Invalid),
            "there is no nonce for this request: the request's own nonce 1616492376594 is not above the last \
             one that was used, 1616492376594"
        ),
        "the same nonce a second time"
    );
}

#[test]
fn signs_the_published_kraken_example_from_the_command_line() {
    let room = room_for_old_times();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let _agent = room.start_unlocked();
    let mut words =
        vec!["sign".to_owned(), "kraken-main".into(), "POST".into(), "/0/private/AddOrder".into()];
    for (name, value) in KRAKEN_PAIRS {
        words.extend(["-f".to_owned(), format!("{name}={value}")]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let printed = room.run(&words, None, &[]).json();
    assert_eq!(printed["headers"]["API-Sign"], KRAKEN_PUBLISHED);
}

#[test]
fn signs_the_published_examples_for_the_async_client() {
    let room = room_for_old_times();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = strongroom_client::AsyncClient::at(room.socket());
        for (symbol, signature) in BINANCE_PUBLISHED {
            let signed = client.sign(&binance_order(symbol)).await.unwrap();
            assert_eq!(value(&signed.url, "signature"), signature);
        }
    });
}

#[test]
fn refuses_published_times_unless_the_dangerous_setting_is_on() {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    let _agent = room.start_unlocked();
    for (order, what) in [(binance_order("LTCBTC"), "timestamp"), (kraken_order(), "nonce")] {
        let refused = room.client().sign(&order).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Invalid));
        let message = refused.to_string();
        assert!(message.starts_with(&format!("the request's own {what} is ")), "{message}");
        assert!(
            message.ends_with("ms behind the agent's clock; at most 5000 ms, ahead or behind, are accepted"),
            "{message}"
        );
    }
    assert_eq!(room.client().status().unwrap().weaknesses, [""; 0]);
    // The refused nonce was not taken: the agent's own comes from the clock.
    let signed = room.client().sign(&crate::keys::balance()).unwrap();
    let nonce: u64 = value(&String::from_utf8_lossy(&signed.body), "nonce").parse().unwrap();
    assert!(nonce > 1_754_000_000_000, "{nonce}");
}

#[test]
fn says_that_the_dangerous_setting_is_on() {
    let room = Room::new();
    accept_any_time(&room, true);
    let agent = room.start();
    assert_eq!(room.client().status().unwrap().weaknesses, ["danger_accept_any_caller_time"]);
    let shown = room.run(&["status"], None, &[]);
    assert_eq!(shown.stderr, "warning: danger_accept_any_caller_time is on\n");
    assert!(agent.log().contains("danger_accept_any_caller_time"), "{}", agent.log());
}

#[test]
fn sends_a_plain_passphrase_and_the_mac_of_another() {
    let room = Room::new();
    for key in [&OKX, &KUCOIN] {
        let _ = room.enroll(key, &[]).ok();
    }
    let _agent = room.start_unlocked();
    let signed = room.client().sign(&SignRequest::new("okx-main", "GET", "/api/v5/account/balance")).unwrap();
    assert_eq!(header(&signed.headers, "OK-ACCESS-PASSPHRASE"), "Okx-Passphrase-1");
    let signed = room.client().sign(&SignRequest::new("kucoin-main", "GET", "/api/v1/accounts")).unwrap();
    // Base64 of HMAC-SHA256 over the passphrase with the secret, by another program: openssl dgst.
    assert_eq!(header(&signed.headers, "KC-API-PASSPHRASE"), "4rwgEL1mdgMyDbKRmKo2O/hscOv2DO5DmRWE6YLnE2c=");
}
