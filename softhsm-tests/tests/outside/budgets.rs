//! Budgets of grants, against the agent that keeps them.

use std::sync::atomic::{AtomicU32, Ordering};

use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::Room;

use crate::keys::{KRAKEN, balance};
use crate::records::assert_like;

/// Of a notional of 10.
pub(crate) fn order() -> SignRequest<'static> {
    SignRequest::new("kraken-main", "POST", "/0/private/AddOrder")
        .form("pair", "XBTUSD")
        .form("type", "buy")
        .form("ordertype", "limit")
        .form("volume", "0.5")
        .form("price", "20")
}

/// A credential with which this user may trade for 1000 in 24 hours.
pub(crate) fn room() -> Room {
    let room = Room::new();
    let uid = rustix::process::geteuid().as_raw();
    let grants = format!(
        "[[grant]]\nid = \"own\"\nto = \"user:{uid}\"\nallow = [\"read\", \"trade\"]\nmax_notional_day = \"1000\"\n"
    );
    let file = room.folder().join("grants.toml");
    std::fs::write(&file, grants).unwrap();
    let _ = room.enroll(&KRAKEN, &["--grants", file.to_str().unwrap()]).ok();
    room
}

const EXHAUSTED: &str = "*10 is more than grant `own` has left: *";

#[test]
fn spends_exactly_what_a_grant_gives_and_denies_the_rest() {
    let room = room();
    let _agent = room.start_unlocked();
    let client = room.client();
    for number in 1..=100 {
        let _ = client.sign(&order()).unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    let refused = client.sign(&order()).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Denied));
    assert_like(&refused.to_string(), EXHAUSTED, "the hundred and first");
    let _ = client.sign(&balance()).expect("what costs nothing is not denied");
    // A lock counts at most too much.
    client.lock().unwrap();
    let _ = room.unlock().ok();
    assert_eq!(client.sign(&order()).unwrap_err().code(), Some(ErrorCode::Denied));
}

#[test]
fn never_counts_too_little_however_often_the_agent_is_killed() {
    let room = room();
    let signed = AtomicU32::new(0);
    for round in 0..6 {
        let agent = room.start_unlocked();
        let enough = signed.load(Ordering::Acquire) + 3 + round;
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let client = room.client();
                    while client.sign(&order()).is_ok() {
                        signed.fetch_add(1, Ordering::AcqRel);
                    }
                });
            }
            wait_until("some are signed", SOON, || signed.load(Ordering::Acquire) >= enough);
            agent.kill();
        });
    }
    let _agent = room.start_unlocked();
    let client = room.client();
    let refused = loop {
        match client.sign(&order()) {
            Ok(_) => signed.fetch_add(1, Ordering::AcqRel),
            Err(error) => break error,
        };
    };
    assert_like(&refused.to_string(), EXHAUSTED, "the end");
    let signed = signed.load(Ordering::Acquire);
    assert!((33..=100).contains(&signed), "{signed} orders of 10, and 1000 were granted");
}

#[test]
fn denies_where_what_was_spent_cannot_be_known() {
    let room = room();
    let path = room.data().join("budgets/kraken-main.toml");
    let agent = room.start_unlocked();
    let _ = room.client().sign(&order()).unwrap();
    drop(agent);
    let whole = std::fs::read_to_string(&path).unwrap();
    for (text, fault) in [
        (whole.replace("\"10\"", "\"1\""), "was edited"),
        (whole[..whole.len() / 2].to_owned(), "is damaged"),
    ] {
        assert_ne!(text, whole);
        std::fs::write(&path, text).unwrap();
        let _agent = room.start_unlocked();
        let refused = room.client().sign(&order()).unwrap_err();
        let said = format!("*{} {fault}, so nobody can say what of each budget is used", path.display());
        assert_like(&refused.to_string(), &said, fault);
        assert_like(refused.hint(), "restore the file; *", fault);
        let _ = room.client().sign(&balance()).expect("what costs nothing goes on");
    }
    std::fs::write(&path, whole).unwrap();
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&order()).expect("the control");
}

#[test]
fn keeps_a_budget_when_its_grant_is_changed() {
    let room = room();
    let _agent = room.start_unlocked();
    let client = room.client();
    for _ in 0..60 {
        let _ = client.sign(&order()).unwrap();
    }
    let file = room.folder().join("grants.toml");
    let lower = std::fs::read_to_string(&file).unwrap().replace("\"1000\"", "\"700\"");
    std::fs::write(&file, lower).unwrap();
    let edit = ["grant", "edit", "kraken-main", "--file", file.to_str().unwrap(), "--pin-fd", "3"];
    let _ = room.run(&edit, None, &[(3, &room.token.pin)]).ok();
    for _ in 0..10 {
        let _ = client.sign(&order()).unwrap();
    }
    assert_like(&client.sign(&order()).unwrap_err().to_string(), EXHAUSTED, "70 orders of 10");
}

/// An admin's Prometheus sees what is left, before it is used up.
#[test]
fn tells_in_the_metrics_what_is_left_of_a_budget() {
    let room = room();
    let left = || {
        let text = room.run(&["metrics"], None, &[]).ok();
        let samples = text.lines().filter_map(|line| line.strip_prefix("strongroom_budget_left{"));
        samples.map(str::to_owned).collect::<Vec<_>>()
    };
    let agent = room.start();
    assert_eq!(left(), [""; 0], "a locked agent does not know");
    let _ = room.unlock().ok();
    let named = left()[0].split_once("} ").unwrap().0.to_owned();
    assert!(named.starts_with("credential=\"kraken-main\",grant=\""), "{named}");
    assert_eq!(left(), [format!("{named}}} 1000")]);
    for rest in [990, 980] {
        let _ = room.client().sign(&order()).unwrap();
        assert_eq!(left(), [format!("{named}}} {rest}")]);
    }
    let _ = room.client().sign(&balance()).unwrap();
    assert_eq!(left(), [format!("{named}}} 980")], "what costs nothing takes nothing");
    // A kill costs at most a sixteenth, and gives nothing back.
    agent.kill();
    let _agent = room.start_unlocked();
    let told = left()[0].rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
    assert!((980.0 - 62.5..=980.0).contains(&told), "{told}");
}
