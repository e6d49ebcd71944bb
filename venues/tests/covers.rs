//! What signatures bind: `covers` of every shipped profile against requests that are changed.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use strongroom_venues::{
    Account, Body, Covers, Finding, Moment, Param, Profile, Request, builtin, builtin_profiles,
};

fn probe(id: &str) -> Vec<Finding> {
    builtin(id).expect("shipped").expect("compiles").probe()
}

#[test]
fn binds_exactly_what_covers_says() {
    for (id, _) in builtin_profiles() {
        for finding in probe(id) {
            assert_eq!(finding.found, finding.claimed, "{id} {finding:?}");
            assert!(!finding.overclaims(), "{id} {finding:?}");
            // Every rule was tried, but for endpoints that take no signature at all.
            let signs = finding.tried > 0;
            let listen_key = id.starts_with("binance") && finding.claimed == Covers::Nothing;
            assert!(signs || listen_key, "{id} {finding:?}");
        }
    }
}

/// `Plan::binds` tells the method, the path, the query and the body apart; each that it claims shows in the
/// signed text of a request that is changed there, and nothing that it does not claim.
#[test]
fn binds_each_part_that_a_plan_claims() {
    const ACCOUNT: Account<'static> =
        Account { key_id: "key", uid: Some("7"), base_url: "https://a.example" };
    let moment = Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 7, ..Moment::default() };
    let (mut bound, mut free) = ([0; 4], [0; 4]);
    for (id, _) in builtin_profiles() {
        let profile = builtin(id).expect("shipped").expect("compiles");
        let text = |[method, path, query, body]: [&str; 4]| {
            let value = |value| vec![("alpha", Param::Text(value))];
            let query = if query.is_empty() { Vec::new() } else { value(query) };
            let body =
                if body.is_empty() { Body::Empty } else { Body::Form(vec![("beta", Param::Text(body))]) };
            let request = Request { method, path, query, body };
            let plan = profile.plan(&request).ok()?;
            let canonical = plan.canonicalise(&ACCOUNT, &moment).ok()?;
            canonical.needs_signature().then(|| (plan.binds(), canonical.message().to_vec()))
        };
        for path in ["/probe/one", "/api/v1/order", "/api/v1/private/probe"] {
            for whole in [["GET", path, "1", ""], ["POST", path, "", "1"], ["DELETE", path, "1", ""]] {
                let Some((binds, signed)) = text(whole) else { continue };
                let [method, _, query, body] = whole;
                let other_method = if method == "POST" { "PUT" } else { "PATCH" };
                let other_path = format!("{path}x");
                for (part, claimed, changed) in [
                    (0, binds.method, [other_method, path, query, body]),
                    (1, binds.path, [method, other_path.as_str(), query, body]),
                    (2, binds.query, [method, path, if query.is_empty() { "" } else { "2" }, body]),
                    (3, binds.body, [method, path, query, if body.is_empty() { "" } else { "2" }]),
                ] {
                    let Some((_, other)) = text(changed).filter(|_| changed != whole) else { continue };
                    // A venue that binds no method may still write another text for methods without a body.
                    if claimed || part > 0 {
                        assert_eq!(claimed, other != signed, "{id} {whole:?} {changed:?}");
                    }
                    *(if claimed { &mut bound } else { &mut free }).get_mut(part).expect("four parts") += 1;
                }
            }
        }
    }
    // Every part was bound by some venue, and left free by another.
    assert!(bound.iter().chain(&free).all(|tried| *tried > 0), "{bound:?} {free:?}");
}

/// These venues sign values without escaping them, so that their signature alone does not say where one
/// parameter ends. A new one must be added here on purpose.
#[test]
fn knows_whose_parameters_can_be_cut_anew() {
    let recut = |id: &&str| probe(id).iter().any(|finding| finding.recut);
    let found: Vec<&str> = builtin_profiles().iter().map(|(id, _)| *id).filter(recut).collect();
    assert_eq!(
        found,
        [
            "binance-ws",
            "bingx",
            "bitget",
            "cryptocom",
            "gate",
            "lbank",
            "lbank-rsa",
            "upbit",
            "upbit-hs512",
            "xt"
        ]
    );
}

