//! Who may do what, as it lies in records: set, changed, edited.

use serde_json::{Value, json};
use strongroom_client::{ErrorCode, Login, NewGrants, SignRequest};
use strongroom_softhsm_tests::room::{Room, Run};

use crate::keys::{BINANCE, KRAKEN, OKX, account, balance};
use crate::records::assert_like;

pub(crate) const BOT: &str = "[[grant]]\nid = \"bot\"\nto = \"client:grid-bot\"\nallow = [\"*\"]\n";

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn room_of_two() -> Room {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    room
}

/// Runs `strongroom grant` with the right PIN.
pub(crate) fn grant(room: &Room, arguments: &[&str]) -> Run {
    let all = [&["grant"], arguments, &["--pin-fd", "3"]].concat();
    room.run(&all, None, &[(3, &room.token.pin)])
}

/// What `grant list --json` says of a credential.
pub(crate) fn listed(room: &Room, name: &str) -> Value {
    let all = room.run(&["grant", "list", name, "--json"], None, &[]).json();
    all[0].clone()
}

pub(crate) fn own_grant() -> Value {
    json!({ "id": format!("user-{}", uid()), "to": format!("user:{}", uid()), "allow": ["*"] })
}

#[test]
fn gives_the_one_who_enrols_what_was_asked_for_and_nobody_anything_without() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &["--allow", "read,trade,cancel"]).ok();
    let grants = listed(&room, "kraken-main");
    let own =
        json!({ "allow": ["cancel", "read", "trade"], "id": own_grant()["id"], "to": own_grant()["to"] });
    assert_eq!(grants, json!({ "credential": "kraken-main", "revision": 1, "grants": [own] }));

    let arguments = ["enroll", "okx-main", "--venue", "okx", "--key-id", OKX.key_id, "--passphrase-fd", "5"];
    let arguments = [&arguments[..], &["--pin-fd", "3", "--secret-fd", "4"]].concat();
    let run =
        room.run(&arguments, None, &[(3, &room.token.pin), (4, OKX.secret), (5, OKX.passphrase.unwrap())]);
    let said = format!(
        "nobody may sign with okx-main yet; you may after `strongroom grant add okx-main --to user:{} \
         --allow read,trade,cancel`\n",
        uid()
    );
    assert_eq!((run.stderr.as_str(), run.code()), (said.as_str(), 0));
    assert_eq!(listed(&room, "okx-main")["grants"], json!([]));

    // What is said is taken, at a venue that signs no path too.
    let arguments = ["enroll", "binance-main", "--venue", "binance", "--key-id", BINANCE.key_id];
    let arguments = [&arguments[..], &["--pin-fd", "3", "--secret-fd", "4"]].concat();
    let run = room.run(&arguments, None, &[(3, &room.token.pin), (4, BINANCE.secret)]);
    assert_like(
        &run.stderr,
        "nobody may sign with binance-main yet; *--accept-unbound method,path`\n(a signature of Binance does not bind *",
        "",
    );
    let command = run.stderr.split('`').nth(1).unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    let _ = grant(&room, &words[2..]).ok();

    for (options, said) in [
        (&["--allow", "everything"][..], "*`everything` is no action; *"),
        (
            &["--allow", "read", "--accept-unbound", "colour"],
            "*`colour` is no part of a request; there are *",
        ),
        (&["--grants", "/nowhere"], "*/nowhere cannot be read: *"),
    ] {
        let run = room.enroll(&KRAKEN, &[&["--replace"], options].concat());
        assert_eq!(run.code(), 3, "{}", run.stderr);
        assert_like(&run.stderr, said, "a grant that is none");
    }
    assert_eq!(listed(&room, "kraken-main")["revision"], 1, "nothing has changed");
}

