//! One object of the token, an AES key or data: its value, and its attributes as they are on the wire.

use std::collections::BTreeMap;

use cryptoki_sys as ck;
use cryptoki_sys::{CK_ATTRIBUTE_TYPE, CK_ULONG};
use serde::{Deserialize, Serialize};

use crate::code::Outcome;
use crate::script::Act;

/// Only AES-256.
pub(crate) const KEY_BYTES: usize = 32;

/// Attributes of a template: type and value.
pub(crate) type Attributes = Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)>;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    value: Vec<u8>,
    /// TOML has texts as keys only.
    attributes: BTreeMap<String, Vec<u8>>,
}

impl Key {
    /// A new key. What the template leaves open is as safe as it can be.
    pub(crate) fn generate(template: Attributes) -> Outcome<Self> {
        let mut value = vec![0; KEY_BYTES];
        getrandom::fill(&mut value).map_err(|_| ck::CKR_DEVICE_ERROR)?;
        let mut attributes = BTreeMap::new();
        for (of, bytes) in DEFAULTS.map(|(of, value)| (of, vec![u8::from(value)])).into_iter().chain(template)
        {
            attributes.insert(of.to_string(), bytes);
        }
        let mut key = Self { value, attributes };
        if key.number(ck::CKA_VALUE_LEN).is_some_and(|bytes| usize::try_from(bytes) != Ok(KEY_BYTES)) {
            return Err(ck::CKR_ATTRIBUTE_VALUE_INVALID);
        }
        let (sensitive, extractable) = (key.is(ck::CKA_SENSITIVE), key.is(ck::CKA_EXTRACTABLE));
        for (of, bytes) in [
            (ck::CKA_CLASS, ck::CKO_SECRET_KEY.to_ne_bytes().to_vec()),
            (ck::CKA_KEY_TYPE, ck::CKK_AES.to_ne_bytes().to_vec()),
            (ck::CKA_LOCAL, vec![1]),
            (ck::CKA_ALWAYS_SENSITIVE, vec![u8::from(sensitive)]),
            (ck::CKA_NEVER_EXTRACTABLE, vec![u8::from(!extractable)]),
        ] {
            key.attributes.insert(of.to_string(), bytes);
        }
        Ok(key)
    }

    /// Data that a caller brings along.
    pub(crate) fn data(template: Attributes) -> Outcome<Self> {
        let mut attributes = BTreeMap::new();
        let mut value = Vec::new();
        for (of, bytes) in template {
            match of {
                ck::CKA_VALUE => value = bytes,
                of => drop(attributes.insert(of.to_string(), bytes)),
            }
        }
        attributes.insert(ck::CKA_EXTRACTABLE.to_string(), vec![1]);
        let data = Self { value, attributes };
        if data.number(ck::CKA_CLASS) == Some(ck::CKO_DATA) {
            Ok(data)
        } else {
            Err(ck::CKR_TEMPLATE_INCONSISTENT)
        }
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }

    pub(crate) fn is(&self, attribute: CK_ATTRIBUTE_TYPE) -> bool {
        self.attributes.get(&attribute.to_string()).is_some_and(|bytes| bytes.as_slice() == [1])
    }

    /// Whether all attributes of a search fit.
    pub(crate) fn fits(&self, wanted: &Attributes) -> bool {
        wanted.iter().all(|(of, value)| self.attributes.get(&of.to_string()) == Some(value))
    }

    /// What a caller is told of one attribute.
    pub(crate) fn attribute(&self, of: CK_ATTRIBUTE_TYPE, act: Option<Act>) -> Outcome<Vec<u8>> {
        match (of, act) {
            (ck::CKA_EXTRACTABLE, Some(Act::Extractable)) => Ok(vec![1]),
            (ck::CKA_SENSITIVE, Some(Act::NotSensitive)) => Ok(vec![0]),
            (ck::CKA_VALUE, Some(Act::GivesValue)) => Ok(self.value.clone()),
            (ck::CKA_VALUE, _) if self.is(ck::CKA_SENSITIVE) || !self.is(ck::CKA_EXTRACTABLE) => {
                Err(ck::CKR_ATTRIBUTE_SENSITIVE)
            }
            (ck::CKA_VALUE, _) => Ok(self.value.clone()),
            _ => self.attributes.get(&of.to_string()).cloned().ok_or(ck::CKR_ATTRIBUTE_TYPE_INVALID),
        }
    }

    fn number(&self, of: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
        let bytes = self.attributes.get(&of.to_string())?;
        Some(CK_ULONG::from_ne_bytes(bytes.as_slice().try_into().ok()?))
    }
}

const DEFAULTS: [(CK_ATTRIBUTE_TYPE, bool); 10] = [
    (ck::CKA_TOKEN, false),
    (ck::CKA_PRIVATE, true),
    (ck::CKA_SENSITIVE, true),
    (ck::CKA_EXTRACTABLE, false),
    (ck::CKA_ENCRYPT, false),
    (ck::CKA_DECRYPT, false),
    (ck::CKA_WRAP, false),
    (ck::CKA_UNWRAP, false),
    (ck::CKA_SIGN, false),
    (ck::CKA_DERIVE, false),
];
