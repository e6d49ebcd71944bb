//! The token's own signing key: made beside the KEK, found by its label, and never outside.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use strongroom_link::token::{SigningKey, TokenRefusal};

use crate::ckr::{self, Call};
use crate::rung;

/// `CKA_EC_PARAMS` of P-256: its object identifier.
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const RSA_BITS: u64 = 2048;
const RSA_EXPONENT: &[u8] = &[1, 0, 1];
/// What PKCS #1 puts before a SHA-256 digest.
const DIGEST_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// What the private half must be, and what it means that it is not, or that the token does not tell. Somebody may have
/// a copy of a key that was not born in the token, and sign by that.
const DEMANDS: &[(AttributeType, bool, &str)] = &[
    (AttributeType::Sensitive, true, "its value may be read (CKA_SENSITIVE is not true)"),
    (AttributeType::Extractable, false, "it may leave the token (CKA_EXTRACTABLE is not false)"),
    (AttributeType::Local, true, "it came from outside, so a copy may exist (CKA_LOCAL is not true)"),
    (
        AttributeType::AlwaysSensitive,
        true,
        "its value could be read once, so a copy may exist (CKA_ALWAYS_SENSITIVE is not true)",
    ),
    (
        AttributeType::NeverExtractable,
        true,
        "it was extractable once, so a copy may exist (CKA_NEVER_EXTRACTABLE is not true)",
    ),
    (AttributeType::Sign, true, "it does not sign (CKA_SIGN is not true)"),
];

/// Both halves, as the token has them.
pub(crate) struct Pair {
    private: ObjectHandle,
    public: SigningKey,
}

/// Both are private objects: who has no PIN can make none that looks like one.
fn mark(label: &str, class: ObjectClass) -> Vec<Attribute> {
    vec![
        Attribute::Class(class),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(format!("{label} audit").into_bytes()),
    ]
}

/// The signing key beside the KEK of that label.
pub(crate) fn find(session: &Session, label: &str) -> Call<Result<Option<Pair>, TokenRefusal>> {
    let keys = session.find_objects(&mark(label, ObjectClass::PRIVATE_KEY))?;
    let [private] = keys.as_slice() else {
        return Ok(if keys.is_empty() { Ok(None) } else { Err(unfit(label, "there are several")) });
    };
    for (attribute, wanted, fault) in DEMANDS {
        let told = match session.get_attributes(*private, &[*attribute])?.pop() {
            Some(
                Attribute::Sensitive(told)
                | Attribute::Extractable(told)
                | Attribute::Local(told)
                | Attribute::AlwaysSensitive(told)
                | Attribute::NeverExtractable(told)
                | Attribute::Sign(told),
            ) => told,
            _ => !wanted,
        };
        if told != *wanted {
            return Ok(Err(unfit(label, fault)));
        }
    }
    let Some(Attribute::Id(id)) = session.get_attributes(*private, &[AttributeType::Id])?.pop() else {
        return Ok(Err(unfit(label, "it has no id")));
    };
    let mut template = mark(label, ObjectClass::PUBLIC_KEY);
    template.push(Attribute::Id(id));
    let halves = session.find_objects(&template)?;
    let [public] = halves.as_slice() else { return Ok(Err(unfit(label, "its public half is not there"))) };
    let told = session.get_attributes(*public, &[AttributeType::EcPoint, AttributeType::Modulus])?;
    let key = told.into_iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(point) => SigningKey::p256(point.strip_prefix(&[4, 65]).unwrap_or(&point)),
        Attribute::Modulus(modulus) => SigningKey::rsa(modulus.strip_prefix(&[0]).unwrap_or(&modulus)),
        _ => None,
    });
    Ok(match key {
        Some(public) => Ok(Some(Pair { private: *private, public })),
        None => Err(unfit(label, "it is neither P-256 nor RSA with 2,048 bits")),
    })
}

/// Makes one: P-256, or RSA where the token has no such.
pub(crate) fn make(session: &Session, label: &str) -> Result<(), TokenRefusal> {
    let id = Attribute::Id(rung::random::<16>()?.to_vec());
    let mut public = mark(label, ObjectClass::PUBLIC_KEY);
    public.extend([id.clone(), Attribute::Verify(true)]);
    let mut private = mark(label, ObjectClass::PRIVATE_KEY);
    private.extend([
        id,
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
    ]);
    let curve = [Attribute::EcParams(P256.to_vec())];
    let sizes = [Attribute::ModulusBits(RSA_BITS.into()), Attribute::PublicExponent(RSA_EXPONENT.to_vec())];
    // What the token says of the better one is what there is to tell.
    let elliptic = pair(session, &Mechanism::EccKeyPairGen, &public, &curve, &private, &Mechanism::Ecdsa);
    elliptic
        .or_else(|first| {
            let (generate, sign) = (Mechanism::RsaPkcsKeyPairGen, Mechanism::RsaPkcs);
            pair(session, &generate, &public, &sizes, &private, &sign).map_err(|_second| first)
        })
        .map_err(|error| ckr::refusal(&error))
}

/// Makes a pair that signs; one that does not is destroyed again.
fn pair(
    session: &Session,
    generate: &Mechanism<'_>,
    public: &[Attribute],
    more: &[Attribute],
    private: &[Attribute],
    sign: &Mechanism<'_>,
) -> Call<()> {
    let (public, private) = session.generate_key_pair(generate, &[public, more].concat(), private)?;
    let signed = session.sign(sign, private, &[7; 32]);
    if signed.is_err() {
        for half in [private, public] {
            drop(session.destroy_object(half));
        }
    }
    signed.map(drop)
}

impl Pair {
    pub(crate) fn into_public(self) -> SigningKey {
        self.public
    }

    /// Signs a SHA-256 digest.
    pub(crate) fn sign(&self, session: &Session, digest: &[u8; 32]) -> Call<Vec<u8>> {
        match self.public {
            SigningKey::P256(_) => session.sign(&Mechanism::Ecdsa, self.private, digest),
            SigningKey::Rsa2048(_) => {
                session.sign(&Mechanism::RsaPkcs, self.private, &[DIGEST_INFO, digest].concat())
            }
        }
    }
}

fn unfit(label: &str, fault: &str) -> TokenRefusal {
    TokenRefusal::SigningKeyUnfit { label: format!("{label} audit"), fault: fault.to_owned() }
}
