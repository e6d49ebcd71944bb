//! Signatures that take long, and what goes past them.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use base64ct::{Base64, Encoding as _};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use strongroom_link::keeper::{Refusal, SLOW_JOBS_OF_ONE, ToKeeper};
use strongroom_link::key::{Algorithm, KeySpec, SecretForm};
use strongroom_scanner::{Traced, denying};
use strongroom_softhsm_tests::process::is_root_or_skip;

use crate::confine::status_field;
use crate::front::{Answer, Keeper, Port, SECRET, SPEC, piped};
use crate::secrets::RSA;

const RSA_SPEC: KeySpec =
    KeySpec { algorithm: Algorithm::RsaSha256, form: SecretForm::Pem, max_bytes: 8192, ..SPEC };
const RSA_4096: &str = include_str!("../pem/rsa4096-pkcs1.pem");
const MESSAGE: &[u8] = b"symbol=LTCBTC";
/// What OpenSSL signs that message with.
const SIGNED: &str = include_str!("../pem/rsa2048.sig");
const SIGNED_4096: &str = include_str!("../pem/rsa4096.sig");

const HMAC_SLOT: u32 = 0;
const SLOT: u32 = 1;
const SLOT_4096: u32 = 2;

fn loaded_from(mut keeper: Keeper) -> (Keeper, Port) {
    let mut port = keeper.open_seed_port();
    for (slot, spec, secret) in
        [(HMAC_SLOT, SPEC, SECRET), (SLOT, RSA_SPEC, RSA), (SLOT_4096, RSA_SPEC, RSA_4096)]
    {
        let envelope = keeper.seal(&mut port, spec, piped(secret.as_bytes()), None).expect("seals");
        keeper.load(&mut port, slot, spec, &envelope).expect("loads");
    }
    (keeper, port)
}

/// A keeper whose threads share one processor: however busy that is, the thread that makes signatures which take long
/// cannot come far while the other waits for its turn.
fn loaded() -> (Keeper, Port) {
    loaded_from(Keeper::try_start(&[], on_one_processor).expect("the keeper is ready").0)
}

/// Keeps a program on the last of the processors that this one may use.
fn on_one_processor(command: &mut Command) {
    let all = sched_getaffinity(None).expect("a set");
    let last = (0..CpuSet::MAX_CPU).rfind(|processor| all.is_set(*processor)).expect("one");
    let mut one = CpuSet::new();
    one.set(last);
    // SAFETY: makes one system call.
    unsafe { command.pre_exec(move || Ok(sched_setaffinity(None, &one)?)) };
}

/// Sends these questions at once.
fn put(keeper: &Keeper, questions: impl IntoIterator<Item = (u64, u32)>) {
    put_before(keeper, questions, None);
}

/// Sends these questions at once, and with them one that is no signature: however late this test is, the keeper has it
/// as soon as those.
fn put_before(keeper: &Keeper, questions: impl IntoIterator<Item = (u64, u32)>, last: Option<ToKeeper<'_>>) {
    let mut bytes = Vec::new();
    for (job, slot) in questions {
        ToKeeper::Sign { job, slot, secret_at: None, message: MESSAGE }.encode(&mut bytes);
    }
    if let Some(last) = last {
        last.encode(&mut bytes);
    }
    keeper.send(&bytes);
}

fn expected(slot: u32) -> Vec<u8> {
    let signed = if slot == SLOT { SIGNED } else { SIGNED_4096 };
    Base64::decode_vec(signed.trim()).expect("base64")
}

#[test]
fn signs_with_rsa_as_openssl_does() {
    let (mut keeper, _port) = loaded();
    for slot in [SLOT, SLOT_4096, SLOT] {
        assert_eq!(keeper.sign(slot, MESSAGE), Ok((expected(slot), Vec::new())));
    }
    assert_eq!(keeper.sign_with_secret(SLOT, MESSAGE), Err(Refusal::WrongMessage));
    assert_eq!(keeper.forget_all(), 0);
}

