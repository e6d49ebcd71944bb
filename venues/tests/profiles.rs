//! What is wrong with a profile, and where.

use strongroom_link::key::{Algorithm, PassphraseUse, SecretForm};
use strongroom_venues::{Account, Body, Covers, Moment, Profile, Request, builtin_profiles};

const ACCOUNT: Account<'static> = Account { key_id: "key", uid: None, base_url: "https://a.example" };

#[test]
fn compiles_every_shipped_profile_with_all_it_needs() {
    for (id, text) in builtin_profiles() {
        let profile = Profile::compile(text).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(profile.id(), *id);
        assert_ne!(profile.name(), *id, "{id} has a name for people");
        assert!(!profile.hosts().is_empty(), "{id}");
        assert_ne!(profile.covers(), Covers::Nothing, "{id}");
        assert!(profile.key_spec().min_bytes >= 16, "{id}");
        assert!(profile.docs().starts_with("https://"), "{id} names its source");
        assert!(profile.checked().starts_with("20"), "{id} says when it was compared");
        assert!(text.starts_with("# ") && text.contains("\n# https://"), "{id} cites its source");
    }
}

#[test]
fn knows_what_the_keeper_needs() {
    for (id, algorithm, form, passphrase) in [
        ("binance", Algorithm::HmacSha256, SecretForm::Utf8, PassphraseUse::Absent),
        ("bitfinex", Algorithm::HmacSha384, SecretForm::Utf8, PassphraseUse::Absent),
        ("coinbase", Algorithm::Es256, SecretForm::Pem, PassphraseUse::Absent),
        ("coinbaseexchange", Algorithm::HmacSha256, SecretForm::Base64, PassphraseUse::Plain),
        ("kraken", Algorithm::HmacSha512, SecretForm::Base64, PassphraseUse::Absent),
        ("kucoin", Algorithm::HmacSha256, SecretForm::Utf8, PassphraseUse::Mac),
    ] {
        let spec = strongroom_venues::builtin(id).expect("shipped").expect("compiles").key_spec();
        assert_eq!((spec.algorithm, spec.form, spec.passphrase), (algorithm, form, passphrase), "{id}");
    }
}

/// A profile that compiles, and one line more.
fn with(line: &str) -> String {
    format!(
        "profile = \"x\"\nsign = {{ alg = \"hmac-sha256\", message = \"{{path}}\" }}\n\
         attach = {{ headers = {{ \"S\" = \"{{sig}}\" }} }}\n{line}\n"
    )
}

