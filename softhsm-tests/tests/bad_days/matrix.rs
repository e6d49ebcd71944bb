//! Every fault at every call: from the log of a run without faults.

use std::collections::BTreeMap;

use strongroom_softhsm_tests::mock::Fault;

/// Codes that any function may give at any call.
const CODES: &[&str] = &["CKR_DEVICE_REMOVED", "CKR_GENERAL_ERROR"];

/// Codes that are tried at the first and the last call of each function.
const MORE_CODES: &[&str] = &[
    "CKR_BUFFER_TOO_SMALL",
    "CKR_CRYPTOKI_ALREADY_INITIALIZED",
    "CKR_CRYPTOKI_NOT_INITIALIZED",
    "CKR_DEVICE_ERROR",
    "CKR_FUNCTION_FAILED",
    "CKR_HOST_MEMORY",
    "CKR_OBJECT_HANDLE_INVALID",
    "CKR_OPERATION_ACTIVE",
    "CKR_SESSION_HANDLE_INVALID",
    "CKR_TOKEN_NOT_PRESENT",
    "CKR_USER_NOT_LOGGED_IN",
    "0x80000001",
];

/// What may happen at any call.
const ACTS: &[&str] = &["crash", "exit", "kill_session", "remove"];

/// Answers that are wrong, by the function that gives them.
const ANSWERS: &[(&str, &[&str])] = &[
    ("C_Decrypt", &["flip", "long_length", "short_buffer", "short_length"]),
    ("C_Encrypt", &["flip", "long_length", "short_buffer", "short_length"]),
    ("C_FindObjects", &["long_length", "short_length"]),
    (
        "C_GetAttributeValue",
        &["extractable", "gives_value", "long_length", "not_sensitive", "short_buffer", "short_length"],
    ),
    ("C_GetSlotList", &["long_length"]),
    ("C_GetTokenInfo", &["other_serial"]),
];

/// Slots that never fit: `cryptoki` asks for ever, as the standard's example does.
const ENDLESS: &[(&str, &str)] = &[("C_GetSlotList", "short_buffer"), ("C_GetSlotList", "short_length")];

/// How often each function was called.
fn counted(calls: &[String]) -> BTreeMap<&str, u32> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.as_str()).or_default() += 1;
    }
    counts
}

/// Every fault that ends by itself, at every call of that run.
pub(crate) fn faults(calls: &[String]) -> Vec<Fault> {
    let mut all = Vec::new();
    for (call, count) in counted(calls) {
        for nth in 1..=count {
            all.extend(CODES.iter().map(|code| Fault::code(call, nth, code)));
            all.extend(ACTS.iter().map(|act| Fault::new(call, nth, act)));
        }
        for nth in ends(count) {
            all.extend(MORE_CODES.iter().map(|code| Fault::code(call, nth, code)));
            all.push(Fault::code(call, nth, "CKR_DEVICE_ERROR").after());
            all.push(Fault::new(call, nth, "crash").after());
            all.push(Fault::new(call, nth, "slow"));
        }
        // Not only once, but at every call.
        all.push(Fault::code(call, 0, "CKR_DEVICE_ERROR"));
        for (_, acts) in ANSWERS.iter().filter(|(of, _)| *of == call) {
            for act in *acts {
                all.extend((0..=count).map(|nth| Fault::new(call, nth, act)));
            }
        }
        for (_, act) in ENDLESS.iter().filter(|(of, _)| *of == call) {
            all.extend((1..=count).map(|nth| Fault::new(call, nth, act)));
        }
    }
    all
}

/// What never ends by itself: the first and the last call of each function, and endless games.
pub(crate) fn hangs(calls: &[String]) -> Vec<Fault> {
    let counts = counted(calls);
    let hang = |(call, count)| ends(count).map(move |nth| Fault::new(call, nth, "hang"));
    let hangs = counts.into_iter().flat_map(hang);
    hangs.chain(ENDLESS.iter().map(|(call, act)| Fault::new(call, 0, act))).collect()
}

fn ends(count: u32) -> impl Iterator<Item = u32> {
    [1, count].into_iter().take(if count > 1 { 2 } else { 1 })
}
