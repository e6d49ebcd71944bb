//! What signatures bind: `covers` of every shipped profile against requests that are changed.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use strongroom_venues::{Covers, Finding, Profile, builtin, builtin_profiles};

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

/// These venues sign values without escaping them, so that their signature alone does not say where one
/// parameter ends. A new one must be added here on purpose.
#[test]
fn knows_whose_parameters_can_be_cut_anew() {
    let recut = |id: &&str| probe(id).iter().any(|finding| finding.recut);
    let found: Vec<&str> = builtin_profiles().iter().map(|(id, _)| *id).filter(recut).collect();
    assert_eq!(found, ["bingx", "bitget", "cryptocom", "gate", "lbank", "upbit", "xt"]);
}

/// The control: a profile that reads what it promises, and signs less.
#[test]
fn finds_profiles_that_claim_more_than_they_sign() {
    for (covers, message, found, unseen) in [
        ("full", "{method|cut:.*}{path}{query}", Covers::PathAndParams, "DELETE /probe"),
        ("path+params", "{path|cut:/two}{query}", Covers::PathAndParams, ""),
        ("path+params", "{path|cut:/.*}{query}", Covers::Params, "/probex/one/two"),
        ("path", "{path|cut:[a-z]+$}", Covers::Nothing, "/probe/one/twox"),
        ("params", "{query|cut:&.*}", Covers::Nothing, "?alpha=\"1\""),
        ("params", "{query|lower}", Covers::Params, ""),
        ("full", "{method} {path} {query}", Covers::Full, ""),
    ] {
        let text = format!(
            "profile = \"x\"\ncovers = \"{covers}\"\nbody_methods = []\n\
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
