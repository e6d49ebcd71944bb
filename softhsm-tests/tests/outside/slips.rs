//! What the command line says to a person who has mistyped something, and what it leaves alone then.

use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::Command;

use strongroom_client::SignRequest;
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, KRAKEN};

fn refused(room: &Room, words: &[&str], code: i32) -> String {
    let run = room.run(words, None, &[]);
    assert_eq!((run.code(), run.stdout.as_str()), (code, ""), "{words:?}: {}", run.stderr);
    run.stderr
}

/// The places come from variables here, and are no options that were given.
#[test]
fn shows_the_usage_of_what_was_typed() {
    let room = Room::bare();
    let said = refused(&room, &["show"], 2);
    assert!(said.contains("\nUsage: strongroom show <NAME>\n"), "{said}");
    let said = refused(&room, &["grant", "learn", "a", "--as", "nobody"], 2);
    assert!(said.contains("'nobody' for '--as <SUBJECT>'"), "{said}");
    let said = refused(&room, &["unlock", "--pin-fd"], 2);
    assert!(said.contains("a value is required for '--pin-fd <N>'"), "{said}");
}

#[test]
fn puts_no_file_into_the_place_of_a_device() {
    let room = Room::new();
    drop(room.start());
    let path = |name: &str| room.folder().join(name).display().to_string();
    let fifo = path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink(&fifo, path("to-fifo")).unwrap();
    for name in ["fifo", "to-fifo", "."] {
        let said = refused(&room, &["audit", "report", "--html", &path(name)], 3);
        assert!(said.starts_with("error: refusing to replace "), "{name}: {said}");
        assert!(said.contains("it is no regular file"), "{name}: {said}");
    }
    assert!(std::fs::metadata(&fifo).unwrap().file_type().is_fifo());
    // The controls: a file, a link to one, which stays a link, and standard output.
    symlink("page.html", path("link.html")).unwrap();
    for name in ["page.html", "link.html"] {
        let _ = room.run(&["audit", "report", "--html", &path(name)], None, &[]).ok();
    }
    assert!(std::fs::symlink_metadata(path("link.html")).unwrap().is_symlink());
    let page = room.run(&["audit", "report", "--html", "-"], None, &[]).ok();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
}

/// A configuration may be a link into a folder that is kept under version control.
#[test]
fn keeps_a_configuration_that_is_a_link() {
    let room = Room::new();
    let real = room.folder().join("kept.toml");
    std::fs::rename(room.config(), &real).unwrap();
    symlink(&real, room.config()).unwrap();
    let _ = room.run(&["venue", "skew", "kraken", "-250"], None, &[]).ok();
    assert!(std::fs::symlink_metadata(room.config()).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("kraken = -250"));
}

#[test]
fn reads_no_grants_without_an_end() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let said = refused(&room, &["grant", "edit", KRAKEN.name, "--file", "/dev/zero", "--pin-stdin"], 3);
    assert!(said.contains("/dev/zero cannot be read: it has more than"), "{said}");
}

#[test]
fn learns_from_days_and_weeks() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&SignRequest::new(BINANCE.name, "GET", "/api/v3/account")).unwrap();
    for back in ["90s", "30m", "1h", "7d", "4w"] {
        let learnt = room.run(&["grant", "learn", BINANCE.name, "--for", back], None, &[]).ok();
        assert!(learnt.starts_with("# From 1 allowed requests since "), "{back}: {learnt}");
    }
    for back in ["", "7", "x", "-1h", "1y"] {
        let _ = refused(&room, &["grant", "learn", BINANCE.name, &format!("--for={back}")], 2);
    }
}

/// A time without a zone would be read as the beginning of its day.
#[test]
fn refuses_a_time_without_a_zone() {
    let room = Room::new();
    drop(room.start());
    for since in ["2020-11-21T09:30:00", "2020-11-21 09:30"] {
        let said = refused(&room, &["audit", "show", "--since", since], 2);
        assert!(said.contains("2026-11-21T09:30:00Z (with its zone)"), "{said}");
    }
    for since in ["2020-11-21", "2020-11-21T09:30:00Z", "2020-11-21T09:30:00+01:00", "2h"] {
        let shown = room.run(&["audit", "show", "--since", since, "--kind", "start"], None, &[]).ok();
        assert_eq!(shown.lines().count(), 1, "{since}: {shown}");
    }
    let none = room.run(&["audit", "show", "--credential", "nobody"], None, &[]);
    assert_eq!((none.code(), none.stdout.as_str(), none.stderr.as_str()), (0, "", "no line is like that\n"));
}

#[test]
fn names_what_a_parameter_lacks() {
    let room = Room::bare();
    let said = refused(&room, &["sign", "a", "GET", "/", "-q", "=5"], 3);
    assert!(said.starts_with("error: `=5` has no name before the `=`\nhint: "), "{said}");
    let said = refused(&room, &["sign", "a", "GET", "/", "-q", "five"], 3);
    assert!(said.starts_with("error: `five` is no parameter\nhint: "), "{said}");
}

#[test]
fn refuses_two_things_by_one_descriptor() {
    let room = Room::new();
    let enroll = ["enroll", "new", "--venue", "kraken", "--key-id", "K"];
    for (options, said) in [
        (
            &["--secret-fd", "3", "--pin-fd", "3"][..],
            "the secret and the PIN cannot both come by descriptor 3",
        ),
        (&["--secret-fd", "0", "--pin-stdin"], "the secret and the PIN cannot both come by standard input"),
        (
            &["--grants", "-", "--secret-stdin"],
            "the grants and the secret cannot both come by standard input",
        ),
    ] {
        let told = refused(&room, &[&enroll, options].concat(), 3);
        assert!(told.starts_with(&format!("error: {said}\nhint: open a descriptor for each")), "{told}");
    }
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let told = refused(&room, &["grant", "edit", KRAKEN.name, "--file", "-", "--pin-stdin"], 3);
    assert!(told.starts_with("error: the grants and the PIN cannot both come by standard input"), "{told}");
}
