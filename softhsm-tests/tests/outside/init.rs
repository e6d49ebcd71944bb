//! `strongroom init`: which token, which KEK, and what it refuses.

use strongroom_softhsm_tests::room::{Room, Run};

use crate::keys::{BINANCE, account, edit};
use crate::records::assert_like;

fn setting(room: &Room, name: &str) -> String {
    let text = std::fs::read_to_string(room.config()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap();
    line.trim_matches('"').to_owned()
}

fn refused(run: &Run, code: i32, pattern: &str) {
    assert_eq!(run.code(), code, "{}", run.stderr);
    assert_like(&run.stderr, pattern, "");
    assert_eq!(run.stdout, "");
}

#[test]
fn makes_a_kek_that_cannot_leave_the_token_and_records_what_works() {
    let room = Room::bare();
    let told = room.init(&["--json"]).json();
    assert_eq!(told["token_serial"], room.token.serial.as_str());
    assert_eq!(told["token_label"], "strongroom test");
    assert_eq!((&told["kek_label"], &told["rung"]), (&"strongroom".into(), &"aes-gcm".into()));
    assert_eq!(told["kek_id"], setting(&room, "kek_id").as_str());
    assert_eq!(told["config"], room.config().display().to_string());

    let seen = room.token.pkcs11_tool(&["--list-objects", "--type", "secrkey"]);
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    for fact in
        ["AES length 32", "label:      strongroom", "sensitive, always sensitive, never extractable, local"]
    {
        assert!(seen.contains(fact), "{seen}");
    }
    let without_pin =
        room.token.pkcs11_tool_without_pin(&["--token-label", "strongroom test", "--list-objects"]);
    let without_pin = String::from_utf8_lossy(&without_pin.stdout).into_owned();
    assert!(!without_pin.contains("strongroom"), "it is private: {without_pin}");
}

#[test]
fn checks_the_same_token_when_it_runs_again_and_changes_nothing() {
    let room = Room::new();
    let before = std::fs::read(room.config()).unwrap();
    let _ = room.init(&[]).ok();
    assert_eq!(std::fs::read(room.config()).unwrap(), before);
    let keys = room.token.pkcs11_tool(&["--list-objects", "--type", "secrkey"]);
    assert_eq!(String::from_utf8_lossy(&keys.stdout).matches("strongroom").count(), 1, "no second KEK");
}

#[test]
fn refuses_a_kek_that_was_made_extractable_or_not_sensitive() {
    for (how, named) in [
        (&["--extractable"][..], "CKA_EXTRACTABLE"),
        (&["--sensitive", "--extractable"], "CKA_EXTRACTABLE"),
        (&[], "CKA_"),
    ] {
        let room = Room::bare();
        let made = room.token.pkcs11_tool(
            &[&["--keygen", "--key-type", "AES:32", "--label", "strongroom", "--id", "aa"], how].concat(),
        );
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let run = room.init(&[]);
        refused(
            &run,
            7,
            &format!(
                "error: the key `strongroom` cannot be the KEK: *{named}*hint: run `strongroom init` with another --kek-label, or clear the token's keys up\n"
            ),
        );
        assert!(!room.config().exists(), "nothing is configured");
        // The advice works.
        let _ = room.init(&["--kek-label", "better"]).ok();
    }
}

#[test]
fn refuses_an_unlock_when_the_kek_was_replaced_by_a_weaker_one() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let id = setting(&room, "kek_id");
    let gone = room.token.pkcs11_tool(&["--delete-object", "--type", "secrkey", "--id", &id]);
    assert!(gone.status.success(), "{}", String::from_utf8_lossy(&gone.stderr));
    let _agent = room.start();
    refused(&room.unlock(), 7, "error: the token has no KEK labelled `strongroom`\n*");
    let made = room.token.pkcs11_tool(&[
        "--keygen",
        "--key-type",
        "AES:32",
        "--label",
        "strongroom",
        "--id",
        &id,
        "--extractable",
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    refused(&room.unlock(), 7, "error: the key `strongroom` cannot be the KEK: *");
    refused(&room.enroll(&BINANCE, &["--replace"]), 7, "error: the key `strongroom` cannot be the KEK: *");
}

#[test]
fn refuses_two_keks_of_one_label_unless_the_recorded_id_tells_them_apart() {
    let room = Room::bare();
    for id in ["aa", "bb"] {
        let made = room.token.pkcs11_tool(&[
            "--keygen",
            "--key-type",
            "AES:32",
            "--label",
            "strongroom",
            "--id",
            id,
            "--sensitive",
        ]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    refused(
        &room.init(&[]),
        7,
        "error: the token has 2 keys labelled `strongroom`, so none of them can be told to be the KEK\n*",
    );

    let room = Room::new();
    let made = room.token.pkcs11_tool(&[
        "--keygen",
        "--key-type",
        "AES:32",
        "--label",
        "strongroom",
        "--id",
        "bb",
        "--sensitive",
    ]);
    assert!(made.status.success());
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
}

#[test]
fn has_the_token_named_where_several_fit() {
    let room = Room::bare();
    let module = room.token.module.display().to_string();
    let conf = format!("SOFTHSM2_CONF={}", room.token.conf.display());
    let init = |more: &[&str]| {
        let words = ["init", "--module", &module, "--module-env", &conf, "--pin-stdin"];
        room.run(&[&words, more].concat(), Some(&room.token.pin), &[])
    };
    let second = room.token.another("second token");
    let third = room.token.another("second token");
    refused(&init(&[]), 4, "error: several tokens fit: *hint: say which with --serial (and --label)\n");
    refused(
        &init(&["--label", "second token"]),
        4,
        &format!("error: several tokens fit: *{}*", "second token"),
    );
    refused(
        &init(&["--label", "third"]),
        4,
        "error: no token fits; the module shows: *hint: check --serial and --label\n",
    );
    refused(&init(&["--serial", &second, "--label", "strongroom test"]), 4, "error: no token fits; *");
    let told = init(&["--serial", &third, "--json"]).json();
    assert_eq!(told["token_serial"], third.as_str());
}

#[test]
fn never_looks_at_slot_numbers() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    // SoftHSM gives slots new numbers when there are more tokens.
    for label in ["a", "b", "c"] {
        let _ = room.token.another(label);
    }
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn tries_a_wrong_pin_once_and_writes_nothing() {
    let mut room = Room::bare();
    room.token.pin = "000000".to_owned();
    refused(
        &room.init(&[]),
        7,
        "error: the PIN is wrong; one try of the token's counter is gone*hint: enter the right PIN; it is not tried again by itself\n",
    );
    assert!(!room.config().exists());
    room.token.pin = String::new();
    refused(
        &room.init(&[]),
        3,
        "error: no PIN came: *hint: enter a PIN, or give it with --pin-fd or --pin-stdin\n",
    );
}

#[test]
fn refuses_to_replace_a_configuration_by_another_token_kek_or_rung() {
    let room = Room::new();
    let before = std::fs::read(room.config()).unwrap();
    let refusal = "error: refusing to replace the configuration: it names token `strongroom test` (serial *), KEK `strongroom`, rung aes-gcm\nhint: records that it wrapped open with it only; *";
    refused(&room.init(&["--kek-label", "other"]), 9, refusal);
    refused(&room.init(&["--rung", "aes-cbc"]), 9, refusal);
    let other = Room::bare();
    let module = other.token.module.display().to_string();
    let conf = format!("SOFTHSM2_CONF={}", other.token.conf.display());
    let words = ["init", "--module", &module, "--module-env", &conf, "--pin-stdin"];
    refused(&room.run(&words, Some(&other.token.pin), &[]), 9, refusal);
    assert_eq!(std::fs::read(room.config()).unwrap(), before);
}

#[test]
fn says_why_a_module_shows_nothing() {
    let room = Room::bare();
    let module = room.token.module.display().to_string();
    // The variable is set in this shell, but the module's process starts with an empty environment.
    let mut command = std::process::Command::new(strongroom_softhsm_tests::room::program("strongroom"));
    command.args(["init", "--module", &module, "--pin-stdin"]);
    room.surround(&mut command);
    command.env("SOFTHSM2_CONF", &room.token.conf).stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.starts_with("error: "), "{said}");
    // Taken from this shell by name only, it works.
    let mut command = std::process::Command::new("/bin/sh");
    command.arg("-c").arg(format!("printf %s '{}' | \"$0\" \"$@\"", room.token.pin));
    command.arg(strongroom_softhsm_tests::room::program("strongroom"));
    command.args(["init", "--module", &module, "--module-env", "SOFTHSM2_CONF", "--pin-stdin"]);
    room.surround(&mut command);
    let output = command.env("SOFTHSM2_CONF", &room.token.conf).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(setting(&room, "SOFTHSM2_CONF"), room.token.conf.display().to_string());

    let words = ["init", "--module", "/nowhere/module.so", "--pin-stdin"];
    refused(
        &Room::bare().run(&words, Some("1"), &[]),
        3,
        "error: the PKCS#11 module `/nowhere/module.so` cannot be loaded: *hint: name the vendor's PKCS#11 library with --module\n",
    );
}

#[test]
fn works_from_init_to_signature_on_the_weaker_rung() {
    let room = Room::bare();
    let _ = room.init(&["--rung", "aes-cbc"]).ok();
    assert_eq!(setting(&room, "rung"), "aes-cbc");
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    assert_eq!(room.client().show("binance-main").unwrap().rung, "aes-cbc");
}

#[test]
fn refuses_a_configuration_that_is_not_as_documented() {
    let room = Room::new();
    let whole = std::fs::read_to_string(room.config()).unwrap();
    for (from, to) in [
        ("rung = \"aes-gcm\"", "rung = \"none\""),
        ("rung = ", "rungs = "),
        ("kek_id = \"", "kek_id = \"zz"),
        ("[agent]", "[agent]\ndanger_everything = true"),
    ] {
        edit(&room.config(), |text| text.replace(from, to));
        let run = room.run(&["agent"], None, &[]);
        assert_eq!(run.code(), 3, "{}", run.stderr);
        assert_like(
            &run.stderr,
            "error: the configuration * is not valid: *hint: see docs/reference/configuration.md\n",
            to,
        );
        std::fs::write(room.config(), &whole).unwrap();
    }
}
