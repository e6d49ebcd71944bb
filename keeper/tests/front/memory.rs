//! Looking at a process from outside, as an attacker who is root for a moment does.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

/// How often each needle stands in the writable memory of a process.
pub(crate) fn occurrences<const N: usize>(process: u32, needles: [&[u8]; N]) -> io::Result<[usize; N]> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut found = [0; N];
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, rest) = line.split_once('-').expect("from-to");
        let (to, _) = rest.split_once(' ').expect("from-to and more");
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).expect("an address"));
        let mut bytes = vec![0; usize::try_from(to - from).expect("a length")];
        memory.read_exact_at(&mut bytes, from)?;
        for (found, needle) in found.iter_mut().zip(needles) {
            *found += bytes.windows(needle.len()).filter(|window| window == &needle).count();
        }
    }
    Ok(found)
}
