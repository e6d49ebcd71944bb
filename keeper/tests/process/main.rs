//! The real binary, driven as the front drives it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]
#![expect(unsafe_code, reason = "tracing and filtering another process are raw system calls")]

mod capacity;
mod confine;
mod domains;
mod front;
mod guard;
mod leak;
mod reseal;
mod secrets;
mod slow;

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use p256::ecdsa::signature::Verifier as _;
use strongroom_keeper::key::SigningKey;
use strongroom_keeper::keyring::LIMIT;
use strongroom_link::keeper::{Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, KeySpec, PassphraseUse, SecretForm};
use strongroom_link::seed;

use front::{Answer, BINARY, CONTEXT, Keeper, Port, SECRET, SPEC, open_pipe, piped, record_seed, worker};

/// What this secret signs, computed without the process.
fn expected(spec: &KeySpec, secret: &str, message: &[u8]) -> Vec<u8> {
    let key = SigningKey::parse(spec, secret.as_bytes(), None).expect("a secret");
    let mut out = Vec::new();
    key.sign(message, None, &mut out).expect("signs");
    out
}

/// A keeper that holds [`SECRET`] in slot 0, its envelope, and its seed port.
fn loaded() -> (Keeper, Port, Vec<u8>) {
    let mut keeper = Keeper::start();
    let mut port = keeper.open_seed_port();
    let envelope = keeper.seal(&mut port, SPEC, piped(SECRET.as_bytes()), None).expect("seals");
    keeper.load(&mut port, 0, SPEC, &envelope).expect("loads");
    (keeper, port, envelope)
}

#[test]
fn signs_with_a_secret_that_it_sealed_and_loaded() {
    let (mut keeper, _port, envelope) = loaded();
    let (signature, passphrase) = keeper.sign(0, b"symbol=LTCBTC").expect("signs");
    assert_eq!(signature, expected(&SPEC, SECRET, b"symbol=LTCBTC"));
    assert_eq!(passphrase, b"");
    let shown = envelope.windows(8).any(|window| window == &SECRET.as_bytes()[..8]);
    assert!(!shown, "the envelope shows the secret");
}

#[test]
fn derives_the_same_key_from_a_seed_and_a_context_each_time() {
    let (seed, other) = (record_seed(), seed::Seed::new([9; 32]));
    let mut publics = Vec::new();
    for _ in 0..2 {
        let mut keeper = Keeper::start();
        let mut port = keeper.open_seed_port();
        let public = keeper.derive(&mut port, &seed, 3, b"checkpoints").expect("derives");
        let (signature, _) = keeper.sign(3, b"m").expect("signs");
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public).expect("a key");
        let signature = ed25519_dalek::Signature::from_slice(&signature).expect("64 bytes");
        key.verify_strict(b"m", &signature).expect("its signature");
        assert_eq!(keeper.derive(&mut port, &seed, 3, b"checkpoints"), Err(Refusal::SlotTaken));
        assert_ne!(keeper.derive(&mut port, &seed, 4, b"another use"), Ok(public));
        assert_ne!(keeper.derive(&mut port, &other, 5, b"checkpoints"), Ok(public));
        let job = keeper.next_job();
        assert_eq!(keeper.told(ToKeeper::Derive { job, slot: 6, context: b"" }), Err(Refusal::SeedMissing));
        publics.push(public);
    }
    assert_eq!(publics[0], publics[1]);
}

#[test]
fn opens_in_a_new_process_what_an_older_one_sealed() {
    let (keeper, _port, envelope) = loaded();
    assert!(keeper.hang_up().status.success());
    let mut keeper = Keeper::start();
    let mut port = keeper.open_seed_port();
    keeper.load(&mut port, 9_999, SPEC, &envelope).expect("loads");
    assert_eq!(keeper.sign(9_999, b"m").expect("signs").0, expected(&SPEC, SECRET, b"m"));
}

