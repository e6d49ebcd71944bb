//! What may be granted at a venue, by what its signatures bind (docs/reference/grants.md).

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use strongroom_policy::{Ask, Caller, Decision, Grants, Meters, Policy, scope};
use strongroom_venues::{Action, Body, Param, Plan, Profile, Request, builtin, builtin_profiles};

/// Compiled once for all tests: that is what takes time here.
fn venue(id: &str) -> &'static Profile {
    static ALL: LazyLock<Mutex<HashMap<String, &'static Profile>>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().unwrap();
    all.entry(id.to_owned()).or_insert_with(|| Box::leak(Box::new(builtin(id).unwrap().unwrap())))
}

/// Accepts that any signature does for endpoints that need no parameter.
const BARE: &str = "accept_unbound = [\"parameterless\"]";

/// The fields of the findings about one grant with these lines.
fn findings(venue_id: &str, lines: &str) -> Vec<&'static str> {
    let grants = Grants::parse(&format!("[[grant]]\nid = \"g\"\nto = \"user:1\"\n{lines}")).unwrap();
    let found = scope::check(venue(venue_id), &grants);
    for finding in &found {
        assert!(finding.reason.len() > 20 && finding.remedy.len() > 20, "{finding}");
    }
    found.iter().flat_map(named).collect()
}

/// What a finding would have accepted; the limit itself where nothing would help.
fn named(finding: &scope::Finding) -> Vec<&'static str> {
    if finding.accept.is_empty() && finding.reason.contains("`max_open_orders`") {
        return vec!["max_open_orders"];
    }
    finding.accept.iter().map(|part| part.name()).collect()
}

/// What is bound of all that is signed: method, path, query and body.
fn class(profile: &Profile) -> [bool; 4] {
    let table = profile.actions();
    let signed = Action::ALL.iter().map(|(_, action)| *action).filter(|action| {
        *action != Action::Session && table.rules().iter().any(|rule| rule.action() == *action)
    });
    let mut all = [true; 4];
    for action in signed.chain([Action::Unknown]) {
        let binds = table.binds(action);
        for (all, one) in all.iter_mut().zip([binds.method, binds.path, binds.query, binds.body]) {
            *all &= one;
        }
    }
    all
}

/// Every shipped profile, by what its signatures bind, takes exactly the grants that it can keep.
#[test]
fn takes_grants_by_what_every_profile_binds() {
    let mut seen = [0_usize; 3];
    let mut without_table = Vec::new();
    for (id, _) in builtin_profiles() {
        let profile = venue(id);
        // All is unknown there, so only "*" and `unknown` allow anything.
        if profile.actions().rules().is_empty() {
            without_table.push(*id);
            assert_eq!(findings(id, "allow = [\"read\"]"), [""; 0], "{id}");
            assert!(findings(id, "allow = [\"*\"]").is_empty(), "{id}");
            continue;
        }
        let [method, path, query, body] = class(profile);
        let some = findings(id, "allow = [\"read\", \"trade\", \"cancel\"]");
        let everything = findings(id, "allow = [\"*\"]");
        let limited =
            findings(id, "allow = [\"*\"]\nmax_notional = \"10\"\naccept_unbound = [\"method\", \"path\"]");
        assert!(everything.is_empty(), "{id}: {everything:?}");
        if path {
            assert!(some.is_empty(), "{id}: {some:?}");
            seen[0] += 1;
        } else {
            let expected: &[&str] = if method { &["path"] } else { &["path", "method"] };
            assert_eq!(some, expected, "{id}");
            seen[1] += 1;
        }
        let trade = profile.actions().binds(Action::Trade);
        let session = profile.actions().rules().iter().any(|rule| rule.action() == Action::Session)
            || profile.logins().iter().any(|login| login.by().is_none() && !login.push_only());
        let mut expected = Vec::new();
        expected.extend((!trade.query).then_some("query"));
        expected.extend((!trade.body).then_some("body"));
        expected.extend(session.then_some("body"));
        assert_eq!(limited, expected, "{id} {query} {body}");
        seen[2] += usize::from(!trade.body);
        // What cannot be known is refused everywhere, and nothing accepts it.
        let orders = findings(
            id,
            "allow = [\"trade\"]\nmax_open_orders = 3\naccept_unbound = [\"method\", \"path\", \"query\", \"body\"]",
        );
        assert_eq!(orders, ["max_open_orders"], "{id}");
        // What is accepted is silent.
        let accepted =
            findings(id, "allow = [\"read\"]\naccept_unbound = [\"method\", \"path\", \"query\", \"body\"]");
        assert!(accepted.is_empty(), "{id}: {accepted:?}");
    }
    assert!(seen.iter().all(|count| *count > 2), "{seen:?}");
    assert_eq!(without_table, ["poloniex-legacy"]);
    assert_eq!(seen[0] + seen[1] + without_table.len(), builtin_profiles().len());
}

