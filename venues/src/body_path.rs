//! The way to a member of a JSON body: names with points between them, such as `action.type`.

use crate::json::{Member, Value};

/// Names, the outermost first; one at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BodyPath {
    first: String,
    rest: Vec<String>,
}

/// Most names of a path.
const MAX_NAMES: usize = 8;

impl BodyPath {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut names = text.split('.').map(str::to_owned);
        let first = names.next().unwrap_or_default();
        let rest: Vec<String> = names.collect();
        if first.is_empty() || rest.len() >= MAX_NAMES || rest.iter().any(String::is_empty) {
            return Err(format!(
                "`{text}` is no member of a body: names with points between them, such as `action.type`"
            ));
        }
        Ok(Self { first, rest })
    }

    /// The same path and one name more.
    pub(crate) fn member(&self, name: &str) -> Self {
        let rest = self.rest.iter().cloned().chain([name.to_owned()]).collect();
        Self { first: self.first.clone(), rest }
    }

    /// The name in the body itself.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// The path into that member; empty where the member itself is meant.
    pub(crate) fn rest(&self) -> &[String] {
        &self.rest
    }

    /// The last name, and the names on the way to it from the first on.
    pub(crate) fn split_last(&self) -> (&str, &[String]) {
        match self.rest.split_last() {
            Some((last, between)) => (last, between),
            None => (&self.first, &[]),
        }
    }

    /// What is there in `members`.
    pub(crate) fn find<'s, 'v>(&self, members: &'s [Member<'v>]) -> Option<&'s Value<'v>> {
        let value = members.iter().find(|(name, _)| *name == self.first).map(|(_, value)| value);
        self.inside(value?)
    }

    /// What is there below `value`, which has the first name.
    pub(crate) fn inside<'s, 'v>(&self, value: &'s Value<'v>) -> Option<&'s Value<'v>> {
        self.rest.iter().try_fold(value, |value, name| value.get(name))
    }
}

impl std::fmt::Display for BodyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.first)?;
        self.rest.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}

/// The first of `members` that none of `known` names: neither it nor all that is in it.
pub(crate) fn unknown<'v>(
    members: impl Iterator<Item = &'v Member<'v>>,
    known: &[&BodyPath],
) -> Option<String> {
    let known: Vec<(&str, &[String])> = known.iter().map(|path| (path.first(), path.rest())).collect();
    unknown_below(members, &known)
}

fn unknown_below<'v>(
    members: impl Iterator<Item = &'v Member<'v>>,
    known: &[(&str, &[String])],
) -> Option<String> {
    for (name, value) in members {
        let mut named = known.iter().filter(|(first, _)| first == name).map(|(_, rest)| *rest).peekable();
        if named.clone().any(<[String]>::is_empty) {
            continue;
        }
        let inner = match value {
            Value::Object(inner) if named.peek().is_some() => inner,
            _ => return Some(name.to_string()),
        };
        let below: Vec<(&str, &[String])> =
            named.filter_map(|rest| rest.split_first().map(|(first, rest)| (first.as_str(), rest))).collect();
        if let Some(found) = unknown_below(inner.iter(), &below) {
            return Some(format!("{name}.{found}"));
        }
    }
    None
}
