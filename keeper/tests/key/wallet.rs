//! A wallet's key signs typed data, in the domains of its spec, and nothing else.

use strongroom_keeper::key::SigningKey;
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{Algorithm, Domains, KeySpec, SecretForm};

use super::{hex, parse, signature, spec};

/// From the tests of the vendor's SDK (hyperliquid-python-sdk, tests/signing_test.py): an action on the main net and
/// on the test net, whose signatures have both recovery numbers.
pub(super) const WALLET: &str = "0123456789012345678901234567890123456789012345678901234567890123";
const EIP712: [(&str, &str); 2] = [
    (
        "1901d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa4040ebb2abb9a58ab060d1a028aad1b3d535e98109e64aafc8bc604c38779ab0a175",
        "053749d5b30552aeb2fca34b530185976545bb22d0b3ce6f62e31be961a59298755c40ba9bf05223521753995abb2f73ab3229be8ec921f350cb447e384d8ed81b",
    ),
    (
        "1901d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa40403a4bd52376052a3ca2843ae21a77ce01817e5027fedf850890619609d92b5261",
        "542af61ef1f429707e3c76c5293c80d01f74ef853e34b76efffcb57e574f951017b8b32f086e8cdede991f1e2c529f5dd5297cbe8128500e00cbaf766204a6131c",
    ),
];

/// Their domain: `Exchange`, version 1, chain 1337, no contract.
const EXCHANGE: &str = "d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa4040";

fn wallet() -> KeySpec {
    let domains = Domains::new([hex(EXCHANGE).try_into().expect("a separator")]).expect("one");
    KeySpec { domains, ..spec(Algorithm::Secp256k1, SecretForm::Hex32) }
}

#[test]
fn signs_eip_712_messages_as_wallets_do() {
    for secret in [WALLET.to_owned(), format!("0x{WALLET}")] {
        let key = parse(&wallet(), secret.as_bytes(), None);
        for (message, expected) in EIP712 {
            assert_eq!(signature(&key, &hex(message)), hex(expected));
        }
        assert_eq!(key.released_passphrase(), b"");
    }
}

