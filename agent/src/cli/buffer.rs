//! stand-in
use std::io;
use zeroize::Zeroizing;

pub(super) struct SecretBuffer {
    bytes: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl SecretBuffer {
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        Ok(Self { bytes: Zeroizing::new(vec![0; bytes]), filled: 0 })
    }
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }
    pub(super) fn add(&mut self, bytes: usize) {
        self.filled = self.filled.saturating_add(bytes).min(self.bytes.len());
    }
    pub(super) fn truncate(&mut self, bytes: usize) {
        self.filled = self.filled.min(bytes);
        self.room().fill(0);
    }
}
