//! Kills while grants are changed: the old record or the new one, never none, and one that opens.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use strongroom_softhsm_tests::room::{Room, program};
use strongroom_softhsm_tests::slow::SlowToken;

use crate::keys::{BINANCE, account};

/// Two lists of grants, of which each lets this user do everything.
const IDS: [&str; 2] = ["first", "second"];

fn room() -> Room {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let uid = rustix::process::geteuid().as_raw();
    for id in IDS {
        let text = format!("[[grant]]\nid = \"{id}\"\nto = \"user:{uid}\"\nallow = [\"*\"]\n");
        std::fs::write(room.folder().join(format!("{id}.toml")), text).unwrap();
    }
    std::fs::write(room.folder().join("pin"), &room.token.pin).unwrap();
    room
}

/// Changes the grants to those of `id`, and kills the command after a time. Says whether it was killed.
fn change(room: &Room, id: &str, kill_after: Option<Duration>) -> bool {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" \"$@\" 3<pin"]).arg(program("strongroom"));
    command.args(["grant", "edit", "binance-main", "--pin-fd", "3", "--file"]).arg(format!("{id}.toml"));
    room.surround(&mut command);
    command.current_dir(room.folder()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let Some(after) = kill_after {
        std::thread::sleep(after);
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    match output.status.code() {
        Some(0) => false,
        None => true,
        Some(code) => panic!("exit {code}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Which of the lists the record has, and of which revision it is.
fn held(room: &Room) -> (String, u64) {
    let listed = room.run(&["grant", "list", "binance-main", "--json"], None, &[]).json();
    let id = listed[0]["grants"][0]["id"].as_str().unwrap().to_owned();
    (id, listed[0]["revision"].as_u64().unwrap())
}

#[test]
fn leaves_the_old_grants_or_the_new_ones_when_a_change_is_killed() {
    let room = room();
    let began = Instant::now();
    assert!(!change(&room, IDS[0], None));
    let whole = began.elapsed();
    let (mut killed, mut before) = (0, held(&room));
    for round in 0..30_usize {
        let wanted = IDS[(round + 1) % 2];
        // All over the time that one takes, most of them near its end, where it is written. One is not killed.
        let share = match round {
            0 => 0.0,
            _ if round.is_multiple_of(3) => f64::from(u32::try_from(round).unwrap()) / 30.0,
            _ => 0.7 + f64::from(u32::try_from(round % 16).unwrap()) / 40.0,
        };
        killed += u32::from(change(&room, wanted, (round != 1).then(|| whole.mul_f64(share))));
        let after = held(&room);
        if after != before {
            assert_eq!(after, (wanted.to_owned(), before.1 + 1), "round {round}");
        }
        before = after;
        if round % 5 == 4 {
            let agent = room.start_unlocked();
            let _ = room.client().sign(&account()).unwrap_or_else(|error| panic!("round {round}: {error}"));
            drop(agent);
        }
    }
    assert!(killed >= 1, "the first is killed before it begins");
    assert!(before.1 >= 2, "one is never killed");
}

#[test]
fn leaves_the_old_grants_or_the_new_ones_when_the_agent_is_killed_meanwhile() {
    let room = room();
    let slow = SlowToken::new(&room);
    slow.go_on();
    for round in 0..8_u32 {
        let agent = room.start_unlocked();
        slow.hold_on();
        let before = held(&room);
        let wanted = IDS[usize::from(before.0 == IDS[0])];
        std::thread::scope(|scope| {
            let changing = scope.spawn(|| {
                let file = room.folder().join(format!("{wanted}.toml"));
                let arguments =
                    ["grant", "edit", "binance-main", "--pin-fd", "3", "--file", file.to_str().unwrap()];
                room.run(&arguments, None, &[(3, &room.token.pin)])
            });
            // Before, the command would find no agent and do it alone.
            slow.wait_for_login();
            slow.go_on();
            std::thread::sleep(Duration::from_millis(9) * round);
            agent.kill();
            let run = changing.join().unwrap();
            let after = held(&room);
            assert!(run.code() != 0 || after.0 == wanted, "done, and not written");
            assert!(after == before || after == (wanted.to_owned(), before.1 + 1), "{after:?}");
        });
    }
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
}
