//! Stopping a process at whatever it does, and reading all of its memory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::process::{Pid, Signal};

use crate::calls;

const PAGE: u64 = 4096;

/// One piece of what was read.
#[derive(Debug)]
pub struct Piece {
    /// Whose: the mapping's name and its protection, or which registers.
    pub mapping: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What root gets of a process.
#[derive(Debug, Default)]
pub struct Dump {
    /// All that could be read.
    pub pieces: Vec<Piece>,
    /// Bytes of mappings that root cannot read, though the process can.
    pub unreadable: u64,
}

/// One line of `/proc/PID/maps`.
struct Mapping {
    from: u64,
    to: u64,
    name: String,
}

impl Dump {
    /// Stops a process and reads every page of its memory that is there, whatever its protection.
    ///
    /// # Errors
    /// Where the process has ended, or this one may not.
    pub fn of_memory(process: u32) -> io::Result<Self> {
        stopped(process, || Self::read(process))?
    }

    /// The same without a stop.
    ///
    /// # Errors
    /// As [`of_memory`](Self::of_memory).
    pub fn read(process: u32) -> io::Result<Self> {
        let memory = File::open(format!("/proc/{process}/mem"))?;
        Self::each(process, |from, bytes| memory.read_at(bytes, from))
    }

    /// The same by the system call that debuggers use.
    ///
    /// # Errors
    /// As [`of_memory`](Self::of_memory).
    pub fn by_process_vm_readv(process: u32) -> io::Result<Self> {
        stopped(process, || Self::each(process, |from, bytes| calls::process_vm_readv(process, from, bytes)))?
    }

    fn each(process: u32, read: impl Fn(u64, &mut [u8]) -> io::Result<usize>) -> io::Result<Self> {
        let mut dump = Self::default();
        let pages = File::open(format!("/proc/{process}/pagemap"))?;
        for mapping in mappings(process)? {
            let mut refused = false;
            for (from, to) in present(&pages, &mapping)? {
                let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or_default()];
                match read(from, &mut bytes) {
                    Ok(read) if read > 0 => {
                        bytes.truncate(read);
                        dump.pieces.push(Piece { mapping: mapping.name.clone(), bytes });
                    }
                    _ => refused = true,
                }
            }
            if refused {
                dump.unreadable = dump.unreadable.saturating_add(mapping.to.saturating_sub(mapping.from));
            }
        }
        // A process that ended meanwhile shows no mappings.
        if dump.pieces.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(dump) }
    }

    /// Bytes that are looked at like memory.
    #[must_use]
    pub fn of_bytes(name: &str, bytes: Vec<u8>) -> Self {
        Self { pieces: vec![Piece { mapping: name.to_owned(), bytes }], unreadable: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::try_from(piece.bytes.len()).unwrap_or_default()).sum()
    }

    /// Whether these bytes stand in it.
    #[must_use]
    pub fn shows(&self, wanted: &[u8]) -> bool {
        self.pieces.iter().any(|piece| piece.bytes.windows(wanted.len()).any(|window| window == wanted))
    }
}

/// Stops a process at whatever it does, as one who dumps it would, looks, and lets it go on.
///
/// # Errors
/// Where it has ended.
pub fn stopped<R>(process: u32, look: impl FnOnce() -> R) -> io::Result<R> {
    /// However the look ends, it goes on.
    struct GoOn(Pid);
    impl Drop for GoOn {
        fn drop(&mut self) {
            let _gone = rustix::process::kill_process(self.0, Signal::CONT);
        }
    }
    let pid = pid_of(process);
    rustix::process::kill_process(pid, Signal::STOP)?;
    let _go_on = GoOn(pid);
    loop {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        match stat.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
            Some('T' | 't') => return Ok(look()),
            Some('X' | 'Z') => return Err(io::ErrorKind::NotFound.into()),
            _ => std::thread::yield_now(),
        }
    }
}

/// # Panics
/// Where the number is no process id.
pub(crate) fn pid_of(process: u32) -> Pid {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    pid.unwrap_or_else(|| panic!("{process} is no process id"))
}

/// The mappings of a process: from, to.
pub(crate) fn ranges(process: u32) -> io::Result<Vec<(u64, u64)>> {
    Ok(mappings(process)?.into_iter().map(|mapping| (mapping.from, mapping.to)).collect())
}

fn mappings(process: u32) -> io::Result<Vec<Mapping>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    Ok(maps.lines().filter_map(mapping).collect())
}

/// Nothing for the pages of the kernel that stand in every process.
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let protection = fields.next()?;
    let name = fields.nth(3).unwrap_or("anonymous");
    if name.starts_with("[v") {
        return None;
    }
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping { from: address(from)?, to: address(to)?, name: format!("{name} {protection}") })
}

/// The runs of pages of a mapping that are in memory or in swap; the others hold nothing of the process.
fn present(pages: &File, mapping: &Mapping) -> io::Result<Vec<(u64, u64)>> {
    const PRESENT_OR_SWAPPED: u64 = 0b11 << 62;
    let count = mapping.to.saturating_sub(mapping.from).checked_div(PAGE).unwrap_or_default();
    let mut entries = vec![0; usize::try_from(count).unwrap_or_default().saturating_mul(8)];
    let at = mapping.from.checked_div(PAGE).unwrap_or_default().saturating_mul(8);
    let read = pages.read_at(&mut entries, at)?;
    entries.truncate(read);
    let (entries, _) = entries.as_chunks::<8>();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut page = mapping.from;
    for entry in entries {
        let next = page.saturating_add(PAGE);
        if u64::from_ne_bytes(*entry) & PRESENT_OR_SWAPPED != 0 {
            match runs.last_mut() {
                Some(run) if run.1 == page => run.1 = next,
                _ => runs.push((page, next)),
            }
        }
        page = next;
    }
    Ok(runs)
}
