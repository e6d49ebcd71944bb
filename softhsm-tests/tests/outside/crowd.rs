//! Many who ask much: what one of them may take from the others, and from the disk.

use std::collections::HashSet;

use rustix::process::Signal;
use strongroom_client::ErrorCode;
use strongroom_protocol::{Body, Operation, Param, Sign};
use strongroom_softhsm_tests::process::SOON;
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::{Room, signal, stop};

use crate::audit::lines;
use crate::keys::{BINANCE, KRAKEN};

/// Requests of one who asks for much that the agent acts on, at most, before it looks who else has come; and then it
/// has a part of half as many.
const LONG_ROUND: usize = 64;

fn sign<'a>(path: &'a str, who: &'a str) -> Operation<'a> {
    let query = vec![("who", Param::Text(who))];
    Operation::Sign(Sign { credential: "binance-main", method: "GET", path, query, body: Body::Empty })
}

/// All have asked before the agent looks, so that it does not matter how fast anything is: what counts is in which
/// order it acts. The lines of its log tell.
#[test]
fn serves_who_asks_for_one_thing_before_those_who_ask_for_much() {
    const GREEDY: usize = 12;
    const EACH: u64 = 250;
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let connect = || {
        let mut peer = Raw::connect(&room.socket());
        peer.ask(0, Operation::Status).unwrap();
        assert_eq!(peer.hear(SOON), Heard::Good(0), "it is let in");
        peer
    };
    let mut greedy: Vec<Raw> = (0..GREEDY).map(|_| connect()).collect();
    let mut modest = connect();
    stop(agent.pid());
    for (number, peer) in greedy.iter_mut().enumerate() {
        let who = number.to_string();
        let much: Vec<u8> = (1..=EACH).flat_map(|id| frame(id, sign("/api/v3/account", &who))).collect();
        peer.write(&much).unwrap();
    }
    modest.ask(1, sign("/api/v3/openOrders", "modest")).unwrap();
    signal(agent.pid(), Signal::CONT);
    assert_eq!(modest.hear(SOON), Heard::Good(1));
    for peer in &mut greedy {
        let mut left: HashSet<u64> = (1..=EACH).collect();
        while !left.is_empty() {
            match peer.hear(SOON) {
                Heard::Good(id) => assert!(left.remove(&id), "{id} is answered, once"),
                other => panic!("{other:?}"),
            }
        }
    }
    let asked: Vec<String> =
        lines(&room).iter().filter_map(|line| line["query"]["who"].as_str().map(str::to_owned)).collect();
    assert_eq!(asked.len(), GREEDY * EACH as usize + 1);
    let place = asked.iter().position(|who| who == "modest").unwrap();
    assert!(place < GREEDY + LONG_ROUND + LONG_ROUND / 2, "{place} of {} were served before", asked.len());
    // And those who ask for much have one turn each before anybody has the next one.
    let mut had = [0; GREEDY];
    for who in asked.iter().filter_map(|who| who.parse::<usize>().ok()) {
        had[who] += 1;
        let least = had.iter().min().unwrap();
        assert!(
            had[who] <= least + LONG_ROUND + LONG_ROUND / 2,
            "{who} has had {} when another had {least}",
            had[who]
        );
    }
    assert_eq!(had, [EACH as usize; GREEDY]);
}

#[test]
fn tells_of_the_records_without_reading_them() {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    let counts = || {
        let status = room.client().status().unwrap();
        (status.credentials, status.ready)
    };
    let names =
        || room.client().list().unwrap().into_iter().map(|credential| credential.name).collect::<Vec<_>>();
    let agent = room.start();
    let (records, aside) = (room.data().join("records"), room.data().join("aside"));
    for _ in 0..2 {
        // What is not there cannot be read.
        std::fs::rename(&records, &aside).unwrap();
        assert_eq!(counts().0, 2);
        assert_eq!(names(), ["binance-main", "kraken-main"]);
        assert_eq!(room.client().show("kraken-main").unwrap().venue, "kraken");
        let absent = room.client().show("okx-main").unwrap_err();
        assert_eq!(absent.code(), Some(ErrorCode::NotFound));
        std::fs::rename(&aside, &records).unwrap();
        let _ = room.unlock().ok();
        assert_eq!(counts(), (2, 2));
    }
    room.client().remove("binance-main").unwrap();
    assert_eq!((counts(), names()), ((1, 1), vec!["kraken-main".to_owned()]));
    let _ = room.enroll(&BINANCE, &[]).ok();
    assert_eq!(counts(), (2, 2));
    room.client().lock().unwrap();
    assert_eq!(counts(), (2, 0));
    agent.kill();
    let _agent = room.start();
    assert_eq!(counts(), (2, 0), "after a kill");
}

#[test]
fn notices_records_that_somebody_has_taken_away_or_put_there() {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, &[]).ok();
    }
    let _agent = room.start();
    let told = || {
        let listed = room.client().list().unwrap().into_iter();
        let names: Vec<String> = listed.map(|credential| credential.name).collect();
        assert_eq!(room.client().status().unwrap().credentials as usize, names.len());
        names
    };
    let path = room.record("kraken-main");
    let text = std::fs::read(&path).unwrap();
    for _ in 0..2 {
        std::fs::remove_file(&path).unwrap();
        assert_eq!(told(), ["binance-main"]);
        let _ = room.unlock().ok();
        assert_eq!(told(), ["binance-main"]);
        std::fs::write(&path, &text).unwrap();
        assert_eq!(told(), ["binance-main", "kraken-main"]);
        let _ = room.unlock().ok();
        assert_eq!(room.client().status().unwrap().ready, 2);
        room.client().lock().unwrap();
    }
}