#[test]
fn signs_with_every_algorithm_and_releases_the_passphrase_as_enrolled() {
    let mut keeper = Keeper::start();
    let mut port = keeper.open_seed_port();
    let pem = |algorithm| KeySpec { algorithm, form: SecretForm::Pem, max_bytes: 1024, ..SPEC };
    let p256 = include_str!("../pem/p256-sec1.pem");
    let ed25519 = include_str!("../pem/ed25519-pkcs8.pem");
    let cases = [
        (SPEC, SECRET),
        (KeySpec { algorithm: Algorithm::HmacSha384, ..SPEC }, SECRET),
        (KeySpec { algorithm: Algorithm::HmacSha512, form: SecretForm::Base64, ..SPEC }, SECRET),
        (pem(Algorithm::Ed25519), ed25519),
        (KeySpec { max_bytes: 4096, ..pem(Algorithm::RsaSha256) }, secrets::RSA),
    ];
    for (slot, (spec, secret)) in (0..).zip(cases) {
        let envelope = keeper.seal(&mut port, spec, piped(secret.as_bytes()), None).expect("seals");
        keeper.load(&mut port, slot, spec, &envelope).expect("loads");
        assert_eq!(keeper.sign(slot, b"m").expect("signs").0, expected(&spec, secret, b"m"), "{spec:?}");
    }
    // Each signature of this one has another nonce.
    let es256 = pem(Algorithm::Es256);
    let envelope = keeper.seal(&mut port, es256, piped(p256.as_bytes()), None).expect("seals");
    keeper.load(&mut port, 99, es256, &envelope).expect("loads");
    let key = p256::SecretKey::from_sec1_pem(p256).expect("a key");
    let signed =
        p256::ecdsa::Signature::from_slice(&keeper.sign(99, b"m").expect("signs").0).expect("r and s");
    p256::ecdsa::VerifyingKey::from(key.public_key()).verify(b"m", &signed).expect("verifies");
    let plain = KeySpec { passphrase: PassphraseUse::Plain, ..SPEC };
    let secret = piped(b"secret\n");
    let envelope = keeper.seal(&mut port, plain, secret, Some(piped(b"phrase\r\n"))).expect("seals");
    keeper.load(&mut port, 100, plain, &envelope).expect("loads");
    assert_eq!(keeper.sign(100, b"m").expect("signs"), (expected(&SPEC, "secret", b"m"), b"phrase".to_vec()));
}

#[test]
fn answers_a_thousand_pipelined_questions_in_order() {
    let (mut keeper, _port, _) = loaded();
    let mut questions = Vec::new();
    for job in 1_000..2_000_u64 {
        // Every seventh question is for an empty slot: refusals keep their place too.
        let slot = u32::from(job % 7 == 0);
        let message = job.to_le_bytes();
        ToKeeper::Sign { job, slot, secret_at: None, message: &message }.encode(&mut questions);
    }
    keeper.send(&questions);
    for job in 1_000..2_000_u64 {
        match keeper.answer() {
            Answer::Refused(answered, Refusal::SlotEmpty) if job % 7 == 0 => assert_eq!(answered, job),
            Answer::Signature(answered, signature, _) if job % 7 != 0 => {
                assert_eq!(answered, job);
                assert_eq!(signature, expected(&SPEC, SECRET, &job.to_le_bytes()));
            }
            other => panic!("{job}: {other:?}"),
        }
    }
}

#[test]
fn answers_what_one_read_brings_with_one_send() {
    let (mut keeper, _port, _) = loaded();
    let mut questions = Vec::new();
    for job in 0..100 {
        ToKeeper::Sign { job, slot: 0, secret_at: None, message: b"m" }.encode(&mut questions);
    }
    keeper.send(&questions);
    keeper.receive();
    let answers = std::iter::from_fn(|| keeper.arrived()).count();
    assert_eq!(answers, 100, "they came in several pieces");
}

#[test]
fn answers_questions_that_come_byte_by_byte() {
    let (mut keeper, _port, _) = loaded();
    let mut question = Vec::new();
    ToKeeper::Sign { job: 77, slot: 0, secret_at: None, message: b"m" }.encode(&mut question);
    for byte in question {
        keeper.send(&[byte]);
    }
    assert!(matches!(keeper.answer(), Answer::Signature(77, ..)));
}

