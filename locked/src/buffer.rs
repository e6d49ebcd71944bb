//! A piece of memory for one secret, in a process that is otherwise an ordinary one.

use std::ptr::NonNull;

use crate::memory::{MemoryError, WeakMemory, map, wipe};

/// Room for a secret between two guard pages: no dump of the process shows it, it is never swapped, and
/// no child has it. Wiped and given back when dropped.
///
/// Read straight into [`room`](Self::room): a copy on the way there would stay where it was.
pub struct SecretBuffer {
    pieces: map::Pieces<1>,
    filled: usize,
}

// SAFETY: the memory is this buffer's alone, whichever thread has it.
unsafe impl Send for SecretBuffer {}

impl SecretBuffer {
    /// Maps room for `bytes` bytes, in whole pages.
    ///
    /// # Errors
    /// [`MemoryError`]
    pub fn new(bytes: usize, weak: WeakMemory) -> Result<Self, MemoryError> {
        Ok(Self { pieces: map::Pieces::map([bytes], weak)?, filled: 0 })
    }

    /// Whether it is secret from root too.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.pieces.is_secret
    }

    /// What it holds.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        let (start, _) = self.start();
        // SAFETY: mapped as long as this lives, zeroed when mapped, and lent to nobody else for writing.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.filled) }
    }

    /// The room behind what it holds. Say with [`add`](Self::add) how much of it was filled.
    #[must_use]
    pub fn room(&mut self) -> &mut [u8] {
        let (start, bytes) = self.start();
        // SAFETY: as above, and `&mut self` lends it to one.
        let all = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), bytes) };
        all.get_mut(self.filled..).unwrap_or_default()
    }

    /// So many bytes of the room are part of the secret now.
    pub fn add(&mut self, bytes: usize) {
        self.filled = self.filled.saturating_add(bytes).min(self.start().1);
    }

    /// Keeps the first `bytes` bytes and wipes all others.
    pub fn truncate(&mut self, bytes: usize) {
        self.filled = self.filled.min(bytes);
        let room = self.room();
        // SAFETY: the room is this buffer's.
        unsafe { wipe(room.as_mut_ptr(), room.len()) };
    }

    fn start(&self) -> (NonNull<u8>, usize) {
        let [piece] = self.pieces.pieces;
        piece
    }
}

impl Drop for SecretBuffer {
    fn drop(&mut self) {
        self.truncate(0);
        // SAFETY: nothing that was lent outlives this.
        unsafe { self.pieces.unmap() };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    /// What root reads of this process at the address of `bytes`.
    fn seen_by_root(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut seen = vec![0; bytes.len()];
        let at = u64::try_from(bytes.as_ptr().addr()).unwrap();
        File::open("/proc/self/mem")?.read_exact_at(&mut seen, at)?;
        Ok(seen)
    }

    fn holding(bytes: &[u8]) -> SecretBuffer {
        let mut buffer = SecretBuffer::new(4096, WeakMemory::Refused).unwrap();
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.add(bytes.len());
        buffer
    }

    #[test]
    fn holds_what_is_read_into_it_and_shows_it_to_nobody_else() {
        let secret = holding(b"123456");
        assert!(secret.is_secret());
        assert_eq!(secret.as_slice(), b"123456");
        assert!(seen_by_root(secret.as_slice()).is_err());
        // The control.
        let open = b"123456".to_vec();
        assert_eq!(seen_by_root(&open).unwrap(), open);
    }

    #[test]
    fn wipes_what_it_no_longer_holds() {
        let mut secret = holding(b"123456\n");
        secret.truncate(6);
        assert_eq!(secret.as_slice(), b"123456");
        secret.truncate(0);
        assert!(secret.as_slice().is_empty());
        assert!(secret.room().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn never_holds_more_than_its_room() {
        let mut secret = holding(b"");
        let room = secret.room().len();
        secret.add(room + 1);
        assert_eq!(secret.as_slice().len(), room);
        assert!(secret.room().is_empty());
    }

    #[test]
    fn gives_its_memory_back() {
        let maps = || std::fs::read_to_string("/proc/self/maps").unwrap();
        let secret = holding(b"123456");
        let place = format!("{:x}-", secret.as_slice().as_ptr().addr());
        let before = maps();
        let line = before.lines().find(|line| line.starts_with(&place)).unwrap();
        // Other tests of this process have such memory, too, and may get it at the same place; each has a file of its
        // own.
        let inode = line.split_whitespace().nth(4).unwrap();
        assert_ne!(inode, "0", "{line}");
        let has_it = |line: &str| line.contains("secretmem") && line.split_whitespace().nth(4) == Some(inode);
        assert!(has_it(line), "{line}");
        drop(secret);
        assert!(!maps().lines().any(has_it));
    }

    #[test]
    fn is_not_there_in_a_child() {
        let secret = holding(b"123456");
        // SAFETY: the child only reads and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: reads a byte, or dies of it.
            unsafe { libc::_exit(i32::from(secret.as_slice().as_ptr().read_volatile())) }
        }
        let mut status = 0;
        // SAFETY: writes the status.
        while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {}
        assert!(libc::WIFSIGNALED(status), "{status:x}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGSEGV);
    }
}