/// The address of whoever has signed, as the venue computes it: it knows no key.
fn signer(message: &[u8], signature: &[u8]) -> String {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
    use sha3::Digest as _;
    let (both, recovery) = signature.split_at(64);
    let number = recovery.first().and_then(|byte| byte.checked_sub(27)).expect("27 or 28");
    let recovered = VerifyingKey::recover_from_prehash(
        &sha3::Keccak256::digest(message),
        &Signature::from_slice(both).expect("r and s"),
        RecoveryId::from_byte(number).expect("a recovery number"),
    );
    let point = recovered.expect("a key").to_sec1_point(false);
    let hash = sha3::Keccak256::digest(point.as_bytes().get(1..).expect("x and y"));
    hash.iter().skip(12).fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn gives_the_address_of_the_wallet_back_from_a_signature() {
    const ADDRESS: &str = "0x14791697260e4c9a71f18484c9f997b308e59325";
    let (key, mut numbers) = (parse(&wallet(), WALLET.as_bytes(), None), Vec::new());
    let mut message = hex(EIP712[0].0);
    for round in 0..32 {
        message[65] = round;
        let signed = signature(&key, &message);
        assert_eq!(signer(&message, &signed), ADDRESS, "{round}");
        numbers.push(signed[64]);
    }
    assert!(numbers.contains(&27) && numbers.contains(&28), "both are made: {numbers:?}");
    // The controls: another message, another recovery number, another key.
    let signed = signature(&key, &message);
    let mut changed = message.clone();
    changed[40] ^= 1;
    assert_ne!(signer(&changed, &signed), ADDRESS);
    let flipped = [&signed[..64], &[55 - signed[64]]].concat();
    assert_ne!(signer(&message, &flipped), ADDRESS);
    let other = parse(&wallet(), WALLET.replace("0123", "0124").as_bytes(), None);
    assert_ne!(signer(&message, &signature(&other, &message)), ADDRESS);
}

#[test]
fn signs_nothing_but_eip_712_messages_with_a_wallet() {
    let key = parse(&wallet(), WALLET.as_bytes(), None);
    let message = hex(EIP712[0].0);
    let prefixed = |first: u8, second: u8| [&[first, second], &message[2..]].concat();
    for (case, message) in [
        ("nothing", Vec::new()),
        ("a digest", message[2..34].to_vec()),
        ("one byte less", message[..65].to_vec()),
        ("one byte more", [&message[..], &[0]].concat()),
        ("a signed text of EIP-191", prefixed(0x19, 0x45)),
        ("a validator's text", prefixed(0x19, 0x00)),
        ("a transaction of EIP-1559", prefixed(0x02, 0xf8)),
        ("a transaction", prefixed(0xf8, 0x40)),
    ] {
        let mut out = b"before".to_vec();
        assert_eq!(key.sign(&message, None, &mut out), Err(Refusal::WrongMessage), "{case}");
        assert_eq!(out, b"before", "{case}");
    }
    let mut out = Vec::new();
    assert_eq!(key.sign(&message, Some(0), &mut out), Err(Refusal::WrongMessage));
    assert_eq!(key.sign(&message, None, &mut out), Ok(()));
}

#[test]
fn signs_typed_data_in_the_domains_of_its_spec_alone() {
    let message = hex(EIP712[0].0);
    let separator = |message: &[u8]| -> [u8; 32] { message[2..34].try_into().expect("32 bytes") };
    let mut near = message.clone();
    near[33] ^= 1;
    let zeros = [&message[..2], &[0; 32], &message[34..]].concat();
    let two = Domains::new([separator(&near), separator(&message)]).expect("two");
    for (case, domains, message, expected) in [
        ("its own", wallet().domains, &message, Ok(())),
        ("one bit beside it", wallet().domains, &near, Err(Refusal::ForeignDomain)),
        ("what stands where no domain does", wallet().domains, &zeros, Err(Refusal::ForeignDomain)),
        ("of two the first", two, &message, Ok(())),
        ("of two the second", two, &near, Ok(())),
        ("neither of two", two, &zeros, Err(Refusal::ForeignDomain)),
        ("none is named", Domains::NONE, &message, Err(Refusal::ForeignDomain)),
        ("none is named, and none given", Domains::NONE, &zeros, Err(Refusal::ForeignDomain)),
    ] {
        let key = parse(&KeySpec { domains, ..wallet() }, WALLET.as_bytes(), None);
        let mut out = b"before".to_vec();
        assert_eq!(key.sign(message, None, &mut out), expected, "{case}");
        assert_eq!(out.len() > 6, expected.is_ok(), "{case}");
    }
}

#[test]
fn refuses_what_is_no_private_key_of_a_wallet() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let below = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140";
    let words = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let wallet = spec(Algorithm::Secp256k1, SecretForm::Hex32);
    for (case, secret, expected) in [
        ("empty", String::new(), Refusal::SecretEmpty),
        ("only 0x", "0x".to_owned(), Refusal::SecretNotHex32),
        ("an address", format!("0x{}", &WALLET[..40]), Refusal::SecretNotHex32),
        ("a digit short", WALLET[1..].to_owned(), Refusal::SecretNotHex32),
        ("a digit more", format!("{WALLET}0"), Refusal::SecretNotHex32),
        ("no digit", format!("{}g", &WALLET[1..]), Refusal::SecretNotHex32),
        ("0x twice", format!("0x0x{}", &WALLET[2..]), Refusal::SecretNotHex32),
        ("0X", format!("0X{WALLET}"), Refusal::SecretNotHex32),
        ("space", format!(" {}", &WALLET[1..]), Refusal::SecretNotHex32),
        ("a public key", format!("02{WALLET}"), Refusal::SecretPublicKey),
        ("a long public key", format!("0x04{WALLET}{WALLET}"), Refusal::SecretPublicKey),
        ("words", words.to_owned(), Refusal::SecretMnemonic),
        ("zero", "0".repeat(64), Refusal::SecretOutOfRange),
        ("the order of the curve", order.to_owned(), Refusal::SecretOutOfRange),
        ("all ones", "f".repeat(64), Refusal::SecretOutOfRange),
    ] {
        assert_eq!(SigningKey::parse(&wallet, secret.as_bytes(), None).err(), Some(expected), "{case}");
    }
    for secret in [below.to_owned(), below.to_uppercase(), format!("{}1", "0".repeat(63))] {
        assert_eq!(SigningKey::parse(&wallet, secret.as_bytes(), None).err(), None, "{secret}");
    }
}
