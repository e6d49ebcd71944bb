//! The blocking client against agents that are slow, gone, restarted, of another version, or no agents.

mod agent;

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use agent::{Agent, credential, pipe_with};
use strongroom_client::{Client, Error, ErrorCode, ProtocolError, SignRequest};
use strongroom_protocol::{FrameError, Reply};

const SHORT: Duration = Duration::from_millis(120);
/// Far beyond every deadline here, and what a busy machine may take.
const LONG: Duration = Duration::from_secs(60);

/// A client that gives up where an agent hangs, and not where the machine is busy.
fn patient(agent: &Agent) -> Client {
    Client::at(agent.path()).with_deadline(LONG)
}

fn order() -> SignRequest<'static> {
    SignRequest::new("binance-main", "POST", "/api/v3/order")
}

#[test]
fn names_the_socket_where_no_agent_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let error = Client::at(&path).status().unwrap_err();
    assert_eq!(error.to_string(), format!("no agent answers at {}", path.display()));
    assert_eq!(error.code(), None);
    let Error::NoAgent { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    for result in Client::at(&path).sign_many(&[order(), order()]) {
        assert_eq!(result.unwrap_err().to_string(), error.to_string());
    }
}

#[test]
fn refuses_a_socket_path_that_no_socket_can_have() {
    let path = "/tmp/".to_owned() + &"x".repeat(200);
    let error = Client::at(path).status().unwrap_err();
    assert!(matches!(error, Error::NoAgent { .. }), "{error:?}");
    assert_eq!(error.hint(), "choose a shorter path: that of a socket has at most 107 bytes");
}

#[test]
fn gives_up_at_the_deadline_and_ignores_the_late_answer() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let agent = Agent::start(move |peer| {
        let late = peer.next().unwrap();
        gone.lock().unwrap().recv().unwrap();
        peer.answer(&late);
        while let Some(asked) = peer.next() {
            peer.answer(&asked);
        }
    });
    let client = Client::at(agent.path()).with_deadline(SHORT);
    let start = Instant::now();
    let error = client.show("late").unwrap_err();
    let took = start.elapsed();
    assert!(matches!(error, Error::Deadline { after } if after == SHORT), "{error:?}");
    assert!(took >= SHORT && took < LONG, "{took:?}");
    go.send(()).unwrap();
    // The deadline is short: asked again where the machine was too busy for it.
    let status = loop {
        match client.status() {
            Err(Error::Deadline { .. }) if start.elapsed() < LONG => {}
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(status.pid, 4_711);
    assert_eq!(agent.connections(), 1);
}

#[test]
fn takes_any_deadline() {
    let agent = Agent::answering();
    Client::at(agent.path()).with_deadline(Duration::MAX).status().unwrap();
}

#[test]
fn asks_nothing_after_the_deadline() {
    // However fast the agent is: an order that is reported as late must not be signed.
    let (tell, asked) = mpsc::channel();
    let agent = Agent::start(move |peer| {
        while let Some(asked) = peer.next() {
            tell.send(asked.what.clone()).unwrap();
            peer.answer(&asked);
        }
    });
    for _ in 0..50 {
        let client = Client::at(agent.path()).with_deadline(Duration::ZERO);
        for error in [client.status().unwrap_err(), client.sign(&order()).unwrap_err()] {
            assert!(matches!(error, Error::Deadline { after: Duration::ZERO }), "{error:?}");
        }
        let result = client.sign_many(&[order()]).remove(0);
        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    }
    patient(&agent).list().unwrap();
    assert!(asked.recv().unwrap().starts_with("List"));
}

#[test]
fn keeps_the_deadline_although_answers_for_others_keep_coming() {
    // One of two threads is never answered; the other is, all the time, for longer than the deadline.
    const DEADLINE: Duration = Duration::from_secs(1);
    let agent = Agent::start(|peer| {
        while let Some(asked) = peer.next() {
            if asked.what == "Sign" {
                thread::sleep(Duration::from_millis(20));
                peer.answer(&asked);
            }
        }
    });
    let client = Client::at(agent.path()).with_deadline(DEADLINE);
    let given_up = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            while !given_up.load(Ordering::Relaxed) && start.elapsed() < LONG {
                let _ = client.sign(&order());
            }
        });
        scope.spawn(|| {
            let start = Instant::now();
            let error = client.list().unwrap_err();
            given_up.store(true, Ordering::Relaxed);
            assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
            let took = start.elapsed();
            assert!(took >= DEADLINE && took < LONG, "{took:?}");
        });
    });
}

