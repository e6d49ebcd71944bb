//! Keys sign as the standards say, and refuse what no venue hands out.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

use p256::ecdsa::signature::Verifier as _;
use strongroom_keeper::key::SigningKey;
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{Algorithm, Domains, KeySpec, MAX_SECRET_BYTES, PassphraseUse, SecretForm};

fn spec(algorithm: Algorithm, form: SecretForm) -> KeySpec {
    KeySpec {
        algorithm,
        form,
        passphrase: PassphraseUse::Absent,
        min_bytes: 1,
        max_bytes: MAX_SECRET_BYTES,
        domains: Domains::NONE,
    }
}

fn parse(spec: &KeySpec, secret: &[u8], passphrase: Option<&[u8]>) -> SigningKey {
    SigningKey::parse(spec, secret, passphrase)
        .unwrap_or_else(|refusal| panic!("{spec:?} refused its secret: {refusal}"))
}

fn signature(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    key.sign(message, None, &mut out).expect("signs");
    out
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks();
    assert_eq!(rest, b"", "{text}");
    pairs.iter().map(|[high, low]| digit(*high).expect("hex") << 4 | digit(*low).expect("hex")).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(bytes)
}

const HMACS: [Algorithm; 3] = [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512];

/// RFC 4231 sections 4.2 to 4.4, 4.7 and 4.8 (4.6 cuts the MAC off, and no venue does).
#[test]
fn signs_the_hmac_vectors_of_rfc_4231() {
    let cases = [
        ("1", vec![0x0b; 20], b"Hi There".to_vec(), [
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ]),
        ("2", b"Jefe".to_vec(), b"what do ya want for nothing?".to_vec(), [
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ]),
        ("3", vec![0xaa; 20], vec![0xdd; 50], [
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
            "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
        ]),
        ("6", vec![0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(), [
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ]),
        ("7", vec![0xaa; 131], b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.".to_vec(), [
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
            "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
        ]),
    ];
    for (case, secret, message, expected) in cases {
        for (algorithm, expected) in HMACS.into_iter().zip(expected) {
            let key = parse(&spec(algorithm, SecretForm::Base64), base64(&secret).as_bytes(), None);
            assert_eq!(signature(&key, &message), hex(expected), "case {case}, {algorithm}");
            // The state is cloned for each request, so the second signature is the first again.
            assert_eq!(signature(&key, &message), hex(expected), "case {case}, {algorithm}, again");
        }
    }
}

/// RFC 8032 section 7.1, tests 1 to 3.
#[test]
fn signs_the_ed25519_vectors_of_rfc_8032() {
    for (seed, message, expected) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let (seed, message, expected) = (hex(seed), hex(message), hex(expected));
        let by_seed =
            parse(&spec(Algorithm::Ed25519, SecretForm::Base64Seed32), base64(&seed).as_bytes(), None);
        assert_eq!(signature(&by_seed, &message), expected);
        let public =
            ed25519_dalek::SigningKey::from_bytes(seed.first_chunk().expect("a seed")).verifying_key();
        let with_public_half = base64(&[seed.as_slice(), public.as_bytes()].concat());
        let by_pair =
            parse(&spec(Algorithm::Ed25519, SecretForm::Base64Seed32), with_public_half.as_bytes(), None);
        assert_eq!(signature(&by_pair, &message), expected);
        let der = [hex("302e020100300506032b657004220420"), seed].concat();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", base64(&der));
        let by_pem = parse(&spec(Algorithm::Ed25519, SecretForm::Pem), pem.as_bytes(), None);
        assert_eq!(signature(&by_pem, &message), expected);
    }
}

