//! The profiles that ship with Strongroom.

use crate::error::ProfileError;
use crate::profile::Profile;

macro_rules! profiles {
    ($($id:literal),+ $(,)?) => {
        &[$(($id, include_str!(concat!("../profiles/", $id, ".toml")))),+]
    };
}

const PROFILES: &[(&str, &str)] = profiles![
    "ascendex",
    "backpack",
    "binance",
    "binance-ed25519",
    "binance-rsa",
    "binance-ws",
    "binancecoinm",
    "binanceus",
    "binanceusdm",
    "bingx",
    "bitfinex",
    "bitfinex1",
    "bitget",
    "bithumb",
    "bithumb-legacy",
    "bitmex",
    "bitstamp",
    "bittrex",
    "bittrex1",
    "bitvavo",
    "bybit",
    "bybit-rsa",
    "coinbase",
    "coinbase-eddsa",
    "coinbase-legacy",
    "coinbaseexchange",
    "coinex",
    "coinex-hmac",
    "cryptocom",
    "deribit",
    "gate",
    "gemini",
    "htx",
    "hyperliquid",
    "hyperliquid-agent",
    "kraken",
    "krakenfutures",
    "kucoin",
    "kucoinfutures",
    "lbank",
    "lbank-rsa",
    "mexc",
    "okx",
    "phemex",
    "poloniex",
    "poloniex-legacy",
    "upbit",
    "upbit-hs512",
    "whitebit",
    "woo",
    "xt",
];

/// Id and text of every shipped profile, sorted by id.
#[must_use]
pub const fn builtin_profiles() -> &'static [(&'static str, &'static str)] {
    PROFILES
}

/// Compiles the shipped profile called `id`; nothing if there is none.
///
/// # Errors
/// Never for a released version: a test compiles every shipped profile.
pub fn builtin(id: &str) -> Option<Result<Profile, ProfileError>> {
    text(id).map(Profile::compile)
}

/// The text of the shipped profile called `id`.
pub(crate) fn text(id: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(known, _)| *known == id).map(|(_, text)| *text)
}
