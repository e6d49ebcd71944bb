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

/// Ends the process at once. Returning from `main` makes system calls that a confined process must not
/// make; the kernel wipes secret memory when it takes it back.
pub fn leave(succeeded: bool) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(i32::from(!succeeded)) }
}