/// The seed of the first vector of RFC 8032, and that seed with its public half, as base58 writes them.
#[test]
fn reads_a_seed_in_base58_like_the_same_in_base64() {
    const SEED: &str = "BbMQkQYZspmkytduTWvXEtc4mMURjsekJDvty2WtKeSb";
    const PAIR: &str =
        "49W385L4rePHy6PAaQUovbD2aacgN4HsKXSMeUzRg4fmwXszN91JuMFrQRj3vMDpZuRF3ZknQBuRBoWQJEfXstMw";
    const ZEROS: &str = "11CiMQsCUhqABwwLyCFeX2iPnBZX3s28dUUCBrirhs";
    let form = spec(Algorithm::Ed25519, SecretForm::Base64Seed32);
    let first = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let zeros: Vec<u8> = [0, 0].into_iter().chain(1..=30).collect();
    for (text, bytes) in [
        (SEED, &first),
        (&format!("ed25519:{SEED}"), &first),
        (PAIR, &first),
        (&format!("ed25519:{PAIR}"), &first),
        (ZEROS, &zeros),
    ] {
        let (ours, theirs) =
            (parse(&form, text.as_bytes(), None), parse(&form, base64(bytes).as_bytes(), None));
        assert_eq!(signature(&ours, b"x"), signature(&theirs, b"x"), "{text}");
    }
    let other_half = PAIR.replace('2', "3");
    for (case, text, expected) in [
        ("a digit that base58 has not", SEED.replace('B', "0"), Refusal::SecretSeedLength { bytes: 33 }),
        ("a digit short of the pair", PAIR[1..].to_owned(), Refusal::SecretInconsistent),
        ("a zero too many", format!("1{SEED}"), Refusal::SecretNotBase64),
        ("a zero too few", ZEROS[1..].to_owned(), Refusal::SecretNotBase64),
        ("more than 32 bytes", "z".repeat(44), Refusal::SecretSeedLength { bytes: 33 }),
        ("another public half", other_half, Refusal::SecretInconsistent),
        ("another curve", format!("secp256k1:{SEED}"), Refusal::SecretNotBase64),
    ] {
        assert_eq!(SigningKey::parse(&form, text.as_bytes(), None).err(), Some(expected), "{case}");
    }
}

/// The private key of RFC 6979 appendix A.2.5, in the form in which Coinbase hands keys out.
const P256_SEC1: &str = include_str!("pem/p256-sec1.pem");
const P256_PKCS8: &str = include_str!("pem/p256-pkcs8.pem");
const P256_PUBLIC: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

#[test]
fn signs_with_p256_what_the_public_half_verifies() {
    let key = parse(&spec(Algorithm::Es256, SecretForm::Pem), P256_SEC1.as_bytes(), None);
    for message in ["sample", "test"] {
        verify_p256(&signature(&key, message.as_bytes()), message);
    }
}

fn verify_p256(signature: &[u8], message: &str) {
    let public = p256::ecdsa::VerifyingKey::from_sec1_bytes(&hex(P256_PUBLIC)).expect("a point");
    let signature = p256::ecdsa::Signature::from_slice(signature).expect("r and s");
    public.verify(message.as_bytes(), &signature).expect("verifies");
}

#[test]
fn reads_a_pem_key_however_it_was_copied() {
    let es256 = spec(Algorithm::Es256, SecretForm::Pem);
    for (case, text) in [
        ("PKCS#8", P256_PKCS8.to_owned()),
        ("no final line break", P256_SEC1.trim_end().to_owned()),
        ("CRLF", P256_SEC1.replace('\n', "\r\n")),
        ("escaped LF", P256_SEC1.replace('\n', "\\n")),
        ("escaped CRLF", P256_SEC1.replace('\n', "\\r\\n")),
        ("space around", format!("\n  {P256_SEC1}\n\n")),
        ("one long line", one_line(P256_PKCS8)),
    ] {
        let key = SigningKey::parse(&es256, text.as_bytes(), None);
        verify_p256(
            &signature(&key.unwrap_or_else(|refusal| panic!("{case}: {refusal}")), b"sample"),
            "sample",
        );
    }
}

/// Joins the lines of base64 between the boundaries.
fn one_line(pem: &str) -> String {
    let lines: Vec<&str> = pem.lines().collect();
    let (first, rest) = lines.split_first().expect("lines");
    let (last, body) = rest.split_last().expect("lines");
    format!("{first}\n{}\n{last}\n", body.concat())
}

