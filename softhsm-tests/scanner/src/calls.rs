//! The raw system calls of an attacker, and all of the unsafe code of these tests.
#![expect(unsafe_code, reason = "tracing, reading and filtering another process are raw system calls")]

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

use rustix::process::PidfdFlags;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::memory::{pid_of, ranges};

/// One request of `ptrace(2)` that has the kernel write nothing here.
pub(crate) fn trace(request: libc::c_uint, pid: libc::pid_t, data: usize) -> io::Result<()> {
    // SAFETY: the callers give no request with which the kernel writes to this process.
    unsafe { raw_trace(request, pid, 0, data) }
}

/// # Safety
/// Where the kernel reads or writes at `data`, that is the address of enough room.
unsafe fn raw_trace(request: libc::c_uint, pid: libc::pid_t, address: usize, data: usize) -> io::Result<()> {
    let address: *mut libc::c_void = ptr::with_exposed_provenance_mut(address);
    let data: *mut libc::c_void = ptr::with_exposed_provenance_mut(data);
    // SAFETY: as the caller upholds.
    match unsafe { libc::ptrace(request, pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

pub(crate) fn wait(pid: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: writes the status.
    match unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(status),
    }
}

/// One set of registers of a stopped thread.
pub(crate) fn register_set(pid: libc::pid_t, set: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; 16 * 1024];
    let mut space = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: the kernel writes into `bytes`, as far as `space` says, and the length into `space`.
    unsafe { raw_trace(libc::PTRACE_GETREGSET, pid, set, (&raw mut space).expose_provenance()) }?;
    bytes.truncate(space.iov_len);
    Ok(bytes)
}

/// Sets the instruction pointer of a stopped thread back over its system call, and what it calls.
#[cfg(target_arch = "x86_64")]
pub(crate) fn set_call(pid: libc::pid_t, call: i64, arguments: [u64; 3]) -> io::Result<()> {
    const SYSCALL_INSTRUCTION_BYTES: u64 = 2;
    let mut registers = MaybeUninit::<libc::user_regs_struct>::uninit();
    // SAFETY: the kernel writes into `registers`.
    unsafe { raw_trace(libc::PTRACE_GETREGS, pid, 0, registers.as_mut_ptr().expose_provenance()) }?;
    // SAFETY: the kernel has written it.
    let mut registers = unsafe { registers.assume_init() };
    registers.rip = registers.rip.wrapping_sub(SYSCALL_INSTRUCTION_BYTES);
    registers.rax = call.cast_unsigned();
    registers.orig_rax = u64::MAX;
    [registers.rdi, registers.rsi, registers.rdx] = arguments;
    // SAFETY: the kernel reads `registers`.
    unsafe { raw_trace(libc::PTRACE_SETREGS, pid, 0, (&raw const registers).expose_provenance()) }
}

/// Reads the memory of another process.
pub(crate) fn process_vm_readv(process: u32, from: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let here = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let there = libc::iovec { iov_base: ptr::with_exposed_provenance_mut(from), iov_len: bytes.len() };
    let process = pid_of(process).as_raw_pid();
    // SAFETY: writes into `bytes` and reads another process.
    let read = unsafe { libc::process_vm_readv(process, &raw const here, 1, &raw const there, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Has the kernel swap out all memory of another process that it can, and gives how many mappings it took.
///
/// # Errors
/// Where the process has ended.
pub fn page_out(process: u32) -> io::Result<usize> {
    let pidfd = rustix::process::pidfd_open(pid_of(process), PidfdFlags::empty())?;
    let mut taken = 0_usize;
    for (from, to) in ranges(process)? {
        let [from, to] = [from, to].map(|address| usize::try_from(address).unwrap_or_default());
        let there = libc::iovec {
            iov_base: ptr::with_exposed_provenance_mut(from),
            iov_len: to.saturating_sub(from),
        };
        // SAFETY: the kernel reads `there`; the advice changes nothing that any process reads.
        let advised = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                pidfd.as_raw_fd(),
                &raw const there,
                1_usize,
                libc::MADV_PAGEOUT,
                0_u32,
            )
        };
        taken = taken.saturating_add(usize::from(advised > 0));
    }
    Ok(taken)
}

/// An open file of secret memory.
///
/// # Errors
/// Where the kernel has none.
pub fn secret_file() -> io::Result<OwnedFd> {
    // SAFETY: makes a descriptor and nothing else.
    let descriptor = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    match i32::try_from(descriptor) {
        // SAFETY: the kernel made it just now, for nobody else.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the kernel answer one system call as if it did not know it, to a program and all that it starts.
///
/// # Panics
/// Where there is no filter for this processor.
pub fn denying(command: &mut Command, call: i64) {
    let filter = SeccompFilter::new(
        BTreeMap::from([(call, vec![])]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        std::env::consts::ARCH.try_into().unwrap_or_else(|_| panic!("an unknown processor")),
    );
    let program: Result<BpfProgram, _> = filter.and_then(TryInto::try_into);
    let program = program.unwrap_or_else(|error| panic!("a filter: {error}"));
    // SAFETY: makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || seccompiler::apply_filter(&program).map_err(|_| io::ErrorKind::Other.into()))
    };
}

/// Has this process trace the one that the command starts, from its first instruction on.
pub fn traced_from_start(command: &mut Command) {
    // SAFETY: makes one system call.
    unsafe { command.pre_exec(crate::trace::Traced::by_parent) };
}

/// A child that spins with 16 bytes of `secret` in one vector register and nowhere else; its process id.
///
/// # Panics
/// Where there can be no child, or the secret is shorter.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn fork_with_a_secret_in_a_register(secret: &[u8; 16]) -> u32 {
    // SAFETY: the child executes nothing but the assembly, which needs nothing of this process.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: reads 16 bytes and then waits to be killed.
        unsafe {
            std::arch::asm!("movups xmm9, [{}]", "2: pause", "jmp 2b", in(reg) secret.as_ptr(), options(noreturn))
        }
    }
    u32::try_from(child).unwrap_or_else(|_| panic!("{}", io::Error::last_os_error()))
}
