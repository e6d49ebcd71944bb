//! The patterns of a profile: regular expressions where it is compiled, tables where it signs.
//!
//! A pattern becomes a deterministic automaton once. Matching follows one entry of its table for each
//! byte; it allocates nothing, and no text makes it slow.

use regex_automata::dfa::dense::{self, DFA};
use regex_automata::dfa::{Automaton as _, StartKind};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Look;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: Box<str>,
    table: DFA<Vec<u32>>,
}

/// A compiled pattern whose matches are taken out of a text.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    text: Box<str>,
    /// Whether it matches nowhere but at the front.
    at_front: bool,
    /// Finds where a match ends.
    forward: DFA<Vec<u32>>,
    /// Finds where it starts, backwards from its end.
    backward: DFA<Vec<u32>>,
}

/// Largest table of one pattern, and the most memory that making it may take.
const MAX_TABLE_BYTES: usize = 256 * 1024;

impl Pattern {
    /// Compiles `text`; ASCII semantics, because a path has nothing else.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.into(), table: table(text, Direction::Forward)? })
    }

    /// As the profile has it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is found anywhere in `text`.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        // An error is a byte at which the automaton gives up, and without Unicode there is none.
        self.table.try_search_fwd(&Input::new(text).earliest(true)).is_ok_and(|end| end.is_some())
    }
}

impl Cut {
    /// Compiles `text`.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let (forward, backward) = (table(text, Direction::Forward)?, table(text, Direction::Backward)?);
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(text);
        let at_front = parsed.is_ok_and(|hir| hir.properties().look_set_prefix().contains(Look::Start));
        Ok(Self { text: text.into(), at_front, forward, backward })
    }

    /// As the profile has it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches nowhere but at the front of a text.
    pub(crate) const fn is_at_front(&self) -> bool {
        self.at_front
    }

    /// Appends `text` to `out` without what the pattern finds.
    pub(crate) fn apply(&self, text: &[u8], out: &mut Vec<u8>) {
        let (mut kept, mut from) = (0, 0);
        while from <= text.len() {
            let input = Input::new(text).range(from..);
            let Ok(Some(end)) = self.forward.try_search_fwd(&input) else { break };
            let back = Input::new(text).range(from..end.offset()).anchored(Anchored::Yes);
            let Ok(Some(start)) = self.backward.try_search_rev(&back) else { break };
            out.extend_from_slice(text.get(kept..start.offset()).unwrap_or_default());
            kept = end.offset();
            // A match of nothing stands still.
            from = if end.offset() == start.offset() { kept.saturating_add(1) } else { kept };
        }
        out.extend_from_slice(text.get(kept..).unwrap_or_default());
    }
}

/// Whether `text` is a pattern at all.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(text);
    parsed.map(drop).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("the pattern `{text}` does not compile: {last}")
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Backward,
    Forward,
}

fn table(text: &str, direction: Direction) -> Result<DFA<Vec<u32>>, String> {
    // For its message: the automaton's own error tells no more than that there is one.
    check(text)?;
    let limit = Some(MAX_TABLE_BYTES);
    let config = dense::Config::new().dfa_size_limit(limit).determinize_size_limit(limit);
    let config = match direction {
        // The end is given, and the longest way back from it is the match.
        Direction::Backward => config.start_kind(StartKind::Anchored).match_kind(MatchKind::All),
        Direction::Forward => config.start_kind(StartKind::Unanchored),
    };
    let nfa = thompson::Config::new().utf8(false).nfa_size_limit(limit);
    dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(nfa.reverse(direction == Direction::Backward))
        .build(text)
        .map_err(|_| format!("the pattern `{text}` is too large: its table is limited to 256 KiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pattern: &str, text: &str) -> String {
        let mut out = Vec::new();
        Cut::compile(pattern).unwrap().apply(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn finds_what_a_regular_expression_finds() {
        let patterns = [
            "",
            "^",
            "$",
            "^$",
            "a",
            "^/v1/",
            "/order$",
            "^/[0-9]+/x(/|$)",
            "(a|ab)(c|bcd)?",
            "a*",
            "a*?b",
            "x|^y|z$",
            r"\w+",
            r"\bv\d\b",
            "(?i)ORDER",
            "[^/]+$",
            ".*",
            ".",
            r"v[12]/|/",
            "(ab?)+?",
        ];
        let texts = [
            "",
            "a",
            "abcd",
            "aab",
            "/v1/order",
            "/v1/order/",
            "/7/x",
            "/7/xy",
            "xyz",
            "yz",
            "Order",
            "a\nb",
            "v1 v2/x",
            "ä/ö",
            "aabbab",
        ];
        for pattern in patterns {
            let ours = Pattern::compile(pattern).unwrap();
            let theirs = regex::bytes::RegexBuilder::new(pattern).unicode(false).build().unwrap();
            for text in texts {
                let bytes = text.as_bytes();
                assert_eq!(ours.is_match(bytes), theirs.is_match(bytes), "{pattern} {text}");
                let mut out = Vec::new();
                Cut::compile(pattern).unwrap().apply(bytes, &mut out);
                assert_eq!(out, theirs.replace_all(bytes, &b""[..]).into_owned(), "{pattern} {text}");
            }
        }
        assert_eq!(cut("^/(exchange/)?v[12]/", "/exchange/v1/private/x"), "private/x");
    }

    #[test]
    fn refuses_patterns_that_explode() {
        for pattern in ["(a{100}){100}{100}", "[ab]*a[ab]{20}", "\\w{400}[a-f]{400}\\d{400}z{9999}"] {
            let error = Pattern::compile(pattern).unwrap_err();
            assert_eq!(
                error,
                format!("the pattern `{pattern}` is too large: its table is limited to 256 KiB")
            );
        }
        assert!(Pattern::compile("(").unwrap_err().ends_with("unclosed group"));
        assert!(Pattern::compile("a(?=b)").unwrap_err().contains("look-around"));
    }
}