#[test]
fn gives_up_at_the_deadline_where_the_agent_reads_nothing() {
    let (done, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let agent = Agent::start(move |_| wait.lock().unwrap().recv().unwrap_or(()));
    let client = Client::at(agent.path()).with_deadline(SHORT);
    let big = "x".repeat(60_000);
    let requests: Vec<_> = (0..50).map(|_| order().query("big", &big)).collect();
    for result in client.sign_many(&requests) {
        assert!(matches!(result.unwrap_err(), Error::Deadline { .. }));
    }
    drop(done);
}

#[test]
fn connects_anew_after_a_restart_of_the_agent() {
    let mut agent = Agent::answering();
    let client = patient(&agent);
    client.status().unwrap();
    agent.restart();
    client.sign(&order()).unwrap();
    agent.stop();
    assert!(matches!(client.sign(&order()).unwrap_err(), Error::NoAgent { .. }));
    agent.restart_stopped();
    assert!(client.sign_many(&[order()])[0].is_ok());
}

#[test]
fn asks_once_more_where_the_connection_dies_before_the_answer() {
    let agent = Agent::start(|peer| {
        let number = peer.number;
        while let Some(asked) = peer.next() {
            if number == 1 {
                return;
            }
            peer.answer(&asked);
        }
    });
    let client = patient(&agent);
    client.sign(&order()).unwrap();
    assert_eq!(agent.connections(), 2);
}

#[test]
fn signs_the_rest_of_a_batch_on_a_new_connection() {
    let agent = Agent::start(|peer| {
        let number = peer.number;
        let mut left = if number == 1 { 3 } else { usize::MAX };
        while let Some(asked) = peer.next() {
            peer.answer(&asked);
            left -= 1;
            if left == 0 {
                // The rest of what was sent stays unread, so that the kernel resets the connection.
                return;
            }
        }
    });
    let client = patient(&agent);
    let results = client.sign_many(&(0..600).map(|_| order()).collect::<Vec<_>>());
    assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|result| result.is_err()));
    assert_eq!(agent.connections(), 2);
}

#[test]
fn asks_only_twice_where_every_connection_dies() {
    let agent = Agent::start(|peer| drop(peer.next()));
    let client = patient(&agent);
    assert!(matches!(client.sign(&order()).unwrap_err(), Error::Disconnected));
    assert_eq!(agent.connections(), 2);
}

#[test]
fn never_sends_a_pin_or_a_removal_twice() {
    let agent = Agent::start(|peer| drop(peer.next()));
    let client = patient(&agent);
    assert!(matches!(client.unlock(pipe_with(b"1234")).unwrap_err(), Error::Disconnected));
    assert_eq!(agent.connections(), 1);
    assert!(matches!(client.remove("a").unwrap_err(), Error::Disconnected));
    assert_eq!(agent.connections(), 2);
}

#[test]
fn tells_all_who_wait_that_the_connection_ended_inside_a_frame() {
    let agent = Agent::start(|peer| {
        let asked: Vec<_> = (0..4).map_while(|_| peer.next()).collect();
        assert_eq!(asked.len(), 4);
        peer.raw(&[200, 0, 0, 0, 1, 1, 2]);
    });
    let client = patient(&agent);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(matches!(client.sign(&order()).unwrap_err(), Error::Disconnected)));
        }
    });
}

