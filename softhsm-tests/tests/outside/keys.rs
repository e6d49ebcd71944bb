//! Keys that the tests enrol. All of them are published or made up.

use strongroom_client::SignRequest;
use strongroom_softhsm_tests::room::{Key, Room};

/// Binance's published example key (rest-api.md, SIGNED examples).
pub(crate) const BINANCE: Key<'static> = Key {
    name: "binance-main",
    venue: "binance",
    key_id: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    secret: "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    passphrase: None,
};

/// Kraken's published example key (spot REST authentication guide); its public half was not published.
pub(crate) const KRAKEN: Key<'static> = Key {
    name: "kraken-main",
    venue: "kraken",
    key_id: "KRAKENPUBLICHALF",
    secret: "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==",
    passphrase: None,
};

/// A key whose passphrase is made into a MAC and never leaves the keeper.
pub(crate) const KUCOIN: Key<'static> = Key {
    name: "kucoin-main",
    venue: "kucoin",
    key_id: "KUCOINPUBLICHALF",
    secret: "kucoin-secret-5f1d6c0e-made-up",
    passphrase: Some("kucoin passphrase, made up"),
};

/// A key whose passphrase is sent as it is.
pub(crate) const OKX: Key<'static> = Key {
    name: "okx-main",
    venue: "okx",
    key_id: "OKXPUBLICHALF",
    secret: "OKX0SECRET0MADE0UP0FOR0TESTS0AAA",
    passphrase: Some("Okx-Passphrase-1"),
};

/// A request that Binance's profile signs without any parameter of the caller's.
pub(crate) fn account() -> SignRequest<'static> {
    SignRequest::new("binance-main", "GET", "/api/v3/account")
}

/// A request that takes a nonce.
pub(crate) fn balance() -> SignRequest<'static> {
    SignRequest::new("kraken-main", "POST", "/0/private/Balance")
}

/// An installation whose configuration accepts published times.
pub(crate) fn room_for_old_times() -> Room {
    let room = Room::new();
    accept_any_time(&room, true);
    room
}

/// Sets the one weakening setting.
pub(crate) fn accept_any_time(room: &Room, on: bool) {
    edit(&room.config(), |text| {
        let (from, to) = (format!("caller_time = {}", !on), format!("caller_time = {on}"));
        assert!(text.contains(&from), "{text}");
        text.replace(&from, &to)
    });
}

/// Rewrites a file.
pub(crate) fn edit(path: &std::path::Path, change: impl FnOnce(&str) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "the edit changed nothing in {}", path.display());
    std::fs::write(path, changed).unwrap();
}

/// The value of one parameter in a query or a form.
pub(crate) fn value<'a>(pairs: &'a str, name: &str) -> &'a str {
    let pair = pairs.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap_or_else(|| panic!("no {name} in {pairs}"))
}

/// The value of one header.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let found = headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    &found.unwrap_or_else(|| panic!("no {name} in {headers:?}")).1
}

/// Puts a copy of `strongroom` into a folder. Another process copies: a program cannot be started while any
/// process has it open for writing, and processes that other tests start hold for a moment what this one has.
pub(crate) fn copy_program(folder: &std::path::Path) -> std::path::PathBuf {
    let from = strongroom_softhsm_tests::room::program("strongroom");
    let copy = folder.join("strongroom");
    // Whoever runs the tests may give others nothing by default.
    assert!(
        std::process::Command::new("install")
            .args(["-m", "755"])
            .arg(from)
            .arg(&copy)
            .status()
            .unwrap()
            .success()
    );
    copy
}
