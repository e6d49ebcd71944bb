//! The types of orders that venues are known to have.

use crate::worth::PRICED;

/// Whether some venue is known to have a type of order of this name. Compared without case and without what is neither
/// letter nor digit.
///
/// An admin who writes a type that no order has would allow nothing by it, and deny nothing.
#[must_use]
pub fn is_known_kind(word: &str) -> bool {
    let plain = plain(word);
    known_kinds().any(|known| known == plain)
}

/// Those names, in small letters and without hyphens and underscores.
pub fn known_kinds() -> impl Iterator<Item = &'static str> {
    PRICED.iter().chain(OTHERS).copied()
}

fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Types that may be filled at another price than theirs, by the venues' documentation.
const OTHERS: &[&str] = &[
    "ask",
    "best",
    "bestlimit",
    "bid",
    "bracket",
    "buymarket",
    "chase",
    "conditional",
    "exchangemarket",
    "exchangestop",
    "exchangetrailingstop",
    "iceberg",
    "instant",
    "limitiftouched",
    "market",
    "marketiftouched",
    "marketlimit",
    "marketmarketfok",
    "marketmarketioc",
    "mkt",
    "mmp",
    "mmpandpostonly",
    "moveorderstop",
    "oco",
    "optimallimitioc",
    "pegged",
    "price",
    "scaled",
    "sellmarket",
    "settleposition",
    "stop",
    "stoploss",
    "stopmarket",
    "stoporder",
    "takelimit",
    "takemarket",
    "takeprofit",
    "takeprofitmarket",
    "trailing",
    "trailingstop",
    "trailingstoplimit",
    "trailingstopmarket",
    "trigger",
    "triggerbracketgtc",
    "triggerbracketgtd",
    "triggerlimit",
    "triggermarket",
    "twap",
    "twaplimitgtd",
    "vp",
];
