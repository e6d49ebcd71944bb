//! Clients that say who they are by a token, and those who only say that they do.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use strongroom_client::{AsyncClient, Client, ClientToken, ErrorCode, SignRequest};
use strongroom_protocol::{self as wire, Operation};
use strongroom_softhsm_tests::process::{SOON, descriptors, is_root_or_skip, wait_until};
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::{Agent, Key, Room, program, signal, stop};

use crate::descriptors::at_rest;
use crate::keys::{BINANCE, KRAKEN, account};
use crate::peers::{as_nobody, open_to_all, reachable};
use crate::wire::sign;

const UNKNOWN: &str = "no client has this token: it is wrong, or it was revoked";
const LATE: &str = "hello comes first: a connection cannot change who it is";
const REVOKED: &str = "the token of this client was revoked";

/// Makes a client as an admin does, and gives its token.
fn add(room: &Room, name: &str) -> String {
    let run = room.run(&["client", "add", name, "--json"], None, &[]).json();
    assert_eq!(run["name"], name);
    run["token"].as_str().unwrap().to_owned()
}

fn hello(token: &str) -> Operation<'_> {
    Operation::Hello { token: wire::ClientToken(token) }
}

/// A connection that speaks as a client.
fn greeted(socket: &Path, token: &str) -> Raw {
    let mut peer = Raw::connect(socket);
    peer.ask(1, hello(token)).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(1));
    peer
}

fn denied(id: u64, message: &str) -> Heard {
    Heard::Error(id, ErrorCode::Denied, message.to_owned())
}

fn with_token(room: &Room, token: &str) -> Client {
    room.client().with_token(ClientToken::new(token).unwrap())
}

/// An unlocked agent with one credential.
fn unlocked() -> (Room, Agent) {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    (room, agent)
}

/// This user is the agent's own, and an admin: with the token it is neither.
#[test]
fn takes_whoever_shows_a_token_for_that_client_and_nobody_else() {
    let (room, _agent) = unlocked();
    let token = add(&room, "grid-bot");
    assert_eq!(room.client().status().unwrap().principal, "user:0", "the control");
    let _ = room.client().sign(&account()).unwrap();
    let bot = with_token(&room, &token);
    assert_eq!(bot.status().unwrap().principal, "client:grid-bot");
    assert_eq!(bot.list().unwrap(), []);
    assert_eq!(bot.show("binance-main").unwrap_err().code(), Some(ErrorCode::NotFound));
    let refusals = [
        bot.sign(&account()).map(drop),
        bot.lock(),
        bot.remove("binance-main"),
        bot.clients().map(drop),
        bot.add_client("another").map(drop),
        bot.remove_client("grid-bot"),
        bot.token().map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Denied), "{refused}");
        assert!(refused.to_string().contains("client:grid-bot"), "{refused}");
    }
    // What a grant names it may, and no more.
    let grant = ["grant", "add", "binance-main", "--to", "client:grid-bot", "--allow", "*", "--pin-stdin"];
    let _ = room.run(&grant, Some(&room.token.pin), &[]).ok();
    let _ = bot.sign(&account()).unwrap();
    assert_eq!(bot.list().unwrap().len(), 1);
    assert_eq!(with_token(&room, &add(&room, "arb-bot")).list().unwrap(), []);
    assert_eq!(bot.lock().unwrap_err().code(), Some(ErrorCode::Denied));
    let _ = room.client().sign(&account()).unwrap();
}

