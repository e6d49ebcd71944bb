//! What `strongroom doctor` finds: nothing weak where all is well, and each fault that can be provoked.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use strongroom_softhsm_tests::mock::{Mock, TRIES};
use strongroom_softhsm_tests::process::is_root_or_skip;
use strongroom_softhsm_tests::room::{Agent, Room, Run, program};
use strongroom_softhsm_tests::terminal::Terminal;

use crate::keys::{BINANCE, KRAKEN, balance, edit};

/// Something is weaker than the configuration promises.
pub(crate) const WEAK: i32 = 10;

/// What one run of `doctor --json` has found.
pub(crate) struct Findings {
    pub(crate) code: i32,
    pub(crate) report: Value,
}

impl Findings {
    pub(crate) fn of(run: Run) -> Self {
        let code = run.code();
        let report = serde_json::from_str(&run.stdout);
        let report = report.unwrap_or_else(|error| panic!("{error}: {} {}", run.stdout, run.stderr));
        Self { code, report }
    }

    fn checks(&self) -> &[Value] {
        self.report["checks"].as_array().unwrap()
    }

    /// The verdict of the first check of that id, and about that where it is not empty.
    pub(crate) fn verdict(&self, id: &str, about: &str) -> &str {
        let found = self.checks().iter().find(|check| {
            check["id"] == id
                && (about.is_empty() || check["about"].as_str().unwrap_or_default().contains(about))
        });
        found.unwrap_or_else(|| panic!("no {id} about {about:?}: {:#}", self.report))["verdict"]
            .as_str()
            .unwrap()
    }

    /// Ids of all that has a verdict.
    fn all(&self, verdict: &str) -> Vec<&str> {
        self.checks()
            .iter()
            .filter(|check| check["verdict"] == verdict)
            .map(|check| check["id"].as_str().unwrap())
            .collect()
    }

    pub(crate) fn assert_sound(&self, when: &str) {
        assert_eq!(self.all("weak"), [""; 0], "{when}: {:#}", self.report);
        assert_eq!(self.code, 0, "{when}");
    }

    pub(crate) fn assert_weak(&self, ids: &[&str]) {
        assert_eq!(self.all("weak"), ids, "{:#}", self.report);
        assert_eq!(self.code, WEAK);
    }
}

pub(crate) fn doctor(room: &Room) -> Findings {
    Findings::of(room.run(&["doctor", "--json"], None, &[]))
}

pub(crate) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// An installation with two credentials, one of which has used a nonce; unlocked.
pub(crate) fn sound() -> (Room, Agent) {
    let room = Room::new();
    for key in [BINANCE, KRAKEN] {
        let _ = room.enroll(&key, &[]).ok();
    }
    let agent = room.start_unlocked();
    let _ = room.client().sign(&balance()).unwrap();
    (room, agent)
}

#[test]
fn finds_nothing_weak_where_all_is_well() {
    let (room, agent) = sound();
    let unlocked = doctor(&room);
    unlocked.assert_sound("unlocked");
    for (id, about) in [
        ("agent", ""),
        ("programs", ""),
        ("configuration", ""),
        ("configuration-in-force", ""),
        ("core-pattern", ""),
        ("secret-memory", "keeper"),
        ("secret-memory", "token-worker"),
        ("token-worker-guard", ""),
        ("lock-limit", ""),
        ("confinement", "keeper"),
        ("confinement", "guard"),
        ("keeper-guard", ""),
        ("socket", ""),
        ("socket-folder", ""),
        ("configuration-mode", ""),
        ("data-mode", ""),
        ("program-mode", ""),
        ("token", ""),
        ("pin-count", ""),
        ("pin-pad", ""),
        ("pin-latch", ""),
        ("kek", ""),
        ("audit-token-key", ""),
        ("credential", "binance-main"),
        ("credential", "kraken-main"),
        ("clock-set-back", ""),
    ] {
        assert_eq!(unlocked.verdict(id, about), "ok", "{id} {about}: {:#}", unlocked.report);
    }
    for id in [
        "kernel",
        "swap",
        "hibernation",
        "lockdown",
        "yama",
        "landlock",
        "clock-synchronised",
        "admins",
        "separation",
    ] {
        unlocked.verdict(id, "");
    }

    room.client().lock().unwrap();
    let locked = doctor(&room);
    locked.assert_sound("locked");
    assert_eq!(locked.verdict("secret-memory", "keeper"), "ok", "measured by a keeper of its own");
    assert_eq!(locked.verdict("kek", ""), "unknown");
    assert!(agent.children("strongroom-keeper").is_empty(), "the agent was not asked to start one");

    agent.kill();
    let alone = doctor(&room);
    alone.assert_sound("no agent");
    assert_eq!(alone.verdict("agent", ""), "notice");
    for process in ["keeper", "token-worker"] {
        assert_eq!(alone.verdict("secret-memory", process), "ok", "measured by one of its own: {process}");
    }
    assert_eq!(alone.verdict("token-worker-guard", ""), "ok");
    assert_eq!(alone.verdict("credential", "binance-main"), "ok");
}