/// The control: a profile that reads what it promises, and signs less.
#[test]
fn finds_profiles_that_claim_more_than_they_sign() {
    for (covers, message, found, unseen) in [
        ("full", "{method|cut:.*}{path}{query}", Covers::PathAndParams, "DELETE /probe"),
        ("path+params", "{path|cut:/ws}{query}", Covers::Params, "`cut:/ws` takes out of `{path}`"),
        ("path+params", "{path|cut:^/ws}{query}", Covers::Params, "`front_unsigned = true`"),
        ("path+params", "{path|lower}{query}", Covers::Params, "`lower`"),
        ("path+params", "{path|lower}{path}{query}", Covers::PathAndParams, ""),
        ("params", "{query|cut:amount}", Covers::Nothing, "`cut:amount` takes out of `{query}`"),
        ("params", "{query|b64|upper}", Covers::Nothing, "`upper`"),
        ("params", "{query|sha256|hex|upper}", Covers::Params, ""),
        ("params", "{digest|upper}", Covers::Params, ""),
        ("params", "{text|upper}", Covers::Nothing, "`upper`"),
        ("params", "{cut}", Covers::Nothing, "`cut:amount`"),
        ("params", "{kv:;|cut:;}", Covers::Nothing, "`{kv}`"),
        ("path+params", "{path|cut:/.*}{query}", Covers::Params, "/probex/one/two"),
        ("path", "{path|cut:[a-z]+$}", Covers::Nothing, "/probe/one/twox"),
        ("params", "{query|cut:&.*}", Covers::Nothing, "?alpha=\"1\""),
        ("params", "{query|lower}", Covers::Nothing, "`lower`"),
        ("full", "{method} {path} {query}", Covers::Full, ""),
    ] {
        let text = format!(
            "profile = \"x\"\ncovers = \"{covers}\"\nbody_methods = []\n\
             let = {{ digest = \"{{query|sha256|hex}}\", text = \"{{query}}\", cut = \"{{query|cut:amount}}\" }}\n\
             sign = {{ alg = \"hmac-sha256\", message = \"{message}\" }}\n\
             attach = {{ headers = {{ \"S\" = \"{{sig}}\" }} }}\n"
        );
        let findings = Profile::compile(&text).expect("compiles").probe();
        let [finding] = findings.as_slice() else { unreachable!("one rule, one finding") };
        assert_eq!(finding.found, found, "{message}");
        assert_eq!(finding.overclaims(), !unseen.is_empty(), "{message}");
        let example = finding.unseen.clone().unwrap_or_default();
        assert!(example.contains(unseen), "{message}: {example}");
    }
}

/// A case that no request reaches is one that was not tried.
#[test]
fn says_where_it_tried_nothing() {
    let text = r#"
        profile = "x"
        sign = { alg = "hmac-sha256", message = "{path}" }
        attach = { headers = { "S" = "{sig}" } }
        [[case]]
        when = { path = "^/a" }
        [[case]]
        when = { path = "^/ab" }
    "#;
    let findings = Profile::compile(text).expect("compiles").probe();
    let tried: Vec<(Option<usize>, bool)> = findings.iter().map(|f| (f.case, f.tried > 0)).collect();
    assert_eq!(tried, [(None, true), (Some(1), true), (Some(2), false)]);
}

/// A front that a profile says to be free may be taken off, and nothing else.
#[test]
fn lets_a_profile_leave_a_front_unsigned() {
    for (path, overclaims) in [
        ("{path|cut:^/ws}", false),
        ("{path|cut:^/(ws|api)/}", false),
        ("{path|cut:/ws}", true),
        ("{path|cut:^/ws|x}", true),
        ("{path|cut:^/ws|lower}", true),
        ("{path|cut:^/.*}", true),
    ] {
        let text = format!(
            "profile = \"x\"\ncovers = \"path\"\nfront_unsigned = true\n\
             sign = {{ alg = \"hmac-sha256\", message = \"{path}\" }}\n\
             attach = {{ headers = {{ \"S\" = \"{{sig}}\" }} }}\n"
        );
        let compiled = Profile::compile(&text);
        if path.contains("|x}") {
            // A `|` outside parentheses begins the next filter.
            assert!(compiled.is_err(), "{path}");
            continue;
        }
        let findings = compiled.expect("compiles").probe();
        assert!(findings.iter().all(|finding| finding.overclaims() == overclaims), "{path} {findings:?}");
    }
}

