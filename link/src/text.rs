//! Text that a person or a program has written into a pipe.

/// The text without the one line break, LF or CRLF, that an editor or `echo` puts at its end.
#[must_use]
pub fn without_line_break(text: &[u8]) -> &[u8] {
    match text {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
        _ => text,
    }
}
