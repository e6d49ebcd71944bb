//! The secrets of the leak tests, and everything that is worth as much as one of them.

use base64ct::{Base64, Encoding as _};
use sha3::{Digest as _, Keccak256};
use strongroom_link::keeper::{Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, Domains, KeySpec, SecretForm};
use strongroom_scanner::spelling::der;
use strongroom_scanner::{Class, Needles};

use crate::front::{CONTEXT, Keeper, SECRET, SPEC, piped, record_seed};

pub(crate) const MESSAGE: &[u8] = b"symbol=LTCBTC&side=BUY&type=LIMIT&quantity=1&price=0.1";
/// Plain SHA-256 over a text with the secret in it: the one secret that is kept as it is.
const HASHED: &str = "qE8pV3xN7mZ1cR5tY9uA2wS4dF6gH0jK";

const P256: &str = include_str!("../pem/p256-sec1.pem");
const ED25519: &str = include_str!("../pem/ed25519-pkcs8.pem");
pub(crate) const WALLET: &str = "7d1c0b3e9a8f54261e0d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0d9c8b7a65";
/// The domain of the wallet's key.
pub(crate) const DOMAIN: [u8; 32] = [0xd7; 32];
/// The slot of the wallet's key.
const TYPED: u32 = 7;
pub(crate) const RSA: &str = include_str!("../pem/rsa2048-pkcs8.pem");

/// Slots, and what is in them.
pub(crate) fn cases() -> Vec<(u32, KeySpec, &'static str)> {
    let pem = |algorithm| KeySpec { algorithm, form: SecretForm::Pem, max_bytes: 1024, ..SPEC };
    vec![
        (0, SPEC, SECRET),
        (1, KeySpec { algorithm: Algorithm::HmacSha384, ..SPEC }, SECRET),
        (2, KeySpec { algorithm: Algorithm::HmacSha512, form: SecretForm::Base64, ..SPEC }, SECRET),
        (3, pem(Algorithm::Es256), P256),
        (4, pem(Algorithm::Ed25519), ED25519),
        (5, KeySpec { algorithm: Algorithm::HashSha256, ..SPEC }, HASHED),
        (6, KeySpec { max_bytes: 4096, ..pem(Algorithm::RsaSha256) }, RSA),
        (TYPED, wallet(), WALLET),
    ]
}

/// How the wallet's key is used.
pub(crate) fn wallet() -> KeySpec {
    let domains = Domains::new([DOMAIN]).expect("one");
    KeySpec { algorithm: Algorithm::Secp256k1, form: SecretForm::Hex32, domains, ..SPEC }
}

/// Typed data of this domain.
pub(crate) fn typed(domain: [u8; 32]) -> Vec<u8> {
    [&[0x19, 0x01], domain.as_slice(), &Keccak256::digest(MESSAGE)].concat()
}

/// Seals and loads all of them.
pub(crate) fn load_all(keeper: &mut Keeper) {
    let mut port = keeper.open_seed_port();
    for (slot, spec, secret) in cases() {
        let envelope = keeper.seal(&mut port, spec, piped(secret.as_bytes()), None).expect("seals");
        keeper.load(&mut port, slot, spec, &envelope).expect("loads");
    }
    // A seed that came early waits for its job.
    port.send(1 << 40, &record_seed()).expect("the keeper holds the port");
    let question = ToKeeper::Load { job: 1 << 39, slot: 8, spec: SPEC, context: CONTEXT, envelope: &[] };
    assert_eq!(keeper.told(question), Err(Refusal::SeedMissing));
}

/// Signs once with each, and gives the signatures by ECDSA: that on P-256, and that on secp256k1.
pub(crate) fn sign_all(keeper: &mut Keeper) -> [Vec<u8>; 2] {
    for slot in [0, 1, 2, 4, 5, 6] {
        sign_one(keeper, slot);
    }
    [sign_one(keeper, 3), sign_one(keeper, TYPED)]
}

/// Signs once with one.
pub(crate) fn sign_one(keeper: &mut Keeper, slot: u32) -> Vec<u8> {
    let signed = match slot {
        5 => keeper.sign_with_secret(slot, MESSAGE),
        TYPED => keeper.sign(slot, &typed(DOMAIN)),
        _ => keeper.sign(slot, MESSAGE),
    };
    signed.expect("signs").0
}

/// Every spelling of every secret, and every state from which it need not be known any more.
pub(crate) fn needles([on_p256, on_secp256k1]: &[Vec<u8>; 2]) -> Needles {
    let mut needles = Needles::new();
    let decoded = Base64::decode_vec(SECRET).expect("base64");
    needles.secret(Class::Plain, "hashed", HASHED.as_bytes());
    for key in [SECRET.as_bytes(), &decoded] {
        needles.secret(Class::Plain, "hmac", key);
        needles.hmac_states("hmac", key);
    }
    let seed = record_seed();
    needles.record_seed("record", seed.as_slice());
    for (_, spec, _) in cases() {
        let names = [spec.algorithm.name(), spec.form.name(), spec.passphrase.name()];
        needles.record_key("record", seed.as_slice(), (names, spec.domains.separators()), CONTEXT);
    }
    let ed25519 = &der(ED25519)[16..48];
    needles.ed25519_key("ed25519", ed25519);
    needles.ed25519_nonce("ed25519", ed25519, MESSAGE);
    let d = &der(P256)[7..39];
    needles.p256_key("p256", d);
    needles.rsa_key("rsa", &der(RSA));
    needles.p256_nonce("p256", d, MESSAGE, on_p256);
    needles.hex_secret(Class::Plain, "wallet", WALLET);
    let bytes = base16ct::lower::decode_vec(WALLET).expect("hexadecimal digits");
    needles.secp256k1_nonce("wallet", &bytes, &Keccak256::digest(typed(DOMAIN)), on_secp256k1);
    needles
}