/// With a separator of the profile's own.
#[test]
fn warns_of_parameters_that_can_be_cut_anew_at_any_separator() {
    for (view, recut) in
        [("{kv:;}", true), ("{kv: and }", true), ("{kvquery:;}", false), ("{kvquery}", false)]
    {
        let text = format!(
            "profile = \"x\"\ncovers = \"full\"\n\
             sign = {{ alg = \"hmac-sha256\", message = \"{{method}}{{path}}{view}\" }}\n\
             attach = {{ headers = {{ \"S\" = \"{{sig}}\" }} }}\n"
        );
        let findings = Profile::compile(&text).expect("compiles").probe();
        let found: Vec<bool> = findings.iter().map(|finding| finding.recut).collect();
        assert_eq!(found, [recut], "{view}");
    }
}

#[test]
fn says_where_a_brace_ended_a_pattern() {
    let compiled = |message: &str| {
        let text = format!(
            "profile = \"x\"\nhosts = [\"https://a.example\"]\n\
             sign = {{ alg = \"hmac-sha256\", message = \"{message}\" }}\n\
             attach = {{ headers = {{ \"S\" = \"{{sig}}\" }} }}\n"
        );
        Profile::compile(&text).map(drop).map_err(|error| error.to_string())
    };
    let error = compiled("{path|cut:[a-z]{3}}").expect_err("a brace too few");
    assert!(error.contains("put parentheses around it, as in `cut:([a-z]{3})`"), "{error}");
    assert_eq!(compiled("{path|cut:([a-z]{3})}"), Ok(()));
}

/// The token of the how-to that has the digest of the body among its claims.
#[test]
fn binds_a_body_by_a_claim_as_the_how_to_shows() {
    let page = include_str!("../../docs/how-to/add-a-venue.md");
    let (_, sign) = page.split_once("  covers = \"full\"\n").expect("the example");
    let (sign, _) = sign.split_once("```").expect("its end");
    let attach = "[attach]\nheaders = { \"Authorization\" = \"Bearer {sig}\" }\n";
    let findings = Profile::compile(&format!("profile = \"x\"\ncovers = \"full\"\n{sign}\n{attach}"));
    for finding in findings.expect("compiles").probe() {
        assert_eq!(finding.found, Covers::Full, "{finding:?}");
        assert!(!finding.overclaims(), "{finding:?}");
    }
}

/// The text up to its actions and logins, which say nothing about what is signed.
fn signing(text: &str) -> &str {
    let ends = ["\n[actions]", "\n[[order]]", "\n[[ws]]"].iter().filter_map(|section| text.find(section));
    ends.min().and_then(|end| text.get(..=end)).unwrap_or(text)
}

/// Where `part` stands in `text`, every time.
fn places(text: &str, part: &str) -> Vec<usize> {
    text.match_indices(part).map(|(at, _)| at).collect()
}

/// `text` with these bytes replaced.
fn with(text: &str, at: usize, old: &str, new: &str) -> String {
    let (front, rest) = text.split_at(at);
    format!("{front}{new}{}", rest.strip_prefix(old).expect("it stands there"))
}

/// The refusal of `text`: the line that it points at, its column, and why. Nothing if it passes.
fn refused(text: &str) -> Option<(usize, usize, String)> {
    match Profile::compile(text) {
        Err(error) => Some((error.line(), error.column(), error.message().to_owned())),
        Ok(profile) => {
            let unseen = |finding: Finding| Some((finding.claimed_at, finding.unseen?));
            let (at, why) = profile.probe().into_iter().find_map(unseen)?;
            Some((at.line, at.column, why))
        }
    }
}

