//! Profiles of one exchange that differ in their key, and name one action table.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use strongroom_venues::{Profile, builtin, builtin_profiles};

fn text(id: &str) -> &'static str {
    builtin_profiles().iter().find(|(known, _)| *known == id).map(|(_, text)| *text).unwrap()
}

fn profile(id: &str) -> Profile {
    builtin(id).unwrap().unwrap()
}

/// Everything that an action table says, but for what a signature binds.
fn table(profile: &Profile) -> (Vec<[String; 5]>, Vec<String>) {
    let actions = profile.actions();
    let rules = actions.rules().iter().map(|rule| {
        let needs = format!("{:?} {}", rule.needs(), rule.needs_nothing());
        [rule.id().to_owned(), rule.methods(), rule.path().to_owned(), needs, rule.when()]
    });
    (rules.collect(), actions.order_fields().map(|fields| format!("{fields:?}")).collect())
}

/// The shipped profiles that name another's table, and whose.
fn named() -> Vec<(&'static str, &'static str)> {
    let of = |text: &'static str| text.split_once("[actions]\nof = \"")?.1.split_once('"').map(|(of, _)| of);
    builtin_profiles().iter().filter_map(|(id, text)| Some((*id, of(text)?))).collect()
}

/// A profile under a name that ships or not, which ends in `rest`.
fn with(id: &str, rest: &str) -> String {
    let sign = "[sign]\nalg = \"hmac-sha256\"\nmessage = \"{method}{path}{query}{body}\"\n";
    format!(
        "profile = \"{id}\"\ncovers = \"full\"\n{sign}[attach]\nheaders = {{ S = \"{{sig}}\" }}\n[actions]\n{rest}"
    )
}

#[test]
fn takes_rules_and_orders_of_the_profile_that_is_named() {
    let found = named();
    assert!(found.len() >= 10, "{found:?}");
    for (id, other) in found {
        let (rules, orders) = table(&profile(id));
        let (other_rules, other_orders) = table(&profile(other));
        assert!(!rules.is_empty() && !orders.is_empty(), "{id}");
        assert_eq!(rules, other_rules, "{id}");
        assert_eq!(orders == other_orders, !text(id).contains("[[order]]"), "{id}");
    }
}

#[test]
fn binds_what_its_own_signature_binds() {
    let bound = |profile: &Profile| profile.actions().rules().iter().all(|rule| rule.binds().path);
    assert!(!bound(&profile("binance")));
    assert!(bound(&Profile::compile(&with("binance-rsa", "of = \"binance\"")).unwrap()));
}

/// Another kind of key changes nothing about where the venue is.
#[test]
fn has_the_same_hosts_whatever_the_kind_of_key() {
    let pairs = [
        ("binance-rsa", "binance"),
        ("binance-ed25519", "binance"),
        ("bybit-rsa", "bybit"),
        ("lbank-rsa", "lbank"),
    ];
    for (id, other) in pairs {
        assert_eq!(profile(id).hosts(), profile(other).hosts(), "{id}");
    }
}

#[test]
fn refuses_a_table_that_cannot_be_named() {
    let no_pin = "only a profile that ships names the actions of another: copy `actions` and `order` from \
                  `strongroom venue show binance --toml`";
    let rules = "of = \"binance\"\nrules = []";
    for (case, id, rest, message) in [
        ("not shipped itself", "mine", "of = \"binance\"", no_pin),
        ("not shipped", "binance-rsa", "of = \"mine\"", "no profile `mine` ships"),
        (
            "mistyped",
            "binance-rsa",
            "of = \"binanse\"",
            "no profile `binanse` ships (did you mean `binance`?)",
        ),
        (
            "one that names another",
            "binance-rsa",
            "of = \"binanceusdm\"",
            "`binanceusdm` has the actions of `binance`: name that one",
        ),
        ("beside rules", "binance-rsa", rules, "a profile has `rules` of its own, or those `of` another"),
        ("no name", "binance-rsa", "of = 7", "`of` must be text"),
    ] {
        let error = Profile::compile(&with(id, rest)).unwrap_err();
        assert_eq!((error.line(), error.message()), (9, message), "{case}");
    }
    // The control: the same text where all of it may be said.
    assert!(Profile::compile(&with("binance-rsa", "of = \"binance\"")).is_ok());
    assert!(Profile::compile(&with("mine", "rules = []")).is_ok());
}
