//! What root finds in a worker, and what a worker does that is not given secret memory.

use std::collections::BTreeMap;

use strongroom_link::token::{ALLOW_WEAK_MEMORY, Protection, Rung, TokenRefusal};
use strongroom_scanner::chance::Chance;
use strongroom_scanner::{Class, Dump, Needles, denying, trace};
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, sleeps, wait_until};

use crate::faults::Faulty;
use crate::front::{Answer, Front, WORKER};

/// A PIN that cannot stand in memory by chance.
const PIN: &str = "pin-7c41e6b2-that-nothing-else-has";

/// How many dumps of each kind; `STRONGROOM_LEAK_SAMPLES` has another number.
fn samples(few: usize) -> usize {
    std::env::var("STRONGROOM_LEAK_SAMPLES").map_or(few, |count| count.parse().unwrap())
}

/// A worker whose module leaves a copy of everything wherever it can, and what must not be found.
struct Leaky {
    front: Front,
    needles: Needles,
    kek: [u8; 16],
    blob: Vec<u8>,
    _module: Faulty,
}

impl Leaky {
    fn start(line: &[&str], change: impl FnOnce(&mut std::process::Command)) -> (Self, Protection) {
        let mut module = Faulty::new();
        let changed = module.token.pkcs11_tool(&["--change-pin", "--new-pin", PIN]);
        assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
        module.token.pin = PIN.to_owned();
        let (mut front, protection) =
            Front::try_start(&module.environment("leaves-copies"), line, change).unwrap();
        assert_eq!(front.open(&module.token), Answer::Done);
        let kek = front.make("kek");
        let (blob, seed) = front.protect(kek, Rung::AesGcm);
        let mut needles = Needles::new();
        needles.secret(Class::Pin, "the token", PIN.as_bytes());
        needles.secret(Class::Seed, "the record", &seed);
        (Self { front, needles, kek, blob, _module: module }, protection)
    }

    fn unprotect(&mut self) {
        self.front.unprotect(self.kek, Rung::AesGcm, &self.blob).unwrap();
    }

    /// Which classes are found in how many of the dumps that `look` takes while the worker works.
    fn found_while_busy(
        &mut self,
        count: usize,
        look: impl Fn(u32) -> std::io::Result<Dump> + Sync,
    ) -> BTreeMap<&'static str, usize> {
        let process = self.front.child.id();
        let needles = std::mem::take(&mut self.needles);
        let found = std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let (mut chance, mut found) = (Chance::new(), BTreeMap::new());
                for _ in 0..count {
                    chance.sleep(std::time::Duration::from_millis(4));
                    for class in strongroom_scanner::needles::classes(&needles.hits(&look(process).unwrap()))
                    {
                        *found.entry(class.name()).or_insert(0) += 1;
                    }
                }
                found
            });
            while !looking.is_finished() {
                self.unprotect();
            }
            looking.join().unwrap()
        });
        self.needles = needles;
        found
    }
}

#[test]
fn shows_root_neither_seed_nor_pin_while_a_careless_module_works() {
    if !is_root_or_skip("reading the memory of the token worker") {
        return;
    }
    let (mut leaky, protection) = Leaky::start(&[WORKER], |_| {});
    assert_eq!(protection, Protection { secret_memory: true, guarded: true });
    let found = leaky.found_while_busy(samples(40), Dump::of_memory);
    assert_eq!(found, BTreeMap::new());
    // At rest the seed that was recovered last lies in copies that nobody has wiped.
    let dump = Dump::of_memory(leaky.front.child.id()).unwrap();
    assert!(dump.unreadable >= 7 * 1024 * 1024, "{}", dump.unreadable);
    assert!(leaky.needles.hits(&dump).is_empty());
}

/// The control: the same module and the same search, in memory that root can read.
#[test]
fn would_be_found_out_in_ordinary_memory() {
    if !is_root_or_skip("reading the memory of the token worker") {
        return;
    }
    let (mut leaky, protection) =
        Leaky::start(&[WORKER, ALLOW_WEAK_MEMORY], |command| denying(command, libc::SYS_memfd_secret));
    assert_eq!(protection, Protection { secret_memory: false, guarded: true });
    leaky.unprotect();
    let dump = Dump::of_memory(leaky.front.child.id()).unwrap();
    let found = strongroom_scanner::needles::classes(&leaky.needles.hits(&dump));
    assert_eq!(found, [Class::Seed, Class::Pin]);
}

