//! One credential on disk: readable metadata, and its secret wrapped.
//!
//! All metadata is authenticated: [`Meta::context`] writes it as one byte string, which the keeper
//! uses as associated data when it seals and opens the secret. An edited field, or a wrapped part
//! taken from another record, makes a record that does not open.

use std::borrow::Borrow;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strongroom_link::key::{Algorithm, Domains, KeySpec, PassphraseUse, SecretForm};
use strongroom_link::token::{KekId, Rung};
use strongroom_policy::{Grants, is_name};

use super::profiles::ProfileHash;
use crate::config::{by_name, kek_id};

/// Name of a credential, as bots use it: also its file name, so it is held to safe characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CredentialName(String);

/// The text is no credential name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a credential name has 1 to 64 of the characters a-z 0-9 . _ - and begins with a letter or digit")]
pub(crate) struct NotAName;

impl CredentialName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CredentialName {
    type Err = NotAName;
    fn from_str(text: &str) -> Result<Self, NotAName> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

impl TryFrom<String> for CredentialName {
    type Error = NotAName;
    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<CredentialName> for String {
    fn from(name: CredentialName) -> Self {
        name.0
    }
}

impl Borrow<str> for CredentialName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The format that this build writes, and the only one that it reads.
const FORMAT: u32 = 2;

/// What every format has.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// One record file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    format: u32,
    /// What the credential is.
    #[serde(rename = "credential", with = "shared")]
    pub(crate) meta: Rc<Meta>,
    /// The wrapped secret.
    pub(crate) wrapped: Wrapped,
}

/// Everything about a credential that is not secret. Every field is authenticated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meta {
    pub(crate) name: CredentialName,
    pub(crate) venue: String,
    pub(crate) key_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<String>,
    pub(crate) base_url: String,
    #[serde(with = "by_name")]
    pub(crate) algorithm: Algorithm,
    #[serde(with = "by_name")]
    pub(crate) secret_form: SecretForm,
    #[serde(with = "by_name")]
    pub(crate) passphrase: PassphraseUse,
    pub(crate) secret_min_bytes: u16,
    pub(crate) secret_max_bytes: u16,
    pub(crate) enrolled: jiff::Timestamp,
    pub(crate) token_serial: String,
    pub(crate) token_label: String,
    #[serde(with = "kek_id")]
    pub(crate) kek_id: KekId,
    #[serde(with = "by_name")]
    pub(crate) rung: Rung,
    /// 1 when it was enrolled, and one more after each change.
    pub(crate) revision: u64,
    /// For whom typed data may be. Not in the context: the keeper binds what it is told of a key's use.
    #[serde(default, skip_serializing_if = "Domains::is_empty", with = "domains")]
    pub(crate) domains: Domains,
    /// A trap: any use of it is denied, and raises an alarm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) honey: bool,
    /// The text of the user's own profile that it signs by; none where it signs by a profile that ships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<ProfileHash>,
    /// Who may do what with it.
    #[serde(rename = "grant", default, skip_serializing_if = "Grants::is_empty")]
    pub(crate) grants: Grants,
}

/// The wrapped secret: the token opens the seed, the seed opens the envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wrapped {
    /// The record's seed, protected by the KEK in the token.
    #[serde(with = "base64")]
    pub(crate) seed: Vec<u8>,
    /// The secret, sealed by the keeper under the seed.
    #[serde(with = "base64")]
    pub(crate) envelope: Vec<u8>,
}

impl Record {
    pub(crate) fn new(meta: Meta, wrapped: Wrapped) -> Self {
        Self { format: FORMAT, meta: Rc::new(meta), wrapped }
    }