#[test]
fn answers_more_in_one_batch_than_its_buffer_holds() {
    let (mut keeper, mut port, envelope) = loaded();
    // Two thousand refusals and signatures are far over 64 KiB, and a seed port among them makes a
    // send of its own.
    let mut questions = Vec::new();
    for job in 0..2_000 {
        ToKeeper::Sign { job, slot: 0, secret_at: None, message: b"m" }.encode(&mut questions);
    }
    ToKeeper::OpenSeedPort { job: 2_000 }.encode(&mut questions);
    ToKeeper::Forget { job: 2_001, slot: 0 }.encode(&mut questions);
    keeper.send(&questions);
    for job in 0..2_000 {
        assert!(matches!(keeper.answer(), Answer::Signature(answered, ..) if answered == job), "{job}");
    }
    let Answer::SeedPort(2_000, newer) = keeper.answer() else { panic!("no seed port") };
    let mut newer = worker(newer);
    assert!(matches!(keeper.answer(), Answer::Done(2_001)));
    assert_eq!(port.send(1, &record_seed()).expect_err("closed").kind(), ErrorKind::BrokenPipe);
    keeper.load(&mut newer, 0, SPEC, &envelope).expect("loads");
}

#[test]
fn loads_only_with_the_seed_of_the_same_job() {
    let (mut keeper, mut port, envelope) = loaded();
    let load = |job| ToKeeper::Load { job, slot: 1, spec: SPEC, context: CONTEXT, envelope: &envelope };
    assert_eq!(keeper.told(load(100)), Err(Refusal::SeedMissing), "none at all");

    port.send(100, &record_seed()).expect("sends");
    assert_eq!(keeper.told(load(101)), Err(Refusal::SeedMissing), "only an older one");
    assert_eq!(keeper.told(load(100)), Err(Refusal::SeedMissing), "skipped for good");

    port.send(103, &record_seed()).expect("sends");
    assert_eq!(keeper.told(load(102)), Err(Refusal::SeedMissing), "only a newer one");
    assert_eq!(keeper.told(load(103)), Ok(()), "which was kept for its job");
    assert_eq!(keeper.told(load(103)), Err(Refusal::SeedMissing), "and given once");
    assert!(keeper.sign(1, b"m").is_ok());
}

#[test]
fn refuses_records_that_were_changed_or_swapped() {
    let (mut keeper, mut port, envelope) = loaded();
    let mut edited = envelope.clone();
    *edited.last_mut().expect("a tag") ^= 1;
    assert_eq!(keeper.load(&mut port, 1, SPEC, &edited), Err(Refusal::RecordChanged));
    edited[0] = 9;
    assert_eq!(keeper.load(&mut port, 1, SPEC, &edited), Err(Refusal::RecordVersion { version: 9 }));
    let other_use = KeySpec { algorithm: Algorithm::HmacSha512, ..SPEC };
    assert_eq!(keeper.load(&mut port, 1, other_use, &envelope), Err(Refusal::RecordChanged));
    port.send(900, &record_seed()).expect("sends");
    let other_name =
        ToKeeper::Load { job: 900, slot: 1, spec: SPEC, context: b"binance-spare", envelope: &envelope };
    assert_eq!(keeper.told(other_name), Err(Refusal::RecordChanged));
    port.send(901, &seed::Seed::new([1; 32])).expect("sends");
    let other_seed = ToKeeper::Load { job: 901, slot: 1, spec: SPEC, context: CONTEXT, envelope: &envelope };
    assert_eq!(keeper.told(other_seed), Err(Refusal::RecordChanged));
    assert_eq!(keeper.sign(1, b"m"), Err(Refusal::SlotEmpty));
}

#[test]
fn never_replaces_a_key_and_knows_its_limit() {
    let (mut keeper, mut port, envelope) = loaded();
    assert_eq!(keeper.load(&mut port, 0, SPEC, &envelope), Err(Refusal::SlotTaken));
    for slot in [LIMIT, u32::MAX] {
        let refused = keeper.load(&mut port, slot, SPEC, &envelope);
        assert_eq!(refused, Err(Refusal::KeyringFull { limit: LIMIT }), "{slot}");
    }
    assert!(keeper.sign(0, b"m").is_ok());
}

