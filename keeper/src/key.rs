//! One credential's secret, ready to sign and unable to do anything else.
//!
//! A [`SigningKey`] is asked to act; nothing takes its bytes out again. It has no `Debug`, `Clone`,
//! `PartialEq`, `Serialize` or `AsRef`, and a compile-time assertion below keeps it so. What it holds
//! lies behind pointers: moving a key moves no secret bytes over the stack.

mod base58;
mod pem;
mod private;
mod shape;

use ed25519_dalek::Signer as _;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha384, Sha512};
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{Algorithm, KeySpec, MAX_SECRET_BYTES, PassphraseUse, SecretForm};
use strongroom_link::seed::Seed;
use zeroize::Zeroizing;

use self::pem::Label;
use self::private::{Es256, Rsa, Wallet};
use self::shape::Decoded;

/// That of RSA with 4096 bits.
pub const LONGEST_SIGNATURE_BYTES: usize = 512;

/// A secret in the only form in which the keeper holds one. Everything in it is wiped when it is
/// dropped.
pub struct SigningKey {
    secret: Secret,
    /// What of the passphrase may leave; computed once, because it never changes.
    released_passphrase: Zeroizing<Vec<u8>>,
}

/// An HMAC's state is what the padded key leaves in the hash, so the key itself is not kept; but the
/// state is worth as much as the key and is wiped like one.
enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Es256(Box<Es256>),
    HashSha256(Zeroizing<Vec<u8>>),
    HmacSha256(Box<Hmac<Sha256>>),
    HmacSha384(Box<Hmac<Sha384>>),
    HmacSha512(Box<Hmac<Sha512>>),
    RsaSha256(Box<Rsa>),
    Secp256k1(Box<Wallet>),
}

impl SigningKey {
    /// Checks a secret, as its venue writes it, and a passphrase against `spec`, and keys with them.
    ///
    /// # Errors
    /// The [`Refusal`] that says what is wrong with the shape of the secret or the passphrase, or
    /// [`Refusal::SpecUnfit`] where the parts of `spec` do not go together.
    pub fn parse(spec: &KeySpec, secret: &[u8], passphrase: Option<&[u8]>) -> Result<Self, Refusal> {
        if secret.is_empty() {
            return Err(Refusal::SecretEmpty);
        }
        if secret.len() > usize::from(MAX_SECRET_BYTES) {
            return Err(Refusal::SecretTooLong { limit: spec.max_bytes.min(MAX_SECRET_BYTES).into() });
        }
        // Form before length: "this is no PEM" helps more than "this is too short".
        let secret = Secret::parse(spec, secret)?;
        let passphrase = shape::passphrase(spec.passphrase, passphrase)?;
        let released_passphrase = match spec.passphrase {
            PassphraseUse::Absent => Zeroizing::default(),
            PassphraseUse::Plain => Zeroizing::new(passphrase.to_vec()),
            PassphraseUse::Mac => secret.passphrase_mac(passphrase)?,
        };
        Ok(Self { secret, released_passphrase })
    }

    /// The Ed25519 key that a seed and a context give, always the same one, and its public half.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn derived(seed: &Seed, context: &[u8]) -> Result<(Self, [u8; 32]), Refusal> {
        let mut bytes = Zeroizing::new([0; 32]);
        // The length stands between label and context, so that no two of them give the same bytes.
        let length = u32::try_from(context.len()).map_err(|_| Refusal::SpecUnfit)?.to_le_bytes();
        Hkdf::<Sha256>::new(None, seed.as_slice())
            .expand_multi_info(&[b"strongroom signing key 1\0", &length, context], bytes.as_mut_slice())
            .map_err(|_| Refusal::SpecUnfit)?;
        let key = Box::new(ed25519_dalek::SigningKey::from_bytes(&bytes));
        let public = key.verifying_key().to_bytes();
        Ok((Self { secret: Secret::Ed25519(key), released_passphrase: Zeroizing::default() }, public))
    }

    /// Appends the raw signature of `message` to `out`. Allocates nothing for an HMAC where `out`
    /// has room for it.
    ///
    /// # Errors
    /// [`Refusal::WrongMessage`] where `secret_at` or the message does not fit the algorithm, and
    /// [`Refusal::ForeignDomain`] where it is typed data for somebody else; then `out` is as it was.
    pub fn sign(&self, message: &[u8], secret_at: Option<u32>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match (&self.secret, secret_at) {
            (Secret::HashSha256(secret), Some(at)) => {
                let at = usize::try_from(at).map_err(|_| Refusal::WrongMessage)?;
                let (before, after) = message.split_at_checked(at).ok_or(Refusal::WrongMessage)?;
                let digest = Sha256::new().chain_update(before).chain_update(secret).chain_update(after);
                out.extend_from_slice(&digest.finalize());
            }
            (Secret::HashSha256(_), None) | (_, Some(_)) => return Err(Refusal::WrongMessage),
            (Secret::Ed25519(key), None) => out.extend_from_slice(&key.sign(message).to_bytes()),
            (Secret::Es256(key), None) => key.sign(message, out)?,
            (Secret::HmacSha256(state), None) => mac(&**state, message, out),
            (Secret::HmacSha384(state), None) => mac(&**state, message, out),
            (Secret::HmacSha512(state), None) => mac(&**state, message, out),
            (Secret::RsaSha256(key), None) => key.sign(message, out)?,
            (Secret::Secp256k1(key), None) => key.sign(message, out)?,
        }
        Ok(())
    }

    /// Whether a signature takes so long, a millisecond and more, that others must not wait for it.
    #[must_use]
    pub const fn takes_long(&self) -> bool {
        matches!(self.secret, Secret::RsaSha256(_))
    }

    /// What of the passphrase goes out with every signature: all of it, its MAC, or nothing, as the
    /// [`PassphraseUse`] at enrolment said.
    #[must_use]
    pub fn released_passphrase(&self) -> &[u8] {
        &self.released_passphrase
    }
}