#[test]
fn gives_programs_what_the_reference_describes() {
    let (room, _agent) = sound();
    let Findings { report, .. } = doctor(&room);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(keys(&report), set(&["checks", "counts", "version", "weak"]));
    assert_eq!(keys(&report["counts"]), set(&["notice", "ok", "unknown", "weak"]));
    assert_eq!(report["weak"], false);
    let reference = include_str!("../../../docs/reference/cli.md");
    let mut counts = BTreeMap::new();
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(keys(check), set(&["about", "advice", "fact", "group", "id", "verdict"]));
        let text = |key: &str| check[key].as_str().unwrap_or_else(|| panic!("{key}: {check}"));
        assert!(text("id").bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{check}");
        assert!(
            reference.contains(&format!("| `{}` |", text("id"))),
            "{} is not in the reference",
            text("id")
        );
        assert!(!text("fact").is_empty() && !text("group").is_empty(), "{check}");
        assert!(text("verdict") != "ok" || text("advice").is_empty(), "{check}");
        assert!(check["about"].is_null() || check["about"].is_string(), "{check}");
        *counts.entry(text("verdict").to_owned()).or_insert(0_u64) += 1;
    }
    for (verdict, count) in report["counts"].as_object().unwrap() {
        assert_eq!(count.as_u64().unwrap(), counts.get(verdict).copied().unwrap_or_default(), "{verdict}");
    }
}

