//! What a thread has had of the CPUs, by the kernel's account: what else the machine does changes how long something
//! takes, and hardly how long it runs.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// The main thread of a process, by its `schedstat` (the kernel's documentation, `scheduler/sched-stats`).
pub(crate) struct Watched(File);

impl Watched {
    #[expect(clippy::expect_used, reason = "without an account there is nothing to report")]
    pub(crate) fn process(pid: u32) -> Self {
        let path = format!("/proc/{pid}/task/{pid}/schedstat");
        Self(File::open(path).expect("the kernel's account of a thread"))
    }

    /// How many microseconds it has run so far.
    pub(crate) fn ran(&self) -> f64 {
        let mut text = [0; 80];
        let count = self.0.read_at(&mut text, 0).unwrap_or_default();
        let text = String::from_utf8_lossy(text.get(..count).unwrap_or_default());
        let ns = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
        ns.unwrap_or(f64::NAN) / 1e3
    }
}
