//! WebSocket logins: who gets one, what is signed for it, and what is not.

use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use strongroom_client::{AsyncClient, Client, Error, ErrorCode, SignRequest, WsLoginRequest};
use strongroom_softhsm_tests::room::{Key, Room};

use crate::keys::{KRAKEN, OKX, header};
use crate::records::assert_like;

/// A key of Kraken Futures, made up.
const FUTURES: Key<'static> = Key { name: "futures", venue: "krakenfutures", ..KRAKEN };
const MEXC: Key<'static> = Key {
    name: "mexc-main",
    venue: "mexc",
    key_id: "MEXCPUBLICHALF",
    secret: "mexc-secret-made-up-0123",
    passphrase: None,
};
const BITFINEX: Key<'static> =
    Key { name: "bitfinex-main", venue: "bitfinex", key_id: "BITFINEXHALF", ..MEXC };
const CHALLENGE: &str = "226aee50-88fc-4618-a42a-34f7709570b2";
/// What a venue that is not honest could send instead of a challenge.
const WITHDRAWAL: &str = "currency=XBT&amount=1&sourceWallet=cash/api/v3/withdrawal";

fn bot(room: &Room) -> Client {
    room.client().with_token(room.client().add_client("bot").unwrap())
}

/// Enrols a key with these grants.
fn enroll(room: &Room, key: &Key<'_>, grants: &str) -> strongroom_softhsm_tests::room::Run {
    let path = room.folder().join(format!("{}.grants", key.name));
    std::fs::write(&path, grants).unwrap();
    room.enroll(key, &["--grants", path.to_str().unwrap()])
}

fn grant(to: &str, allow: &str, more: &str) -> String {
    format!("[[grant]]\nid = \"g\"\nto = \"{to}\"\nallow = [{allow}]\n{more}\n")
}

/// The lines of the audit log about signing, the first first.
fn signed(room: &Room) -> Vec<Value> {
    let told = room.run(&["audit", "show", "--json", "--kind", "sign"], None, &[]).json();
    told.as_array().unwrap().clone()
}

fn denial(refused: Error) -> String {
    assert_eq!(refused.code(), Some(ErrorCode::Denied), "{refused}");
    refused.to_string()
}

