//! What root finds in a keeper, idle and busy. Each search is run on something that must be found too.
//!
//! `STRONGROOM_LEAK_SAMPLES` sets the number of samples of each kind.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};
use strongroom_link::keeper::{ALLOW_WEAK_MEMORY, ToKeeper};

use crate::confine::{denying, is_root_or_skip};
use crate::dump::{Dump, Needles};
use crate::front::Keeper;
use crate::registers::Traced;
use crate::secrets::{cases, load_all, needles, sign_all, sign_one};

type Hits = BTreeMap<&'static str, usize>;

fn samples(few: u32) -> u32 {
    std::env::var("STRONGROOM_LEAK_SAMPLES").map_or(few, |count| count.parse().expect("a number"))
}

/// Counts the samples with a hit, by kind.
fn count(total: &mut Hits, hits: &Hits) {
    for kind in hits.keys() {
        *total.entry(*kind).or_insert(0) += 1;
    }
}

/// A keeper with all secrets, which has signed with each, and what must not be found in it.
fn busy_before(arguments: &[&str], change: impl FnOnce(&mut Command)) -> (Keeper, Needles) {
    let (mut keeper, _) = Keeper::try_start(arguments, change).expect("starts");
    load_all(&mut keeper);
    let signature = sign_all(&mut keeper);
    (keeper, needles(&signature))
}

/// Stops a process at whatever it does, as one who dumps it would.
fn stopped<R>(process: u32, look: impl FnOnce() -> R) -> R {
    let pid = Pid::from_raw(process.try_into().expect("a process id")).expect("not zero");
    rustix::process::kill_process(pid, Signal::STOP).expect("it runs");
    let is_stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 't']))
    };
    while !is_stopped() {
        thread::yield_now();
    }
    let seen = look();
    rustix::process::kill_process(pid, Signal::CONT).expect("it runs");
    seen
}

#[test]
fn shows_root_nothing_in_memory_when_idle() {
    if !is_root_or_skip() {
        return;
    }
    let (keeper, needles) = busy_before(&[], |_| {});
    let mut total = Hits::new();
    for _ in 0..samples(5) {
        let dump = Dump::of_memory(keeper.id()).expect("root may");
        assert!(dump.occurrences(b"symbol=LTCBTC") > 0, "the search does not find the message either");
        assert!(dump.unreadable >= strongroom_link::keeper::LOCKED_BYTES, "{}", dump.unreadable);
        count(&mut total, &needles.hits(&dump));
        let dump = Dump::by_process_vm_readv(keeper.id()).expect("root may");
        count(&mut total, &needles.hits(&dump));
    }
    assert_eq!(total, Hits::new());
}

#[test]
fn shows_root_nothing_in_memory_while_it_signs() {
    if !is_root_or_skip() {
        return;
    }
    let (mut keeper, needles) = busy_before(&[], |_| {});
    let process = keeper.id();
    let (samples, mut total, mut signatures) = (samples(50), Hits::new(), 0_u64);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (done, needles) = (&done, &needles);
        let sampling = scope.spawn(move || {
            let mut total = Hits::new();
            for sample in 0..samples {
                thread::sleep(Duration::from_micros(u64::from(sample * 7_919 % 4_001)));
                let dump = stopped(process, || Dump::of_memory(process).expect("root may"));
                count(&mut total, &needles.hits(&dump));
            }
            done.store(true, Relaxed);
            total
        });
        while !done.load(Relaxed) && !sampling.is_finished() {
            sign_all(&mut keeper);
            signatures += 6;
        }
        total = sampling.join().expect("samples");
    });
    assert!(signatures >= u64::from(samples), "it was not busy: {signatures} signatures");
    assert_eq!(total, Hits::new(), "of {samples}");
}

/// The control: the same program, the same secrets, the same search, and memory that root can read.
#[test]
fn would_be_found_out_in_ordinary_memory() {
    if !is_root_or_skip() {
        return;
    }
    let (keeper, needles) =
        busy_before(&[ALLOW_WEAK_MEMORY], |command| denying(command, libc::SYS_memfd_secret));
    let dump = Dump::of_memory(keeper.id()).expect("root may");
    assert_eq!(dump.unreadable, rustix::param::page_size(), "but for the page that this test shares with it");
    let hits = needles.hits(&dump);
    let found: Vec<_> = hits.keys().copied().collect();
    // Blocks and nonces are wiped with the buffers and the stack; what is kept must be there.
    assert_eq!(found, ["ed25519", "midstate-256", "midstate-512", "p256", "plain", "seed"], "{hits:?}");
}

