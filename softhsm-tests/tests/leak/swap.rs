//! What the kernel writes to disk when memory is short: everything that it can is swapped out, and the
//! swap file is searched.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::OFlags;
use strongroom_scanner::memory::stopped;
use strongroom_scanner::needles::Hits;
use strongroom_scanner::{Needles, page_out};
use strongroom_softhsm_tests::load::orders;
use strongroom_softhsm_tests::process::{SOON, wait_until};

use crate::client::BusyClient;
use crate::control::{KEYS, NaiveSigner, secrets};
use crate::report::{Expected, Report};
use crate::site::{Site, keeper_and_guard};

const BYTES: u64 = 256 << 20;
const ALIGNED: usize = 4096;

/// A swap file that is used until this is dropped.
struct Swap(PathBuf);

impl Swap {
    /// Nothing where the machine takes none.
    fn on(folder: &Path) -> Option<Self> {
        let path = folder.join("swap");
        let file = File::create(&path).expect("a file");
        // No holes: swap must know its place on the disk.
        let zeroes = vec![0; 1 << 20];
        for at in 0..BYTES >> 20 {
            file.write_all_at(&zeroes, at << 20).expect("room on the disk");
        }
        file.sync_all().expect("a disk");
        let runs = |program: &str| {
            let run = Command::new(program).arg(&path).output();
            run.is_ok_and(|run| run.status.success())
        };
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");
        if runs("mkswap") && runs("swapon") { Some(Self(path)) } else { None }
    }

    /// What of these secrets is on the disk.
    fn hits(&self, needles: &Needles) -> Hits {
        // Past the page cache, which swap does not go through.
        let flags = i32::try_from(OFlags::DIRECT.bits()).expect("a flag");
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(&self.0).expect("own file");
        let mut buffer = vec![0; (16 << 20) + ALIGNED];
        let start = buffer.as_ptr().align_offset(ALIGNED);
        let aligned = &mut buffer[start..start + (16 << 20)];
        let (mut hits, mut at) = (Hits::new(), 0);
        while at < BYTES {
            let read = file.read_at(aligned, at).expect("own file");
            hits.extend(needles.hits_in("swap", &aligned[..read]));
            at += u64::try_from(read).expect("a length");
        }
        hits
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = Command::new("swapoff").arg(&self.0).status();
    }
}

pub(crate) fn case(report: &mut Report) {
    let folder =
        tempfile::Builder::new().prefix("strongroom-swap-").tempdir_in("/var/tmp").expect("a folder");
    let site = Site::new();
    let agent = site.room.start_unlocked();
    let (keeper, guard) = keeper_and_guard(&agent);
    let Some(swap) = Swap::on(folder.path()) else {
        report.skip("this machine takes no swap file");
        return;
    };
    let (lines, control) = secrets();
    let signer = NaiveSigner::start(&mut NaiveSigner::program(), "zeroize", "busy", &lines);
    let _ = out(signer.id());
    report.count("control: swap", "zeroize signer", Expected::Each(KEYS), &swap.hits(&control), BYTES);
    drop(signer);

    let client = BusyClient::start(&site.room.socket());
    wait_until("the client signs", SOON, || client.signatures() > 0);
    for (process, pid) in
        [("front", agent.pid()), ("keeper", keeper), ("guard", guard), ("client", client.id())]
    {
        let mut least = u64::MAX;
        for _ in 0..report.samples(1, 2) {
            least = least.min(out(pid));
            report.count("swap, busy", process, Expected::Nothing, &swap.hits(&site.needles), BYTES);
        }
        report.fact(
            &format!("swapped out of the {process} each time"),
            format!("{least} KiB or more"),
            least > 0,
        );
    }
    // It goes on from there.
    let _ = site.room.client().sign(&orders()[0]).expect("signs");
}

/// Swaps a process out as it is at this moment; gives how many KiB of it are in swap then.
fn out(process: u32) -> u64 {
    let taken = stopped(process, || {
        let taken = page_out(process).expect("root may");
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let swapped = status
            .lines()
            .find_map(|line| line.strip_prefix("VmSwap:"))
            .and_then(|size| size.trim().strip_suffix(" kB"));
        (taken, swapped.and_then(|size| size.parse().ok()).expect("a size"))
    });
    let (mappings, swapped) = taken.expect("it runs");
    assert!(mappings > 0, "no mapping could be swapped out");
    assert!(swapped > 0, "nothing was swapped out");
    swapped
}
