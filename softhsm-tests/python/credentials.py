"""The credentials of these tests. Two are published by their venues, the others open nothing."""

import json
from pathlib import Path

import ccxt  # type: ignore[import-untyped]
from demo import BINANCE, KRAKEN
from hyperliquid_rows import ADDRESS, KEY
from installation import Credential

# base64 of 64 bytes.
_BASE64 = "U3Ryb25ncm9vbSB0ZXN0cyBvbmx5OiB0aGlzIHNlY3JldCBvcGVucyBub3RoaW5nIGFueXdoZXJlLCBwcm9taXNlZCE="


_TEXT = "TEST0secret1ZZZZyyyyXXXXwwwwVVVVuuuu"

_ROWS = Path(__file__).resolve().parents[2] / "vectors/binance-rsa.jsonl"
_RSA: str = json.loads(_ROWS.read_text().partition("\n")[0])["credentials"]["secret"]


def _made(venue: str, passphrase: str | None = None, secret: str = _TEXT) -> Credential:
    return Credential(venue, venue, "TEST0key1AAAAbbbbCCCCddddEEEEffff", secret, passphrase)


_ALL = (
    BINANCE,
    KRAKEN,
    _made("binance"),
    _made("binance-rsa", secret=_RSA),
    _made("bitfinex"),
    _made("bybit"),
    _made("bybit-rsa", secret=_RSA),
    _made("coinbaseexchange", "a phrase+%", _BASE64),
    _made("gate"),
    _made("kraken", secret=_BASE64),
    _made("kucoin", "a phrase+%"),
    _made("okx", "a phrase+%"),
    _made("poloniex"),
)
# Of venues whose sockets are logged in to.
_PEM = Path(__file__).resolve().parents[2] / "keeper/tests/pem"
_MORE = (
    _made("binance-ed25519", secret=(_PEM / "ed25519-pkcs8.pem").read_text().strip()),
    _made("bitget", "a phrase+%"),
    _made("bithumb"),
    _made("bitvavo"),
    _made("coinbase", secret=(_PEM / "p256-sec1.pem").read_text())._replace(key_id="organizations/1/apiKeys/2"),
    _made("coinbase-legacy"),
    _made("cryptocom"),
    _made("deribit"),
    _made("mexc"),
    _made("phemex"),
    _made("upbit"),
    _made("woo"),
)
# Two wallets; the second is that of another private key, whose address ccxt computes.
_OTHER_KEY = "0x" + "17" * 32
_WALLETS = (
    Credential("hyperliquid", "hyperliquid", ADDRESS, KEY),
    Credential(
        "hyperliquid-other", "hyperliquid", ccxt.Exchange.eth_get_address_from_private_key(_OTHER_KEY), _OTHER_KEY
    ),
)
CREDENTIALS = {credential.name: credential for credential in (*_ALL, *_MORE, *_WALLETS)}
WALLETS = (*(wallet.name for wallet in _WALLETS), "binance-main")
ENROLLED = tuple(credential.name for credential in _ALL)
SOCKETS = (
    *(credential.name for credential in _MORE),
    *("binance", "binance-rsa", "bitfinex", "bybit", "bybit-rsa", "coinbaseexchange", "gate", "okx", "poloniex"),
)
