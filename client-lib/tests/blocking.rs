//! The blocking client against an agent that behaves.

#![expect(clippy::as_conversions, reason = "a test may")]

mod agent;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use agent::{Agent, credential, drained, pipe_with};
use strongroom_client::{
    Client, Enrollment, Error, ErrorCode, Login, NewGrants, ProtocolError, SignRequest, SignedRequest,
};
use strongroom_protocol::Reply;

/// A client that gives up where an agent hangs, and not where the machine is busy.
fn patient(agent: &Agent) -> Client {
    Client::at(agent.path()).with_deadline(Duration::from_secs(60))
}

fn order(number: usize) -> SignRequest<'static> {
    SignRequest::new("binance-main", "POST", "/api/v3/order")
        .query("symbol", "LTCBTC")
        .query("n", number as u64)
}

fn url(number: usize) -> String {
    format!("https://venue.test/api/v3/order?symbol=LTCBTC&n:={number}")
}

#[test]
fn returns_exactly_what_the_agent_signed() {
    let agent = Agent::answering();
    let client = patient(&agent);
    let request = SignRequest::new("kraken", "POST", "/0/private/AddOrder")
        .query("q", "1")
        .form("pair", "XBTUSD")
        .form("validate", true)
        .form("volume", -125_i64);
    assert_eq!(
        client.sign(&request).unwrap(),
        SignedRequest {
            method: "POST".to_owned(),
            url: "https://venue.test/0/private/AddOrder?q=1".to_owned(),
            headers: vec![("X-Key".to_owned(), "kraken".to_owned()), ("X-Pid".to_owned(), "1".to_owned())],
            body: b"pair=XBTUSD&validate:=true&volume:=-125".to_vec(),
        }
    );
    let json = SignRequest::new("kraken", "POST", "/x").json(br#"{"a":1}"#.as_slice());
    assert_eq!(client.sign(&json).unwrap().body, br#"{"a":1}"#);
}

#[test]
fn keeps_one_connection_for_all_calls() {
    let agent = Agent::answering();
    let client = patient(&agent);
    assert_eq!(agent.connections(), 0);
    for number in 0..10 {
        assert_eq!(client.sign(&order(number)).unwrap().url, url(number));
    }
    assert_eq!(client.list().unwrap().len(), 2);
    assert_eq!(client.show("a").unwrap().name, "a");
    let status = client.status().unwrap();
    assert_eq!((status.pid, status.keeper_pid, status.weaknesses.len()), (4_711, None, 1));
    client.lock().unwrap();
    assert_eq!(agent.connections(), 1);
    client.close();
    client.lock().unwrap();
    assert_eq!(agent.connections(), 2);
}

#[test]
fn lists_all_pages() {
    let agent = Agent::start(|peer| {
        while let Some(asked) = peer.next() {
            let (page, more) = match asked.what.as_str() {
                r#"List { after: "" }"# => (vec!["a", "b"], true),
                r#"List { after: "b" }"# => (vec!["c"], true),
                r#"List { after: "c" }"# => (vec!["d", "e"], false),
                other => panic!("{other}"),
            };
            peer.reply(
                asked.id,
                Reply::Credentials { page: page.into_iter().map(credential).collect(), more },
            );
        }
    });
    let names: Vec<_> =
        patient(&agent).list().unwrap().into_iter().map(|credential| credential.name).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn gives_each_of_many_threads_its_own_answer_over_one_connection() {
    let agent = Agent::answering();
    let client = patient(&agent);
    thread::scope(|scope| {
        for thread in 0..16 {
            let client = &client;
            scope.spawn(move || {
                for number in (0..200).map(|at| thread * 1_000 + at) {
                    assert_eq!(client.sign(&order(number)).unwrap().url, url(number));
                }
            });
        }
    });
    assert_eq!(agent.connections(), 1);
}

#[test]
fn has_many_requests_under_way_and_takes_answers_in_any_order() {
    // Answers only once eight requests are there, the last one first.
    let agent = Agent::start(|peer| {
        loop {
            let mut asked: Vec<_> = (0..8).map_while(|_| peer.next()).collect();
            if asked.is_empty() {
                return;
            }
            while let Some(last) = asked.pop() {
                peer.answer(&last);
            }
        }
    });
    let client = patient(&agent);
    thread::scope(|scope| {
        for number in 0..8 {
            let client = &client;
            scope.spawn(move || assert_eq!(client.sign(&order(number)).unwrap().url, url(number)));
        }
    });
    assert_eq!(agent.connections(), 1);
}

#[test]
fn signs_a_batch_in_order_and_ahead() {
    let most = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&most);
    let agent = Agent::start(move |peer| {
        // A batch is sent ahead: the first answer waits until 256 requests are there.
        let mut asked: Vec<_> = (0..256).map_while(|_| peer.next()).collect();
        *seen.lock().unwrap() = asked.len();
        asked.reverse();
        for asked in asked {
            peer.answer(&asked);
        }
        while let Some(asked) = peer.next() {
            peer.answer(&asked);
        }
    });
    let client = patient(&agent);
    let requests: Vec<_> = (0..3_000).map(order).collect();
    let results = client.sign_many(&requests);
    assert_eq!(results.len(), 3_000);
    for (number, result) in results.into_iter().enumerate() {
        assert_eq!(result.unwrap().url, url(number));
    }
    assert_eq!(*most.lock().unwrap(), 256);
    assert!(client.sign_many::<SignRequest<'_>>(&[]).is_empty());
}

#[test]
fn fails_alone_where_one_of_a_batch_is_refused_or_too_large() {
    let agent = Agent::start(|peer| {
        while let Some(asked) = peer.next() {
            if asked.credential == "locked" {
                peer.refuse(asked.id, 5, "no secret is in memory", "run `strongroom unlock`");
            } else {
                peer.answer(&asked);
            }
        }
    });
    let client = patient(&agent);
    let results = client.sign_many(&[
        order(0),
        SignRequest::new("a", "POST", "/").query("big", "x".repeat(70_000)),
        SignRequest::new("locked", "POST", "/"),
        order(3),
    ]);
    assert_eq!(results[0].as_ref().unwrap().url, url(0));
    assert_eq!(results[1].as_ref().unwrap_err().code(), Some(ErrorCode::Invalid));
    let locked = results[2].as_ref().unwrap_err();
    assert_eq!(locked.code(), Some(ErrorCode::Locked));
    assert_eq!(
        (locked.to_string().as_str(), locked.hint()),
        ("no secret is in memory", "run `strongroom unlock`")
    );
    assert_eq!(results[3].as_ref().unwrap().url, url(3));
}

#[test]
fn survives_an_agent_that_does_not_read_while_its_answers_wait() {
    // Each answer is 60 kB: both socket buffers fill up unless the client reads while it writes.
    let agent = Agent::start(|peer| {
        while let Some(mut asked) = peer.next() {
            asked.body = vec![b'x'; 60_000];
            peer.answer(&asked);
        }
    });
    let client = patient(&agent);
    let padding = "y".repeat(5_000);
    let requests: Vec<_> = (0..300).map(|number| order(number).query("pad", &padding)).collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for result in client.sign_many(&requests) {
                    assert_eq!(result.unwrap().body.len(), 60_000);
                }
            });
        }
    });
    assert_eq!(agent.connections(), 1);
}