#[test]
fn signs_the_examples_that_binance_publishes() {
    let secret = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    let key = parse(&spec(Algorithm::HmacSha256, SecretForm::Utf8), secret, None);
    for (message, expected) in [
        (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTCquantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
            "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77",
        ),
    ] {
        assert_eq!(signature(&key, message.as_bytes()), hex(expected));
    }
}

#[test]
fn signs_the_example_that_kraken_publishes() {
    use sha2::Digest as _;
    let secret = b"kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
    let key = parse(&spec(Algorithm::HmacSha512, SecretForm::Base64), secret, None);
    let hashed = sha2::Sha256::digest(
        "1616492376594nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
    );
    let message = [b"/0/private/AddOrder".as_slice(), &hashed].concat();
    assert_eq!(
        base64(&signature(&key, &message)),
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    );
}

#[test]
fn hashes_the_secret_where_the_message_says() {
    use sha2::Digest as _;
    let key = parse(&spec(Algorithm::HashSha256, SecretForm::Utf8), b"s3cret", None);
    for (at, text) in [(0, "s3cretGET/v2"), (3, "GETs3cret/v2"), (6, "GET/v2s3cret")] {
        let mut out = b"kept".to_vec();
        key.sign(b"GET/v2", Some(at), &mut out).expect("signs");
        assert_eq!(out, [b"kept".as_slice(), &sha2::Sha256::digest(text)].concat(), "{at}");
    }
}

#[test]
fn refuses_a_place_for_the_secret_that_does_not_fit_and_leaves_the_buffer_alone() {
    let hash = parse(&spec(Algorithm::HashSha256, SecretForm::Utf8), b"s3cret", None);
    let hmac = parse(&spec(Algorithm::HmacSha256, SecretForm::Utf8), b"s3cret", None);
    let es256 = parse(&spec(Algorithm::Es256, SecretForm::Pem), P256_SEC1.as_bytes(), None);
    for (case, key, at) in [
        ("none for a hash", &hash, None),
        ("past the end of the message", &hash, Some(7)),
        ("far past the end", &hash, Some(u32::MAX)),
        ("one for an HMAC", &hmac, Some(0)),
        ("one for ES256", &es256, Some(0)),
    ] {
        let mut out = b"kept".to_vec();
        assert_eq!(key.sign(b"GET/v2", at, &mut out), Err(Refusal::WrongMessage), "{case}");
        assert_eq!(out, b"kept", "{case}");
    }
}

#[test]
fn releases_of_a_passphrase_what_its_use_says() {
    let with = |passphrase| KeySpec { passphrase, ..spec(Algorithm::HmacSha256, SecretForm::Utf8) };
    let absent = parse(&with(PassphraseUse::Absent), b"Jefe", None);
    assert_eq!(absent.released_passphrase(), b"");
    let plain = parse(&with(PassphraseUse::Plain), b"Jefe", Some("p\u{e4}ss phrase".as_bytes()));
    assert_eq!(plain.released_passphrase(), "p\u{e4}ss phrase".as_bytes());
    let mac = parse(&with(PassphraseUse::Mac), b"Jefe", Some(b"what do ya want for nothing?"));
    assert_eq!(
        mac.released_passphrase(),
        hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    );
}

#[test]
fn refuses_a_passphrase_that_does_not_fit_its_use() {
    use PassphraseUse::{Absent, Mac, Plain};
    for (case, passphrase, given, expected) in [
        ("none where one belongs", Plain, None, Refusal::PassphraseMissing),
        ("none to take the MAC of", Mac, None, Refusal::PassphraseMissing),
        ("one where none belongs", Absent, Some(b"phrase".to_vec()), Refusal::PassphraseUnexpected),
        ("an empty one where none belongs", Absent, Some(vec![]), Refusal::PassphraseUnexpected),
        ("empty", Plain, Some(vec![]), Refusal::PassphraseShape),
        ("one byte over", Plain, Some(vec![b'p'; 257]), Refusal::PassphraseShape),
        ("a line break", Plain, Some(b"phrase\n".to_vec()), Refusal::PassphraseShape),
        ("a header after it", Mac, Some(b"phrase\r\nX: y".to_vec()), Refusal::PassphraseShape),
        ("a zero byte", Plain, Some(b"phr\0ase".to_vec()), Refusal::PassphraseShape),
        ("no UTF-8", Plain, Some(vec![0xff]), Refusal::PassphraseShape),
    ] {
        let spec = KeySpec { passphrase, ..spec(Algorithm::HmacSha256, SecretForm::Utf8) };
        let refused = SigningKey::parse(&spec, b"secret", given.as_deref()).err();
        assert_eq!(refused, Some(expected), "{case}");
    }
    let longest = vec![b'p'; 256];
    let spec = KeySpec { passphrase: Plain, ..spec(Algorithm::HmacSha256, SecretForm::Utf8) };
    assert_eq!(parse(&spec, b"secret", Some(&longest)).released_passphrase(), longest);
}

