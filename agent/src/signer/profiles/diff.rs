//! Which lines of a text are other ones than before.

/// Lines that went, with `-` before them, and lines that came, with `+`, in the order of the texts. What stays is left out.
///
/// What is compared line by line is what lies between the lines at which both texts begin, and those with which both end.
pub(super) fn lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let begin = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(begin..).unwrap_or_default(), new.get(begin..).unwrap_or_default());
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let middle = |lines: &[&str]| lines.len().saturating_sub(end);
    let old = old.get(..middle(old)).unwrap_or_default();
    let new = new.get(..middle(new)).unwrap_or_default();
    let mut changed = Vec::new();
    let mut left = new;
    for line in old {
        // A line that comes again further on has stayed; what stands before it has come.
        if let Some(at) = left.iter().position(|new| new == line).filter(|_| !line.trim().is_empty()) {
            changed.extend(left.iter().take(at).map(|line| said('+', line)));
            left = left.get(at.saturating_add(1)..).unwrap_or_default();
        } else {
            changed.push(said('-', line));
        }
    }
    changed.extend(left.iter().map(|line| said('+', line)));
    changed
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
