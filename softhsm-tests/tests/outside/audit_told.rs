//! What the audit log tells, from outside: who has asked for what, in its lines and in what is made of them.

use std::collections::HashSet;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use strongroom_client::SignRequest;
use strongroom_softhsm_tests::process::is_root_or_skip;
use strongroom_softhsm_tests::room::Room;

use crate::audit::{canonical, files, findings, folder, holds, lines, order, room, text};
use crate::keys::{BINANCE, account, copy_program, edit};

#[test]
fn tells_who_asked_for_what_and_what_came_of_it_but_no_secret() {
    let room = room();
    let agent = room.start();
    let _ = room.client().sign(&account()).unwrap_err();
    let wrong = room.run(&["unlock", "--pin-stdin"], Some("0000wrong"), &[]);
    assert_eq!(wrong.code(), 7, "{wrong:?}");
    let _ = room.unlock().ok();
    let signed = room.client().sign(&order("tell-1").query("Fund_Password", "hunter2-fund")).unwrap();
    let _ = room.client().sign(&SignRequest::new("nobody", "GET", "/a")).unwrap_err();
    let _ = room.client().sign(&SignRequest::new("binance-main", "GET", "/a/../b")).unwrap_err();
    room.client().lock().unwrap();
    let _ = room.run(&["remove", "binance-main", "--yes"], None, &[]).ok();
    let front = agent.pid();
    assert!(agent.terminate().success());

    let lines = lines(&room);
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let part = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            (part("kind"), part("verdict"), part("rule"), part("credential"))
        })
        .collect();
    let row = |kind: &str, verdict: &str, rule: &str, credential: &str| {
        (kind.to_owned(), verdict.to_owned(), rule.to_owned(), credential.to_owned())
    };
    let expected = [
        row("enroll", "allowed", "owner", "binance-main"),
        row("start", "-", "-", "-"),
        row("sign", "refused", "admin", "binance-main"),
        row("unlock", "refused", "admin", "-"),
        row("checkpoint", "-", "-", "-"),
        row("unlock", "allowed", "admin", "-"),
        row("checkpoint", "-", "-", "-"),
        row("sign", "allowed", "grant:user-0", "binance-main"),
        row("sign", "refused", "admin", "nobody"),
        row("sign", "refused", "admin", "binance-main"),
        row("lock", "allowed", "admin", "-"),
        row("checkpoint", "-", "-", "-"),
        row("remove", "allowed", "admin", "binance-main"),
        row("stop", "-", "-", "-"),
    ];
    assert_eq!(told, expected);
    let sign = &lines[7];
    let (uid, pid) = (rustix::process::geteuid().as_raw(), std::process::id());
    assert_eq!((sign["uid"].as_u64(), sign["pid"].as_u64()), (Some(uid.into()), Some(pid.into())));
    assert_eq!(
        (&sign["venue"], &sign["method"], &sign["path"]),
        (&"binance".into(), &"POST".into(), &"/api/v3/order".into())
    );
    assert_eq!(sign["query"]["symbol"], "BTCUSDT");
    assert_eq!(sign["query"]["Fund_Password"], "[hidden]");
    assert_eq!(sign["canonical"], canonical(&signed));
    assert!(sign["micros"].as_u64().is_some());
    assert_eq!(lines[1]["pid"], front);
    assert_eq!(lines[10]["cause"], "a client locked it");

    let text = text(&room);
    let signature = signed.url.split_once("&signature=").unwrap().1;
    for secret in [BINANCE.secret, signature, room.token.pin.as_str(), "0000wrong", "hunter2-fund"] {
        assert!(!text.contains(secret), "{secret} stands in the log");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder(&room)), mode(&files(&room)[0])), (0o700, 0o600));
    holds(&room);
}

