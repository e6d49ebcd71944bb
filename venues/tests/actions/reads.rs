//! What passes for a read: only what is listed, where the method does not tell.

use strongroom_venues::{Action, builtin_profiles};

use super::profile;

/// Where every call is a POST, nothing is read only because no other rule fits.
#[test]
fn reads_by_post_only_what_is_listed() {
    use Action::{Config, Read, Trade};
    for (id, path, action) in [
        ("whitebit", "/api/v4/collateral-account/position/close", Trade),
        ("whitebit", "/api/v4/collateral-account/hedge-mode/update", Config),
        ("whitebit", "/api/v4/collateral-account/hedge-mode", Read),
        ("whitebit", "/api/v4/trade-account/balance", Read),
        ("bitstamp", "/api/v2/close_position/", Trade),
        ("bitstamp", "/api/v2/close_positions/", Trade),
        ("bitstamp", "/api/v2/adjust_position_collateral/", Config),
        ("bitstamp", "/api/v2/leverage_settings/", Config),
        ("bitstamp", "/api/v2/open_orders/all/", Read),
        ("bitstamp", "/api/v2/user_transactions/", Read),
        ("gemini", "/v1/balances", Read),
        ("lbank", "/v2/supplement/user_info.do", Read),
    ] {
        assert_eq!(profile(id).actions().classify("POST", path).0, action, "{id} {path}");
    }
    for (id, _) in builtin_profiles() {
        for start in ["/", "/api/", "/api/v1/", "/api/v2/", "/api/v4/", "/v1/", "/v2/", "/v5/", "/sapi/v1/"] {
            let path = format!("{start}no_such_endpoint/close");
            let found = profile(id).actions().classify("POST", &path).0;
            assert_ne!(found, Read, "{id} {path}");
        }
    }
}

/// Where GET and POST share one signature, a catch-all for GET would let a POST pass for a read.
#[test]
fn reads_only_what_is_listed_where_the_method_is_not_signed() {
    for (id, _) in builtin_profiles() {
        let profile = profile(id);
        let table = profile.actions();
        if table.rules().is_empty() || table.binds(Action::Read).method {
            continue;
        }
        for start in [
            "",
            "/api/v3",
            "/api/v1",
            "/openApi",
            "/v1",
            "/v2",
            "/v3",
            "/v5",
            "/sapi/v1",
            "/fapi/v1",
            "/exchange",
            "/7/api/pro/v1",
            "/future/user/v1",
            "/api/history",
        ] {
            for end in ["no_such_endpoint", "no/such/endpoint", "account/no_such_endpoint"] {
                let path = format!("{start}/{end}");
                let found = table.classify("GET", &path);
                assert_ne!(found.0, Action::Read, "{id} {path}: {found:?}");
                if id.starts_with("binance") || ["bybit", "bingx"].contains(id) {
                    for method in ["GET", "POST", "PUT", "DELETE"] {
                        assert_eq!(table.classify(method, &path).0, Action::Unknown, "{id} {method} {path}");
                    }
                }
            }
        }
    }
    for (id, listed, other) in [
        ("binance", "/sapi/v1/sub-account/list", "/sapi/v1/sub-account/lists"),
        ("bybit", "/v5/account/info", "/v5/account/info/x"),
        ("mexc", "/api/v3/account", "/api/v4/account"),
        ("phemex", "/g-orders/activeList", "/g-orders"),
        ("ascendex", "/7/api/pro/v1/margin/order/open", "/7/api/pro/v1/margin/order"),
        ("bithumb-legacy", "/v1/accounts", "/info/balance"),
        ("krakenfutures", "/api/history/v2/executions", "/api/history/v9/executions"),
        ("xt", "/future/user/v1/balance/list", "/future/user/v1/user/listen-key"),
    ] {
        assert_eq!(profile(id).actions().classify("GET", listed).0, Action::Read, "{id} {listed}");
        assert_ne!(profile(id).actions().classify("GET", other).0, Action::Read, "{id} {other}");
    }
}
