//! What does not hold in a log, in words, and where it was seen.

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Which file, counted from 0.
    pub(crate) file: usize,
    /// Which line of it, counted from 1.
    pub(crate) line: u64,
}

/// What does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This line is another than was written.
    Edited { seq: u64 },
    /// The signature of this checkpoint is not over the lines that stand here, or not by the key that was demanded.
    Forged { seq: u64 },
    /// It is another than the one that was noted elsewhere, or one before it is.
    NotAsNoted { seq: u64 },
    /// Lines from one number to another are not there.
    Missing { from: u64, to: u64 },
    /// This line stands behind later ones.
    Moved { seq: u64 },
    /// This line was there before.
    Repeated { seq: u64 },
    /// The last line has no end.
    Torn { seq: u64 },
    /// The key of this checkpoint is none that the token has vouched for since the agent was started or locked.
    Uncertified { seq: u64 },
    /// This line says that a gap is accepted, and the token has not signed that, or not here.
    Unaccepted { seq: u64 },
    /// The token has vouched for no line at all.
    Unvouched,
    /// There are files of a log, the key of its checkpoints or records, and no line.
    Emptied,
    /// This line says that lines were missing when it was written; up to which one, as far as that was known.
    Cut { seq: u64, known: u64 },
    /// `head.toml` is not there, or not of the key of the checkpoints, or from before the last unlock.
    Headless,
}

impl Fault {
    /// The number of the line that it is about.
    pub(crate) const fn seq(self) -> u64 {
        match self {
            Self::Edited { seq }
            | Self::Forged { seq }
            | Self::NotAsNoted { seq }
            | Self::Missing { from: seq, .. }
            | Self::Moved { seq }
            | Self::Repeated { seq }
            | Self::Torn { seq }
            | Self::Unaccepted { seq }
            | Self::Uncertified { seq }
            | Self::Cut { seq, .. } => seq,
            Self::Emptied | Self::Unvouched => 1,
            // Behind what is said of lines.
            Self::Headless => u64::MAX,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Edited { seq } => write!(to, "line {seq} was edited"),
            Self::Forged { seq } => {
                write!(to, "the checkpoint in line {seq} is not over the lines before it, or of another key")
            }
            Self::NotAsNoted { seq } => {
                write!(to, "line {seq} is not the one that was noted; it, or one before it, was written anew")
            }
            Self::Missing { from, to: last } if from == last => write!(to, "line {from} is missing"),
            Self::Missing { from, to: last } => write!(to, "lines {from} to {last} are missing"),
            Self::Moved { seq } => write!(to, "line {seq} was moved behind later ones"),
            Self::Repeated { seq } => write!(to, "line {seq} stands there again"),
            Self::Torn { seq } => write!(to, "line {seq} is cut off in the middle"),
            Self::Uncertified { seq } => {
                write!(to, "the token has not vouched for the key of the checkpoint in line {seq}")
            }
            Self::Unaccepted { seq } => {
                write!(to, "the token has not signed in line {seq} that missing lines are accepted")
            }
            Self::Unvouched => to.write_str("no checkpoint has a signature of the token"),
            Self::Emptied => {
                to.write_str("all lines are missing: there was a log, and no line of it is left")
            }
            Self::Cut { seq, known: 0 } => {
                write!(to, "lines before line {seq} were cut off, as that tells")
            }
            Self::Cut { seq, known } => {
                write!(to, "line {seq} tells that line {known} was gone, or was another: ")?;
                to.write_str("lines were cut off, or written anew")
            }
            Self::Headless => to.write_str(
                "head.toml is gone, damaged, of another key or from before the last unlock: \
                 it tells how far the log goes",
            ),
        }
    }
}

/// A fault, and where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) fault: Fault,
    pub(crate) place: Place,
}
