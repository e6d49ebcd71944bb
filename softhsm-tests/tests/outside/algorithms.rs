//! Private keys of each kind through the whole road, checked by OpenSSL, and signatures that take long beside others.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::Shutdown;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use rustix::process::Signal;
use strongroom_client::{SignRequest, SignedRequest};
use strongroom_protocol::{Body, Operation, Sign};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::{Agent, Key, Room, program, signal};

use crate::keys::{BINANCE, account, header};

fn pem(name: &str) -> String {
    let path = format!("{}/../keeper/tests/pem/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn enroll(room: &Room, name: &str, venue: &str, secret: &str) {
    let key = Key { name, venue, key_id: "K", secret, passphrase: None };
    let _ = room.enroll(&key, &[]).ok();
}

/// What OpenSSL says of a signature: `how` is the command without its files.
fn openssl_verifies(folder: &Path, how: &[&str], private: &str, message: &[u8], signature: &[u8]) -> bool {
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (private, public) = (file("private.pem", private.as_bytes()), folder.join("public.pem"));
    let mut make = Command::new("openssl");
    make.args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public);
    assert!(make.status().unwrap().success());
    let (message, signature) = (file("message", message), file("signature", signature));
    let mut verify = Command::new("openssl");
    if how == ["dgst"] {
        verify
            .args(["dgst", "-sha256", "-verify"])
            .arg(&public)
            .arg("-signature")
            .arg(&signature)
            .arg(&message);
    } else {
        verify.args(["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey"]).arg(&public);
        verify.arg("-sigfile").arg(&signature).arg("-in").arg(&message);
    }
    verify.output().unwrap().status.success()
}

/// The signed text of a request to Binance, and its signature.
fn binance_parts(signed: &SignedRequest) -> (String, Vec<u8>) {
    let (_, query) = signed.url.split_once('?').unwrap();
    let (message, signature) = query.split_once("&signature=").unwrap();
    let signature = signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    (message.to_owned(), Base64::decode_vec(&signature).unwrap())
}

#[test]
fn signs_with_private_keys_in_every_form_what_openssl_verifies() {
    let room = Room::new();
    let _agent = room.start_unlocked();
    for (name, venue, how) in [
        ("rsa2048-pkcs1", "binance-rsa", "dgst"),
        ("rsa2048-pkcs8", "binance-rsa", "dgst"),
        ("rsa3072-pkcs1", "binance-rsa", "dgst"),
        ("rsa3072-pkcs8", "binance-rsa", "dgst"),
        ("rsa4096-pkcs1", "binance-rsa", "dgst"),
        ("rsa4096-pkcs8", "binance-rsa", "dgst"),
        ("ed25519-pkcs8", "binance-ed25519", "pkeyutl"),
    ] {
        enroll(&room, name, venue, &pem(name));
        let signed = room.client().sign(&SignRequest::new(name, "GET", "/api/v3/account")).unwrap();
        let (message, signature) = binance_parts(&signed);
        let holds = |message: &str| {
            openssl_verifies(room.folder(), &[how], &pem(name), message.as_bytes(), &signature)
        };
        assert!(holds(&message), "{name}");
        assert!(!holds(&message.replacen("recvWindow=1", "recvWindow=2", 1)), "the control, {name}");
    }
}

#[test]
fn signs_with_a_seed_in_base64_alone_and_with_its_public_half() {
    let room = Room::new();
    let _agent = room.start_unlocked();
    let text: String = pem("ed25519-pkcs8").lines().filter(|line| !line.starts_with('-')).collect();
    let seed = Base64::decode_vec(&text).unwrap()[16..48].to_vec();
    let public =
        ed25519_dalek::SigningKey::from_bytes(seed.first_chunk().unwrap()).verifying_key().to_bytes();
    for (name, bytes) in [("seed", seed.clone()), ("both", [seed.as_slice(), &public].concat())] {
        enroll(&room, name, "coinbase-eddsa", &Base64::encode_string(&bytes));
        let order = SignRequest::new(name, "GET", "/platform/v2/evm/accounts");
        let signed = room.client().sign(&order).unwrap();
        let token = header(&signed.headers, "Authorization").strip_prefix("Bearer ").unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
        let holds = |message: &[u8]| {
            openssl_verifies(room.folder(), &["pkeyutl"], &pem("ed25519-pkcs8"), message, &signature)
        };
        assert!(holds(message.as_bytes()), "{name}");
        assert!(!holds(b"another"), "the control, {name}");
    }
}

/// So many ask for RSA signatures at a time.
const CROWD: u64 = 32;

/// An agent with a slow key and a quick one, and a crowd that asks for slow signatures while `meanwhile` runs. Gives
/// how many were made, and the last refusal of each of the crowd, which is waited for where all are to be refused.
fn beside_a_crowd(room: &Room, all_refused: bool, meanwhile: impl FnOnce(&AtomicU64)) -> (u64, Vec<String>) {
    let (made, refused, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (made, refused, done) = (&made, &refused, &done);
        let crowd: Vec<_> = (0..CROWD)
            .map(|_| {
                let client = room.client();
                scope.spawn(move || {
                    while !done.load(Relaxed) {
                        match client.sign(&SignRequest::new("slow", "GET", "/api/v3/account")) {
                            Ok(_) => made.fetch_add(1, Relaxed),
                            Err(error) => {
                                refused.fetch_add(1, Relaxed);
                                return error.to_string();
                            }
                        };
                    }
                    String::new()
                })
            })
            .collect();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("the crowd is served", SOON, || made.load(Relaxed) > CROWD);
            meanwhile(made);
            if all_refused {
                wait_until("all are refused", SOON, || refused.load(Relaxed) == CROWD);
            }
        }));
        done.store(true, Relaxed);
        let refused = crowd.into_iter().map(|one| one.join().unwrap()).collect();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        (made.load(Relaxed), refused)
    })
}

