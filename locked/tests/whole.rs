//! One allocator for a whole process, before it has its arena and after.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may")]
#![expect(unsafe_code, reason = "pointers are what it is about; the test obeys the contract")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "as above, for all of them")]

use std::alloc::{GlobalAlloc as _, System};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::ptr;

use proptest::prelude::*;
use strongroom_locked::memory::whole::{self, Who};
use strongroom_locked::memory::{Memory, MemoryError, Sizes, WeakMemory};

/// Whether the mapping of an address is secret memory.
fn is_secret(block: *mut u8) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let has = |line: &&str| {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| usize::from_str_radix(address, 16).unwrap());
        (from..to).contains(&block.addr())
    };
    maps.lines().find(has).is_some_and(|line| line.contains("secretmem"))
}

fn content<'a>(block: *mut u8, bytes: usize) -> &'a mut [u8] {
    unsafe { std::slice::from_raw_parts_mut(block, bytes) }
}

fn resized(block: *mut u8, bytes: usize) -> *mut u8 {
    unsafe { whole::resize(block, bytes, 16, Who::Foreign) }
}

fn usable(block: *mut u8) -> usize {
    unsafe { whole::length(block) }
}

#[test]
fn serves_a_process_from_its_first_moment_and_from_secret_memory_when_there_is_some() {
    let early = whole::allocate(100, 16, Who::Foreign);
    assert!(!early.is_null() && !is_secret(early));
    content(early, 100).fill(7);

    let sizes = Sizes { stack: 64 * 1024, shallow: 64 * 1024, aside: 0, heap: 1024 * 1024 };
    let _memory = Memory::map_for_all(sizes, WeakMemory::Refused).unwrap();
    assert_eq!(content(early, 100), [7; 100], "what there was stays");
    let moved = resized(early, 5000);
    assert!(is_secret(moved), "and moves when it grows");
    assert_eq!(content(moved, 100), [7; 100]);
    unsafe { whole::free(moved) };

    random_steps();

    // All of it, and then the reserve, which only Rust code gets.
    assert!(!whole::was_full());
    let mut held = Vec::new();
    loop {
        let block = whole::allocate(4000, 16, Who::Foreign);
        if block.is_null() {
            break;
        }
        assert!(is_secret(block));
        held.push(block);
    }
    assert!(whole::was_full());
    assert!(held.len() > 200, "{}", held.len());
    whole::forget_full();
    let reserved = whole::allocate(4000, 16, Who::Us);
    assert!(!whole::was_full(), "our own code has its reserve");
    assert!(is_secret(reserved));
    let kept = held.pop().unwrap();
    content(kept, 4000).fill(9);
    assert!(resized(kept, 8000).is_null(), "there is no room to grow");
    assert_eq!(content(kept, 4000), [9; 4000], "and nothing is lost");
    for block in held.into_iter().chain([reserved, kept]) {
        unsafe { whole::free(block) };
    }

    // Many small blocks that were freed make room for a large one.
    let small: Vec<_> = std::iter::repeat_with(|| whole::allocate(48, 16, Who::Foreign))
        .take_while(|block| !block.is_null())
        .collect();
    for block in small {
        unsafe { whole::free(block) };
    }
    let large = whole::allocate(512 * 1024, 16, Who::Foreign);
    assert!(is_secret(large));
    assert!(content(large, 512 * 1024).iter().all(|byte| *byte == 0));

    // What is not from here is left alone.
    let elsewhere = unsafe { System.alloc(std::alloc::Layout::new::<u64>()) };
    unsafe {
        whole::free(elsewhere);
        whole::free(ptr::null_mut());
        System.dealloc(elsewhere, std::alloc::Layout::new::<u64>());
    }
    assert_eq!(usable(elsewhere), 0);
    for absurd in [usize::MAX, usize::MAX / 2, isize::MAX.unsigned_abs()] {
        assert!(whole::allocate(absurd, 16, Who::Us).is_null());
    }
}

#[test]
fn refuses_a_heap_that_is_no_longer_than_its_reserve() {
    for heap in [0, 64 * 1024, 128 * 1024] {
        let sizes = Sizes { stack: 64 * 1024, shallow: 64 * 1024, aside: 0, heap };
        let refused = Memory::map_for_all(sizes, WeakMemory::Refused).err().unwrap();
        assert!(matches!(refused, MemoryError::TooSmall { bytes, .. } if bytes == heap), "{refused}");
    }
}