/// So that nobody finds out which credentials there are, of which venues, and which are traps.
#[test]
fn answers_alike_about_credentials_of_others_and_those_that_are_not_there() {
    let room = Room::new();
    for (key, name, more) in
        [(&BINANCE, "binance-main", &[][..]), (&KRAKEN, "kraken-main", &[]), (&BINANCE, "bait", &["--honey"])]
    {
        let _ = room.enroll(&Key { name, ..*key }, more).ok();
    }
    let _agent = room.start_unlocked();
    let bot = with_token(&room, &add(&room, "grid-bot"));
    let ask = |client: &Client, name: &str| -> Vec<_> {
        let body: &[u8] = b"{\"a\":";
        let requests = [
            SignRequest::new(name, "GET", "/api/v3/account"),
            SignRequest::new(name, "POST", "/0/private/Balance"),
            SignRequest::new(name, "GET", "/a/../b"),
            SignRequest::new(name, "", "no path"),
            SignRequest::new(name, "POST", "/api/v3/order").query("symbol", "A&side=BUY"),
            SignRequest::new(name, "POST", "/api/v3/order").query("a", "1").query("a", "2"),
            SignRequest::new(name, "POST", "/api/v3/order").query("timestamp", "1"),
            SignRequest::new(name, "POST", "/0/private/AddOrder").json(body),
        ];
        let refused = requests.iter().map(|request| {
            client.sign(request).map_err(|error| (error.code(), error.to_string(), error.hint().to_owned()))
        });
        refused.map(Result::err).collect()
    };
    let absent = ask(&bot, "absent");
    assert!(
        absent.iter().all(|refused| refused.as_ref().unwrap().0 == Some(ErrorCode::Denied)),
        "{absent:?}"
    );
    assert!(absent.iter().all(|refused| *refused == absent[0]), "whatever is asked: {absent:?}");
    for name in ["binance-main", "kraken-main", "bait"] {
        assert_eq!(ask(&bot, name), absent, "{name}");
        assert_ne!(ask(&room.client(), name), absent, "the control: {name} is there");
    }
    room.client().lock().unwrap();
    let locked = ask(&bot, "absent");
    assert_eq!(locked[0].as_ref().unwrap().0, Some(ErrorCode::Locked));
    for name in ["binance-main", "kraken-main", "bait"] {
        assert_eq!(ask(&bot, name), locked, "{name}, locked");
    }
}

#[test]
fn answers_others_while_records_are_read_for_a_list() {
    let (room, _agent) = unlocked();
    let mut peer = Raw::connect(&room.socket());
    peer.write(&[frame(1, Operation::List { after: "" }), frame(2, Operation::Status)].concat()).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(2), "what was asked behind it does not wait for the disk");
    assert_eq!(peer.hear(SOON), Heard::Good(1));
}

#[test]
fn refuses_wrong_tokens_one_on_each_connection() {
    let (room, _agent) = unlocked();
    let token = add(&room, "grid-bot");
    let gone = add(&room, "gone-bot");
    let _ = room.run(&["client", "remove", "gone-bot"], None, &[]).ok();
    let form = "this is no client token: one has `strongroom_` and 72 hexadecimal digits";
    let mistyped = "the client token has a typing error: its last digits do not fit the others";
    let last = if token.ends_with('0') { "1" } else { "0" };
    for (case, text, message) in [
        ("empty", String::new(), form),
        ("long", "strongroom_".repeat(1_000), form),
        ("cut", token[..token.len() - 1].to_owned(), form),
        ("the name", "grid-bot".to_owned(), form),
        ("mistyped", format!("{}{last}", &token[..token.len() - 1]), mistyped),
        ("revoked", gone, UNKNOWN),
    ] {
        let mut peer = Raw::connect(&room.socket());
        // The right one behind it comes too late.
        peer.write(&[frame(7, hello(&text)), frame(8, hello(&token)), frame(9, sign())].concat()).unwrap();
        assert_eq!(peer.hear(SOON), denied(7, message), "{case}");
        assert_eq!(peer.hear(SOON), Heard::Closed, "{case}");
    }
    let _ = greeted(&room.socket(), &token);
}

#[test]
fn refuses_a_hello_that_is_late_or_said_twice() {
    let (room, _agent) = unlocked();
    let (token, other) = (add(&room, "grid-bot"), add(&room, "arb-bot"));
    for second in [&token, &other] {
        let mut late = Raw::connect(&room.socket());
        late.ask(1, Operation::Status).unwrap();
        assert_eq!(late.hear(SOON), Heard::Good(1));
        let mut twice = greeted(&room.socket(), &token);
        for mut peer in [late, twice] {
            peer.ask(2, hello(second)).unwrap();
            assert_eq!(peer.hear(SOON), denied(2, LATE));
            assert_eq!(peer.hear(SOON), Heard::Closed);
        }
        // At once, in one write.
        twice = Raw::connect(&room.socket());
        twice.write(&[frame(1, hello(&token)), frame(2, hello(second)), frame(3, sign())].concat()).unwrap();
        assert_eq!(twice.hear(SOON), Heard::Good(1));
        assert_eq!(twice.hear(SOON), denied(2, LATE));
        assert_eq!(twice.hear(SOON), Heard::Closed);
    }
}

