//! Kills at arbitrary points: the old record or the new one, never half of one, and nothing left over.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use strongroom_softhsm_tests::room::{Room, program};
use strongroom_softhsm_tests::slow::SlowToken;

use crate::keys::{BINANCE, account, value};

/// Two secrets, so that a signature tells which of them the record holds.
const SECRETS: [&str; 2] =
    [BINANCE.secret, "AnotherSecretOfTheSameLength00000000000000000000000000000000000A"];

/// HMAC-SHA256 under either secret over what was signed, by the venue's rule; which of the two fits.
fn which(room: &Room, expected: &[String; 2]) -> usize {
    let signed = room.client().sign(&old_order()).unwrap();
    let signature = value(&signed.url, "signature");
    expected.iter().position(|known| known == signature).unwrap_or_else(|| panic!("a signature by neither"))
}

fn old_order() -> strongroom_client::SignRequest<'static> {
    account().query("timestamp", "1499827319559")
}

#[test]
fn leaves_the_old_record_or_the_new_one_when_an_enrolment_is_killed() {
    let room = crate::keys::room_for_old_times();
    let path = room.record("binance-main");
    let expected = SECRETS.map(|secret| {
        let _ = room.enroll(&strongroom_softhsm_tests::room::Key { secret, ..BINANCE }, &["--replace"]).ok();
        let agent = room.start_unlocked();
        let signed = room.client().sign(&old_order()).unwrap();
        drop(agent);
        value(&signed.url, "signature").to_owned()
    });
    assert_ne!(expected[0], expected[1]);
    for (file, text) in [("pin", room.token.pin.as_str()), ("secret-0", SECRETS[0]), ("secret-1", SECRETS[1])]
    {
        std::fs::write(room.folder().join(file), text).unwrap();
    }
    let mut whole = enrol(&room, 0, None);
    let mut holds = 0;
    let (mut killed, mut changed) = (0, 0);
    let began = Instant::now();
    let mut round = 0_u32;
    while round < 30 || (round < 48 && began.elapsed() < Duration::from_secs(20)) {
        // Points all over the time that one takes, most of them near its end, where it is written. The first are killed
        // as they begin, and one now and then is not.
        let share = match round {
            0..4 => 0.0,
            _ if round.is_multiple_of(3) => f64::from(round % 10) / 10.0,
            _ => 0.7 + f64::from(round % 16) / 40.0,
        };
        let kills = round % 10 != 9;
        let wanted = usize::from(round.is_multiple_of(2));
        let before = std::fs::read(&path).unwrap();
        let took = enrol(&room, wanted, kills.then(|| whole.mul_f64(share)));
        killed += u32::from(took.is_zero());
        if !kills {
            // As busy as the machine is now.
            whole = took;
        }
        let after = std::fs::read(&path).unwrap();
        if before != after {
            changed += 1;
            holds = wanted;
        }
        if round % 4 == 3 {
            let agent = room.start_unlocked();
            assert_eq!(which(&room, &expected), holds, "round {round}");
            assert_eq!(names(&room), ["binance-main.toml"], "the start swept what a kill has left");
            drop(agent);
        }
        round += 1;
    }
    assert!(killed >= 1, "none of {round} was killed");
    assert!(changed >= 1, "none of {round} was written");
}

#[test]
fn sweeps_a_half_written_file_at_the_next_start() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let half = room.data().join("records/.new-Ab3dEf");
    let whole = std::fs::read(room.record("binance-main")).unwrap();
    std::fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    let agent = room.start_unlocked();
    assert_eq!(names(&room), ["binance-main.toml"]);
    assert_eq!(room.client().list().unwrap().len(), 1);
    drop(agent);
}

#[test]
fn leaves_the_old_record_or_the_new_one_when_the_agent_is_killed_while_it_enrols() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let slow = SlowToken::new(&room);
    slow.go_on();
    let mut written = 0;
    for round in 0..10_u64 {
        let agent = room.start_unlocked();
        slow.hold_on();
        let before = std::fs::read(room.record("binance-main")).unwrap();
        std::thread::scope(|scope| {
            let enrolling = scope.spawn(|| room.enroll(&BINANCE, &["--replace"]));
            // Before, the command would find no agent and do it alone.
            slow.wait_for_login();
            // The first is killed in its login.
            if round > 0 {
                slow.go_on();
            }
            std::thread::sleep(Duration::from_millis(9 * round));
            agent.kill();
            slow.go_on();
            let run = enrolling.join().unwrap();
            let after = std::fs::read(room.record("binance-main")).unwrap();
            assert!(run.code() != 0 || before != after, "done, and not written");
            written += u32::from(before != after);
        });
    }
    let _agent = room.start_unlocked();
    assert_eq!(names(&room), ["binance-main.toml"]);
    let _ = room.client().sign(&account()).unwrap();
    assert!(written < 10, "no kill came before the end");
}

/// Runs `strongroom enroll --replace` and kills it after a time; gives the time it took where it was not.
fn enrol(room: &Room, secret: usize, kill_after: Option<Duration>) -> Duration {
    let mut command = Command::new("/bin/sh");
    let script = format!("exec \"$0\" \"$@\" 3<pin 4<secret-{secret}");
    command.arg("-c").arg(script).arg(program("strongroom")).args([
        "enroll",
        BINANCE.name,
        "--venue",
        BINANCE.venue,
        "--key-id",
        BINANCE.key_id,
        "--replace",
        "--allow",
        "*",
        "--pin-fd",
        "3",
        "--secret-fd",
        "4",
    ]);
    room.surround(&mut command);
    command.current_dir(room.folder()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    if let Some(after) = kill_after {
        std::thread::sleep(after);
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => began.elapsed().max(Duration::from_nanos(1)),
        None => Duration::ZERO,
        Some(code) => panic!("exit {code}: {said}"),
    }
}

fn names(room: &Room) -> Vec<String> {
    let entries = std::fs::read_dir(room.data().join("records")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