#[test]
fn passes_descriptors_in_order_over_a_connection_of_their_own() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let agent = Agent::start(move |peer| {
        while let Some(asked) = peer.next() {
            let values: Vec<_> = peer
                .descriptors
                .drain(..)
                .map(|descriptor| String::from_utf8(drained(descriptor)).unwrap())
                .collect();
            seen.lock().unwrap().push((asked.what.clone(), values));
            peer.answer(&asked);
        }
    });
    let client = patient(&agent);
    client.lock().unwrap();
    client.unlock(pipe_with(b"1234")).unwrap();
    let enrollment = Enrollment::new("okx", "okx", "key-1").uid("u").base_url("https://okx.test").replace();
    client.enroll(&enrollment, pipe_with(b"1234"), pipe_with(b"s3cret"), Some(pipe_with(b"pass"))).unwrap();
    client.enroll(&Enrollment::new("a", "b", "c"), pipe_with(b"1"), pipe_with(b"2"), None).unwrap();
    client.remove("okx").unwrap();
    client.unlock(Login::without_pin().final_try()).unwrap();
    client.enroll(&Enrollment::new("a", "b", "c"), Login::without_pin(), pipe_with(b"2"), None).unwrap();
    client.set_grants(&NewGrants::new("okx", 7, "[[grant]]\n").accept_older(), pipe_with(b"34")).unwrap();
    let grants = client.grants("okx").unwrap();
    assert_eq!((grants.revision, grants.toml.as_str()), (4, "[[grant]]\n"));
    let log = log.lock().unwrap();
    let values: Vec<_> = log.iter().map(|(_, values)| values.join(",")).collect();
    assert_eq!(values, ["", "1234", "1234,s3cret,pass", "1,2", "", "", "2", "34", ""]);
    assert!(log[2].0.contains("passphrase: true") && log[2].0.contains("replace: true"), "{}", log[2].0);
    assert!(log[3].0.contains("passphrase: false") && log[3].0.contains("uid: None"), "{}", log[3].0);
    assert_eq!(log[1].0, "Unlock(Login { pin: true, final_try: false })");
    assert_eq!(log[5].0, "Unlock(Login { pin: false, final_try: true })");
    assert!(log[6].0.contains("login: Login { pin: false, final_try: false }"), "{}", log[6].0);
    assert!(log[7].0.contains("revision: 7") && log[7].0.contains("accept_older: true"), "{}", log[7].0);
    assert_eq!(agent.connections(), 8);
}

#[test]
fn tells_how_far_an_unlock_is_and_takes_its_answer_only() {
    let agent = Agent::start(agent::unlocking);
    let client = patient(&agent);
    let mut seen = Vec::new();
    client.unlock_with(pipe_with(b"1234"), |progress| seen.push((progress.done, progress.total))).unwrap();
    assert_eq!(seen, [(1, 3), (2, 3), (3, 3)]);
    client.unlock(pipe_with(b"1234")).unwrap();
    let mut told = 0;
    let error = client.unlock_with(pipe_with(b"wrong"), |_| told += 1).unwrap_err();
    assert_eq!((error.to_string().as_str(), told), ("the PIN is wrong", 3));
    // Nobody else has asked how far anything is.
    let error = client.remove("a").unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::WrongReply)), "{error:?}");
}

#[test]
fn does_not_print_headers_or_query_of_a_signed_request() {
    let agent = Agent::answering();
    let signed = patient(&agent).sign(&order(1)).unwrap();
    let printed = format!("{signed:?}");
    assert!(printed.contains("https://venue.test/api/v3/order") && printed.contains("X-Key"), "{printed}");
    assert!(!printed.contains("binance-main") && !printed.contains("LTCBTC"), "{printed}");
}

#[test]
fn can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<Client>();
    check::<Error>();
}
