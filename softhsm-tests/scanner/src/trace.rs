//! Stopping a process as a debugger does.

use std::fs;
use std::io;

use crate::calls;
use crate::chance::Chance;
use crate::memory::{Dump, Piece};

/// A thread that this process traces. It goes on when this is dropped.
#[derive(Debug)]
pub struct Traced(libc::pid_t);

impl Traced {
    /// Attaches to a process (its first thread) or to a thread, and stops it.
    ///
    /// # Errors
    /// What the kernel says; EPERM where somebody else traces it.
    ///
    /// # Panics
    /// Where the number is no process id.
    pub fn seize(process: u32) -> io::Result<Self> {
        let pid = number(process);
        calls::trace(libc::PTRACE_SEIZE, pid, 0)?;
        let traced = Self(pid);
        calls::trace(libc::PTRACE_INTERRUPT, pid, 0)?;
        traced.wait()?;
        Ok(traced)
    }

    /// Attaches to all threads of a process, in any order.
    ///
    /// # Errors
    /// As [`seize`](Self::seize).
    pub fn seize_all(process: u32, chance: &mut Chance) -> io::Result<Vec<Self>> {
        let threads = fs::read_dir(format!("/proc/{process}/task"))?;
        let names = threads.flatten().filter_map(|thread| thread.file_name().to_str()?.parse().ok());
        let mut threads: Vec<(u64, u32)> = names.map(|thread| (chance.below(u64::MAX), thread)).collect();
        threads.sort_unstable();
        threads.into_iter().map(|(_, thread)| Self::seize(thread)).collect()
    }

    /// Has the parent trace this process: for the time between fork and exec.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn by_parent() -> io::Result<()> {
        calls::trace(libc::PTRACE_TRACEME, 0, 0)
    }

    /// A child that has called [`by_parent`](Self::by_parent).
    ///
    /// # Panics
    /// Where the number is no process id.
    #[must_use]
    pub fn from_start(process: u32) -> Self {
        Self(number(process))
    }

    /// Ends a stop, with a signal or none.
    ///
    /// # Errors
    /// Where it is not stopped.
    pub fn go_on(&self, signal: i32) -> io::Result<()> {
        calls::trace(libc::PTRACE_CONT, self.0, usize::try_from(signal).unwrap_or_default())
    }

    /// Waits for the next stop or the end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn wait(&self) -> io::Result<i32> {
        calls::wait(self.0)
    }

    /// General registers, and all vector registers as XSAVE writes them.
    ///
    /// # Errors
    /// Where it is not stopped.
    pub fn registers(&self) -> io::Result<Dump> {
        const NT_PRSTATUS: usize = 1;
        #[cfg(target_arch = "x86_64")]
        const VECTORS: usize = 0x202;
        #[cfg(target_arch = "aarch64")]
        const VECTORS: usize = 2;
        let mut dump = Dump::default();
        for (set, mapping) in [(NT_PRSTATUS, "general registers"), (VECTORS, "vector registers")] {
            let bytes = calls::register_set(self.0, set)?;
            dump.pieces.push(Piece { mapping: mapping.to_owned(), bytes });
        }
        Ok(dump)
    }

    /// Has the process, which waits in a system call, make another one, and gives its end or stop.
    ///
    /// # Errors
    /// Where it is not stopped.
    #[cfg(target_arch = "x86_64")]
    pub fn inject(&self, call: i64, arguments: [u64; 3]) -> io::Result<i32> {
        calls::set_call(self.0, call, arguments)?;
        calls::trace(libc::PTRACE_SINGLESTEP, self.0, 0)?;
        self.wait()
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _gone = calls::trace(libc::PTRACE_DETACH, self.0, 0);
    }
}

/// The registers of all threads of a process, at one moment each.
///
/// # Errors
/// As [`Traced::seize`].
pub fn registers(process: u32, chance: &mut Chance) -> io::Result<Dump> {
    let mut dump = Dump::default();
    for traced in Traced::seize_all(process, chance)? {
        dump.pieces.extend(traced.registers()?.pieces);
    }
    Ok(dump)
}

fn number(process: u32) -> libc::pid_t {
    libc::pid_t::try_from(process).unwrap_or_else(|_| panic!("{process} is no process id"))
}