#[test]
fn counts_a_read_and_a_cancel_with_equal_parameters_as_one_permission() {
    let list = &format!("{BARE}\nparams = [\"symbol\", \"orderId\", \"limit\"]");
    assert_eq!(findings("binance", &format!("allow = [\"read\"]\n{list}")), ["path", "method"]);
    assert!(findings("binance", &format!("allow = [\"read\", \"cancel\"]\n{list}")).is_empty());
    // A list without what cancels separates them.
    let apart = format!("allow = [\"read\"]\n{BARE}\nparams = [\"orderId\", \"limit\"]");
    assert!(findings("binance", &apart).is_empty());
    // The reason names the other grant, if there is one.
    let two = Grants::parse(&format!(
        "[[grant]]\nid = \"a\"\nto = \"user:1\"\nallow = [\"read\"]\n{list}\n\
         [[grant]]\nid = \"b\"\nto = \"user:1\"\nallow = [\"cancel\", \"read\"]\n{list}"
    ));
    let found = scope::check(venue("binance"), &two.unwrap());
    assert_eq!(found.len(), 1);
    assert!(
        found.iter().all(|finding| finding.grant.as_str() == "a" && finding.reason.contains("grant `b`")),
        "{found:?}"
    );
}

#[test]
fn keeps_a_withdrawal_out_of_a_list_of_parameters() {
    let list = |names: &str| {
        format!("allow = [\"read\", \"trade\", \"cancel\", \"config\"]\n{BARE}\nparams = [{names}]")
    };
    let order = "\"category\", \"symbol\", \"side\", \"orderType\", \"qty\", \"price\", \"timeInForce\"";
    assert!(findings("bybit", &list(order)).is_empty());
    assert_eq!(
        findings("bybit", &list(&format!("{order}, \"coin\", \"address\", \"amount\""))),
        ["path", "method"]
    );
    // A name that ends so can be cut into one.
    assert_eq!(
        findings("bybit", &list(&format!("{order}, \"xcoin\", \"address\", \"amount\""))),
        ["path", "method"]
    );
}

/// A signature got under one grant must not do what the other gives, outside the limits of the other.
#[test]
fn refuses_two_grants_of_one_principal_of_which_one_stands_in_for_the_other() {
    // An endpoint of which nobody knows what it needs, at a venue that signs no path.
    let (_, text) = builtin_profiles().iter().find(|(id, _)| *id == "binance").unwrap();
    let text = text.replace(
        "rules = [",
        "rules = [\n  { action = \"config\", method = \"POST\", path = '/x/settle$' },",
    );
    let free = Profile::compile(&text).unwrap();
    let okx = venue("okx");
    let read =
        "id = \"a\"\nto = \"unit:user@7/bot.service\"\nallow = [\"read\"]\nparams = [\"page\", \"rows\"]";
    let limits = "expires = \"2030-01-01T00:00:00Z\"";
    let named = |to: &str, lines: &str, own: &str, profile: &Profile| {
        let text = format!(
            "[[grant]]\n{read}\n{own}\n[[grant]]\nid = \"b\"\nto = \"{to}\"\nallow = [\"config\", \"read\"]\n{lines}"
        );
        let found = scope::check(profile, &Grants::parse(&text).unwrap());
        let both = |finding: &&scope::Finding| {
            let said = finding.to_string();
            said.contains("grant `a`: ") && said.contains("grant `b` allows `config`")
        };
        found.iter().filter(both).flat_map(named).collect::<Vec<_>>()
    };
    let same = "unit:user@7/bot.service";
    let list = format!("params = [\"rows\", \"mode\"]\n{limits}");
    assert_eq!(named(same, &list, "", &free), ["path", "method"]);
    assert_eq!(named("user:7", &list, "", &free), ["path", "method"], "a process has both");
    let rate = "params = [\"rows\"]\nrequests_per_minute = 1";
    assert_eq!(named(same, rate, "", &free), ["path", "method"]);
    // One permission, for both have the same limits, or what stands in is given without any.
    assert_eq!(named(same, &list, limits, &free), [""; 0]);
    assert_eq!(named(same, "params = [\"rows\", \"mode\"]", "", &free), [""; 0]);
    // Names in common are what makes one request both.
    assert_eq!(named(same, &format!("params = [\"mode\"]\n{limits}"), "", &free), [""; 0]);
    for other in ["user:8", "client:bot", "unit:user@7/other.service"] {
        assert_eq!(named(other, &list, "", &free), [""; 0], "{other}");
    }
    assert_eq!(named(same, &list, "", okx), [""; 0]);
    assert_eq!(named(same, &list, "accept_unbound = [\"path\", \"method\"]", &free), [""; 0]);
}