    /// Reads a record file. The error is a clause about the file: "is …", "has …".
    pub(crate) fn from_text(text: &str) -> Result<Self, String> {
        let no_record = |error: toml::de::Error| format!("is no record: {}", error.to_string().trim_end());
        let Versioned { format } = toml::from_str(text).map_err(no_record)?;
        if format != FORMAT {
            return Err(format!("has format {format}, and this strongroom reads format {FORMAT} only"));
        }
        let record: Self = toml::from_str(text).map_err(no_record)?;
        // An absent and an empty one have the same context, so only one of them may exist.
        if record.meta.uid.as_deref() == Some("") {
            return Err("has an empty uid".to_owned());
        }
        Ok(record)
    }

    /// The record file.
    pub(crate) fn to_text(&self) -> String {
        // A record is made of strings and integers, which TOML can always hold.
        format!("{HEADER}{}", toml::to_string(self).unwrap_or_default())
    }
}

const HEADER: &str = "# A Strongroom record. The secret in it opens only with its token and PIN.\n\
     # Every field is authenticated: a record that was edited does not open. A backup is a copy of\n\
     # it and of the folder `floors`.\n\n";

impl Meta {
    /// How the secret is used.
    pub(crate) const fn key_spec(&self) -> KeySpec {
        KeySpec {
            algorithm: self.algorithm,
            form: self.secret_form,
            passphrase: self.passphrase,
            min_bytes: self.secret_min_bytes,
            max_bytes: self.secret_max_bytes,
            domains: self.domains,
        }
    }

    /// All metadata as one byte string: a label, then each field as its name and value with `u32`
    /// little-endian lengths, in this order. docs/reference/record.md defines it.
    pub(crate) fn context(&self) -> Vec<u8> {
        let grants = self.grants.canonical();
        let profile = self.profile.map(|hash| hash.to_string());
        let fields: [(&str, &str); 16] = [
            ("name", self.name.as_str()),
            ("venue", &self.venue),
            ("key_id", &self.key_id),
            ("uid", self.uid.as_deref().unwrap_or_default()),
            ("base_url", &self.base_url),
            ("algorithm", self.algorithm.name()),
            ("secret_form", self.secret_form.name()),
            ("passphrase", self.passphrase.name()),
            ("secret_min_bytes", &self.secret_min_bytes.to_string()),
            ("secret_max_bytes", &self.secret_max_bytes.to_string()),
            ("enrolled", &self.enrolled.to_string()),
            ("token_serial", &self.token_serial),
            ("token_label", &self.token_label),
            ("kek_id", &kek_id::text(&self.kek_id)),
            ("rung", self.rung.name()),
            ("revision", &self.revision.to_string()),
        ];
        let mut context = b"strongroom record 2\0".to_vec();
        let fields = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let honey: &[&[u8]] = if self.honey { &[b"honey", b"true"] } else { &[] };
        let pinned = profile.iter().flat_map(|hash| [b"profile".as_slice(), hash.as_bytes()]);
        let last = honey.iter().copied().chain(pinned);
        for part in fields.chain([b"grants".as_slice(), &grants]).chain(last) {
            context.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            context.extend_from_slice(part);
        }
        context
    }
}

mod shared {
    use std::rc::Rc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(shared: &Rc<T>, to: S) -> Result<S::Ok, S::Error> {
        T::serialize(shared, to)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Rc<T>, D::Error> {
        T::deserialize(from).map(Rc::new)
    }
}

/// A list of separators, in hexadecimal.
mod domains {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use strongroom_link::key::{Domains, Separator};

    pub(super) fn serialize<S: Serializer>(domains: &Domains, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(domains.separators().iter().map(|separator| base16ct::lower::encode_string(separator)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Domains, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let separators = texts.iter().map(|text| {
            let mut separator = Separator::default();
            let whole = base16ct::lower::decode(text, &mut separator).is_ok_and(|bytes| bytes.len() == 32);
            if whole { Ok(separator) } else { Err(D::Error::custom("a domain has 64 hexadecimal digits")) }
        });
        Domains::new(separators.collect::<Result<Vec<_>, _>>()?).map_err(D::Error::custom)
    }
}

pub(super) mod base64 {
    use base64ct::{Base64, Encoding as _};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::store) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Base64::encode_string(bytes))
    }

    pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Base64::decode_vec(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}
