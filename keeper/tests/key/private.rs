//! Private keys are read however they are written, and refused with what is wrong with them.

use base64ct::{Base64, Encoding as _};
use p256::ecdsa::signature::Verifier as _;
use strongroom_keeper::key::SigningKey;
use strongroom_link::keeper::{KeyKind, Refusal};
use strongroom_link::key::{Algorithm, KeySpec, SecretForm};

use super::{P256_PUBLIC, hex, spec};

const MESSAGE: &[u8] = b"symbol=LTCBTC";

macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("../pem/", $name))
    };
}

const RSA: KeySpec = spec(Algorithm::RsaSha256, SecretForm::Pem);
const ES256: KeySpec = spec(Algorithm::Es256, SecretForm::Pem);
const ED25519: KeySpec = spec(Algorithm::Ed25519, SecretForm::Pem);
const SEED: KeySpec = spec(Algorithm::Ed25519, SecretForm::Base64Seed32);
const TEXT: KeySpec = spec(Algorithm::HmacSha256, SecretForm::Utf8);

fn signature(spec: &KeySpec, secret: &str) -> Vec<u8> {
    let key = SigningKey::parse(spec, secret.as_bytes(), None)
        .unwrap_or_else(|refusal| panic!("{spec:?} refused its secret: {refusal}"));
    let mut out = b"kept".to_vec();
    key.sign(MESSAGE, None, &mut out).expect("signs");
    assert!(out.starts_with(b"kept"));
    out.split_off(4)
}

/// The signatures were made by `openssl dgst -sha256 -sign` (OpenSSL 3.0); PKCS#1 v1.5 has one for each message.
#[test]
fn signs_with_rsa_as_openssl_does() {
    for (expected, pkcs1, pkcs8) in [
        (pem!("rsa2048.sig"), pem!("rsa2048-pkcs1.pem"), pem!("rsa2048-pkcs8.pem")),
        (pem!("rsa3072.sig"), pem!("rsa3072-pkcs1.pem"), pem!("rsa3072-pkcs8.pem")),
        (pem!("rsa4096.sig"), pem!("rsa4096-pkcs1.pem"), pem!("rsa4096-pkcs8.pem")),
    ] {
        let expected = Base64::decode_vec(expected.trim()).expect("base64");
        assert_eq!(signature(&RSA, pkcs1), expected);
        assert_eq!(signature(&RSA, pkcs8), expected);
        assert_eq!(signature(&RSA, &pkcs8.replace('\n', "\\n")), expected);
    }
}

#[test]
fn tells_which_signatures_take_long() {
    let takes_long =
        |spec, secret: &str| SigningKey::parse(spec, secret.as_bytes(), None).expect("a key").takes_long();
    assert!(takes_long(&RSA, pem!("rsa2048-pkcs8.pem")));
    assert!(!takes_long(&ES256, pem!("p256-sec1.pem")));
    assert!(!takes_long(&ED25519, pem!("ed25519-pkcs8.pem")));
    assert!(!takes_long(&TEXT, "secret"));
}

#[test]
fn computes_the_public_half_of_a_p256_key_that_lacks_it() {
    let public = p256::ecdsa::VerifyingKey::from_sec1_bytes(&hex(P256_PUBLIC)).expect("a point");
    for text in [
        pem!("p256-sec1.pem"),
        pem!("p256-pkcs8.pem"),
        pem!("p256-no-public-sec1.pem"),
        pem!("p256-no-public-pkcs8.pem"),
    ] {
        let signature = p256::ecdsa::Signature::from_slice(&signature(&ES256, text)).expect("r and s");
        public.verify(MESSAGE, &signature).expect("verifies");
    }
}

/// Nonces are drawn from randomness and from key and message, so that neither alone gives one twice.
#[test]
fn never_signs_with_the_same_nonce_twice() {
    let key = SigningKey::parse(&ES256, pem!("p256-sec1.pem").as_bytes(), None).expect("a key");
    let mut seen = std::collections::HashSet::new();
    for _ in 0..50 {
        let mut out = Vec::new();
        key.sign(MESSAGE, None, &mut out).expect("signs");
        out.truncate(32);
        assert!(seen.insert(out), "r is the nonce's, and it came twice");
    }
}

#[test]
fn reads_a_seed_with_and_without_its_public_half() {
    let seed: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).expect("small"));
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    let with = |bytes: &[u8]| Base64::encode_string(bytes);
    let alone = signature(&SEED, &with(&seed));
    assert_eq!(signature(&SEED, &with(&[seed, public].concat())), alone);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for text in [hex(&seed), hex(&seed).to_uppercase(), hex(&[seed, public].concat())] {
        assert_eq!(signature(&SEED, &text), alone, "{text}");
    }
    let mut other = public;
    other[0] ^= 1;
    for (case, bytes, expected) in [
        ("another public half", [seed, other].concat(), Refusal::SecretInconsistent),
        ("as long as 64 digits", vec![0xff; 48], Refusal::SecretSeedLength { bytes: 48 }),
        ("a short seed", seed[..31].to_vec(), Refusal::SecretSeedLength { bytes: 31 }),
        ("half a public half", [&seed[..], &public[..16]].concat(), Refusal::SecretSeedLength { bytes: 48 }),
        ("one byte more", [&seed[..], &public, b"x"].concat(), Refusal::SecretSeedLength { bytes: 65 }),
    ] {
        let refused = SigningKey::parse(&SEED, with(&bytes).as_bytes(), None).err();
        assert_eq!(refused, Some(expected), "{case}");
    }
}