/// The thread that answers HMACs never waits for the other one. All HMACs were asked for behind the RSA signatures, of
/// which the first alone takes as long as hundreds of them.
#[test]
fn answers_hmacs_before_rsa_signatures_that_were_asked_for_earlier() {
    let (mut keeper, _port) = loaded();
    put(&keeper, (0..60).map(|job| (job, SLOT_4096)).chain((60..160).map(|job| (job, HMAC_SLOT))));
    let mut order = Vec::new();
    for _ in 0..160 {
        let Answer::Signature(job, signature, _) = keeper.answer() else { panic!("no signature") };
        assert_eq!(signature.len(), if job < 60 { 512 } else { 32 });
        order.push(job);
    }
    let of = |slow: bool| order.iter().copied().filter(move |job| (*job < 60) == slow);
    assert!(of(true).eq(0..60), "RSA signatures are in order among themselves: {order:?}");
    assert!(of(false).eq(60..160), "HMACs are in order among themselves: {order:?}");
    assert_eq!(order.last(), Some(&59), "the last RSA signature comes last: {order:?}");
}

/// In the order of the questions the other credential's would all come last.
#[test]
fn makes_signatures_of_each_credential_in_turn() {
    let (mut keeper, _port) = loaded();
    put(&keeper, (0..60).map(|job| (job, SLOT_4096)).chain((60..63).map(|job| (job, SLOT))));
    let mut order = Vec::new();
    for _ in 0..63 {
        let Answer::Signature(job, ..) = keeper.answer() else { panic!("no signature") };
        order.push(job);
    }
    assert!(order.iter().filter(|job| **job >= 60).eq(&[60, 61, 62]), "{order:?}");
    assert_eq!(order.last(), Some(&59), "{order:?}");
}

