//! What a venue's rule is, told to a program by the client library as the command tells it to a person.

use std::io::Write as _;
use std::os::fd::OwnedFd;

use strongroom_client::{Enrollment, Error, ErrorCode, SignRequest};
use strongroom_softhsm_tests::room::{Key, Room};

use crate::keys::BINANCE;
use crate::records::assert_like;

const PEM: &str = include_str!("../../../keeper/tests/pem/ed25519-pkcs8.pem");

fn piped(text: &str) -> OwnedFd {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    reader.into()
}

#[track_caller]
fn assert_told(error: &Error, message: &str, hint: &str) {
    assert_eq!(error.code(), Some(ErrorCode::Invalid), "{error}");
    assert_like(&error.to_string(), message, "the message");
    assert_like(error.hint(), hint, "the hint");
}

#[test]
fn tells_a_program_which_part_of_a_request_the_venue_does_not_sign() {
    let room = Room::new();
    let secret = "bingx tests only: this secret opens nothing";
    let _ =
        room.enroll(&Key { name: "bingx-main", venue: "bingx", secret, ..BINANCE }, &["--allow", "*"]).ok();
    let _agent = room.start_unlocked();
    let order = SignRequest::new("bingx-main", "POST", "/openApi/swap/v2/trade/order");
    let refused =
        room.client().sign(&order.clone().json(br#"{"symbol":"BTC-USDT"}"#.as_slice())).unwrap_err();
    assert_told(
        &refused,
        "bingx does not sign the body of a POST to this path; put the parameters into the query",
        "*",
    );
    let _ = room.client().sign(&order.query("symbol", "BTC-USDT")).expect("the control");
}

#[test]
fn tells_a_program_what_a_secret_of_the_venue_is() {
    let room = Room::new();
    let _agent = room.start();
    let enroll = |venue: &str, secret: &str, passphrase: Option<&str>| {
        let enrollment = Enrollment::new("new", venue, "PUBLICHALF");
        room.client().enroll(&enrollment, piped(&room.token.pin), piped(secret), passphrase.map(piped))
    };
    let secret = "tests only: this secret opens nothing";
    assert_told(
        &enroll("okx", secret, None).unwrap_err(),
        "keys of okx have a passphrase, which requests carry",
        "give it with the secret; see https://*",
    );
    assert_told(
        &enroll("binance", secret, Some("none here")).unwrap_err(),
        "keys of binance have no passphrase",
        "leave it out; see https://*",
    );
    assert_told(
        &enroll("kraken", PEM, None).unwrap_err(),
        "the secret is a PEM block, which no secret of this venue is; a secret of kraken is * characters of base64",
        "private keys go with other profiles: *",
    );
    assert_told(
        &enroll("coinbase-eddsa", PEM, None).unwrap_err(),
        "the secret is a PEM block, *; a secret of coinbase-eddsa is an Ed25519 private key in base64, base58 or hexadecimal: *",
        "`openssl pkey -in KEY.pem *",
    );
    // Nothing of it was kept, and nothing but the secret was wrong.
    assert!(room.client().list().unwrap().is_empty());
    enroll("okx", secret, Some("a phrase")).expect("the control");
}

#[test]
fn tells_a_program_what_the_key_ids_of_a_venue_are() {
    let room = Room::new();
    let _agent = room.start();
    let wallet = "0x0123456789012345678901234567890123456789012345678901234567890123";
    let enroll = |key_id: &str| {
        let enrollment = Enrollment::new("new", "hyperliquid", key_id);
        room.client().enroll(&enrollment, piped(&room.token.pin), piped(wallet), None)
    };
    for key_id in ["0x1234", "PUBLICHALF", "14791697260e4c9a71f18484c9f997b308e59325", wallet] {
        let is = "the key id is not the address of the key: 0x and 40 hexadecimal digits";
        assert_told(&enroll(key_id).unwrap_err(), is, "copy it again; see https://*");
    }
    // One letter of the address is written otherwise, which EIP-55 finds.
    assert_told(
        &enroll("0x14791697260e4c9A71f18484C9f997B308e59324").unwrap_err(),
        "the key id is an address with a slip in it: *",
        "copy it again; see https://*",
    );
    assert!(room.client().list().unwrap().is_empty());
    enroll("0x14791697260e4c9a71f18484c9f997b308e59325").expect("the control");
}
