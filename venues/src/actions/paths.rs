//! Which of many patterns a path fits.

use std::collections::HashMap;

use regex_automata::dfa::dense::{self, DFA};
use regex_automata::dfa::{Automaton as _, StartKind};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::compile::MAX_ENTRIES;

/// The patterns of one table, each from the start of a path on. To ask allocates nothing, and no path makes it slow.
#[derive(Debug)]
pub(crate) struct Paths {
    /// What each path fits that a pattern spells out. Most patterns are lists of endpoints: an automaton for all of
    /// Binance's would have megabytes.
    spelled: HashMap<Box<[u8]>, Fits>,
    /// The patterns that fit more than they can spell out.
    open: Open,
}

/// One automaton for several patterns.
#[derive(Debug)]
struct Open {
    table: DFA<Vec<u32>>,
    start: StateID,
    /// What it means that one of them is found.
    means: Vec<Fits>,
}

/// Which patterns a path fits: one bit for each, the lowest for the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fits(u64);

const _: () = assert!(MAX_ENTRIES == 64, "a pattern has a bit in `Fits`");

/// Largest automaton of one table; making it may take some times as much.
const MAX_TABLE_BYTES: usize = 1024 * 1024;
const MAX_MAKING_BYTES: usize = 8 * MAX_TABLE_BYTES;
/// A pattern that fits more paths than these has better go into the automaton.
const MAX_SPELLED: usize = 4096;

impl Paths {
    /// The paths that `others` spell out are looked up too: those of orders are asked for most. Nothing where they are
    /// too large together.
    pub(crate) fn compile<'p>(
        patterns: impl Iterator<Item = &'p str>,
        others: impl Iterator<Item = &'p str>,
    ) -> Option<Self> {
        let mut open = Vec::new();
        let mut listed: Vec<_> = others.filter_map(spelled).map(|paths| (paths, Fits::default())).collect();
        for (pattern, fits) in patterns.zip(Fits::each()) {
            match spelled(pattern) {
                Some(paths) => listed.push((paths, fits)),
                None => open.push((pattern, fits)),
            }
        }
        let open = Open::compile(&open)?;
        let mut spelled: HashMap<Box<[u8]>, Fits> = HashMap::new();
        for (paths, fits) in listed {
            for path in paths {
                let open = || open.fits(&path);
                let known = spelled.entry(path.as_slice().into()).or_insert_with(open);
                *known = known.and(fits);
            }
        }
        Some(Self { spelled, open })
    }

    pub(crate) fn fits(&self, path: &str) -> Fits {
        let spelled = self.spelled.get(path.as_bytes()).copied();
        spelled.unwrap_or_else(|| self.open.fits(path.as_bytes()))
    }
}

impl Open {
    fn compile(patterns: &[(&str, Fits)]) -> Option<Self> {
        let texts: Vec<String> = patterns.iter().map(|(pattern, _)| format!("^(?:{pattern})")).collect();
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(MAX_TABLE_BYTES))
            .determinize_size_limit(Some(MAX_MAKING_BYTES));
        let table = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_MAKING_BYTES)))
            .build_many(&texts)
            .ok()?;
        let start = table.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        Some(Self { table, start, means: patterns.iter().map(|(_, fits)| *fits).collect() })
    }

    fn fits(&self, path: &[u8]) -> Fits {
        let mut found = Fits::default();
        let mut state = self.start;
        for byte in path {
            state = self.table.next_state(state, *byte);
            if self.table.is_special_state(state) {
                if self.table.is_dead_state(state) {
                    return found;
                }
                found = found.and(self.told_by(state));
            }
        }
        found.and(self.told_by(self.table.next_eoi_state(state)))
    }

    /// What is found with this state. A table tells of a match one byte late, so the start tells nothing.
    fn told_by(&self, state: StateID) -> Fits {
        if !self.table.is_match_state(state) {
            return Fits::default();
        }
        let patterns = (0..self.table.match_len(state)).map(|at| self.table.match_pattern(state, at));
        let means = patterns.filter_map(|pattern| self.means.get(pattern.as_usize()));
        means.fold(Fits::default(), |all, one| all.and(*one))
    }
}

impl Fits {
    /// The first pattern alone, the second alone, and so on.
    fn each() -> impl Iterator<Item = Self> {
        (0..u64::BITS).map(|at| Self(1 << at))
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the pattern of this number is among them.
    pub(crate) fn has(self, number: usize) -> bool {
        self.iter().any(|one| one == number)
    }

    /// The numbers of the patterns, rising.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            usize::try_from(lowest).ok()
        })
    }
}

