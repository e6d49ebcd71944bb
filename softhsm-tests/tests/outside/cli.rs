//! The command line: exit codes, `--json`, and what works without an agent.

use serde_json::{Value, json};
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, KRAKEN, edit};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}

const CREDENTIAL: [&str; 16] = [
    "accept_unbound",
    "algorithm",
    "base_url",
    "custody",
    "enrolled",
    "fault",
    "grants",
    "honey",
    "key_id",
    "name",
    "profile",
    "ready",
    "revision",
    "rung",
    "token_serial",
    "venue",
];
const STATUS: [&str; 16] = [
    "admins",
    "checkpoint",
    "credentials",
    "keeper_pid",
    "locked",
    "pid",
    "principal",
    "protection",
    "ready",
    "reason",
    "rung",
    "since",
    "token_label",
    "token_serial",
    "version",
    "weaknesses",
];

#[test]
fn prints_json_with_stable_keys_for_every_data_command() {
    let room = Room::bare();
    let told = room.init(&["--json"]).json();
    assert_eq!(
        keys(&told),
        ["admins", "audit_key", "config", "kek_id", "kek_label", "rung", "token_label", "token_serial"]
    );
    let told = room.enroll(&BINANCE, &["--json"]).json();
    assert_eq!(told, json!({ "enrolled": "binance-main", "venue": "binance" }));
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let agent = room.start();
    let run = |words: &[&str]| room.run(words, Some(&room.token.pin), &[]).json();

    let told = run(&["status", "--json"]);
    assert_eq!(keys(&told), STATUS);
    assert_eq!((&told["locked"], &told["pid"]), (&json!(true), &json!(agent.pid())));
    assert_eq!(told["keeper_pid"], Value::Null);
    assert_eq!(told["reason"], "it has not been unlocked since it was started");
    assert_eq!(
        run(&["unlock", "--pin-stdin", "--json"]),
        json!({ "locked": false, "ready": 2, "credentials": 2 })
    );
    let told = run(&["status", "--json"]);
    assert_eq!(
        (&told["locked"], &told["ready"], &told["weaknesses"]),
        (&json!(false), &json!(2), &json!([]))
    );
    assert_eq!(told["token_serial"], room.token.serial.as_str());

    let told = run(&["list", "--json"]);
    let listed = told.as_array().unwrap();
    assert_eq!(
        listed.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["binance-main", "kraken-main"]
    );
    for one in listed {
        assert_eq!(keys(one), CREDENTIAL);
    }
    let told = run(&["show", "binance-main", "--json"]);
    assert_eq!(&told, &listed[0]);
    let at = told["enrolled"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at.duration_until(jiff::Timestamp::now()).as_secs() < 600);
    let mut told = told;
    told["enrolled"] = Value::Null;
    assert_eq!(
        told,
        json!({
            "name": "binance-main", "venue": "binance", "key_id": BINANCE.key_id, "base_url": "https://api.binance.com",
            "algorithm": "hmac-sha256", "custody": "keeper", "rung": "aes-gcm", "token_serial": room.token.serial,
            "enrolled": null, "ready": true, "fault": "", "revision": 1, "grants": 1, "accept_unbound": [], "honey": false,
            "profile": ""
        })
    );
    for words in [
        &["sign", "binance-main", "GET", "/api/v3/account"][..],
        &["sign", "binance-main", "GET", "/api/v3/account", "--json"],
    ] {
        let told = run(words);
        assert_eq!(keys(&told), ["body", "headers", "method", "url"]);
        assert_eq!((&told["method"], &told["body"]), (&json!("GET"), &json!("")));
    }
    assert_eq!(run(&["remove", "kraken-main", "--yes", "--json"]), json!({ "removed": "kraken-main" }));
    assert_eq!(run(&["lock", "--json"]), json!({ "locked": true }));
    // Errors are talk: nothing stands on standard output.
    let refused = room.run(&["show", "kraken-main", "--json"], None, &[]);
    assert_eq!((refused.code(), refused.stdout.as_str()), (4, ""));
}

#[test]
fn locks_and_unlocks() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let sign = || room.run(&["sign", "binance-main", "GET", "/api/v3/account"], None, &[]);
    let _ = sign().ok();
    assert_eq!(room.run(&["lock"], None, &[]).ok(), "locked: no secret is in memory\n");
    let locked = sign();
    assert_eq!(locked.code(), 5);
    assert_eq!(
        locked.stderr,
        "error: the agent is locked: a client locked it\nhint: run `strongroom unlock`\n"
    );
    assert_eq!(room.run(&["lock"], None, &[]).code(), 0, "locking twice is no error");
    assert_eq!(room.run(&["status"], None, &[]).code(), 0);
    let listed = room.run(&["list"], None, &[]).ok();
    assert!(listed.contains("the agent is locked"), "{listed}");
    assert_eq!(room.unlock().ok(), "unlocked: 1 of 1 credentials can sign\n");
    let _ = sign().ok();
    // Unlocked already: no PIN is read, so a wrong one does no harm.
    assert_eq!(room.run(&["unlock", "--pin-stdin"], Some("wrong"), &[]).code(), 0);
}

