//! The KEK: what it is made of, how it is found, and what disqualifies a key.

use cryptoki::error::Error;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use strongroom_link::token::KekId;
use zeroize::Zeroizing;

use crate::ckr::{self, Call};

const KEK_BYTES: u64 = 32;

/// The template of a new KEK.
pub(crate) fn template(label: &str, id: &KekId) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(KEK_BYTES.into()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ]
}

/// The secret keys with that label and that id, of any type: what they are is for [`fault`] to say.
pub(crate) fn find(session: &Session, label: Option<&str>, id: Option<&KekId>) -> Call<Vec<ObjectHandle>> {
    let mut wanted = vec![Attribute::Class(ObjectClass::SECRET_KEY)];
    wanted.extend(label.map(|label| Attribute::Label(label.as_bytes().to_vec())));
    wanted.extend(id.map(|id| Attribute::Id(id.to_vec())));
    session.find_objects(&wanted)
}

/// Whether any object at all has that label.
pub(crate) fn label_is_taken(session: &Session, label: &str) -> Call<bool> {
    Ok(!session.find_objects(&[Attribute::Label(label.as_bytes().to_vec())])?.is_empty())
}

/// The key's id, where it has the length of a KEK's.
pub(crate) fn id(session: &Session, key: ObjectHandle) -> Call<Option<KekId>> {
    match read(session, key, AttributeType::Id)? {
        Some(Attribute::Id(id)) => Ok(KekId::try_from(id).ok()),
        _ => Ok(None),
    }
}

/// Reads the key's attributes back and tells the first that lets the key, or what it protects, out.
pub(crate) fn fault(session: &Session, key: ObjectHandle) -> Call<Option<String>> {
    match read(session, key, AttributeType::KeyType)? {
        Some(Attribute::KeyType(KeyType::AES)) => {}
        _ => return Ok(Some("it is not an AES key".to_owned())),
    }
    if let Some(Attribute::ValueLen(bytes)) = read(session, key, AttributeType::ValueLen)?
        && *bytes != KEK_BYTES
    {
        return Ok(Some(format!("it has {bytes} bytes (CKA_VALUE_LEN), not {KEK_BYTES}")));
    }
    for demand in DEMANDS {
        let found = read(session, key, demand.attribute)?.as_ref().and_then(truth);
        match found {
            Some(found) if found == demand.wanted => {}
            Some(found) => {
                let found = if found { "true" } else { "false" };
                return Ok(Some(format!("{} ({} is {found})", demand.else_said, demand.name)));
            }
            None if demand.reported == Reported::Sometimes => {}
            None => {
                return Ok(Some(format!("the token does not tell {} of it", demand.name)));
            }
        }
    }
    if gives_its_value(session, key)? {
        return Ok(Some("the token gives out its value (CKA_VALUE), whatever its attributes say".to_owned()));
    }
    Ok(None)
}

/// What is wrong with a key that has no id of a KEK.
pub(crate) const ID_FAULT: &str = "its id (CKA_ID) has not 16 bytes";

/// The fault of a key that somebody else made, and what to do.
pub(crate) fn advise(fault: &str) -> String {
    format!("{fault}; let `strongroom init` make a new KEK under a label of its own")
}

/// Whether a module must report an attribute.
#[derive(PartialEq)]
enum Reported {
    Always,
    Sometimes,
}

struct Demand {
    attribute: AttributeType,
    name: &'static str,
    wanted: bool,
    reported: Reported,
    /// What it means that the attribute has the other value.
    else_said: &'static str,
}

const fn demand(
    attribute: AttributeType,
    name: &'static str,
    wanted: bool,
    reported: Reported,
    else_said: &'static str,
) -> Demand {
    Demand { attribute, name, wanted, reported, else_said }
}

/// In the order of what is worst.
const DEMANDS: &[Demand] = &[
    demand(
        AttributeType::Extractable,
        "CKA_EXTRACTABLE",
        false,
        Reported::Always,
        "it may leave the token wrapped",
    ),
    demand(
        AttributeType::Sensitive,
        "CKA_SENSITIVE",
        true,
        Reported::Always,
        "its value may be read in the clear",
    ),
    demand(AttributeType::Private, "CKA_PRIVATE", true, Reported::Always, "it can be used without the PIN"),
    demand(AttributeType::Token, "CKA_TOKEN", true, Reported::Always, "it vanishes with the session"),
    demand(
        AttributeType::NeverExtractable,
        "CKA_NEVER_EXTRACTABLE",
        true,
        Reported::Sometimes,
        "it was extractable once, or came from outside, so a copy may exist",
    ),
    demand(
        AttributeType::AlwaysSensitive,
        "CKA_ALWAYS_SENSITIVE",
        true,
        Reported::Sometimes,
        "its value could be read once, or came from outside, so a copy may exist",
    ),
    demand(AttributeType::Encrypt, "CKA_ENCRYPT", true, Reported::Sometimes, "it does not encrypt"),
    demand(AttributeType::Decrypt, "CKA_DECRYPT", true, Reported::Sometimes, "it does not decrypt"),
    demand(
        AttributeType::Unwrap,
        "CKA_UNWRAP",
        false,
        Reported::Sometimes,
        "it may unwrap what it protects into other keys",
    ),
    demand(
        AttributeType::Wrap,
        "CKA_WRAP",
        false,
        Reported::Sometimes,
        "it may wrap other keys, and then decrypt them",
    ),
    demand(
        AttributeType::Derive,
        "CKA_DERIVE",
        false,
        Reported::Sometimes,
        "other keys may be derived from it",
    ),
    demand(
        AttributeType::Sign,
        "CKA_SIGN",
        false,
        Reported::Sometimes,
        "it may sign, so it has a second use",
    ),
];

/// One attribute, or `None` where the token does not tell it.
fn read(session: &Session, key: ObjectHandle, attribute: AttributeType) -> Call<Option<Attribute>> {
    Ok(session.get_attributes(key, &[attribute])?.pop())
}

const fn truth(attribute: &Attribute) -> Option<bool> {
    match attribute {
        Attribute::AlwaysSensitive(value)
        | Attribute::Decrypt(value)
        | Attribute::Derive(value)
        | Attribute::Encrypt(value)
        | Attribute::Extractable(value)
        | Attribute::NeverExtractable(value)
        | Attribute::Private(value)
        | Attribute::Sensitive(value)
        | Attribute::Sign(value)
        | Attribute::Token(value)
        | Attribute::Unwrap(value)
        | Attribute::Wrap(value) => Some(*value),
        _ => None,
    }
}

/// Asks for the value itself, because a module may store the attributes and not heed them. Where it
/// comes it is wiped; `cryptoki` has copied it once more by then, in a process that refuses the key.
fn gives_its_value(session: &Session, key: ObjectHandle) -> Call<bool> {
    match read(session, key, AttributeType::Value) {
        Ok(Some(Attribute::Value(value))) => Ok(!Zeroizing::new(value).is_empty()),
        Ok(_) => Ok(false),
        Err(Error::Pkcs11(code, function)) if ckr::is_connection(code) => Err(Error::Pkcs11(code, function)),
        // Any other error is a refusal of the value, however the module calls it.
        Err(_) => Ok(false),
    }
}