/// The frame is what the venue documents, with a signature of the text that the agent built.
#[test]
fn makes_the_login_of_a_venue_on_every_road() {
    let room = Room::new();
    let _ = room.enroll(&OKX, &[]).ok();
    let _agent = room.start_unlocked();
    let check = |frame: &str| {
        let frame: Value = serde_json::from_str(frame).unwrap();
        assert_eq!(frame["op"], "login");
        let told = &frame["args"][0];
        assert_eq!((&told["apiKey"], &told["passphrase"]), (&json!(OKX.key_id), &json!("Okx-Passphrase-1")));
        let text = format!("{}GET/users/self/verify", told["timestamp"].as_str().unwrap());
        let mac = Hmac::<Sha256>::new_from_slice(OKX.secret.as_bytes()).unwrap().chain_update(text);
        assert_eq!(told["sign"], json!(Base64::encode_string(&mac.finalize().into_bytes())));
    };
    let login = room.client().ws_login("okx-main").unwrap();
    assert_eq!((login.name.as_str(), login.whole, login.headers.len()), ("login", true, 0));
    assert_eq!(login.url.as_deref(), Some("wss://ws.okx.com:8443/ws/v5/private"));
    check(login.frame.as_deref().unwrap());
    let shown = format!("{login:?}");
    assert!(!shown.contains(&login.signature) && !shown.contains("Passphrase"), "{shown}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let login =
        runtime.block_on(async { AsyncClient::at(room.socket()).ws_login("okx-main").await.unwrap() });
    check(login.frame.as_deref().unwrap());

    let told = room.run(&["ws-login", "okx-main", "--json"], None, &[]).json();
    assert_eq!((&told["name"], &told["whole"]), (&json!("login"), &json!(true)));
    check(told["frame"].as_str().unwrap());

    // In the log it stands like a request, and `explain` reads it from there.
    let lines = signed(&room);
    assert_eq!(lines.len(), 3);
    let line = &lines[0];
    for (name, value) in [
        ("action", "session"),
        ("endpoint", "ws-login"),
        ("method", "WS"),
        ("path", "login"),
        ("verdict", "allowed"),
    ] {
        assert_eq!(line[name], value, "{line}");
    }
    assert!(line["canonical"].is_string(), "{line}");
    let seq = line["seq"].to_string();
    let explained = room.run(&["grant", "explain", "okx-main", "--line", &seq], None, &[]).ok();
    assert_like(&explained, "*asks for `session`*allowed by grant `*", "the line");
    let learnt = room.run(&["grant", "learn", "okx-main"], None, &[]).ok();
    assert_like(&learnt, "*\nallow = [\"session\"]\n*", "what was learnt");
    let metrics = room.run(&["metrics"], None, &[]).ok();
    assert!(metrics.lines().any(|line| line.contains("session") && line.ends_with(" 3")), "{metrics}");
}

/// What else a bot may do hands out no session, and a denial says what a session is.
#[test]
fn refuses_a_login_to_whom_no_grant_gives_sessions() {
    let room = Room::new();
    let grants =
        grant("client:bot", "\"read\", \"trade\", \"cancel\", \"transfer\", \"config\", \"admin\"", "");
    let _ = enroll(&room, &OKX, &grants).ok();
    let _agent = room.start_unlocked();
    let bot = bot(&room);
    let _ = bot.sign(&SignRequest::new("okx-main", "GET", "/api/v5/account/balance")).unwrap();
    assert_eq!(
        denial(bot.ws_login("okx-main").unwrap_err()),
        "no grant of client:bot allows `session` here; an admin can grant it, knowing that a WebSocket login or listen \
         key hands out power without further signatures: most sockets take orders after it, and no grant sees them"
    );
    let line = signed(&room).pop().unwrap();
    assert_eq!(
        (&line["verdict"], &line["action"], &line["path"]),
        (&json!("denied"), &json!("session"), &json!("login"))
    );

    // A grant with limits gives none by accident…
    let limited = grant("client:bot", "\"trade\", \"session\"", "symbols = [\"BTC-USDT\"]");
    let path = room.folder().join("limited");
    std::fs::write(&path, limited).unwrap();
    let edit = ["grant", "edit", "okx-main", "--file", path.to_str().unwrap(), "--pin-stdin"];
    let refused = room.run(&edit, Some(&room.token.pin), &[]);
    assert_eq!(refused.code(), 3, "{refused:?}");
    assert_like(
        &refused.stderr,
        "*`session` hands out power without further signatures*",
        "limits beside a session",
    );
    // … and by name it does.
    let add = ["grant", "add", "okx-main", "--to", "client:bot", "--id", "sockets", "--allow", "session"];
    let add = [&add[..], &["--accept-unbound", "body", "--pin-stdin"]].concat();
    let _ = room.run(&add, Some(&room.token.pin), &[]).ok();
    let _ = bot.ws_login("okx-main").unwrap();
    // A login is no request, and a request is no login.
    let refused = bot.sign(&SignRequest::new("okx-main", "WS", "login")).unwrap_err();
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        (Some(ErrorCode::Invalid), "a WebSocket login is no request")
    );
}

/// The challenge is signed like a request, so that one that is a withdrawal would be signed as one.
#[test]
fn signs_a_challenge_only_in_its_one_form() {
    let room = Room::new();
    let _ = room.enroll(&FUTURES, &[]).ok();
    let _agent = room.start_unlocked();
    let client = room.client();
    let ask = |challenge: &'static str| {
        client.ws_login(WsLoginRequest::new("futures").param("challenge", challenge))
    };
    let login = ask(CHALLENGE).unwrap();
    let frame: Value = serde_json::from_str(login.frame.as_deref().unwrap()).unwrap();
    let secret = Base64::decode_vec(FUTURES.secret).unwrap();
    let mac = Hmac::<Sha512>::new_from_slice(&secret).unwrap().chain_update(Sha256::digest(CHALLENGE));
    let signature = Base64::encode_string(&mac.finalize().into_bytes());
    assert_eq!(frame, json!({ "original_challenge": CHALLENGE, "signed_challenge": signature }));
    assert!(!login.whole);

    // The control: this text, hashed and signed, is a withdrawal.
    let request = SignRequest::new("futures", "POST", "/derivatives/api/v3/withdrawal")
        .query("currency", "XBT")
        .query("amount", "1")
        .query("sourceWallet", "cash");
    let withdrawal = client.sign(&request).unwrap();
    let mac = Hmac::<Sha512>::new_from_slice(&secret).unwrap().chain_update(Sha256::digest(WITHDRAWAL));
    assert_eq!(header(&withdrawal.headers, "Authent"), Base64::encode_string(&mac.finalize().into_bytes()));
    let refused = ask(WITHDRAWAL).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Invalid));
    assert_like(
        &refused.to_string(),
        "`challenge` of the WebSocket login `challenge` of krakenfutures has not the form*",
        "",
    );
    let refused = client.ws_login(WsLoginRequest::new("futures").param("text", WITHDRAWAL)).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Invalid), "{refused}");

    let run = |challenge: &str| room.run(&["ws-login", "futures", "--challenge", challenge], None, &[]);
    assert_eq!(run(WITHDRAWAL).code(), 3);
    let told = run(CHALLENGE).json();
    assert_eq!(serde_json::from_str::<Value>(told["frame"].as_str().unwrap()).unwrap(), frame);
}

