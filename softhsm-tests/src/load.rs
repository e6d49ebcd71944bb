//! What the clients of the leak tests ask for: every algorithm of the shipped profiles. No secret is here.

use strongroom_client::{SignRequest, SignedRequest};

/// Credentials and their venues.
pub const CREDENTIALS: [(&str, &str); 10] = [
    ("binance-main", "binance"),          // HMAC-SHA256
    ("binance-rsa", "binance-rsa"),       // RSA
    ("bitfinex-main", "bitfinex"),        // HMAC-SHA384
    ("coinbase-main", "coinbase"),        // ES256
    ("coinbase-eddsa", "coinbase-eddsa"), // Ed25519, the seed in base64
    ("coinex-main", "coinex"),            // SHA-256 of a text with the secret in it
    ("gate-main", "gate"),                // HMAC-SHA512
    ("hyperliquid-main", "hyperliquid"),  // ECDSA on secp256k1, of typed data
    ("kraken-main", "kraken"),            // HMAC-SHA512, the secret in base64
    ("kucoin-main", "kucoin"),            // HMAC-SHA256, and the MAC of a passphrase
];

/// The one that signs with ES256.
pub const ES256: &str = "coinbase-main";

/// The one that signs with Ed25519.
pub const ED25519: &str = "coinbase-eddsa";

/// One batch: many of each HMAC and hash, one Ed25519, one ES256, one of a wallet, and one RSA, which takes longer than
/// all others. Each of the last [`CREDENTIALS`]`.len()` is of another credential.
#[must_use]
pub fn orders() -> Vec<SignRequest<'static>> {
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(SignRequest::new("binance-main", "GET", "/api/v3/account"));
        orders.push(SignRequest::new("bitfinex-main", "POST", "/v2/auth/r/wallets"));
        orders.push(SignRequest::new("coinex-main", "GET", "/v2/assets/spot/balance"));
        orders.push(SignRequest::new("gate-main", "GET", "/api/v4/spot/accounts"));
        orders.push(SignRequest::new("kraken-main", "POST", "/0/private/Balance"));
        orders.push(SignRequest::new("kucoin-main", "GET", "/api/v1/accounts"));
    }
    orders.push(SignRequest::new(ES256, "GET", "/api/v3/brokerage/accounts"));
    let noop = br#"{"action":{"type":"noop"}}"#.as_slice();
    orders.push(SignRequest::new("hyperliquid-main", "POST", "/exchange").json(noop));
    orders.push(SignRequest::new("binance-rsa", "GET", "/api/v3/account"));
    orders.push(SignRequest::new(ED25519, "GET", "/platform/v2/evm/accounts"));
    orders
}

/// The bearer token of a request that was signed with ES256 or Ed25519.
#[must_use]
pub fn token_of(signed: &SignedRequest) -> Option<&str> {
    signed.headers.iter().find_map(|(_, value)| value.strip_prefix("Bearer "))
}
