//! What the keeper gave up, and what it does where it is not given what it needs.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Resource, Rlimit};
use strongroom_link::keeper::{ALLOW_WEAK_MEMORY, LOCKED_BYTES, Refusal};
use strongroom_scanner::denying;

use strongroom_softhsm_tests::process::is_root_or_skip;

use crate::front::{Keeper, SECRET, SPEC, piped};

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Takes away the right to lock more than `bytes`, from root too.
pub(crate) fn locking_at_most(command: &mut Command, bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    let change = move || {
        rustix::process::setrlimit(Resource::Memlock, limit)?;
        // SAFETY: changes this child only; one that is not root has no such right anyway.
        let _not_root = unsafe {
            libc::prctl(libc::PR_CAPBSET_DROP, 14 /* CAP_IPC_LOCK */)
        };
        Ok(())
    };
    // SAFETY: makes two system calls.
    unsafe { command.pre_exec(change) };
}

pub(crate) fn status_field(process: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("readable by all");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name}")).trim().to_owned()
}

#[test]
fn refuses_to_start_without_secret_memory() {
    let (refusal, output) =
        Keeper::try_start(&[], |command| denying(command, libc::SYS_memfd_secret)).err().expect("refuses");
    assert_eq!(refusal, Refusal::SecretMemoryAbsent);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("strongroom-keeper: the kernel gives no secret memory (memfd_secret): "),
        "{said}"
    );
}

#[test]
fn goes_on_without_secret_memory_where_it_is_told_to() {
    let (mut keeper, protection) =
        Keeper::try_start(&[ALLOW_WEAK_MEMORY], |command| denying(command, libc::SYS_memfd_secret))
            .expect("starts");
    assert!(!protection.secret_memory);
    let mut port = keeper.open_seed_port();
    let envelope = keeper.seal(&mut port, SPEC, piped(SECRET.as_bytes()), None).expect("seals");
    keeper.load(&mut port, 0, SPEC, &envelope).expect("loads");
    keeper.sign(0, b"m").expect("signs");
    let locked = status_field(keeper.id(), "VmLck:");
    // The test's page of seeds is locked here too.
    assert_eq!(locked, format!("{} kB", LOCKED_BYTES / 1024));
}

#[test]
fn takes_secret_memory_where_it_need_not() {
    let (_, protection) = Keeper::try_start(&[ALLOW_WEAK_MEMORY], |_| {}).expect("starts");
    assert!(protection.secret_memory);
}

#[test]
fn says_which_limit_is_too_low() {
    for (arguments, call) in [(&[][..], None), (&[ALLOW_WEAK_MEMORY], Some(libc::SYS_memfd_secret))] {
        let started = Keeper::try_start(arguments, |command| {
            locking_at_most(command, 64 * 1024);
            call.into_iter().for_each(|call| denying(command, call));
        });
        let (refusal, output) = started.err().expect("refuses");
        assert_eq!(refusal, Refusal::LockLimit { kib: 64 });
        assert_eq!(
            refusal.to_string(),
            "the keeper must lock 7168 KiB of memory, and RLIMIT_MEMLOCK lets it lock 64 KiB"
        );
        assert_eq!(output.status.code(), Some(1));
    }
}

/// With the very limit that the refusal names a record is opened, which takes the page of seeds.
#[test]
fn works_with_the_limit_that_it_names_and_refuses_to_start_with_a_page_less() {
    let needed = u64::try_from(LOCKED_BYTES).expect("small");
    let start = |limit| Keeper::try_start(&[], |command| locking_at_most(command, limit));
    let (mut keeper, _) = start(needed).expect("fits");
    let mut port = keeper.open_seed_port();
    let envelope = keeper.seal(&mut port, SPEC, piped(SECRET.as_bytes()), None).expect("seals");
    keeper.load(&mut port, 0, SPEC, &envelope).expect("loads");
    assert!(keeper.hang_up().status.success());

    let page = u64::try_from(rustix::param::page_size()).expect("small");
    let (refusal, _) = start(needed - page).err().expect("refuses");
    assert_eq!(
        refusal.to_string(),
        "the keeper must lock 7168 KiB of memory, and RLIMIT_MEMLOCK lets it lock 7164 KiB"
    );
}

#[test]
fn filters_system_calls_and_takes_no_signals() {
    let keeper = Keeper::start();
    assert_eq!(status_field(keeper.id(), "Seccomp:"), "2");
    let blocked = u64::from_str_radix(&status_field(keeper.id(), "SigBlk:"), 16).expect("hexadecimal");
    // All but KILL and STOP, which cannot be blocked, and two that the C library keeps for itself.
    for signal in (1..=31).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        assert_ne!(blocked >> (signal - 1) & 1, 0, "{signal}");
    }
    assert_eq!(status_field(keeper.id(), "SigCgt:"), "0000000000000000", "it has handlers");
}

/// As code that an attacker has brought in would: the calls are made inside of the confined process.
#[test]
#[cfg(target_arch = "x86_64")]
fn dies_of_a_system_call_that_it_does_not_need() {
    use strongroom_scanner::Traced;

    if !is_root_or_skip("sending a system call into the keeper") {
        return;
    }
    let end = |call, arguments| {
        let (keeper, _) =
            Keeper::try_start(&[], |command| denying(command, libc::SYS_ptrace)).expect("starts");
        // It must sleep in a system call, whose instruction is then used for another.
        while !status_field(keeper.id(), "State:").starts_with('S') {
            std::thread::yield_now();
        }
        let traced = Traced::seize(keeper.id()).expect("nobody else traces it");
        traced.inject(call, arguments).expect("it stops or ends")
    };
    for call in [
        libc::SYS_openat,
        libc::SYS_socket,
        libc::SYS_execve,
        libc::SYS_clone,
        libc::SYS_fork,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_pipe2,
        libc::SYS_munmap,
        libc::SYS_brk,
        libc::SYS_kill,
        libc::SYS_tgkill,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_memfd_secret,
        libc::SYS_prctl,
        libc::SYS_dup,
        libc::SYS_sendto,
        libc::SYS_io_uring_setup,
        libc::SYS_rt_sigaction,
        libc::SYS_sigaltstack,
    ] {
        let status = end(call, [0; 3]);
        assert!(libc::WIFSIGNALED(status), "call {call} lets it live: {status:x}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGSYS, "call {call}");
    }
    for (call, arguments) in
        [(libc::SYS_write, [1, 0, 0]), (libc::SYS_fcntl, [3, 0, 0]), (libc::SYS_socketpair, [2, 1, 0])]
    {
        let status = end(call, arguments);
        assert!(libc::WIFSIGNALED(status), "call {call} with these arguments lets it live: {status:x}");
    }
    // The control: it lives on after calls that it needs.
    for (call, arguments) in [(libc::SYS_getrandom, [0; 3]), (libc::SYS_write, [2, 0, 0])] {
        let status = end(call, arguments);
        assert!(libc::WIFSTOPPED(status), "call {call}: {status:x}");
    }
}
