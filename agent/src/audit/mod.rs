//! What was decided, for whom, written down so that an edit is found.
//!
//! [`mod@line`] is the format, [`mod@chain`] what holds the lines together, [`checkpoint`] what vouches for them
//! (all three without any I/O), [`log`] the writer, [`sync`] the thread that gets it onto the disk, [`key`] where
//! the key of the checkpoints is kept, [`head`] how far they reach, [`known`] what tells of an end that was cut off,
//! [`vouch`] what the token itself vouches for, [`accepted`] what its owner has said of a gap, [`reader`] what the
//! commands read by.

pub(crate) mod accepted;
pub(crate) mod chain;
pub(crate) mod checkpoint;
pub(crate) mod head;
mod journal;
pub(crate) mod key;
pub(crate) mod known;
pub(crate) mod line;
pub(crate) mod log;
pub(crate) mod params;
pub(crate) mod pen;
pub(crate) mod reader;
mod segment;
mod sync;
pub(crate) mod vouch;

use std::io;
use std::path::PathBuf;

use strongroom_protocol::ErrorCode;

use crate::fault::{Fault, chain};

/// Why the log cannot be written, or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("the audit log {} ends with what is no line of it", path.display())]
    Foreign { path: PathBuf },
    #[error("{action} the audit log {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the key of the audit log, {}, is damaged", path.display())]
    KeyDamaged { path: PathBuf },
    #[error("nothing is signed, because the audit log cannot be written: {cause}")]
    Stopped { cause: String, folder: PathBuf },
}

impl From<AuditError> for Fault {
    fn from(error: AuditError) -> Self {
        let hint = match &error {
            AuditError::Foreign { path } => {
                format!("run `strongroom audit verify`; then move {} away", path.display())
            }
            AuditError::Io { .. } => "free the disk or mend the permissions, then try again".to_owned(),
            AuditError::KeyDamaged { path } => {
                format!(
                    "restore {}, or move it away and unlock again: then a new one is made",
                    path.display()
                )
            }
            AuditError::Stopped { folder, .. } => {
                format!("free the disk or mend {}; then signing goes on by itself", folder.display())
            }
        };
        Self::new(ErrorCode::Unavailable, chain(&error), hint)
    }
}
