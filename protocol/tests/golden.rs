//! One message of every kind as it goes over the wire, so that no byte ever changes unnoticed.
//!
//! A file that differs is a new protocol version, never a file to be edited.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use strongroom_protocol::{
    Body, ClientEntry, ClientToken, Credential, Enroll, ErrorCode, LoggedIn, Login, Operation, Param,
    Progress, Protection, Question, Refusal, Repin, Reply, Request, Response, SetGrants, Sign, Signed,
    Status, Token, WsLogin, decode, encode,
};

fn requests() -> Vec<(&'static str, Request<'static>)> {
    let order = |query, body| {
        Operation::Sign(Sign {
            credential: "binance-main",
            method: "POST",
            path: "/api/v3/order",
            query,
            body,
        })
    };
    let pairs = || vec![("symbol", Param::Text("LTCBTC")), ("quantity", Param::Json("1"))];
    let grants = "[[grant]]\nid = \"bot\"\nto = \"user:1000\"\nallow = [\"read\"]\n";
    let enroll = |uid, base_url, passphrase, pin| {
        let (credential, venue, key_id, replace) = ("okx-main", "okx", "key-1", true);
        let login = Login { pin, final_try: !pin };
        let grants = if pin { grants } else { "" };
        Operation::Enroll(Enroll {
            credential,
            venue,
            key_id,
            uid,
            base_url,
            replace,
            passphrase,
            grants,
            honey: pin,
            login,
        })
    };
    let unlock = |pin| Operation::Unlock(Login { pin, final_try: false });
    vec![
        ("request-sign-query", Request { id: 1, operation: order(pairs(), Body::Empty) }),
        ("request-sign-form", Request { id: 250, operation: order(vec![], Body::Form(pairs())) }),
        (
            "request-sign-json",
            Request { id: 251, operation: order(vec![], Body::Json(br#"{"price":"0.1"}"#)) },
        ),
        ("request-status", Request { id: 65_535, operation: Operation::Status }),
        ("request-list", Request { id: 65_536, operation: Operation::List { after: "kraken-main" } }),
        ("request-show", Request { id: 4_294_967_295, operation: Operation::Show { credential: "kraken" } }),
        ("request-lock", Request { id: 4_294_967_296, operation: Operation::Lock }),
        ("request-unlock", Request { id: u64::MAX, operation: unlock(true) }),
        ("request-unlock-pad", Request { id: 1, operation: unlock(false) }),
        ("request-enroll", Request { id: 7, operation: enroll(None, None, false, false) }),
        (
            "request-enroll-full",
            Request { id: 8, operation: enroll(Some("uid-1"), Some("https://www.okx.com"), true, true) },
        ),
        ("request-remove", Request { id: 9, operation: Operation::Remove { credential: "kraken" } }),
        ("request-token", Request { id: 10, operation: Operation::Token }),
        (
            "request-set-grants",
            Request {
                id: 11,
                operation: Operation::SetGrants(SetGrants {
                    credential: "kraken",
                    revision: 300,
                    grants,
                    accept_older: true,
                    login: Login { pin: true, final_try: false },
                }),
            },
        ),
        (
            "request-hello",
            Request { id: 12, operation: Operation::Hello { token: ClientToken("strongroom_00") } },
        ),
        ("request-add-client", Request { id: 13, operation: Operation::AddClient { name: "grid-bot" } }),
        (
            "request-repin",
            Request {
                id: 16,
                operation: Operation::Repin(Repin {
                    credential: "tidepool-main",
                    revision: 2,
                    profile: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    base_url: Some("https://api.tidepool.example"),
                    login: Login { pin: true, final_try: false },
                }),
            },
        ),
        ("request-clients", Request { id: 14, operation: Operation::Clients }),
        (
            "request-remove-client",
            Request { id: 15, operation: Operation::RemoveClient { name: "grid-bot" } },
        ),
        ("request-metrics", Request { id: 16, operation: Operation::Metrics }),
        (
            "request-pending",
            Request { id: 16, operation: Operation::Pending { after: 1_700_000_000_000, wait: true } },
        ),
        (
            "request-confirm",
            Request { id: 17, operation: Operation::Confirm { number: 1_700_000_000_001, yes: true } },
        ),
        (
            "request-ws-login",
            Request {
                id: 18,
                operation: Operation::WsLogin(WsLogin {
                    credential: "futures",
                    name: Some("challenge"),
                    params: vec![("challenge", Param::Text("226aee50"))],
                }),
            },
        ),
        ("request-audit-head", Request { id: 20, operation: Operation::AuditHead }),
    ]
}

fn responses() -> Vec<(&'static str, Response<'static>)> {
    let credential = Credential {
        name: "kraken",
        venue: "kraken",
        key_id: "key-1",
        base_url: "https://api.kraken.com",
        algorithm: "HMAC-SHA512",
        custody: "keeper",
        rung: "aes-gcm",
        token_serial: "8f2c01d4",
        enrolled_unix: 1_700_000_000,
        ready: false,
        fault: "the record was changed",
        revision: 3,
        grants: 2,
        accept_unbound: "method,path",
        honey: true,
        profile: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    };
    let refusal = Refusal {
        code: ErrorCode::Locked.number(),
        message: "no secret is in memory",
        hint: "run `strongroom unlock`",
    };
    let signed = Signed {
        method: "POST",
        url: "https://api.kraken.com/0/private/AddOrder",
        headers: vec![("API-Key", "key-1"), ("API-Sign", "c2ln")],
        body: b"nonce=1&pair=XBTUSD",
    };
    let status = Status {
        version: "0.1.0",
        pid: 4_711,
        locked: true,
        reason: "asked to",
        since_unix: 1_700_000_001,
        credentials: 2,
        ready: 0,
        keeper_pid: 0,
        token_serial: "8f2c01d4",
        token_label: "strongroom",
        rung: "aes-cbc",
        weaknesses: vec!["danger_accept_any_caller_time"],
        protection: vec![Protection {
            process: "keeper",
            pid: 4_712,
            secret_memory: true,
            guarded: false,
            landlock: "partial",
        }],
        principal: "client:grid-bot",
        admins: vec!["user:1000"],
        checkpoint: 4_242,
        checkpoint_unix: 1_700_000_003,
    };
    let client = ClientEntry { name: "grid-bot", created_unix: 1_700_000_002, used_unix: 0, connections: 3 };
    let question = Question {
        number: 1_700_000_000_001,
        principal: "client:grid-bot",
        credential: "kraken",
        venue: "kraken",
        action: "trade",
        grant: "big",
        left_ms: 60_000,
        lines: vec!["POST /0/private/AddOrder", "body pair = XBTUSD"],
    };
    let token = Token {
        serial: "8f2c01d4",
        label: "strongroom",
        model: "SoftHSM project SoftHSM v2",
        initialised: true,
        pad: false,
        tries: "count-low",
        kept: true,
    };
    vec![
        ("response-done", Response { id: 1, reply: Reply::Done }),
        ("response-error", Response { id: 0, reply: Reply::Error(refusal) }),
        ("response-signed", Response { id: 300, reply: Reply::Signed(signed) }),
        (
            "response-credentials",
            Response { id: 2, reply: Reply::Credentials { page: vec![credential; 2], more: true } },
        ),
        (
            "response-credential",
            Response { id: 3, reply: Reply::Credential { credential, grants: "[[grant]]\n" } },
        ),
        ("response-status", Response { id: 4, reply: Reply::Status(status) }),
        (
            "response-progress",
            Response { id: 5, reply: Reply::Progress(Progress { done: 250, total: 10_000 }) },
        ),
        ("response-token", Response { id: 5, reply: Reply::Token(token) }),
        (
            "response-client-added",
            Response { id: 6, reply: Reply::ClientAdded { token: ClientToken("strongroom_00") } },
        ),
        ("response-metrics", Response { id: 9, reply: Reply::Metrics { text: "# TYPE a gauge\na 1\n" } }),
        ("response-clients", Response { id: 7, reply: Reply::Clients(vec![client; 2]) }),
        ("response-pending", Response { id: 8, reply: Reply::Pending(vec![question; 2]) }),
        (
            "response-ws-login",
            Response {
                id: 9,
                reply: Reply::WsLogin(LoggedIn {
                    name: "login",
                    url: Some("wss://stream.bybit.com/v5/private"),
                    headers: vec![("X-KEY", "key-1")],
                    frame: br#"{"op":"auth"}"#,
                    whole: true,
                    signature: "f20f",
                    expires_unix_ms: 1_754_000_133_456,
                }),
            },
        ),
        (
            "response-audit-head",
            Response { id: 20, reply: Reply::AuditHead { head: "4242:00ff", folder: "/data/audit" } },
        ),
    ]
}

#[test]
fn keeps_every_byte_of_every_kind_of_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut streams = Vec::new();
    for (name, request) in requests() {
        let mut stream = Vec::new();
        encode(&request, &mut stream).unwrap();
        assert_eq!(decode(&stream[4..]), Ok(request), "{name}");
        streams.push((name, stream));
    }
    for (name, response) in responses() {
        let mut stream = Vec::new();
        encode(&response, &mut stream).unwrap();
        assert_eq!(decode(&stream[4..]), Ok(response), "{name}");
        streams.push((name, stream));
    }
    let mut names = BTreeSet::new();
    for (name, stream) in streams {
        let file = format!("{name}.hex");
        let golden = std::fs::read_to_string(folder.join(&file)).unwrap_or_default();
        assert_eq!(hex(&stream), golden, "{name}");
        names.insert(file);
    }
    let present: BTreeSet<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(present, names, "each file belongs to a message");
}

/// 32 bytes a line.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}