#[test]
fn says_what_is_wrong_with_a_private_key() {
    use KeyKind::{Ed448, Ed25519, P256, P384, P521, Rsa, Secp256k1, X25519};
    let kind = |found| Refusal::SecretKeyKind { found };
    let damaged = pem!("rsa2048-pkcs1.pem").replacen("\nMII", "\nMIJ", 1);
    // A digit of a prime: the block is whole, and the numbers do not go together.
    let mut lines: Vec<String> = pem!("rsa2048-pkcs1.pem").lines().map(str::to_owned).collect();
    lines[17] = lines[17].chars().rev().collect();
    let unfit = lines.join("\n");
    let certificate = pem!("rsa2048-pkcs8.pem").replace("PRIVATE KEY", "CERTIFICATE");
    for (case, spec, text, expected) in [
        ("RSA, 1024 bits", RSA, pem!("rsa1024-pkcs1.pem"), Refusal::SecretRsaSize),
        ("RSA, 2560 bits", RSA, pem!("rsa2560-pkcs1.pem"), Refusal::SecretRsaSize),
        ("RSA, 6144 bits", RSA, pem!("rsa6144-pkcs1.pem"), Refusal::SecretRsaSize),
        ("RSA, exponent 3", RSA, pem!("rsa-exponent3-pkcs1.pem"), Refusal::SecretRsaSize),
        ("RSA, damaged", RSA, &damaged, Refusal::SecretInconsistent),
        ("RSA, parts of two keys", RSA, &unfit, Refusal::SecretInconsistent),
        ("RSA, encrypted", RSA, pem!("rsa-encrypted-pkcs1.pem"), Refusal::SecretPemEncrypted),
        ("RSA, public", RSA, pem!("rsa-public-pkcs1.pem"), Refusal::SecretPemPublic),
        ("a public key", ES256, pem!("p256-public.pem"), Refusal::SecretPemPublic),
        ("a certificate", RSA, &certificate, Refusal::SecretPemKind),
        ("P-256 for RSA", RSA, pem!("p256-sec1.pem"), kind(P256)),
        ("P-256 in PKCS#8 for RSA", RSA, pem!("p256-pkcs8.pem"), kind(P256)),
        ("Ed25519 for RSA", RSA, pem!("ed25519-pkcs8.pem"), kind(Ed25519)),
        ("RSA for ES256", ES256, pem!("rsa2048-pkcs8.pem"), kind(Rsa)),
        ("RSA in PKCS#1 for ES256", ES256, pem!("rsa2048-pkcs1.pem"), kind(Rsa)),
        ("Ed25519 for ES256", ES256, pem!("ed25519-pkcs8.pem"), kind(Ed25519)),
        ("P-384, SEC1", ES256, pem!("p384-sec1.pem"), kind(P384)),
        ("P-384, PKCS#8", ES256, pem!("p384-pkcs8.pem"), kind(P384)),
        ("P-521", ES256, pem!("p521-sec1.pem"), kind(P521)),
        ("secp256k1, SEC1", ES256, pem!("secp256k1-sec1.pem"), kind(Secp256k1)),
        ("secp256k1, PKCS#8", ES256, pem!("secp256k1-pkcs8.pem"), kind(Secp256k1)),
        ("RSA for Ed25519", ED25519, pem!("rsa2048-pkcs8.pem"), kind(Rsa)),
        ("X25519 for Ed25519", ED25519, pem!("x25519-pkcs8.pem"), kind(X25519)),
        ("Ed448 for Ed25519", ED25519, pem!("ed448-pkcs8.pem"), kind(Ed448)),
        ("P-256 for Ed25519", ED25519, pem!("p256-sec1.pem"), kind(P256)),
        ("PEM for base64", SEED, pem!("ed25519-pkcs8.pem"), Refusal::SecretIsPem),
        ("PEM for text", TEXT, pem!("rsa2048-pkcs8.pem"), Refusal::SecretIsPem),
        ("base64 for PEM", ED25519, "MC4CAQAwBQYDK2VwBCIEIA==", Refusal::SecretNotPem),
    ] {
        let refused = SigningKey::parse(&spec, text.as_bytes(), None).err();
        assert_eq!(refused, Some(expected), "{case}");
    }
}

/// Whatever is refused, the sentence has nothing of what was given in it.
#[test]
fn quotes_nothing_of_a_key_that_it_refuses() {
    for text in [pem!("rsa1024-pkcs1.pem"), pem!("p384-sec1.pem"), pem!("rsa-encrypted-pkcs1.pem")] {
        let refusal = SigningKey::parse(&RSA, text.as_bytes(), None).err().expect("refused").to_string();
        for line in text.lines().filter(|line| !line.starts_with("-----")) {
            for piece in line.as_bytes().windows(8) {
                let piece = String::from_utf8_lossy(piece);
                assert!(!refusal.contains(piece.as_ref()), "{refusal}");
            }
        }
    }
}

/// `openssl ecparam -name prime256v1 -genkey` writes the curve in a block of its own in front of the key.
#[test]
fn reads_a_key_behind_the_parameters_of_its_curve() {
    const PARAMETERS: &str = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let whole = format!("{PARAMETERS}{}", pem!("p256-sec1.pem"));
    assert_eq!(signature(&ES256, &whole).len(), 64);
    assert_eq!(signature(&ES256, &whole.replace('\n', "\\n")).len(), 64);
    let refusal = |secret: &str| SigningKey::parse(&ES256, secret.as_bytes(), None).err();
    assert_eq!(refusal(PARAMETERS), Some(Refusal::SecretPemKind));
    let other = format!("{PARAMETERS}{}", pem!("secp256k1-sec1.pem"));
    assert_eq!(refusal(&other), Some(Refusal::SecretKeyKind { found: KeyKind::Secp256k1 }));
    let twice = format!("{PARAMETERS}{whole}");
    assert_eq!(refusal(&twice), Some(Refusal::SecretPemKind));
}
