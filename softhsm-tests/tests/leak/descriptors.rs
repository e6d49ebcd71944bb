//! Open files from which the memory could be mapped, and what a child would inherit.

use strongroom_scanner::descriptors::{is_secret_memory, stolen};
use strongroom_scanner::secret_file;

use crate::report::Report;
use crate::site::{Site, keeper_and_guard};

pub(crate) fn case(report: &mut Report) {
    let secret = |process| {
        let found = stolen(process);
        let secret = found.iter().filter(|(_, _, what)| is_secret_memory(what)).count();
        (found.len(), secret)
    };
    let mine = secret_file().expect("this kernel has secret memory");
    let (_, found) = secret(std::process::id());
    report.fact(
        "control: an open file of secret memory",
        if found > 0 { "found" } else { "not found" },
        found > 0,
    );
    drop(mine);

    let site = Site::new();
    let agent = site.room.start_unlocked();
    let (keeper, guard) = keeper_and_guard(&agent);
    for (process, pid) in [("front", agent.pid()), ("keeper", keeper), ("guard", guard)] {
        let (all, secret) = secret(pid);
        let outcome = format!("{secret} of {all} are files of secret memory");
        report.fact(&format!("stealing the descriptors of the {process}"), outcome, secret == 0 && all > 0);
    }
    let smaps = std::fs::read_to_string(format!("/proc/{keeper}/smaps")).expect("root may");
    let mut is_secret = false;
    let (mut mappings, mut kept, mut swapped) = (0, 0, 0);
    for line in smaps.lines() {
        let mut fields = line.split_whitespace();
        match fields.next() {
            // A mapping begins with its addresses.
            Some(first) if !first.ends_with(':') => is_secret = line.contains("secretmem"),
            Some("VmFlags:") if is_secret => {
                mappings += 1;
                let flags: Vec<_> = fields.collect();
                // dc: no child gets it. dd: no core holds it. lo: it is never swapped.
                kept += u32::from(["dc", "dd", "lo"].iter().all(|flag| flags.contains(flag)));
            }
            Some("Swap:") if is_secret => swapped += u32::from(fields.next() != Some("0")),
            _ => {}
        }
    }
    let outcome =
        format!("{kept} of {mappings} are kept from children, cores and swap; {swapped} are in swap");
    report.fact(
        "mappings of secret memory in the keeper",
        outcome,
        mappings > 0 && kept == mappings && swapped == 0,
    );
}