/// An agent whose processes share one processor: however busy that is, the signatures that take long get no more of it
/// than who answers all else.
fn with_both_keys() -> (Room, Agent) {
    let room = Room::new();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let last = allowed.trim().rsplit([',', '-']).next().unwrap();
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", last]).arg(program("strongroom")).arg("agent");
    let agent = room.start_command(command);
    let _ = room.unlock().ok();
    enroll(&room, "slow", "binance-rsa", &pem("rsa4096-pkcs1"));
    let _ = room.enroll(&BINANCE, &[]).ok();
    (room, agent)
}

/// In the order of the questions each HMAC would come behind the RSA signatures of the whole crowd. How many of these
/// are made in the meantime does not depend on how fast the machine is.
#[test]
fn answers_hmacs_past_a_crowd_that_asks_for_rsa_signatures() {
    const HMACS: u64 = 100;
    let (room, _agent) = with_both_keys();
    let mut past = 0;
    let (_, refused) = beside_a_crowd(&room, false, |made| {
        let before = made.load(Relaxed);
        let client = room.client();
        for _ in 0..HMACS {
            let _ = client.sign(&account()).unwrap();
        }
        past = made.load(Relaxed) - before;
    });
    assert!(refused.iter().all(String::is_empty), "{refused:?}");
    assert!(past < HMACS * CROWD / 2, "{past} RSA signatures were made before {HMACS} HMACs");
}

/// The flood is read no faster than its signatures are made, so none of it is refused either. HMACs are asked for
/// meanwhile, since an HMAC's answer is what goes past those who wait for RSA.
#[test]
fn signs_for_one_rsa_key_while_another_is_flooded_and_refuses_neither() {
    let (room, _agent) = with_both_keys();
    enroll(&room, "other", "binance-rsa", &pem("rsa2048-pkcs1"));
    let mut peer = Raw::connect(&room.socket());
    let (mut writer, flooded) = (peer.stream.try_clone().unwrap(), peer.stream.try_clone().unwrap());
    let (heard, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (heard, done) = (&heard, &done);
        // Until this test ends it: however late the others are, the flood is not over before.
        scope.spawn(move || {
            for id in 1.. {
                let path = "/api/v3/account";
                let slow =
                    Sign { credential: "slow", method: "GET", path, query: Vec::new(), body: Body::Empty };
                if writer.write_all(&frame(id, Operation::Sign(slow))).is_err() {
                    return;
                }
            }
        });
        let flood = scope.spawn(move || {
            let mut ids = BTreeSet::new();
            loop {
                match peer.hear(SOON) {
                    Heard::Good(id) => assert!(ids.insert(id)),
                    _ if done.load(Relaxed) => return,
                    other => panic!("{other:?} after {}", ids.len()),
                }
                heard.fetch_add(1, Relaxed);
            }
        });
        let client = room.client();
        scope.spawn(move || {
            while !done.load(Relaxed) {
                let _ = client.sign(&account()).unwrap();
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("the flood is served", SOON, || heard.load(Relaxed) > 0);
            for _ in 0..20 {
                let _ = room.client().sign(&SignRequest::new("other", "GET", "/api/v3/account")).unwrap();
            }
        }));
        done.store(true, Relaxed);
        flooded.shutdown(Shutdown::Both).unwrap();
        flood.join().unwrap();
        outcome.unwrap();
    });
}

#[test]
fn locks_while_rsa_signatures_are_made_and_signs_again_after() {
    let (room, agent) = with_both_keys();
    let (_, refused) = beside_a_crowd(&room, true, |_| {
        let _ = room.run(&["lock"], None, &[]).ok();
    });
    assert!(refused.iter().all(|refusal| !refusal.is_empty()), "each is told: {refused:?}");
    let log = agent.log();
    assert!(log.contains("the keeper has wiped its memory and found nothing left"), "{log}");
    assert_eq!(room.client().status().unwrap().keeper_pid, None);
    let _ = room.unlock().ok();
    let _ = room.client().sign(&SignRequest::new("slow", "GET", "/api/v3/account")).unwrap();
}

#[test]
fn tells_everybody_when_the_keeper_is_killed_while_it_makes_rsa_signatures() {
    let (room, _agent) = with_both_keys();
    let (_, refused) = beside_a_crowd(&room, true, |_| {
        signal(room.client().status().unwrap().keeper_pid.unwrap(), Signal::KILL);
    });
    assert!(refused.iter().all(|refusal| !refusal.is_empty()), "each is told: {refused:?}");
    let gone = || room.client().status().is_ok_and(|status| status.keeper_pid.is_none());
    wait_until("the agent is locked", SOON, gone);
    let _ = room.unlock().ok();
    let _ = room.client().sign(&SignRequest::new("slow", "GET", "/api/v3/account")).unwrap();
}
