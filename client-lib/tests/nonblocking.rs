//! The async client.

#![cfg(feature = "tokio")]
#![expect(clippy::as_conversions, clippy::unwrap_used, reason = "a test may")]

mod agent;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use agent::{Agent, drained, pipe_with};
use strongroom_client::{AsyncClient, Enrollment, Error, ErrorCode, ProtocolError, SignRequest};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

const SHORT: Duration = Duration::from_millis(120);
/// Far beyond every deadline here, and what a busy machine may take.
const LONG: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn order(number: usize) -> SignRequest<'static> {
    SignRequest::new("binance-main", "POST", "/api/v3/order").query("n", number as u64)
}

/// A client that gives up where an agent hangs, and not where the machine is busy.
fn patient(agent: &Agent) -> AsyncClient {
    AsyncClient::at(agent.path()).with_deadline(LONG)
}

fn url(number: usize) -> String {
    format!("https://venue.test/api/v3/order?n:={number}")
}

#[test]
fn keeps_one_connection_for_all_calls_of_all_tasks() {
    let agent = Agent::answering();
    let client = Arc::new(patient(&agent));
    runtime().block_on(async {
        let tasks: Vec<_> = (0..50)
            .map(|task| {
                let client = Arc::clone(&client);
                tokio::spawn(async move {
                    for number in (0..20).map(|at| task * 100 + at) {
                        assert_eq!(client.sign(&order(number)).await.unwrap().url, url(number));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(client.list().await.unwrap().len(), 2);
        assert_eq!(client.show("a").await.unwrap().venue, "binance");
        assert_eq!(client.status().await.unwrap().pid, 4_711);
        client.lock().await.unwrap();
    });
    assert_eq!(agent.connections(), 1);
}

#[test]
fn takes_answers_in_any_order() {
    let agent = Agent::start(|peer| {
        let mut asked: Vec<_> = (0..8).map_while(|_| peer.next()).collect();
        while let Some(last) = asked.pop() {
            peer.answer(&last);
        }
    });
    let client = Arc::new(patient(&agent));
    runtime().block_on(async {
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let client = Arc::clone(&client);
                tokio::spawn(async move { client.sign(&order(number)).await.unwrap().url })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), url(number));
        }
    });
}

#[test]
fn is_not_disturbed_by_a_future_that_was_dropped() {
    // Answers the first request only after the second.
    let asked = Arc::new(Notify::new());
    let tell = Arc::clone(&asked);
    let agent = Agent::start(move |peer| {
        let dropped = peer.next().unwrap();
        tell.notify_one();
        let kept = peer.next().unwrap();
        peer.answer(&kept);
        peer.answer(&dropped);
        while let Some(asked) = peer.next() {
            peer.answer(&asked);
        }
    });
    let client = patient(&agent);
    runtime().block_on(async {
        tokio::select! {
            answer = client.show("dropped") => panic!("it is not answered yet: {answer:?}"),
            () = asked.notified() => {}
        }
        for number in 0..5 {
            assert_eq!(client.sign(&order(number)).await.unwrap().url, url(number));
        }
    });
    assert_eq!(agent.connections(), 1);
}

#[test]
fn leaves_whole_frames_where_futures_are_dropped_while_the_socket_is_full() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let agent = Agent::start(move |peer| {
        let first = peer.next().unwrap();
        peer.answer(&first);
        wait.lock().unwrap().recv().unwrap();
        while let Some(asked) = peer.next() {
            peer.answer(&asked);
        }
    });
    let client = patient(&agent);
    runtime().block_on(async {
        // So that it is connected, however short the times below are.
        client.status().await.unwrap();
        for _ in 0..30 {
            let big = order(0).query("big", "x".repeat(50_000));
            let dropped = tokio::time::timeout(Duration::from_millis(2), client.sign(&big)).await;
            assert!(dropped.is_err());
        }
        go.send(()).unwrap();
        assert_eq!(client.sign(&order(7)).await.unwrap().url, url(7));
    });
    assert_eq!(agent.connections(), 1);
}

#[test]
fn signs_a_batch_in_order_and_ahead() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let agent = Agent::start(move |peer| {
        let mut asked: Vec<_> = (0..256).map_while(|_| peer.next()).collect();
        seen.store(asked.len(), Ordering::SeqCst);
        asked.reverse();
        for asked in asked {
            peer.answer(&asked);
        }
        while let Some(asked) = peer.next() {
            if asked.url.ends_with("=2999") {
                peer.refuse(asked.id, 5, "no secret is in memory", "unlock");
            } else {
                peer.answer(&asked);
            }
        }
    });
    let client = patient(&agent);
    let mut requests: Vec<_> = (0..3_000).map(order).collect();
    requests[1_000] = order(1_000).form("big", "x".repeat(70_000));
    let results = runtime().block_on(client.sign_many(&requests));
    assert_eq!(results.len(), 3_000);
    for (number, result) in results.into_iter().enumerate() {
        match number {
            1_000 => assert_eq!(result.unwrap_err().code(), Some(ErrorCode::Invalid)),
            2_999 => assert_eq!(result.unwrap_err().code(), Some(ErrorCode::Locked)),
            _ => assert_eq!(result.unwrap().url, url(number)),
        }
    }
    assert_eq!(most.load(Ordering::SeqCst), 256);
    assert_eq!(agent.connections(), 1);
}

