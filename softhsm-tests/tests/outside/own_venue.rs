//! Profiles of the user's own: what a key signs is what it was enrolled for, whatever becomes of the file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::room::{Key, Room, program};

use crate::keys::{BINANCE, account, edit, header};
use crate::records::assert_like;

const TIDEPOOL: Key<'static> = Key {
    name: "tidepool-main",
    venue: "tidepool",
    key_id: "tp-1",
    secret: "tidepool tests only: this opens nothing",
    passphrase: None,
};

/// A venue whose signature has no time in it, so that it is the same each time.
const PROFILE: &str = r#"
profile = "tidepool"
name = "Tidepool"
hosts = ["https://api.tidepool.example", "https://test.tidepool.example"]
covers = "full"
sign = { alg = "hmac-sha256", message = "{method}{path}{query|q}{body}" }
attach = { headers = { "TP-KEY" = "{key}", "TP-SIGN" = "{sig}" } }
actions = { rules = [{ action = "read", method = "GET", path = '/v1/' }] }
"#;

/// The same with another signed text.
fn edited() -> String {
    PROFILE.replace("{method}{path}", "{method} {path}")
}

fn file(room: &Room) -> PathBuf {
    room.config().with_file_name("venues").join("tidepool.toml")
}

fn put(room: &Room, name: &str, text: &str) {
    let path = file(room).with_file_name(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn room() -> Room {
    let room = Room::new();
    put(&room, "tidepool.toml", PROFILE);
    room
}

fn orders() -> SignRequest<'static> {
    SignRequest::new("tidepool-main", "GET", "/v1/orders").query("state", "open")
}

/// The signature of one request.
fn signature(room: &Room) -> String {
    header(&room.client().sign(&orders()).unwrap().headers, "TP-SIGN").to_owned()
}

/// Names in the folder of copies.
fn copies(room: &Room) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(room.data().join("profiles"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn repin(room: &Room, more: &[&str]) -> strongroom_softhsm_tests::room::Run {
    let words = [&["venue", "repin", "tidepool-main", "--pin-stdin"], more].concat();
    room.run(&words, Some(&room.token.pin), &[])
}

#[test]
fn signs_by_the_text_of_the_enrolment_until_it_is_moved_on() {
    let room = room();
    let run = room.enroll(&TIDEPOOL, &["--allow", "read"]);
    assert_like(&run.stderr, "it signs by *venues/tidepool.toml as it is now*", "what enrolling says");
    let _ = run.ok();
    assert_eq!(copies(&room).len(), 1);
    let agent = room.start_unlocked();
    let before = signature(&room);
    let shown = |words: &[&str]| room.run(words, None, &[]);
    assert_like(&shown(&["show", "tidepool-main"]).ok(), "*profile:*tidepool.toml is now*", "current");

    std::fs::write(file(&room), edited()).unwrap();
    assert_eq!(signature(&room), before, "a running agent");
    drop(agent);
    let agent = room.start_unlocked();
    assert_eq!(signature(&room), before, "a fresh agent");
    let older = "signs by an older text of *venues/tidepool.toml; `strongroom venue repin tidepool-main`*";
    assert_like(&shown(&["show", "tidepool-main"]).ok(), &format!("*{older}"), "show");
    assert_like(&shown(&["doctor"]).stdout, &format!("*{older}"), "doctor");
    let listed = shown(&["venue", "list"]);
    assert_like(&listed.stderr, &format!("warning: tidepool-main {older}"), "venue list");
    let listed = shown(&["venue", "list", "--json"]).json();
    let mine = listed.as_array().unwrap().iter().find(|one| one["id"] == "tidepool").unwrap();
    assert_eq!(mine["credentials"][0]["current"], false);
    let run = room.enroll(&TIDEPOOL, &["--allow", "read"]);
    assert_eq!(run.code(), 9, "{}", run.stderr);

    let dry = repin(&room, &["--dry-run"]);
    assert_like(
        &dry.stdout,
        "*how requests are written has changed\n- sign = *{method}{path}*\n+ sign = *{method} {path}*",
        "a dry run",
    );
    assert_eq!(signature(&room), before, "a dry run changes nothing");
    let _ = repin(&room, &[]).ok();
    let after = signature(&room);
    assert_ne!(after, before);
    assert_eq!(copies(&room).len(), 1, "the older copy is gone");
    let again = repin(&room, &[]);
    assert_like(&again.stderr, "nothing was changed*", "a second time");
    drop(agent);
    let agent = room.start_unlocked();
    assert_eq!(signature(&room), after);
    let log = shown(&["audit", "show", "--kind", "repin", "--json"]).ok();
    let pinned = copies(&room)[0].replace(".toml", "");
    assert!(log.contains(&pinned), "{log}");

    // Without the file it signs on.
    std::fs::remove_file(file(&room)).unwrap();
    drop(agent);
    let agent = room.start_unlocked();
    assert_eq!(signature(&room), after);
    assert_like(&shown(&["doctor"]).stdout, "*no more to be had*", "doctor");
    let _ = room.run(&["remove", "tidepool-main", "--yes"], None, &[]).ok();
    assert!(copies(&room).is_empty(), "{:?}", copies(&room));
    drop(agent);
}

#[test]
fn moves_a_credential_on_without_an_agent() {
    let room = room();
    let _ = room.enroll(&TIDEPOOL, &["--allow", "read"]).ok();
    let first = copies(&room);
    std::fs::write(file(&room), edited()).unwrap();
    let _ = repin(&room, &[]).ok();
    assert!(copies(&room) != first && copies(&room).len() == 1);
    let agent = room.start_unlocked();
    let _ = signature(&room);
    drop(agent);
    let _ = room.run(&["remove", "tidepool-main", "--yes"], None, &[]).ok();
    assert!(copies(&room).is_empty());
}

#[test]
fn closes_a_credential_whose_copy_was_tampered_with_or_is_gone() {
    let room = room();
    for key in [&TIDEPOOL, &BINANCE] {
        let _ = room.enroll(key, &["--allow", "*"]).ok();
    }
    let path = room.data().join("profiles").join(&copies(&room)[0]);
    let fault = |said: &str| {
        let agent = room.start_unlocked();
        let told = room.client().show("tidepool-main").unwrap().fault;
        assert_like(&told, said, "the fault");
        if said.is_empty() {
            let _ = signature(&room);
        } else {
            let refused = room.client().sign(&orders()).unwrap_err();
            assert_eq!(refused.code(), Some(ErrorCode::Unavailable));
            assert_like(&room.run(&["doctor"], None, &[]).stdout, &format!("*{told}*"), "doctor");
        }
        let _ = room.client().sign(&account()).unwrap();
        drop(agent);
    };
    fault("");
    edit(&path, |text| text.replace("GET", "POST"));
    fault(
        "the copy of the profile that it signs by, */profiles/*.toml, was changed; `strongroom venue repin tidepool-main`*",
    );
    std::fs::write(&path, PROFILE).unwrap();
    fault("");
    std::fs::remove_file(&path).unwrap();
    fault(
        "the copy of the profile that it signs by, */profiles/*.toml, is not there; `strongroom venue repin tidepool-main`*",
    );
    // The remedy that it names.
    let agent = room.start_unlocked();
    let run = repin(&room, &[]);
    assert_like(&run.stdout, "what it signs by now cannot be shown: *", "what repin says");
    let _ = run.ok();
    let _ = signature(&room);
    drop(agent);
    fault("");
    // A hash in the record is authenticated like the rest of it.
    edit(&room.record("tidepool-main"), |text| {
        text.lines().filter(|line| !line.starts_with("profile = ")).collect::<Vec<_>>().join("\n")
    });
    fault("there is no venue `tidepool`");
}

#[test]
fn opens_no_record_that_was_pinned_to_another_copy() {
    let room = room();
    let _ = room.enroll(&TIDEPOOL, &["--allow", "read"]).ok();
    let second = Key { name: "tidepool-two", ..TIDEPOOL };
    put(&room, "tidepool.toml", &edited());
    let _ = room.enroll(&second, &["--allow", "read"]).ok();
    let pin = |name: &str| {
        let text = std::fs::read_to_string(room.record(name)).unwrap();
        text.lines().find(|line| line.starts_with("profile = ")).unwrap().to_owned()
    };
    let (one, two) = (pin("tidepool-main"), pin("tidepool-two"));
    assert_ne!(one, two);
    edit(&room.record("tidepool-main"), |text| text.replace(&one, &two));
    let agent = room.start_unlocked();
    let fault = room.client().show("tidepool-main").unwrap().fault;
    assert_eq!(fault, "the record does not open: it was edited, damaged, or swapped with another");
    assert!(room.client().show("tidepool-two").unwrap().ready, "the control");
    drop(agent);
}

#[test]
fn refuses_a_file_that_may_not_be_enrolled_by() {
    let room = room();
    let refused = |venue: &str, code: i32, said: &str| {
        let run = room.enroll(&Key { venue, ..TIDEPOOL }, &["--allow", "read"]);
        assert_eq!(run.code(), code, "{}{}", run.stdout, run.stderr);
        assert_like(&run.stderr, said, venue);
    };
    // A name that ships, in the place where it would count.
    put(&room, "binance.toml", &PROFILE.replace("\"tidepool\"", "\"binance\""));
    refused(
        "binance",
        3,
        "error: refusing `binance`: */binance.toml has the name of a profile that ships*binance-mine*",
    );
    put(&room, "alpaca.toml", &PROFILE.replace("\"tidepool\"", "\"alpaca\""));
    refused("alpaca", 3, "error: refusing `alpaca`: */alpaca.toml has the name of a profile that ships*");
    put(&room, "other.toml", PROFILE);
    refused(
        "other",
        3,
        "error: */other.toml holds the profile `tidepool`\nhint: call the file tidepool.toml\n",
    );
    put(&room, "broken.toml", "profile = \"broken\"\n[sign]\nalg = \"hmac-sha1\"\n");
    refused("broken", 3, "error: */broken.toml:3:7: `alg` cannot be `hmac-sha1`*");
    put(&room, "hostless.toml", &PROFILE.replace("\"tidepool\"", "\"hostless\"").replace("hosts", "#hosts"));
    refused("hostless", 3, "error: */hostless.toml names no host*");
    let claims = PROFILE.replace("\"tidepool\"", "\"claims\"").replace("{method}", "{method|cut:.*}");
    put(&room, "claims.toml", &claims);
    refused("claims", 3, "error: */claims.toml:*:* claims to bind more than it signs: *");
    refused("../tidepool", 4, "error: there is no venue `../tidepool`*");
    refused(
        "nowhere",
        4,
        "error: there is no venue `nowhere`\nhint: the venues are: *, tidepool; a profile of yours goes into */venues\n",
    );
    let listed = room.run(&["venue", "list"], None, &[]);
    for name in ["binance", "other", "broken", "alpaca"] {
        assert!(listed.stderr.contains(&format!("{name}.toml")), "{name}: {}", listed.stderr);
    }

    let open = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&file(&room), 0o666);
    refused("tidepool", 3, "error: refusing */tidepool.toml: every user can change it (mode 0666)*");
    open(&file(&room), 0o660);
    refused("tidepool", 3, "error: refusing */tidepool.toml: its group can change it (mode 0660)*");
    open(&file(&room), 0o644);
    open(file(&room).parent().unwrap(), 0o777);
    refused("tidepool", 3, "error: refusing */venues: every user can change it (mode 0777)*");
    open(file(&room).parent().unwrap(), 0o755);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(file(&room), Some(65_534), None).unwrap();
        refused("tidepool", 3, "error: refusing */tidepool.toml: it belongs to user 65534*");
        std::os::unix::fs::chown(file(&room), Some(0), None).unwrap();
    }
    assert!(!room.data().join("profiles").exists(), "nothing was written");
    let _ = room.enroll(&TIDEPOOL, &["--allow", "read"]).ok();
    let agent = room.start_unlocked();
    let _ = signature(&room);
    drop(agent);
}

#[test]
fn refuses_to_move_on_to_what_does_not_go_with_the_key_or_its_grants() {
    let room = room();
    let _ = room.enroll(&TIDEPOOL, &["--allow", "read"]).ok();
    let agent = room.start_unlocked();
    let before = signature(&room);
    for (what, text, said) in [
        (
            "algorithm",
            PROFILE.replace("hmac-sha256", "hmac-sha512"),
            "error: the key would be used in another way: *",
        ),
        (
            "host",
            PROFILE.replace("https://api.tidepool.example", "https://www.tidepool.example"),
            "error: https://api.tidepool.example is no host of tidepool\nhint: its hosts are: https://www.*; name one with --base-url\n",
        ),
        (
            "uid",
            PROFILE.replace("\"{key}\"", "\"{key}{uid}\""),
            "error: requests to tidepool carry an account id\n*",
        ),
        (
            "grants",
            PROFILE.replace("covers = \"full\"", "covers = \"none\""),
            "error: refusing grants that *",
        ),
        ("no profile", "profile = 1".to_owned(), "error: */tidepool.toml:1:11: *"),
        (
            "length",
            PROFILE.replace("[sign]", "").replace("sign =", "secret = { min_bytes = 64 }\nsign ="),
            "error: *secret*",
        ),
    ] {
        put(&room, "tidepool.toml", &text);
        let run = repin(&room, &[]);
        assert_eq!(run.code(), 3, "{what}: {}{}", run.stdout, run.stderr);
        assert_like(&run.stderr, said, what);
        assert_eq!(signature(&room), before, "{what}");
        assert_eq!(copies(&room).len(), 1, "{what}");
    }
    put(
        &room,
        "tidepool.toml",
        &PROFILE.replace("https://api.tidepool.example", "https://www.tidepool.example"),
    );
    let run = repin(&room, &["--base-url", "https://www.tidepool.example"]);
    assert_like(
        &run.stdout,
        "hosts: *its host: https://api.tidepool.example -> https://www.tidepool.example\n*",
        "",
    );
    let _ = run.ok();
    assert!(room.client().sign(&orders()).unwrap().url.starts_with("https://www.tidepool.example/"));
    drop(agent);
}

#[test]
fn leaves_a_record_with_its_copy_or_neither_when_an_enrolment_is_killed() {
    let room = room();
    for (name, text) in [("pin", room.token.pin.as_str()), ("secret", TIDEPOOL.secret)] {
        std::fs::write(room.folder().join(name), text).unwrap();
    }
    let enrol = |kill_after: Option<Duration>| {
        let script = "exec \"$0\" enroll tidepool-main --venue tidepool --key-id tp-1 --allow read --replace --pin-fd 3 \
                      --secret-fd 4 3<pin 4<secret";
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(program("strongroom")).current_dir(room.folder());
        room.surround(&mut command);
        let began = Instant::now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if let Some(after) = kill_after {
            std::thread::sleep(after);
            let _ = child.kill();
        }
        let _ = child.wait().unwrap();
        began.elapsed()
    };
    let whole = enrol(None);
    let mut texts = [PROFILE.to_owned(), edited()].into_iter().cycle();
    for round in 0..16_u32 {
        std::fs::write(file(&room), texts.next().unwrap()).unwrap();
        enrol(Some(whole.mul_f64(0.6 + f64::from(round) / 32.0)));
        let record = std::fs::read_to_string(room.record("tidepool-main")).unwrap();
        let pinned = record.lines().find_map(|line| line.strip_prefix("profile = ")).unwrap();
        let pinned = format!("{}.toml", pinned.trim_matches('"'));
        assert!(copies(&room).contains(&pinned), "round {round}: {pinned} is not among {:?}", copies(&room));
    }
    let agent = room.start_unlocked();
    let _ = signature(&room);
    drop(agent);
    // As a kill between copy and record leaves it.
    let stray = room.data().join("profiles").join(format!("{}.toml", "0".repeat(64)));
    std::fs::write(&stray, "").unwrap();
    // Where a record cannot be read, it may be the one that needs it.
    std::fs::write(room.record("unread"), "format = 9").unwrap();
    enrol(None);
    assert!(stray.exists());
    std::fs::remove_file(room.record("unread")).unwrap();
    enrol(None);
    assert_eq!(copies(&room).len(), 1, "what a kill has left is swept by what comes after it");
}

#[test]
fn says_why_keys_that_are_sent_as_they_are_are_not_enrolled() {
    let room = room();
    for venue in ["alpaca", "luno", "bitteam", "blockchaincom", "onetrading", "mudrex"] {
        let run = room.enroll(&Key { venue, ..TIDEPOOL }, &[]);
        assert_eq!(run.code(), 3, "{}", run.stderr);
        assert_like(
            &run.stderr,
            "error: refusing *takes key and secret as they are*send mode*https://*",
            venue,
        );
    }
    let own = PROFILE
        .replace("alg = \"hmac-sha256\", message = \"{method}{path}{query|q}{body}\"", "alg = \"static\"");
    put(&room, "tidepool.toml", &own.replace("{sig}", "{secret}"));
    let run = room.enroll(&TIDEPOOL, &[]);
    assert_like(
        &run.stderr,
        "error: refusing Tidepool: it takes key and secret as they are*",
        "of one's own",
    );
    let listed = room.run(&["venue", "list"], None, &[]).ok();
    assert!(
        listed.lines().any(|line| line.starts_with("alpaca") && line.ends_with("send mode only")),
        "{listed}"
    );
    let shown = room.run(&["venue", "show", "alpaca", "--json"], None, &[]).json();
    assert_eq!(shown["send_mode_only"], true);
}