#[test]
fn forgets_what_it_is_told_to_forget() {
    let (mut keeper, mut port, envelope) = loaded();
    keeper.load(&mut port, 1, SPEC, &envelope).expect("loads");
    assert_eq!(keeper.told(ToKeeper::Forget { job: 50, slot: 0 }), Ok(()));
    assert_eq!(keeper.told(ToKeeper::Forget { job: 51, slot: 0 }), Ok(()), "an empty slot is no fault");
    assert_eq!(keeper.sign(0, b"m"), Err(Refusal::SlotEmpty));
    assert!(keeper.sign(1, b"m").is_ok());

    port.send(52, &record_seed()).expect("nobody takes it");
    assert_eq!(keeper.forget_all(), 0, "bytes were left");
    let closed = port.send(53, &record_seed()).expect_err("the port is closed");
    // A reset, where it had not taken all.
    assert!(matches!(closed.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{closed}");
}

#[test]
fn answers_what_was_asked_before_the_order_to_forget_all() {
    let (mut keeper, _port, _) = loaded();
    let mut questions = Vec::new();
    for job in 0..2_000 {
        ToKeeper::Sign { job, slot: 0, secret_at: None, message: b"m" }.encode(&mut questions);
    }
    ToKeeper::ForgetAll { job: 2_000 }.encode(&mut questions);
    ToKeeper::Sign { job: 2_001, slot: 0, secret_at: None, message: b"m" }.encode(&mut questions);
    keeper.send(&questions);
    for job in 0..2_000 {
        assert!(matches!(keeper.answer(), Answer::Signature(answered, ..) if answered == job), "{job}");
    }
    assert!(matches!(keeper.answer(), Answer::Forgotten(2_000, 0)));
    assert_eq!(keeper.receive(), 0, "it has ended");
}

#[test]
fn does_not_hang_on_a_secret_whose_writer_stays() {
    let (mut keeper, mut port, _) = loaded();
    let with_passphrase = KeySpec { passphrase: PassphraseUse::Plain, ..SPEC };
    for written in [b"".as_slice(), b"secret\n"] {
        let (read, _writer) = open_pipe(written);
        assert_eq!(keeper.seal(&mut port, SPEC, read, None), Err(Refusal::SecretDescriptor));
        let (read, _writer) = open_pipe(written);
        let refused = keeper.seal(&mut port, with_passphrase, piped(b"secret"), Some(read));
        assert_eq!(refused, Err(Refusal::SecretDescriptor));
    }
    let file = std::fs::File::open("/dev/zero").expect("a device").into();
    assert_eq!(keeper.seal(&mut port, SPEC, file, None), Err(Refusal::SecretDescriptor), "no pipe");
    assert!(keeper.sign(0, b"m").is_ok(), "it goes on");
}

#[test]
fn says_what_is_wrong_with_a_secret_and_seals_nothing() {
    let (mut keeper, mut port, _) = loaded();
    let mut refusal = |spec, secret: &[u8], passphrase: Option<&[u8]>| {
        keeper.seal(&mut port, spec, piped(secret), passphrase.map(piped)).expect_err("refused")
    };
    let limit = SPEC.max_bytes.into();
    assert_eq!(refusal(SPEC, b"", None), Refusal::SecretEmpty);
    assert_eq!(refusal(SPEC, b"\n", None), Refusal::SecretEmpty);
    assert_eq!(refusal(SPEC, b"two\nlines", None), Refusal::SecretNotText);
    assert_eq!(refusal(SPEC, &[b's'; 129], None), Refusal::SecretTooLong { limit });
    assert_eq!(refusal(SPEC, &[b's'; 60_000], None), Refusal::SecretTooLong { limit });
    assert_eq!(refusal(SPEC, b"secret", Some(b"phrase")), Refusal::PassphraseUnexpected);
    let with_passphrase = KeySpec { passphrase: PassphraseUse::Plain, ..SPEC };
    assert_eq!(refusal(with_passphrase, b"secret", None), Refusal::PassphraseMissing);
    assert_eq!(refusal(with_passphrase, b"secret", Some(&[b'p'; 257])), Refusal::PassphraseShape);
    assert_eq!(refusal(with_passphrase, b"secret", Some(b"\n")), Refusal::PassphraseShape);

    let missing =
        ToKeeper::Seal { job: 999, spec: SPEC, context: CONTEXT, secret: piped(b"s"), passphrase: None };
    assert_eq!(keeper.told(missing), Err(Refusal::SeedMissing));
}

#[test]
fn ends_in_peace_when_the_front_hangs_up() {
    let (keeper, _port, _) = loaded();
    let output = keeper.hang_up();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn ends_at_a_malformed_frame_and_quotes_nothing_of_it() {
    for (case, bytes) in [
        ("unknown question", [9_u32.to_le_bytes().as_slice(), b"\xffhunter2!"].concat()),
        ("empty frame", 0_u32.to_le_bytes().to_vec()),
        ("a length over the limit", u32::MAX.to_le_bytes().to_vec()),
        ("bytes left over", [11_u32.to_le_bytes().as_slice(), b"\x02\0\0\0\0\0\0\0\0hu"].concat()),
        ("a descriptor that never came", {
            let (read, _write) = open_pipe(b"");
            let mut bytes = Vec::new();
            ToKeeper::Seal { job: 1, spec: SPEC, context: b"hunter2", secret: read, passphrase: None }
                .encode(&mut bytes);
            bytes
        }),
    ] {
        let (keeper, _port, _) = loaded();
        keeper.send(&bytes);
        let output = keeper.ended();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{case}");
        assert!(said.starts_with("strongroom-keeper: malformed message on the private wire: "), "{said}");
        assert_eq!(said.lines().count(), 1, "{case}: {said}");
        assert!(!said.contains("hu"), "{case}: {said}");
    }
}

fn names(folder: &str) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
}

/// Whether whoever started this test left that descriptor open for all its descendants, and this one has it still.
fn inherited(folder: &str, number: &str) -> bool {
    let target = |folder: &str| std::fs::read_link(format!("{folder}/{number}")).ok();
    if target("/proc/self/fd") != target(folder) {
        return false;
    }
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let closes_on_exec =
        |flags: &str| u32::from_str_radix(flags.trim(), 8).expect("octal") & 0o2_000_000 != 0;
    !matches!(number, "0" | "1" | "2") && flags.is_some_and(|flags| !closes_on_exec(flags))
}

#[test]
fn has_two_threads_and_gave_up_what_it_does_not_need() {
    let (keeper, _port, _) = loaded();
    let proc = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", keeper.id()));
    let status = proc("status").expect("readable by all");
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}")).trim()
    };
    assert_eq!(field("Threads:"), "2");
    assert_eq!(field("NoNewPrivs:"), "1");
    let limits = proc("limits").expect("readable by all");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");

    // Only root may look into a process that cannot be dumped.
    if rustix::process::geteuid().is_root() {
        assert_eq!(proc("environ").expect("root may"), "", "its environment is empty");
        let folder = format!("/proc/{}/fd", keeper.id());
        let mut open: Vec<String> = names(&folder)
            .filter(|number| !inherited(&folder, number))
            .map(|number| std::fs::read_link(format!("{folder}/{number}")).expect("a link"))
            .map(|target| target.to_string_lossy().split(':').next().unwrap_or_default().to_owned())
            .collect();
        open.sort();
        // Standard input and its duplicate; standard error and the seed port; nothing else.
        assert_eq!(open, ["/dev/null", "pipe", "socket", "socket", "socket"]);
    } else {
        let denied = proc("environ").expect_err("not dumpable");
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    }
}

#[test]
fn keeps_no_descriptor_of_a_question() {
    let (mut keeper, mut port, _) = loaded();
    let (read, write) = open_pipe(b"");
    assert_eq!(keeper.seal(&mut port, SPEC, read, None), Err(Refusal::SecretDescriptor));
    let gone = rustix::io::write(&write, b"secret").expect_err("nobody can read it any more");
    assert_eq!(gone, rustix::io::Errno::PIPE);
}

#[test]
fn tells_a_person_who_starts_it_that_they_do_not() {
    for stdin in [Stdio::null(), Stdio::piped()] {
        let output = Command::new(BINARY).stdin(stdin).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "strongroom-keeper: standard input is no unix stream socket: `strongroom` starts this program, people do not\n"
        );
    }
    let version = Command::new(BINARY).arg("--version").stdin(Stdio::null()).output().expect("it starts");
    assert_eq!(version.status.code(), Some(0));
    let expected = format!("strongroom-keeper {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version.stdout), expected);
}
