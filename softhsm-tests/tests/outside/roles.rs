//! Who may do what: admins everything but sign, and nobody is an admin whom the configuration does not name.

use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::process::is_root_or_skip;
use strongroom_softhsm_tests::room::Room;
use strongroom_softhsm_tests::settings;

use crate::keys::{BINANCE, account};
use crate::peers::{as_nobody, open_to_all, reachable};

/// Every operation that is for admins, as a client asks for it.
fn refusals(room: &Room) -> Vec<strongroom_client::Error> {
    let client = room.client();
    let (secret, pin) = (std::io::pipe().unwrap().0, std::io::pipe().unwrap().0);
    let enrollment = strongroom_client::Enrollment::new("another", "binance", "key-1");
    vec![
        client.lock().unwrap_err(),
        client.unlock(pin.try_clone().unwrap()).unwrap_err(),
        client.enroll(&enrollment, pin, secret, None).unwrap_err(),
        client.remove("binance-main").unwrap_err(),
        client.token().unwrap_err(),
        client.add_client("grid-bot").unwrap_err(),
        client.clients().unwrap_err(),
        client.remove_client("grid-bot").unwrap_err(),
    ]
}

#[test]
fn makes_whoever_runs_init_an_admin_or_those_who_are_named() {
    let room = Room::bare();
    let first = room.init(&["--json"]).json();
    assert_eq!(first["admins"], serde_json::json!(["user:0"]));
    let more =
        room.init(&["--json", "--admin", "user:1000", "--admin", "user:0", "--admin", "user:7"]).json();
    assert_eq!(more["admins"], serde_json::json!(["user:0", "user:1000", "user:7"]));
    let room = Room::bare();
    let _ = room.init(&["--admin", "user:1000"]).ok();
    let text = std::fs::read_to_string(room.config()).unwrap();
    assert!(text.contains("admins = [\"user:1000\"]"), "{text}");
    for wrong in ["root", "user:root", "user:-1", "user:4294967295", "0"] {
        let run = Room::bare().init(&["--admin", wrong]);
        assert_eq!(run.code(), 2, "{wrong}: {}", run.stderr);
    }
}

#[test]
fn refuses_to_administer_for_whom_the_configuration_does_not_name() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start();
    assert_eq!(room.client().status().unwrap().admins, ["user:0"], "the control");
    let _ = room.client().clients().unwrap();
    let _ = agent.terminate();
    for (admins, message, hint) in [
        (
            "[]",
            "refusing user:0: this is for admins, and the configuration names none",
            "add `admins = [\"user:0\"]` below [agent] in strongroom.toml, and restart the agent",
        ),
        (
            "[\"user:1000\"]",
            "refusing user:0: this is for admins, and it is none",
            "admins are named below [agent] in strongroom.toml",
        ),
    ] {
        settings::set(&room, "agent", "admins", admins);
        let _agent = room.start();
        for refused in refusals(&room) {
            let said = (refused.code(), refused.to_string(), refused.hint().to_owned());
            assert_eq!(said, (Some(ErrorCode::Denied), message.to_owned(), hint.to_owned()));
        }
        // What everybody may who is let in; and signing is no admin's right, only a locked agent's refusal.
        assert_eq!(room.client().list().unwrap().len(), 1);
        assert_eq!(room.client().sign(&account()).unwrap_err().code(), Some(ErrorCode::Locked));
    }
}

#[test]
fn lets_an_admin_of_another_user_in() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let (room, agent) = reachable();
    let denied = as_nobody(|| room.client().lock().unwrap_err());
    assert_eq!(denied.code(), Some(ErrorCode::Denied));
    let _ = agent.terminate();
    settings::set(&room, "agent", "admins", "[\"user:65534\"]");
    let _agent = room.start();
    open_to_all(&room);
    as_nobody(|| {
        let status = room.client().status().unwrap();
        assert_eq!((status.principal.as_str(), status.admins), ("user:65534", vec!["user:65534".to_owned()]));
        room.client().lock().unwrap();
    });
    assert_eq!(
        room.client().lock().unwrap_err().code(),
        Some(ErrorCode::Denied),
        "the agent's own user is none"
    );
}
