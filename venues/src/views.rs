//! Single members of a body, for the signed text.

use crate::error::RequestError;
use crate::json::{self, Value};
use crate::msgpack::{self, NoForm};
use crate::pairs::{Given, Pair};
use crate::rule::Rule;
use crate::template::{Values, View};

/// Puts every member that templates of `rule` see into its slot. One that is absent or `null` is empty.
pub(crate) fn put(
    rule: &Rule,
    body: &[Pair<'_>],
    venue: &str,
    values: &mut Values,
) -> Result<(), RequestError> {
    for view in rule.views.iter().filter(|view| view.signed) {
        let value = body.iter().find(|pair| pair.name == view.path.first()).map(|pair| pair.value);
        let put = values
            .put(view.slot, |out| if view.packed { pack(view, value, out) } else { text(view, value, out) });
        put.map_err(|expected| {
            let name = view.path.to_string();
            RequestError::Typed { name, expected, venue: venue.to_owned() }
        })?;
    }
    Ok(())
}

const MISSING: &str = "in the body";

fn pack(view: &View, value: Option<Given<'_>>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let packed = match value {
        None => return Err(MISSING),
        Some(Given::Value(value)) => {
            let value = view.path.inside(value).ok_or(MISSING)?;
            msgpack::write(value, out)
        }
        Some(Given::Text(text)) => msgpack::string(text, out),
        Some(Given::Bare(text)) => {
            json::parse(text.as_bytes()).map_err(|_| NoForm).and_then(|value| msgpack::write(&value, out))
        }
    };
    packed.map_err(|NoForm| "of numbers that fit 64 bits")
}

fn text(view: &View, value: Option<Given<'_>>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let text = match value {
        None => return Ok(()),
        Some(Given::Bare(text) | Given::Text(text)) => text,
        Some(Given::Value(value)) => match view.path.inside(value) {
            None | Some(Value::Null) => return Ok(()),
            // Empty would be signed like absent.
            Some(value) => value
                .scalar()
                .filter(|text| !text.is_empty())
                .ok_or("a text that is not empty, a number, true or false")?,
        },
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}
