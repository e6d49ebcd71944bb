//! The seeds of records, for tests that look for them.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use base64ct::{Base64, Encoding as _};

use crate::room::Room;

/// The seed of a record, decrypted as somebody who has token and PIN can: for the rung `aes-cbc`.
///
/// # Panics
/// Where there is no such record, or it is of another rung.
#[must_use]
pub fn seed_of(room: &Room, name: &str) -> Vec<u8> {
    let path = room.record(name);
    let record = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let field = |name: &str| -> &str {
        let line = record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.unwrap_or_else(|| panic!("no {name} in {record}")).trim_matches('"')
    };
    let blob = Base64::decode_vec(field("seed")).unwrap_or_else(|error| panic!("{error}: {record}"));
    // `01` ‖ IV (16) ‖ ciphertext (32), as docs/reference/tokens.md says.
    let Some((&[1, ref iv @ ..], ciphertext)) = blob.split_first_chunk::<17>().filter(|_| blob.len() == 49)
    else {
        panic!("no seed of the rung aes-cbc: {record}")
    };
    let (from, to) = (room.folder().join("seed.enc"), room.folder().join("seed"));
    std::fs::write(&from, ciphertext).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    let iv: String = iv.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = room.token.pkcs11_tool(&[
        "--decrypt",
        "--mechanism",
        "AES-CBC",
        "--id",
        field("kek_id"),
        "--iv",
        &iv,
        "--input-file",
        &from.display().to_string(),
        "--output-file",
        &to.display().to_string(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seed = std::fs::read(&to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    let _ = std::fs::remove_file(&to);
    assert_eq!(seed.len(), 32, "the seed of {name}");
    seed
}