/// Where the path is free, a request with one order and a list of others is measured by one and does the other.
#[test]
fn refuses_a_list_of_orders_beside_one_order_where_the_path_is_free() {
    let bybit = "\"category\", \"symbol\", \"side\", \"orderType\", \"qty\", \"price\"";
    let binance = "\"symbol\", \"side\", \"type\", \"quantity\", \"price\"";
    for (id, single, alone, list) in [
        ("bybit", bybit, "\"category\"", "request"),
        ("binance", binance, "\"recvWindow\"", "batchOrders"),
        ("binance-ed25519", binance, "\"recvWindow\"", "batchOrders"),
        ("binanceusdm", binance, "\"recvWindow\"", "batchOrders"),
        // Not a list, and no more measured.
        ("binance", binance, "\"recvWindow\"", "quoteId"),
        // A name that ends so can be cut into one.
        ("binance", binance, "\"recvWindow\"", "xbatchOrders"),
    ] {
        let all = format!("allow = [\"read\", \"trade\", \"cancel\", \"config\"]\n{BARE}");
        let limited = |names: &str| format!("{all}\nmax_notional = \"10\"\nparams = [{names}]");
        let found = findings(id, &limited(&format!("{single}, \"{list}\"")));
        assert_eq!(found, ["path", "method"], "{id} {list}");
        // Each of them alone is measured, or denied by the limit.
        assert!(findings(id, &limited(single)).is_empty(), "{id}");
        assert!(findings(id, &limited(&format!("{alone}, \"{list}\""))).is_empty(), "{id} {list}");
        // Nothing is measured without a limit.
        let free = format!("{all}\nparams = [{single}, \"{list}\"]");
        assert!(findings(id, &free).is_empty(), "{id} {list}");
    }
    let okx = "allow = [\"trade\"]\nmax_notional = \"10\"\nparams = [\"instId\", \"side\", \"sz\", \"px\", \"orders\"]";
    assert!(findings("okx", okx).is_empty());
}

/// Without it more would be allowed, so nothing speaks against a denial, wherever it is.
#[test]
fn takes_a_denial_at_every_venue() {
    for (id, _) in builtin_profiles() {
        for lines in [
            "deny = [\"transfer\", \"admin\"]",
            "deny = [\"session\"]",
            "deny = [\"trade\"]\nsymbols = [\"DOGE*\"]\nsides = [\"sell\"]",
            "deny = [\"*\"]\nexpires = \"2030-01-01T00:00:00Z\"",
        ] {
            assert!(findings(id, lines).is_empty(), "{id}: {lines}");
        }
    }
    // It hides no finding about another grant.
    let two = "allow = [\"read\"]\n[[grant]]\nid = \"never\"\nto = \"user:1\"\ndeny = [\"transfer\"]";
    assert_eq!(findings("bybit", two), ["path", "method"]);
}

#[test]
fn refuses_limits_on_a_body_that_is_not_bound() {
    for (id, parts) in
        [("coinbase", &["query", "body"][..]), ("htx", &["body"]), ("ascendex", &["query", "body"])]
    {
        for limit in [
            "max_notional = \"10\"",
            "symbols = [\"A\"]",
            "sides = [\"buy\"]",
            "types = [\"limit\"]",
            "max_quantity = \"1\"",
            "max_notional_day = \"1\"",
            "price_band_percent = \"1\"",
            "params = []",
            "confirm = true",
        ] {
            let found = findings(id, &format!("allow = [\"trade\"]\n{limit}"));
            let found: Vec<&str> =
                found.into_iter().filter(|field| ["query", "body"].contains(field)).collect();
            assert_eq!(found, parts, "{id}: {limit}");
        }
    }
    assert!(
        findings(
            "coinbase",
            "allow = [\"trade\"]\nrequests_per_minute = 5\nexpires = \"2030-01-01T00:00:00Z\""
        )
        .is_empty()
    );
    assert!(findings("htx", "allow = [\"read\", \"trade\"]").is_empty());
    assert!(
        findings("coinbaseexchange", "allow = [\"trade\"]\nmax_notional = \"10\"\nparams = [\"size\"]")
            .is_empty()
    );
}

