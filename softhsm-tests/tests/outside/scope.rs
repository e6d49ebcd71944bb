//! What a grant means at a venue, from outside: endpoints that nobody has listed, two requests with one signature, and
//! numbers that two readers read differently.

use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::room::{Key, Room};

use crate::audit::lines;
use crate::keys::{BINANCE, KRAKEN};

/// A credential with which this user may do what these lines of a grant say.
fn room(key: &Key<'_>, grant: &str) -> Room {
    let room = Room::new();
    let uid = rustix::process::geteuid().as_raw();
    let file = room.folder().join("grants.toml");
    std::fs::write(&file, format!("[[grant]]\nid = \"own\"\nto = \"user:{uid}\"\n{grant}\n")).unwrap();
    let _ = room.enroll(key, &["--grants", file.to_str().unwrap()]).ok();
    room
}

fn code(room: &Room, request: &SignRequest<'_>) -> Option<ErrorCode> {
    room.client().sign(request).err().map(|error| error.code().unwrap())
}

#[test]
fn denies_endpoints_that_no_table_lists_to_whoever_may_do_all_that_is_listed() {
    let listed = "allow = [\"read\", \"trade\", \"cancel\", \"transfer\", \"config\", \"admin\", \"session\"]\n\
                  accept_unbound = [\"body\", \"parameterless\", \"path\", \"method\"]";
    let kraken = |path| SignRequest::new("kraken-main", "POST", path);
    let room_of_all = room(&KRAKEN, listed);
    let _agent = room_of_all.start_unlocked();
    for path in
        ["/0/private/NewThing", "/0/private/WithdrawAll", "/0/private/balance", "/1/private/Balance", "/"]
    {
        assert_eq!(code(&room_of_all, &kraken(path)), Some(ErrorCode::Denied), "{path}");
        let line = lines(&room_of_all).into_iter().rfind(|line| line["kind"] == "sign").unwrap();
        assert_eq!((&line["action"], &line["verdict"]), (&"unknown".into(), &"denied".into()), "{line}");
    }
    assert_eq!(code(&room_of_all, &kraken("/0/private/Balance")), None, "the control");
    let binance = |path| SignRequest::new("binance-main", "GET", path).query("limit", "5");
    let room_of_binance = room(&BINANCE, listed);
    let _other = room_of_binance.start_unlocked();
    for path in ["/api/v3/newThing", "/sapi/v9/capital/withdraw/apply", "/api/v3/allOrders/"] {
        assert_eq!(code(&room_of_binance, &binance(path)), Some(ErrorCode::Denied), "{path}");
    }
    assert_eq!(code(&room_of_binance, &binance("/api/v3/allOrders")), None, "the control");
    // Named, it is granted.
    let room = room(&KRAKEN, "allow = [\"unknown\"]");
    let _agent = room.start_unlocked();
    assert_eq!(code(&room, &kraken("/0/private/NewThing")), None);
    assert_eq!(code(&room, &kraken("/0/private/Balance")), Some(ErrorCode::Denied));
}

#[test]
fn signs_neither_of_two_requests_with_one_signature_where_one_is_not_granted() {
    let open_orders =
        |method| SignRequest::new("binance-main", method, "/api/v3/openOrders").query("symbol", "BTCUSDT");
    let by_number = SignRequest::new("binance-main", "GET", "/api/v3/allOrders").query("limit", "5");
    let apart = "accept_unbound = [\"parameterless\"]\nparams = [\"orderId\", \"limit\"]";
    let reads = room(&BINANCE, &format!("allow = [\"read\"]\n{apart}"));
    let _agent = reads.start_unlocked();
    for method in ["GET", "DELETE"] {
        assert_eq!(code(&reads, &open_orders(method)), Some(ErrorCode::Denied), "{method}");
    }
    assert_eq!(code(&reads, &by_number), None, "what no cancel is like");
    // Both are one permission, and are signed alike.
    let both = "allow = [\"read\", \"cancel\"]\naccept_unbound = [\"parameterless\"]\n\
                params = [\"orderId\", \"limit\", \"symbol\"]";
    let both = room(&BINANCE, both);
    let _other = both.start_unlocked();
    let signed = ["GET", "DELETE"].map(|method| both.client().sign(&open_orders(method)).unwrap());
    let [read, cancel] = signed.map(|signed| {
        let query = signed.url.split_once('?').unwrap().1.to_owned();
        query.split('&').map(|pair| pair.split('=').next().unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(read, cancel, "nothing of method or path is in what is signed");
}

#[test]
fn denies_numbers_that_two_readers_could_read_differently() {
    let room = room(&KRAKEN, "allow = [\"trade\"]\nmax_notional = \"1000\"");
    let _agent = room.start_unlocked();
    let order = |volume: &str| {
        SignRequest::new("kraken-main", "POST", "/0/private/AddOrder")
            .form("pair", "XBTUSD")
            .form("type", "buy")
            .form("ordertype", "limit")
            .form("price", "20")
            .form("volume", volume.to_owned())
    };
    for volume in ["0.5", "49.99", "50"] {
        assert_eq!(code(&room, &order(volume)), None, "the control: {volume}");
    }
    for volume in [
        "51",
        "0x10",
        "1e1",
        "1E1",
        "1_0",
        "+1",
        "-1",
        "1.",
        ".5",
        " 1",
        "1 ",
        "1,5",
        "1.5.5",
        "",
        "Infinity",
        "NaN",
        "\u{661}",
        "\u{ff11}",
        "0.5%",
        "0.5\n",
        "0.5\0",
        "1/2",
        "00000000000000000000001",
        "0.0000000000000000000001",
    ] {
        assert_eq!(code(&room, &order(volume)), Some(ErrorCode::Denied), "{volume:?}");
    }
    // One name, two numbers: whoever reads the first one reads another than who reads the last.
    for (first, last) in [("1", "1000"), ("1000", "1")] {
        let twice = order(first).form("volume", last.to_owned());
        assert_eq!(code(&room, &twice), Some(ErrorCode::Invalid), "{first} and {last}");
    }
}