impl Secret {
    /// Turns the text of a secret into a key. The decoded bytes live in `decoded`, which is wiped
    /// when this returns.
    fn parse(spec: &KeySpec, text: &[u8]) -> Result<Self, Refusal> {
        let mut decoded = Decoded::new();
        if spec.form != SecretForm::Pem && pem::is_pem(text) {
            return Err(Refusal::SecretIsPem);
        }
        let key = match spec.form {
            SecretForm::Utf8 => shape::text(text)?,
            SecretForm::Base64 => decoded.base64(text)?,
            SecretForm::Base64Seed32 => decoded.seed(text)?,
            SecretForm::Hex32 => decoded.hex32(text)?,
            SecretForm::Pem => return Self::parse_pem(spec, text, &mut decoded),
        };
        shape::length(spec, text)?;
        match (spec.algorithm, spec.form) {
            (Algorithm::Ed25519, SecretForm::Base64Seed32) => private::ed25519_seed(key).map(Self::Ed25519),
            (Algorithm::HashSha256, SecretForm::Utf8) => Ok(Self::HashSha256(Zeroizing::new(key.to_vec()))),
            (Algorithm::RsaSha256, SecretForm::Base64) => {
                Rsa::from_der(Label::Pkcs8, key).map(Self::RsaSha256)
            }
            (Algorithm::Secp256k1, SecretForm::Hex32) => Wallet::new(key, spec.domains).map(Self::Secp256k1),
            (_, SecretForm::Base64Seed32 | SecretForm::Hex32) => Err(Refusal::SpecUnfit),
            (Algorithm::HmacSha256, _) => keyed(key).map(Self::HmacSha256),
            (Algorithm::HmacSha384, _) => keyed(key).map(Self::HmacSha384),
            (Algorithm::HmacSha512, _) => keyed(key).map(Self::HmacSha512),
            (
                Algorithm::Ed25519
                | Algorithm::Es256
                | Algorithm::HashSha256
                | Algorithm::RsaSha256
                | Algorithm::Secp256k1,
                _,
            ) => Err(Refusal::SpecUnfit),
        }
    }

    /// Reads a PEM private key.
    fn parse_pem(spec: &KeySpec, text: &[u8], decoded: &mut Decoded) -> Result<Self, Refusal> {
        let (label, der) = decoded.pem(text)?;
        let key = match spec.algorithm {
            Algorithm::Ed25519 => private::ed25519(label, der).map(Self::Ed25519),
            Algorithm::Es256 => Es256::from_der(label, der).map(Self::Es256),
            Algorithm::RsaSha256 => Rsa::from_der(label, der).map(Self::RsaSha256),
            Algorithm::HashSha256
            | Algorithm::HmacSha256
            | Algorithm::HmacSha384
            | Algorithm::HmacSha512
            | Algorithm::Secp256k1 => Err(Refusal::SpecUnfit),
        }?;
        shape::length(spec, text)?;
        Ok(key)
    }

    /// The MAC of the passphrase under the secret: all that a venue of
    /// [`PassphraseUse::Mac`] ever sees of it.
    fn passphrase_mac(&self, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut tag = Zeroizing::new(Vec::with_capacity(LONGEST_MAC_BYTES));
        match self {
            Self::HmacSha256(state) => mac(&**state, passphrase, &mut tag),
            Self::HmacSha384(state) => mac(&**state, passphrase, &mut tag),
            Self::HmacSha512(state) => mac(&**state, passphrase, &mut tag),
            Self::Ed25519(_)
            | Self::Es256(_)
            | Self::HashSha256(_)
            | Self::RsaSha256(_)
            | Self::Secp256k1(_) => {
                return Err(Refusal::SpecUnfit);
            }
        }
        Ok(tag)
    }
}

const LONGEST_MAC_BYTES: usize = 64;

/// Keys an HMAC once; requests clone the state, which costs less than keying and leaves no padded key
/// block on the stack of every request.
fn keyed<M: KeyInit>(key: &[u8]) -> Result<Box<M>, Refusal> {
    M::new_from_slice(key).map(Box::new).map_err(|_| Refusal::SpecUnfit)
}

/// Appends one MAC. The clone of the state wipes itself.
fn mac<M: Mac + Clone>(state: &M, message: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&state.clone().chain_update(message).finalize().into_bytes());
}

/// Compiles only while [`SigningKey`] has none of the traits that would show, copy or hand out what
/// it holds: each trait that it had would make `lacks` ambiguous.
const _: fn() = || {
    trait Lacks<Which> {
        fn lacks() {}
    }
    struct Cloning;
    struct Comparing;
    struct Exposing;
    struct Showing;
    struct Writing;
    impl<T: ?Sized> Lacks<()> for T {}
    impl<T: Clone> Lacks<Cloning> for T {}
    impl<T: ?Sized + PartialEq> Lacks<Comparing> for T {}
    impl<T: ?Sized + AsRef<[u8]>> Lacks<Exposing> for T {}
    impl<T: ?Sized + std::fmt::Debug> Lacks<Showing> for T {}
    impl<T: ?Sized + std::fmt::Display> Lacks<Writing> for T {}
    <SigningKey as Lacks<_>>::lacks()
};
