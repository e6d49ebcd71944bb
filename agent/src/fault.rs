//! What a person or a peer is told when something does not work: what is wrong, and what to do next.

use strongroom_protocol::ErrorCode;

/// One sentence for the cause, one for the next step, and a code for programs.
///
/// Every room's error becomes a fault at the edge of the process, and nowhere before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Fault {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// A defect of ours: the message asks for a report.
    pub(crate) fn defect(what: impl std::fmt::Display) -> Self {
        Self::new(
            ErrorCode::Failed,
            format!("a defect of strongroom: {what}"),
            "please report it, with the agent's log",
        )
    }
}

/// `error` and all its causes in one line; no error of ours repeats its source, and one of others is told once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Told {
        text: &'static str,
        source: Option<Box<Told>>,
    }

    #[test]
    fn tells_a_cause_once() {
        let cause = || Some(Box::new(Told { text: "no such file", source: None }));
        let repeats = Told { text: "opening a: no such file", source: cause() };
        assert_eq!(chain(&repeats), "opening a: no such file");
        let leaves_out = Told { text: "opening a", source: cause() };
        assert_eq!(chain(&leaves_out), "opening a: no such file");
    }
}