#[test]
fn refuses_profiles_with_line_and_column() {
    assert!(Profile::compile(&with("")).is_ok());
    for (line, expected) in [
        (
            "profil = 1",
            "line 4, column 1: a profile has no key `profil` (did you mean `profile`?); its keys are profile, schema, name, docs, checked, hosts, secret, key_id, by_host, actions, order, case, ws, front_unsigned, query_unsigned, endpoint, covers, clock, encode, body_methods, inject, let, sign, attach, map",
        ),
        ("schema = 2", "line 4, column 10: `schema` must be 1"),
        ("name = 7", "line 4, column 8: `name` must be text"),
        (
            "endpoint = \"/exchange\"",
            "line 4, column 12: `/exchange` is no endpoint: it looks like `POST /exchange`",
        ),
        (
            "endpoint = \"SEND /a\"",
            "line 4, column 12: `SEND /a` is no endpoint: it looks like `POST /exchange`",
        ),
        (
            "endpoint = \"POST a\"",
            "line 4, column 12: `POST a` is no endpoint: it looks like `POST /exchange`",
        ),
        ("key_id = { form = \"address\" }", "line 4, column 10: `key_id` needs the key `is`"),
        ("key_id = { is = \"a\" }", "line 4, column 10: `key_id` has a `pattern`, or a `form`, and not both"),
        (
            "key_id = { is = \"a\", form = \"uuid\" }",
            "line 4, column 29: `form` cannot be `uuid`; it is one of address",
        ),
        (
            "key_id = { is = \"a\", pattern = \"(\" }",
            "line 4, column 32: the pattern `^(?:()$` does not compile: unclosed group",
        ),
        (
            "hosts = [\"http://a.example\"]",
            "line 4, column 10: `http://a.example` must look like `https://api.example.com`: no path, lower case",
        ),
        (
            "hosts = [\n \"https://a.example\",\n \"https://b.example/v1\",\n]",
            "line 6, column 2: `https://b.example/v1` must look like `https://api.example.com`: no path, lower case",
        ),
        (
            "hosts = [\n \"https://a.example\",\n \"https://a.example\",\n]",
            "line 6, column 2: `https://a.example` stands in the list twice",
        ),
        (
            "covers = \"all\"",
            "line 4, column 10: `covers` cannot be `all`; it is one of full, path+params, params, path, none",
        ),
        (
            "covers = \"full\"",
            "line 4, column 10: `covers = \"full\"`, but the signed text does not read the method",
        ),
        (
            "covers = \"params\"",
            "line 4, column 10: `covers = \"params\"`, but the signed text does not read the parameters",
        ),
        (
            "clock = { ts = \"m\" }",
            "line 4, column 16: `ts` cannot be `m` (did you mean `ms`?); it is one of ms, s, us, ns, iso-ms, iso-s",
        ),
        (
            "clock = { tz = 1 }",
            "line 4, column 11: `clock` has no key `tz` (did you mean `ts`?); its keys are ts, plus_s, nonce, skew_ms",
        ),
        ("encode = { sort = true }", "line 4, column 19: `sort` must be text"),
        ("encode = { json_ascii = 1 }", "line 4, column 25: `json_ascii` must be true or false"),
        (
            "encode = { query_keep = \"&\" }",
            "line 4, column 25: `query_keep` has only characters that change nothing in a URL, such as `$`, `,` and `:`",
        ),
        ("body_methods = [\"TRACE\"]", "line 4, column 17: `TRACE` is none of DELETE, GET, PATCH, POST, PUT"),
        (
            "body_methods = [\n  \"POST\",\n  \"PUT|TRACE\",\n]",
            "line 6, column 3: `TRACE` is none of DELETE, GET, PATCH, POST, PUT",
        ),
        ("inject = [{ name = \"a\" }]", "line 4, column 11: an entry of `inject` needs the key `value`"),
        (
            "inject = [{ name = \"a\", value = \"{body}\" }]",
            "line 4, column 35: an injected value cannot use `{body}`: it comes first",
        ),
        (
            "inject = [{ name = \"a\", value = \"{passphrase}\" }]",
            "line 4, column 35: the passphrase never becomes part of the signed text or of a signed parameter",
        ),
        (
            "inject = [{ name = \"a\", value = \"b\", type = \"int\" }]",
            "line 4, column 33: a value that is written without quotes must be a JSON literal, or a `{ts}`, `{nonce}` or `{uid}` that is a number",
        ),
        (
            "inject = [{ name = \"a\", value = \"b\" }, { name = \"a\", value = \"c\" }]",
            "line 4, column 40: `a` is injected twice",
        ),
        ("let = { ts = \"1\" }", "line 4, column 9: `ts` is a variable already"),
        (
            "let = { a = \"{b}\" }",
            "line 4, column 15: the variable `b` is unknown; known are base, body, each, hex16, host, item, key, kv, kvconcat, kvquery, method, nonce, op, params_json, passphrase, path, query, sig, ts, uid, uuid, uuid16, uuid22, by_host, msgpack, param, sig_r, sig_s, sig_v",
        ),
        (
            "let = { a = \"{b}\", b = \"1\" }",
            "line 4, column 15: `b` is defined further down: a `let` uses those above it alone",
        ),
        (
            "let = { a = \"1\" }\ninject = [{ name = \"n\", value = \"{a}\" }]",
            "line 5, column 35: an injected value cannot use `{a}`: it comes first",
        ),
        (
            "let = { a = \"{path|prefix:|}\" }",
            "line 4, column 28: a filter is missing beside `|`; in an argument a `|` ends the filter, and `lead:7c` puts one in front",
        ),
        (
            "let = { a = \"{path|shout}\" }",
            "line 4, column 20: the filter `shout` is unknown; filters are address, amp, b64, b64url, bytes, cut:REGEX, else:HEX, hash, HEX, hex, js, json, keccak256, lead:HEX, lower, mac, md5, pct, prefix:TEXT, q, sha256, sha384, sha512, u64, upper",
        ),
        (
            "let = { a = \"{path|cut:(}\" }",
            "line 4, column 14: `{path|cut:(}` is not closed: a `}` or a `)` is missing",
        ),
        (
            "let = { a = \"{path|sha256|upper}\" }",
            "line 4, column 27: the filter `upper` needs text, but gets raw bytes; put `hex` or `b64` before it",
        ),
        (
            "let = { a = \"{path|mac}\" }",
            "line 4, column 20: `mac` works on the passphrase alone, as in `{passphrase|mac|b64}`: anything else would let a profile sign freely",
        ),
        (
            "let = { a = \"{sig}\" }",
            "line 4, column 15: `{sig}` exists only behind the signature: in `attach`",
        ),
        (
            "let = { a = \"{item}\" }",
            "line 4, column 15: `{item}` is one element of a list, and only `sign.each` has it",
        ),
        ("let = { a = \"{each}\" }", "line 4, column 15: `{each}` may stand only in `sign.message`"),
        (
            "let = { a = \"{secret}\" }",
            "line 4, column 15: `{secret}` may stand only in the message of a `hash-…` algorithm, without filters; no other template ever sees the secret",
        ),
        (
            "let = { a = \"{nonce}\" }",
            "line 4, column 15: a template uses `{nonce}`, but `clock` has no `nonce`",
        ),
        (
            "let = { a = \"{op}\" }",
            "line 4, column 15: `{op}` is the word for this endpoint, but the profile has no `map`",
        ),
        ("map = { \"GET a\" = \"b\" }", "line 4, column 9: `GET a` must look like `POST /path`"),
        (
            "secret = { min_bytes = 9, max_bytes = 8 }",
            "line 4, column 10: `min_bytes` is larger than `max_bytes`",
        ),
        ("case = 1", "line 4, column 8: cases are written as `[[case]]`"),
        (
            "[[case]]\nsort = 1",
            "line 5, column 1: a case has no key `sort`; its keys are covers, clock, encode, body_methods, inject, let, sign, attach, map, when",
        ),
        ("[[case]]\ncovers = \"none\"", "line 4, column 1: a case needs the key `when`"),
        (
            "[[case]]\nwhen = { path = \"(\" }",
            "line 5, column 17: the pattern `(` does not compile: unclosed group",
        ),
        (
            "[[case]]\nwhen = { path = \"a\" }\nsign = { alg = \"hmac-sha512\" }",
            "line 6, column 8: a credential has one key, so a case may set `alg = \"none\"` but no other algorithm and no other `decode`",
        ),
        (
            "[[case]]\nwhen = { path = \"a\" }\nattach = { headers = { \"a b\" = \"c\" } }",
            "line 6, column 24: `a b` is no header name",
        ),
        (
            "[actions]\nrule = []",
            "line 5, column 1: `actions` has no key `rule` (did you mean `rules`?); its keys are of, rules",
        ),
        ("[actions]\nrules = 1", "line 5, column 9: `rules` must be a list of at most 64 tables"),
        ("[actions]\nrules = [1]", "line 5, column 10: a rule is a table"),
        ("[actions]\nrules = [{ path = \"/\" }]", "line 5, column 10: a rule needs the key `action`"),
        ("[actions]\nrules = [{ action = \"read\" }]", "line 5, column 10: a rule needs the key `path`"),
        (
            "[actions]\nrules = [{ action = \"unknown\", path = \"/\" }]",
            "line 5, column 21: `action` cannot be `unknown`; it is one of admin, cancel, config, read, session, trade, transfer",
        ),
        (
            "[actions]\nrules = [{ action = \"read\", path = \"/a)|(.*\" }]",
            "line 5, column 36: the pattern `/a)|(.*` does not compile: unopened group",
        ),
        (
            "[actions]\nrules = [{ action = \"read\", path = \"/(?!b)\" }]",
            "line 5, column 36: the pattern `/(?!b)` does not compile: look-around, including look-ahead and look-behind, is not supported",
        ),
        (
            "[actions]\nrules = [{ action = \"read\", path = \"/[ab]*a[ab]{20}$\" }]",
            "line 4, column 1: these paths are too large together: their table is limited to 1 MiB, and those that are spelled out to a `$` are not in it",
        ),
        (
            "[actions]\nrules = [{ action = \"read\", method = \"FETCH\", path = \"/\" }]",
            "line 5, column 38: `FETCH` is none of DELETE, GET, PATCH, POST, PUT",
        ),
        (
            "[actions]\nrules = [{ action = \"read\", path = \"/\", needs = [\"\"] }]",
            "line 5, column 50: a parameter has a name",
        ),
        ("[[order]]\nsymbol = \"a\"", "line 4, column 1: an order needs the key `path`"),
        (
            "[[order]]\npath = \"/\"\nsymbol = \"a..b\"",
            "line 6, column 10: `a..b` is no place: a name, and after a point the name of a member or `*`",
        ),
        (
            "[[order]]\npath = \"/\"\nside = \"/0\"",
            "line 6, column 8: `/0` is no segment of a path: `/1` is the first, up to `/16`",
        ),
        (
            "[[order]]\npath = \"/\"\nwhen = [{ type = 1 }]",
            "line 6, column 18: a condition is the pattern of a value, as text",
        ),
        (
            "[[order]]\npath = \"/\"\noperations = { a = \"trade\" }",
            "line 4, column 1: operations are those of a `batch`, which is missing",
        ),
        (
            "[[order]]\npath = \"/\"\nbatch = \"*\"\noperations = { a = \"buy\" }",
            "line 7, column 20: an operation is one of the actions, as text",
        ),
        ("name = \"a", "line 4, column 10: this is not TOML: invalid basic string, expected `\"`"),
    ] {
        let text = with(line);
        let error = Profile::compile(&text).expect_err(line);
        assert_eq!(error.to_string(), expected, "{line}");
    }
}