#[test]
fn drops_a_revoked_client_at_once_and_nobody_else() {
    let (room, _agent) = unlocked();
    let (token, other) = (add(&room, "grid-bot"), add(&room, "arb-bot"));
    let (mut idle, mut kept) = (greeted(&room.socket(), &token), greeted(&room.socket(), &other));
    let _ = room.run(&["client", "remove", "grid-bot"], None, &[]).ok();
    assert_eq!(idle.hear(SOON), denied(0, REVOKED));
    assert_eq!(idle.hear(SOON), Heard::Closed);
    kept.ask(2, Operation::Status).unwrap();
    assert_eq!(kept.hear(SOON), Heard::Good(2), "the other client stays");
    let mut again = Raw::connect(&room.socket());
    again.ask(1, hello(&token)).unwrap();
    assert_eq!(again.hear(SOON), denied(1, UNKNOWN));
    let refused = with_token(&room, &token).status().unwrap_err();
    assert_eq!((refused.code(), refused.to_string().as_str()), (Some(ErrorCode::Denied), UNKNOWN));
}

/// More is asked than agent and kernel keep answers for, so that most of it is under way when the token goes.
#[test]
fn drops_a_revoked_client_in_the_middle_of_its_requests() {
    const ASKED: u64 = 20_000;
    let (room, _agent) = unlocked();
    let token = add(&room, "grid-bot");
    for revoke in [false, true] {
        let mut peer = greeted(&room.socket(), &token);
        let mut writer = Raw::from(peer.stream.try_clone().unwrap());
        let asking = std::thread::spawn(move || {
            // The agent may end it in the middle.
            (2..ASKED).all(|id| writer.ask(id, Operation::Status).is_ok())
        });
        // Some answers, and no more: from here on they pile up.
        assert_eq!(peer.hear(SOON), Heard::Good(2));
        if revoke {
            let _ = room.run(&["client", "remove", "grid-bot"], None, &[]).ok();
        }
        let mut answers = 1;
        let last = loop {
            match peer.hear(SOON) {
                Heard::Good(id) if id + 1 == ASKED => break Heard::Good(id),
                Heard::Good(_) => answers += 1,
                other => break other,
            }
        };
        let all_asked = asking.join().unwrap();
        if revoke {
            assert!(last == Heard::Closed || last == denied(0, REVOKED), "{last:?} after {answers} answers");
            assert!(answers < ASKED / 2, "{answers} answers");
            assert!(!all_asked, "the agent does not read on");
        } else {
            assert_eq!(last, Heard::Good(ASKED - 1), "the control, after {answers} answers");
            assert!(all_asked);
        }
    }
}

#[test]
fn lets_another_user_in_by_a_token_and_by_nothing_else() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let (room, _agent) = reachable();
    let stranger = "refusing user 65534: it is neither the agent's user nor an admin, and no grant names it";
    // Where nobody has a token nobody is waited for.
    let heard = as_nobody(|| Raw::connect(&room.socket()).hear(SOON));
    assert_eq!(heard, denied(0, stranger));
    let token = add(&room, "grid-bot");
    as_nobody(|| {
        for operation in [Operation::Status, sign(), Operation::Lock] {
            let mut peer = Raw::connect(&room.socket());
            peer.write(&[frame(1, operation), frame(2, hello(&token))].concat()).unwrap();
            assert_eq!(peer.hear(SOON), denied(1, stranger));
            assert_eq!(peer.hear(SOON), Heard::Closed);
        }
        let mut peer = Raw::connect(&room.socket());
        peer.write(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(matches!(peer.hear(SOON), Heard::Error(0, ErrorCode::Malformed, _)));
        assert_eq!(with_token(&room, &token).status().unwrap().principal, "client:grid-bot");
    });
    assert_eq!(room.client().status().unwrap().principal, "user:0");
}