/// A human says yes to what is shown, and a signature that holds for anything else too is not what was said yes to.
#[test]
fn refuses_a_confirmation_that_the_signature_does_not_hold_to() {
    for (id, parts) in
        [("coinbase", &["query", "body"][..]), ("htx", &["body"]), ("bybit", &["path", "method"])]
    {
        assert_eq!(findings(id, "allow = [\"*\"]\nconfirm = true"), parts, "{id}");
        assert!(findings(id, "allow = [\"*\"]").is_empty(), "{id}");
        let accepted = format!("allow = [\"*\"]\nconfirm = true\naccept_unbound = {parts:?}");
        assert!(findings(id, &accepted).is_empty(), "{id}");
    }
    // Not only orders are shown.
    assert_eq!(findings("coinbase", "allow = [\"transfer\"]\nconfirm = true"), ["query", "body"]);
    // Bound by the signature, or by the names that are all that is allowed.
    assert!(findings("okx", "allow = [\"*\"]\nconfirm = true").is_empty());
    let list = "params = [\"category\", \"symbol\", \"side\", \"orderType\", \"qty\", \"price\"]";
    let some = "allow = [\"read\", \"trade\", \"cancel\", \"config\"]";
    assert!(findings("bybit", &format!("{some}\nconfirm = true\n{list}\n{BARE}")).is_empty());
}

/// A socket that only tells is no way round a limit; one that takes orders is. And a login whose signature is good for
/// a request is given only to whom that is.
#[test]
fn looks_at_what_a_login_opens() {
    let limited = "allow = [\"read\", \"trade\", \"session\"]\nmax_notional = \"10\"";
    assert_eq!(findings("okx", limited), ["body"]);
    assert!(findings("krakenfutures", limited).is_empty());
    assert_eq!(findings("okx", "allow = [\"session\"]"), ["body"]);
    assert!(
        findings("okx", "allow = [\"*\"]\nconfirm = true").is_empty(),
        "a human is told what a session is"
    );
    for (id, login) in [("upbit", "`login` of Upbit"), ("woo", "`login` of WOO X")] {
        let grants = "[[grant]]\nid = \"g\"\nto = \"user:1\"\nallow = [\"read\", \"session\"]\n\
                      accept_unbound = [\"body\", \"method\"]";
        let found = scope::check(venue(id), &Grants::parse(grants).unwrap());
        let said = format!("the WebSocket login {login} has the signature of a request for `cancel` as well");
        let finding = found.iter().find(|finding| finding.reason == said);
        assert!(finding.is_some_and(|finding| named(finding) == ["parameterless"]), "{id}: {found:?}");
        let accepted = grants.replace("\"method\"", "\"method\", \"path\"");
        assert!(scope::check(venue(id), &Grants::parse(&accepted).unwrap()).is_empty(), "{id}");
    }
}

/// Deribit's login is a text that its sender ends as it likes, so each of its requests begins one.
#[test]
fn refuses_to_withhold_sessions_where_every_signature_is_good_for_a_login() {
    let found = |venue_id: &str, lines: &str| {
        let text = format!("[[grant]]\nid = \"a\"\nto = \"user:1\"\n{lines}");
        scope::check(venue(venue_id), &Grants::parse(&text).unwrap())
    };
    let of_logins = |findings: &[scope::Finding]| {
        let reason =
            "is good for the WebSocket login `login` as well, because its sender chooses `data` in it";
        let of = |finding: &&scope::Finding| finding.reason.contains(reason);
        findings.iter().find(of).map(|finding| (finding.accept.len(), finding.remedy.clone()))
    };
    let remedy = "grant `session` beside it, and use a key of the venue's that may do no more than it should";
    let everything = "accept_unbound = [\"method\", \"path\", \"query\", \"body\", \"parameterless\"]";
    for lines in ["allow = [\"read\"]", "allow = [\"read\", \"trade\", \"cancel\", \"transfer\"]"] {
        for accepted in ["", everything] {
            let findings = found("deribit", &format!("{lines}\n{accepted}"));
            assert_eq!(
                of_logins(&findings),
                Some((0, remedy.to_owned())),
                "nothing accepts it: {findings:?}"
            );
        }
    }
    for lines in ["allow = [\"*\"]", "allow = [\"read\", \"session\"]"] {
        assert_eq!(of_logins(&found("deribit", lines)), None, "{lines}");
    }
    assert_eq!(of_logins(&found("bybit", "allow = [\"read\"]")), None, "no sender ends its logins");
}

