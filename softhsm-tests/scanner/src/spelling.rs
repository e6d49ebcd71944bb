//! Every spelling of a secret, and every state from which it need not be known any more.

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding as _};
use hkdf::Hkdf;
use p256::elliptic_curve::PrimeField as _;
use sha2::block_api::{compress256, compress512};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::needles::{Class, Needles, WINDOW};

const IPAD: u8 = 0x36;
const OPAD: u8 = 0x5c;

impl Needles {
    /// These bytes as they are, reversed, in hex, in base64 at each of its three offsets, and in UTF-16.
    pub fn secret(&mut self, class: Class, of: &str, secret: &[u8]) {
        self.spellings(class, of, secret, WINDOW);
    }

    /// A secret that is written in hexadecimal digits: the bytes that they spell, and the digits as [`Self::secret`].
    ///
    /// # Panics
    /// Where these are not pairs of digits.
    pub fn hex_secret(&mut self, class: Class, of: &str, digits: &str) {
        let bytes = base16ct::mixed::decode_vec(digits).unwrap_or_else(|error| panic!("{of}: {error}"));
        self.secret(class, of, &bytes);
        // Each digit is half a byte of the secret.
        self.spellings(class, of, digits.as_bytes(), WINDOW * 2);
    }

    /// All spellings of a text, this many bytes of which are worth looking for.
    #[expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "lengths of secrets")]
    fn spellings(&mut self, class: Class, of: &str, text: &[u8], bytes: usize) {
        let reversed: Vec<u8> = text.iter().rev().copied().collect();
        self.add_spelled(class, of, "as it is", text, bytes);
        self.add_spelled(class, of, "reversed", &reversed, bytes);
        for key in [text, &reversed] {
            let hex = base16ct::lower::encode_string(key);
            self.add_spelled(class, of, "hex", hex.as_bytes(), bytes * 2);
            self.add_spelled(class, of, "HEX", hex.to_uppercase().as_bytes(), bytes * 2);
        }
        // Of the six bits of the character in which they begin, up to four are those of the byte before.
        let characters = (bytes * 8 - 4) / 6;
        for (before, spelling) in [(0, "base64"), (1, "base64 behind 1"), (2, "base64 behind 2")] {
            let whole = [&[0; 2][..before], text].concat();
            // The first character may spell bits of what stands before as well, and the last one of what stands behind.
            let sure = (before * 8).div_ceil(6)..whole.len() * 8 / 6;
            for base64 in [Base64Unpadded::encode_string(&whole), Base64UrlUnpadded::encode_string(&whole)] {
                let sure = base64.as_bytes().get(sure.clone()).unwrap_or_default();
                self.add_spelled(class, of, spelling, sure, characters);
            }
        }
        for wide in [[0, 1], [1, 0]] {
            let utf16: Vec<u8> =
                text.iter().flat_map(|byte| wide.map(|zero| if zero == 0 { *byte } else { 0 })).collect();
            self.add_spelled(class, of, "UTF-16", &utf16, bytes * 2);
        }
    }

    /// The blocks and the states of HMAC with this key, for SHA-256, SHA-384 and SHA-512.
    pub fn hmac_states(&mut self, of: &str, key: &[u8]) {
        for pad in [IPAD, OPAD] {
            let spelling = if pad == IPAD { "ipad block" } else { "opad block" };
            self.add(Class::Plain, of, spelling, &block::<64>(key, Sha256::digest(key).as_slice(), pad));
            for digest in [Sha384::digest(key).as_slice(), Sha512::digest(key).as_slice()] {
                self.add(Class::Plain, of, spelling, &block::<128>(key, digest, pad));
            }
            let mut state = SHA256;
            compress256(&mut state, &[block(key, Sha256::digest(key).as_slice(), pad)]);
            self.state_256(of, state);
            for (mut state, digest) in
                [(SHA384, Sha384::digest(key).to_vec()), (SHA512, Sha512::digest(key).to_vec())]
            {
                compress512(&mut state, &[block(key, &digest, pad)]);
                self.add(KEY, of, "SHA-512 state", &state.map(u64::to_le_bytes).concat());
                self.add(KEY, of, "SHA-512 state, big-endian", &state.map(u64::to_be_bytes).concat());
            }
        }
    }

    /// As it lies in memory, as it is written, and in the order of the lanes of SHA-NI.
    fn state_256(&mut self, of: &str, [a, b, c, d, e, f, g, h]: [u32; 8]) {
        for (order, spelling) in [
            ([a, b, c, d, e, f, g, h], "SHA-256 state"),
            ([f, e, b, a, h, g, d, c], "SHA-256 state, lanes"),
            ([h, g, f, e, d, c, b, a], "SHA-256 state, backwards"),
        ] {
            self.add(KEY, of, spelling, &order.map(u32::to_le_bytes).concat());
            self.add(KEY, of, spelling, &order.map(u32::to_be_bytes).concat());
        }
    }

