//! The secrets of the leak tests, and everything that is worth as much as one of them.

use base64ct::{Base64, Encoding as _};
use hkdf::Hkdf;
use p256::elliptic_curve::PrimeField as _;
use sha2::block_api::{compress256, compress512};
use sha2::{Digest as _, Sha256, Sha512};
use strongroom_link::keeper::{Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, KeySpec, SecretForm};

use crate::dump::Needles;
use crate::front::{CONTEXT, Keeper, SECRET, SPEC, piped, record_seed};

pub(crate) const MESSAGE: &[u8] = b"symbol=LTCBTC&side=BUY&type=LIMIT&quantity=1&price=0.1";
/// Plain SHA-256 over a text with the secret in it: the one secret that is kept as it is.
const HASHED: &str = "qE8pV3xN7mZ1cR5tY9uA2wS4dF6gH0jK";

const P256: &str = include_str!("../pem/p256-sec1.pem");
const ED25519: &str = include_str!("../pem/ed25519-pkcs8.pem");

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
    let question = ToKeeper::Load { job: 1 << 39, slot: 6, spec: SPEC, context: CONTEXT, envelope: &[] };
    assert_eq!(keeper.told(question), Err(Refusal::SeedMissing));
}

/// Signs once with each, and gives the ECDSA signature.
pub(crate) fn sign_all(keeper: &mut Keeper) -> Vec<u8> {
    for slot in [0, 1, 2, 4, 5] {
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
    for secret in [SECRET.as_bytes(), HASHED.as_bytes(), &decoded] {
        spellings(&mut needles, "plain", secret);
    }
    for key in [SECRET.as_bytes(), &decoded] {
        hmac_states(&mut needles, key);
    }
    seed_and_keys(&mut needles);
    ed25519(&mut needles);
    p256(&mut needles, ecdsa_signature);
    needles
}

fn spellings(needles: &mut Needles, kind: &'static str, secret: &[u8]) {
    let reversed: Vec<u8> = secret.iter().rev().copied().collect();
    needles.add(kind, secret);
    needles.add(kind, &reversed);
    for key in [secret, &reversed] {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        needles.add(kind, hex.as_bytes());
        needles.add(kind, hex.to_uppercase().as_bytes());
    }
    for offset in 0..3 {
        // The ends depend on what stands beside it.
        let text = Base64::encode_string(&secret[offset..secret.len() - (secret.len() - offset) % 3]);
        needles.add(kind, text.as_bytes());
    }
    let utf16: Vec<u8> = secret.iter().flat_map(|byte| [*byte, 0]).collect();
    needles.add(kind, &utf16);
}

fn hmac_states(needles: &mut Needles, key: &[u8]) {
    const SHA256: [u32; 8] =
        [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
    const SHA384: [u64; 8] = [
        0xcbbb9d5dc1059ed8,
        0x629a292a367cd507,
        0x9159015a3070dd17,
        0x152fecd8f70e5939,
        0x67332667ffc00b31,
        0x8eb44a8768581511,
        0xdb0c2e0d64f98fa7,
        0x47b5481dbefa4fa4,
    ];
    const SHA512: [u64; 8] = [
        0x6a09e667f3bcc908,
        0xbb67ae8584caa73b,
        0x3c6ef372fe94f82b,
        0xa54ff53a5f1d36f1,
        0x510e527fade682d1,
        0x9b05688c2b3e6c1f,
        0x1f83d9abfb41bd6b,
        0x5be0cd19137e2179,
    ];
    for pad in [0x36, 0x5c] {
        let padded = |bytes: usize| {
            let mut block = vec![pad; bytes];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            block
        };
        needles.add("block", &padded(128));
        let mut state = SHA256;
        compress256(&mut state, &[padded(64).try_into().expect("a block")]);
        words32(needles, state);
        for mut state in [SHA384, SHA512] {
            compress512(&mut state, &[padded(128).try_into().expect("a block")]);
            words64(needles, state);
        }
    }
}

/// As they lie in memory, as they are written, and in the order of the lanes of SHA-NI.
fn words32(needles: &mut Needles, [a, b, c, d, e, f, g, h]: [u32; 8]) {
    for order in [[a, b, c, d, e, f, g, h], [f, e, b, a, h, g, d, c], [h, g, f, e, d, c, b, a]] {
        needles.add("midstate-256", &order.map(u32::to_le_bytes).concat());
        needles.add("midstate-256", &order.map(u32::to_be_bytes).concat());
    }
}

fn words64(needles: &mut Needles, state: [u64; 8]) {
    needles.add("midstate-512", &state.map(u64::to_le_bytes).concat());
    needles.add("midstate-512", &state.map(u64::to_be_bytes).concat());
}

/// The seed of the records, and the keys of the envelopes.
fn seed_and_keys(needles: &mut Needles) {
    let seed = record_seed();
    needles.add("seed", seed.as_slice());
    let (prk, hkdf) = Hkdf::<Sha256>::extract(None, seed.as_slice());
    needles.add("seed", &prk);
    for (_, spec, _) in cases() {
        let mut associated = Vec::from(b"strongroom record 1\0");
        for name in [spec.algorithm.name(), spec.form.name(), spec.passphrase.name()] {
            associated.extend_from_slice(name.as_bytes());
            associated.push(0);
        }
        associated.extend_from_slice(CONTEXT);
        let mut key = [0; 32];
        let bound_to = Sha256::digest(&associated);
        hkdf.expand_multi_info(&[b"strongroom record 1 key\0", &bound_to], &mut key).expect("short");
        needles.add("seed", &key);
    }
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Base64::decode_vec(&body).expect("base64")
}

fn ed25519(needles: &mut Needles) {
    let seed = &der(ED25519)[16..48];
    spellings(needles, "ed25519", seed);
    let expanded = Sha512::digest(seed);
    let mut scalar = expanded[..32].to_vec();
    scalar[0] &= 248;
    scalar[31] = scalar[31] & 127 | 64;
    needles.add("ed25519", &scalar);
    needles.add("ed25519", &expanded);
    let nonce = Sha512::new().chain_update(&expanded[32..]).chain_update(MESSAGE).finalize();
    needles.add("nonce", &nonce);
}

fn p256(needles: &mut Needles, signature: &[u8]) {
    let scalar_of = |bytes: &[u8]| {
        p256::Scalar::from_repr(<[u8; 32]>::try_from(bytes).expect("32 bytes").into()).expect("a scalar")
    };
    let d = &der(P256)[7..39];
    spellings(needles, "p256", d);
    let (r, s) = signature.split_at(32);
    // A digest at or over the group order does not occur for this message.
    let digest = scalar_of(&Sha256::digest(MESSAGE));
    let nonce = (digest + scalar_of(r) * scalar_of(d)) * scalar_of(s).invert().expect("not zero");
    for nonce in [nonce, -nonce] {
        let bytes = nonce.to_repr();
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        needles.add("nonce", &bytes);
        needles.add("nonce", &reversed);
    }
}