/// What `covers` says of the rule that stands around `at`.
fn claimed(text: &str, at: usize) -> &str {
    let own = text.get(..at).and_then(|front| front.rfind("\n[[case]]")).and_then(|start| {
        let rest = text.get(start + 1..)?;
        covers(rest.split_once("\n[[case]]").map_or(rest, |(case, _)| case))
    });
    own.or_else(|| covers(text)).expect("the base says it")
}

fn covers(rule: &str) -> Option<&str> {
    Some(rule.split_once("\ncovers = \"")?.1.split_once('"')?.0)
}

/// The edits by which a shipped profile would promise more than it keeps: another `covers`, a variable left out of what
/// is signed, one that goes through a filter that loses something, and single members in the place of all.
fn overclaims(text: &str) -> Vec<(String, String)> {
    let mut edited = Vec::new();
    for at in places(text, "\ncovers = \"") {
        let old = claimed(text, at + 1);
        let more: &[&str] = match old {
            "path+params" => &["full"],
            "params" => &["path", "path+params", "full"],
            "path" => &["params", "path+params", "full"],
            "none" => &["params", "path", "path+params", "full"],
            _ => &[],
        };
        for new in more {
            let line = |covers: &str| format!("\ncovers = \"{covers}\"");
            edited.push((format!("`{old}` called `{new}`"), with(text, at, &line(old), &line(new))));
        }
    }
    let (paths, parameters) = (&["full", "path+params", "path"][..], &["full", "path+params", "params"][..]);
    for (variable, claims) in [
        ("method", &["full"][..]),
        ("op", paths),
        ("path", paths),
        ("body", parameters),
        ("kv:&", parameters),
        ("kvconcat", parameters),
        ("kvquery", parameters),
        ("query", parameters),
    ] {
        let ends = ["}", "|"].iter().flat_map(|end| places(text, &format!("{{{variable}{end}")));
        for at in ends.filter(|at| claims.contains(&claimed(text, *at))) {
            let (front, rest) = text.split_at(at);
            // What is sent is no part of what is signed.
            let line = front.rsplit('\n').next().unwrap_or_default();
            if !["message =", "let =", "digest =", "_hash ="].iter().any(|key| line.contains(key)) {
                continue;
            }
            let whole = format!("{}}}", rest.split_once('}').expect("its end").0);
            let (name, filters) = whole.split_at(variable.len() + 1);
            edited.push((format!("without `{whole}`"), with(text, at, &whole, "")));
            let losing: &[&str] =
                if matches!(variable, "method" | "op") { &[] } else { &["lower", "cut:[0-9]+$"] };
            for filter in losing {
                let lossy = format!("{name}|{filter}{filters}");
                edited.push((format!("`{lossy}`"), with(text, at, &whole, &lossy)));
            }
            if matches!(variable, "body" | "query") {
                let one = "{param:symbol}";
                edited.push((format!("`{one}` for `{whole}`"), with(text, at, &whole, one)));
            }
        }
    }
    edited
}

/// Edits that promise no more. The old form of Bithumb has the path among its parameters, too; Kraken and Poloniex say that
/// a call whose signed text has no query takes none, and then a request with one is refused.
const KEPT: [&str; 4] = [
    "bithumb-legacy: without `{path}`",
    "kraken: without `{query|q}`",
    "kraken: `{param:symbol}` for `{query|q}`",
    "poloniex: `{param:symbol}` for `{query}`",
];

/// Whoever edits a shipped profile so that it promises more is told where, and why.
#[test]
fn refuses_every_profile_that_was_edited_to_promise_more() {
    let (mut tried, mut passed) = (0_usize, Vec::new());
    for (id, text) in builtin_profiles() {
        let text = signing(text);
        assert_eq!(refused(text), None, "{id} as it ships");
        for (edit, edited) in overclaims(text) {
            tried += 1;
            match refused(&edited) {
                None => passed.push(format!("{id}: {edit}")),
                Some((line, column, why)) => {
                    assert!(line > 0 && column > 0 && !why.is_empty(), "{id}: {edit}");
                }
            }
        }
    }
    assert!(tried > 400, "{tried}");
    assert_eq!(passed, KEPT, "of {tried}");
}