#[test]
fn lists_and_shows_without_an_agent_what_is_on_the_disk() {
    let room = Room::new();
    let empty = room.run(&["list"], None, &[]);
    assert_eq!((empty.code(), empty.stdout.as_str()), (0, ""));
    assert_eq!(empty.stderr, "there are no credentials; `strongroom enroll` makes one\n");
    assert_eq!(room.run(&["list", "--json"], None, &[]).json(), json!([]));
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    edit(&room.record("kraken-main"), |text| text.replace("format = 2", "format = 9"));
    let listed = room.run(&["list", "--json"], None, &[]).json();
    assert_eq!((&listed[0]["ready"], &listed[0]["fault"]), (&json!(false), &json!("no agent is running")));
    assert_eq!(listed[0]["key_id"], BINANCE.key_id);
    let fault = listed[1]["fault"].as_str().unwrap();
    assert!(fault.ends_with("has format 9, and this strongroom reads format 2 only"), "{fault}");
    let shown = room.run(&["show", "binance-main"], None, &[]).ok();
    for fact in ["name:      binance-main\n", "venue:     binance\n", "host:      https://api.binance.com\n"]
    {
        assert!(shown.contains(fact), "{shown}");
    }
    assert_eq!(room.run(&["show", "nobody"], None, &[]).code(), 4);
}

#[test]
fn removes_a_credential_with_and_without_an_agent() {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    let unasked = room.run(&["remove", "binance-main"], Some("binance-main\n"), &[]);
    assert_eq!(unasked.code(), 3, "a pipe is nobody who can be asked");
    assert!(room.record("binance-main").exists());
    let removed = room.run(&["remove", "binance-main", "--yes"], None, &[]);
    assert_eq!(removed.ok(), "removed binance-main; revoke its key at the venue too\n");
    assert!(!room.record("binance-main").exists());
    assert_eq!(room.run(&["remove", "binance-main", "--yes"], None, &[]).code(), 4);

    let _agent = room.start_unlocked();
    let _ = room.client().sign(&crate::keys::balance()).unwrap();
    let _ = room.run(&["remove", "kraken-main", "--yes"], None, &[]).ok();
    let refused = room.client().sign(&crate::keys::balance()).unwrap_err();
    assert_eq!(refused.code(), Some(strongroom_client::ErrorCode::NotFound));
    assert!(!room.record("kraken-main").exists());
}

#[test]
fn leaves_the_data_folder_to_a_running_agent() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start();
    // By another socket the agent is not found, but its data folder is in use.
    let elsewhere = room.folder().join("other.sock").display().to_string();
    for words in [
        &["--socket", &elsewhere, "remove", "binance-main", "--yes"][..],
        &["--socket", &elsewhere, "agent"],
        &[
            "--socket",
            &elsewhere,
            "enroll",
            "b",
            "--venue",
            "binance",
            "--key-id",
            "K",
            "--pin-fd=3",
            "--secret-fd=4",
        ],
    ] {
        let run = room.run(words, None, &[(3, &room.token.pin), (4, BINANCE.secret)]);
        assert_eq!(run.code(), 7, "{}", run.stderr);
        let said = format!("error: another process works on {}\n", room.data().display());
        assert!(run.stderr.starts_with(&said), "{}", run.stderr);
    }
    assert!(room.record("binance-main").exists());
}

#[test]
fn explains_itself_to_a_newcomer() {
    let room = Room::bare();
    let help = room.run(&["--help"], None, &[]).ok();
    for command in
        ["init", "enroll", "agent", "unlock", "lock", "sign", "status", "list", "show", "remove", "install"]
    {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        let own = room.run(&[command, "--help"], None, &[]).ok();
        assert!(own.contains(&format!("Usage: strongroom {command}")), "{own}");
    }
    for step in [
        "strongroom init",
        "strongroom enroll",
        "strongroom agent",
        "strongroom unlock",
        "Exit codes: 0 done",
    ] {
        assert!(help.contains(step), "{step}: {help}");
    }
    assert_eq!(
        room.run(&["--version"], None, &[]).ok(),
        format!("strongroom {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn finds_its_places_by_xdg_and_by_options() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let home = room.folder().join("home");
    let at = |below: &str, from: &std::path::Path| {
        let to = home.join(below);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    at(".config/strongroom/strongroom.toml", &room.config());
    at(".local/share/strongroom/records/binance-main.toml", &room.record("binance-main"));
    let list = |variables: &[(&str, &std::path::Path)]| {
        let mut command = std::process::Command::new(strongroom_softhsm_tests::room::program("strongroom"));
        command.args(["list", "--json"]).env_clear().envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len()
    };
    let relative = std::path::Path::new("relative");
    assert_eq!(list(&[("HOME", &home)]), 1);
    assert_eq!(list(&[("HOME", &home), ("XDG_DATA_HOME", room.folder())]), 0);
    assert_eq!(list(&[("HOME", &home), ("XDG_DATA_HOME", relative)]), 1, "relative paths are ignored");
    assert_eq!(list(&[("HOME", room.folder()), ("STATE_DIRECTORY", &room.data())]), 1);
    assert_eq!(list(&[("HOME", &home), ("STRONGROOM_DATA", room.folder())]), 0);
    assert_eq!(list(&[("HOME", room.folder()), ("STRONGROOM_DATA", &room.data())]), 1);
}
