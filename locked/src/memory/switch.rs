//! Leaving the stack for another one, and leaving nothing in the registers.
//!
//! Registers that a function must restore hold the caller's values again when work on the secret stack
//! is done; all others are wiped, since a stopped process shows them: one vector register has room for
//! a whole secret, and `memcpy` alone fills it.

use std::ffi::c_void;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{on_stack, register_wipe, stack_pointer};
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{on_stack, register_wipe, stack_pointer};

/// Work that is done on another stack.
pub(super) type Work = unsafe extern "C" fn(*mut c_void);
/// Wipes all registers that a call may change.
pub(super) type Wipe = unsafe extern "C" fn();

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::{asm, naked_asm};
    use std::ffi::c_void;

    use super::{Wipe, Work};

    /// Where the stack ends now.
    pub(in super::super) fn stack_pointer() -> usize {
        let pointer: usize;
        // SAFETY: reads a register.
        unsafe { asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
        pointer
    }

    /// Calls `work` with `data` on the stack that ends at `top`.
    ///
    /// # Safety
    /// `top` is a multiple of 16, the memory below it is a stack that nothing else uses, and `work`
    /// accepts `data`.
    #[unsafe(naked)]
    pub(in super::super) unsafe extern "C" fn on_stack(data: *mut c_void, work: Work, top: *mut u8) {
        naked_asm!("push rbp", "mov rbp, rsp", "mov rsp, rdx", "call rsi", "mov rsp, rbp", "pop rbp", "ret",)
    }

    /// The wipe for what this processor has.
    pub(in super::super) fn register_wipe() -> Wipe {
        if std::arch::is_x86_feature_detected!("avx512f") {
            wipe_avx512
        } else if std::arch::is_x86_feature_detected!("avx") {
            wipe_avx
        } else {
            wipe_sse
        }
    }

    /// General registers, without flags and the stack pointer.
    macro_rules! wipe {
        ($($vectors:literal),+ $(,)?) => {
            naked_asm!(
                $($vectors,)+
                "xor eax, eax",
                "xor ecx, ecx",
                "xor edx, edx",
                "xor esi, esi",
                "xor edi, edi",
                "xor r8d, r8d",
                "xor r9d, r9d",
                "xor r10d, r10d",
                "xor r11d, r11d",
                "ret",
            )
        };
    }

    /// `vzeroall` clears zmm0-15 in full and leaves zmm16-31 and the mask registers.
    #[unsafe(naked)]
    unsafe extern "C" fn wipe_avx512() {
        wipe!(
            "vzeroall",
            "vpxord zmm16, zmm16, zmm16",
            "vpxord zmm17, zmm17, zmm17",
            "vpxord zmm18, zmm18, zmm18",
            "vpxord zmm19, zmm19, zmm19",
            "vpxord zmm20, zmm20, zmm20",
            "vpxord zmm21, zmm21, zmm21",
            "vpxord zmm22, zmm22, zmm22",
            "vpxord zmm23, zmm23, zmm23",
            "vpxord zmm24, zmm24, zmm24",
            "vpxord zmm25, zmm25, zmm25",
            "vpxord zmm26, zmm26, zmm26",
            "vpxord zmm27, zmm27, zmm27",
            "vpxord zmm28, zmm28, zmm28",
            "vpxord zmm29, zmm29, zmm29",
            "vpxord zmm30, zmm30, zmm30",
            "vpxord zmm31, zmm31, zmm31",
            "kxorw k0, k0, k0",
            "kxorw k1, k1, k1",
            "kxorw k2, k2, k2",
            "kxorw k3, k3, k3",
            "kxorw k4, k4, k4",
            "kxorw k5, k5, k5",
            "kxorw k6, k6, k6",
            "kxorw k7, k7, k7",
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn wipe_avx() {
        wipe!("vzeroall")
    }

    #[unsafe(naked)]
    unsafe extern "C" fn wipe_sse() {
        wipe!(
            "xorps xmm0, xmm0",
            "xorps xmm1, xmm1",
            "xorps xmm2, xmm2",
            "xorps xmm3, xmm3",
            "xorps xmm4, xmm4",
            "xorps xmm5, xmm5",
            "xorps xmm6, xmm6",
            "xorps xmm7, xmm7",
            "xorps xmm8, xmm8",
            "xorps xmm9, xmm9",
            "xorps xmm10, xmm10",
            "xorps xmm11, xmm11",
            "xorps xmm12, xmm12",
            "xorps xmm13, xmm13",
            "xorps xmm14, xmm14",
            "xorps xmm15, xmm15",
        )
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::{asm, naked_asm};
    use std::ffi::c_void;

    use super::{Wipe, Work};

    /// Where the stack ends now.
    pub(in super::super) fn stack_pointer() -> usize {
        let pointer: usize;
        // SAFETY: reads a register.
        unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
        pointer
    }

    /// Calls `work` with `data` on the stack that ends at `top`.
    ///
    /// # Safety
    /// `top` is a multiple of 16, the memory below it is a stack that nothing else uses, and `work`
    /// accepts `data`.
    #[unsafe(naked)]
    pub(in super::super) unsafe extern "C" fn on_stack(data: *mut c_void, work: Work, top: *mut u8) {
        naked_asm!(
            "stp x29, x30, [sp, #-16]!",
            "mov x29, sp",
            "mov sp, x2",
            "blr x1",
            "mov sp, x29",
            "ldp x29, x30, [sp], #16",
            "ret",
        )
    }

    /// The one wipe.
    pub(in super::super) fn register_wipe() -> Wipe {
        wipe
    }

    /// Of v8 to v15 a function restores the lower half, so only the upper one is wiped.
    #[unsafe(naked)]
    unsafe extern "C" fn wipe() {
        naked_asm!(
            "movi v0.2d, #0",
            "movi v1.2d, #0",
            "movi v2.2d, #0",
            "movi v3.2d, #0",
            "movi v4.2d, #0",
            "movi v5.2d, #0",
            "movi v6.2d, #0",
            "movi v7.2d, #0",
            "mov v8.d[1], xzr",
            "mov v9.d[1], xzr",
            "mov v10.d[1], xzr",
            "mov v11.d[1], xzr",
            "mov v12.d[1], xzr",
            "mov v13.d[1], xzr",
            "mov v14.d[1], xzr",
            "mov v15.d[1], xzr",
            "movi v16.2d, #0",
            "movi v17.2d, #0",
            "movi v18.2d, #0",
            "movi v19.2d, #0",
            "movi v20.2d, #0",
            "movi v21.2d, #0",
            "movi v22.2d, #0",
            "movi v23.2d, #0",
            "movi v24.2d, #0",
            "movi v25.2d, #0",
            "movi v26.2d, #0",
            "movi v27.2d, #0",
            "movi v28.2d, #0",
            "movi v29.2d, #0",
            "movi v30.2d, #0",
            "movi v31.2d, #0",
            "mov x0, xzr",
            "mov x1, xzr",
            "mov x2, xzr",
            "mov x3, xzr",
            "mov x4, xzr",
            "mov x5, xzr",
            "mov x6, xzr",
            "mov x7, xzr",
            "mov x8, xzr",
            "mov x9, xzr",
            "mov x10, xzr",
            "mov x11, xzr",
            "mov x12, xzr",
            "mov x13, xzr",
            "mov x14, xzr",
            "mov x15, xzr",
            "mov x16, xzr",
            "mov x17, xzr",
            "ret",
        )
    }
}
