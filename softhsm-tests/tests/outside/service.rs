//! Under a service manager: socket activation, notifications, the PIN as a credential, and the units.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::{Agent, Room, children, program, signal};

use crate::keys::{BINANCE, account, copy_program};

/// An agent with more in its environment.
fn start_with(room: &Room, more: &[(&str, &str)]) -> Agent {
    let settings: Vec<String> = more.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("{} exec \"$0\" agent", settings.join(" "))).arg(program("strongroom"));
    room.start_command(shell)
}

#[test]
fn starts_at_the_first_request_of_a_client_by_socket_activation() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    std::fs::create_dir(room.folder().join("run")).unwrap();
    let mut command = Command::new("systemd-socket-activate");
    let variables = ["STRONGROOM_CONFIG", "STRONGROOM_DATA", "HOME"].map(|name| format!("--setenv={name}"));
    command.arg("-l").arg(room.socket()).args(variables).arg(program("strongroom")).arg("agent");
    room.surround(&mut command);
    let mut activator = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("it listens", SOON, || room.listens());
    assert_eq!(children(activator.id(), "strongroom"), [0; 0]);
    let exe = std::fs::read_link(format!("/proc/{}/exe", activator.id())).unwrap();
    assert!(exe.ends_with("systemd-socket-activate"), "nothing of ours runs before");

    // The activator becomes the agent, so its process id is the agent's.
    let status = room.client().with_deadline(SOON).status().unwrap();
    assert_eq!((status.pid, status.locked), (activator.id(), true));
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
    signal(activator.id(), rustix::process::Signal::TERM);
    assert!(activator.wait().unwrap().success());
    assert!(room.socket().exists(), "the socket is the service manager's");
}

