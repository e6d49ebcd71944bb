//! What the engine takes from the heap for one request: a few buffers, and what it hands out.

#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    unsafe_code,
    reason = "a test may stop at the first surprise, and only the allocator itself can count"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use strongroom_link::key::Algorithm;
use strongroom_venues::{Account, Body, Moment, Param, Profile, Request, builtin, builtin_profiles};

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: the caller keeps what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps what `dealloc` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: the caller keeps what `realloc` asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const ORDER: [(&str, &str); 7] = [
    ("symbol", "BTCUSDT"),
    ("side", "BUY"),
    ("type", "LIMIT"),
    ("timeInForce", "GTC"),
    ("quantity", "0.00100000"),
    ("price", "61234.50"),
    ("newClientOrderId", "cli-1"),
];

/// How often an order takes memory while it is planned, canonicalised and finished, and how many headers
/// go out.
fn taken(profile: &Profile) -> Option<([usize; 3], usize)> {
    let pairs = ORDER.map(|(name, value)| (name, Param::Text(value))).to_vec();
    let body = Body::Form(pairs);
    let request = Request { method: "POST", path: "/api/v3/order", query: Vec::new(), body };
    let moment = Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 1_754_000_123_456, ..Moment::default() };
    let account =
        Account { key_id: "TEST0key1AAAAbbbbCCCCdddd", uid: None, base_url: "https://api.example.com" };
    let start = TAKEN.get();
    let plan = profile.plan(&request).ok()?;
    let planned = TAKEN.get();
    let canonical = plan.canonicalise(&account, &moment).ok()?;
    let canonicalised = TAKEN.get();
    let signed = canonical.finish(&[0x5a; 64], b"passphrase").expect("finished");
    let finished = TAKEN.get();
    let counts = [planned - start, canonicalised - planned, finished - canonicalised];
    Some((counts, signed.headers.len()))
}

#[test]
fn takes_a_few_buffers_and_what_it_hands_out() {
    let mut seen = 0;
    for (id, _) in builtin_profiles() {
        let profile = builtin(id).expect("shipped").expect("compiles");
        let hmac = [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512];
        // JWTs and forms that are sorted again behind the signature take more.
        let plain = !["bithumb", "lbank", "upbit", "upbit-hs512"].contains(id);
        // Which action rules the path fits is remembered from the first request on.
        taken(&profile);
        let Some(([planned, canonicalised, finished], headers)) = taken(&profile) else { continue };
        if !hmac.contains(&profile.key_spec().algorithm) || !plain {
            continue;
        }
        // The parameters; then the values, the message, the parameters as they go out, those of the agent's own,
        // and one buffer for the templates.
        assert!(planned <= 1, "{id}: {planned}");
        assert!(canonicalised <= 8, "{id}: {canonicalised}");
        // Name and value of each header, their list, method, URL and body; long values grow once.
        let handed_out = 2 * headers + 4;
        assert!(finished <= handed_out + 4, "{id}: {finished} for {handed_out}");
        seen += 1;
    }
    assert!(seen >= 25, "only {seen} venues took the order");
}

/// The control: the counter counts.
#[test]
fn notices_an_allocation() {
    let before = TAKEN.get();
    let text = std::hint::black_box(String::from("one"));
    assert_eq!(TAKEN.get() - before, 1, "{text}");
}
