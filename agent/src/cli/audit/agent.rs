//! What the agent that runs says of the log.

use std::path::Path;

use serde_json::json;

use super::plain;
use crate::audit::chain::Head;
use crate::cli::running;
use crate::config::Places;

/// Its answer, or why there is none.
pub(super) enum Agent {
    /// This is its last line, and must be in the log.
    Compared(Head),
    /// None runs, or its answer is no help; why.
    Unasked(String),
}

impl Agent {
    /// Asks it for its last line, if one runs and writes the log in `folder`.
    pub(super) fn ask(places: &Places, folder: &Path) -> Self {
        let told = match running(places) {
            Ok(None) => return Self::Unasked("none runs".to_owned()),
            Ok(Some(client)) => client.audit_head(),
            Err(_) => return Self::Unasked("it does not answer".to_owned()),
        };
        let told = match told {
            Ok(told) => told,
            Err(error) => return Self::Unasked(format!("it does not say: {error}")),
        };
        let place = |folder: &Path| std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        if place(Path::new(&told.folder)) != place(folder) {
            return Self::Unasked(format!("it writes another log, in {}", told.folder));
        }
        match told.head.parse() {
            Ok(head) => Self::Compared(head),
            Err(_) => Self::Unasked("what it says is no line".to_owned()),
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::Compared(head) => json!({ "head": head.to_string() }),
            Self::Unasked(why) => json!({ "not_compared": why }),
        }
    }
}

impl std::fmt::Display for Agent {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Compared(head) => write!(to, "it has written up to line {}", head.seq),
            Self::Unasked(why) => write!(to, "not compared: {}", plain(why)),
        }
    }
}
