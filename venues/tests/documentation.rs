//! The pages about venues: the table is what the profiles say, and the worked examples work.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_link::key::PassphraseUse;
use strongroom_venues::json::{self, Value};
use strongroom_venues::{Action, Finding, Profile, builtin, builtin_profiles};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(page(name)).expect(name)
}

/// What the rules of a profile bind, from the base on, each word once.
fn covers(findings: &[Finding]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for finding in findings {
        if !names.contains(&finding.claimed.name()) {
            names.push(finding.claimed.name());
        }
    }
    let recut = if findings.iter().any(|finding| finding.recut) { " †" } else { "" };
    format!("{}{recut}", names.join(", "))
}

/// What the signature of an order leaves free.
fn free(profile: &Profile) -> String {
    if profile.actions().rules().is_empty() {
        return String::new();
    }
    let binds = profile.actions().binds(Action::Trade);
    let parts =
        [("method", binds.method), ("path", binds.path), ("query", binds.query), ("body", binds.body)];
    parts.iter().filter(|(_, bound)| !bound).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// How many rules say what endpoints do, and whether orders can be read.
fn actions(profile: &Profile) -> String {
    let table = profile.actions();
    match (table.rules().len(), table.order_fields().count()) {
        (0, _) => "unknown".to_owned(),
        (rules, 0) => format!("{rules} rules; orders unread"),
        (rules, orders) => format!("{rules} rules; orders under {orders} paths"),
    }
}

/// How many signing vectors bind the profile.
fn rows(id: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let files = [format!("{id}.jsonl"), format!("{id}-more.jsonl")].map(|name| folder.join(name));
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let binds = |line: &str| {
        let row = json::parse(line.as_bytes()).expect("a row");
        row.get("expected").and_then(|expected| expected.get("url")).is_some() && row.get("quirk").is_none()
    };
    texts.map(|text| text.lines().filter(|line| binds(line)).count()).sum()
}

fn row(profile: &Profile) -> String {
    let spec = profile.key_spec();
    let passphrase = match spec.passphrase {
        PassphraseUse::Absent => "",
        PassphraseUse::Mac => ", passphrase as MAC",
        PassphraseUse::Plain => ", passphrase",
    };
    let hosts: Vec<&str> =
        profile.hosts().iter().map(|host| host.strip_prefix("https://").unwrap_or(host)).collect();
    format!(
        "| `{}` | {} | {} | {}{passphrase} | {} | {} | {} | {} | {} | [page]({}); {} |",
        profile.id(),
        profile.name(),
        spec.algorithm,
        spec.form,
        hosts.join("<br>"),
        covers(&profile.probe()),
        free(profile),
        actions(profile),
        rows(profile.id()),
        profile.docs(),
        profile.checked(),
    )
}

const START: &str =
    "<!-- The table is made by `BLESS=1 cargo test -p strongroom-venues --test documentation`. -->\n";

/// `docs/reference/venues.md` is made from the profiles.
#[test]
fn lists_every_shipped_venue() {
    let mut table = String::from(
        "\n| id | venue | algorithm | secret | hosts | covers | free in an order | actions | rows | source |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (id, _) in builtin_profiles() {
        writeln!(table, "{}", row(&builtin(id).expect("shipped").expect("compiles"))).expect("memory");
    }
    let text = read("reference/venues.md");
    let (before, _) = text.split_once(START).expect("the mark of the table");
    let current = format!("{before}{START}{table}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(page("reference/venues.md"), &current).expect("written");
        return;
    }
    assert_eq!(text, current, "docs/reference/venues.md is stale");
}

/// The fenced block whose first line is `opening`.
fn block<'t>(text: &'t str, opening: &str) -> &'t str {
    let (_, after) = text.split_once(&format!("```{opening}\n")).unwrap_or_else(|| panic!("no {opening}"));
    after.split_once("```").expect("a closing fence").0
}

/// `docs/how-to/add-a-venue.md`: profile and rows, as a reader copies them.
#[test]
fn carries_the_venue_that_the_how_to_adds() {
    let text = read("how-to/add-a-venue.md");
    let profile = block(&text, "toml title=\"tidepool.toml\"");
    let rows = block(&text, "json title=\"tidepool.jsonl\"");
    let folder = std::env::temp_dir().join(format!("add-a-venue-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("tidepool.toml"), profile).expect("written");
    std::fs::write(folder.join("tidepool.jsonl"), rows).expect("written");
    let program = Command::new(env!("CARGO_BIN_EXE_sign-vectors"))
        .arg("--profiles")
        .arg(&folder)
        .arg(folder.join("tidepool.jsonl"))
        .output()
        .expect("run");
    std::fs::remove_dir_all(&folder).expect("removed");
    let signed = String::from_utf8(program.stdout).expect("text");
    assert_eq!(signed.lines().count(), 3, "{signed}");
    for (signed, row) in signed.lines().zip(rows.lines()) {
        let (signed, row) =
            (json::parse(signed.as_bytes()).expect(signed), json::parse(row.as_bytes()).expect(row));
        let expected = row.get("expected").expect("expected");
        for part in ["url", "method", "body"] {
            assert_eq!(signed.get(part), expected.get(part), "{signed:?}");
        }
        let headers = |value: &Value<'_>| match value.get("headers") {
            Some(Value::Object(members)) => {
                let mut members: Vec<_> = members.iter().map(|(n, v)| format!("{n}: {v:?}")).collect();
                members.sort();
                members
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(headers(&signed), headers(expected));
    }

    let profile = Profile::compile(profile).expect("compiles");
    let findings = profile.probe();
    assert!(findings.iter().all(|finding| finding.found == finding.claimed), "{findings:?}");
    // The mistakes that the page shows.
    let wrong = block(&text, "toml title=\"tidepool.toml\"").replace("ts = \"ms\"", "ts = \"millis\"");
    let error = Profile::compile(&wrong).expect_err("millis").to_string();
    let shown = text.split_once("mistake.toml:").expect("the mistake").1;
    let (place, message) = error.split_once(": ").expect("a place");
    assert_eq!(place, "line 9, column 16");
    assert!(shown.starts_with(&format!("9:16: {message}")), "{error}");
    let wrong = block(&text, "toml title=\"tidepool.toml\"").replace("{method}", "{method|cut:.*}");
    let unseen = Profile::compile(&wrong).expect("compiles").probe().first().and_then(|f| f.unseen.clone());
    assert!(text.contains(&unseen.expect("overclaims")));
}

/// The example of `docs/reference/profiles.md`.
#[test]
fn carries_the_example_of_the_reference() {
    let text = read("reference/profiles.md");
    let profile = Profile::compile(block(&text, "toml")).expect("compiles");
    assert_eq!((profile.id(), profile.covers().name()), ("example", "full"));
    assert!(profile.probe().iter().all(|finding| finding.found == finding.claimed));
}