#[test]
fn tells_the_service_manager_when_it_is_ready_alive_and_stopping() {
    let room = Room::new();
    let path = room.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let hear = || told(&socket, SOON).expect("it tells");
    let agent = start_with(&room, &[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "2000000")]);
    assert_eq!(hear(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    signal(agent.pid(), rustix::process::Signal::TERM);
    let last = std::iter::from_fn(|| Some(hear())).find(|said| said != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
    assert!(agent.terminate().success());
}

#[test]
fn stops_telling_that_it_is_alive_where_it_is_not_asked() {
    let room = Room::new();
    let path = room.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let _agent = start_with(&room, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(told(&socket, SOON).as_deref(), Some("READY=1"));
    assert_eq!(told(&socket, Duration::from_millis(700)), None, "nothing more comes");
}

/// The next message, without the line's end; nothing where none comes in that time.
fn told(socket: &UnixDatagram, patience: Duration) -> Option<String> {
    socket.set_read_timeout(Some(patience)).unwrap();
    let mut bytes = [0; 512];
    loop {
        match socket.recv(&mut bytes) {
            Ok(length) => return Some(String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                return None;
            }
        }
    }
}

#[test]
fn unlocks_with_the_credential_that_the_service_manager_hands_over() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let folder = room.folder().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    for text in [room.token.pin.clone(), format!("{}\n", room.token.pin)] {
        std::fs::write(folder.join("strongroom-pin"), text).unwrap();
        let _agent = start_with(&room, &[("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())]);
        wait_until("the agent is unlocked", SOON, || !room.client().status().unwrap().locked);
        let _ = room.client().sign(&account()).unwrap();
    }
}

#[test]
fn tries_a_wrong_credential_once_and_stays_up_locked() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let folder = room.folder().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    // No time in the log has these letters.
    std::fs::write(folder.join("strongroom-pin"), "wrong-pin").unwrap();
    let agent = start_with(&room, &[("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())]);
    wait_until("the PIN was tried", SOON, || agent.log().contains("the agent stays locked"));
    // Time for a second try, if there were one.
    std::thread::sleep(Duration::from_millis(500));
    let log = agent.log();
    assert_eq!(log.matches("the PIN is wrong; one try of the token's counter is gone").count(), 1, "{log}");
    assert!(!log.contains("wrong-pin"), "{log}");
    assert!(room.client().status().unwrap().locked);
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn tries_no_credential_again_after_a_wrong_one_until_a_person_has_unlocked() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let folder = room.folder().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    let credentials = [("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())];
    let start = |pin: &str| {
        std::fs::write(folder.join("strongroom-pin"), pin).unwrap();
        start_with(&room, &credentials)
    };
    let wrong = start("000000");
    wait_until("the PIN was tried", SOON, || wrong.log().contains("the agent stays locked"));
    wrong.kill();
    // Over restarts and kills not even the right one is tried.
    for pin in ["000000", room.token.pin.as_str()] {
        let agent = start(pin);
        let reason = || room.client().status().unwrap().reason;
        wait_until("it was refused", SOON, || {
            reason().contains("refusing to try the PIN that came by itself")
        });
        assert_eq!(agent.log().matches("the PIN is wrong").count(), 1, "{}", agent.log());
        agent.kill();
    }
    let agent = start(&room.token.pin);
    let _ = room.unlock().ok();
    agent.kill();
    let _agent = start(&room.token.pin);
    wait_until("the agent is unlocked", SOON, || !room.client().status().unwrap().locked);
}

#[test]
fn starts_locked_where_the_service_manager_has_no_pin() {
    let room = Room::new();
    let folder = room.folder().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    let agent = start_with(&room, &[("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())]);
    assert!(room.client().status().unwrap().locked);
    assert!(!agent.log().contains("ERROR"), "{}", agent.log());
}

#[test]
fn unlocks_with_a_descriptor_at_start() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let pin = room.folder().join("pin");
    std::fs::write(&pin, &room.token.pin).unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("exec \"$0\" agent --pin-fd 9 9<\"$1\"").arg(program("strongroom")).arg(&pin);
    let _agent = room.start_command(shell);
    wait_until("the agent is unlocked", SOON, || !room.client().status().unwrap().locked);
}

#[test]
fn prints_and_installs_units_with_its_own_folder() {
    let room = Room::bare();
    let folder = program("strongroom").parent().unwrap().display().to_string();
    let printed = room.run(&["install", "--user", "--print"], None, &[]).ok();
    let units = room.folder().join(".config/systemd/user");
    assert!(!units.exists(), "--print writes nothing");
    let run = room.run(&["install", "--user"], None, &[]);
    let mut both = String::new();
    for name in ["strongroom.service", "strongroom.socket"] {
        let path = units.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("@BINDIR@"), "{text}");
        assert!(run.stdout.contains(&path.display().to_string()), "{}", run.stdout);
        assert!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o022 == 0);
        both.push_str(&format!("# {name}\n{text}\n"));
    }
    assert_eq!(printed, both);
    assert!(both.contains(&format!("ExecStart=\"{folder}/strongroom\" agent")), "{both}");
    assert!(run.stderr.contains("systemctl --user daemon-reload"), "{}", run.stderr);
    // Again: replaced, not refused.
    std::fs::write(units.join("strongroom.socket"), "old").unwrap();
    let _ = room.run(&["install", "--user"], None, &[]).ok();
    assert_ne!(std::fs::read_to_string(units.join("strongroom.socket")).unwrap(), "old");
}

#[test]
fn prints_template_units_for_the_system() {
    let room = Room::bare();
    let printed = room.run(&["install", "--system", "--print"], None, &[]).ok();
    for line in ["# strongroom@.service", "User=%i", "# strongroom@.socket", "SocketUser=%i"] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    assert!(!printed.contains("@BINDIR@"), "{printed}");
}

#[test]
fn refuses_system_units_for_programs_that_their_sandbox_hides() {
    let room = Room::bare();
    let hidden = tempfile::tempdir_in("/tmp").unwrap();
    let copy = copy_program(hidden.path());
    let output =
        Command::new(copy).args(["install", "--system"]).env("HOME", room.folder()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(
        said,
        "error: the system unit cannot start programs below /tmp, which its sandbox hides\n\
         hint: install them into /usr/local/bin first\n"
    );
}

#[test]
fn opens_folders_to_the_module_by_a_drop_in() {
    let room = Room::bare();
    let tokens = room.folder().join("a token's 100% \"own\" folder");
    std::fs::create_dir(&tokens).unwrap();
    let folder = tokens.to_str().unwrap();
    let _ = room.run(&["install", "--user", "--read-write", folder], None, &[]).ok();
    let drop_in = room.folder().join(".config/systemd/user/strongroom.service.d/read-write.conf");
    let text = std::fs::read_to_string(&drop_in).unwrap();
    let escaped = folder.replace('%', "%%").replace('"', "\\\"");
    assert!(text.ends_with(&format!("[Service]\nReadWritePaths=\"{escaped}\"\n")), "{text}");
    // It stays when the units are written anew.
    let _ = room.run(&["install", "--user"], None, &[]).ok();
    assert!(drop_in.exists());

    let run = room.run(&["install", "--user", "--read-write", "/nowhere/tokens"], None, &[]);
    assert_eq!(run.code(), 3, "{}", run.stderr);
    assert!(run.stderr.contains("/nowhere/tokens cannot be opened to the module"), "{}", run.stderr);
}