#[test]
fn signs_the_rest_of_a_batch_on_a_new_connection() {
    let agent = Agent::start(|peer| {
        let mut left = if peer.number == 1 { 3_usize } else { usize::MAX };
        while let Some(asked) = peer.next() {
            peer.answer(&asked);
            left -= 1;
            if left == 0 {
                return;
            }
        }
    });
    let client = patient(&agent);
    let requests: Vec<_> = (0..600).map(order).collect();
    for result in runtime().block_on(client.sign_many(&requests)) {
        result.unwrap();
    }
    assert_eq!(agent.connections(), 2);
}

#[test]
fn gives_up_at_the_deadline_and_ignores_the_late_answer() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let agent = Agent::start(move |peer| {
        let late = peer.next().unwrap();
        wait.lock().unwrap().recv().unwrap();
        peer.answer(&late);
        while let Some(asked) = peer.next() {
            peer.answer(&asked);
        }
    });
    let client = AsyncClient::at(agent.path()).with_deadline(SHORT);
    runtime().block_on(async {
        let start = Instant::now();
        let error = client.show("late").await.unwrap_err();
        assert!(matches!(error, Error::Deadline { after } if after == SHORT), "{error:?}");
        assert!(start.elapsed() >= SHORT && start.elapsed() < LONG, "{:?}", start.elapsed());
        go.send(()).unwrap();
        // The deadline is short: asked again where the machine was too busy for it.
        let status = loop {
            match client.status().await {
                Err(Error::Deadline { .. }) if start.elapsed() < LONG => {}
                answer => break answer.unwrap(),
            }
        };
        assert_eq!(status.pid, 4_711);
    });
    assert_eq!(agent.connections(), 1);
}

#[test]
fn asks_nothing_where_there_is_no_time() {
    let agent = Agent::answering();
    let client = AsyncClient::at(agent.path()).with_deadline(Duration::ZERO);
    runtime().block_on(async {
        for error in [client.status().await.unwrap_err(), client.sign(&order(1)).await.unwrap_err()] {
            assert!(matches!(error, Error::Deadline { after: Duration::ZERO }), "{error:?}");
        }
    });
    assert_eq!(agent.connections(), 0);
}

