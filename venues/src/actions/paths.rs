//! Which of many patterns a path fits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::bytes::RegexSet;

/// The patterns of one table. A bot asks for few paths again and again, so those of late are remembered: to try all
/// patterns takes longer than to write the request.
#[derive(Debug)]
pub(crate) struct Paths {
    patterns: RegexSet,
    late: Mutex<HashMap<Box<str>, Fits>>,
}

/// The numbers of the patterns that a path fits, rising.
pub(crate) type Fits = Arc<[usize]>;

/// So many paths are remembered, and none that is longer: who asks for others finds them by trying.
const MOST: usize = 32;
const LONGEST: usize = 128;

impl Paths {
    pub(crate) fn new(patterns: RegexSet) -> Self {
        Self { patterns, late: Mutex::default() }
    }

    pub(crate) fn fits(&self, path: &str) -> Fits {
        // Nothing is half done where a thread has ended within.
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fits) = late.get(path) {
            return Arc::clone(fits);
        }
        let fits: Fits = self.patterns.matches(path.as_bytes()).iter().collect();
        if path.len() <= LONGEST {
            if late.len() >= MOST {
                late.clear();
            }
            late.insert(path.into(), Arc::clone(&fits));
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_of_a_path_what_the_patterns_say_however_often_it_is_asked() {
        let patterns = RegexSet::new(["^/a", "^/a/[0-9]+$", "^/b"]).unwrap();
        let paths = Paths::new(patterns.clone());
        let long = format!("/a/{}", "1".repeat(LONGEST));
        for _ in 0..3 {
            for number in 0..3 * MOST {
                for path in [format!("/a/{number}"), format!("/b/{number}"), format!("/c/{number}")] {
                    let expected: Vec<usize> = patterns.matches(path.as_bytes()).iter().collect();
                    assert_eq!(*paths.fits(&path), *expected, "{path}");
                    assert_eq!(*paths.fits(&path), *expected, "{path}, again");
                }
                assert_eq!(*paths.fits(&long), [0, 1]);
                let late = paths.late.lock().unwrap();
                assert!(late.len() <= MOST && late.keys().all(|path| path.len() <= LONGEST));
            }
        }
    }
}
