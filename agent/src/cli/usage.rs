//! What is said of a command line that is none.

use std::ffi::OsString;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Commands beside whose names a person may have typed a secret or a PIN by mistake.
const SECRETIVE: [&str; 6] = ["accept-restore", "enroll", "grant", "init", "repin", "unlock"];
/// What `grant` has below it that takes no PIN.
const OPEN: [&str; 3] = ["explain", "learn", "list"];

/// The error without what was typed, where that may be a secret: a terminal is scrolled back, and a log is kept.
pub(super) fn unsaid(mut error: Error, words: &[OsString]) -> Error {
    let is_one_of = |word: &OsString, names: &[&str]| names.iter().any(|name| word == name);
    let secretive = words.iter().skip(1).any(|word| is_one_of(word, &SECRETIVE));
    let mut pairs = words.iter().zip(words.iter().skip(1));
    let open = pairs.any(|(grant, below)| grant == "grant" && is_one_of(below, &OPEN));
    // Nothing was typed in the place of a command that is missing.
    if !secretive || open || error.kind() == ErrorKind::MissingSubcommand {
        return error;
    }
    let is_option = error.kind() != ErrorKind::UnknownArgument;
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        // The names of options that are known are nobody's secret, and neither is a value that was left out.
        let said = match error.get(kind) {
            Some(ContextValue::String(text)) => !text.is_empty(),
            said => said.is_some(),
        };
        if said && !(is_option && kind == ContextKind::InvalidArg) {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
        }
    }
    // Advice that has it once more.
    error.remove(ContextKind::Suggested);
    error.remove(ContextKind::TrailingArg);
    error
}

const HIDDEN: &str = "(not shown: it may be a secret)";

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn said(words: &[&str]) -> String {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        unsaid(Cli::try_parse_from(&words).unwrap_err(), &words).to_string()
    }

    #[test]
    fn says_nothing_of_what_may_be_a_secret() {
        let enroll = ["strongroom", "enroll", "a", "--venue", "binance", "--key-id", "k"];
        for more in [
            &["hunter2"][..],
            &["--hunter2"],
            &["-----BEGIN hunter2"],
            &["--secret-fd", "hunter2"],
            &["--secret-stdin=hunter2"],
            &["--secret=hunter2"],
            &["--secret", "hunter2"],
        ] {
            let said = said(&[&enroll, more].concat());
            assert!(!said.contains("hunter2"), "{more:?}: {said}");
        }
        for words in [
            &["strongroom", "unlock", "hunter2"][..],
            &["strongroom", "grant", "hunter2"],
            &["strongroom", "grant", "add", "list", "--pin", "hunter2"],
            &["strongroom", "--data", "/tmp", "init", "--pin-fd", "hunter2"],
        ] {
            let said = said(words);
            assert!(!said.contains("hunter2"), "{words:?}: {said}");
        }
    }

    #[test]
    fn says_what_was_typed_where_it_is_no_secret() {
        assert!(said(&["strongroom", "list", "everything"]).contains("everything"));
        assert!(said(&["strongroom", "enroll"]).contains("--venue <VENUE>"));
        assert!(said(&["strongroom", "grant", "learn", "a", "--as", "nobody"]).contains("nobody"));
        let missing = said(&["strongroom", "grant", "--data", "/tmp"]);
        assert!(missing.contains("'strongroom grant' requires a subcommand"), "{missing}");
        let missing = said(&["strongroom", "unlock", "--pin-fd"]);
        assert!(
            missing.contains("a value is required for '--pin-fd <N>' but none was supplied"),
            "{missing}"
        );
    }
}
