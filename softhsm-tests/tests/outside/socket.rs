//! The socket file: who may reach it, and whose it is.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::process::is_root_or_skip;
use strongroom_softhsm_tests::room::{Room, program};

use crate::keys::{BINANCE, account, copy_program};

#[test]
fn makes_its_socket_for_this_user_only_whatever_the_umask() {
    let room = Room::new();
    for umask in ["0000", "0022", "0077"] {
        let _ = std::fs::remove_dir_all(room.folder().join("run"));
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$0\" agent")).arg(program("strongroom"));
        let _agent = room.start_command(shell);
        let mode = std::fs::metadata(room.socket()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "umask {umask}");
    }
}

#[test]
fn is_out_of_reach_for_another_user_and_refuses_one_that_gets_through() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    // The programs may lie in a folder that others cannot enter; a copy lies where they can.
    let public = tempfile::Builder::new().prefix("strongroom-public-").tempdir().unwrap();
    open(public.path(), 0o755);
    let copy = copy_program(public.path());
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&copy).args(words);
        room.surround(&mut command);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let sign = ["sign", "binance-main", "GET", "/api/v3/account"];
    let (code, said) = as_nobody(&sign);
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("Permission denied"), "{said}");

    // Somebody opens folder and socket: the agent itself still refuses.
    for folder in [room.folder(), &room.folder().join("run")] {
        open(folder, 0o755);
    }
    open(&room.socket(), 0o666);
    let commands: [&[&str]; 5] =
        [&sign, &["status"], &["lock"], &["list"], &["remove", "binance-main", "--yes"]];
    for words in commands {
        let (code, said) = as_nobody(words);
        assert_eq!(code, Some(6), "{words:?}: {said}");
        assert_eq!(
            said,
            "error: refusing user 65534: it is neither the agent's user nor an admin, and no grant names it\nhint: give it a grant: strongroom grant add CREDENTIAL --to user:UID …; or a token: strongroom client add NAME\n"
        );
    }
    let _ = room.client().sign(&account()).unwrap();
    assert!(room.record("binance-main").exists());
}

fn open(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn never_takes_the_socket_of_a_live_agent() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let inode = std::fs::metadata(room.socket()).unwrap().ino();
    let other_data = room.folder().join("other-data").display().to_string();
    let taken = format!(
        "error: refusing to take {} away from the agent that listens on it\n",
        room.socket().display()
    );
    let run = room.run(&["--data", &other_data, "agent"], None, &[]);
    assert_eq!(run.code(), 9, "{}", run.stderr);
    assert!(run.stderr.contains(&taken), "{}", run.stderr);
    assert_eq!(std::fs::metadata(room.socket()).unwrap().ino(), inode);
    assert_eq!(room.client().status().unwrap().pid, agent.pid());
    // Nor that of a program which knows nothing of our lock.
    let _ = agent.terminate();
    let listener = UnixListener::bind(room.socket()).unwrap();
    let run = room.run(&["agent"], None, &[]);
    assert_eq!(run.code(), 9, "{}", run.stderr);
    assert!(run.stderr.contains(&taken), "{}", run.stderr);
    drop(listener);
    assert!(room.socket().exists(), "a stale one is left");
}

#[test]
fn replaces_the_socket_that_a_killed_agent_has_left() {
    let room = Room::new();
    let agent = room.start();
    agent.kill();
    assert!(room.socket().exists());
    assert!(UnixStream::connect(room.socket()).is_err(), "nobody listens");
    let agent = room.start();
    assert_eq!(room.client().status().unwrap().pid, agent.pid());
}

#[test]
fn removes_nothing_that_is_no_socket() {
    let room = Room::new();
    std::fs::create_dir(room.folder().join("run")).unwrap();
    let precious = room.folder().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    let refuse = || {
        let run = room.run(&["agent"], None, &[]);
        assert_eq!(run.code(), 3, "{}", run.stderr);
        let said = format!("error: refusing to replace {}, which is no socket\n", room.socket().display());
        assert!(run.stderr.contains(&said), "{}", run.stderr);
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    };
    std::fs::write(room.socket(), "a file").unwrap();
    refuse();
    assert_eq!(std::fs::read_to_string(room.socket()).unwrap(), "a file");
    std::fs::remove_file(room.socket()).unwrap();
    std::os::unix::fs::symlink(&precious, room.socket()).unwrap();
    refuse();
    assert!(std::fs::symlink_metadata(room.socket()).unwrap().is_symlink());
}

#[test]
fn tells_a_client_that_nobody_listens() {
    let room = Room::new();
    let missing = room.client().status().unwrap_err();
    assert!(matches!(missing, strongroom_client::Error::NoAgent { .. }), "{missing:?}");
    let agent = room.start();
    let refused = room.client().sign(&account()).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Locked));
    agent.kill();
    let dead = room.client().status().unwrap_err();
    assert!(matches!(dead, strongroom_client::Error::NoAgent { .. }), "{dead:?}");
}