#[test]
fn refuses_ways_of_signing_that_it_cannot_keep_safe() {
    for (sign, expected) in [
        (
            "alg = \"static\"",
            "`static` sends the secret itself with every request, so a bot would have to be given it; that needs send mode, which this version does not have",
        ),
        ("alg = \"secp256k1\"", "`alg = \"secp256k1\"` needs `eip712`: it signs nothing else"),
        (
            "alg = \"hash-md5\"",
            "`hash-md5` puts a secret under a broken hash, which gives it away to who may choose the text; the keeper does not compute it",
        ),
        ("alg = \"hmac-sha256\"", "`sign` needs the key `message`"),
        (
            "alg = \"hmac-sha256\", message = \"{each}\"",
            "`{each}` is what `sign.each` yields, and `sign` has no `each`",
        ),
        ("alg = \"hmac-sha256\", each = \"{item}\", message = \"{body}\"", "`message` does not use `{each}`"),
        (
            "alg = \"hmac-sha256\", each = \"{passphrase}\", message = \"{each}\"",
            "the passphrase never becomes part of the signed text or of a signed parameter",
        ),
        (
            "alg = \"hmac-sha256\", message = \"{secret}\"",
            "`{secret}` may stand only in the message of a `hash-…` algorithm, without filters; no other template ever sees the secret",
        ),
        (
            "alg = \"hmac-sha256\", message = \"{passphrase}\"",
            "the passphrase never becomes part of the signed text or of a signed parameter",
        ),
        (
            "alg = \"hmac-sha256\", message = \"{pp}\"",
            "`{pp}` uses the passphrase, which never becomes part of the signed text",
        ),
        (
            "alg = \"hmac-sha256\", message = \"a\", decode = \"pem\"",
            "a secret for hmac-sha256 is never written as `pem`",
        ),
        (
            "alg = \"hash-sha256\", message = \"{secret}{secret}\"",
            "the secret stands in the signed text once",
        ),
        ("alg = \"jwt\"", "`alg = \"jwt\"` needs `claims`"),
        (
            "alg = \"jwt\", claims = { a = { int = \"{path}\" } }",
            "`int` must be `{ts}`, `{nonce}`, `{sig_v}` or `{uid}`, and the clock must count in whole numbers",
        ),
        (
            "alg = \"jwt\", claims = { a = \"{path|sha256}\" }",
            "this would put raw bytes into JSON; add `|hex` or `|b64`",
        ),
    ] {
        let text = format!(
            "profile = \"x\"\nlet = {{ pp = \"{{passphrase|mac|b64}}\" }}\nsign = {{ {sign} }}\nattach = {{ query = \"s={{sig}}\" }}\n"
        );
        assert_eq!(Profile::compile(&text).expect_err(sign).message(), expected, "{sign}");
    }
    for (attach, expected) in [
        ("", "the signature is attached nowhere: no template of `attach` has `{sig}`"),
        (
            "query = \"{sig}\", headers = { P = \"{path|sha256}\" }",
            "this would send raw bytes; add `|hex` or `|b64`",
        ),
        (
            "query = \"{sig}{passphrase}{passphrase|mac|hex}\"",
            "a profile uses either the passphrase or its MAC, not both",
        ),
    ] {
        let text = format!(
            "profile = \"x\"\nsign = {{ alg = \"hmac-sha256\", message = \"{{path}}\" }}\nattach = {{ {attach} }}\n"
        );
        assert_eq!(Profile::compile(&text).expect_err(attach).message(), expected, "{attach}");
    }
    let never = "profile = \"x\"\nsign = { alg = \"none\" }\n";
    let error = Profile::compile(never).expect_err("never signs");
    assert_eq!(error.message(), "the profile never signs: `sign.alg` is `none` everywhere");
}

