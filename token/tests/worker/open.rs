//! Listing the tokens, finding one, and logging in.

use std::path::Path;

use strongroom_link::token::{PinState, TokenDescription, TokenRefusal, Tries};
use strongroom_softhsm_tests::softhsm::FreshToken;

use crate::front::{Answer, Front};

fn described(serial: &str, label: &str) -> TokenDescription {
    TokenDescription {
        serial: serial.to_owned(),
        label: label.to_owned(),
        model: "SoftHSM project SoftHSM v2".to_owned(),
        pin: PinState { initialised: true, pad: false, tries: Tries::Unremarkable },
    }
}

fn listed(answer: Answer) -> Vec<TokenDescription> {
    let Answer::Tokens(mut tokens) = answer else { panic!("{answer:?}") };
    tokens.sort_by(|one, other| one.serial.cmp(&other.serial));
    tokens
}

#[test]
fn lists_the_initialised_tokens_without_a_pin() {
    let token = FreshToken::new("ledger");
    let other = token.another("other ledger");
    let mut expected = vec![described(&token.serial, "ledger"), described(&other, "other ledger")];
    expected.sort_by(|one, other| one.serial.cmp(&other.serial));

    let mut front = Front::start(&token);
    assert_eq!(listed(front.tokens(&token.module)), expected);
    assert_eq!(front.find("kek", None), Answer::Refused(TokenRefusal::NotOpen));
}

#[test]
fn opens_a_token_by_serial_and_label() {
    let token = FreshToken::new("ledger");
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    let (status, talk) = front.end();
    assert_eq!((status.code(), talk.as_str()), (Some(0), ""));
}

#[test]
fn refuses_a_token_whose_serial_or_label_differs_and_tells_what_is_there() {
    let token = FreshToken::new("ledger");
    let mut front = Front::start(&token);
    for (serial, label) in [("0000000000000000", "ledger"), (token.serial.as_str(), "purse"), ("", "")] {
        let answer = front.open_as(&token.module, serial, label, token.pin.as_bytes());
        let expected = TokenRefusal::TokenAbsent {
            label: label.to_owned(),
            serial: serial.to_owned(),
            present: format!("`ledger` (serial {})", token.serial),
        };
        assert_eq!(answer, Answer::Refused(expected));
    }
}

#[test]
fn tells_two_tokens_with_one_label_apart_by_their_serials() {
    let token = FreshToken::new("twin");
    let other = token.another("twin");
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    let kek = front.make("kek");

    assert_eq!(front.open_as(&token.module, &other, "twin", token.pin.as_bytes()), Answer::Done);
    let absent = TokenRefusal::KekAbsent { label: "kek".to_owned() };
    assert_eq!(front.find("kek", None), Answer::Refused(absent));
    assert_eq!(front.open(&token), Answer::Done);
    assert_eq!(front.find("kek", None), Answer::Kek(kek));
}

#[test]
fn finds_a_token_whose_slot_number_has_changed() {
    let token = FreshToken::new("ledger");
    let kek = {
        let mut front = Front::start(&token);
        assert_eq!(front.open(&token), Answer::Done);
        front.make("kek")
    };
    // SoftHSM takes the slot number from the serial number, and resolves a conflict by the order of
    // the folders: what changes here is the order, and the number of the free slot.
    let slots_before = slots(&token);
    for label in ["a", "b", "c"] {
        drop(token.another(label));
    }
    assert_ne!(slots(&token), slots_before);
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    assert_eq!(front.find("kek", None), Answer::Kek(kek));
}

