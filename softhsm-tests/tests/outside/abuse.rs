//! Clients that are slow, silent, greedy or many: they harm themselves and nobody else.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use strongroom_client::SignRequest;
use strongroom_protocol::{Body, Operation, Param, Sign};
use strongroom_softhsm_tests::process::{SOON, descriptors};
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::Room;

use crate::descriptors::at_rest;
use crate::keys::{BINANCE, account};

/// How long a frame may take, and a client that takes nothing.
const PATIENCE: Duration = Duration::from_secs(10);

fn sign(padding: &str) -> Operation<'_> {
    let query = vec![("padding", Param::Text(padding))];
    let path = "/api/v3/account";
    Operation::Sign(Sign { credential: "binance-main", method: "GET", path, query, body: Body::Empty })
}

#[test]
fn closes_half_frames_slow_senders_and_clients_that_take_nothing_after_ten_seconds() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let good = frame(1, sign("x"));
    std::thread::scope(|scope| {
        let (room, good) = (&room, &good);
        let waiting = [
            scope.spawn(move || ("half a length", half(room, &good[..2]))),
            scope.spawn(move || ("a length", half(room, &good[..4]))),
            scope.spawn(move || ("all but one byte", half(room, &good[..good.len() - 1]))),
            scope.spawn(|| ("a slow sender", slow_sender(room))),
        ];
        let greedy = scope.spawn(|| takes_nothing(room));
        let idle = scope.spawn(|| {
            // Silence between frames is no offence.
            let mut peer = Raw::connect(&room.socket());
            std::thread::sleep(PATIENCE + Duration::from_secs(3));
            peer.ask(9, Operation::Status).unwrap();
            assert_eq!(peer.hear(SOON), Heard::Good(9));
        });
        // Others are served all the while, and wait for none of these.
        let mut served = 0;
        while !waiting.iter().any(|thread| thread.is_finished()) {
            let _ = room.client().sign(&account()).unwrap();
            served += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(served >= 3, "{served} were served before one of these was sent away");
        for thread in waiting {
            let (case, took) = thread.join().unwrap();
            assert!(took >= PATIENCE - Duration::from_secs(1), "{case}: closed after {took:?}");
        }
        greedy.join().unwrap();
        idle.join().unwrap();
    });
    assert!(room.client().status().unwrap().pid == agent.pid());
}

/// Begins a frame and falls silent; how long until the connection is closed.
fn half(room: &Room, bytes: &[u8]) -> Duration {
    let mut peer = Raw::connect(&room.socket());
    let began = Instant::now();
    peer.write(bytes).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Closed);
    began.elapsed()
}

/// A byte now and then: each is progress, and the frame is late all the same.
fn slow_sender(room: &Room) -> Duration {
    let mut peer = Raw::connect(&room.socket());
    let began = Instant::now();
    for byte in frame(1, sign(&"x".repeat(200))) {
        if let Err(error) = peer.write(&[byte]) {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
            return began.elapsed();
        }
        std::thread::sleep(Duration::from_millis(150));
    }
    panic!("the whole frame was taken, in {:?}", began.elapsed())
}

/// Asks and asks, and reads no answer.
fn takes_nothing(room: &Room) {
    let mut peer = Raw::connect(&room.socket());
    peer.stream.set_write_timeout(Some(SOON)).unwrap();
    let padding = "x".repeat(4_000);
    let mut written = 0_usize;
    loop {
        match peer.ask(1, sign(&padding)) {
            Ok(()) => written += padding.len(),
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                    "{error}"
                );
                break;
            }
        }
        assert!(written < 64 << 20, "the agent reads from a client that takes nothing");
    }
}

#[test]
fn answers_thousands_of_pipelined_requests_of_a_slow_reader() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    const REQUESTS: u64 = 4_000;
    let mut peer = Raw::connect(&room.socket());
    let mut sender = Raw::connect(&room.socket());
    sender.stream = peer.stream.try_clone().unwrap();
    let mut seen = vec![false; REQUESTS as usize];
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            for id in 0..REQUESTS {
                sender.ask(id, sign("x")).unwrap();
            }
        });
        for count in 0..REQUESTS {
            if count % 400 == 0 {
                std::thread::sleep(Duration::from_millis(150));
            }
            match peer.hear(SOON) {
                Heard::Good(id) => assert!(!std::mem::replace(&mut seen[id as usize], true), "{id} twice"),
                other => panic!("{other:?} after {count}"),
            }
        }
        sending.join().unwrap();
    });
    assert!(seen.iter().all(|seen| *seen));
    drop(agent);
}

#[test]
fn serves_two_hundred_clients_of_whom_some_abuse_it() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let before = at_rest(&room, &agent, 0);
    let good = frame(1, sign("x"));
    // 60 that misbehave, and stay.
    let mut abusers = Vec::new();
    for number in 0..60_usize {
        let mut peer = Raw::connect(&room.socket());
        match number % 4 {
            0 => peer.write(&good[..number % good.len() + 1]).unwrap(),
            1 => peer.write(&[0xff; 100]).unwrap(),
            2 => peer.write(&good.repeat(50)).unwrap(),
            _ => {}
        }
        abusers.push(peer);
    }
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..140)
            .map(|_| {
                scope.spawn(|| {
                    let client = room.client();
                    let one: Result<_, _> = client.sign(&account());
                    let _ = one.unwrap();
                    let orders: Vec<SignRequest<'_>> = (0..10).map(|_| account()).collect();
                    client.sign_many(&orders).into_iter().map(Result::unwrap).count()
                })
            })
            .collect();
        let signed: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert_eq!(signed, 1400);
    });
    drop(abusers);
    // A few more may be there: the agent begins to watch its token while this runs.
    let gone = || descriptors(agent.pid()).len() < before + 10;
    strongroom_softhsm_tests::process::wait_until("all connections are closed", SOON, gone);
}

#[test]
fn turns_clients_away_beyond_a_thousand_and_serves_again_afterwards() {
    let room = Room::new();
    let _agent = room.start();
    // This process has as many descriptors as the agent; often that is more than it may have without asking.
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let mut peers = Vec::new();
    let refusal = loop {
        let mut peer = Raw::connect(&room.socket());
        // One that is turned away may find the door shut before it has asked.
        let _ = peer.ask(1, Operation::Status);
        match peer.hear(SOON) {
            Heard::Good(1) => peers.push(peer),
            other => break other,
        }
        assert!(peers.len() <= 1_024, "more than the limit were served");
    };
    let message = "the agent has as many clients as it can serve".to_owned();
    assert_eq!(refusal, Heard::Error(0, strongroom_client::ErrorCode::Unavailable, message));
    assert_eq!(peers.len(), 1_024);
    drop(peers);
    let served = || room.client().status().is_ok();
    strongroom_softhsm_tests::process::wait_until("clients are served again", SOON, served);
}
