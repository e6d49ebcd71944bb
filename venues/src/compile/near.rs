//! Which known word a mistyped one was probably meant to be.

/// The known word that differs least from `word`, if it differs little; as a question to put into a message.
pub(crate) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let limit = match word.len() {
        // More would be another word.
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    let nearest = known
        .into_iter()
        .map(|known| (distance(&word.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= limit)
        .min();
    nearest.map_or_else(String::new, |(_, known)| format!(" (did you mean `{known}`?)"))
}

/// So many characters are to be added, taken away, replaced, or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // Rows of the usual table: of the characters so far, of one less, and of two less.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (at, char) in one.iter().enumerate() {
        let mut row = vec![at.saturating_add(1)];
        for (to, wanted) in other.iter().enumerate() {
            let cell = |row: &[usize], at: Option<usize>| {
                at.and_then(|at| row.get(at)).copied().unwrap_or(usize::MAX)
            };
            let replaced = cell(&last, Some(to)).saturating_add(usize::from(char != wanted));
            let added = cell(&row, Some(to)).saturating_add(1);
            let taken = cell(&last, to.checked_add(1)).saturating_add(1);
            let crossed = at.checked_sub(1).and_then(|at| one.get(at)) == Some(wanted)
                && to.checked_sub(1).and_then(|to| other.get(to)) == Some(char);
            let swapped = match to.checked_sub(1) {
                Some(to) if crossed => cell(&before, Some(to)).saturating_add(1),
                _ => usize::MAX,
            };
            row.push(replaced.min(added).min(taken).min(swapped));
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_was_mistyped() {
        for (one, other, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("alg", "alg", 0),
            ("agl", "alg", 1),
            ("algo", "alg", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn asks_only_where_little_differs() {
        let known = ["message", "alg", "decode", "out"];
        for (word, expected) in [
            ("mesage", " (did you mean `message`?)"),
            ("ALG", " (did you mean `alg`?)"),
            ("algorithm", ""),
            ("put", " (did you mean `out`?)"),
            ("zzz", ""),
        ] {
            assert_eq!(did_you_mean(word, known), expected, "{word}");
        }
    }
}
