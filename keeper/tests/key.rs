//! Keys sign as the standards say, and refuse what no venue hands out.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "key/private.rs"]
mod private;
#[path = "key/refusals.rs"]
mod refusals;
#[path = "key/wallet.rs"]
mod wallet;

use p256::ecdsa::signature::Verifier as _;
use strongroom_keeper::key::SigningKey;
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{Algorithm, Domains, KeySpec, MAX_SECRET_BYTES, PassphraseUse, SecretForm};

const fn spec(algorithm: Algorithm, form: SecretForm) -> KeySpec {
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
