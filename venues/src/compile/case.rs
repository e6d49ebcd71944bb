//! `when`: the conditions of a case.

use super::document::{Fields, Item};
use crate::error::ProfileError;
use crate::rule::When;
use crate::template::Pattern;

const KEYS: &[&str] = &["method", "path", "has_param", "param_suffix", "query_only", "empty"];

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
    let (query_only, empty) = (when.flag("query_only")?, when.flag("empty")?);
    Ok(When { methods, path, has_param, param_suffix, query_only, empty })
}