#[test]
fn changes_grants_of_a_running_a_locked_and_no_agent() {
    let room = room_of_two();
    let before = std::fs::read_to_string(room.record("binance-main")).unwrap();
    let add = ["add", "binance-main", "--to", "client:grid-bot", "--allow", "read,trade"];
    let add = [&add[..], &["--accept-unbound", "path,method"]].concat();
    let limits = ["--symbols", "BTCUSDT,ETH*", "--max-notional", "500", "--sides", "buy"];
    // No agent.
    assert_eq!(grant(&room, &[&add[..], &limits].concat()).ok(), "added grant grid-bot to binance-main\n");
    let bot = json!({
        "id": "grid-bot", "to": "client:grid-bot", "allow": ["read", "trade"], "symbols": ["BTCUSDT", "ETH*"],
        "max_notional": "500", "sides": ["buy"], "accept_unbound": ["path", "method"],
    });
    let all = json!({ "credential": "binance-main", "revision": 2, "grants": [own_grant(), bot] });
    assert_eq!(listed(&room, "binance-main"), all);
    let after = std::fs::read_to_string(room.record("binance-main")).unwrap();
    let sealed = |text: &str, field: &str| -> String {
        text.lines().find(|line| line.starts_with(field)).unwrap().to_owned()
    };
    for field in ["seed = ", "envelope = "] {
        assert_ne!(sealed(&before, field), sealed(&after, field), "{field}");
    }

    // Unlocked: it signs on, without a restart.
    let agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    assert_eq!(listed(&room, "binance-main"), all, "as the agent tells it");
    let _ = grant(&room, &["remove", "binance-main", "grid-bot"]).ok();
    assert_eq!(listed(&room, "binance-main")["revision"], 3);
    let _ = room.client().sign(&account()).unwrap();
    assert!(!room.client().status().unwrap().locked);
    let shown = room.client().show("binance-main").unwrap();
    assert_eq!((shown.revision, shown.grants, shown.ready), (3, 1, true));

    // Locked: it stays so, and opens later.
    room.client().lock().unwrap();
    let _ = grant(&room, &[&add[..], &["--id", "other"]].concat()).ok();
    let status = room.client().status().unwrap();
    assert_eq!((status.locked, status.keeper_pid), (true, None));
    assert_eq!(listed(&room, "binance-main")["grants"][1]["id"], "other");
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
    let _ = room.client().sign(&balance()).unwrap();
    drop(agent);

    // The log says what was in force from then on, and what was accepted for it.
    let of = |kind: &str| {
        let run = ["audit", "show", "--json", "--credential", "binance-main", "--kind", kind];
        let told = room.run(&run, None, &[]).json();
        let lines = told.as_array().unwrap().iter();
        let part =
            |line: &Value| (line["revision"].clone(), line["grants"].clone(), line["accept_unbound"].clone());
        lines.map(part).collect::<Vec<_>>()
    };
    let own = format!("user-{}", uid());
    assert_eq!(of("enroll"), [(json!(1), json!([own]), Value::Null)]);
    assert_eq!(
        of("grants"),
        [
            (json!(2), json!([own, "grid-bot"]), json!(["grid-bot:path,method"])),
            (json!(3), json!([own]), Value::Null),
            (json!(4), json!([own, "other"]), json!(["other:path,method"])),
        ]
    );
    let shown = room.run(&["audit", "show", "--kind", "grants"], None, &[]).ok();
    assert!(
        shown.contains(&format!("revision 2 grants: {own}, grid-bot accept_unbound: grid-bot:path,method")),
        "{shown}"
    );
    let verified = room.run(&["audit", "verify"], None, &[]);
    assert_eq!(verified.code(), 0, "{verified:?}");
}

