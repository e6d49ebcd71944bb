//! The PIN by a pinentry program: scripts that answer as a test wants it, and the real ones of Debian.

use std::collections::BTreeSet;
use std::process::Command;

use strongroom_scanner::{Class, Dump, Needles};
use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::process::{
    SOON, is_root_or_skip, wait_until, waits_for_more_than_input, write_script,
};
use strongroom_softhsm_tests::room::{Agent, Room, Run, children, program};
use strongroom_softhsm_tests::softhsm::FreshToken;
use strongroom_softhsm_tests::terminal::Terminal;

use crate::keys::BINANCE;

/// A locked agent on a mock token.
fn locked(pin: &'static str) -> (Room, Mock, Agent) {
    let (mut token, mock) = Mock::token();
    pin.clone_into(&mut token.pin);
    mock.set_pin(pin);
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start();
    mock.forget_calls();
    (room, mock, agent)
}

/// Writes a pinentry that logs what it is told, and answers GETPIN by these lines of shell.
fn fake(room: &Room, getpin: &str) -> String {
    fake_with(room, "echo 'OK Pleased to meet you'", getpin)
}

fn fake_with(room: &Room, greeting: &str, getpin: &str) -> String {
    let path = room.folder().join("pinentry");
    let log = log(room);
    let script = format!(
        "#!/bin/sh\nls -l /proc/$$/fd > '{log}.fds'\n{greeting}\nwhile read -r line; do\necho \"$line\" >> '{log}'\n\
         case \"$line\" in\nGETPIN) {getpin};;\n'OPTION grab') echo 'ERR 83886254 Unknown option';;\nBYE) echo OK; exit;;\n*) echo OK;;\nesac\ndone\n"
    );
    write_script(&path, &script);
    path.display().to_string()
}

fn log(room: &Room) -> String {
    room.folder().join("pinentry.log").display().to_string()
}

fn unlock(room: &Room, program: &str) -> Run {
    room.run(&["unlock", "--pinentry", program], None, &[])
}

#[test]
fn takes_the_pin_as_the_protocol_spells_it() {
    let (room, _mock, _agent) = locked("12%34\r5");
    for getpin in [
        "printf 'D 12%%2534%%0D5\\nOK\\n'",
        // A line that comes in pieces, two lines of data, and what may stand between.
        "printf 'D 12%%'; sleep 0.2; printf '2534%%0d'; sleep 0.2; printf '5\\nOK\\n'",
        "printf 'S PASSWORD_FROM_CACHE\\n# a comment\\nD 12%%25\\nS\\nD 34%%0D5\\nOK closing\\n'",
    ] {
        let program = fake(&room, getpin);
        let run = unlock(&room, &program);
        assert!(run.status.success(), "{getpin}: {}", run.stderr);
        room.client().lock().unwrap();
    }
    let told = std::fs::read_to_string(log(&room)).unwrap();
    for line in [
        "SETTITLE Strongroom",
        &format!("SETDESC PIN%20of%20token%20`mock`%20(serial%20{})", room.token.serial),
        "SETPROMPT PIN:",
        "GETPIN",
    ] {
        let spaced = line.replace("%20", " ");
        assert!(told.lines().any(|told| told == spaced), "{line}: {told}");
    }
}

#[test]
fn tells_the_person_what_the_token_says() {
    let (room, mock, _agent) = locked("123456");
    mock.set_wrong_pins(1);
    let program = fake(&room, "printf 'D 123456\\nOK\\n'");
    let _ = unlock(&room, &program).ok();
    let told = std::fs::read_to_string(log(&room)).unwrap();
    assert!(told.contains("%0AA wrong PIN was entered since the last right one."), "{told}");
}

