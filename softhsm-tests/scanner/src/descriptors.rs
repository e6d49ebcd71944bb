//! Stealing the open files of another process.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use crate::memory::pid_of;

/// Copies of its first 256 descriptors, by `pidfd_getfd(2)`: number, copy, and what it is.
#[must_use]
pub fn stolen(process: u32) -> Vec<(i32, OwnedFd, String)> {
    let Ok(process) = rustix::process::pidfd_open(pid_of(process), PidfdFlags::empty()) else {
        return Vec::new();
    };
    let copies = (0..256).filter_map(|number| {
        Some((number, rustix::process::pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()?))
    });
    let what = |file: &OwnedFd| fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
    copies
        .filter_map(|(number, file)| {
            let what = what(&file)?.display().to_string();
            Some((number, file, what))
        })
        .collect()
}

/// Whether it is a file from which secret memory can be mapped.
#[must_use]
pub fn is_secret_memory(what: &str) -> bool {
    what.contains("secretmem")
}