#[test]
fn leaves_nothing_in_the_registers_between_two_questions() {
    if !is_root_or_skip("reading the registers of the token worker") {
        return;
    }
    let (mut leaky, protection) = Leaky::start(&[WORKER], |command| denying(command, libc::SYS_ptrace));
    assert!(!protection.guarded);
    for _ in 0..samples(30) {
        leaky.unprotect();
        // The answer is out before the worker waits again.
        wait_until("the worker waits", SOON, || sleeps(leaky.front.child.id()));
        let registers = trace::registers(leaky.front.child.id(), &mut Chance::new()).unwrap();
        assert!(registers.bytes() > 500, "too few registers");
        assert!(leaky.needles.hits(&registers).is_empty());
    }
}

/// The module itself looks: at its stack, at what each function of the family gives, in a thread too.
#[test]
fn gives_a_module_secret_memory_of_every_kind_and_refuses_it_other_programs() {
    let module = Faulty::new();
    let front = module.open_with("checks");
    let (status, talk) = front.end();
    assert_eq!((status.code(), talk.as_str()), (Some(0), ""));
}

#[test]
fn says_which_limit_to_raise_when_the_module_wants_more_memory_than_there_is() {
    let module = Faulty::new();
    let mut front = module.open_with("greedy");
    let kek = front.make("kek");
    let (blob, _) = front.protect(kek, Rung::AesGcm);
    let refusal = front.unprotect(kek, Rung::AesGcm, &blob).unwrap_err();
    let TokenRefusal::MemoryFull { call, kib } = refusal else { panic!("{refusal}") };
    assert_eq!(call, "C_Decrypt: CKR_HOST_MEMORY");
    assert!(kib.parse::<u32>().unwrap() >= 7 * 1024, "{kib}");
    let (status, talk) = front.end();
    assert_eq!(status.code(), Some(0), "it could still answer");
    assert!(talk.contains("RLIMIT_MEMLOCK"), "{talk}");
    assert_eq!(talk.lines().count(), 1, "{talk}");
}

#[test]
fn blames_no_lack_of_memory_for_what_fails_after_it() {
    let module = Faulty::new();
    let mut front = module.open_with("greedy-then-broken");
    let kek = front.make("kek");
    let (blob, _) = front.protect(kek, Rung::AesGcm);
    front.unprotect(kek, Rung::AesGcm, &blob).unwrap();
    let refusal = front.unprotect(kek, Rung::AesGcm, &blob).unwrap_err();
    let TokenRefusal::ModuleCall { function, code } = refusal else { panic!("{refusal}") };
    assert_eq!((function.as_str(), code.as_str()), ("C_Decrypt", "CKR_DEVICE_ERROR"));
    let (_, talk) = front.end();
    assert!(talk.contains("RLIMIT_MEMLOCK"), "the control: it was refused memory once: {talk}");
}

#[test]
fn refuses_to_start_without_secret_memory_and_goes_on_where_it_is_told_to() {
    let without = |command: &mut std::process::Command| denying(command, libc::SYS_memfd_secret);
    let (refusal, status, talk) = Front::try_start(&[], &[WORKER], without).err().unwrap();
    assert_eq!(refusal, TokenRefusal::SecretMemoryAbsent);
    assert_eq!(status.code(), Some(1));
    assert_eq!(talk, format!("strongroom-token: {refusal}\n"));

    let (mut leaky, protection) = Leaky::start(&[WORKER, ALLOW_WEAK_MEMORY], without);
    assert!(!protection.secret_memory);
    leaky.unprotect();
}

#[test]
fn needs_no_more_than_an_ordinary_user_may_lock_and_says_so_where_it_has_less() {
    let limited = |bytes: &str| {
        let memlock = format!("--memlock={bytes}:{bytes}");
        let mut line = vec!["/usr/bin/prlimit".to_owned(), memlock, WORKER.to_owned()];
        if rustix::process::geteuid().is_root() {
            line.splice(0..0, ["/usr/bin/setpriv".to_owned(), "--bounding-set=-ipc_lock".to_owned()]);
        }
        line
    };
    for kib in [64, 7164] {
        let line = limited(&(kib * 1024).to_string());
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        let (refusal, _, _) = Front::try_start(&[], &line, |_| {}).err().unwrap();
        assert_eq!(
            refusal.to_string(),
            format!(
                "the token worker must lock 7168 KiB of memory, and RLIMIT_MEMLOCK lets it lock {kib} KiB"
            )
        );
    }
    // The very limit that it names.
    let line = limited("7340032");
    let line: Vec<_> = line.iter().map(String::as_str).collect();
    let (mut leaky, protection) = Leaky::start(&line, |_| {});
    assert!(protection.secret_memory);
    for _ in 0..200 {
        leaky.unprotect();
    }
}
