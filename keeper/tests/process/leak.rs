//! What root finds in a keeper, idle and busy. Each search is run on something that must be found too.
//!
//! `STRONGROOM_LEAK_SAMPLES` sets the number of samples of each kind.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use strongroom_link::keeper::{ALLOW_WEAK_MEMORY, LOCKED_BYTES, ToKeeper};
use strongroom_scanner::chance::Chance;
use strongroom_scanner::descriptors::{is_secret_memory, stolen};
use strongroom_scanner::needles::{Hits, classes};
use strongroom_scanner::{Class, Dump, Needles, Traced, denying, secret_file};
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, sleeps, wait_until};

use crate::front::Keeper;
use crate::guard::signal;
use crate::secrets::{cases, load_all, needles, sign_all, sign_one};
use crate::slow::threads;

fn samples(few: u32) -> u32 {
    std::env::var("STRONGROOM_LEAK_SAMPLES").map_or(few, |count| count.parse().expect("a number"))
}

/// A keeper with all secrets, which has signed with each, and what must not be found in it.
fn busy_before(arguments: &[&str], change: impl FnOnce(&mut Command)) -> (Keeper, Needles) {
    let (mut keeper, _) = Keeper::try_start(arguments, change).expect("starts");
    load_all(&mut keeper);
    let signatures = sign_all(&mut keeper);
    (keeper, needles(&signatures))
}

#[test]
fn shows_root_nothing_in_memory_when_idle() {
    if !is_root_or_skip("looking into the keeper from outside") {
        return;
    }
    let (keeper, needles) = busy_before(&[], |_| {});
    let mut total = Hits::new();
    for _ in 0..samples(5) {
        let dump = Dump::of_memory(keeper.id()).expect("root may");
        assert!(dump.shows(b"symbol=LTCBTC"), "the search does not find the message either");
        assert!(dump.unreadable >= bytes(LOCKED_BYTES), "{}", dump.unreadable);
        total.extend(needles.hits(&dump));
        let dump = Dump::by_process_vm_readv(keeper.id()).expect("root may");
        total.extend(needles.hits(&dump));
    }
    assert_eq!(total, Hits::new());
}

#[test]
fn shows_root_nothing_in_memory_while_it_signs() {
    if !is_root_or_skip("looking into the keeper from outside") {
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
            let mut chance = Chance::new();
            for _ in 0..samples {
                chance.sleep(Duration::from_millis(4));
                total.extend(needles.hits(&Dump::of_memory(process).expect("root may")));
            }
            done.store(true, Relaxed);
            total
        });
        while !done.load(Relaxed) && !sampling.is_finished() {
            sign_all(&mut keeper);
            signatures += 8;
        }
        total = sampling.join().expect("samples");
    });
    assert!(signatures >= u64::from(samples), "it was not busy: {signatures} signatures");
    assert_eq!(total, Hits::new(), "of {samples}");
}

/// The control: the same program, the same secrets, the same search, and memory that root can read.
#[test]
fn would_be_found_out_in_ordinary_memory() {
    if !is_root_or_skip("looking into the keeper from outside") {
        return;
    }
    let (keeper, needles) =
        busy_before(&[ALLOW_WEAK_MEMORY], |command| denying(command, libc::SYS_memfd_secret));
    let dump = Dump::of_memory(keeper.id()).expect("root may");
    let page = bytes(rustix::param::page_size());
    assert_eq!(dump.unreadable, page, "but for the page that this test shares with it");
    let hits = needles.hits(&dump);
    // The nonces are wiped with the stack; what is kept must be there.
    assert_eq!(classes(&hits), [Class::Plain, Class::KeyEquivalent, Class::Seed], "{hits:?}");
    for kept in ["hmac", "ed25519", "p256", "hashed", "rsa", "wallet", "record"] {
        assert!(hits.keys().any(|(needle, _)| needle.of == kept), "{kept}: {hits:?}");
    }
}

/// The arena from inside: in ordinary memory it is laid out and wiped by the same code, and can be read.
#[test]
fn leaves_nothing_in_its_own_memory_when_it_forgets() {
    if !is_root_or_skip("looking into the keeper from outside") {
        return;
    }
    let (mut keeper, needles) =
        busy_before(&[ALLOW_WEAK_MEMORY], |command| denying(command, libc::SYS_memfd_secret));
    let found = |keeper: &Keeper| classes(&needles.hits(&Dump::of_memory(keeper.id()).expect("root may")));
    for (slot, _, _) in cases() {
        assert!(found(&keeper).contains(&Class::Plain), "slot {slot}");
        assert_eq!(keeper.told(ToKeeper::Forget { job: 1 << 41, slot }), Ok(()));
    }
    assert_eq!(found(&keeper), [Class::Seed], "one still waits for its job");
    assert_eq!(keeper.forget_all(), 0);
}

/// What is in the registers of a process that waits for its front, which shows in every core dump.
#[test]
fn leaves_nothing_in_the_registers_when_idle() {
    if !is_root_or_skip("looking into the keeper from outside") {
        return;
    }
    let (mut keeper, needles) = busy_before(&[], |command| denying(command, libc::SYS_ptrace));
    let mut total = Hits::new();
    for sample in 0..samples(30) {
        sign_one(&mut keeper, sample % 8);
        // The answers are out before the keeper waits again.
        wait_until("the keeper waits", SOON, || sleeps(keeper.id()));
        for thread in threads(&keeper) {
            let registers =
                Traced::seize(thread).expect("nobody else traces it").registers().expect("stopped");
            assert!(registers.bytes() > 500, "too few registers");
            total.extend(needles.hits(&registers));
        }
    }
    assert_eq!(total, Hits::new());
}

/// The control: a process with a secret in its registers.
#[test]
#[cfg(target_arch = "x86_64")]
fn would_be_found_out_in_a_register() {
    if !is_root_or_skip("looking into the keeper from outside") {
        return;
    }
    let secret = b"one register of ";
    let mut needles = Needles::new();
    needles.add(Class::Plain, "register", "as it is", secret);
    let child = strongroom_scanner::fork_with_a_secret_in_a_register(secret);
    let mut hits = Vec::new();
    wait_until("its register is loaded", SOON, || {
        let registers = Traced::seize(child).expect("a child").registers().expect("stopped");
        hits = needles.hits(&registers).into_values().collect();
        !hits.is_empty()
    });
    signal(child, Signal::KILL);
    assert_eq!(hits, [9]);
}

#[test]
fn has_no_descriptor_from_which_the_memory_could_be_mapped() {
    if !is_root_or_skip("looking into the keeper from outside") {
        return;
    }
    let links = |process| -> Vec<String> { stolen(process).into_iter().map(|(_, _, what)| what).collect() };
    let mine = secret_file().expect("this kernel has secret memory");
    assert!(links(std::process::id()).iter().any(|what| is_secret_memory(what)), "the control");
    drop(mine);
    let (keeper, _) = busy_before(&[], |_| {});
    let links = links(keeper.id());
    assert!(links.iter().any(|link| link.starts_with("socket:")), "{links:?}");
    assert!(!links.iter().any(|link| is_secret_memory(link)), "{links:?}");
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).expect("a length")
}
