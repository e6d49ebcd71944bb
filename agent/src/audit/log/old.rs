//! Files that the configuration does not keep.

use std::sync::Arc;

use super::AuditLog;
use crate::audit::AuditError;
use crate::audit::line::Event;
use crate::audit::segment::Old;
use crate::fault::chain;

impl AuditLog {
    /// Files that are to be deleted by the configuration.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) fn old(&self) -> Result<Option<Old>, AuditError> {
        match self.config.keep_files {
            0 => Ok(None),
            keep => Old::find(&self.folder, usize::try_from(keep).unwrap_or(usize::MAX)),
        }
    }

    /// Deletes files, once a line that vouches for them is on the disk.
    pub(crate) fn delete(&self, old: Old, vouched: &Event<'_>) {
        let before = self.failures.get();
        self.record(vouched);
        if self.failures.get() != before || self.inner.borrow().stopped.is_some() {
            return;
        }
        let segment = Arc::clone(&self.inner.borrow().segment);
        tokio::task::spawn_blocking(move || {
            let Old { files, covers, bytes } = &old;
            match segment.sync().and_then(|()| old.delete()) {
                Ok(()) => tracing::info!(
                    files = files.len(),
                    bytes,
                    last = covers.seq,
                    "old files of the audit log were deleted"
                ),
                Err(error) => {
                    tracing::error!(error = %chain(&error), "old files of the audit log were not deleted")
                }
            }
        });
    }
}