/// A login of MEXC's contracts is the signature of a request without parameters.
#[test]
fn refuses_a_login_that_is_a_request_to_whom_that_is_not_granted() {
    let room = Room::new();
    let refused = enroll(&room, &MEXC, &grant("client:bot", "\"session\"", "accept_unbound = [\"body\"]"));
    assert_eq!(refused.code(), 3, "{refused:?}");
    let said = "*the WebSocket login `contract` of MEXC has the signature of a request for `cancel, read` as well; grant \
                `cancel, read` beside `session`*";
    assert_like(&refused.stderr, said, "a login that is a request");
    // Accepted in so many words it is given.
    let accepted = grant("client:bot", "\"session\"", "accept_unbound = [\"body\", \"path\", \"method\"]");
    let _ = enroll(&room, &MEXC, &accepted).ok();
    let _agent = room.start_unlocked();
    let bot = bot(&room);
    let login = bot.ws_login("mexc-main").unwrap();
    // The control: it is that signature.
    let frame: Value = serde_json::from_str(login.frame.as_deref().unwrap()).unwrap();
    let text = format!("{}{}", MEXC.key_id, frame["param"]["reqTime"].as_str().unwrap());
    let mac = Hmac::<Sha256>::new_from_slice(MEXC.secret.as_bytes()).unwrap().chain_update(text);
    assert_eq!(frame["param"]["signature"], json!(base16ct_lower(&mac.finalize().into_bytes())));
    assert_eq!(
        bot.sign(&SignRequest::new("mexc-main", "GET", "/api/v1/private/account/assets")).unwrap_err().code(),
        Some(ErrorCode::Denied)
    );
    let explained =
        room.run(&["grant", "explain", "mexc-main", "WS", "contract", "--as", "client:bot"], None, &[]).ok();
    assert_like(
        &explained,
        "*asks for `session`*its signature would also do for `cancel`, `read`*allowed*",
        "",
    );
    let explained = room
        .run(&["grant", "explain", "mexc-main", "WS", "contract", "--as", "client:other"], None, &[])
        .ok();
    assert_like(&explained, "*denied*", "");
}

fn base16ct_lower(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whoever logs in with a nonce takes it from the one sequence of the key.
#[test]
fn takes_nonces_of_logins_and_of_requests_from_one_sequence() {
    let room = Room::new();
    let _ = room.enroll(&BITFINEX, &[]).ok();
    let _agent = room.start_unlocked();
    let client = room.client();
    let mut last = 0;
    for _ in 0..20 {
        let request = SignRequest::new("bitfinex-main", "POST", "/v2/auth/r/wallets");
        let signed = client.sign(&request).unwrap();
        let nonce: u64 = header(&signed.headers, "bfx-nonce").parse().unwrap();
        let login = client.ws_login("bitfinex-main").unwrap();
        let frame: Value = serde_json::from_str(login.frame.as_deref().unwrap()).unwrap();
        let login = frame["authNonce"].as_u64().unwrap();
        assert!(last < nonce && nonce < login, "{last} {nonce} {login}");
        assert_eq!(frame["authPayload"], format!("AUTH{login}"));
        last = login;
    }
    // One that was used is not signed again, nor a text with it.
    let again = client.ws_login(WsLoginRequest::new("bitfinex-main").param("text", format!("AUTH{last}")));
    assert_eq!(again.unwrap_err().code(), Some(ErrorCode::Invalid));
    let next = format!("AUTH{}", last + 1);
    let login = client.ws_login(WsLoginRequest::new("bitfinex-main").param("text", next.as_str())).unwrap();
    assert!(login.frame.unwrap().contains(&next));
    let request =
        client.ws_login(WsLoginRequest::new("bitfinex-main").param("text", "/api/v2/auth/w/withdraw1{}"));
    assert_eq!(request.unwrap_err().code(), Some(ErrorCode::Invalid));
}

#[test]
fn names_the_request_that_hands_out_a_token() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let _agent = room.start_unlocked();
    let refused = room.run(&["ws-login", "kraken-main"], None, &[]);
    assert_eq!(refused.code(), 3);
    assert_like(
        &refused.stderr,
        "error: kraken hands out the token of its socket by REST: have `POST /0/private/GetWebSocketsToken` signed instead*",
        "",
    );
}