/// The lines that name a slot, and the token in it.
fn slots(token: &FreshToken) -> Vec<String> {
    let output = token.pkcs11_tool(&["--list-slots"]);
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("Slot ") || line.contains("token label"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn refuses_a_wrong_pin_and_says_what_the_token_says() {
    let token = FreshToken::new("ledger");
    assert!(!flags(&token).contains("user PIN count low"));
    let mut front = Front::start(&token);
    let answer = front.open_as(&token.module, &token.serial, "ledger", b"654321");
    let left = ", and the token says that its count is low".to_owned();
    assert_eq!(answer, Answer::Refused(TokenRefusal::PinIncorrect { left }));
    assert_eq!(front.find("kek", None), Answer::Refused(TokenRefusal::NotOpen));
    assert_eq!(listed(front.tokens(&token.module))[0].pin.tries, Tries::CountLow, "told without a login");
    drop(front);
    assert!(flags(&token).contains("user PIN count low"));

    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    assert_eq!(listed(front.tokens(&token.module))[0].pin.tries, Tries::Unremarkable);
    drop(front);
    assert!(!flags(&token).contains("user PIN count low"), "the right PIN resets the count");
}

/// The token's flags, seen without logging in.
fn flags(token: &FreshToken) -> String {
    let output = token.pkcs11_tool_without_pin(&["--list-token-slots"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("token flags")).unwrap();
    line.to_owned()
}

#[test]
fn refuses_what_is_no_pin_without_a_try() {
    let token = FreshToken::new("ledger");
    let mut front = Front::start(&token);
    for (pin, reason) in [
        (&b""[..], "it is empty"),
        (b"\n", "it is empty"),
        (b"\xFF\xFE", "it is not UTF-8"),
        (&[b'1'; 256], "more than 255 bytes came"),
    ] {
        let answer = front.open_as(&token.module, &token.serial, "ledger", pin);
        assert_eq!(answer, Answer::Refused(TokenRefusal::PinMissing { reason: reason.to_owned() }));
    }
    assert!(!flags(&token).contains("user PIN count low"));
    assert_eq!(
        front.open_as(&token.module, &token.serial, "ledger", format!("{}\n", token.pin).as_bytes()),
        Answer::Done,
        "a newline at the end is not part of the PIN"
    );
}

#[test]
fn forgets_the_login_when_a_second_open_is_refused() {
    let token = FreshToken::new("ledger");
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    let answer = front.open_as(&token.module, &token.serial, "ledger", b"654321");
    assert!(matches!(answer, Answer::Refused(TokenRefusal::PinIncorrect { .. })), "{answer:?}");
    assert_eq!(front.find("kek", None), Answer::Refused(TokenRefusal::NotOpen));
}

#[test]
fn says_why_a_module_cannot_be_loaded() {
    let token = FreshToken::new("ledger");
    let text = token.dir.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    let absent = token.dir.path().join("absent.so");
    let mut front = Front::start(&token);
    for (path, expected) in [
        (Path::new("libsofthsm2.so"), "its path must be absolute"),
        (&absent, "No such file or directory (os error 2)"),
        (token.dir.path(), "it is not a regular file"),
        (&text, "the loader says: "),
        (&libc(), "it is a library, but not a PKCS#11 module: it has no C_GetFunctionList"),
    ] {
        for answer in [front.tokens(path), front.open_as(path, "1", "1", b"1")] {
            let Answer::Refused(TokenRefusal::ModuleLoad { path: told, reason }) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(Path::new(&told), path);
            assert!(reason.starts_with(expected), "{reason}");
        }
    }
    assert_eq!(front.open(&token), Answer::Done, "a refused module hinders no other");
}

/// A shared library that is certainly here: the one that this test itself has loaded.
fn libc() -> std::path::PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path =
        maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"));
    path.unwrap().into()
}

#[test]
fn says_that_the_module_does_not_start_where_its_tokens_are_gone() {
    let token = FreshToken::new("ledger");
    std::fs::rename(token.tokens(), token.dir.path().join("away")).unwrap();
    let mut front = Front::start(&token);
    let Answer::Refused(refusal) = front.open(&token) else { panic!("it opened") };
    assert_eq!(
        refusal.to_string(),
        format!(
            "the PKCS#11 module `{}` cannot be loaded: it does not start (C_Initialize: CKR_GENERAL_ERROR); \
             look at its own configuration and at the folder of its tokens",
            token.module.display()
        )
    );
    std::fs::rename(token.dir.path().join("away"), token.tokens()).unwrap();
    assert_eq!(front.open(&token), Answer::Done, "the same worker tries again when it is asked to");
}