    /// The seed of an Ed25519 key, its scalar and its prefix.
    pub fn ed25519_key(&mut self, of: &str, seed: &[u8]) {
        self.secret(Class::Plain, of, seed);
        let expanded = Sha512::digest(seed);
        let mut scalar = expanded.get(..32).unwrap_or_default().to_vec();
        if let [first, .., last] = scalar.as_mut_slice() {
            *first &= 248;
            *last = *last & 127 | 64;
        }
        self.add(KEY, of, "scalar", &scalar);
        self.add(KEY, of, "scalar, reduced", &reduced(&scalar));
        self.add(KEY, of, "scalar and prefix", &expanded);
    }

    /// The nonce with which this key signs this message.
    pub fn ed25519_nonce(&mut self, of: &str, seed: &[u8], message: &[u8]) {
        let expanded = Sha512::digest(seed);
        let prefix = expanded.get(32..).unwrap_or_default();
        let r = Sha512::new().chain_update(prefix).chain_update(message).finalize();
        self.add(Class::Nonce, of, "r", &r);
        self.add(Class::Nonce, of, "r, reduced", &reduced(&r));
    }

    /// The scalar of a P-256 key, in both orders of its bytes, and times 2^256, as Montgomery's multiplication has it.
    #[expect(clippy::arithmetic_side_effects, reason = "scalars of a field do not overflow")]
    pub fn p256_key(&mut self, of: &str, d: &[u8]) {
        self.secret(Class::Plain, of, d);
        let times = (scalar(d) * montgomery()).to_repr();
        self.add(Class::Plain, of, "Montgomery", &little_endian(&times));
    }

    /// The numbers of an RSA key that are secret, from its PKCS#8 or PKCS#1 encoding, in both orders of their bytes.
    ///
    /// # Panics
    /// Where that is no such encoding.
    pub fn rsa_key(&mut self, of: &str, der: &[u8]) {
        let numbers = rsa_numbers(der);
        let [_version, _modulus, _exponent, d, p, q, dp, dq, q_inverse] = numbers.as_slice() else {
            panic!("no RSA key: {} numbers", numbers.len())
        };
        for number in [d, p, q, dp, dq, q_inverse] {
            self.secret(Class::Plain, of, number);
        }
    }

    /// The nonce of one ECDSA signature, which follows from the key.
    ///
    /// # Panics
    /// Where that is no signature.
    #[expect(clippy::arithmetic_side_effects, reason = "scalars of a field do not overflow")]
    pub fn p256_nonce(&mut self, of: &str, d: &[u8], message: &[u8], signature: &[u8]) {
        let (r, s) = signature.split_at_checked(32).unwrap_or_else(|| panic!("no signature"));
        // A digest at or over the group order is practically never met.
        let digest = scalar(&Sha256::digest(message));
        let inverse: Option<p256::Scalar> = scalar(s).invert().into();
        let k = (digest + scalar(r) * scalar(d)) * inverse.unwrap_or_else(|| panic!("no signature"));
        let inverse: Option<p256::Scalar> = k.invert().into();
        let inverse = inverse.unwrap_or_else(|| panic!("no nonce"));
        for k in [k, -k, k * montgomery(), inverse, inverse * montgomery()] {
            let bytes = k.to_repr();
            self.add(Class::Nonce, of, "k", &bytes);
            self.add(Class::Nonce, of, "k, little-endian", &little_endian(&bytes));
        }
    }

    /// The nonce of one ECDSA signature over secp256k1 of this digest, which follows from the key.
    ///
    /// # Panics
    /// Where that is no signature.
    #[expect(clippy::arithmetic_side_effects, reason = "scalars of a field do not overflow")]
    pub fn secp256k1_nonce(&mut self, of: &str, d: &[u8], digest: &[u8], signature: &[u8]) {
        let scalar = |bytes: Option<&[u8]>| -> k256::Scalar {
            let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let scalar: Option<k256::Scalar> =
                bytes.and_then(|bytes| k256::Scalar::from_repr(bytes.into()).into());
            scalar.unwrap_or_else(|| panic!("no scalar"))
        };
        let (r, s) = (scalar(signature.get(..32)), scalar(signature.get(32..64)));
        let inverse: Option<k256::Scalar> = s.invert().into();
        let k =
            (scalar(Some(digest)) + r * scalar(Some(d))) * inverse.unwrap_or_else(|| panic!("no signature"));
        let inverse: Option<k256::Scalar> = k.invert().into();
        let inverse = inverse.unwrap_or_else(|| panic!("no nonce"));
        // Where s was made low, this is the other one of the two.
        for k in [k, -k, inverse, -inverse] {
            let bytes = k.to_repr();
            self.add(Class::Nonce, of, "k", &bytes);
            self.add(Class::Nonce, of, "k, little-endian", &little_endian(&bytes));
        }
    }