#[test]
fn refuses_more_than_it_has_room_for_and_goes_on() {
    let (mut keeper, _port) = loaded();
    let jobs = 0..2_000_u64;
    put(&keeper, jobs.clone().map(|job| (job, SLOT_4096)));
    let (mut signed, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for _ in jobs.clone() {
        match keeper.answer() {
            Answer::Signature(job, ..) => assert!(signed.insert(job)),
            Answer::Refused(job, Refusal::SigningQueueFull) => assert!(refused.insert(job)),
            other => panic!("{other:?}"),
        }
    }
    assert!(signed.len() >= SLOW_JOBS_OF_ONE, "what was queued is signed: {}", signed.len());
    assert!(refused.len() >= 1_000, "the rest is refused: {}", refused.len());
    assert_eq!(signed.union(&refused).count(), 2_000, "each was answered");
    assert_eq!(keeper.sign(SLOT, MESSAGE), Ok((expected(SLOT), Vec::new())));
}

/// Two of the longest messages fill the queue.
#[test]
fn bounds_what_waits_in_bytes_too() {
    let (mut keeper, _port) = loaded();
    let message = vec![b'm'; 250 * 1024];
    for job in 1..=8 {
        keeper.put(ToKeeper::Sign { job, slot: SLOT_4096, secret_at: None, message: &message });
    }
    let mut answered = BTreeSet::new();
    for _ in 1..=8 {
        match keeper.answer() {
            Answer::Signature(job, ..) | Answer::Refused(job, Refusal::SigningQueueFull) => {
                assert!(answered.insert(job));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(answered.into_iter().eq(1..=8));
    assert_eq!(keeper.sign(SLOT, MESSAGE), Ok((expected(SLOT), Vec::new())));
}

#[test]
fn forgets_a_key_with_all_that_waits_for_it() {
    let (mut keeper, mut port) = loaded();
    let questions = (1..=60).map(|job| (job, SLOT_4096)).chain([(101, SLOT)]);
    put_before(&keeper, questions, Some(ToKeeper::Forget { job: 102, slot: SLOT_4096 }));
    let (mut signed, mut dropped, mut done) = (0, 0, false);
    for _ in 0..62 {
        match keeper.answer() {
            Answer::Signature(101, signature, _) => assert_eq!(signature, expected(SLOT)),
            Answer::Signature(..) => {
                assert!(!done, "a signature by a key that is forgotten");
                signed += 1;
            }
            Answer::Refused(_, Refusal::SlotEmpty) => dropped += 1,
            Answer::Done(102) => done = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(done);
    assert_eq!(signed + dropped, 60);
    assert!(dropped > 0, "all were signed before it was forgotten, which proves nothing");
    assert_eq!(keeper.sign(SLOT_4096, MESSAGE), Err(Refusal::SlotEmpty));
    let envelope = keeper.seal(&mut port, RSA_SPEC, piped(RSA_4096.as_bytes()), None).expect("seals");
    keeper.load(&mut port, SLOT_4096, RSA_SPEC, &envelope).expect("loads");
    assert_eq!(keeper.sign(SLOT_4096, MESSAGE), Ok((expected(SLOT_4096), Vec::new())));
}

/// A lock while the thread signs: it ends at once, wiped, and answers nothing more of what waited.
#[test]
fn forgets_everything_while_it_signs_and_drops_what_waits() {
    for round in 0..5 {
        let (mut keeper, _port) = loaded();
        let questions = (1..=60).map(|job| (job, SLOT_4096));
        put_before(&keeper, questions, Some(ToKeeper::ForgetAll { job: 61 }));
        let mut signed = 0;
        loop {
            match keeper.answer() {
                Answer::Signature(..) => signed += 1,
                Answer::Forgotten(61, left) => {
                    assert_eq!(left, 0, "bytes that are not zero, round {round}");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(signed < 60, "all were signed before, which proves nothing");
        assert_eq!(keeper.receive(), 0, "nothing comes behind it");
        assert!(keeper.ended().status.success());
    }
}

#[test]
fn ends_with_its_front_while_it_signs() {
    let (keeper, _port) = loaded();
    put(&keeper, (1..=60).map(|job| (job, SLOT_4096)));
    assert!(keeper.hang_up().status.success());
}

/// The ids of the keeper's threads, its first one first.
pub(crate) fn threads(keeper: &Keeper) -> Vec<u32> {
    let folder = std::fs::read_dir(format!("/proc/{}/task", keeper.id())).expect("it runs");
    let mut threads: Vec<u32> = folder
        .map(|thread| thread.expect("an entry").file_name().to_string_lossy().parse().expect("an id"))
        .collect();
    threads.sort_by_key(|thread| *thread != keeper.id());
    threads
}

#[test]
fn confines_and_guards_both_threads() {
    let (keeper, _port) = loaded();
    let threads = threads(&keeper);
    assert_eq!(threads.len(), 2);
    for thread in threads {
        assert_eq!(status_field(thread, "Seccomp:"), "2");
        assert_eq!(status_field(thread, "NoNewPrivs:"), "1");
        assert_ne!(status_field(thread, "TracerPid:"), "0", "nobody guards thread {thread}");
        assert_eq!(status_field(thread, "SigBlk:"), status_field(keeper.id(), "SigBlk:"));
        let refused = Traced::seize(thread).err().map(|error| error.raw_os_error());
        assert_eq!(refused, Some(Some(libc::EPERM)));
    }
}

#[test]
fn gives_way_with_its_second_thread_alone() {
    let (keeper, _port) = loaded();
    let nice = |thread: u32| -> i32 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/task/{thread}/stat", keeper.id())).expect("it runs");
        // The name in brackets is the second field, and may have blanks in it; the nice value is the nineteenth.
        let behind_name = stat.rsplit_once(')').expect("a name").1;
        behind_name.split_whitespace().nth(16).expect("a nice value").parse().expect("a number")
    };
    let threads = threads(&keeper);
    let (first, second) = (nice(threads[0]), nice(threads[1]));
    // 19 is the most; who runs the tests may have begun low already.
    assert_eq!(second, (first + 5).min(19));
}

/// As code that an attacker has brought in would: the calls are made inside of the second thread.
#[test]
#[cfg(target_arch = "x86_64")]
fn dies_of_a_system_call_that_its_second_thread_does_not_need() {
    if !is_root_or_skip("sending a system call into the keeper") {
        return;
    }
    let end = |call, arguments| {
        let (keeper, _) =
            Keeper::try_start(&[], |command| denying(command, libc::SYS_ptrace)).expect("starts");
        let thread = threads(&keeper)[1];
        while !status_field(thread, "State:").starts_with('S') {
            std::thread::yield_now();
        }
        Traced::seize(thread)
            .expect("nobody else traces it")
            .inject(call, arguments)
            .expect("it stops or ends")
    };
    for call in [
        libc::SYS_openat,
        libc::SYS_socket,
        libc::SYS_execve,
        libc::SYS_clone,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_madvise,
        libc::SYS_recvmsg,
        libc::SYS_read,
        libc::SYS_close,
        libc::SYS_getrandom,
        libc::SYS_prctl,
    ] {
        let status = end(call, [0; 3]);
        assert!(libc::WIFSIGNALED(status), "call {call} lets it live: {status:x}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGSYS, "call {call}");
    }
    // The control: it lives on after a call that it needs.
    let status = end(libc::SYS_write, [2, 0, 0]);
    assert!(libc::WIFSTOPPED(status), "{status:x}");
}
