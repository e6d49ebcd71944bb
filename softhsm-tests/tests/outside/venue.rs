//! `strongroom venue`: profiles without an agent, a token or a network, and the console of the how-to.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, account, edit, value};

const PAGE: &str = include_str!("../../../docs/how-to/add-a-venue.md");

/// Runs the program in `folder`, with nothing that a room has.
fn venue(folder: &Path, words: &[&str]) -> Output {
    Command::new(strongroom_softhsm_tests::room::program("strongroom"))
        .arg("venue")
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The profile of the how-to.
fn profile() -> &'static str {
    let (_, after) = PAGE.split_once("```toml title=\"tidepool.toml\"\n").unwrap();
    after.split_once("```").unwrap().0
}

/// What the how-to shows below `command`.
fn shown(command: &str) -> String {
    let (_, after) = PAGE.split_once(&format!("$ {command}\n")).unwrap_or_else(|| panic!("{command}"));
    after.split_once("```").unwrap().0.trim_end().to_owned()
}

#[test]
fn checks_the_venue_of_the_how_to_as_its_console_shows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tidepool.toml", profile());
    write("mistake.toml", &profile().replace("ts = \"ms\"", "ts = \"millis\""));
    write("overclaims.toml", &profile().replace("{method}", "{method|cut:.*}"));

    let good = venue(folder.path(), &["check", "tidepool.toml"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert_eq!(text(&good.stdout).trim_end(), shown("strongroom venue check tidepool.toml"));
    assert_eq!(text(&good.stderr), "");

    let mistake = venue(folder.path(), &["check", "mistake.toml"]);
    assert_eq!(mistake.status.code(), Some(3));
    assert!(text(&mistake.stderr).starts_with(&shown("strongroom venue check mistake.toml")));

    let overclaims = venue(folder.path(), &["check", "overclaims.toml"]);
    assert_eq!(overclaims.status.code(), Some(3));
    assert_eq!(text(&overclaims.stderr).trim_end(), shown("strongroom venue check overclaims.toml"));

    let missing = venue(folder.path(), &["check", "none.toml"]);
    assert_eq!(missing.status.code(), Some(4));
}

/// Whoever edits a shipped profile so that it promises more than it signs is told the line, and what is not signed.
#[test]
fn refuses_edited_profiles_with_the_line_that_promises_more() {
    let folder = tempfile::tempdir().unwrap();
    for (id, edit, with, why) in [
        ("okx", "{query|q}{body}", "{query|q}", "the body is not in the signed text"),
        ("okx", "{path}{query|q}{body}", "{path}{body}", "the query is not in the signed text"),
        (
            "okx",
            "{ts}{method}{path}",
            "{ts}{method|lower}{path|lower}",
            "signs capitals in `{path}` like small",
        ),
        (
            "kucoin",
            "{query|q}{body}",
            "{query|q}{param:size}",
            "that member of the body is not in the signed text",
        ),
        ("bybit", "covers = \"params\"", "covers = \"path+params\"", "does not read the path"),
        ("kraken", "query_unsigned = true\n", "", "the query is not in the signed text"),
        ("bingx", "body_methods = []\n", "", "the body is not in the signed text"),
        ("htx", "covers = \"path\"", "covers = \"full\"", "the body is not in the signed text"),
        (
            "binance",
            "sign = { alg = \"none\" }",
            "covers = \"params\"\nsign = { alg = \"none\" }",
            "signs nothing",
        ),
    ] {
        let shipped = venue(folder.path(), &["show", id, "--toml"]);
        let shipped = text(&shipped.stdout);
        assert_eq!(shipped.matches(edit).count(), 1, "{id}: {edit}");
        let edited = shipped.replace(edit, with);
        std::fs::write(folder.path().join("edited.toml"), &edited).unwrap();
        let checked = venue(folder.path(), &["check", "edited.toml"]);
        let said = text(&checked.stderr);
        assert_eq!(checked.status.code(), Some(3), "{id}: {edit}: {said}");
        assert!(said.contains(why), "{id}: {edit}: {said}");
        // The line is that of the claim.
        let place = said.split_once("edited.toml:").unwrap().1;
        let line: usize = place.split_once(':').unwrap().0.parse().unwrap();
        assert!(edited.lines().nth(line - 1).unwrap().starts_with("covers = "), "{id}: {edit}: {said}");
    }
}

/// The rows of the how-to.
fn rows() -> &'static str {
    let (_, after) = PAGE.split_once("```json title=\"tidepool.jsonl\"\n").unwrap();
    after.split_once("```").unwrap().0
}