/// All paths that `pattern` fits, where it says each of them to its end and these are not too many.
fn spelled(pattern: &str) -> Option<Vec<Vec<u8>>> {
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    let HirKind::Concat(mut parts) = hir.into_kind() else { return None };
    let ends = parts.pop().is_some_and(|last| *last.kind() == HirKind::Look(Look::End));
    let path = Hir::concat(parts);
    // The extractor takes an assertion for nothing.
    if !ends || !path.properties().look_set().is_empty() {
        return None;
    }
    let found = Extractor::new().limit_total(MAX_SPELLED).extract(&path);
    let literals = found.literals().filter(|_| found.is_exact())?;
    Some(literals.iter().map(|literal| literal.as_bytes().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use regex::bytes::{RegexSet, RegexSetBuilder};

    use super::*;
    use crate::{builtin, builtin_profiles};

    /// What it means that a path fits: each pattern is found by itself, at the start.
    fn meaning(patterns: &[&str]) -> RegexSet {
        let patterns = patterns.iter().map(|pattern| format!("^(?:{pattern})"));
        RegexSetBuilder::new(patterns).unicode(false).build().unwrap()
    }

    fn compare(patterns: &[&str], paths: &Paths, meaning: &RegexSet, path: &str) {
        let expected: Vec<usize> = meaning.matches(path.as_bytes()).iter().collect();
        let found: Vec<usize> = paths.fits(path).iter().collect();
        assert_eq!(found, expected, "{path} of {patterns:?}");
    }

    /// The patterns of each table that ships: of its rules beside those of its orders, and of its orders.
    fn tables() -> BTreeSet<(Vec<String>, Vec<String>)> {
        let tables = builtin_profiles().iter().flat_map(|(id, _)| {
            let profile = builtin(id).unwrap().unwrap();
            let actions = profile.actions();
            let rules: Vec<_> = actions.rules().iter().map(|rule| rule.path().to_owned()).collect();
            let orders: Vec<_> = actions.order_fields().map(|(path, _)| path.to_owned()).collect();
            [(rules, orders.clone()), (orders, Vec::new())]
        });
        tables.filter(|(table, _)| !table.is_empty()).collect()
    }

    fn compiled(patterns: &[&str], others: &[&str]) -> Option<Paths> {
        Paths::compile(patterns.iter().copied(), others.iter().copied())
    }

    /// Each path that is spelled out, and many that begin, go on or end otherwise.
    fn asked(patterns: &[&str], paths: &Paths) -> Vec<String> {
        let of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let text = patterns.join("|");
        let words: Vec<&str> = text.split(|c| !of_word(c)).filter(|word| !word.is_empty()).collect();
        let spelled = paths.spelled.keys().map(|path| String::from_utf8(path.to_vec()).unwrap());
        let heads = [0, 1, 2, 3].map(|at| words.get(at).copied().unwrap_or_default());
        let made = words.iter().flat_map(|word| heads.map(|head| format!("/{head}/{word}")));
        let change = |path: String| {
            let (less, loud) =
                (path.get(..path.len().saturating_sub(1)).unwrap_or_default(), path.to_uppercase());
            [less.to_owned(), loud, format!("{path}/"), format!("{path}x"), format!("/v1{path}"), path]
        };
        spelled.chain(made).flat_map(change).collect()
    }

    #[test]
    fn says_of_every_table_that_ships_what_each_of_its_patterns_says() {
        let (mut spelled, mut open) = (0, 0);
        for (patterns, others) in &tables() {
            let [patterns, others] =
                [patterns, others].map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>());
            let (paths, meaning) = (compiled(&patterns, &others).unwrap(), meaning(&patterns));
            asked(&patterns, &paths).iter().for_each(|path| compare(&patterns, &paths, &meaning, path));
            spelled += paths.spelled.len();
            open += paths.open.means.len();
        }
        assert!(spelled > 1000 && open > 100, "{spelled} {open}");
    }

    const PIECES: &[&str] = &[
        "/", "a", "b", "1", r"\d", "[^/]+", ".*", "(a|b/)", "(a$|b)", "(|b)", "[ab]?", "a{2,3}", "a+?",
        "(?i)B", r"\b", "^", "$", "$", "b$",
    ];

    fn pattern() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(PIECES), 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn says_of_made_up_patterns_what_each_of_them_says(
            patterns in prop::collection::vec(pattern(), 0..7),
            others in prop::collection::vec(pattern(), 0..3),
            texts in prop::collection::vec("[ab/1A]{0,7}", 1..40),
        ) {
            let [patterns, others] = [&patterns, &others].map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>());
            let (paths, meaning) = (compiled(&patterns, &others).unwrap(), meaning(&patterns));
            for text in asked(&patterns, &paths).iter().chain(&texts) {
                compare(&patterns, &paths, &meaning, text);
            }
        }
    }

    #[test]
    fn keeps_lists_out_of_the_automaton_and_says_where_one_is_too_large() {
        let list: String = (0..4000).map(|number| format!("|endpoint-{number}")).collect();
        let listed = compiled(&[&format!("/v1/(x{list})$")], &[]).unwrap();
        assert_eq!((listed.spelled.len(), listed.open.means.len()), (4001, 0));
        assert!(listed.fits("/v1/endpoint-7").has(0) && !listed.fits("/v1/endpoint-7/").has(0));
        assert!(compiled(&["/[ab]*a[ab]{20}$"], &[]).is_none());
        assert!(compiled(&["/[ab]*a[ab]{9}$"], &[]).is_some());
    }
}