#[test]
fn shows_and_reports_what_was_asked_for_without_letting_it_speak() {
    let room = room();
    let agent = room.start_unlocked();
    let hostile = "<script>alert(1)</script>\u{1b}[31m";
    for _ in 0..3 {
        let _ = room.client().sign(&order("shown")).unwrap();
    }
    let _ = room.client().sign(&SignRequest::new(hostile, "GET", "/<script>'\"")).unwrap_err();
    let _ = room.client().sign(&order(hostile)).unwrap();
    assert!(agent.terminate().success());

    let show = |more: &[&str]| room.run(&[&["audit", "show"], more].concat(), None, &[]).ok();
    let count = |more: &[&str]| -> usize {
        let json = room.run(&[&["audit", "show", "--json"], more].concat(), None, &[]).json();
        let json = json.as_array().unwrap().len();
        assert_eq!(json, show(more).lines().count());
        json
    };
    assert_eq!(count(&["--credential", "binance-main", "--kind", "sign"]), 4);
    assert_eq!(count(&["--credential", "binance-main"]), 5, "and its enrolment");
    assert_eq!(count(&["--verdict", "refused"]), 1);
    assert_eq!(count(&["--venue", "binance", "--since", "1h"]), 4);
    assert_eq!(count(&["--until", "2020-01-01"]), 0);
    assert_eq!(count(&["--uid", "4000000000"]), 0);
    let shown = show(&[]);
    assert!(shown.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{shown:?}");
    assert!(shown.contains("POST /api/v3/order {\"symbol\":\"BTCUSDT\""), "{shown}");
    // The number comes first, so that `grant explain --line` can be given it; then what it was and what decided.
    let first =
        lines(&room).into_iter().find(|line| line["verdict"] == "allowed" && line["kind"] == "sign").unwrap();
    let row = shown.lines().find(|row| row.contains("sign") && row.contains("allowed")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    let (number, rule) = (first["seq"].to_string(), first["rule"].as_str().unwrap());
    assert_eq!(
        [words[0], words[1], words[2], words[3], words[4], words[5]],
        [number.as_str(), first["time"].as_str().unwrap(), "allowed", "sign", "trade", rule]
    );
    let explained = room.run(&["grant", "explain", "binance-main", "--line", words[0]], None, &[]);
    assert_eq!(explained.code(), 0, "{explained:?}");
    let help = room.run(&["audit", "show", "--help"], None, &[]).ok();
    let reference = include_str!("../../../docs/reference/audit.md");
    let kinds = reference.split_once("| kind | what has happened |").unwrap().1;
    let kinds = kinds.split_once("\n\n").unwrap().0.lines().skip(2);
    let kinds = kinds.flat_map(|row| row.split('|').nth(1).unwrap().split(", "));
    let kinds: Vec<&str> = kinds.map(|kind| kind.trim().trim_matches('`')).collect();
    assert_eq!(kinds.len(), 18, "{kinds:?}");
    let listed = help.split_once("--kind").unwrap().1.split_once("possible values: ").unwrap().1;
    let listed = listed.split_once(']').unwrap().0;
    let listed: HashSet<&str> = listed.split(',').map(str::trim).collect();
    assert_eq!(listed, kinds.into_iter().collect(), "{help}");
    let bad = room.run(&["audit", "show", "--kind", "signature"], None, &[]);
    assert_eq!(bad.code(), 2, "{bad:?}");
    let bad = room.run(&["audit", "show", "--since", "yesterday"], None, &[]);
    assert_eq!(bad.code(), 2, "{bad:?}");

    let report = room.run(&["audit", "report"], None, &[]).ok();
    let row = |line: &str| {
        line.split_whitespace().take(3).eq(["binance-main", "POST", "4"]) && line.ends_with("  /api/v3/order")
    };
    assert!(report.lines().any(row), "{report}");
    let json = room.run(&["audit", "report", "--json"], None, &[]).json();
    assert_eq!(json["clients"].as_array().unwrap().len(), 2, "{json}");
    let ours =
        json["clients"].as_array().unwrap().iter().find(|way| way["credential"] == "binance-main").unwrap();
    assert_eq!((&ours["signatures"]["allowed"], &ours["venue"]), (&4.into(), &"binance".into()));

    let page = room.folder().join("report.html");
    let _ = room.run(&["audit", "report", "--html", page.to_str().unwrap()], None, &[]).ok();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
    for outside in ["http://", "https://", "src=", "url(", "@import", "href="] {
        assert!(!page.contains(outside), "the page loads nothing: {outside}");
    }
    assert!(
        page.contains("Content-Security-Policy")
            && page.contains("<svg")
            && page.contains("class=\"refused\"")
    );

    // A time axis from the first line of the report to its last.
    let all = lines(&room);
    let second = |line: &Value| format!("{}Z", &line["time"].as_str().unwrap()[..19]);
    let axis = format!(
        "<p class=\"axis muted\"><span>{}</span><span>{}</span></p>",
        second(&all[0]),
        second(all.last().unwrap())
    );
    assert!(page.contains(&axis), "{axis}: {page}");
    assert!(!page.contains("class=\"changed\""), "{page}");

    edit(&files(&room)[0], |text| text.replacen("BTCUSDT", "ETHUSDT", 1));
    let warned = room.run(&["audit", "show"], None, &[]);
    assert!(warned.stderr.contains("warning: the audit log is not as it was written"), "{warned:?}");
    let changed = findings(&room, &[]);
    let file = room.folder().join("report.html");
    let _ = room.run(&["audit", "report", "--html", file.to_str().unwrap()], None, &[]).ok();
    let page = std::fs::read_to_string(file).unwrap();
    let banner = page.find("class=\"changed\"").expect("a banner");
    assert!(banner < page.find("<svg").unwrap(), "above all else: {page}");
    assert!(page.contains(&format!("1 finding: {}.", changed[0])), "{changed:?}: {page}");
    let json = room.run(&["audit", "report", "--json"], None, &[]).json();
    assert_eq!(json["findings"], serde_json::json!(changed));
}

/// Nobody was asked about what can be signed for nobody, and the line says by what right it came so far.
#[test]
fn refuses_what_is_signed_for_nobody_by_the_rule_that_let_its_sender_in() {
    let room = room();
    let bot = room.start_unlocked();
    let token = room.client().add_client("bot").unwrap();
    let grant = ["grant", "add", "binance-main", "--to", "client:bot", "--allow", "*", "--pin-stdin"];
    let _ = room.run(&grant, Some(&room.token.pin), &[]).ok();
    let client = room.client().with_token(token);
    for path in ["/api//v3/order", "/api/v3%2Forder"] {
        let _ = client.sign(&SignRequest::new("binance-main", "POST", path)).unwrap_err();
    }
    let twice = order("twice").query("symbol", "ETHUSDT");
    let _ = client.sign(&twice).unwrap_err();
    let _ = room.client().sign(&twice).unwrap_err();
    assert!(bot.terminate().success());
    let lines = lines(&room);
    let signs: Vec<_> = lines.iter().filter(|line| line["kind"] == "sign").collect();
    let told: Vec<_> = signs
        .iter()
        .map(|line| (line["verdict"].as_str().unwrap(), line["rule"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [("refused", "client"), ("refused", "client"), ("refused", "client"), ("refused", "admin")]
    );
    assert!(signs.iter().all(|line| !line["cause"].as_str().unwrap().is_empty()), "{signs:?}");
    let reference = include_str!("../../../docs/reference/audit.md");
    let row = |name: &str| reference.lines().find(|row| row.starts_with(&format!("| `{name}` |"))).unwrap();
    for rule in ["client", "own-user", "granted", "admin", "owner", "no-grant"] {
        assert!(row("rule").contains(&format!("`{rule}`")), "{rule}");
    }
    assert!(row("verdict").contains("no grant has said no"));
}

#[test]
fn tells_of_clients_that_were_turned_away_without_filling_the_disk() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let room = Room::new();
    let agent = room.start();
    use std::os::unix::fs::PermissionsExt as _;
    for (path, mode) in
        [(room.folder().to_owned(), 0o755), (room.folder().join("run"), 0o755), (room.socket(), 0o666)]
    {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // The programs may lie in a folder that others cannot enter; a copy lies where they can.
    let public = tempfile::Builder::new().prefix("strongroom-public-").tempdir().unwrap();
    std::fs::set_permissions(public.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/bin/sh", "-c"]);
    nobody.arg("for i in $(seq 30); do \"$0\" status; done").arg(copy_program(public.path()));
    room.surround(&mut nobody);
    let began = Instant::now();
    let said = nobody.output().unwrap().stderr;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.matches("refusing user 65534: ").count(), 30, "{said}");
    assert!(agent.terminate().success());
    holds(&room);
    let turned: Vec<_> = lines(&room).into_iter().filter(|line| line["kind"] == "connect").collect();
    assert!((1..=seconds + 1).contains(&turned.len()), "{} lines in {seconds} s", turned.len());
    assert_eq!(
        (&turned[0]["uid"], &turned[0]["verdict"], &turned[0]["rule"]),
        (&65534.into(), &"denied".into(), &"stranger".into())
    );
}

/// Those of one user do not hide each other.
#[test]
fn tells_which_client_was_refused_and_what_it_has_asked_for() {
    let room = Room::new();
    let agent = room.start();
    let bots = ["arb-bot", "grid-bot"];
    for (name, asks) in bots.into_iter().zip(["lock", "remove"]) {
        let bot = room.client().with_token(room.client().add_client(name).unwrap());
        let refused = if asks == "lock" { bot.lock() } else { bot.remove("binance-main") };
        let _ = refused.unwrap_err();
    }
    assert!(agent.terminate().success());
    holds(&room);
    let turned = lines(&room).into_iter().filter(|line| line["kind"] == "connect");
    let causes: Vec<_> = turned.map(|line| (line["rule"].clone(), line["cause"].clone())).collect();
    let expected = bots.into_iter().zip(["lock", "remove"]).map(|(name, asks)| {
        let cause = format!("{asks}: refusing client:{name}: this is for admins, and it is none");
        ("not-admin".into(), cause.into())
    });
    assert_eq!(causes, expected.collect::<Vec<(Value, Value)>>());
}
