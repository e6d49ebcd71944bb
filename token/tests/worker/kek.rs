//! Making a KEK, finding it again, and refusing keys that are none.

use strongroom_link::token::{ToToken, TokenRefusal};
use strongroom_softhsm_tests::softhsm::FreshToken;

use crate::front::{Answer, Front};

const ADVICE: &str = "; let `strongroom init` make a new KEK under a label of its own";

fn opened(token: &FreshToken) -> Front {
    let mut front = Front::start(token);
    assert_eq!(front.open(token), Answer::Done);
    front
}

/// What `pkcs11-tool` says of the secret keys that it sees.
fn secret_keys(token: &FreshToken, with_pin: bool) -> String {
    let list = ["--list-objects", "--type", "secrkey"];
    let output = if with_pin {
        token.pkcs11_tool(&list)
    } else {
        token.pkcs11_tool_without_pin(&[&["--token-label", token.label.as_str()], &list[..]].concat())
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key as somebody does who knows the PIN and has another tool.
fn outsiders_key(token: &FreshToken, arguments: &[&str]) {
    let output = token.pkcs11_tool(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn makes_a_kek_that_an_outsider_sees_as_private_sensitive_and_never_extractable() {
    let token = FreshToken::new("ledger");
    let id = opened(&token).make("kek");
    let seen = secret_keys(&token, true);
    let line = |start: &str| {
        let line = seen.lines().find_map(|line| line.trim().strip_prefix(start));
        line.unwrap_or_else(|| panic!("no {start} in {seen}")).trim().to_owned()
    };
    assert_eq!(line("Secret Key Object;"), "AES length 32");
    assert_eq!(line("label:"), "kek");
    assert_eq!(line("ID:"), id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(line("Usage:"), "encrypt, decrypt");
    assert_eq!(line("Access:"), "sensitive, always sensitive, never extractable, local");
    assert_eq!(seen.matches("Secret Key Object").count(), 1);

    assert!(!secret_keys(&token, false).contains("Secret Key Object"), "private: hidden without the PIN");
    let read = token.pkcs11_tool(&["--read-object", "--type", "secrkey", "--label", "kek"]);
    assert!(!read.status.success(), "its value is refused");
}

#[test]
fn finds_the_kek_by_label_and_by_label_and_id() {
    let token = FreshToken::new("ledger");
    let (kek, other) = {
        let mut front = opened(&token);
        (front.make("kek"), front.make("other"))
    };
    assert_ne!(kek, other);
    let mut front = opened(&token);
    assert_eq!(front.find("kek", None), Answer::Kek(kek));
    assert_eq!(front.find("other", None), Answer::Kek(other));
    assert_eq!(front.find("kek", Some(kek)), Answer::Kek(kek));
    for (label, id) in [("kek", Some(other)), ("none", None), ("none", Some(kek)), ("ke", None)] {
        let absent = TokenRefusal::KekAbsent { label: label.to_owned() };
        assert_eq!(front.find(label, id), Answer::Refused(absent));
    }
}

#[test]
fn refuses_to_make_a_kek_under_a_label_that_is_taken() {
    let token = FreshToken::new("ledger");
    outsiders_key(&token, &["--keypairgen", "--key-type", "EC:prime256v1", "--label", "identity"]);
    let mut front = opened(&token);
    let kek = front.make("kek");
    for label in ["kek", "identity"] {
        let answer = front.ask(|job| ToToken::MakeKek { job, label });
        assert_eq!(answer, Answer::Refused(TokenRefusal::LabelTaken { label: label.to_owned() }));
    }
    assert_eq!(front.find("kek", None), Answer::Kek(kek));
    let absent = TokenRefusal::KekAbsent { label: "identity".to_owned() };
    assert_eq!(front.find("identity", None), Answer::Refused(absent), "a key pair is no KEK");
}

#[test]
fn refuses_two_keys_with_one_label_until_the_id_tells_them_apart() {
    let token = FreshToken::new("ledger");
    let kek = opened(&token).make("kek");
    outsiders_key(&token, &["--keygen", "--key-type", "AES:32", "--label", "kek", "--sensitive"]);
    let mut front = opened(&token);
    let ambiguous = TokenRefusal::KekAmbiguous { label: "kek".to_owned(), count: "2".to_owned() };
    assert_eq!(front.find("kek", None), Answer::Refused(ambiguous));
    assert_eq!(front.find("kek", Some(kek)), Answer::Kek(kek));
}

#[test]
fn refuses_keys_of_other_tools_that_would_let_the_secret_out() {
    let token = FreshToken::new("ledger");
    let bytes = token.dir.path().join("bytes");
    std::fs::write(&bytes, [0x5A; 32]).unwrap();
    let bytes = bytes.to_str().unwrap();
    let write = ["--write-object", bytes, "--type", "secrkey", "--key-type", "AES:32"];
    let aes = ["--keygen", "--key-type", "AES:32"];
    let cases: &[(&str, Vec<&str>, &str)] = &[
        (
            "extractable",
            [&aes[..], &["--extractable", "--sensitive", "--private"]].concat(),
            "it may leave the token wrapped (CKA_EXTRACTABLE is true)",
        ),
        (
            "readable",
            [&aes[..], &["--private"]].concat(),
            "its value may be read in the clear (CKA_SENSITIVE is false)",
        ),
        (
            "public",
            [&aes[..], &["--sensitive"]].concat(),
            "it can be used without the PIN (CKA_PRIVATE is false)",
        ),
        (
            "short",
            vec!["--keygen", "--key-type", "AES:16", "--sensitive", "--private"],
            "it has 16 bytes (CKA_VALUE_LEN), not 32",
        ),
        (
            "generic",
            vec!["--keygen", "--key-type", "GENERIC:32", "--sensitive", "--private"],
            "it is not an AES key",
        ),
        (
            "imported",
            [&write[..], &["--sensitive", "--private"]].concat(),
            "it was extractable once, or came from outside, so a copy may exist (CKA_NEVER_EXTRACTABLE is false)",
        ),
        (
            "unwrapping",
            [&aes[..], &["--sensitive", "--private"]].concat(),
            "it may unwrap what it protects into other keys (CKA_UNWRAP is true)",
        ),
    ];
    for (label, arguments, _) in cases {
        outsiders_key(&token, &[&arguments[..], &["--label", label]].concat());
    }
    let mut front = opened(&token);
    for (label, _, words) in cases {
        let unfit = TokenRefusal::KekUnfit { label: (*label).to_owned(), fault: format!("{words}{ADVICE}") };
        assert_eq!(front.find(label, None), Answer::Refused(unfit), "{label}");
    }
    let kek = front.make("kek");
    assert_eq!(front.find("kek", None), Answer::Kek(kek), "a refused key hinders no other");
}
