//! Stopping a process as a debugger does.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::dump::Dump;

/// A process that this one traces. It goes on when this is dropped.
pub(crate) struct Traced(libc::pid_t);

impl Traced {
    /// Attaches and stops it.
    pub(crate) fn seize(process: u32) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(process).expect("a process id");
        request(libc::PTRACE_SEIZE, pid, 0, 0)?;
        let traced = Self(pid);
        request(libc::PTRACE_INTERRUPT, pid, 0, 0)?;
        traced.wait()?;
        Ok(traced)
    }

    /// Has the parent trace this process: for the time between fork and exec.
    pub(crate) fn by_parent() -> io::Result<()> {
        request(libc::PTRACE_TRACEME, 0, 0, 0)
    }

    /// A child that has called [`by_parent`](Self::by_parent).
    pub(crate) fn from_start(process: u32) -> Self {
        Self(libc::pid_t::try_from(process).expect("a process id"))
    }

    /// Ends a stop, with a signal or none.
    pub(crate) fn go_on(&self, signal: i32) -> io::Result<()> {
        request(libc::PTRACE_CONT, self.0, 0, usize::try_from(signal).expect("a signal"))
    }

    /// Waits for the next stop or the end.
    pub(crate) fn wait(&self) -> io::Result<i32> {
        let mut status = 0;
        // SAFETY: writes the status.
        match unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(status),
        }
    }

    /// General registers, and all vector registers as XSAVE writes them.
    pub(crate) fn registers(&self) -> io::Result<Dump> {
        const NT_PRSTATUS: usize = 1;
        #[cfg(target_arch = "x86_64")]
        const VECTORS: usize = 0x202;
        #[cfg(target_arch = "aarch64")]
        const VECTORS: usize = 2;
        let mut dump = Dump::default();
        for set in [NT_PRSTATUS, VECTORS] {
            let mut bytes = vec![0_u8; 16 * 1024];
            let mut space = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            request(libc::PTRACE_GETREGSET, self.0, set, (&raw mut space).expose_provenance())?;
            bytes.truncate(space.iov_len);
            dump.pieces.push(bytes);
        }
        Ok(dump)
    }

    /// Has the process, which waits in a system call, make another one, and gives its end or stop.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn inject(&self, number: i64, arguments: [u64; 3]) -> io::Result<i32> {
        let mut registers = MaybeUninit::<libc::user_regs_struct>::uninit();
        request(libc::PTRACE_GETREGS, self.0, 0, registers.as_mut_ptr().expose_provenance())?;
        // SAFETY: the kernel has written it.
        let mut registers = unsafe { registers.assume_init() };
        // Back over the instruction `syscall`.
        registers.rip -= 2;
        registers.rax = u64::try_from(number).expect("a number");
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx] = arguments;
        request(libc::PTRACE_SETREGS, self.0, 0, (&raw const registers).expose_provenance())?;
        request(libc::PTRACE_SINGLESTEP, self.0, 0, 0)?;
        self.wait()
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _gone = request(libc::PTRACE_DETACH, self.0, 0, 0);
    }
}

fn request(request: libc::c_uint, pid: libc::pid_t, address: usize, data: usize) -> io::Result<()> {
    let address: *mut libc::c_void = ptr::with_exposed_provenance_mut(address);
    let data: *mut libc::c_void = ptr::with_exposed_provenance_mut(data);
    // SAFETY: where the kernel writes, the caller gives the address of enough room.
    match unsafe { libc::ptrace(request, pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
