//! What a test changes in the configuration that `strongroom init` has written.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use crate::room::Room;

/// Sets one key, in a section that is there; an agent reads it when it starts.
///
/// # Panics
/// Where there is no such section, or the file cannot be written.
pub fn set(room: &Room, section: &str, key: &str, value: &str) {
    let path = room.config();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut lines, mut inside, mut found) = (Vec::new(), false, false);
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == format!("[{section}]");
        }
        if !(inside && line.starts_with(&format!("{key} = "))) {
            lines.push(line.to_owned());
        }
        if inside && line.starts_with('[') {
            lines.push(format!("{key} = {value}"));
            found = true;
        }
    }
    assert!(found, "no section [{section}] in {text}");
    let written = std::fs::write(&path, lines.join("\n"));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