    /// The seed of a record, and what the record's keys are made of.
    pub fn record_seed(&mut self, of: &str, seed: &[u8]) {
        self.secret(Class::Seed, of, seed);
        let (prk, _) = Hkdf::<Sha256>::extract(None, seed);
        self.add(Class::Seed, of, "extracted", &prk);
    }

    /// The key with which a record is encrypted: `names` and `domains` are those of its spec, as the format has them.
    pub fn record_key(
        &mut self,
        of: &str,
        seed: &[u8],
        (names, domains): ([&str; 3], &[[u8; 32]]),
        context: &[u8],
    ) {
        let label: &[u8] =
            if domains.is_empty() { b"strongroom record 1\0" } else { b"strongroom record 1 with domains\0" };
        let mut associated = Vec::from(label);
        for name in names {
            associated.extend_from_slice(name.as_bytes());
            associated.push(0);
        }
        associated.extend(u8::try_from(domains.len()).ok().filter(|count| *count > 0));
        associated.extend_from_slice(domains.as_flattened());
        associated.extend_from_slice(context);
        let mut key = [0; 32];
        let bound_to = Sha256::digest(&associated);
        let expanded = Hkdf::<Sha256>::new(None, seed)
            .expand_multi_info(&[b"strongroom record 1 key\0", &bound_to], &mut key);
        expanded.unwrap_or_else(|error| panic!("32 bytes: {error}"));
        self.add(Class::Seed, of, "key of the record", &key);
    }
}

const KEY: Class = Class::KeyEquivalent;

/// A key that is longer than a block is replaced by its digest (RFC 2104).
fn block<const BYTES: usize>(key: &[u8], digest: &[u8], pad: u8) -> [u8; BYTES] {
    let key = if key.len() > BYTES { digest } else { key };
    let mut block = [pad; BYTES];
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    block
}

/// A little-endian number modulo the order of Ed25519's group (RFC 8032 section 5.1), as its arithmetic takes it.
fn reduced(number: &[u8]) -> Vec<u8> {
    // Most significant first, so that they compare as numbers.
    const ORDER: [u64; 4] = [0x1000_0000_0000_0000, 0, 0x14de_f9de_a2f7_9cd6, 0x5812_631a_5cf5_d3ed];
    let mut rest = [0_u64; 4];
    for byte in number.iter().rev() {
        for place in (0..8).rev() {
            // Twice what is below the order, and a bit more, has 254 bits.
            let mut carry = u64::from(byte >> place & 1);
            for limb in rest.iter_mut().rev() {
                (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
            }
            if rest >= ORDER {
                let mut borrow = false;
                for (limb, of_order) in rest.iter_mut().zip(ORDER).rev() {
                    (*limb, borrow) = limb.borrowing_sub(of_order, borrow);
                }
            }
        }
    }
    rest.iter().rev().flat_map(|limb| limb.to_le_bytes()).collect()
}

fn scalar(bytes: &[u8]) -> p256::Scalar {
    let bytes = <[u8; 32]>::try_from(bytes).unwrap_or_else(|_| panic!("no 32 bytes"));
    let scalar: Option<p256::Scalar> = p256::Scalar::from_repr(bytes.into()).into();
    scalar.unwrap_or_else(|| panic!("no scalar"))
}

/// 2^256.
#[expect(clippy::arithmetic_side_effects, reason = "scalars of a field do not overflow")]
fn montgomery() -> p256::Scalar {
    (0..256).fold(p256::Scalar::ONE, |power, _| power + power)
}

fn little_endian(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// All INTEGERs of an RSA key, wherever they stand, without the zero in front that says that they are positive.
fn rsa_numbers(der: &[u8]) -> Vec<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;
    const INTEGER: u8 = 0x02;
    let mut numbers = Vec::new();
    let mut rest = der;
    while let [tag, first, tail @ ..] = rest {
        let (length, body) = match first {
            0x81 => tail.split_at_checked(1),
            0x82 => tail.split_at_checked(2),
            _ => Some((std::slice::from_ref(first), tail)),
        }
        .unwrap_or_else(|| panic!("no DER"));
        let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        let (content, behind) = body.split_at_checked(length).unwrap_or_else(|| panic!("no DER"));
        rest = match *tag {
            // Step inside.
            SEQUENCE | OCTETS => {
                // Around a PKCS#1 key stands PKCS#8, with a version of its own.
                if *tag == OCTETS {
                    numbers.clear();
                }
                body
            }
            INTEGER => {
                numbers.push(content.strip_prefix(&[0]).unwrap_or(content).to_vec());
                behind
            }
            _ => behind,
        };
    }
    numbers
}

/// The bytes of a PEM block.
///
/// # Panics
/// Where it holds no base64.
#[must_use]
pub fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let body = body.trim_end_matches('=');
    Base64Unpadded::decode_vec(body).unwrap_or_else(|error| panic!("a PEM block: {error}"))
}

const SHA256: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const SHA384: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];
const SHA512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

#[cfg(test)]
mod tests;
