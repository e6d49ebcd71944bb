//! What protects a token worker that has started.

use crate::codec::{Malformed, Reader, Writer};

/// What protects a token worker that has started, as far as that depends on the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Its whole heap, the module's included, and the stack on which the module is called lie in memory
    /// that root cannot read either (`memfd_secret`).
    pub secret_memory: bool,
    /// A guard traces it and each of its threads, so that nobody else can.
    pub guarded: bool,
}

impl Protection {
    pub(super) fn write(self, to: &mut Writer<'_>) {
        to.u8(u8::from(self.secret_memory));
        to.u8(u8::from(self.guarded));
    }
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { secret_memory: from.flag()?, guarded: from.flag()? })
    }
}