#[test]
fn says_that_a_session_hands_out_power() {
    let grants =
        Grants::parse("[[grant]]\nid = \"g\"\nto = \"user:1\"\nallow = [\"read\", \"session\"]").unwrap();
    let found = scope::check(venue("kraken"), &grants);
    let [finding] = found.as_slice() else { unreachable!("{found:?}") };
    assert_eq!(
        finding.to_string(),
        "grant `g`: `session` hands out power without further signatures: what is sent over a WebSocket login or \
         listen key of Kraken passes no grant; grant `session` only to those who may do everything (\"*\" without \
         limits), or accept it with --accept-unbound body, which every report shows for ever"
    );
    assert!(findings("kraken", "allow = [\"*\"]").is_empty());
    assert!(findings("kraken", "allow = [\"read\", \"trade\"]").is_empty());
}

/// Decides about a planned request, as the agent does.
fn decide(policy: &Policy, plan: &Plan<'_>) -> Decision {
    let classified = plan.classified();
    let names: Vec<&str> = plan.names().collect();
    let orders = plan.orders();
    let ask = Ask {
        caller: Caller::Process { uid: 1, unit: None },
        now: "2026-11-22T00:00:00Z".parse().unwrap(),
        uptime: std::time::Duration::from_secs(1000),
        action: classified.action,
        stands_in: &classified.stands_in,
        names: &names,
        orders: orders.as_deref(),
    };
    policy.decide(&mut Meters::new(std::time::Duration::ZERO), &ask)
}

