//! What lies in the place of a file of the data folder, and is none: a pipe would be waited for without end, and a
//! device has no end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::room::{Key, Room};

use crate::budgets::{order, room as with_a_budget};
use crate::keys::{KRAKEN, balance};

/// Makes something at a path.
type Thing = fn(&Path);

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

fn zeros(path: &Path) {
    symlink("/dev/zero", path).unwrap();
}

/// Larger than any of ours, and without a byte on the disk.
fn huge(path: &Path) {
    fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
}

/// Two credentials that have signed, so that every file of theirs is there, and an agent that has ended.
fn room() -> Room {
    let room = with_a_budget();
    let _ = room.enroll(&Key { name: "kraken-two", ..KRAKEN }, &[]).ok();
    let agent = room.start_unlocked();
    let _ = room.client().sign(&order()).unwrap();
    let _ = room.client().sign(&second()).unwrap();
    let _ = agent.terminate();
    room
}

fn second() -> SignRequest<'static> {
    SignRequest::new("kraken-two", "POST", "/0/private/Balance")
}

/// One credential's file is that one's trouble: everything else goes on.
#[test]
fn serves_others_where_a_credentials_file_is_a_pipe_a_device_or_without_end() {
    let room = room();
    let places: [(&str, Thing); 5] = [
        ("records/kraken-main.toml", pipe),
        ("nonces/kraken-main.toml", zeros),
        ("budgets/kraken-main.toml", pipe),
        ("records/kraken-main.toml", huge),
        ("budgets/kraken-main.toml", zeros),
    ];
    for (file, makes) in places {
        let path = room.data().join(file);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        makes(&path);
        let agent = room.start_unlocked();
        let refused = room.client().sign(&order()).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Unavailable), "{file}: {refused}");
        let said = refused.to_string();
        assert!(
            said.contains("it is no regular file") || said.contains("it has more than 16 MiB"),
            "{file}: {said}"
        );
        let _ = room.client().sign(&second()).unwrap_or_else(|error| panic!("{file}: {error}"));
        drop(agent);
        fs::remove_file(&path).unwrap();
        fs::write(&path, kept).unwrap();
        let _agent = room.start_unlocked();
        let _ = room.client().sign(&order()).unwrap_or_else(|error| panic!("the control, {file}: {error}"));
    }
}

/// What belongs to all stops all of it, with a message.
#[test]
fn says_which_file_of_all_credentials_is_none_and_signs_nothing() {
    let room = room();
    let floors = fs::read_dir(room.data().join("floors")).unwrap().next().unwrap().unwrap().path();
    for path in [floors, room.data().join("removed.toml")] {
        let kept = fs::read(&path).ok();
        if kept.is_some() {
            fs::remove_file(&path).unwrap();
        }
        pipe(&path);
        let agent = room.start();
        let unlock = room.unlock();
        assert_eq!(unlock.code(), 7, "{}", unlock.stderr);
        let said = format!("reading {}: it is no regular file", path.display());
        assert!(unlock.stderr.contains(&said), "{}", unlock.stderr);
        assert_eq!(room.client().sign(&balance()).unwrap_err().code(), Some(ErrorCode::Locked));
        drop(agent);
        fs::remove_file(&path).unwrap();
        if let Some(kept) = kept {
            fs::write(&path, kept).unwrap();
        }
    }
    for name in ["lock", "audit/head.toml"] {
        let path = room.data().join(name);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        pipe(&path);
        let started = room.run(&["agent"], None, &[]);
        assert_eq!(started.code(), 7, "{name}: {}", started.stderr);
        fs::remove_file(&path).unwrap();
        fs::write(&path, kept).unwrap();
    }
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&order()).expect("the control");
}
