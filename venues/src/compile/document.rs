//! A profile's TOML as a tree that knows where everything stands and in which order it was written.

use std::borrow::Cow;

use toml::de::{DeTable, DeValue};

use super::near::did_you_mean;
use crate::error::ProfileError;

/// A value and the byte at which it starts.
#[derive(Debug, Clone)]
pub(crate) struct Node<'t> {
    pub(crate) at: usize,
    pub(crate) item: Item<'t>,
}

/// The kinds of values that a profile has.
#[derive(Debug, Clone)]
pub(crate) enum Item<'t> {
    Bool(bool),
    Int(i64),
    List(Vec<Node<'t>>),
    Table(Table<'t>),
    Text(Cow<'t, str>),
}

/// The entries of a table in the order of the text.
pub(crate) type Table<'t> = Vec<Entry<'t>>;

/// One key of a table.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'t> {
    pub(crate) name: Cow<'t, str>,
    pub(crate) at: usize,
    pub(crate) value: Node<'t>,
}

/// Longest profile, in bytes.
const MAX_PROFILE_BYTES: usize = 64 * 1024;

/// Reads `text` as TOML.
pub(crate) fn read(text: &str) -> Result<Node<'_>, ProfileError> {
    if text.len() > MAX_PROFILE_BYTES {
        return Err(ProfileError::at(text, 0, format!("a profile has at most {MAX_PROFILE_BYTES} bytes")));
    }
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        ProfileError::at(text, at, format!("this is not TOML: {}", error.message().replace('\n', ", ")))
    })?;
    let at = table.span().start;
    Ok(Node { at, item: Item::Table(entries(text, table.into_inner())?) })
}

fn entries<'t>(text: &str, table: DeTable<'t>) -> Result<Table<'t>, ProfileError> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let at = key.span().start;
        let value = node(text, value.span().start, value.into_inner())?;
        entries.push(Entry { name: key.into_inner(), at, value });
    }
    // The parser sorts by name, but the order of `let`, of claims and of headers is the author's.
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

fn node<'t>(text: &str, at: usize, value: DeValue<'t>) -> Result<Node<'t>, ProfileError> {
    let item = match value {
        DeValue::Boolean(value) => Item::Bool(value),
        DeValue::Integer(digits) => Item::Int(
            i64::from_str_radix(digits.as_str(), digits.radix())
                .map_err(|_| ProfileError::at(text, at, "this number is too large"))?,
        ),
        DeValue::String(value) => Item::Text(value),
        DeValue::Table(table) => Item::Table(entries(text, table)?),
        DeValue::Array(values) => Item::List(
            values
                .into_iter()
                .map(|value| node(text, value.span().start, value.into_inner()))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Datetime(_) | DeValue::Float(_) => {
            return Err(ProfileError::at(text, at, "a profile has no dates and no fractions"));
        }
    };
    Ok(Node { at, item })
}

/// `base` with everything that `over` says instead: tables are merged at every depth, everything else
/// is replaced. Of typed data whose type is replaced only the domain is left.
pub(crate) fn merge<'t>(base: &[Entry<'t>], over: &[Entry<'t>]) -> Table<'t> {
    let mut merged = base.to_vec();
    for entry in over {
        match merged.iter_mut().find(|known| known.name == entry.name) {
            None => merged.push(entry.clone()),
            Some(known) => match (&known.value.item, &entry.value.item) {
                (Item::Table(below), Item::Table(above)) => {
                    let retyped = known.name == "eip712"
                        && above.iter().any(|entry| matches!(entry.name.as_ref(), "type" | "types"));
                    let keeps = |entry: &&Entry<'_>| !retyped || entry.name == "domain";
                    let below: Table<'_> = below.iter().filter(keeps).cloned().collect();
                    let item = Item::Table(merge(&below, above));
                    known.value = Node { at: entry.value.at, item };
                }
                _ => known.clone_from(entry),
            },
        }
    }
    merged
}

/// Typed reading of one table: every key is either asked for or unknown.
pub(crate) struct Fields<'d, 't> {
    pub(crate) text: &'d str,
    pub(crate) at: usize,
    /// How the table is called in messages.
    what: &'static str,
    entries: &'d [Entry<'t>],
}

