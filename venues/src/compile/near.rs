//! Which known word a mistyped one was probably meant to be.

use strsim::osa_distance;

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
        .map(|known| (osa_distance(&word.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= limit)
        .min();
    nearest.map_or_else(String::new, |(_, known)| format!(" (did you mean `{known}`?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_only_where_little_differs() {
        let known = ["message", "alg", "decode", "out"];
        for (word, expected) in [
            ("mesage", " (did you mean `message`?)"),
            ("agl", " (did you mean `alg`?)"),
            ("ALG", " (did you mean `alg`?)"),
            ("algorithm", ""),
            ("put", " (did you mean `out`?)"),
            ("zzz", ""),
        ] {
            assert_eq!(did_you_mean(word, known), expected, "{word}");
        }
    }
}
