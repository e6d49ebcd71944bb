//! Private keys of asymmetric algorithms, out of DER, as PEM holds it, and of seeds.

use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use sha3::{Digest as _, Keccak256};
use strongroom_link::keeper::{KeyKind, Refusal};
use strongroom_link::key::Domains;
use zeroize::Zeroizing;

use super::pem::{self, Label};

/// A P-256 key that signs as JWS `ES256` says.
///
/// `ring` signs with it, twenty times as fast as `p256` does, which reads the key and computes its public half where
/// the block lacks it (docs/adr/0022). What `ring` allocates lies in secret memory like everything here.
pub(super) struct Es256(EcdsaKeyPair);

impl Es256 {
    pub(super) fn from_der(label: Label, der: &[u8]) -> Result<Box<Self>, Refusal> {
        let key = match label {
            Label::Pkcs8 => p256::SecretKey::from_pkcs8_der(der).ok(),
            Label::Sec1 => p256::SecretKey::from_sec1_der(der).ok(),
            Label::Pkcs1 => None,
        };
        let key = key.ok_or_else(|| pem::refusal(KeyKind::P256, label, der))?;
        let (private, public) = (Zeroizing::new(key.to_bytes()), key.public_key().to_sec1_point(false));
        EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &private,
            public.as_bytes(),
            &SystemRandom::new(),
        )
        .map(|pair| Box::new(Self(pair)))
        .map_err(|_| Refusal::SecretInconsistent)
    }

    pub(super) fn sign(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| Refusal::WrongMessage)?;
        out.extend_from_slice(signature.as_ref());
        Ok(())
    }
}

/// An RSA key that signs as PKCS#1 v1.5 says, with SHA-256.
pub(super) struct Rsa(RsaKeyPair);

impl Rsa {
    pub(super) fn from_der(label: Label, der: &[u8]) -> Result<Box<Self>, Refusal> {
        let pair = match label {
            Label::Pkcs1 => RsaKeyPair::from_der(der),
            Label::Pkcs8 => RsaKeyPair::from_pkcs8(der),
            Label::Sec1 => return Err(pem::refusal(KeyKind::Rsa, label, der)),
        };
        // What `ring` finds wrong it says in a word only.
        pair.map(|pair| Box::new(Self(pair))).map_err(|rejected| match rejected.to_string().as_str() {
            "TooSmall" | "TooLarge" | "PrivateModulusLenNotMultipleOf512Bits" => Refusal::SecretRsaSize,
            _ => pem::refusal(KeyKind::Rsa, label, der),
        })
    }

    /// The same message gives the same signature.
    pub(super) fn sign(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let before = out.len();
        out.resize(before.saturating_add(self.0.public_key().modulus_len()), 0);
        let room = out.get_mut(before..).unwrap_or_default();
        // The padding is fixed, so no randomness is asked for.
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, room);
        signed.map_err(|_| {
            out.truncate(before);
            Refusal::WrongMessage
        })
    }
}

/// The key of an Ethereum wallet, which signs typed data (EIP-712) of its domains.
///
/// It may hold money on every chain that takes the curve. No transaction and no signed text of a wallet begins `19 01`,
/// and what does so names for whom it is: a permit for a token is in the domain of that token.
pub(super) struct Wallet {
    key: k256::ecdsa::SigningKey,
    domains: Domains,
}

impl Wallet {
    pub(super) fn new(key: &[u8], domains: Domains) -> Result<Box<Self>, Refusal> {
        let key = k256::ecdsa::SigningKey::from_slice(key).map_err(|_| Refusal::SecretOutOfRange)?;
        Ok(Box::new(Self { key, domains }))
    }

    /// Appends r, s and the recovery number of Ethereum for the message `19 01`, domain separator, hash of the struct.
    pub(super) fn sign(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let named = message.strip_prefix(EIP712_PREFIX).and_then(<[u8]>::split_first_chunk::<32>);
        let Some((domain, structure)) = named else { return Err(Refusal::WrongMessage) };
        if structure.len() != STRUCT_BYTES {
            return Err(Refusal::WrongMessage);
        }
        if !self.domains.contains(domain) {
            return Err(Refusal::ForeignDomain);
        }
        let (signature, recovery) = self.key.sign_prehash_recoverable(&Keccak256::digest(message));
        out.extend_from_slice(&signature.to_bytes());
        out.push(FIRST_RECOVERY_NUMBER.saturating_add(recovery.to_byte()));
        Ok(())
    }
}

/// What an EIP-712 message begins with.
const EIP712_PREFIX: &[u8] = &[0x19, 0x01];
/// The hash of the struct, behind the domain separator.
const STRUCT_BYTES: usize = 32;
/// What Ethereum writes for a recovery number of zero.
const FIRST_RECOVERY_NUMBER: u8 = 27;

pub(super) fn ed25519(label: Label, der: &[u8]) -> Result<Box<ed25519_dalek::SigningKey>, Refusal> {
    let key = match label {
        Label::Pkcs8 => ed25519_dalek::SigningKey::from_pkcs8_der(der).ok(),
        Label::Pkcs1 | Label::Sec1 => None,
    };
    key.map(Box::new).ok_or_else(|| pem::refusal(KeyKind::Ed25519, label, der))
}

/// A seed, or a seed with its public key behind it.
pub(super) fn ed25519_seed(bytes: &[u8]) -> Result<Box<ed25519_dalek::SigningKey>, Refusal> {
    let other_length = || Refusal::SecretSeedLength { bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
    let (seed, public) = bytes.split_first_chunk().ok_or_else(other_length)?;
    if !matches!(public.len(), 0 | 32) {
        return Err(other_length());
    }
    let key = Box::new(ed25519_dalek::SigningKey::from_bytes(seed));
    if !public.is_empty() && key.verifying_key().as_bytes() != public {
        return Err(Refusal::SecretInconsistent);
    }
    Ok(key)
}
