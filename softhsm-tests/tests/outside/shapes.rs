//! What is said of a secret or a passphrase that cannot be the venue's: exactly, and before anything is stored.

use strongroom_softhsm_tests::room::{Key, Room};

/// Venue, secret, passphrase, and the message.
type Case = (&'static str, String, Option<String>, &'static str);

fn long(length: usize) -> String {
    "s".repeat(length)
}

fn pem(name: &str) -> String {
    let path = format!("{}/../keeper/tests/pem/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn cases() -> Vec<Case> {
    let text = "the secret has spaces, line breaks or other bytes that no secret of this venue has";
    let base64 = "the secret is not base64 (A-Z a-z 0-9 + / and = at the end)";
    let is_pem = "the secret is a PEM block, which no secret of this venue is";
    let size = "the RSA key has not 2048, 3072 or 4096 bits, or an exponent below 65537";
    let no_pem = "the secret is no PEM block (-----BEGIN … PRIVATE KEY-----)";
    let (in_base64, digits) = ("the secret is base64", "the secret is hexadecimal digits");
    let (json, quoted) = ("the secret is a JSON document", "the secret is in quotation marks");
    let url = "the secret is base64 in its form for URLs (- and _), or without the = at its end";
    let spaced = "the secret has spaces or line breaks in it or around it";
    let one_line = "the secret is a PEM block whose line breaks have become spaces";
    let cut = "the secret is a PEM block that is cut off, damaged, or has something else around it";
    let p256 = pem("p256-pkcs8");
    let key_file =
        format!("{{\n  \"name\": \"k\",\n  \"privateKey\": \"{}\"\n}}\n", p256.replace('\n', "\\n"));
    let passphrase = "the passphrase is empty, longer than 256 bytes, or has control characters";
    let some = |text: &str| Some(text.to_owned());
    vec![
        ("binance", String::new(), None, "the secret is empty"),
        (
            "binance",
            long(31),
            None,
            "the secret is shorter than 32 bytes, the shortest that this venue hands out",
        ),
        (
            "binance",
            long(129),
            None,
            "the secret is longer than 128 bytes, the longest that this venue hands out",
        ),
        ("binance", format!(" {}", long(40)), None, text),
        ("binance", format!("{}\n\n", long(40)), None, text),
        ("binance", format!("{}\t{}", long(20), long(20)), None, text),
        ("binance", format!("{}é", long(40)), None, text),
        (
            "bitfinex",
            long(15),
            None,
            "the secret is shorter than 16 bytes, the shortest that this venue hands out",
        ),
        (
            "poloniex",
            long(257),
            None,
            "the secret is longer than 256 bytes, the longest that this venue hands out",
        ),
        ("kraken", format!("{}!", "A".repeat(87)), None, base64),
        ("kraken", "A".repeat(85), None, base64),
        ("kraken", format!("{}-_{}", "A".repeat(43), "A".repeat(43)), None, url),
        ("kraken", "QUJD".repeat(22).trim_end_matches('D').to_owned(), None, url),
        ("kraken", format!("{} ", "A".repeat(88)), None, spaced),
        ("kraken", format!("{}\n{}", "A".repeat(44), "A".repeat(44)), None, spaced),
        ("kraken", format!("\"{}\"", "A".repeat(88)), None, quoted),
        ("kraken", "0a1B".repeat(32), None, digits),
        ("binance", format!("'{}'", long(40)), None, quoted),
        ("binance", format!("{{\"secret\":\"{}\"}}", long(40)), None, json),
        ("coinbase", key_file.clone(), None, json),
        ("coinbase-eddsa", key_file.replace("privateKey", "private"), None, json),
        ("coinbase", format!("\"{}\"", p256.replace('\n', "\\n")), None, quoted),
        ("coinbase", p256.replace('\n', " "), None, one_line),
        ("coinbase", p256[..p256.len() / 2].to_owned(), None, cut),
        ("coinbase", format!("\u{feff}{p256}"), None, cut),
        ("coinbase", p256.replace("-----BEGIN", "---BEGIN"), None, cut),
        ("coinbase", format!("{p256}{}", pem("p256-public")), None, "the secret is more than one PEM block"),
        (
            "binance-ed25519",
            p256.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY"),
            None,
            "the secret is a private key in OpenSSH's own form",
        ),
        (
            "coinbase",
            p256.replace("PRIVATE KEY", "CERTIFICATE"),
            None,
            "the secret is a certificate, which has no private key in it",
        ),
        ("binance-ed25519", "0b1a".repeat(16), None, digits),
        ("coinbase", "not a key at all".to_owned(), None, no_pem),
        ("hyperliquid", format!("{}=", "A".repeat(43)), None, in_base64),
        (
            "coinbaseexchange",
            long(8),
            some("p"),
            "the secret is shorter than 24 bytes, the shortest that this venue hands out",
        ),
        ("coinbaseexchange", long(41), some("p"), base64),
        ("coinbase", long(200), None, in_base64),
        ("binance-ed25519", long(200), None, in_base64),
        ("kraken", pem("ed25519-pkcs8"), None, is_pem),
        ("backpack", pem("ed25519-pkcs8"), None, is_pem),
        ("bitmex", pem("ed25519-pkcs8"), None, is_pem),
        ("lbank-rsa", pem("rsa2048-pkcs8"), None, is_pem),
        ("binance-rsa", "A".repeat(1600), None, in_base64),
        ("binance-rsa", pem("ed25519-pkcs8"), None, "the PEM block holds an Ed25519 key"),
        ("binance-rsa", pem("rsa1024-pkcs1"), None, size),
        ("bybit-rsa", pem("rsa2560-pkcs1"), None, size),
        ("bybit-rsa", pem("rsa6144-pkcs1"), None, size),
        (
            "bybit-rsa",
            pem("rsa-public-pkcs1"),
            None,
            "the PEM block is a public key; the private key is the secret",
        ),
        (
            "binance-rsa",
            pem("rsa-encrypted-pkcs1"),
            None,
            "the PEM block is encrypted; decrypt it first and enrol the plain key",
        ),
        ("binance-ed25519", pem("rsa2048-pkcs1"), None, "the PEM block holds an RSA key"),
        (
            "backpack",
            "x".repeat(64),
            None,
            "the secret is 48 bytes in base64; a seed has 32, and 64 with its public key behind it",
        ),
        (
            "coinbase-eddsa",
            format!("{}==", "A".repeat(86)),
            None,
            "the key is damaged, or its private and its public half do not belong together",
        ),
        ("bitget", long(32), some(""), passphrase),
        (
            "coinbase",
            pem("p256-public"),
            None,
            "the PEM block is a public key; the private key is the secret",
        ),
        ("coinbase", pem("p384-sec1"), None, "the PEM block holds an elliptic curve key on P-384"),
        ("coinbase", pem("secp256k1-pkcs8"), None, "the PEM block holds an elliptic curve key on secp256k1"),
        ("coinbase", pem("ed25519-pkcs8"), None, "the PEM block holds an Ed25519 key"),
        (
            "coinbase",
            pem("p256-encrypted-pkcs8"),
            None,
            "the PEM block is encrypted; decrypt it first and enrol the plain key",
        ),
        (
            "coinbase",
            pem("p256-encrypted-sec1"),
            None,
            "the PEM block is encrypted; decrypt it first and enrol the plain key",
        ),
        ("okx", long(32), some(""), passphrase),
        ("okx", long(32), Some(long(257)), passphrase),
        ("kucoin", long(32), some("a\tb"), passphrase),
        ("kucoin", long(32), some("a\nb"), passphrase),
        ("binance", long(64), some("none here"), "keys of binance have no passphrase"),
    ]
}

#[test]
fn names_what_is_wrong_with_a_secret_and_stores_nothing() {
    let room = Room::new();
    // Half of the cases by an agent, half without one: it is the same code.
    let agent = room.start();
    refuse_all(&room, cases().into_iter().step_by(2));
    drop(agent);
    refuse_all(&room, cases().into_iter().skip(1).step_by(2));
    assert!(!room.record("k").exists());
}

fn refuse_all(room: &Room, cases: impl Iterator<Item = Case>) {
    for (venue, secret, passphrase, message) in cases {
        // A wallet's own shape of key ids is looked at first.
        let key_id = if venue == "hyperliquid" { "0x27b1fdb04752bbc536007a920d24acb045561c26" } else { "K" };
        let key = Key { name: "k", venue, key_id, secret: &secret, passphrase: passphrase.as_deref() };
        let run = room.enroll(&key, &[]);
        assert_eq!(run.code(), 3, "{venue}: {message}: {}", run.stderr);
        let said = run.stderr.lines().next().unwrap_or_default();
        let said = said.strip_prefix("error: ").unwrap_or_default();
        let rule = said.strip_prefix(message).unwrap_or_else(|| panic!("{venue}: {said}"));
        let about_the_secret = !message.contains("passphrase");
        let begins = format!("; a secret of {venue} is ");
        assert_eq!(rule.starts_with(&begins), about_the_secret, "{venue}: {said}");
        assert!(about_the_secret || rule.is_empty(), "{venue}: {said}");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn takes_pem_keys_as_the_venue_writes_them() {
    let room = Room::new();
    let _agent = room.start_unlocked();
    let in_json = pem("p256-sec1").replace('\n', "\\n");
    let windows = pem("p256-pkcs8").replace('\n', "\r\n");
    for (name, secret) in
        [("sec1", pem("p256-sec1")), ("pkcs8", pem("p256-pkcs8")), ("json", in_json), ("windows", windows)]
    {
        let key = Key {
            name,
            venue: "coinbase",
            key_id: "organizations/o/apiKeys/k",
            secret: &secret,
            passphrase: None,
        };
        let _ = room.enroll(&key, &[]).ok();
        let order = strongroom_client::SignRequest::new(name, "GET", "/api/v3/brokerage/accounts");
        let signed = room.client().sign(&order).unwrap();
        let token = crate::keys::header(&signed.headers, "Authorization").strip_prefix("Bearer ").unwrap();
        assert!(verifies(token, &pem("p256-public")), "{name}: {token}");
        assert!(!verifies(&token.replacen("eyJ", "eyK", 1), &pem("p256-public")), "the control");
    }
}

/// Whether a token was signed by the private half of this key, by ES256 (RFC 7518 section 3.4).
pub(crate) fn verifies(token: &str, public_pem: &str) -> bool {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    use p256::ecdsa::signature::Verifier as _;
    use p256::ecdsa::{Signature, VerifyingKey};
    use p256::pkcs8::DecodePublicKey as _;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let key = VerifyingKey::from_public_key_pem(public_pem).unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    key.verify(signed.as_bytes(), &signature).is_ok()
}
