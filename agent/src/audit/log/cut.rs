//! Lines that are not there, and were: what the writer does about them.

use super::AuditLog;
use crate::audit::AuditError;
use crate::audit::chain::Head;
use crate::audit::known::{self, Gone};
use crate::audit::line::{Event, Kind};

impl AuditLog {
    /// The job of finding out whether this line is in the log, which reads one of its files.
    pub(crate) fn holding(&self, line: Head) -> impl FnOnce() -> Result<bool, AuditError> + Send + use<> {
        let folder = self.folder.clone();
        move || known::holds(&folder, line)
    }

    /// Writes down that this line is not in the log although the token knows it. Goes on behind its number, so that
    /// none is given twice, and what the token knows of later lines is newer.
    pub(crate) fn go_on_behind(&self, line: Head) {
        self.settle();
        let mut inner = self.inner.borrow_mut();
        if inner.stopped.is_none() && inner.buffer.is_empty() && inner.written.seq <= line.seq {
            (inner.written, inner.head) = (line, line);
        }
        drop(inner);
        self.tell_cut(Gone::Line(line));
    }

    pub(super) fn tell_cut(&self, gone: Gone) {
        self.cut.set(true);
        tracing::error!(%gone, "lines of the audit log were cut off or written anew");
        let covers = if let Gone::Line(line) = gone { Some(line.to_string().into()) } else { None };
        self.record(&Event { cause: Some(gone.to_string().into()), covers, ..Event::of(Kind::Cut) });
    }

    /// Whether lines were found to be missing since the log was opened.
    pub(crate) fn was_cut(&self) -> bool {
        self.cut.get()
    }
}
