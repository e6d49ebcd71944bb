//! The copy of the audit log that the system's journal gets.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use strongroom_softhsm_tests::process::is_root_or_skip;
use strongroom_softhsm_tests::room::{Room, program};
use strongroom_softhsm_tests::settings::set;

use crate::keys::{BINANCE, account};

/// What the test itself sends to the journal when the agent has ended.
const OVER: &[u8] = b"over";

/// Gives the agent a `/run` of its own, in which the journal's folder is one of the test's.
const SCRIPT: &str = r#"mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal \
                        && exec "$0" agent"#;

#[test]
fn copies_each_line_of_the_audit_log_to_the_journal() {
    if !is_root_or_skip("standing in for the system's journal") {
        return;
    }
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let folder = room.folder().join("journal");
    std::fs::create_dir(&folder).unwrap();
    let journal = UnixDatagram::bind(folder.join("socket")).unwrap();
    // It is read all the while: the kernel keeps ten messages for one that does not read.
    let copied_while = |work: &dyn Fn()| -> Vec<Vec<u8>> {
        let read = || {
            let (mut space, mut copied) = (vec![0; 65_536], Vec::new());
            loop {
                match journal.recv(&mut space) {
                    Ok(count) if space[..count] == *OVER => break copied,
                    Ok(count) => copied.push(space[..count].to_vec()),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
                }
            }
        };
        std::thread::scope(|scope| {
            let reading = scope.spawn(read);
            work();
            let _ = UnixDatagram::unbound().unwrap().send_to(OVER, folder.join("socket")).unwrap();
            reading.join().unwrap()
        })
    };
    for on in [false, true] {
        set(&room, "audit", "journald", if on { "true" } else { "false" });
        let mut command = Command::new("unshare");
        command.args(["--mount", "/bin/sh", "-c", SCRIPT]).arg(program("strongroom")).arg(&folder);
        let before = numbers(&room);
        let command = std::cell::RefCell::new(command);
        let copied = copied_while(&|| {
            let agent = room.start_command(command.replace(Command::new("true")));
            let _ = room.unlock().ok();
            let _ = room.client().sign(&account()).unwrap();
            assert!(agent.terminate().success());
        });
        // The control: nothing is copied where nobody asked for it.
        assert_eq!(!copied.is_empty(), on);
        if !on {
            continue;
        }
        let mut told = BTreeSet::new();
        for datagram in copied {
            let text = String::from_utf8(datagram).unwrap();
            let rest = text.strip_prefix("MESSAGE=").unwrap();
            let line = rest.strip_suffix("\nPRIORITY=6\nSYSLOG_IDENTIFIER=strongroom-audit\n").unwrap();
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(told.insert(line["seq"].as_u64().unwrap()), "{line} came twice");
        }
        let written: BTreeSet<u64> = numbers(&room).difference(&before).copied().collect();
        assert_eq!(told, written, "every line of the log, and no other");
        assert!(written.len() >= 4, "start, unlock, sign, stop: {written:?}");
    }
}

/// The numbers of all lines of the log.
fn numbers(room: &Room) -> BTreeSet<u64> {
    let lines = room.run(&["audit", "show", "--json"], None, &[]).json();
    lines.as_array().unwrap().iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}
