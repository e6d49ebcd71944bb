//! Looking at a process from outside, as an attacker who is root for a moment does.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

/// Shorter pieces of a secret are not looked for.
const WINDOW: usize = 8;

/// What root gets of a process.
#[derive(Default)]
pub(crate) struct Dump {
    pub(crate) pieces: Vec<Vec<u8>>,
    /// Bytes of mappings that root cannot read, though the process can.
    pub(crate) unreadable: usize,
}

impl Dump {
    /// Reads every mapping that the process can write.
    pub(crate) fn of_memory(process: u32) -> io::Result<Self> {
        let memory = File::open(format!("/proc/{process}/mem"))?;
        let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
        let mut dump = Self::default();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, rest) = line.split_once('-').expect("from-to");
            let (to, _) = rest.split_once(' ').expect("from-to and more");
            let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).expect("an address"));
            let mut bytes = vec![0; usize::try_from(to - from).expect("a length")];
            match memory.read_exact_at(&mut bytes, from) {
                Ok(()) => dump.pieces.push(bytes),
                Err(_) => dump.unreadable += bytes.len(),
            }
        }
        Ok(dump)
    }

    /// The same by the system call that debuggers use.
    pub(crate) fn by_process_vm_readv(process: u32) -> io::Result<Self> {
        let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
        let mut dump = Self::default();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, rest) = line.split_once('-').expect("from-to");
            let (to, _) = rest.split_once(' ').expect("from-to and more");
            let [from, to] =
                [from, to].map(|address| usize::from_str_radix(address, 16).expect("an address"));
            let mut bytes = vec![0_u8; to - from];
            let here = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            let there =
                libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(from), iov_len: bytes.len() };
            let process = i32::try_from(process).expect("a process id");
            // SAFETY: writes into `bytes` and reads another process.
            let read = unsafe { libc::process_vm_readv(process, &raw const here, 1, &raw const there, 1, 0) };
            match usize::try_from(read) {
                Ok(read) => {
                    bytes.truncate(read);
                    dump.pieces.push(bytes);
                }
                Err(_) => dump.unreadable += to - from,
            }
        }
        Ok(dump)
    }

    /// How often a needle stands in it.
    pub(crate) fn occurrences(&self, needle: &[u8]) -> usize {
        let windows = self.pieces.iter().flat_map(|piece| piece.windows(needle.len()));
        windows.filter(|window| window == &needle).count()
    }
}

/// All that must never be found, by kind, in windows of eight bytes.
pub(crate) struct Needles {
    windows: HashMap<u64, &'static str>,
    /// Which first two bytes there are, for speed.
    starts: Vec<bool>,
}

impl Needles {
    pub(crate) fn new() -> Self {
        Self { windows: HashMap::new(), starts: vec![false; 1 << 16] }
    }

    /// Adds these bytes. Windows that could be anything (zeroes, counters) are left out.
    pub(crate) fn add(&mut self, kind: &'static str, bytes: &[u8]) {
        for window in bytes.windows(WINDOW) {
            let mut different = window.to_vec();
            different.sort_unstable();
            different.dedup();
            if different.len() < 5 {
                continue;
            }
            let value = u64::from_le_bytes(window.try_into().expect("eight bytes"));
            self.starts[usize::from(u16::from_le_bytes([window[0], window[1]]))] = true;
            self.windows.entry(value).or_insert(kind);
        }
    }

    /// What of it a dump shows, and how often.
    pub(crate) fn hits(&self, dump: &Dump) -> BTreeMap<&'static str, usize> {
        let mut hits = BTreeMap::new();
        for piece in &dump.pieces {
            for window in piece.array_windows::<WINDOW>() {
                if self.starts[usize::from(u16::from_le_bytes([window[0], window[1]]))]
                    && let Some(kind) = self.windows.get(&u64::from_le_bytes(*window))
                {
                    *hits.entry(*kind).or_insert(0) += 1;
                }
            }
        }
        hits
    }
}