#[test]
fn waits_for_few_strangers_and_not_for_long() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let (room, agent) = reachable();
    let token = add(&room, "grid-bot");
    let before = at_rest(&room, &agent, 0);
    let whole = frame(1, hello(&token));
    // All of them are there when the agent looks, however slow this test is.
    stop(agent.pid());
    let (mut silent, mut refused) = as_nobody(|| {
        let mut silent: Vec<_> = (0..16).map(|_| Raw::connect(&room.socket())).collect();
        // Half a hello counts as none.
        silent[0].write(&whole[..20]).unwrap();
        (silent, Raw::connect(&room.socket()))
    });
    signal(agent.pid(), Signal::CONT);
    let full = "too many have connected and not said hello";
    assert_eq!(refused.hear(SOON), Heard::Error(0, ErrorCode::Unavailable, full.to_owned()));
    // Nobody else is harmed.
    let _ = room.client().sign(&account()).unwrap();
    for peer in &mut silent {
        assert!(matches!(peer.hear(SOON), Heard::Error(0, ErrorCode::Denied, _)), "it was sent away");
        assert_eq!(peer.hear(SOON), Heard::Closed);
    }
    drop(silent);
    wait_until("all are closed", SOON, || descriptors(agent.pid()).len() < before + 8);
    as_nobody(|| assert_eq!(with_token(&room, &token).status().unwrap().principal, "client:grid-bot"));
}

