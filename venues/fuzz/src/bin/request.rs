//! Fuzzes a request to a shipped profile.

#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each program has one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = targets::request(data);
});
