//! What the kernel tells everybody about a process.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;

/// One running process, as `/proc/PID/status` describes it.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// The first 15 bytes of its name.
    pub(super) name: String,
    pub(super) parent: u32,
    /// Its effective user.
    pub(super) uid: u32,
    /// Who traces it; 0 for nobody.
    pub(super) tracer: u32,
    pub(super) capabilities: u64,
    pub(super) no_new_privileges: bool,
    /// Whether a filter of system calls is in force.
    pub(super) filtered: bool,
}

/// The right to lock memory without a limit.
const CAP_IPC_LOCK: u64 = 1 << 14;
/// The right to trace whom one likes.
const CAP_SYS_PTRACE: u64 = 1 << 19;

impl Process {
    /// `None` where there is none, or it cannot be seen from here.
    pub(super) fn read(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let fields: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
            .collect();
        let number = |name: &str| fields.get(name)?.parse::<u32>().ok();
        Some(Self {
            pid,
            name: (*fields.get("Name")?).to_owned(),
            parent: number("PPid")?,
            uid: fields.get("Uid")?.split_whitespace().nth(1)?.parse().ok()?,
            tracer: number("TracerPid")?,
            capabilities: u64::from_str_radix(fields.get("CapEff")?, 16).ok()?,
            no_new_privileges: number("NoNewPrivs") == Some(1),
            filtered: number("Seccomp") == Some(2),
        })
    }

    /// Those whose parent it is.
    pub(super) fn children(&self) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::read).filter(|process| process.parent == self.pid).collect()
    }

    /// Whether it runs the program of that name.
    pub(super) fn is(&self, program: &str) -> bool {
        self.name == program.get(..15).unwrap_or(program)
    }

    pub(super) const fn may_lock_without_limit(&self) -> bool {
        self.capabilities & CAP_IPC_LOCK != 0
    }

    pub(super) const fn may_trace(&self) -> bool {
        self.capabilities & CAP_SYS_PTRACE != 0
    }

    /// Whether its own user may read its memory or have it dump core. `None` where that cannot be told:
    /// the kernel gives the folder of an undumpable process to root, which says nothing of root's own.
    pub(super) fn is_dumpable(&self) -> Option<bool> {
        let owner = std::fs::metadata(format!("/proc/{}", self.pid)).ok()?.uid();
        (self.uid != 0).then_some(owner == self.uid)
    }

    /// How much memory it may lock, in bytes: the limit in force and the one it may raise that to. `None`
    /// within for no limit; without where they may not be read.
    pub(super) fn lock_limits(&self) -> Option<(Option<u64>, Option<u64>)> {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.pid)).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
        let mut values = line.split_whitespace().map(|value| match value {
            "unlimited" => Some(None),
            value => value.parse().ok().map(Some),
        });
        Some((values.next()??, values.next()??))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says_of_this_process() {
        let own = Process::read(std::process::id()).unwrap();
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        let limits = rustix::process::getrlimit(rustix::process::Resource::Memlock);
        assert_eq!(own.lock_limits(), Some((limits.current, limits.maximum)));
        assert!(Process::read(u32::MAX).is_none());
    }
}