/// However a profile is written, it cannot make the engine grow without bound.
#[test]
fn keeps_templates_within_limits() {
    let blow_up = format!(
        "profile = \"x\"\n[let]\na = \"{}\"\nb = \"{}\"\nc = \"{}\"\n[sign]\nalg = \"hmac-sha256\"\nmessage = \"{{c}}\"\n[attach]\nquery = \"s={{sig}}\"\n",
        "{path}".repeat(60),
        "{a}".repeat(60),
        "{b}".repeat(60),
    );
    let profile = Profile::compile(&blow_up).expect("compiles");
    let path = format!("/{}", "a".repeat(1000));
    let request = Request { method: "GET", path: &path, query: Vec::new(), body: Body::Empty };
    let plan = profile.plan(&request).expect("planned");
    let error = plan.canonicalise(&ACCOUNT, &Moment::default());
    assert_eq!(
        error.expect_err("refused").to_string(),
        "the text that a template yields is longer than 512 KiB"
    );
    let long = with(&format!("let = {{ a = \"{}\" }}", "x".repeat(5000)));
    assert_eq!(Profile::compile(&long).expect_err("long").message(), "a template has at most 4096 bytes");
    let many = with(&format!("let = {{ a = \"{}\" }}", "{path}".repeat(65)));
    assert_eq!(Profile::compile(&many).expect_err("many").message(), "a template has at most 64 pieces");
    let huge = format!("profile = \"{}\"", "x".repeat(70_000));
    assert_eq!(Profile::compile(&huge).expect_err("huge").message(), "a profile has at most 65536 bytes");
}