#[test]
fn takes_grants_from_a_file_and_from_an_editor_and_loses_no_text() {
    let room = room_of_two();
    let file = room.folder().join("grants.toml");
    std::fs::write(&file, BOT).unwrap();
    let edit = ["edit", "binance-main", "--file", file.to_str().unwrap()];
    assert_eq!(grant(&room, &edit).ok(), "binance-main has 1 grant now\n");
    assert_eq!(listed(&room, "binance-main")["grants"][0]["id"], "bot");
    let again = grant(&room, &edit);
    assert_eq!((again.code(), again.stderr.as_str()), (0, "nothing was changed\n"));

    // What a command that failed has left is no wish to take everything away.
    std::fs::write(&file, "").unwrap();
    let empty = grant(&room, &edit);
    assert_eq!(empty.code(), 3, "{empty:?}");
    assert_like(&empty.stderr, "error: the text has no grant, and binance-main has 1\n*--none\n", "nothing");
    for (words, said) in [
        (["--expires", "2020-01-01T00:00:00Z"], "error: `expires` is in the past: *"),
        (["--expires", "2027-02-20"], "error: `2027-02-20` in `expires` is no point in time\n*"),
    ] {
        let add = ["add", "binance-main", "--to", "user:7", "--allow", "*"];
        let refused = grant(&room, &[&add[..], &words[..]].concat());
        assert_eq!(refused.code(), 3, "{refused:?}");
        assert_like(&refused.stderr, said, words[1]);
    }
    assert_eq!(listed(&room, "binance-main")["grants"].as_array().unwrap().len(), 1);

    std::fs::write(&file, BOT.replace("allow =", "alow =")).unwrap();
    let wrong = grant(&room, &edit);
    assert_eq!(wrong.code(), 3);
    assert_like(&wrong.stderr, "error: line 4, column 1: *unknown field `alow`*", "a typing error");

    // An editor that appends; then one that makes it wrong, where nobody can be asked.
    let editor = |script: &str| {
        let path = room.folder().join("editor.sh");
        std::fs::write(&path, script).unwrap();
        let command = format!("sh '{}'", path.display());
        let strongroom = strongroom_softhsm_tests::room::program("strongroom");
        let mut run = std::process::Command::new("/bin/sh");
        let pin = room.folder().join("pin");
        std::fs::write(&pin, &room.token.pin).unwrap();
        run.arg("-c").arg(format!("exec \"$0\" \"$@\" 3<'{}'", pin.display())).arg(strongroom);
        run.args(["grant", "edit", "kraken-main", "--pin-fd", "3"]);
        room.surround(&mut run);
        run.env("EDITOR", command).env("TMPDIR", room.folder()).stdin(std::process::Stdio::null());
        run.output().unwrap()
    };
    let done = editor(&format!("cat >> \"$1\" <<'END'\n{BOT}END\n"));
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "kraken-main has 2 grants now\n");

    let refused = editor("echo 'bogus = 1' >> \"$1\"\n");
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_like(
        &said,
        "your text is kept: `strongroom grant edit kraken-main --file *` takes it\nerror: line *, column *",
        "",
    );
    let kept = said.split("--file ").nth(1).unwrap().split('`').next().unwrap();
    assert!(std::fs::read_to_string(kept).unwrap().ends_with("bogus = 1\n"), "{kept}");
    // One that does not start has written nothing that could be lost.
    let drafts = || std::fs::read_dir(room.folder()).unwrap().count();
    let before = drafts();
    let refused = editor("exit 3\n");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_like(&said, "error: the editor `sh *` has ended with exit status: 3\nhint: set $EDITOR, *", "");
    assert_eq!(drafts(), before, "no draft is left");
    assert_eq!(listed(&room, "kraken-main")["revision"], 2, "nothing has changed");
}

/// The commands of a page, in their order: of its consoles, and those in the middle of its text.
fn commands(page: &str) -> Vec<String> {
    let page = page.replace("\\\n", " ");
    let found = page.lines().flat_map(|line| match line.strip_prefix("$ ") {
        Some(command) => vec![command.to_owned()],
        None => {
            line.split('`').filter(|text| text.starts_with("strongroom grant ")).map(str::to_owned).collect()
        }
    });
    found.collect()
}