#[test]
fn lets_no_client_in_where_the_file_of_clients_is_unreadable() {
    let room = Room::new();
    let agent = room.start();
    let token = add(&room, "grid-bot");
    let _ = agent.terminate();
    let path = room.data().join("clients.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (case, damaged) in [
        ("empty", String::new()),
        ("cut", good[..good.len() / 2].to_owned()),
        ("twice", format!("{good}{}", &good[good.find("[[client]]").unwrap()..])),
        ("a field more", format!("{good}admin = true\n")),
    ] {
        std::fs::write(&path, &damaged).unwrap();
        let _agent = room.start();
        let mut peer = Raw::connect(&room.socket());
        peer.ask(1, hello(&token)).unwrap();
        let heard = peer.hear(SOON);
        let Heard::Error(1, ErrorCode::Unavailable, message) = &heard else { panic!("{case}: {heard:?}") };
        assert!(message.starts_with("nobody knows who has a token: "), "{case}: {message}");
        assert_eq!(peer.hear(SOON), Heard::Closed);
        // It is not written over, and others are served.
        for words in
            [["client", "add", "another"].as_slice(), &["client", "list"], &["client", "remove", "grid-bot"]]
        {
            assert_eq!(room.run(words, None, &[]).code(), 7, "{case}: {words:?}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
        let _ = room.client().status().unwrap();
        let report = room.run(&["doctor", "--json"], None, &[]);
        assert_eq!(report.code(), 10, "{case}");
        let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["id"] == "client-tokens").unwrap();
        assert_eq!(found["verdict"], "weak", "{case}");
    }
    std::fs::write(&path, &good).unwrap();
    let _agent = room.start();
    let _ = greeted(&room.socket(), &token);
}

#[test]
fn keeps_clients_over_a_kill_and_forgets_revoked_ones() {
    let room = Room::new();
    let agent = room.start();
    let (kept, gone) = (add(&room, "kept-bot"), add(&room, "gone-bot"));
    let twice = room.run(&["client", "add", "kept-bot"], None, &[]);
    assert_eq!(twice.code(), 9, "{}", twice.stderr);
    assert_eq!(
        twice.stderr,
        "error: there is a client `kept-bot` already\nhint: choose another name, or remove that one first\n"
    );
    let _ = room.run(&["client", "remove", "gone-bot", "--json"], None, &[]).ok();
    agent.kill();
    let _agent = room.start();
    let open = greeted(&room.socket(), &kept);
    let mut refused = Raw::connect(&room.socket());
    refused.ask(1, hello(&gone)).unwrap();
    assert_eq!(refused.hear(SOON), denied(1, UNKNOWN));
    let list = room.run(&["client", "list", "--json"], None, &[]).json();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!((&list[0]["name"], &list[0]["connections"]), (&"kept-bot".into(), &1.into()), "{list}");
    assert!(list[0]["used"].is_string() && list[0]["created"].is_string(), "{list}");
    drop(open);
    let connections = || room.client().clients().unwrap()[0].connections;
    wait_until("its connection has ended", SOON, || connections() == 0);
    let absent = room.run(&["client", "remove", "gone-bot"], None, &[]);
    assert_eq!(absent.code(), 4, "{}", absent.stderr);
    for name in ["", "UPPER", "a b", "../x", &"a".repeat(65)] {
        assert_eq!(room.run(&["client", "add", "--", name], None, &[]).code(), 3, "{name}");
    }
}

#[test]
fn keeps_a_token_out_of_files_logs_and_errors() {
    let room = Room::new();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("STRONGROOM_LOG=trace exec \"$0\" agent").arg(program("strongroom"));
    let agent = room.start_command(shell);
    let token = add(&room, "grid-bot");
    let _ = with_token(&room, &token).status().unwrap();
    let mistyped = format!("{}x", &token[..token.len() - 1]);
    let error = with_token(&room, &mistyped).status().unwrap_err();
    let digits = &token["strongroom_".len()..][..16];
    assert!(!format!("{error:?} {error}").contains(digits));
    let log = agent.log();
    assert!(log.contains("said hello") && log.contains("client=grid-bot"), "the control: {log}");
    assert!(log.contains("a hello was refused"), "the control: {log}");
    assert!(!log.contains(digits), "{log}");
    let file = std::fs::read_to_string(room.data().join("clients.toml")).unwrap();
    assert!(file.contains("grid-bot") && !file.contains(digits), "{file}");
    let list = room.run(&["client", "list"], None, &[]).ok();
    assert!(list.contains("grid-bot") && !list.contains(digits), "{list}");
    let _ = agent.terminate();
}

#[test]
fn grows_by_nothing_over_a_thousand_wrong_hellos() {
    let (room, agent) = unlocked();
    let token = add(&room, "grid-bot");
    let wrong = format!("strongroom_{}", "0".repeat(72));
    let refuse = |count: u64| {
        for id in 0..count {
            let mut peer = Raw::connect(&room.socket());
            peer.ask(id, hello(&wrong)).unwrap();
            assert!(matches!(peer.hear(SOON), Heard::Error(_, ErrorCode::Denied, _)));
            assert_eq!(peer.hear(SOON), Heard::Closed);
        }
    };
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
        // Not what is mapped of files: a step that is taken for the first time brings in some of the program.
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    refuse(200);
    let open = at_rest(&room, &agent, 0);
    let sizes = [(); 5].map(|()| {
        refuse(250);
        resident()
    });
    // What is kept grows each time; all else grows now and then, as where the kernel takes a large page for small ones.
    let least =
        sizes.array_windows::<2>().map(|[before, after]| after.saturating_sub(*before)).min().unwrap();
    assert!(least < 64, "{sizes:?} KiB");
    wait_until("all are closed", SOON, || descriptors(agent.pid()).len() < open + 8);
    // One line in ten seconds, however many there are.
    let lines = agent.log().lines().filter(|line| line.contains("a hello was refused")).count();
    assert!((1..=100).contains(&lines), "{lines} lines");
    let _ = greeted(&room.socket(), &token);
}

#[test]
fn says_hello_again_after_a_restart_of_the_agent() {
    let room = Room::new();
    let agent = room.start();
    let token = add(&room, "grid-bot");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let blocking = with_token(&room, &token);
    let asynchronous = AsyncClient::at(room.socket()).with_token(ClientToken::new(&token).unwrap());
    let ask = || {
        assert_eq!(blocking.status().unwrap().principal, "client:grid-bot");
        let status = runtime.block_on(asynchronous.status()).unwrap();
        assert_eq!(status.principal, "client:grid-bot");
    };
    ask();
    ask();
    agent.kill();
    let agent = room.start();
    ask();
    let _ = room.run(&["client", "remove", "grid-bot"], None, &[]).ok();
    let refused = |error: strongroom_client::Error| {
        assert_eq!(error.code(), Some(ErrorCode::Denied), "{error}");
    };
    refused(blocking.status().unwrap_err());
    refused(runtime.block_on(asynchronous.status()).unwrap_err());
    drop(agent);
}

#[test]
fn takes_the_token_from_the_environment_and_from_no_file_that_others_read() {
    let room = Room::new();
    let _agent = room.start();
    let token = add(&room, "grid-bot");
    let path = room.folder().join("token");
    std::fs::write(&path, format!("{token}\n")).unwrap();
    let set_mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let status = |variable: &str, value: &str| {
        let mut command = Command::new(program("strongroom"));
        room.surround(&mut command);
        let output = command.args(["status", "--json"]).env(variable, value).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said["principal"].as_str().unwrap_or_default().to_owned(), stderr)
    };
    let good = (Some(0), "client:grid-bot".to_owned(), String::new());
    assert_eq!(status("STRONGROOM_TOKEN", &token), good);
    assert_eq!(status("STRONGROOM_TOKEN", "").1, "user:0", "the control");
    let file = path.display().to_string();
    for mode in [0o600, 0o400] {
        set_mode(mode);
        assert_eq!(status("STRONGROOM_TOKEN_FILE", &file), good);
    }
    set_mode(0o644);
    let (code, _, stderr) = status("STRONGROOM_TOKEN_FILE", &file);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("can be read by others (mode 0644)"), "{stderr}");
    let (code, _, stderr) = status("STRONGROOM_TOKEN_FILE", "/nonexistent");
    assert_eq!(code, Some(3), "{stderr}");
    assert!(!stderr.contains(&token[..20]), "{stderr}");
}