#[test]
fn refuses_hosts_that_two_programs_could_read_differently() {
    let compile = |host: &str| {
        Profile::compile(&format!(
            "profile = \"x\"\nhosts = [{host}]\nsign = {{ alg = \"hmac-sha256\", message = \"{{ts}}\" }}\nattach = {{ query = \"s={{sig}}\" }}\n"
        ))
    };
    for good in [
        "\"https://api.example.com\"",
        "\"https://a-b.c1.example\", \"https://api.example.com:8443\"",
        "\"https://127.0.0.1:9\"",
    ] {
        assert_eq!(compile(good).map(drop), Ok(()), "{good}");
    }
    for bad in [
        "http://api.example.com",
        "https://api.example.com/",
        "https://api.example.com/v1",
        "https://api.example.com.",
        "https://API.example.com",
        "HTTPS://api.example.com",
        "https://user@api.example.com",
        "https://user:word@api.example.com",
        "https://api.example.com@evil.example",
        "https://api..example.com",
        "https://.example.com",
        "https://-a.example.com",
        "https://localhost",
        "https://",
        "https://api.example.com:",
        "https://api.example.com:443",
        "https://api.example.com:0443",
        "https://api.example.com:+1",
        "https://api.example.com:70000",
        "https://api.example.com:80:80",
        "https://api.example.com?a",
        "https://api.example.com#a",
        "https://api.example.com\\\\@evil.example",
        "https://ex ample.com",
        "https://ex%61mple.com",
        "https://exämple.com",
        "//api.example.com",
        "api.example.com",
        "",
    ] {
        let error = compile(&format!("\"{bad}\"")).expect_err(bad).to_string();
        assert!(error.contains("must look like `https://api.example.com`"), "{bad}: {error}");
    }
    let twice = compile("\"https://api.example.com\", \"https://api.example.com\"").expect_err("twice");
    assert!(twice.to_string().contains("stands in the list twice"), "{twice}");
}
