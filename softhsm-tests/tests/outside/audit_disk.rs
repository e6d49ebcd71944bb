//! The audit log and its disk, from outside: one that is full, and one that is slow.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, wait_until};
use strongroom_softhsm_tests::room::Room;
use strongroom_softhsm_tests::settings::set;

use crate::audit::{canonical, folder, holds, lines, order, room, signed_hashes, verify};
use crate::keys::{account, edit};

#[test]
fn stops_signing_while_the_disk_is_full_and_goes_on_by_itself() {
    if !is_root_or_skip("mounting a small file system") {
        return;
    }
    let (room, mount) = full_room();
    let agent = room.start_unlocked();
    let client = room.client();
    let (mut got, mut refused) = (HashSet::new(), None);
    for at in 0..10_000 {
        // Many at once, so that a line is cut in the middle.
        let orders: Vec<_> = (0..16).map(|i| order(&format!("d{at}-{i}"))).collect();
        let answers = client.sign_many(&orders);
        got.extend(answers.iter().flatten().map(canonical));
        refused = answers.into_iter().find_map(Result::err);
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("the disk is full at some time");
    assert_eq!(refused.code(), Some(ErrorCode::Unavailable), "{refused}");
    let said = refused.to_string();
    assert!(
        said.starts_with("nothing is signed, because the audit log cannot be written: writing the audit log"),
        "{said}"
    );
    assert!(said.contains("No space left on device"), "{said}");
    assert!(refused.hint().contains("then signing goes on by itself"), "{}", refused.hint());
    let status = client.status().unwrap();
    assert_eq!((status.pid, status.locked), (agent.pid(), false), "all else is answered");
    // Where one line has room still, it goes on for a moment.
    wait_until("there is room for no line at all", SOON, || {
        std::thread::sleep(Duration::from_millis(100));
        let signed = client.sign(&order("last"));
        got.extend(signed.iter().map(canonical));
        signed.is_err() && client.sign(&account()).is_err()
    });

    assert_eq!(client.status().unwrap().weaknesses, ["audit_stopped"]);

    std::fs::remove_file(folder(&room).join("ballast")).unwrap();
    wait_until("it signs again", SOON, || match client.sign(&order("again")) {
        Ok(signed) => {
            got.insert(canonical(&signed));
            true
        }
        Err(_) => false,
    });
    assert!(agent.terminate().success());
    holds(&room);
    let lines = lines(&room);
    let gap = lines.iter().find(|line| line["kind"] == "gap").expect("a line that tells of the gap");
    assert!(gap["lost"]["sign"].as_u64().unwrap() > 0, "{gap}");
    assert!(gap["cause"].as_str().unwrap().contains("No space left"), "{gap}");
    let written = signed_hashes(&room);
    assert!(got.len() > 100 && got.is_subset(&written), "every signature that left has its line");
    drop(mount);
}

/// A file system of 256 KiB, half of which a file fills.
struct Mount(PathBuf);

impl Mount {
    fn small(at: PathBuf) -> Self {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
            .arg(&at)
            .status();
        assert!(mounted.unwrap().success(), "a tmpfs at {}", at.display());
        std::fs::write(at.join("ballast"), vec![0; 128 * 1024]).unwrap();
        Self(at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn waits_for_the_disk_where_the_configuration_asks_for_it() {
    const DELAY: Duration = Duration::from_secs(10);
    let signed_within = |durability: &str| {
        let room = room();
        if durability != "group" {
            let to = format!("durability = \"{durability}\"");
            edit(&room.config(), |text| text.replace("durability = \"group\"", &to));
        }
        let agent = room.start_unlocked();
        let _ = room.client().sign(&account()).unwrap();
        // Every sync takes so long from now on.
        let delay = format!("inject=fdatasync:delay_enter={}", DELAY.as_micros());
        let mut strace = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &delay])
            .args(["-p", &agent.pid().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It says so when it has them all.
        let (mut said, mut says) = (String::new(), BufReader::new(strace.stderr.take().unwrap()));
        let _ = says.read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{said}");
        let began = Instant::now();
        let _ = room.client().sign(&order("sync")).unwrap();
        let took = began.elapsed();
        let _ = strace.kill();
        let _ = strace.wait();
        // Not before: it may have more to say.
        drop(says);
        drop(agent);
        holds(&room);
        took
    };
    let group = signed_within("group");
    assert!(group < DELAY, "the control: nobody waits: {group:?}");
    let sync = signed_within("sync");
    assert!(sync >= DELAY, "{sync:?}");
}

/// A room whose log is on a file system of its own, which is full.
fn full_room() -> (Room, Mount) {
    let room = room();
    std::fs::rename(folder(&room), room.folder().join("before")).unwrap();
    std::fs::create_dir(folder(&room)).unwrap();
    let mount = Mount::small(folder(&room));
    for file in std::fs::read_dir(room.folder().join("before")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder(&room).join(file.file_name())).unwrap();
    }
    (room, mount)
}

/// Takes all the room that is left, down to the last page.
fn fill(room: &Room) {
    let ballast = std::fs::OpenOptions::new().append(true).open(folder(room).join("ballast")).unwrap();
    while std::io::Write::write(&mut &ballast, &[0; 4096]).is_ok_and(|written| written > 0) {}
}

#[test]
fn signs_the_log_of_an_agent_that_was_unlocked_on_a_full_disk_as_soon_as_there_is_room() {
    if !is_root_or_skip("mounting a small file system") {
        return;
    }
    let (room, _mount) = full_room();
    set(&room, "audit", "checkpoint_s", "1");
    for session in ["the key is new", "the key is there"] {
        let agent = room.start();
        fill(&room);
        let _ = room.unlock().ok();
        let weaknesses = || room.client().status().unwrap().weaknesses;
        assert!(weaknesses().contains(&"audit_unsigned".to_owned()), "{session}: {:?}", weaknesses());
        let metrics = || room.run(&["metrics"], None, &[]).ok();
        assert!(metrics().contains("\nstrongroom_audit_unsigned 1\n"), "{session}: {}", metrics());
        let doctor = room.run(&["doctor", "--json"], None, &[]).stdout;
        assert!(doctor.contains("the audit log gets no checkpoints"), "{session}: {doctor}");
        assert!(agent.log().contains("it is tried again"), "{session}: {}", agent.log());

        std::fs::write(folder(&room).join("ballast"), vec![0; 128 * 1024]).unwrap();
        wait_until("the token's word is written", SOON, || weaknesses().is_empty());
        let _ = room.client().sign(&order(session)).unwrap();
        assert!(metrics().contains("\nstrongroom_audit_unsigned 0\n"), "{session}");
        let unsigned = || {
            let (code, told) = verify(&room, &[]);
            assert_eq!(code, 0, "{session}: {told}");
            told["lines"].as_u64().unwrap() - told["signed"].as_u64().unwrap()
        };
        wait_until("the order is signed too", SOON, || unsigned() == 1);
        agent.kill();
        holds(&room);
        assert_ne!(verify(&room, &[]).1["token_signed"], 0, "{session}");
    }
}
