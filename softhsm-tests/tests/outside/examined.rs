//! What `strongroom doctor` finds of the programs and of the processes that run.

use std::process::{Command, Stdio};

use serde_json::Value;
use strongroom_scanner::denying;
use strongroom_softhsm_tests::room::{Agent, Room, Run, program};

use crate::doctor::{Findings, WEAK, doctor, mode, sound};
use crate::keys::{BINANCE, copy_program, edit};

/// Starts an agent to which the kernel answers one system call as if it did not know it.
fn start_without(room: &Room, call: i64) -> Agent {
    let mut command = Command::new(program("strongroom"));
    command.arg("agent");
    denying(&mut command, call);
    room.start_command(command)
}

#[test]
fn finds_programs_of_another_version_and_programs_that_others_can_change() {
    let room = Room::new();
    let folder = room.folder().join("programs");
    std::fs::create_dir(&folder).unwrap();
    let strongroom = copy_program(&folder);
    let helpers = ["strongroom-keeper", "strongroom-token"];
    for helper in helpers {
        assert!(Command::new("cp").arg(program(helper)).arg(&folder).status().unwrap().success());
    }
    let run = || {
        let mut command = Command::new(&strongroom);
        room.surround(&mut command);
        let output = command.args(["doctor", "--json"]).stdin(Stdio::null()).output().unwrap();
        Findings::of(Run {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status,
        })
    };
    run().assert_sound("three copies");
    mode(&folder.join("strongroom-keeper"), 0o757);
    run().assert_weak(&["program-mode"]);
    mode(&folder.join("strongroom-keeper"), 0o755);

    let token = folder.join("strongroom-token");
    let real = room.folder().join("token");
    std::fs::rename(&token, &real).unwrap();
    // One of another release that serves all the same.
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo strongroom-token 9.9.9 && exit\nexec '{}' \"$@\"\n",
        real.display()
    );
    // Another process writes it: see `copy_program`.
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"").arg("sh").arg(script).arg(&token);
    assert!(shell.status().unwrap().success());
    let found = run();
    found.assert_weak(&["programs"]);
    assert!(
        found.report.to_string().contains("strongroom-token says `strongroom-token 9.9.9`"),
        "{:#}",
        found.report
    );
    std::fs::remove_file(&token).unwrap();
    let found = run();
    assert_eq!((found.code, found.verdict("programs", "")), (WEAK, "weak"), "one is missing");
}

#[test]
fn finds_an_agent_that_may_lock_too_little_memory() {
    let room = Room::new();
    let agent = crate::keeper::start_with_a_low_limit(&room);
    doctor(&room).assert_weak(&["lock-limit"]);
    drop(agent);
    doctor(&room).assert_sound("this shell may lock enough");
}

#[test]
fn repeats_weak_memory_in_status_and_doctor() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let allow = |from: bool, to: bool| {
        edit(&room.config(), |text| {
            text.replace(&format!("weak_memory = {from}"), &format!("weak_memory = {to}"))
        });
        mode(&room.config(), 0o600);
    };
    allow(false, true);
    let _agent = start_without(&room, libc::SYS_memfd_secret);
    let _ = room.unlock().ok();
    let status = room.client().status().unwrap();
    let [keeper, worker] = status.protection.as_slice() else { panic!("{status:?}") };
    assert_eq!((worker.process.as_str(), worker.pid), ("token-worker", None));
    assert!(!worker.secret_memory && worker.guarded, "{worker:?}");
    assert_eq!((keeper.process.as_str(), keeper.pid), ("keeper", status.keeper_pid));
    assert!(!keeper.secret_memory && keeper.guarded, "{keeper:?}");
    let shown = room.run(&["status"], None, &[]);
    assert!(shown.stdout.contains("keeper: no secret memory, guarded, Landlock "), "{}", shown.stdout);
    assert!(shown.stderr.contains("warning: root can read every secret"), "{}", shown.stderr);

    let found = doctor(&room);
    found.assert_sound("the configuration allows it");
    for process in ["keeper", "token-worker"] {
        assert_eq!(found.verdict("secret-memory", process), "notice", "{process}");
    }
    // The configuration promises more now than the running agent keeps.
    allow(true, false);
    doctor(&room).assert_weak(&["configuration-in-force", "secret-memory", "secret-memory"]);
}

#[test]
fn finds_a_keeper_without_a_guard() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = start_without(&room, libc::SYS_ptrace);
    let _ = room.unlock().ok();
    let status = room.client().status().unwrap();
    assert!(!status.protection[0].guarded && status.protection[0].secret_memory, "{status:?}");
    doctor(&room).assert_weak(&["token-worker-guard", "keeper-guard"]);
}

#[test]
fn shows_what_protects_the_keeper_while_one_runs() {
    let (room, agent) = sound();
    let shown = room.run(&["status"], None, &[]).ok();
    assert!(shown.contains("protection:  keeper: secret memory, guarded, Landlock "), "{shown}");
    let json = room.run(&["status", "--json"], None, &[]).json();
    let keeper = &json["protection"][0];
    assert_eq!(keeper["pid"], agent.children("strongroom-keeper")[0]);
    assert_eq!(
        (&keeper["process"], &keeper["secret_memory"], &keeper["guarded"]),
        (&"keeper".into(), &true.into(), &true.into())
    );
    room.client().lock().unwrap();
    let json = room.run(&["status", "--json"], None, &[]).json();
    let left = json["protection"].as_array().unwrap();
    assert_eq!(left.len(), 1, "{json:#}");
    assert_eq!((&left[0]["process"], &left[0]["pid"]), (&"token-worker".into(), &Value::Null));
}