#[test]
fn compares_with_requests_that_are_trusted_as_the_how_to_shows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let check = |profile: &str, rows: &str| venue(folder.path(), &["check", profile, "--vectors", rows]);
    write("tidepool.toml", profile());
    write("unsorted.toml", &profile().replace("encode = { sort = \"query\" }\n", ""));
    write("tidepool.jsonl", rows());

    let good = check("tidepool.toml", "tidepool.jsonl");
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    let said = shown("strongroom venue check tidepool.toml --vectors tidepool.jsonl | tail -n 1");
    assert_eq!(text(&good.stdout).lines().last().unwrap(), said);

    let unsorted = check("unsorted.toml", "tidepool.jsonl");
    assert_eq!(unsorted.status.code(), Some(3));
    let stdout = text(&unsorted.stdout);
    let differs = &stdout[stdout.find("DIFFERS").unwrap()..];
    let said =
        shown("strongroom venue check unsorted.toml --vectors tidepool.jsonl | sed -n '/^DIFFERS/,$p'");
    assert_eq!(format!("{differs}{}", text(&unsorted.stderr)).trim_end(), said);

    // One that only informs does not count, and differs; and rows of others are none to compare with.
    let row = |at: usize| rows().lines().nth(at).unwrap();
    let quirk = row(1).replacen('{', "{\"quirk\": \"sorted otherwise\", ", 1);
    write("quirk.jsonl", &format!("{quirk}\n{}\n", row(0)));
    let quirk = check("unsorted.toml", "quirk.jsonl");
    assert_eq!(quirk.status.code(), Some(0));
    let last = "1 of 1 requests are signed as expected (1 that only inform differ)";
    assert_eq!(text(&quirk.stdout).lines().last().unwrap(), last);
    for (name, rows, said) in [
        (
            "others.jsonl",
            row(0).replace("\"exchange\": \"tidepool\"", "\"exchange\": \"kraken\""),
            "no row is for this profile (1 ",
        ),
        ("empty.jsonl", String::new(), "no row is for this profile (0 "),
        ("broken.jsonl", format!("{}\n{{", row(0)), "broken.jsonl:2: no JSON object on one line: "),
        ("nameless.jsonl", "{}".to_owned(), "nameless.jsonl:1: the row names no `exchange`"),
        (
            "host.jsonl",
            rows().replace("\"base_url\": \"https://api.tidepool", "\"base_url\": \"https://api.other"),
            "3 of 3 requests are signed otherwise\nhint: what is refused is signed for nobody",
        ),
        ("expectd.jsonl", row(0).replace("\"expected\"", "\"expectd\""), "expectd.jsonl:1: "),
        (
            "compare.jsonl",
            row(0).replace("\"exact\"", "\"exactly\""),
            "compare.jsonl:1: `compare` is one of exact,",
        ),
        ("clock.jsonl", row(0).replace("\"frozen\"", "\"frozn\""), "clock.jsonl:1: the row has no `frozen`"),
        (
            "time.jsonl",
            format!("{}\n{}", row(1), row(0).replace("1754000123456}", "\"1754000123456\"}")),
            "time.jsonl:2: `frozen.time_ms` is no whole number of milliseconds",
        ),
        (
            "query.jsonl",
            row(0).replace("\"query\": []", "\"query\": {\"a\": 1}"),
            "query.jsonl:1: `query` is not a list of pairs",
        ),
        (
            "header.jsonl",
            row(0).replace("\"TP-KEY\": \"tp-1\", ", ""),
            "1 of 1 requests are signed otherwise",
        ),
        (
            "method.jsonl",
            row(2).replace("\"method\": \"GET\", \"headers\"", "\"method\": \"PUT\", \"headers\""),
            "1 of 1 requests are signed otherwise",
        ),
        (
            "body.jsonl",
            row(2).replace("\"body\": null}, \"compare\"", "\"body\": \"{}\"}, \"compare\""),
            "1 of 1 requests are signed otherwise",
        ),
    ] {
        assert!(!rows.contains("\"quirk\""));
        write(name, &rows);
        let run = check("tidepool.toml", name);
        assert_eq!(run.status.code(), Some(3), "{name}: {}", text(&run.stdout));
        assert!(text(&run.stderr).contains(said), "{name}: {}", text(&run.stderr));
    }
    std::fs::write(folder.path().join("latin1.toml"), b"name = \"a\"\nname = \"\xe9\"\n").unwrap();
    let latin1 = check("latin1.toml", "empty.jsonl");
    assert_eq!(latin1.status.code(), Some(3));
    assert!(
        text(&latin1.stderr).contains("latin1.toml:2: this is no text in UTF-8"),
        "{}",
        text(&latin1.stderr)
    );
    let optional = row(0)
        .replace("\"TP-KEY\": \"tp-1\", ", "")
        .replace("\"optional_headers\": []", "\"optional_headers\": [\"tp-key\"]");
    write("optional.jsonl", &optional);
    assert_eq!(check("tidepool.toml", "optional.jsonl").status.code(), Some(0));
}