#[test]
fn gives_up_at_the_deadline_where_the_agent_reads_nothing() {
    let (done, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let agent = Agent::start(move |_| wait.lock().unwrap().recv().unwrap_or(()));
    let client = AsyncClient::at(agent.path()).with_deadline(SHORT);
    let big = "x".repeat(60_000);
    let requests: Vec<_> = (0..50).map(|number| order(number).query("big", &big)).collect();
    for result in runtime().block_on(client.sign_many(&requests)) {
        assert!(matches!(result.unwrap_err(), Error::Deadline { .. }));
    }
    drop(done);
}

#[test]
fn connects_anew_after_a_restart_of_the_agent_and_of_the_runtime() {
    let mut agent = Agent::answering();
    let client = patient(&agent);
    runtime().block_on(async {
        client.status().await.unwrap();
        agent.restart();
        client.sign(&order(1)).await.unwrap();
        assert_eq!(agent.connections(), 2);
    });
    runtime().block_on(async {
        client.sign(&order(2)).await.unwrap();
        assert_eq!(agent.connections(), 3);
        agent.stop();
        assert!(matches!(client.sign(&order(3)).await.unwrap_err(), Error::NoAgent { .. }));
    });
}

#[test]
fn asks_twice_where_the_connection_dies_but_never_with_a_pin() {
    let agent = Agent::start(|peer| drop(peer.next()));
    let client = patient(&agent);
    runtime().block_on(async {
        assert!(matches!(client.sign(&order(0)).await.unwrap_err(), Error::Disconnected));
        assert_eq!(agent.connections(), 2);
        assert!(matches!(client.unlock(pipe_with(b"1")).await.unwrap_err(), Error::Disconnected));
        assert_eq!(agent.connections(), 3);
        assert!(matches!(client.remove("a").await.unwrap_err(), Error::Disconnected));
        assert_eq!(agent.connections(), 4);
    });
}

#[test]
fn passes_descriptors_in_order() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let agent = Agent::start(move |peer| {
        while let Some(asked) = peer.next() {
            for descriptor in peer.descriptors.drain(..) {
                seen.lock().unwrap().push(String::from_utf8(drained(descriptor)).unwrap());
            }
            peer.answer(&asked);
        }
    });
    let client = patient(&agent);
    runtime().block_on(async {
        client.unlock(pipe_with(b"1234")).await.unwrap();
        let enrollment = Enrollment::new("okx", "okx", "key-1");
        let passphrase = Some(pipe_with(b"pass"));
        client.enroll(&enrollment, pipe_with(b"5678"), pipe_with(b"s3cret"), passphrase).await.unwrap();
    });
    assert_eq!(*log.lock().unwrap(), ["1234", "5678", "s3cret", "pass"]);
}

#[test]
fn tells_how_far_an_unlock_is_and_takes_its_answer_only() {
    let agent = Agent::start(agent::unlocking);
    let client = patient(&agent);
    runtime().block_on(async {
        let mut seen = Vec::new();
        let unlocked =
            client.unlock_with(pipe_with(b"1234"), |progress| seen.push((progress.done, progress.total)));
        unlocked.await.unwrap();
        // Only the last counts where several came at once.
        assert_eq!(seen.last(), Some(&(3, 3)), "{seen:?}");
        client.unlock(pipe_with(b"1234")).await.unwrap();
        let error = client.unlock_with(pipe_with(b"wrong"), |_| {}).await.unwrap_err();
        assert_eq!(error.to_string(), "the PIN is wrong");
        // Nobody else has asked how far anything is.
        let error = client.remove("a").await.unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::WrongReply)), "{error:?}");
    });
}

#[test]
fn names_what_breaks_the_protocol() {
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty frame", &[0, 0, 0, 0], "a frame of length 0"),
        ("no message", &[3, 0, 0, 0, 1, 1, 99], "a frame holds no response"),
        ("an id of nobody", &[3, 0, 0, 0, 1, 77, 0], "a response carries the id 77, which was never sent"),
        ("another version", &[6, 0, 0, 0, 2, 0, 1, 9, 0, 0], "the agent speaks protocol version 2"),
    ];
    for (case, bytes, expected) in cases {
        let agent = Agent::start(move |peer| {
            if peer.next().is_some() {
                peer.raw(bytes);
                assert!(peer.next().is_none());
            }
        });
        let error = runtime().block_on(patient(&agent).sign(&order(0))).unwrap_err();
        let words = match &error {
            Error::Protocol(error) => error.to_string(),
            other => other.to_string(),
        };
        assert!(words.starts_with(expected), "{case}: {error:?}");
    }
    let agent = Agent::start(|peer| peer.refuse(0, 8, "1,024 clients are connected", ""));
    let error = runtime().block_on(patient(&agent).sign(&order(0))).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unavailable));
}

#[test]
fn makes_futures_that_can_be_spawned() {
    fn check(_: impl Send) {}
    let client = AsyncClient::at("/nowhere");
    let request = order(0);
    check(client.sign(&request));
    check(client.sign_many(std::slice::from_ref(&request)));
    check(client.unlock(pipe_with(b"")));
}
