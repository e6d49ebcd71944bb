//! Signals, and the way out.

use std::mem::MaybeUninit;
use std::ptr;

/// Takes no signal any more but those that cannot be blocked.
///
/// For a handler the kernel writes all registers to the stack, and Rust's runtime has one, with a stack
/// of its own in ordinary memory, for overflows of a stack. Here an overflow meets a guard page, and
/// the kernel ends the process.
pub fn block_signals() {
    no_alternate_stack();
    // SAFETY: all of these calls take valid pointers and concern signals only; no other thread exists.
    unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// Takes back the alternate stack of this thread, in ordinary memory, and the handlers of Rust's runtime
/// that use it. A handler that is called while work is done on the secret stack then runs there too.
pub fn no_alternate_stack() {
    // SAFETY: all of these calls take valid pointers and concern signals only.
    unsafe {
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        libc::sigaltstack(&raw const none, ptr::null_mut());
    }
}

/// Takes back every handler of this process, that of the C library too, which installs one when it starts a thread:
/// the kernel would write all registers to a stack for it.
pub fn no_handlers() {
    // As the kernel knows it: handler, flags, restorer, mask; all zero is what was before there was a handler.
    const DEFAULT: [u64; 4] = [0; 4];
    const LAST_SIGNAL: i32 = 64;
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: the kernel reads as much as `DEFAULT` is long, and no handler runs any more. Two signals have no
        // handlers, and it refuses them.
        unsafe {
            let none = ptr::null_mut::<libc::c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), none, size_of::<u64>());
        }
    }
}

/// Ends the process at once. Returning from `main` makes system calls that a confined process must not
/// make; the kernel wipes secret memory when it takes it back.
pub fn leave(succeeded: bool) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(i32::from(!succeeded)) }
}
