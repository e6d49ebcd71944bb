//! The one byte string of a list of grants, which a record authenticates.
//!
//! Not the TOML: its layout is a library's, and a record must open in ten years.

use crate::grant::Terms;
use crate::grants::Grants;

impl Grants {
    /// All of them as one byte string: the number of grants, then of each grant the number of its fields, and of each
    /// field its name, the number of its values and the values. Numbers are `u32` little-endian, text has its length
    /// before it. Fields that are not set are left out; the others come in the order of docs/reference/grants.md. Two
    /// lists have the same bytes only if they say the same.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        number(&mut bytes, self.len());
        for grant in self {
            let fields = fields(grant);
            number(&mut bytes, fields.len());
            for (name, values) in fields {
                text(&mut bytes, name);
                number(&mut bytes, values.len());
                values.iter().for_each(|value| text(&mut bytes, value));
            }
        }
        bytes
    }
}

fn number(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    number(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Every field that is set, with its values as text.
fn fields(terms: &Terms) -> Vec<(&'static str, Vec<String>)> {
    fn one(value: Option<&impl ToString>) -> Option<Vec<String>> {
        value.map(|value| vec![value.to_string()])
    }
    // By name, so that a field that is added cannot be forgotten here.
    let Terms {
        id,
        to,
        allow,
        deny,
        symbols,
        sides,
        types,
        max_notional,
        max_notional_day,
        max_quantity,
        price_band_percent,
        max_open_orders,
        requests_per_minute,
        burst,
        hours,
        weekdays,
        zone,
        expires,
        params,
        confirm,
        accept_unbound,
    } = terms;
    let parts: Vec<String> = accept_unbound.iter().map(ToString::to_string).collect();
    [
        ("id", one(Some(id))),
        ("to", one(Some(to))),
        ("allow", allow.map(Vec::from)),
        ("deny", deny.map(Vec::from)),
        ("symbols", symbols.as_ref().map(|list| list.iter().map(ToString::to_string).collect())),
        ("sides", sides.clone().map(Vec::from)),
        ("types", types.clone()),
        ("max_notional", one(max_notional.as_ref())),
        ("max_notional_day", one(max_notional_day.as_ref())),
        ("max_quantity", one(max_quantity.as_ref())),
        ("price_band_percent", one(price_band_percent.as_ref())),
        ("max_open_orders", one(max_open_orders.as_ref())),
        ("requests_per_minute", one(requests_per_minute.as_ref())),
        ("burst", one(burst.as_ref())),
        ("hours", one(hours.as_ref())),
        ("weekdays", weekdays.map(Vec::from)),
        ("zone", one(zone.as_ref())),
        ("expires", one(expires.as_ref())),
        ("params", params.clone()),
        ("confirm", confirm.then(Vec::new)),
        ("accept_unbound", (!parts.is_empty()).then_some(parts)),
    ]
    .into_iter()
    .filter_map(|(name, values)| Some((name, values?)))
    .collect()
}
