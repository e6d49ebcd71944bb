//! The domains of a wallet's key: they are in its record, and nobody changes them there.

use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::room::{Key, Room};

use crate::keys::{BINANCE, account};
use crate::records::assert_like;

/// The key of the vendor's own tests (hyperliquid-python-sdk, tests/signing_test.py), and its address.
const WALLET: Key<'static> = Key {
    name: "hl",
    venue: "hyperliquid",
    key_id: "0x14791697260e4c9a71f18484c9f997b308e59325",
    secret: "0x0123456789012345678901234567890123456789012345678901234567890123",
    passphrase: None,
};

/// The domain `Exchange`, as it is in those tests.
const EXCHANGE: &str = "d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa4040";

fn noop() -> SignRequest<'static> {
    SignRequest::new("hl", "POST", "/exchange").json(br#"{"action":{"type":"noop"}}"#.as_slice())
}

#[test]
fn opens_a_wallet_for_no_other_domains_than_those_of_its_enrolment() {
    let room = Room::new();
    for key in [&WALLET, &BINANCE] {
        let _ = room.enroll(key, &[]).ok();
    }
    let record = room.record("hl");
    let written = std::fs::read_to_string(&record).unwrap();
    let at = written.find("domains = [").expect("the record names them");
    let end = at + written[at..].find(']').unwrap() + 2;
    let domains = &written[at..end];
    assert_eq!((domains.matches('"').count(), domains.matches(EXCHANGE).count()), (4, 1), "{domains}");
    let foreign = EXCHANGE.replace("d7", "06");
    let others = "the key was not enrolled for the domains in which hyperliquid signs typed data";
    let changed = "the record does not open: it was edited, damaged, or swapped with another";
    for (case, text, expected) in [
        ("none, as records had before", written.replace(domains, ""), others),
        ("another", written.replace(EXCHANGE, &foreign), others),
        ("one more", written.replace("domains = [", &format!("domains = [\"{foreign}\", ")), changed),
        ("no domain", written.replace(EXCHANGE, &EXCHANGE[1..]), "*a domain has 64 hexadecimal digits*"),
        ("as it was", written.clone(), ""),
    ] {
        std::fs::write(&record, text).unwrap();
        let _agent = room.start_unlocked();
        let listed = room.client().list().unwrap();
        let found = listed.iter().find(|credential| credential.name == "hl").unwrap();
        assert_like(&found.fault, expected, case);
        match room.client().sign(&noop()) {
            Ok(_) => assert_eq!(expected, "", "{case}"),
            Err(error) => assert_eq!(error.code(), Some(ErrorCode::Unavailable), "{case}"),
        }
        let _ = room.client().sign(&account()).expect("others are unaffected");
    }
}

#[test]
fn names_the_domain_of_trading_alone_where_a_wallet_shall_not_withdraw() {
    let room = Room::new();
    let trader = Key { name: "trader", venue: "hyperliquid-agent", ..WALLET };
    for key in [&WALLET, &trader] {
        let _ = room.enroll(key, &["--allow", "*"]).ok();
    }
    let written = std::fs::read_to_string(room.record("trader")).unwrap();
    assert!(written.contains(&format!("domains = [\"{EXCHANGE}\"]")), "{written}");
    let _agent = room.start_unlocked();
    for name in ["hl", "trader"] {
        let noop =
            SignRequest::new(name, "POST", "/exchange").json(br#"{"action":{"type":"noop"}}"#.as_slice());
        let body = String::from_utf8(room.client().sign(&noop).unwrap().body).unwrap();
        assert!(body.contains("\"signature\":{\"r\":\"0x"), "{body}");
    }
}

const REEF: &str = r#"
profile = "reef"
name = "Reef"
hosts = ["https://api.reef.example"]
covers = "params"
query_unsigned = true
body_methods = ["POST"]
[sign]
alg = "secp256k1"
[sign.eip712]
domain = { name = "Reef", chainId = 1 }
message = "order"
type = "Order(string market,uint64 size)"
[attach]
body_json = { signature = "0x{sig}" }
[actions]
rules = [{ action = "trade", method = "POST", path = '/order$' }]
"#;

#[test]
fn moves_no_wallet_to_a_text_with_other_domains() {
    let room = Room::new();
    let file = room.config().with_file_name("venues").join("reef.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, REEF).unwrap();
    let _ = room.enroll(&Key { name: "reef-main", venue: "reef", ..WALLET }, &["--allow", "*"]).ok();
    let _agent = room.start_unlocked();
    let order = SignRequest::new("reef-main", "POST", "/order")
        .json(br#"{"order":{"market":"a","size":1}}"#.as_slice());
    let before = room.client().sign(&order).unwrap().body;
    let repin = || {
        let words = ["venue", "repin", "reef-main", "--pin-stdin"];
        room.run(&words, Some(&room.token.pin), &[])
    };
    std::fs::write(&file, REEF.replace("chainId = 1", "chainId = 2")).unwrap();
    let refused = repin();
    assert_ne!(refused.code(), 0);
    assert_like(
        &refused.stderr,
        "*error: the key would sign typed data in other domains than those for which it was enrolled\nhint: enrol the credential again with --replace\n",
        "a domain of another chain",
    );
    assert_eq!(room.client().sign(&order).unwrap().body, before, "it signs by the text of its enrolment");
    // The control: what leaves the domain as it is.
    std::fs::write(&file, REEF.replace("uint64 size", "uint32 size")).unwrap();
    let _ = repin().ok();
    assert_ne!(room.client().sign(&order).unwrap().body, before);
}