fn is_allowed(venue_id: &str, grant: &str, method: &str, path: &str, params: &[(&str, &str)]) -> bool {
    let grants = Grants::parse(&format!("[[grant]]\nid = \"g\"\nto = \"user:1\"\n{grant}")).unwrap();
    let profile = venue(venue_id);
    let params: Vec<(&str, Param<'_>)> =
        params.iter().map(|(name, value)| (*name, Param::Text(value))).collect();
    let get = method == "GET" || method == "DELETE";
    let (query, body) = if get { (params, Body::Empty) } else { (Vec::new(), Body::Form(params)) };
    let request = Request { method, path, query, body };
    let plan = profile.plan(&request).unwrap();
    !matches!(decide(&Policy::compile(&grants), &plan), Decision::Deny { .. })
}

/// The pairs of requests that have one signature: whoever may have only one of them gets neither.
#[test]
fn denies_a_request_that_could_stand_in_for_what_is_not_granted() {
    let withdrawal = [("coin", "BTC"), ("address", "x"), ("amount", "1")];
    let order = [
        ("category", "spot"),
        ("symbol", "BTCUSDT"),
        ("side", "Buy"),
        ("orderType", "Limit"),
        ("qty", "1"),
        ("price", "1"),
    ];
    let read = "allow = [\"read\"]";
    let trade = "allow = [\"read\", \"trade\", \"cancel\"]";
    for (id, grant, method, path, params, allowed) in [
        ("binance", read, "GET", "/api/v3/openOrders", &[("symbol", "BTCUSDT")][..], false),
        (
            "binance",
            "allow = [\"read\", \"cancel\"]",
            "GET",
            "/api/v3/openOrders",
            &[("symbol", "BTCUSDT")],
            true,
        ),
        ("binance", read, "GET", "/api/v3/account", &[], true),
        ("binance", read, "GET", "/api/v3/account", &withdrawal, false),
        ("binance", trade, "GET", "/api/v3/account", &withdrawal, false),
        ("binance", trade, "POST", "/sapi/v1/capital/withdraw/apply", &withdrawal, false),
        ("bybit", trade, "POST", "/v5/order/create", &order, true),
        ("bybit", trade, "POST", "/v5/order/create", &[&order[..], &withdrawal[..]].concat(), false),
        ("bybit", trade, "POST", "/v5/asset/withdraw/create", &withdrawal, false),
        // A query is not signed like JSON.
        ("bybit", read, "GET", "/v5/order/realtime", &order, true),
        // Full signatures stand in for nothing.
        ("okx", read, "GET", "/api/v5/account/balance", &withdrawal, true),
        // The path is bound and the method is not: what the path does under other methods counts.
        ("krakenfutures", read, "GET", "/derivatives/api/v3/openorders", &[], true),
        ("krakenfutures", read, "GET", "/derivatives/api/v3/cancelallorders", &[], false),
    ] {
        assert_eq!(is_allowed(id, grant, method, path, params), allowed, "{id} {method} {path} {params:?}");
    }
    // An order that passes for a read is not measured, so a limit on orders denies it.
    let limited = "allow = [\"read\", \"trade\", \"cancel\", \"config\"]\nmax_notional = \"10\"";
    let order =
        [("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "LIMIT"), ("quantity", "1"), ("price", "1")];
    assert!(!is_allowed("binance", limited, "GET", "/api/v3/account", &order));
    assert!(is_allowed("binance", limited, "POST", "/api/v3/order", &order));
    assert!(is_allowed("binance", limited, "GET", "/api/v3/account", &[]));
}

/// A read without parameters is signed like everything else that needs none, so no list of names keeps them apart.
#[test]
fn refuses_to_withhold_what_needs_no_parameter_where_the_path_is_free() {
    let bot = "allow = [\"read\", \"trade\", \"cancel\"]";
    let most = "allow = [\"read\", \"trade\", \"cancel\", \"config\", \"transfer\", \"admin\"]";
    for (id, grant, endpoint, open) in [
        (
            "binance",
            "allow = [\"read\"]",
            "/sapi/v1/account/(disable|enable)FastWithdrawSwitch` (config)",
            true,
        ),
        ("binance", bot, "/papi/v1/(auto-collection|repay-futures-negative-balance)` (transfer)", true),
        ("binance-ed25519", bot, "FastWithdrawSwitch", true),
        ("binanceusdm", bot, "/(fapi|eapi|papi)/v1/(um/)?stock/contract` (config)", true),
        ("binance", most, "", false),
        ("binance", "allow = [\"read\", \"trade\"]", "/sapi/v1/equity/order/cancel-all` (cancel)", true),
        ("bybit", bot, "`POST /v5/user/delete-(sub-)?api` (admin)", true),
        ("mexc", "allow = [\"read\"]", "/api/v1/private/position/close_all` (trade)", true),
        ("mexc", bot, "`POST|GET /api/v3/userDataStream` (session)", true),
        ("bingx", "allow = [\"read\"]", "/openApi/(swap/v2|cswap/v1)/trade/closeAllPositions` (trade)", true),
        ("bingx", bot, "", false),
        ("lbank", "allow = [\"read\"]", "/v2/subscribe/get_key\\.do` (session)", true),
        // Bound, or nothing that is known to need none.
        ("okx", "allow = [\"read\"]", "", false),
        ("kraken", "allow = [\"read\"]", "", false),
    ] {
        for params in ["params = []", "params = [\"limit\"]"] {
            let text = format!("[[grant]]\nid = \"g\"\nto = \"user:1\"\n{grant}\n{params}\n");
            let found = scope::check(venue(id), &Grants::parse(&text).unwrap());
            if !open {
                assert!(found.is_empty(), "{id} {grant} {params}: {found:?}");
                continue;
            }
            let [finding] = found.as_slice() else { unreachable!("{id}: {found:?}") };
            assert_eq!(named(finding), ["parameterless"], "{id}");
            assert!(finding.reason.contains(endpoint), "{id}: {finding}");
            assert!(finding.to_string().contains("--accept-unbound parameterless,"), "{finding}");
            // What is accepted is that, and nothing else.
            let accepted = format!("{text}{BARE}\n");
            assert_eq!(scope::check(venue(id), &Grants::parse(&accepted).unwrap()), [], "{id}");
        }
        let all = format!("{grant}\n{BARE}");
        assert_eq!(findings(id, &all).is_empty(), ["okx", "kraken"].contains(&id), "{id}: no list of names");
    }
    // Where it may trade, but not like that: nothing measures what is closed.
    let limited = format!(
        "{bot}\nmax_notional = \"10\"\nparams = [\"symbol\", \"side\", \"type\", \"quantity\", \"price\"]"
    );
    assert_eq!(findings("bingx", &limited), ["parameterless"]);
    assert_eq!(findings("bingx", &format!("{limited}\n{BARE}")), [""; 0]);
}
