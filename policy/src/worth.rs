//! What an order is worth, read so that no caller can make it look smaller than the venue may take it.

use strongroom_venues::Order;

use crate::amount::Amount;
use crate::reason::Reason;

/// What an order is worth in the quote currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// At most this, as the order itself says it.
    Known(Amount),
    /// It cannot be told, and why.
    Unknown(&'static str),
}

/// A number of an order: absent, or what it says. Nothing is as good as absent: to some venues a price of 0 means the
/// market's, and a quantity of 0 everything.
pub(crate) fn number(
    text: Option<&str>,
    field: &'static str,
    limit: &'static str,
) -> Result<Option<Amount>, Reason> {
    let Some(text) = text else { return Ok(None) };
    let amount: Amount = text.parse().map_err(|_not| Reason::NotAnAmount { field, limit })?;
    Ok(Some(amount).filter(|amount| !amount.is_zero()))
}

/// The price that bounds what a buyer pays and by which a seller's order is counted; nothing where the type of the
/// order is not one that is known to keep to its price: a market order's price is ignored.
pub(crate) fn price(order: &Order<'_>, limit: &'static str) -> Result<Option<Amount>, Reason> {
    if !order.kind.as_deref().is_some_and(keeps_to_its_price) {
        return Ok(None);
    }
    let Some(price) = number(order.price.as_deref(), "price", limit)? else { return Ok(None) };
    // Which of the two is the trigger and which the limit differs from venue to venue: the higher one counts.
    let stop = number(order.stop.as_deref(), "stop price", limit)?;
    Ok(Some(stop.map_or(price, |stop| stop.max(price))))
}

/// What the order is worth, for the check of `limit`.
pub(crate) fn worth(order: &Order<'_>, limit: &'static str) -> Result<Worth, Reason> {
    let quantity = number(order.quantity.as_deref(), "quantity", limit)?;
    let quote = number(order.quote_quantity.as_deref(), "quote quantity", limit)?;
    let price = price(order, limit)?;
    let times =
        |price: Amount, quantity: Amount| price.checked_mul_up(quantity).ok_or(Reason::NotionalOverflow);
    Ok(match (quantity, quote, price) {
        (None, None, _) => Worth::Unknown("it has no quantity above 0"),
        (None, Some(quote), _) => Worth::Known(quote),
        (Some(_), _, _) if order.contracts => {
            Worth::Unknown("its quantity may count contracts, whose size is not in the request")
        }
        (Some(quantity), None, Some(price)) => Worth::Known(times(price, quantity)?),
        // The venue uses one of them.
        (Some(quantity), Some(quote), Some(price)) => Worth::Known(times(price, quantity)?.max(quote)),
        (Some(_), Some(_), None) => {
            Worth::Unknown("it has a quantity and a quote quantity, and no type that keeps to a price")
        }
        (Some(_), None, None) => Worth::Unknown("it has no price, or no type that keeps to its price"),
    })
}

/// What an order is worth in the quote currency, where that can be told: for people who are shown the order.
#[must_use]
pub fn notional(order: &Order<'_>) -> Option<Amount> {
    match worth(order, "notional") {
        Ok(Worth::Known(amount)) => Some(amount),
        Ok(Worth::Unknown(_)) | Err(_) => None,
    }
}

/// Whether an order of this type is filled at its price or better, at every venue that has a type of this name.
/// Compared without case and without the spaces, hyphens and underscores between words. Whatever is not here, and whatever
/// has another character, counts as one that may be filled at any price.
fn keeps_to_its_price(kind: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_');
    if !kind.bytes().all(is_known) {
        return false;
    }
    let mut plain = [0_u8; 32];
    let mut letters = kind.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    let mut length = 0_usize;
    for (place, byte) in plain.iter_mut().zip(letters.by_ref()) {
        *place = byte;
        length = length.saturating_add(1);
    }
    if letters.next().is_some() {
        return false;
    }
    let plain = plain.get(..length).unwrap_or_default();
    PRICED.iter().any(|known| known.as_bytes() == plain)
}

/// Types of limit orders, by the venues' documentation.
pub(crate) const PRICED: &[&str] = &[
    "buyfok",
    "buyioc",
    "buylimit",
    "buylimitfok",
    "buylimitmaker",
    "buymaker",
    "exchangefok",
    "exchangeioc",
    "exchangelimit",
    "exchangestoplimit",
    "fok",
    "ioc",
    "limit",
    "limitfok",
    "limitgtc",
    "limitgtd",
    "limitioc",
    "limitlimitfok",
    "limitlimitgtc",
    "limitlimitgtd",
    "limitmaker",
    "limitorder",
    "lmt",
    "post",
    "postonly",
    "sellfok",
    "sellioc",
    "selllimit",
    "selllimitfok",
    "selllimitmaker",
    "sellmaker",
    "sorlimitioc",
    "stoplimit",
    "stoplimitstoplimitgtc",
    "stoplimitstoplimitgtd",
    "stoplosslimit",
    "takeprofitlimit",
];