#[test]
fn warns_of_a_profile_that_has_the_name_of_one_that_ships() {
    let folder = tempfile::tempdir().unwrap();
    let checked = |name: &str, profile: &str| {
        std::fs::write(folder.path().join(name), profile).unwrap();
        let run = venue(folder.path(), &["check", name]);
        assert_eq!(run.status.code(), Some(0), "{name}: {}", text(&run.stderr));
        text(&run.stderr)
    };
    let mine = profile().replace("profile = \"tidepool\"", "profile = \"kraken\"");
    assert_eq!(
        checked("mine.toml", &mine),
        "warning: a profile `kraken` ships, and no key can be enrolled by another of that name: call it `kraken-mine`\n"
    );
    assert_eq!(checked("own.toml", profile()), "");
    let shipped = venue(folder.path(), &["show", "kraken", "--toml"]);
    assert_eq!(checked("kraken.toml", &text(&shipped.stdout)), "");
}

/// Every row of every vector file, by the command that a user has.
#[test]
fn agrees_with_the_vectors_of_what_ships() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    // One of each kind: hash in the text, passphrase, JWTs of all four algorithms, Ed25519, a body of JSON.
    for id in [
        "kraken",
        "okx",
        "kucoin",
        "coinbase",
        "coinbase-eddsa",
        "upbit",
        "upbit-hs512",
        "coinex",
        "backpack",
        "gemini",
    ] {
        let toml = venue(folder.path(), &["show", id, "--toml"]);
        let path = folder.path().join(format!("{id}.toml"));
        std::fs::write(&path, &toml.stdout).unwrap();
        let rows = vectors.join(format!("{id}.jsonl"));
        let words = ["check", path.to_str().unwrap(), "--vectors", rows.to_str().unwrap()];
        let run = venue(folder.path(), &words);
        assert_eq!(run.status.code(), Some(0), "{id}: {}{}", text(&run.stdout), text(&run.stderr));
        let last = text(&run.stdout).lines().last().unwrap().to_owned();
        assert!(last.contains("are signed as expected") && !last.starts_with("0 "), "{id}: {last}");
    }
    // The control: a signature of ES256 that does not hold.
    let rows = std::fs::read_to_string(vectors.join("coinbase.jsonl")).unwrap();
    let other = rows.replace("\"compare\": \"jwt\"", "\"compare\": \"exact\"");
    assert_ne!(rows, other);
    std::fs::write(folder.path().join("exact.jsonl"), other).unwrap();
    let run = venue(folder.path(), &["check", "coinbase.toml", "--vectors", "exact.jsonl"]);
    assert_eq!(run.status.code(), Some(3));
}

