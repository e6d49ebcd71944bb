//! What saves signatures from allocating and formatting the same again and again.

use std::rc::Rc;

use crate::audit::line::{Event, Kind};
use crate::audit::pen::Pen;
use crate::identity::Principal;

/// Room for the first members of most lines.
const SHEET_BYTES: usize = 1024;
/// So many empty sheets are kept.
const MAX_SHEETS: usize = 1024;

/// Sheets on which lines are begun.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    empty: Vec<Vec<u8>>,
    /// How the last line began.
    last: Option<(Kind, Rc<Principal>, Vec<u8>)>,
}

impl Sheets {
    /// One with the first members of a line about what `who` does: its kind and who it is.
    pub(super) fn begin(&mut self, kind: Kind, who: &Rc<Principal>) -> Vec<u8> {
        let mut sheet = self.empty.pop().unwrap_or_else(|| Vec::with_capacity(SHEET_BYTES));
        if !self.last.as_ref().is_some_and(|(of, last, _)| *of == kind && Rc::ptr_eq(last, who)) {
            let mut members = Vec::new();
            Event::by(kind, who).write(&mut Pen::new(&mut members));
            self.last = Some((kind, Rc::clone(who), members));
        }
        if let Some((_, _, members)) = &self.last {
            sheet.extend_from_slice(members);
        }
        sheet
    }

    /// Takes one back that is not needed any more.
    pub(super) fn put_back(&mut self, mut sheet: Vec<u8>) {
        if self.empty.len() < MAX_SHEETS && sheet.capacity() <= SHEET_BYTES {
            sheet.clear();
            self.empty.push(sheet);
        }
    }
}