/// What the guide and the help of the commands tell to type is taken by the venues that they name.
#[test]
fn documented_commands_work() {
    let room = room_of_two();
    let _agent = room.start_unlocked();
    let token = room.client().add_client("grid-bot").unwrap();
    let order = [("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "LIMIT"), ("timeInForce", "GTC")];
    let order = [&order[..], &[("quantity", "0.01"), ("price", "60000")]].concat();
    let order = order
        .into_iter()
        .fold(SignRequest::new("binance-main", "POST", "/api/v3/order"), |request, (name, value)| {
            request.query(name, value)
        });
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(folder.join("docs/how-to/limit-a-bot.md")).unwrap();
    let mut all = commands(&guide);
    for command in ["add", "explain", "learn"] {
        let help = room.run(&["grant", command, "--help"], None, &[]).ok().replace("\\\n", " ");
        let examples = help.split("xample").last().unwrap().lines();
        all.extend(examples.filter_map(|line| Some(line[line.find("strongroom grant ")?..].to_owned())));
    }
    assert_eq!(all.len(), 15, "{all:#?}");
    let (mut ran, mut line) = (0, None);
    for command in &all {
        // Whoever is asked is asked at a terminal: `confirm` has its own tests.
        if command == "strongroom confirm" {
            continue;
        }
        let seq = line.map(|line: u64| line.to_string()).unwrap_or_default();
        let typed = command
            .replace('\'', "")
            .replace("4711", &seq)
            .replace("grid.toml", &format!("{}/grid.toml", room.folder().display()));
        let (typed, into) =
            typed.split_once(" > ").map_or((typed.as_str(), None), |(typed, into)| (typed, Some(into)));
        let words: Vec<&str> = typed.split_whitespace().skip(1).collect();
        let changes = ["add", "edit"].contains(&words[1]);
        let pin = if changes { &["--pin-fd", "3"][..] } else { &[] };
        let run = room.run(&[&words, pin].concat(), None, &[(3, &room.token.pin)]);
        assert_eq!(run.code(), 0, "{command}: {}", run.stderr);
        if let Some(into) = into {
            std::fs::write(into, &run.stdout).unwrap();
        }
        ran += 1;
        if line.is_none() {
            let bot = room.client().with_token(token.clone());
            let _ = bot.sign(&order).unwrap();
            let _ = bot.sign(&account()).unwrap();
            let shown = room.run(&["audit", "show", "--kind", "sign", "--json"], None, &[]).json();
            line = shown.as_array().unwrap().last().unwrap()["seq"].as_u64();
        }
    }
    assert_eq!(ran, 14);
    // They do what the guide says: the learnt grant, and the denial beside it.
    let ids = |name: &str| -> Vec<String> {
        let grants = listed(&room, name)["grants"].as_array().unwrap().clone();
        grants.iter().map(|grant| grant["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("binance-main"), ["learnt", "grid-bot", "grid-bot-2"]);
    assert_eq!(ids("kraken-main"), [own_grant()["id"].as_str().unwrap(), "small", "big", "grid-bot"]);
}

#[test]
fn refuses_grants_that_were_changed_meanwhile_or_are_none() {
    let room = room_of_two();
    let _agent = room.start_unlocked();
    let client = room.client();
    let pin = || Login::from(std::fs::File::from(piped(&room.token.pin)));
    let told = client.grants("binance-main").unwrap();
    assert_eq!(told.revision, 1);
    let _ = client.sign(&account()).unwrap();
    client.set_grants(&NewGrants::new("binance-main", 1, BOT), pin()).unwrap();
    let late = client.set_grants(&NewGrants::new("binance-main", 1, ""), pin()).unwrap_err();
    assert_eq!(late.code(), Some(ErrorCode::Invalid));
    assert_eq!(
        late.to_string(),
        "the grants of binance-main were changed meanwhile: its record has revision 2, and not 1"
    );
    for (case, toml) in
        [("no TOML", "[[grant"), ("no subject", "[[grant]]\nid = \"a\"\nallow = [\"read\"]\n")]
    {
        let refused = client.set_grants(&NewGrants::new("binance-main", 2, toml), pin()).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Invalid), "{case}: {refused}");
    }
    let none = client.set_grants(&NewGrants::new("nobody", 1, BOT), pin()).unwrap_err();
    assert_eq!(none.code(), Some(ErrorCode::NotFound));
    assert_eq!(client.grants("binance-main").unwrap().toml, BOT);
    let denied = client.sign(&account()).unwrap_err();
    assert_eq!(denied.code(), Some(ErrorCode::Denied), "they are in force: {denied}");
}

#[test]
fn keeps_the_grants_where_the_pin_is_wrong() {
    let room = room_of_two();
    let before = std::fs::read(room.record("binance-main")).unwrap();
    let arguments = ["grant", "remove", "binance-main", own_grant()["id"].as_str().unwrap(), "--pin-fd", "3"]
        .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = room.run(&arguments, None, &[(3, "00000000")]);
    assert_eq!(run.code(), 7, "{}", run.stderr);
    assert_eq!(std::fs::read(room.record("binance-main")).unwrap(), before);
}

fn piped(text: &str) -> std::os::fd::OwnedFd {
    let (read, write) = rustix::pipe::pipe().unwrap();
    assert_eq!(rustix::io::write(&write, text.as_bytes()).unwrap(), text.len());
    read
}

#[test]
fn refuses_what_no_signature_keeps_unless_it_is_accepted_and_says_so_for_ever() {
    let room = room_of_two();
    let agent = room.start_unlocked();
    let add = ["add", "binance-main", "--to", "client:grid-bot", "--allow", "read"];
    let refused = grant(&room, &add);
    assert_eq!(refused.code(), 3);
    let said =
        "error: refusing grants that this venue's signatures do not keep: *binds no endpoint*\nhint: *\n";
    assert_like(&refused.stderr, said, "by the command");
    // The agent decides, whoever asks.
    let limited = BOT.replace("\"*\"", "\"read\"");
    let pin = Login::from(std::fs::File::from(piped(&room.token.pin)));
    let refused = room.client().set_grants(&NewGrants::new("binance-main", 1, &limited), pin).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Invalid));
    assert_like(
        &refused.to_string(),
        "refusing grants that this venue's signatures do not keep: *",
        "by the agent",
    );
    let enrolled = room.enroll(&BINANCE, &["--replace", "--allow", "read"]);
    assert_eq!(enrolled.code(), 3, "{}", enrolled.stderr);
    assert_eq!(listed(&room, "binance-main")["revision"], 1, "nothing has changed");

    // The control, and what is said then.
    let _ = grant(&room, &[&add[..], &["--accept-unbound", "path,method"]].concat()).ok();
    let named = "accept_unbound:binance-main/grid-bot:path,method";
    let meaning = "grant grid-bot of binance-main restricts what the venue's signature does not bind (path,method): \
                   whoever gets a signature can use it for what the grant forbids";
    let told = |agent: &strongroom_softhsm_tests::room::Agent, again: &str| {
        let status = room.client().status().unwrap();
        assert!(status.weaknesses.iter().any(|weakness| weakness == named), "{again}: {status:?}");
        let shown = room.run(&["status"], None, &[]);
        assert!(shown.stderr.contains(&format!("warning: {meaning}\n")), "{again}: {}", shown.stderr);
        let doctor = room.run(&["doctor"], None, &[]);
        let printed = doctor.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(printed.contains(meaning), "{again}: {}", doctor.stdout);
        assert!(agent.log().contains(named), "{again}: {}", agent.log());
        let credential = room.client().show("binance-main").unwrap();
        assert_eq!(credential.accept_unbound, ["method", "path"], "{again}");
    };
    told(&agent, "at once");
    drop(agent);
    std::fs::remove_file(room.folder().join("agent.log")).unwrap();
    let agent = room.start();
    told(&agent, "after a restart, locked");
    let _ = grant(&room, &["remove", "binance-main", "grid-bot"]).ok();
    let left = room.client().status().unwrap().weaknesses;
    assert!(!left.iter().any(|weakness| weakness.starts_with("accept_unbound")), "{left:?}");
}