/// The arena from inside: in ordinary memory it is laid out and wiped by the same code, and can be read.
#[test]
fn leaves_nothing_in_its_own_memory_when_it_forgets() {
    if !is_root_or_skip() {
        return;
    }
    let (mut keeper, needles) =
        busy_before(&[ALLOW_WEAK_MEMORY], |command| denying(command, libc::SYS_memfd_secret));
    let hits = |keeper: &Keeper| needles.hits(&Dump::of_memory(keeper.id()).expect("root may"));
    for (slot, _, _) in cases() {
        assert_ne!(hits(&keeper).get("plain"), None, "slot {slot}");
        assert_eq!(keeper.told(ToKeeper::Forget { job: 1 << 41, slot }), Ok(()));
    }
    assert_eq!(hits(&keeper).into_keys().collect::<Vec<_>>(), ["seed"], "one still waits for its job");
    assert_eq!(keeper.forget_all(), 0);
}

/// What is in the registers of a process that waits for its front, which shows in every core dump.
#[test]
fn leaves_nothing_in_the_registers_when_idle() {
    if !is_root_or_skip() {
        return;
    }
    let (mut keeper, needles) = busy_before(&[], |command| denying(command, libc::SYS_ptrace));
    let mut total = Hits::new();
    for sample in 0..samples(30) {
        sign_one(&mut keeper, sample % 6);
        // The answers are out before the keeper waits again.
        thread::sleep(Duration::from_millis(2));
        let registers =
            Traced::seize(keeper.id()).expect("nobody else traces it").registers().expect("stopped");
        assert!(registers.pieces.iter().map(Vec::len).sum::<usize>() > 500, "too few registers");
        count(&mut total, &needles.hits(&registers));
    }
    assert_eq!(total, Hits::new());
}

/// The control: a process with a secret in its registers.
#[test]
#[cfg(target_arch = "x86_64")]
fn would_be_found_out_in_a_register() {
    if !is_root_or_skip() {
        return;
    }
    let secret = b"one vector register holds this much of a secret, no more, no less";
    let mut needles = Needles::new();
    needles.add("plain", &secret[..16]);
    // SAFETY: the child executes nothing but the assembly, which needs nothing of this process.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: reads 16 bytes and then waits to be killed.
        unsafe {
            std::arch::asm!("movups xmm9, [{}]", "2: pause", "jmp 2b", in(reg) secret.as_ptr(), options(noreturn))
        }
    }
    thread::sleep(Duration::from_millis(50));
    let process = u32::try_from(child).expect("a child");
    let registers = Traced::seize(process).expect("a child").registers().expect("stopped");
    // SAFETY: ends the child.
    unsafe { libc::kill(child, libc::SIGKILL) };
    assert_eq!(needles.hits(&registers), Hits::from([("plain", 9)]));
}

#[test]
fn has_no_descriptor_from_which_the_memory_could_be_mapped() {
    if !is_root_or_skip() {
        return;
    }
    let stolen = |process: u32| {
        let pid = Pid::from_raw(process.try_into().expect("a process id")).expect("not zero");
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).expect("it runs");
        let fetched = (0..256).filter_map(|number| {
            rustix::process::pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()
        });
        let links = fetched.map(|file| {
            let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("open");
            link.to_string_lossy().into_owned()
        });
        links.collect::<Vec<_>>()
    };
    // SAFETY: makes a descriptor and nothing else.
    let mine = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    assert!(mine >= 0);
    assert!(stolen(std::process::id()).iter().any(|link| link.contains("secretmem")), "the control");
    let (keeper, _) = busy_before(&[], |_| {});
    let links = stolen(keeper.id());
    assert!(links.iter().any(|link| link.starts_with("socket:")), "{links:?}");
    assert!(!links.iter().any(|link| link.contains("secretmem")), "{links:?}");
}
