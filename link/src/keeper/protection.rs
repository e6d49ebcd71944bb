//! What protects a keeper that has started.

use crate::codec::{Malformed, Reader, Writer};

/// What protects a keeper that has started, as far as that depends on the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Secrets lie in memory that root cannot read either (`memfd_secret`).
    pub secret_memory: bool,
    /// How much of Landlock is in force.
    pub landlock: Landlock,
    /// A guard traces the keeper, so that nobody else can.
    pub guarded: bool,
}

/// How much of Landlock is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// The kernel has none.
    Absent,
    /// All that was asked for.
    Full,
    /// What an older kernel knows of it.
    Partial,
}

impl Landlock {
    /// In one word, for `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Full => "full",
            Self::Partial => "partial",
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Absent => 1,
            Self::Full => 2,
            Self::Partial => 3,
        }
    }
}

impl Protection {
    pub(super) fn write(self, to: &mut Writer<'_>) {
        to.u8(u8::from(self.secret_memory));
        to.u8(self.landlock.number());
        to.u8(u8::from(self.guarded));
    }
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            secret_memory: from.flag()?,
            landlock: match from.u8()? {
                1 => Landlock::Absent,
                2 => Landlock::Full,
                3 => Landlock::Partial,
                _ => return Err(Malformed("landlock")),
            },
            guarded: from.flag()?,
        })
    }
}
