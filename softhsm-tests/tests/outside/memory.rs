//! Memory: the front holds neither a secret nor a PIN at any time, and the keeper's shows none.

use strongroom_client::SignRequest;
use strongroom_softhsm_tests::process::{is_root_or_skip, memory_has};
use strongroom_softhsm_tests::room::{Key, Room};
use strongroom_softhsm_tests::seed::seed_of;

use crate::keys::{BINANCE, KUCOIN, account};

/// A PIN that cannot stand in memory by chance.
const PIN: &str = "pin-7c41e6b2-that-nothing-else-has";

#[test]
fn keeps_secrets_passphrases_pin_and_seeds_out_of_the_front() {
    if !is_root_or_skip("reading the memory of the agent") {
        return;
    }
    let mut room = Room::bare();
    let changed = room.token.pkcs11_tool(&["--change-pin", "--new-pin", PIN]);
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    room.token.pin = PIN.to_owned();
    let _ = room.init(&["--rung", "aes-cbc"]).ok();
    let agent = room.start_unlocked();
    // Enrolled through the agent, signed with, locked, unlocked again, and signed with again.
    for key in [&BINANCE, &KUCOIN] {
        let _ = room.enroll(key, &[]).ok();
    }
    let sign = || {
        for _ in 0..50 {
            let _ = room.client().sign(&account()).unwrap();
            let _ = room.client().sign(&SignRequest::new("kucoin-main", "GET", "/api/v1/accounts")).unwrap();
        }
    };
    sign();
    let refused = room.enroll(&Key { name: "short", secret: "too-short-a-secret-cb81", ..BINANCE }, &[]);
    assert_eq!(refused.code(), 3);
    room.client().lock().unwrap();
    let _ = room.unlock().ok();
    sign();

    let seed = seed_of(&room, "binance-main");
    let wanted: [&[u8]; 6] = [
        BINANCE.secret.as_bytes(),
        KUCOIN.secret.as_bytes(),
        KUCOIN.passphrase.unwrap().as_bytes(),
        b"too-short-a-secret-cb81",
        PIN.as_bytes(),
        &seed,
    ];
    assert_eq!(memory_has(agent.pid(), &wanted), [false; 6], "secrets, passphrase, refused, PIN, seed");
    let control: [&[u8]; 2] = [BINANCE.key_id.as_bytes(), KUCOIN.key_id.as_bytes()];
    assert_eq!(memory_has(agent.pid(), &control), [true; 2], "the control: public halves are there");

    let keeper = agent.children("strongroom-keeper")[0];
    assert_eq!(memory_has(keeper, &wanted), [false; 6], "the keeper's secrets are where root cannot read");
}

#[test]
fn leaves_no_secret_in_a_locked_agent() {
    if !is_root_or_skip("reading the memory of the agent") {
        return;
    }
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    let _ = room.run(&["lock"], None, &[]).ok();
    assert_eq!(agent.children("strongroom-keeper"), [0; 0]);
    assert_eq!(memory_has(agent.pid(), &[BINANCE.secret.as_bytes()]), [false]);
}