impl<'d, 't> Fields<'d, 't> {
    /// The fields of `entries`, which may be called only what `known` lists.
    pub(crate) fn of(
        text: &'d str,
        at: usize,
        what: &'static str,
        entries: &'d [Entry<'t>],
        known: &[&str],
    ) -> Result<Self, ProfileError> {
        match entries.iter().find(|entry| !known.contains(&entry.name.as_ref())) {
            None => Ok(Self { text, at, what, entries }),
            Some(entry) => {
                let near = did_you_mean(&entry.name, known.iter().copied());
                let known = known.join(", ");
                let message = format!("{what} has no key `{}`{near}; its keys are {known}", entry.name);
                Err(ProfileError::at(text, entry.at, message))
            }
        }
    }

    /// The fields of the table `name`, or of an empty one.
    pub(crate) fn table(
        &self,
        name: &str,
        what: &'static str,
        known: &[&str],
    ) -> Result<Fields<'d, 't>, ProfileError> {
        match self.get(name) {
            None => Ok(Fields { text: self.text, at: self.at, what, entries: &[] }),
            Some(node) => Fields::of(self.text, node.at, what, self.entries_of(node, name)?, known),
        }
    }

    /// The entries of the table `name`, whatever they are called.
    pub(crate) fn entries(&self, name: &str) -> Result<&'d [Entry<'t>], ProfileError> {
        self.get(name).map_or(Ok(&[]), |node| self.entries_of(node, name))
    }

    fn entries_of(&self, node: &'d Node<'t>, name: &str) -> Result<&'d [Entry<'t>], ProfileError> {
        match &node.item {
            Item::Table(entries) => Ok(entries),
            _ => Err(self.error(node.at, format!("`{name}` must be a table"))),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'d Node<'t>> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &entry.value)
    }

    pub(crate) fn error(&self, at: usize, message: impl Into<String>) -> ProfileError {
        ProfileError::at(self.text, at, message)
    }

    /// The byte of the text at which the one at `offset` of a value at `at` stands; that of the value itself where it
    /// is written with escapes.
    pub(crate) fn within(&self, at: usize, value: &str, offset: usize) -> usize {
        let written = self.text.get(at..).unwrap_or_default();
        let opening = ["\"\"\"\n", "'''\n", "\"\"\"", "'''", "\"", "'"];
        let inside = opening.iter().find_map(|quote| Some((quote.len(), written.strip_prefix(quote)?)));
        match inside {
            Some((quote, inside)) if inside.starts_with(value) => {
                at.saturating_add(quote).saturating_add(offset)
            }
            _ => at,
        }
    }

    /// Where `name` stands, or else the table itself.
    pub(crate) fn place(&self, name: &str) -> usize {
        self.get(name).map_or(self.at, |node| node.at)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'d str>, ProfileError> {
        match self.get(name) {
            None => Ok(None),
            Some(Node { item: Item::Text(value), .. }) => Ok(Some(value)),
            Some(node) => Err(self.error(node.at, format!("`{name}` must be text"))),
        }
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&'d str, ProfileError> {
        self.text(name)?.ok_or_else(|| self.error(self.at, format!("{} needs the key `{name}`", self.what)))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ProfileError> {
        match self.get(name) {
            None => Ok(None),
            Some(Node { item: Item::Bool(value), .. }) => Ok(Some(*value)),
            Some(node) => Err(self.error(node.at, format!("`{name}` must be true or false"))),
        }
    }

    /// A whole number between `from` and `to`.
    pub(crate) fn number<N: TryFrom<i64> + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        from: N,
        to: N,
    ) -> Result<Option<N>, ProfileError> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let value = match node.item {
            Item::Int(value) => N::try_from(value).ok().filter(|value| *value >= from && *value <= to),
            _ => None,
        };
        match value {
            Some(value) => Ok(Some(value)),
            None => {
                Err(self.error(node.at, format!("`{name}` must be a whole number between {from} and {to}")))
            }
        }
    }

    /// One text, or a list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<&'d str>>, ProfileError> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let nodes = match &node.item {
            Item::Text(text) => return Ok(Some(vec![text])),
            Item::List(nodes) => nodes,
            _ => return Err(self.error(node.at, format!("`{name}` must be text or a list of texts"))),
        };
        let texts = nodes.iter().map(|node| match &node.item {
            Item::Text(text) => Ok(text.as_ref()),
            _ => Err(self.error(node.at, format!("`{name}` must be a list of texts"))),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The one of `choices` that `name` says; `choices` are in the order of the documentation.
    pub(crate) fn choice<C: Copy>(
        &self,
        name: &str,
        choices: &[(&str, C)],
    ) -> Result<Option<C>, ProfileError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match choices.iter().find(|(known, _)| *known == text) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let known: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
                let near = did_you_mean(text, known.iter().copied());
                let message = format!("`{name}` cannot be `{text}`{near}; it is one of {}", known.join(", "));
                Err(self.error(self.place(name), message))
            }
        }
    }
}