/// Every command of the how-to's last steps, with the real agent, locked as it is when it has been started.
#[test]
fn enrols_and_signs_as_the_how_to_says() {
    let room = Room::new();
    let agent = room.start();
    // Where the page has the configuration.
    let home = room.folder().join(".config");
    std::fs::create_dir_all(&home).unwrap();
    std::os::unix::fs::symlink(room.config().parent().unwrap(), home.join("strongroom")).unwrap();
    std::fs::write(room.folder().join("tidepool.toml"), profile()).unwrap();
    std::fs::write(room.folder().join("pin"), &room.token.pin).unwrap();
    std::fs::write(room.folder().join("secret"), "VGlkZXBvb2wgdGVzdHMgb25seTogdGhpcyBvcGVucyBub3RoaW5nLg==")
        .unwrap();
    let (_, steps) = PAGE.split_once("## 5. Use it").unwrap();
    let (steps, _) = steps.split_once("## 6.").unwrap();
    let (mut ran, mut compared) = (0, 0);
    for block in steps.split("```console\n").skip(1) {
        for line in block.split_once("```").unwrap().0.lines() {
            let Some(command) = line.strip_prefix("$ ") else { continue };
            let asks = [" enroll ", " repin ", " unlock"].iter().any(|word| command.contains(word));
            if command.contains(" repin ") {
                edit(&room.folder().join(".config/strongroom/venues/tidepool.toml"), |text| {
                    text.replace(
                        "https://api.tidepool.example",
                        "https://api.tidepool.example\", \"https://eu.tidepool.example",
                    )
                });
            }
            let mut shell = Command::new("/bin/bash");
            room.surround(&mut shell);
            let bin = strongroom_softhsm_tests::room::program("strongroom");
            let path = format!("{}:/usr/bin:/bin", bin.parent().unwrap().display());
            // What a person types comes from descriptors.
            let mut script = command.to_owned();
            if asks {
                script.push_str(" --pin-fd 3 3<pin");
            }
            if command.contains(" enroll ") {
                script.push_str(" --secret-fd 4 4<secret");
            }
            let run =
                shell.args(["-c", &script]).env("PATH", path).current_dir(room.folder()).output().unwrap();
            assert!(run.status.success(), "{command}: {}", text(&run.stderr));
            // What comes behind a command on the page, but for time and signature.
            let shown = shown(command);
            let shown = shown.split("$ ").next().unwrap_or("").trim_end();
            let masked = |text: &str| -> Vec<String> {
                let mask = |line: &str| match line.split_once("\": \"") {
                    Some((name @ ("    \"TP-SIGN" | "    \"TP-TIME"), _)) => name.to_owned(),
                    _ => line.to_owned(),
                };
                text.trim_end().lines().map(mask).collect()
            };
            if !shown.is_empty() {
                assert_eq!(masked(&text(&run.stdout)), masked(shown), "{command}");
                compared += 1;
            }
            ran += 1;
        }
    }
    assert!(ran >= 7 && compared >= 3, "{ran} {compared}");
    drop(agent);
}

#[test]
fn lists_and_shows_what_ships() {
    let folder = tempfile::tempdir().unwrap();
    let listed = venue(folder.path(), &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.len() >= 43 && ids.contains(&"kraken"), "{ids:?}");
    let table = text(&venue(folder.path(), &["list"]).stdout);
    assert_eq!(table.lines().count(), ids.len() + 1);

    let shown = venue(folder.path(), &["show", "htx", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["rules"][1]["covers"], "path");
    assert_eq!(shown["rules"][1]["found"], "path");

    // What it prints is a profile.
    let toml = venue(folder.path(), &["show", "okx", "--toml"]);
    std::fs::write(folder.path().join("okx.toml"), &toml.stdout).unwrap();
    assert_eq!(venue(folder.path(), &["check", "okx.toml"]).status.code(), Some(0));
    let unknown = venue(folder.path(), &["show", "nowhere"]);
    assert_eq!(unknown.status.code(), Some(4));
    assert!(text(&unknown.stderr).contains("there is no venue `nowhere`"));
}

/// Timestamps are the venue's: by its skew, and only by its own.
#[test]
fn gives_times_by_the_clock_of_a_venue_that_is_off() {
    let room = Room::new();
    let skew = |words: &[&str]| room.run(&[&["venue", "skew"], words].concat(), None, &[]);
    for (wrong, code) in [(["binance", "60001"], 2), (["nowhere", "5"], 4)] {
        assert_eq!(skew(&wrong).code(), code, "{wrong:?}");
    }
    let _ = room.enroll(&BINANCE, &[]).ok();
    let assert_ahead_by = |skew_ms: i64| {
        let _agent = room.start_unlocked();
        let now = || jiff::Timestamp::now().as_millisecond() + skew_ms;
        let before = now();
        let url = room.client().sign(&account()).unwrap().url;
        let given: i64 = value(&url, "timestamp").parse().unwrap();
        assert!((before - 1_000..=now() + 1_000).contains(&given), "{given} by a skew of {skew_ms} ms");
    };
    assert_ahead_by(0);
    let comment = "# kept";
    edit(&room.config(), |text| format!("{comment}\n{text}"));
    let _ = skew(&["kraken", "-60000"]).ok();
    let _ = skew(&["binance", "-30000"]).ok();
    assert_ahead_by(-30_000);
    assert_eq!(skew(&["--json"]).json(), serde_json::json!({ "binance": -30_000, "kraken": -60_000 }));
    let _ = skew(&["binance", "0"]).ok();
    assert_ahead_by(0);
    assert!(std::fs::read_to_string(room.config()).unwrap().starts_with(comment));
}
