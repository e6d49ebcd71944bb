//! `when`: the conditions of a case.

use super::document::{Fields, Item};
use crate::body_path::BodyPath;
use crate::error::ProfileError;
use crate::rule::When;
use crate::template::Pattern;

const KEYS: &[&str] = &["method", "path", "has_param", "param_suffix", "query_only", "empty", "param"];

/// Compiles the conditions of `case`.
pub(super) fn when(case: &Fields<'_, '_>) -> Result<When, ProfileError> {
    conditions(case, "when", "`when`")
}

/// Compiles the conditions in the table `key`.
pub(super) fn conditions(of: &Fields<'_, '_>, key: &str, what: &'static str) -> Result<When, ProfileError> {
    let when = of.table(key, what, KEYS)?;
    let methods = match when.texts("method")? {
        None => None,
        Some(names) => Some(super::rule::methods(&when, "method", &names)?),
    };
    let path = match when.text("path")? {
        None => None,
        Some(text) => {
            Some(Pattern::compile(text).map_err(|message| when.error(when.place("path"), message))?)
        }
    };
    let has_param = when.texts("has_param")?.map(|names| names.into_iter().map(str::to_owned).collect());
    let mut param_suffix = Vec::new();
    for entry in when.entries("param_suffix")? {
        match &entry.value.item {
            Item::Text(suffix) => param_suffix.push((entry.name.to_string(), suffix.to_string())),
            _ => return Err(when.error(entry.value.at, "a suffix must be text")),
        }
    }
    let param = param(&when)?;
    let (query_only, empty) = (when.flag("query_only")?, when.flag("empty")?);
    Ok(When { methods, path, has_param, param_suffix, query_only, empty, param })
}

/// Members of the body, and the texts of which each must be one.
fn param(when: &Fields<'_, '_>) -> Result<Vec<(BodyPath, Vec<String>)>, ProfileError> {
    let entries = when.entries("param")?.iter().map(|entry| {
        let path = BodyPath::parse(&entry.name).map_err(|message| when.error(entry.at, message))?;
        let wrong = || when.error(entry.value.at, "the value of a member is text, or a list of texts");
        let text = |item: &Item<'_>| match item {
            Item::Text(text) => Ok(text.to_string()),
            _ => Err(wrong()),
        };
        let texts = match &entry.value.item {
            Item::List(list) => list.iter().map(|node| text(&node.item)).collect::<Result<_, _>>()?,
            item => vec![text(item)?],
        };
        Ok((path, texts))
    });
    entries.collect()
}