/// Which misuse the child is to do.
const MISUSE: &str = "STRONGROOM_TEST_MISUSE";

#[test]
fn ends_the_process_at_a_free_of_what_is_no_block() {
    if let Ok(misuse) = std::env::var(MISUSE) {
        return do_misuse(&misuse);
    }
    let ended = |misuse: String| -> ExitStatus {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "ends_the_process_at_a_free_of_what_is_no_block"]);
        child.env(MISUSE, misuse).output().unwrap().status
    };
    for place in ["early", "arena"] {
        for bytes in ["24", "1000", "5000"] {
            let aborts = |how: &str| {
                let status = ended(format!("{place} {bytes} {how}"));
                assert_eq!(status.signal(), Some(6 /* SIGABRT */), "{place}, {bytes} bytes, {how}: {status}");
            };
            ["twice", "twice-others-freed", "resized-after", "inside", "odd"].into_iter().for_each(aborts);
            let status = ended(format!("{place} {bytes} once"));
            assert!(status.success(), "the control: {place}, {bytes} bytes: {status}");
        }
    }
}

fn do_misuse(misuse: &str) {
    let words: Vec<_> = misuse.split(' ').collect();
    let [place, bytes, how] = words.try_into().unwrap();
    let sizes = Sizes { stack: 64 * 1024, shallow: 64 * 1024, aside: 0, heap: 1024 * 1024 };
    let _memory = (place == "arena").then(|| Memory::map_for_all(sizes, WeakMemory::Refused).unwrap());
    let bytes: usize = bytes.parse().unwrap();
    let [other, block, _kept] = [(); 3].map(|()| whole::allocate(bytes, 16, Who::Foreign));
    assert_eq!(is_secret(block), place == "arena");
    content(block, bytes).fill(0xA5);
    unsafe {
        match how {
            "once" => whole::free(block),
            "twice" => [block, block].into_iter().for_each(|block| whole::free(block)),
            "twice-others-freed" => [other, block, block].into_iter().for_each(|block| whole::free(block)),
            "resized-after" => {
                whole::free(block);
                let _aborted = resized(block, 2 * bytes);
            }
            "inside" => whole::free(block.add(16)),
            _ => whole::free(block.add(1)),
        }
    }
}

/// Blocks are aligned, zero when they come, apart from each other, and keep what is in them.
fn random_steps() {
    let steps = prop::collection::vec((any::<prop::sample::Index>(), 0..3000_usize, 0..13_u32), 1..300);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps)| {
        let mut held: Vec<(*mut u8, usize, u8)> = Vec::new();
        for (step, (which, bytes, align)) in steps.into_iter().enumerate() {
            let mark = u8::try_from(step % 250).unwrap() | 1;
            if bytes % 3 == 0 && !held.is_empty() {
                let (block, length, mark) = held.swap_remove(which.index(held.len()));
                prop_assert!(content(block, length).iter().all(|byte| *byte == mark));
                if bytes % 2 == 0 {
                    unsafe { whole::free(block) };
                } else {
                    let block = resized(block, bytes);
                    prop_assert!(!block.is_null() && usable(block) >= bytes);
                    prop_assert!(content(block, length.min(bytes)).iter().all(|byte| *byte == mark));
                    content(block, bytes).fill(mark);
                    held.push((block, bytes, mark));
                }
                continue;
            }
            let block = whole::allocate(bytes, 1 << align, Who::Foreign);
            if block.is_null() {
                continue;
            }
            prop_assert_eq!(block.addr() % (1 << align), 0);
            prop_assert_eq!(block.addr() % 16, 0);
            prop_assert!(usable(block) >= bytes);
            prop_assert!(content(block, usable(block)).iter().all(|byte| *byte == 0));
            content(block, bytes).fill(mark);
            held.push((block, bytes, mark));
        }
        for (block, length, mark) in held {
            prop_assert!(content(block, length).iter().all(|byte| *byte == mark));
            unsafe { whole::free(block) };
        }
    });
}
