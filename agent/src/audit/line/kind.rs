//! What a line is about, and how it was decided.

use serde::Deserialize;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The owner has accepted that lines are missing.
    AcceptCut,
    /// A signature over all lines before.
    Checkpoint,
    /// A client was given a token, or its token was revoked.
    Client,
    /// A client was turned away when it connected.
    Connect,
    /// Lines of the log were found to be missing.
    Cut,
    Enroll,
    /// For a time the log could not be written, and so nothing was signed.
    Gap,
    /// The grants of a credential were changed.
    Grants,
    Lock,
    /// A signature over lines whose files were deleted because the configuration says so.
    Prune,
    /// What stood behind the last whole line was set aside.
    Recovered,
    Remove,
    /// A credential was moved on to another text of its venue's profile.
    Repin,
    /// A data folder that was restored from a backup was taken over.
    Restore,
    Sign,
    Start,
    Stop,
    Unlock,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 18] = [
        Self::AcceptCut,
        Self::Checkpoint,
        Self::Client,
        Self::Connect,
        Self::Cut,
        Self::Enroll,
        Self::Gap,
        Self::Grants,
        Self::Lock,
        Self::Prune,
        Self::Recovered,
        Self::Remove,
        Self::Repin,
        Self::Restore,
        Self::Sign,
        Self::Start,
        Self::Stop,
        Self::Unlock,
    ];

    /// As it stands in a line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AcceptCut => "accept-cut",
            Self::Checkpoint => "checkpoint",
            Self::Client => "client",
            Self::Connect => "connect",
            Self::Cut => "cut",
            Self::Enroll => "enroll",
            Self::Gap => "gap",
            Self::Grants => "grants",
            Self::Lock => "lock",
            Self::Prune => "prune",
            Self::Recovered => "recovered",
            Self::Remove => "remove",
            Self::Repin => "repin",
            Self::Restore => "restore",
            Self::Sign => "sign",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Unlock => "unlock",
        }
    }
}

/// How it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Policy said yes, and it was done.
    Allowed,
    /// Policy said no.
    Denied,
    /// It was denied because the credential is a trap.
    Honey,
    /// It was not done, and no grant has said no: it can be signed for nobody, or something failed.
    Refused,
}

impl Verdict {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::Honey, Self::Refused];

    /// As it stands in a line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Honey => "honey",
            Self::Refused => "refused",
        }
    }
}