#[test]
fn tries_nothing_where_no_pin_comes() {
    let (room, mock, _agent) = locked("123456");
    for (getpin, said) in [
        ("echo 'ERR 83886179 Operation cancelled <Pinentry>'", "the PIN dialogue was cancelled"),
        ("echo 'ERR 83886142 Timeout <Pinentry>'", "nobody has entered the PIN in time"),
        (
            "echo 'ERR 83886340 No display <Pinentry>'",
            "the pinentry program refuses: No display <Pinentry> (83886340)",
        ),
        ("exit 1", "the pinentry program ended in the middle of the dialogue"),
        ("printf 'D 1234'; exit 0", "the pinentry program ended in the middle of the dialogue"),
        ("kill -KILL $$", "the pinentry program ended in the middle of the dialogue"),
        ("echo hello", "the pinentry program does not speak its protocol: an answer that is none"),
        (
            "printf 'D 12%%4'; printf '\\nOK\\n'",
            "the pinentry program does not speak its protocol: a wrong escape",
        ),
        (
            "head -c 2000 /dev/zero | tr '\\0' 1; echo",
            "the pinentry program does not speak its protocol: a line of more than 1000 bytes",
        ),
        (
            "printf 'D '; head -c 300 /dev/zero | tr '\\0' 1; echo; echo OK",
            "the pinentry program does not speak its protocol: a PIN of more than 255 bytes",
        ),
        ("yes S", "the pinentry program does not speak its protocol: an answer without an end"),
    ] {
        let program = fake(&room, getpin);
        let refused = unlock(&room, &program);
        assert_eq!(refused.code(), 3, "{getpin}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("error: {said}")), "{getpin}: {}", refused.stderr);
        assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
    }
    let missing = unlock(&room, "/nowhere/pinentry");
    assert!(
        missing.stderr.contains("the pinentry program /nowhere/pinentry cannot be started"),
        "{}",
        missing.stderr
    );
    assert_eq!(mock.logins(), 0);
    // No PIN at all is no try either.
    let program = fake(&room, "echo OK");
    let refused = unlock(&room, &program);
    assert!(refused.stderr.contains("no PIN came: it is empty"), "{}", refused.stderr);
    assert_eq!((mock.logins(), mock.wrong_pins()), (0, 0));
}

#[test]
fn gives_up_a_pinentry_that_hangs() {
    let (room, _mock, _agent) = locked("123456");
    let program = fake_with(&room, "trap '' TERM; while :; do sleep 1; done", "exit");
    let refused = unlock(&room, &program);
    assert!(refused.stderr.contains("the pinentry program did not answer within 10 s"), "{}", refused.stderr);
}

#[test]
fn gives_a_pinentry_no_descriptors_but_its_pipes() {
    let (room, _mock, _agent) = locked("123456");
    let program = fake(&room, "printf 'D 123456\\nOK\\n'");
    let run = room.run(
        &[
            "enroll",
            "other",
            "--venue",
            "binance",
            "--key-id",
            "k",
            "--secret-fd",
            "4",
            "--pinentry",
            &program,
        ],
        None,
        &[(4, BINANCE.secret), (9, "another secret")],
    );
    let _ = run.ok();
    let open = std::fs::read_to_string(format!("{}.fds", log(&room))).unwrap();
    assert_eq!(open.matches("pipe:").count(), 2, "{open}");
    assert!(!open.contains("fd-4") && !open.contains("fd-9") && !open.contains("socket:"), "{open}");
}

#[test]
fn is_configured_once_and_named_otherwise_for_one_command() {
    let (room, _mock, _agent) = locked("123456");
    let program = fake(&room, "printf 'D 123456\\nOK\\n'");
    let config = std::fs::read_to_string(room.config()).unwrap();
    std::fs::write(
        room.config(),
        config.replace("[agent]\n", &format!("[agent]\npinentry = \"{program}\"\n")),
    )
    .unwrap();
    let _ = room.run(&["unlock"], None, &[]).ok();
    room.client().lock().unwrap();
    let mut person = at_terminal(&room, &["unlock", "--pinentry", "none"], |_| {});
    person.wait_for("PIN of token ");
    person.type_line("123456");
    let (shown, status) = person.end();
    assert!(status.success(), "{shown}");
}

#[test]
fn is_found_in_a_graphical_session_only() {
    let (room, _mock, _agent) = locked("123456");
    let found = fake(&room, "printf 'D 123456\\nOK\\n'");
    let path = format!("{}:/usr/bin:/bin", room.folder().display());
    for (variables, asks_here) in [
        (&[("DISPLAY", ":7")][..], false),
        (&[("WAYLAND_DISPLAY", "wayland-0")], false),
        (&[], true),
        (&[("DISPLAY", "")], true),
        (&[("DISPLAY", "localhost:10.0"), ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")], true),
    ] {
        let mut person = at_terminal(&room, &["unlock"], |command| {
            command.env("PATH", &path).envs(variables.iter().copied());
        });
        if asks_here {
            person.wait_for("PIN of token ");
            person.type_line("123456");
        }
        let (shown, status) = person.end();
        assert!(status.success(), "{variables:?}: {shown}");
        assert_eq!(shown.contains("PIN of token "), asks_here, "{variables:?}: {shown}");
        room.client().lock().unwrap();
    }
    drop(found);
}

/// Waits until a pinentry has drawn its dialogue, has set up the terminal and reads keys: those that come before it
/// throws away.
fn wait_for_keys(person: &Terminal, pinentry: &str) {
    let reads =
        || children(person.pid(), pinentry).first().is_some_and(|pid| waits_for_more_than_input(*pid));
    wait_until("it reads keys", SOON, || !person.echoes() && reads());
}

#[test]
fn works_with_the_real_pinentry_of_a_terminal() {
    let (room, mock, _agent) = locked("123456");
    // It asks on the terminal whose name it is told, and shows nothing.
    for program in ["pinentry-tty", "pinentry-curses"] {
        let path = format!("/usr/bin/{program}");
        assert!(std::path::Path::new(&path).is_file(), "install {program}");
        let mut person = at_terminal(&room, &["unlock", "--pinentry", &path], |command| {
            command.env("TERM", "xterm").env("LANG", "C.UTF-8");
        });
        person.wait_for("PIN of token `mock`");
        person.wait_for("PIN:");
        wait_for_keys(&person, program);
        person.press(b"123456\r");
        let (shown, status) = person.end();
        assert!(status.success(), "{program}: {shown}");
        assert!(!shown.contains("123456"), "{program}: {shown}");
        room.client().lock().unwrap();

        let mut person = at_terminal(&room, &["unlock", "--pinentry", &path], |command| {
            command.env("TERM", "xterm").env("LANG", "C.UTF-8");
        });
        person.wait_for("PIN:");
        wait_for_keys(&person, program);
        person.press(b"\x03");
        let (shown, status) = person.end();
        assert!(!status.success(), "{program}: {shown}");
        assert!(room.client().status().unwrap().locked, "{program}: {shown}");
    }
    assert_eq!((mock.logins(), mock.wrong_pins()), (2, 0));
}

#[test]
fn leaves_no_pin_in_the_memory_of_the_command() {
    if !is_root_or_skip("reading the memory of the command line") {
        return;
    }
    const PIN: &str = "Xk7wQ2nB9vLr4TzMhC5sYd8GpJe3FaRu";
    let (token, mock) = Mock::token();
    mock.set_pin(PIN);
    let room = Room::with(FreshToken { pin: PIN.to_owned(), ..token });
    // The memory is looked at while the token is waited for.
    let _ = room.init(&["--patience", "15"]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start();
    let mut needles = Needles::new();
    needles.secret(Class::Pin, "PIN", PIN.as_bytes());
    needles.secret(Class::Nonce, "control", b"Vn4yTq8KzRb2WxLm");
    // In two lines, of which one is held while the other does not come.
    let go_on = room.folder().join("go-on");
    let (first, second) = PIN.split_at(PIN.len() - 1);
    let program = fake(
        &room,
        &format!(
            "printf 'D {first}\\n'; while ! [ -e {} ]; do sleep 0.05; done; printf 'D {second}\\nOK\\n'",
            go_on.display()
        ),
    );
    mock.set(&[Fault::new("C_Login", 0, "hang")]);
    mock.forget_calls();
    let person = at_terminal(&room, &["unlock", "--pinentry", &program], |command| {
        // It hands its environment on to the pinentry, so it holds that.
        command.env("LC_CONTROL", "Vn4yTq8KzRb2WxLm");
    });
    let found = || {
        let hits = needles.hits(&Dump::of_memory(person.pid()).unwrap());
        let of: BTreeSet<_> = hits.keys().map(|(needle, _)| needle.of.clone()).collect();
        Vec::from_iter(of)
    };
    let asked = || std::fs::read_to_string(log(&room)).is_ok_and(|told| told.contains("GETPIN"));
    wait_until("the PIN is asked for", SOON, asked);
    for _ in 0..20 {
        assert_eq!(found(), ["control"]);
    }
    std::fs::write(go_on, "").unwrap();
    wait_until("the token is asked", SOON, || mock.logins() == 1);
    assert_eq!(found(), ["control"]);
    let (shown, status) = person.end();
    assert!(!status.success() && shown.contains("did not answer within 15 s"), "{shown}");
}

fn at_terminal(room: &Room, words: &[&str], more: impl FnOnce(&mut Command)) -> Terminal {
    let program = program("strongroom").display().to_string();
    Terminal::start(&[&[program.as_str()], words].concat(), |command| {
        room.surround(command);
        more(command);
    })
}
