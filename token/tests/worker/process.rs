//! The process itself: how it starts, what it sees, how it ends.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use strongroom_link::token::{Rung, TokenRefusal};
use strongroom_softhsm_tests::softhsm::FreshToken;

use crate::front::{Answer, Front, WORKER, receive};

#[test]
fn prints_its_version() {
    let output = Command::new(WORKER).arg("--version").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success());
    let line = format!("strongroom-token {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), line);
}

#[test]
fn refuses_to_be_started_by_a_person() {
    let started = |arguments: &[&str]| {
        let output = Command::new(WORKER).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert!(output.stdout.is_empty());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, talk) = started(&[]);
    assert_eq!(code, Some(2));
    assert_eq!(
        talk,
        "strongroom-token: standard input is no unix stream socket: `strongroom` starts this program, people do not\n"
    );
    let (code, talk) = started(&["--help"]);
    assert_eq!(code, Some(2));
    assert!(talk.starts_with("strongroom-token: takes no arguments but --version"), "{talk}");
}

#[test]
fn sees_exactly_the_environment_that_it_was_given() {
    let token = FreshToken::new("ledger");
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    let environment = std::fs::read(format!("/proc/{}/environ", front.child.id()));
    match environment {
        Ok(bytes) => {
            let expected = format!("SOFTHSM2_CONF={}\0", token.conf.display());
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
        // The process may not be dumped, so that only root reads this of it.
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            assert!(!geteuid().is_root());
        }
    }
}

#[test]
fn ends_quietly_with_its_front() {
    let token = FreshToken::new("ledger");
    let front = Front::start(&token);
    let (status, talk) = front.end();
    assert_eq!((status.code(), talk.as_str()), (Some(0), ""));
}

#[test]
fn refuses_a_malformed_frame_with_one_line_and_ends() {
    for (case, bytes) in [
        ("a lying length", &[0xFF; 4][..]),
        ("no question", &[0, 0, 0, 0]),
        ("an unknown question", &[9, 0, 0, 0, 99, 1, 0, 0, 0, 0, 0, 0, 0]),
        (
            "an open without its descriptor",
            &[22, 0, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ] {
        let (mut socket, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(WORKER)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        socket.write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{case}");
        assert!(
            talk.starts_with("strongroom-token: refusing to go on: malformed message on the private wire: "),
            "{case}: {talk}"
        );
        assert_eq!(talk.lines().count(), 1, "{case}");
    }
}

#[test]
fn answers_questions_in_order_when_several_wait() {
    use strongroom_link::frame::{Inbox, send_all};
    use strongroom_link::token::{FromToken, ToToken};

    let token = FreshToken::new("ledger");
    let front = Front::start(&token);
    let mut bytes = Vec::new();
    let module = token.module.to_str().unwrap();
    for job in [70, 3, 9] {
        ToToken::Tokens { job, module }.encode(&mut bytes);
        ToToken::MakeKek { job, label: "kek" }.encode(&mut bytes);
    }
    send_all(&front.socket, &bytes, &[]).unwrap();
    let (mut inbox, mut jobs) = (Inbox::default(), Vec::new());
    while jobs.len() < 6 {
        assert_ne!(receive(&mut inbox, &front.socket), 0);
        while let Some(frame) = inbox.take().unwrap() {
            jobs.push(FromToken::decode(frame).unwrap().job());
        }
    }
    assert_eq!(jobs, [70, 70, 3, 3, 9, 9]);
}

#[test]
fn says_that_the_seed_port_is_closed_when_the_keeper_is_gone() {
    let token = FreshToken::new("ledger");
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    let kek = front.make("kek");
    front.lose_the_keeper();
    let answer = front.ask(|job| strongroom_link::token::ToToken::Protect { job, kek, rung: Rung::AesGcm });
    assert_eq!(answer, Answer::Refused(TokenRefusal::SeedPort));
}
