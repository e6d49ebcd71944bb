//! `[by_host]`: words that go with a host.

use super::MAX_ENTRIES;
use super::document::{Fields, Item};
use crate::by_host::HostWords;
use crate::error::ProfileError;

/// Compiles `[by_host]`. Every host of the profile has words, and nothing else has.
pub(super) fn by_host(fields: &Fields<'_, '_>) -> Result<HostWords, ProfileError> {
    let hosts = fields.texts("hosts")?.unwrap_or_default();
    let mut compiled = HostWords::none();
    for entry in fields.entries("by_host")? {
        if !hosts.contains(&entry.name.as_ref()) {
            return Err(fields.error(entry.at, format!("`{}` is none of the profile's `hosts`", entry.name)));
        }
        let Item::Table(words) = &entry.value.item else {
            return Err(fields.error(entry.value.at, "the words of a host are a table of texts"));
        };
        if words.len() > MAX_ENTRIES {
            return Err(fields.error(entry.value.at, format!("a host has at most {MAX_ENTRIES} words")));
        }
        let words = words.iter().map(|word| match &word.value.item {
            Item::Text(text) => Ok((word.name.to_string(), text.to_string())),
            _ => Err(fields.error(word.value.at, "a word is text")),
        });
        compiled.push(entry.name.to_string(), words.collect::<Result<_, _>>()?);
    }
    let missing =
        hosts.iter().find(|host| !compiled.is_empty() && !compiled.hosts().any(|known| known == **host));
    match missing {
        None => Ok(compiled),
        Some(host) => {
            Err(fields.error(fields.place("by_host"), format!("`by_host` has no words for {host}")))
        }
    }
}
