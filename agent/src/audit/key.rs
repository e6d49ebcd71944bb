//! Where the key of the checkpoints is kept: its seed, wrapped by the token as a record's is.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_link::token::{KekId, Rung};

use super::AuditError;
use super::checkpoint::PublicKey;
use super::segment::failed;
use crate::store::atomic::{self, Existing};
use crate::store::regular;

/// What the key is derived for, so that no record's seed gives it.
pub(crate) const CONTEXT: &[u8] = b"audit checkpoints";

/// `key.toml` in the folder of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    #[serde(with = "hex")]
    public: Vec<u8>,
    pub(crate) token_serial: String,
    #[serde(with = "crate::config::kek_id")]
    pub(crate) kek_id: KekId,
    #[serde(with = "crate::config::by_name")]
    pub(crate) rung: Rung,
    #[serde(with = "hex")]
    pub(crate) seed: Vec<u8>,
    made: Timestamp,
}

impl KeyFile {
    pub(crate) fn new(
        public: PublicKey,
        token_serial: String,
        kek_id: KekId,
        rung: Rung,
        seed: Vec<u8>,
    ) -> Self {
        Self { public: public.to_vec(), token_serial, kek_id, rung, seed, made: Timestamp::now() }
    }

    /// Whether this is its public half.
    pub(crate) fn is_of(&self, public: &PublicKey) -> bool {
        self.public == public
    }

    /// Reads it. `None` where none was made yet.
    ///
    /// # Errors
    /// Where it cannot be read, or is damaged.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, AuditError> {
        let path = path(folder);
        match regular::read_text(&path) {
            Ok(text) => {
                toml::from_str(&text).map(Some).map_err(|_| AuditError::KeyDamaged { path: path.clone() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading the key of", &path)(error)),
        }
    }

    /// Writes it, where there is none.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), AuditError> {
        let path = path(folder);
        let text = toml::to_string(self).map_err(|error| std::io::Error::other(error.to_string()));
        let text = text.map_err(failed("writing the key of", &path))?;
        let text = format!("# The key of the audit log's checkpoints, wrapped by the token.\n{text}");
        let written = atomic::write(&path, text.as_bytes(), Existing::Keep);
        let written = written.map_err(|error| std::io::Error::other(crate::fault::chain(&error)));
        written.map_err(failed("writing the key of", &path))
    }
}

/// Where it is.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("key.toml")
}

/// Bytes as hexadecimal digits.
pub(super) mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::audit) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&base16ct::lower::encode_string(bytes))
    }

    pub(in crate::audit) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        base16ct::lower::decode_vec(&text).map_err(|_| D::Error::custom("these are no hexadecimal digits"))
    }
}
