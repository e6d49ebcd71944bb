//! Anchors: private data objects in which the token remembers the newest state of floors.
//!
//! An object is never changed. A new one is made beside the newest, and older ones are destroyed before: whatever ends
//! the process or the power in between, the token has the state before or this one.

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use strongroom_link::token::{Anchor, AnchorId, TokenRefusal};

use crate::ckr::{self, Call};

/// `CKA_APPLICATION` of every object that is no key.
const APPLICATION: &[u8] = b"strongroom";

/// What marks the anchors beside the KEK of that label. Private ones only: whoever has no PIN may make public ones.
fn mark(label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Application(APPLICATION.to_vec()),
        Attribute::Label(format!("{label} floors").into_bytes()),
    ]
}

/// The anchors of these floors, the newest last.
fn all(session: &Session, label: &str, id: &AnchorId) -> Call<Vec<(Anchor, ObjectHandle)>> {
    let mut found = Vec::new();
    for object in session.find_objects(&mark(label))? {
        let value = session.get_attributes(object, &[AttributeType::Value])?.pop();
        let anchor = match value {
            Some(Attribute::Value(value)) => Anchor::from_bytes(&value),
            _ => None,
        };
        found.extend(anchor.filter(|anchor| anchor.id == *id).map(|anchor| (anchor, object)));
    }
    found.sort_by_key(|(anchor, _)| anchor.generation);
    Ok(found)
}

/// The newest state of these floors that was kept.
pub(crate) fn newest(session: &Session, label: &str, id: &AnchorId) -> Call<Option<Anchor>> {
    Ok(all(session, label, id)?.pop().map(|(anchor, _)| anchor))
}

/// Keeps a state, and reads it back.
pub(crate) fn keep(session: &Session, label: &str, anchor: &Anchor) -> Result<(), TokenRefusal> {
    let call = |error| ckr::refusal(&error);
    let mut before = all(session, label, &anchor.id).map_err(call)?;
    if before.pop().is_some_and(|(newest, _)| newest == *anchor) {
        return Ok(());
    }
    for (_, older) in before {
        session.destroy_object(older).map_err(call)?;
    }
    let value = Attribute::Value(anchor.to_bytes().to_vec());
    let template = mark(label).into_iter().chain([value]).collect::<Vec<_>>();
    let made = session.create_object(&template).map_err(call)?;
    let kept = all(session, label, &anchor.id).map_err(call)?.pop();
    if kept.is_some_and(|(newest, _)| newest == *anchor) {
        return Ok(());
    }
    // What it has not kept as it was asked to is no help to anybody.
    drop(session.destroy_object(made));
    Err(TokenRefusal::ModuleCall {
        function: "reading a new data object back".to_owned(),
        code: "it is not there, or not as it was made".to_owned(),
    })
}
