//! The secrets of the leak tests, and everything that is worth as much as one of them.

use base64ct::{Base64, Encoding as _};
use strongroom_link::keeper::{Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, KeySpec, SecretForm};
use strongroom_scanner::spelling::der;
use strongroom_scanner::{Class, Needles};

use crate::front::{CONTEXT, Keeper, SECRET, SPEC, piped, record_seed};

pub(crate) const MESSAGE: &[u8] = b"symbol=LTCBTC&side=BUY&type=LIMIT&quantity=1&price=0.1";
/// Plain SHA-256 over a text with the secret in it: the one secret that is kept as it is.
const HASHED: &str = "qE8pV3xN7mZ1cR5tY9uA2wS4dF6gH0jK";

const P256: &str = include_str!("../pem/p256-sec1.pem");
const ED25519: &str = include_str!("../pem/ed25519-pkcs8.pem");
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
    ]
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
    let question = ToKeeper::Load { job: 1 << 39, slot: 7, spec: SPEC, context: CONTEXT, envelope: &[] };
    assert_eq!(keeper.told(question), Err(Refusal::SeedMissing));
}

/// Signs once with each, and gives the ECDSA signature.
pub(crate) fn sign_all(keeper: &mut Keeper) -> Vec<u8> {
    for slot in [0, 1, 2, 4, 5, 6] {
        sign_one(keeper, slot);
    }
    sign_one(keeper, 3)
}

/// Signs once with one.
pub(crate) fn sign_one(keeper: &mut Keeper, slot: u32) -> Vec<u8> {
    let signed = if slot == 5 { keeper.sign_with_secret(slot, MESSAGE) } else { keeper.sign(slot, MESSAGE) };
    signed.expect("signs").0
}

/// Every spelling of every secret, and every state from which it need not be known any more.
pub(crate) fn needles(ecdsa_signature: &[u8]) -> Needles {
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
        needles.record_key("record", seed.as_slice(), names, CONTEXT);
    }
    let ed25519 = &der(ED25519)[16..48];
    needles.ed25519_key("ed25519", ed25519);
    needles.ed25519_nonce("ed25519", ed25519, MESSAGE);
    let d = &der(P256)[7..39];
    needles.p256_key("p256", d);
    needles.rsa_key("rsa", &der(RSA));
    needles.p256_nonce("p256", d, MESSAGE, ecdsa_signature);
    needles
}
