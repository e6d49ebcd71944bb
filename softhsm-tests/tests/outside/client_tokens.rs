//! Where the tokens of clients are kept, what of them is written down, and where a client reads its own.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use strongroom_client::{AsyncClient, ClientToken, ErrorCode};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::raw::{Heard, Raw};
use strongroom_softhsm_tests::room::{Room, program};

use crate::clients::{UNKNOWN, add, denied, greeted, hello, with_token};

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