/// An agent in a namespace that hides who connects: there a token is all that it knows.
#[test]
fn serves_by_a_token_whom_a_namespace_hides() {
    if !is_root_or_skip("making namespaces") {
        return;
    }
    let hidden = "the kernel does not show the process that connected: it is in another process namespace";
    let stands = "user 65534 stands for every user that is not in this agent's user namespace";
    let pids = ["--pid", "--fork", "--kill-child", "--mount-proc"].as_slice();
    for (namespace, message) in [(pids, hidden), (["--user", "--map-root-user"].as_slice(), stands)] {
        let room = Room::new();
        let agent = room.start();
        let token = add(&room, "grid-bot");
        let _ = agent.terminate();
        let mut command = Command::new("unshare");
        command.args(namespace).arg(program("strongroom")).arg("agent");
        let _agent = room.start_until(command, || UnixStream::connect(room.socket()).is_ok());
        open_to_all(&room);
        let ask = || {
            let mut peer = Raw::connect(&room.socket());
            peer.ask(1, Operation::Status).unwrap();
            assert_eq!(peer.hear(SOON), denied(1, message));
            assert_eq!(peer.hear(SOON), Heard::Closed);
            let bot = with_token(&room, &token);
            assert_eq!(bot.status().unwrap().principal, "client:grid-bot");
            assert_eq!(bot.lock().unwrap_err().code(), Some(ErrorCode::Denied));
            assert_eq!(bot.status().unwrap().principal, "client:grid-bot");
        };
        // The user namespace has root alone.
        if message == hidden { ask() } else { as_nobody(ask) }
    }
}

#[test]
fn writes_a_socket_for_each_bot_of_a_system() {
    let room = Room::bare();
    let words = ["install", "--system", "--print", "--agent-user", "keys", "--bot", "grid", "--bot", "arb-2"];
    let said = room.run(&words, None, &[]).ok();
    for line in [
        "# strongroom-bot@.socket",
        "ListenStream=%t/strongroom/%i.sock",
        "SocketUser=%i",
        "SocketMode=0600",
        "Service=strongroom@keys.service",
        "# strongroom@keys.service.d/bots.conf",
        "Sockets=strongroom-bot@grid.socket",
        "Sockets=strongroom-bot@arb-2.socket",
    ] {
        assert!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    assert!(!said.contains("@SERVICE@"), "{said}");
    let without = room.run(&["install", "--system", "--print"], None, &[]).ok();
    assert!(!without.contains("strongroom-bot"), "{without}");
    for wrong in [
        ["install", "--user", "--print", "--bot", "grid"],
        ["install", "--system", "--print", "--bot", "../x"],
        ["install", "--system", "--print", "--bot", "a%i"],
        ["install", "--system", "--print", "--bot", ""],
        ["install", "--system", "--print", "--agent-user", "keys"],
    ] {
        assert_eq!(room.run(&wrong, None, &[]).code(), 2, "{wrong:?}");
    }
}
