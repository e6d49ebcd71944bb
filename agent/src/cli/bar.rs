//! A bar that fills while an unlock goes on. Only a terminal sees it.

use std::io::{self, IsTerminal as _, Write as _};

use strongroom_client::Progress;

/// Cells of the bar.
const WIDTH: u32 = 30;

/// The bar of one command. It leaves nothing behind when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Bar {
    shown: bool,
}

impl Bar {
    /// Draws it, where standard error is a terminal.
    pub(super) fn show(&mut self, progress: Progress) {
        if io::stderr().is_terminal() {
            self.shown = true;
            // A terminal that has gone away is no error of ours.
            let _ = write!(io::stderr(), "\r{}", drawn(progress.done, progress.total));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown {
            // To the start of the line, and erase it (ECMA-48).
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn drawn(done: u32, total: u32) -> String {
    let done = done.min(total);
    let filled = done.saturating_mul(WIDTH).checked_div(total).unwrap_or(WIDTH);
    let cells = |count: u32, cell: &str| cell.repeat(usize::try_from(count).unwrap_or_default());
    let bar = format!("{}{}", cells(filled, "#"), cells(WIDTH.saturating_sub(filled), "."));
    let width = total.to_string().len();
    format!("unlocking [{bar}] {done:>width$} of {total}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_from_left_to_right_and_keeps_its_width() {
        for (done, total, bar) in [
            (0, 1_000, "unlocking [..............................]    0 of 1000"),
            (500, 1_000, "unlocking [###############...............]  500 of 1000"),
            (1_000, 1_000, "unlocking [##############################] 1000 of 1000"),
            (3, 2, "unlocking [##############################] 2 of 2"),
            (0, 0, "unlocking [##############################] 0 of 0"),
        ] {
            assert_eq!(drawn(done, total), bar);
        }
        assert_eq!(drawn(u32::MAX, u32::MAX).len(), drawn(0, u32::MAX).len());
    }
}
