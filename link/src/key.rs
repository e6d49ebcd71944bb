//! How a credential's secret is to be used: the part of a venue profile that the keeper must know.
//!
//! A [`KeySpec`] is fixed when a secret is enrolled and is part of the record's authenticated
//! metadata, so a secret that was enrolled for HMAC-SHA512 can never be used for anything else.

mod domains;

pub use self::domains::{Domains, MAX_DOMAINS, Separator, TooManyDomains};
use crate::codec::{Malformed, Reader, Writer};

/// What the keeper computes with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032); the signature is 64 bytes.
    Ed25519,
    /// ECDSA over P-256 with SHA-256 as in JWS `ES256` (RFC 7518 section 3.4): 64 bytes, r then s.
    Es256,
    /// Plain SHA-256 over a text that contains the secret itself (CoinEx v2).
    HashSha256,
    /// HMAC-SHA256 (RFC 2104), 32 bytes.
    HmacSha256,
    /// HMAC-SHA384 (RFC 2104), 48 bytes.
    HmacSha384,
    /// HMAC-SHA512 (RFC 2104), 64 bytes.
    HmacSha512,
    /// RSA PKCS#1 v1.5 with SHA-256 (RFC 8017 section 8.2): as many bytes as the modulus, 256 to 512.
    RsaSha256,
    /// ECDSA over secp256k1 of an EIP-712 message, with nonces by RFC 6979 and a low s: 65 bytes, r, s, and 27
    /// or 28. The message is `19 01`, the domain separator and the hash of the struct, 66 bytes, and the keeper
    /// itself hashes it; it signs nothing else, and only in the [`Domains`] of its [`KeySpec`].
    Secp256k1,
}

impl Algorithm {
    /// Whether a signature takes so long, a millisecond and more, that others must not wait for it.
    #[must_use]
    pub const fn takes_long(self) -> bool {
        matches!(self, Self::RsaSha256)
    }
}

/// How the venue writes the secret that it hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretForm {
    /// Standard base64 with padding; the key is the decoded bytes, for RSA PKCS#8.
    Base64,
    /// Standard base64 of an Ed25519 seed, 32 bytes, or of the seed and the public key behind it, 64 bytes; or the same
    /// in hexadecimal.
    Base64Seed32,
    /// 64 hexadecimal digits, with or without `0x` in front: a private key of 32 bytes.
    Hex32,
    /// PEM, not encrypted: PKCS#8 for all, SEC1 for P-256 too, PKCS#1 for RSA too.
    Pem,
    /// The text itself is the key, byte for byte.
    Utf8,
}

/// Whether the credential has a passphrase, and in which form it may leave the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassphraseUse {
    /// The venue has none.
    Absent,
    /// Only its MAC under the secret leaves the keeper (KuCoin key version 2).
    Mac,
    /// It is sent to the venue as it is, in a header (OKX, Coinbase Exchange).
    Plain,
}

/// Everything that the keeper must know to check, keep and use one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeySpec {
    /// What is computed.
    pub algorithm: Algorithm,
    /// How the secret is written.
    pub form: SecretForm,
    /// Whether there is a passphrase, and what of it may leave.
    pub passphrase: PassphraseUse,
    /// Shortest secret text that is accepted, in bytes as the venue writes it.
    pub min_bytes: u16,
    /// Longest secret text that is accepted, in bytes as the venue writes it.
    pub max_bytes: u16,
    /// For whom typed data may be; only [`Algorithm::Secp256k1`] has any. A key that has none signs none: records that
    /// were written before domains were named in them open, and are enrolled again.
    pub domains: Domains,
}

/// Longest secret text of any venue, in bytes (a 4096-bit RSA key in PEM has about 3,300).
pub const MAX_SECRET_BYTES: u16 = 8 * 1024;
/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: u16 = 256;

/// The text names no algorithm, form or passphrase use that this build knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is unknown here")]
pub struct UnknownName(pub String);

/// A closed set of names, each with a number on the wire and a text in files.
macro_rules! names {
    ($type:ident { $($variant:ident = $number:literal $text:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in the order of their names.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name as it is written in profiles and records.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
            pub(crate) const fn number(self) -> u8 {
                match self { $(Self::$variant => $number),+ }
            }
            pub(crate) const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
        impl std::str::FromStr for $type {
            type Err = $crate::key::UnknownName;
            fn from_str(text: &str) -> Result<Self, $crate::key::UnknownName> {
                match text { $($text => Ok(Self::$variant),)+ other => Err($crate::key::UnknownName(other.to_owned())) }
            }
        }
    };
}
pub(crate) use names;

names!(Algorithm {
    Ed25519 = 1 "ed25519",
    Es256 = 2 "es256",
    HashSha256 = 3 "hash-sha256",
    HmacSha256 = 4 "hmac-sha256",
    HmacSha384 = 5 "hmac-sha384",
    HmacSha512 = 6 "hmac-sha512",
    RsaSha256 = 7 "rsa-sha256",
    Secp256k1 = 8 "secp256k1",
});
names!(SecretForm {
    Base64 = 1 "base64",
    Base64Seed32 = 2 "base64-seed32",
    Hex32 = 6 "hex32",
    Pem = 3 "pem",
    Utf8 = 4 "utf8",
});
names!(PassphraseUse {
    Absent = 1 "absent",
    Mac = 2 "mac",
    Plain = 3 "plain",
});

impl KeySpec {
    pub(crate) fn write(&self, to: &mut Writer<'_>) {
        to.u8(self.algorithm.number());
        to.u8(self.form.number());
        to.u8(self.passphrase.number());
        to.u16(self.min_bytes);
        to.u16(self.max_bytes);
        self.domains.write(to);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            algorithm: Algorithm::from_number(from.u8()?).ok_or(Malformed("algorithm"))?,
            form: SecretForm::from_number(from.u8()?).ok_or(Malformed("secret form"))?,
            passphrase: PassphraseUse::from_number(from.u8()?).ok_or(Malformed("passphrase use"))?,
            min_bytes: from.u16()?,
            max_bytes: from.u16()?,
            domains: Domains::read(from)?,
        })
    }
}