/// A trap is a trap for logins too, and a human is asked about a login as about an order.
#[test]
fn treats_a_login_like_a_signature_with_traps_and_humans() {
    let room = Room::new();
    let honey = room.folder().join("bait.grants");
    std::fs::write(&honey, grant("client:bot", "\"*\"", "")).unwrap();
    let bait = Key { name: "bait", ..OKX };
    let _ = room.enroll(&bait, &["--honey", "--grants", honey.to_str().unwrap()]).ok();
    let asks = grant("client:bot", "\"session\"", "confirm = true\naccept_unbound = [\"body\"]");
    let _ = enroll(&room, &OKX, &asks).ok();
    let _agent = room.start_unlocked();
    let bot = bot(&room).with_deadline(Duration::from_secs(120));
    // It is denied as one that may not log in is.
    assert_like(
        &denial(bot.ws_login("bait").unwrap_err()),
        "no grant of client:bot allows `session` here*",
        "",
    );
    assert_eq!(signed(&room)[0]["verdict"], "honey");

    let admin = room.client();
    let login = std::thread::scope(|scope| {
        let asked = scope.spawn(|| bot.ws_login("okx-main"));
        let mut question = None;
        for _ in 0..5 {
            question = admin.wait_for_pending(0).unwrap().into_iter().next();
            if question.is_some() {
                break;
            }
        }
        let question = question.expect("a human is asked");
        let told = question.lines.join("\n");
        assert_like(
            &told,
            "*action session*it opens a session: what is sent over that needs no signature*\nWS login",
            "",
        );
        admin.confirm(question.number, true).unwrap();
        asked.join().unwrap().unwrap()
    });
    assert!(login.frame.unwrap().contains("\"op\":\"login\""));
}

/// Where values stand in a message, and not which they are.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), shape(member))).collect()
        }
        Value::Array(list) => list.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

/// What the library gives for each venue is what the command prints. That the signatures are right is compared with
/// rows of other programs in `softhsm-tests/python/test_ws_logins.py`.
#[test]
fn gives_the_logins_of_many_venues_by_library_and_command() {
    let room = Room::new();
    let secret = "made-up-for-the-tests-0123456789-abcdef";
    let key =
        |venue: &'static str| Key { name: venue, venue, key_id: "PUBLICHALF", secret, passphrase: None };
    let plain = [
        "binance",
        "bitfinex",
        "bithumb",
        "bitvavo",
        "bybit",
        "coinbase-legacy",
        "coinex-hmac",
        "cryptocom",
        "deribit",
        "gate",
        "gemini",
        "htx",
        "mexc",
        "phemex",
        "poloniex",
        "upbit",
        "upbit-hs512",
        "woo",
    ];
    let mut keys: Vec<Key<'static>> = plain.into_iter().map(key).collect();
    keys.push(Key { passphrase: Some("a phrase"), ..key("bitget") });
    keys.push(Key { name: "krakenfutures", ..FUTURES });
    for key in &keys {
        let _ = room.enroll(key, &[]).ok();
    }
    let _agent = room.start_unlocked();
    let client = room.client();
    for key in &keys {
        let told: &[(&str, &str)] = match key.venue {
            "coinbase-legacy" => &[("channel", "user")],
            "krakenfutures" => &[("challenge", CHALLENGE)],
            _ => &[],
        };
        let mut request = WsLoginRequest::new(key.name);
        let mut words = vec!["ws-login".to_owned(), key.name.to_owned()];
        for (name, value) in told {
            request = request.param(*name, *value);
            words.extend(["--param".to_owned(), format!("{name}={value}")]);
        }
        let login = client.ws_login(request).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = room.run(&words, None, &[]).json();
        let venue = key.venue;
        assert_eq!((&printed["name"], &printed["url"]), (&json!(login.name), &json!(login.url)), "{venue}");
        assert_eq!(printed["whole"], json!(login.whole), "{venue}");
        let names: Vec<&String> = printed["headers"].as_object().unwrap().keys().collect();
        let mut headers: Vec<&String> = login.headers.iter().map(|(name, _)| name).collect();
        headers.sort();
        assert_eq!(names, headers, "{venue}");
        let frame = login.frame.as_deref().map(|frame| serde_json::from_str::<Value>(frame).unwrap());
        let other = printed["frame"].as_str().map(|frame| serde_json::from_str::<Value>(frame).unwrap());
        assert_eq!(frame.as_ref().map(shape), other.as_ref().map(shape), "{venue}");
        let carries = |text: &str| text.contains(&login.signature);
        let sent =
            login.frame.iter().chain(login.headers.iter().map(|(_, value)| value)).any(|text| carries(text));
        assert!(sent && login.signature.len() > 20, "{venue}: the signature goes out");
        assert!(login.url.as_deref().is_some_and(|url| url.starts_with("wss://")), "{venue}");
    }
}
