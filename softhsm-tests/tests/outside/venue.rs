//! `strongroom venue`: profiles without an agent, a token or a network, and the console of the how-to.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, account, edit, value};

const PAGE: &str = include_str!("../../../docs/how-to/add-a-venue.md");

/// Runs the program in `folder`, with nothing that a room has.
fn venue(folder: &Path, words: &[&str]) -> Output {
    Command::new(strongroom_softhsm_tests::room::program("strongroom"))
        .arg("venue")
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The profile of the how-to.
fn profile() -> &'static str {
    let (_, after) = PAGE.split_once("```toml title=\"tidepool.toml\"\n").unwrap();
    after.split_once("```").unwrap().0
}

/// What the how-to shows below `command`.
fn shown(command: &str) -> String {
    let (_, after) = PAGE.split_once(&format!("$ {command}\n")).unwrap_or_else(|| panic!("{command}"));
    after.split_once("```").unwrap().0.trim_end().to_owned()
}

#[test]
fn checks_the_venue_of_the_how_to_as_its_console_shows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tidepool.toml", profile());
    write("mistake.toml", &profile().replace("ts = \"ms\"", "ts = \"millis\""));
    write("overclaims.toml", &profile().replace("{method}", "{method|cut:.*}"));

    let good = venue(folder.path(), &["check", "tidepool.toml"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert_eq!(text(&good.stdout).trim_end(), shown("strongroom venue check tidepool.toml"));
    assert_eq!(text(&good.stderr), "");

    let mistake = venue(folder.path(), &["check", "mistake.toml"]);
    assert_eq!(mistake.status.code(), Some(3));
    assert!(text(&mistake.stderr).starts_with(&shown("strongroom venue check mistake.toml")));

    let overclaims = venue(folder.path(), &["check", "overclaims.toml"]);
    assert_eq!(overclaims.status.code(), Some(3));
    assert_eq!(text(&overclaims.stderr).trim_end(), shown("strongroom venue check overclaims.toml"));

    let missing = venue(folder.path(), &["check", "none.toml"]);
    assert_eq!(missing.status.code(), Some(4));
}

#[test]
fn lists_and_shows_what_ships() {
    let folder = tempfile::tempdir().unwrap();
    let listed = venue(folder.path(), &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.len() >= 43 && ids.contains(&"kraken"), "{ids:?}");
    let table = text(&venue(folder.path(), &["list"]).stdout);
    assert_eq!(table.lines().count(), ids.len() + 1);

    let shown = venue(folder.path(), &["show", "htx", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["rules"][1]["covers"], "path");
    assert_eq!(shown["rules"][1]["found"], "path");

    // What it prints is a profile.
    let toml = venue(folder.path(), &["show", "okx", "--toml"]);
    std::fs::write(folder.path().join("okx.toml"), &toml.stdout).unwrap();
    assert_eq!(venue(folder.path(), &["check", "okx.toml"]).status.code(), Some(0));
    let unknown = venue(folder.path(), &["show", "nowhere"]);
    assert_eq!(unknown.status.code(), Some(4));
    assert!(text(&unknown.stderr).contains("there is no venue `nowhere`"));
}

/// Timestamps are the venue's: by its skew, and only by its own.
#[test]
fn gives_times_by_the_clock_of_a_venue_that_is_off() {
    let room = Room::new();
    let skew = |words: &[&str]| room.run(&[&["venue", "skew"], words].concat(), None, &[]);
    for (wrong, code) in [(["binance", "60001"], 2), (["nowhere", "5"], 4)] {
        assert_eq!(skew(&wrong).code(), code, "{wrong:?}");
    }
    let _ = room.enroll(&BINANCE, &[]).ok();
    let ahead_ms = || {
        let _agent = room.start_unlocked();
        let url = room.client().sign(&account()).unwrap().url;
        let given: i64 = value(&url, "timestamp").parse().unwrap();
        given - jiff::Timestamp::now().as_millisecond()
    };
    assert!((-9_000..=9_000).contains(&ahead_ms()), "the control");
    let comment = "# kept";
    edit(&room.config(), |text| format!("{comment}\n{text}"));
    let _ = skew(&["kraken", "-60000"]).ok();
    let _ = skew(&["binance", "-30000"]).ok();
    assert!((-39_000..=-21_000).contains(&ahead_ms()));
    assert_eq!(skew(&["--json"]).json(), serde_json::json!({ "binance": -30_000, "kraken": -60_000 }));
    let _ = skew(&["binance", "0"]).ok();
    assert!((-9_000..=9_000).contains(&ahead_ms()));
    assert!(std::fs::read_to_string(room.config()).unwrap().starts_with(comment));
}