#[test]
fn says_in_words_what_it_gives_programs_and_colours_them_on_a_terminal_only() {
    let (room, _agent) = sound();
    let text = room.run(&["doctor"], None, &[]).ok();
    assert!(
        text.contains("secrets in the keeper lie in memory that root cannot read (memfd_secret)"),
        "{text}"
    );
    assert!(text.contains("\nprocesses\n") && text.trim_end().ends_with("unknown"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let program = program("strongroom").display().to_string();
    let (shown, status) = Terminal::start(&[&program, "doctor"], |command| room.surround(command)).end();
    assert!(status.success() && shown.contains("\u{1b}[32mok"), "{shown}");
    let (shown, _) = Terminal::start(&[&program, "doctor"], |command| {
        room.surround(command);
        command.env("NO_COLOR", "1");
    })
    .end();
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn finds_files_and_sockets_that_are_too_open() {
    let (room, _agent) = sound();
    let record = room.record("binance-main");
    for (path, open, closed, id, verdict) in [
        (room.socket(), 0o666, 0o600, "socket", "weak"),
        (room.socket(), 0o660, 0o600, "socket", "weak"),
        (room.socket().parent().unwrap().to_owned(), 0o777, 0o700, "socket-folder", "weak"),
        (record.clone(), 0o644, 0o600, "data-mode", "weak"),
        (record, 0o620, 0o600, "data-mode", "weak"),
        (room.data(), 0o755, 0o700, "data-mode", "weak"),
        (room.data().join("nonces"), 0o770, 0o700, "data-mode", "weak"),
        (room.config(), 0o644, 0o600, "configuration-mode", "notice"),
        (room.config(), 0o646, 0o600, "configuration-mode", "weak"),
    ] {
        mode(&path, open);
        let found = doctor(&room);
        assert_eq!(found.verdict(id, ""), verdict, "{} {open:o}", path.display());
        if verdict == "weak" {
            found.assert_weak(&[id]);
        }
        mode(&path, closed);
    }
    doctor(&room).assert_sound("closed again");
}

#[test]
fn finds_what_belongs_to_another_user() {
    if !is_root_or_skip("giving files away") {
        return;
    }
    let (room, agent) = sound();
    chown(room.record("binance-main"), Some(65_534), None).unwrap();
    doctor(&room).assert_weak(&["data-mode"]);
    chown(room.record("binance-main"), Some(0), None).unwrap();
    // Whoever may write the configuration may name a module, which root must not run then.
    agent.kill();
    chown(room.config(), Some(65_534), None).unwrap();
    let found = doctor(&room);
    assert_eq!(found.verdict("token", ""), "unknown");
    assert!(found.report.to_string().contains("refusing to load, as root, the module that user 65534"));
}

#[test]
fn finds_records_that_do_not_open() {
    let (room, agent) = sound();
    let record = room.record("binance-main");
    let before = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, "format = ").unwrap();
    let found = doctor(&room);
    found.assert_weak(&["credential"]);
    assert_eq!(found.verdict("credential", "kraken-main"), "ok");
    let other = before.replace(&room.token.serial, "0000000000000000");
    std::fs::write(&record, other).unwrap();
    doctor(&room).assert_weak(&["credential"]);
    // Another label is authenticated, so this one is found by the unlock only.
    std::fs::write(&record, before.replace("api.binance.com", "api1.binance.com")).unwrap();
    agent.kill();
    doctor(&room).assert_sound("nobody has tried to open it yet");
    let _agent = room.start_unlocked();
    let found = doctor(&room);
    found.assert_weak(&["credential"]);
    assert!(found.report.to_string().contains("it cannot sign: "), "{:#}", found.report);
}

#[test]
fn finds_a_token_that_is_gone() {
    let (room, _agent) = sound();
    let (here, away) = (room.token.tokens(), room.token.dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let found = doctor(&room);
    found.assert_weak(&["token"]);
    std::fs::create_dir(&here).unwrap();
    doctor(&room).assert_weak(&["token"]);
    std::fs::remove_dir(&here).unwrap();
    std::fs::rename(&away, &here).unwrap();
    doctor(&room).assert_sound("it is back");
}

#[test]
fn tells_of_wrong_pins_without_costing_a_try() {
    let room = Room::new();
    assert_eq!(doctor(&room).verdict("pin-count", ""), "ok");
    let _agent = room.start();
    let _ = room.enroll(&BINANCE, &[]).ok();
    assert_eq!(room.run(&["unlock", "--pin-stdin"], Some("000000"), &[]).code(), 7);
    let found = doctor(&room);
    found.assert_sound("a wrong PIN is a notice");
    assert_eq!(found.verdict("pin-count", ""), "notice");
    let _ = room.unlock().ok();
    assert_eq!(doctor(&room).verdict("pin-count", ""), "ok");

    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    for wrong in [TRIES - 1, TRIES] {
        mock.set_wrong_pins(wrong);
        mock.forget_calls();
        doctor(&room).assert_weak(&["pin-count"]);
        assert_eq!((mock.wrong_pins(), mock.logins()), (wrong, 0));
    }
}

#[test]
fn tells_of_a_wrong_pin_that_is_remembered() {
    let room = Room::new();
    assert_eq!(doctor(&room).verdict("pin-latch", ""), "ok");
    let latch = format!("token_serial = \"{}\"\nsince = \"2026-11-21T10:00:00Z\"\n", room.token.serial);
    // The folder is made by the first command that owns it.
    drop(room.start());
    std::fs::write(room.data().join("wrong-pin.toml"), latch).unwrap();
    mode(&room.data().join("wrong-pin.toml"), 0o600);
    let found = doctor(&room);
    found.assert_sound("it is a notice");
    assert_eq!(found.verdict("pin-latch", ""), "notice");
    assert!(found.report.to_string().contains("was wrong on 2026-11-21T10:00:00Z"), "{:#}", found.report);
}

#[test]
fn tells_of_each_dangerous_setting_and_of_an_agent_that_has_more_of_them() {
    let room = Room::new();
    let set = |from: bool, to: bool| {
        edit(&room.config(), |text| {
            text.replace(&format!("caller_time = {from}"), &format!("caller_time = {to}"))
        });
        mode(&room.config(), 0o600);
    };
    let agent = room.start();
    set(false, true);
    let found = doctor(&room);
    found.assert_sound("what the configuration allows is no fault");
    assert_eq!(found.verdict("danger-setting", "danger_accept_any_caller_time"), "notice");
    assert_eq!(found.verdict("configuration-in-force", ""), "notice", "the agent is older");
    agent.kill();
    let _agent = room.start();
    assert_eq!(doctor(&room).verdict("configuration-in-force", ""), "ok");
    set(true, false);
    doctor(&room).assert_weak(&["configuration-in-force"]);
}

#[test]
fn says_what_to_run_first_where_there_is_no_configuration() {
    let room = Room::bare();
    let found = doctor(&room);
    found.assert_weak(&["configuration"]);
    assert!(found.report.to_string().contains("run `strongroom init` first"), "{:#}", found.report);
}

#[test]
fn finds_budgets_that_cannot_be_read_and_alarms_that_cannot_be_raised() {
    let room = Room::new();
    let file = room.folder().join("grants");
    let uid = rustix::process::geteuid().as_raw();
    let grants = format!(
        "[[grant]]\nid = \"own\"\nto = \"user:{uid}\"\nallow = [\"trade\", \"cancel\"]\nmax_notional_day = \"1000\"\n\
         accept_unbound = [\"path\", \"method\"]\n"
    );
    std::fs::write(&file, grants).unwrap();
    let _ = room.enroll(&BINANCE, &["--grants", file.to_str().unwrap()]).ok();
    let alarm = room.folder().join("alarm");
    std::fs::write(&alarm, "#!/bin/sh\n").unwrap();
    mode(&alarm, 0o755);
    edit(&room.config(), |text| format!("{text}\n[alert]\ncommand = [{alarm:?}]\n"));
    let agent = room.start_unlocked();
    let order = strongroom_client::SignRequest::new("binance-main", "POST", "/api/v3/order");
    let order = order.query("symbol", "BTCUSDT").query("side", "BUY").query("type", "LIMIT");
    let _ = room.client().sign(&order.query("quantity", "1").query("price", "10")).unwrap();
    drop(agent);
    let budget = room.data().join("budgets/binance-main.toml");
    let whole = std::fs::read_to_string(&budget).unwrap();

    // The control.
    let found = doctor(&room);
    found.assert_sound("all is there");
    assert_eq!((found.verdict("budget", "binance-main"), found.verdict("alert-command", "")), ("ok", "ok"));
    std::fs::write(&budget, "damaged").unwrap();
    doctor(&room).assert_weak(&["budget"]);
    std::fs::write(&budget, whole.replacen("10", "11", 1)).unwrap();
    doctor(&room).assert_weak(&["budget"]);
    std::fs::write(&budget, whole).unwrap();
    mode(&alarm, 0o644);
    doctor(&room).assert_weak(&["alert-command"]);
    std::fs::remove_file(&alarm).unwrap();
    doctor(&room).assert_weak(&["alert-command"]);
    std::fs::create_dir(&alarm).unwrap();
    doctor(&room).assert_weak(&["alert-command"]);
    let reference = include_str!("../../../docs/reference/cli.md");
    assert!(["budget", "alert-command"].iter().all(|id| reference.contains(&format!("| `{id}` |"))));
}

#[test]
fn tells_of_a_clock_that_is_behind_the_nonces() {
    let (room, _agent) = sound();
    let path = room.data().join("nonces/kraken-main.toml");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (ceiling, verdict) in [
        ((now + 30) * 1_000_000_000, "ok"),
        ((now + 3_600) * 1_000_000_000, "notice"),
        ((now + 3_600) * 1_000, "notice"),
        ((now + 500 * 24 * 3_600) * 1_000, "weak"),
    ] {
        std::fs::write(&path, format!("ceiling = {ceiling}\n")).unwrap();
        assert_eq!(doctor(&room).verdict("clock-set-back", ""), verdict, "{ceiling}");
    }
    std::fs::write(&path, "ceiling = many\n").unwrap();
    doctor(&room).assert_weak(&["clock-set-back"]);
}