/// From the tests of the vendor's SDK (hyperliquid-python-sdk, tests/signing_test.py): an action on the main net and
/// on the test net, whose signatures have both recovery numbers.
const WALLET: &str = "0123456789012345678901234567890123456789012345678901234567890123";
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

#[test]
fn refuses_a_secret_of_the_wrong_shape() {
    use Algorithm::{Ed25519, Es256, HmacSha256};
    use SecretForm::{Base64, Base64Seed32, Pem, Utf8};
    let too_long = Refusal::SecretTooLong { limit: 8192 };
    let broken = P256_SEC1.replace("-----END EC PRIVATE KEY-----", "");
    let swapped = P256_SEC1.replace("MHcC", "MH!C");
    let two = format!("{P256_SEC1}{P256_SEC1}");
    let huge = vec![b'a'; 8193];
    for (case, algorithm, form, secret, expected) in [
        ("empty", HmacSha256, Utf8, "".as_bytes(), Refusal::SecretEmpty),
        ("empty PEM", Es256, Pem, b"", Refusal::SecretEmpty),
        ("over every limit", HmacSha256, Utf8, &huge, too_long),
        ("space before", HmacSha256, Utf8, b" secret", Refusal::SecretNotText),
        ("space after", HmacSha256, Utf8, b"secret ", Refusal::SecretNotText),
        ("only space", HmacSha256, Utf8, b"  ", Refusal::SecretNotText),
        ("a line break", HmacSha256, Utf8, b"sec\nret", Refusal::SecretNotText),
        ("a zero byte", HmacSha256, Utf8, b"sec\0ret", Refusal::SecretNotText),
        ("not ASCII", HmacSha256, Utf8, "s\u{e9}cret".as_bytes(), Refusal::SecretNotText),
        ("DEL", HmacSha256, Utf8, b"secret\x7f", Refusal::SecretNotText),
        ("no base64", HmacSha256, Base64, b"not base64!!", Refusal::SecretNotBase64),
        ("no padding", HmacSha256, Base64, b"c2VjcmV0cw", Refusal::SecretNotBase64),
        ("too much padding", HmacSha256, Base64, b"c2VjcmV0cw===", Refusal::SecretNotBase64),
        ("bits left over", HmacSha256, Base64, b"c2VjcmV0cx==", Refusal::SecretNotBase64),
        ("padding inside", HmacSha256, Base64, b"c2Vj=mV0", Refusal::SecretNotBase64),
        ("URL alphabet", HmacSha256, Base64, b"-_-_", Refusal::SecretNotBase64),
        ("line break in base64", HmacSha256, Base64, b"c2Vj\ncmV0", Refusal::SecretNotBase64),
        ("space after base64", HmacSha256, Base64, b"c2VjcmV0 ", Refusal::SecretNotBase64),
        ("only padding", HmacSha256, Base64, b"====", Refusal::SecretNotBase64),
        ("a short seed", Ed25519, Base64Seed32, b"c2VjcmV0", Refusal::SecretSeedLength { bytes: 6 }),
        ("no PEM", Es256, Pem, b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5", Refusal::SecretNotPem),
        ("the first line alone", Es256, Pem, b"-----BEGIN EC PRIVATE KEY-----", Refusal::SecretNotPem),
        ("cut off", Es256, Pem, broken.as_bytes(), Refusal::SecretNotPem),
        ("damaged", Es256, Pem, swapped.as_bytes(), Refusal::SecretNotPem),
        ("two keys", Es256, Pem, two.as_bytes(), Refusal::SecretNotPem),
        (
            "encrypted PKCS#8",
            Es256,
            Pem,
            include_bytes!("pem/p256-encrypted-pkcs8.pem"),
            Refusal::SecretPemEncrypted,
        ),
        (
            "encrypted SEC1",
            Es256,
            Pem,
            include_bytes!("pem/p256-encrypted-sec1.pem"),
            Refusal::SecretPemEncrypted,
        ),
    ] {
        assert_eq!(SigningKey::parse(&spec(algorithm, form), secret, None).err(), Some(expected), "{case}");
    }
}

#[test]
fn refuses_a_secret_outside_the_limits_of_its_venue() {
    let limits = KeySpec { min_bytes: 8, max_bytes: 12, ..spec(Algorithm::HmacSha256, SecretForm::Utf8) };
    for (case, secret, expected) in [
        ("one under", "1234567", Some(Refusal::SecretTooShort { limit: 8 })),
        ("shortest", "12345678", None),
        ("longest", "123456789012", None),
        ("one over", "1234567890123", Some(Refusal::SecretTooLong { limit: 12 })),
    ] {
        assert_eq!(SigningKey::parse(&limits, secret.as_bytes(), None).err(), expected, "{case}");
    }
    // As written: twelve characters of base64 are nine bytes of key.
    let base64 = KeySpec { min_bytes: 12, max_bytes: 12, form: SecretForm::Base64, ..limits };
    assert_eq!(SigningKey::parse(&base64, b"c2VjcmV0c2Vj", None).err(), None);
    let pem = KeySpec { max_bytes: 64, ..spec(Algorithm::Es256, SecretForm::Pem) };
    let refused = SigningKey::parse(&pem, P256_SEC1.as_bytes(), None).err();
    assert_eq!(refused, Some(Refusal::SecretTooLong { limit: 64 }));
}

#[test]
fn refuses_specs_whose_parts_do_not_go_together() {
    use Algorithm::{Ed25519, Es256, HashSha256, HmacSha256, HmacSha384, HmacSha512, RsaSha256, Secp256k1};
    use SecretForm::{Base64, Base64Seed32, Hex32, Pem, Utf8};
    let text = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    let rsa = include_str!("pem/rsa2048-pkcs8.pem");
    let bare_rsa: String = rsa.lines().filter(|line| !line.starts_with('-')).collect();
    for algorithm in Algorithm::ALL.iter().copied() {
        for form in SecretForm::ALL.iter().copied() {
            let fits = match algorithm {
                HmacSha256 | HmacSha384 | HmacSha512 => matches!(form, Utf8 | Base64),
                HashSha256 => form == Utf8,
                Es256 => form == Pem,
                RsaSha256 => matches!(form, Pem | Base64),
                Ed25519 => matches!(form, Pem | Base64Seed32),
                Secp256k1 => form == Hex32,
            };
            let secret = match (form, algorithm) {
                (Pem, Ed25519) => include_str!("pem/ed25519-pkcs8.pem"),
                (Base64, RsaSha256) => &bare_rsa,
                (Pem, RsaSha256) => rsa,
                (Base64Seed32, _) => "Tmhxd3F0bWRTSllkS2pWSGpBN1BaajRNZ2UzUjVZTmk=",
                (Pem, _) => P256_PKCS8,
                (Hex32, _) => WALLET,
                _ => text,
            };
            let refused = SigningKey::parse(&spec(algorithm, form), secret.as_bytes(), None).err();
            assert_eq!(refused, (!fits).then_some(Refusal::SpecUnfit), "{algorithm}, {form}");
        }
    }
    let mac_of_passphrase = KeySpec { passphrase: PassphraseUse::Mac, ..spec(HashSha256, Utf8) };
    let refused = SigningKey::parse(&mac_of_passphrase, text.as_bytes(), Some(b"phrase")).err();
    assert_eq!(refused, Some(Refusal::SpecUnfit));
}