#[test]
fn refuses_rubbish_from_the_server() {
    let cases: [(&str, &[u8], ProtocolError); 6] = [
        ("empty frame", &[0, 0, 0, 0], FrameError::Empty.into()),
        ("lying length", &[0xff, 0xff, 0xff, 0x7f, 1, 1], FrameError::TooLong(0x7fff_ffff).into()),
        (
            "text",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            FrameError::TooLong(u32::from_le_bytes(*b"HTTP")).into(),
        ),
        ("no message", &[3, 0, 0, 0, 1, 1, 99], ProtocolError::Malformed),
        ("an id of nobody", &[3, 0, 0, 0, 1, 77, 0], ProtocolError::UnknownId(77)),
        ("an id cut short", &[2, 0, 0, 0, 1, 253], ProtocolError::Malformed),
    ];
    for (case, bytes, expected) in cases {
        let agent = Agent::start(move |peer| {
            if peer.next().is_some() {
                peer.raw(bytes);
                // Wait until the client has given up.
                assert!(peer.next().is_none());
            }
        });
        let client = patient(&agent);
        match client.sign(&order()).unwrap_err() {
            Error::Protocol(error) => assert_eq!(error, expected, "{case}"),
            other => panic!("{case}: {other:?}"),
        }
        drop(client);
    }
}

#[test]
fn refuses_an_answer_to_another_question() {
    let agent = Agent::start(|peer| {
        while let Some(asked) = peer.next() {
            peer.reply(asked.id, Reply::Done);
        }
    });
    let client = patient(&agent);
    for error in [client.sign(&order()).map(drop), client.status().map(drop), client.list().map(drop)] {
        assert!(matches!(error.unwrap_err(), Error::Protocol(ProtocolError::WrongReply)));
    }
    client.lock().unwrap();
    assert_eq!(agent.connections(), 1);
}

#[test]
fn refuses_pages_that_would_never_end() {
    for (case, names) in [("the same again", vec!["a"]), ("not sorted", vec!["c", "b"]), ("nothing", vec![])]
    {
        let agent = Agent::start(move |peer| {
            while let Some(asked) = peer.next() {
                let page = names.iter().map(|name| credential(name)).collect();
                peer.reply(asked.id, Reply::Credentials { page, more: true });
            }
        });
        let error = patient(&agent).list().unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::WrongReply)), "{case}: {error:?}");
    }
}

#[test]
fn names_both_versions_where_the_agent_speaks_another() {
    for case in ["reads the request", "closes at once"] {
        let agent = Agent::start(move |peer| {
            if case == "reads the request" {
                let mut some = [0; 16];
                assert!(peer.stream.read(&mut some).unwrap() > 0);
            }
            // Version 2, id 0, an error of code 9 without words.
            peer.raw(&[6, 0, 0, 0, 2, 0, 1, 9, 0, 0]);
        });
        let error = patient(&agent).sign(&order()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the agent speaks protocol version 2, this program speaks version 1",
            "{case}"
        );
        assert_eq!(error.code(), Some(ErrorCode::Version));
    }
}

#[test]
fn hands_on_why_the_agent_refuses_the_whole_connection() {
    let agent = Agent::start(|peer| peer.refuse(0, 8, "1,024 clients are connected", "close some"));
    let error = patient(&agent).sign(&order()).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unavailable));
    assert_eq!((error.to_string().as_str(), error.hint()), ("1,024 clients are connected", "close some"));
}

#[test]
fn keeps_the_words_of_a_refusal_whose_code_it_does_not_know() {
    let agent = Agent::start(|peer| {
        let asked = peer.next().unwrap();
        peer.refuse(asked.id, 200, "the moon is full", "");
        assert!(peer.next().is_none());
    });
    let client = patient(&agent);
    let error = client.sign(&order()).unwrap_err();
    let expected = ProtocolError::UnknownCode { code: 200, message: "the moon is full".to_owned() };
    assert!(matches!(error, Error::Protocol(error) if error == expected));
}
