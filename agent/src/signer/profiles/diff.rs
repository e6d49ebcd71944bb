//! Which lines of a text are other ones than before.

use similar::{ChangeTag, TextDiff};

/// Lines that went, with `-` before them, and lines that came, with `+`, in the order of the texts. What stays is left
/// out.
pub(super) fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let changed = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => return None,
        };
        Some(said(sign, change.value().trim_end_matches(['\r', '\n'])))
    });
    changed.collect()
}

/// Nothing of the line means anything to a terminal.
fn said(sign: char, line: &str) -> String {
    format!("{sign} {}", line.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn shows_the_lines_that_went_and_those_that_came() {
        assert_eq!(lines("a\nb\nc\n", "a\nB\nc\n"), ["- b", "+ B"]);
        assert_eq!(lines("a\nb\nc\nd\n", "a\nx\nb\ny\nd\n"), ["+ x", "- c", "+ y"]);
        assert_eq!(lines("a\n", "a\nb\n"), ["+ b"]);
        assert_eq!(lines("a\nb\n", "b\n"), ["- a"]);
        assert_eq!(lines("a\n", "a\n"), Vec::<String>::new());
    }

    #[test]
    fn shows_nothing_that_a_terminal_obeys() {
        assert_eq!(lines("", "x = \"\u{1b}[2J\""), ["+ x = \"\\u{1b}[2J\""]);
    }
}
