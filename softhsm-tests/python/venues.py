"""How a request is said to ccxt and to Strongroom, venue by venue, and when it was signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from strongroom import SignedRequest

Params = dict[str, Any]


class Venue(NamedTuple):
    """What of a venue can be compared with ccxt."""

    api: str | list[str]
    """The section of ccxt's API."""
    prefix: str
    """What ccxt puts in front of its own path."""
    query: dict[str, str]
    """Endpoints whose parameters go into the query: path to method."""
    body: dict[str, str]
    """Endpoints whose parameters go into the body."""
    form: bool
    """Whether that body is a form; else it is JSON."""
    time_ms: Callable[[SignedRequest], int]
    """When the agent signed, in ms."""
    avoid: str = ""
    """Characters that the values of this venue's form do not have here; why is in EXCLUDED."""
    raw: bool = False
    """Whether the query goes out unescaped."""
    nested: bool = False
    """Whether a form may have lists and objects in it."""
    empty: bool = True
    """Whether a request with a body may have no parameters."""
    extra: frozenset[str] = frozenset()
    """Headers in which ccxt names itself to the venue."""



class Exclusion(NamedTuple):
    """What random requests leave out, because ccxt does it in a way that the agent need not follow."""

    why: str
    venue: str
    path: str
    params: Params
    """An example, in which agent and ccxt differ."""


EXCLUDED = {
    "batches of binance": Exclusion(
        "ccxt does not escape their values; Binance asks for it", "binance", "batchOrders", {"a": "b c"}
    ),
    "brackets in a form of kraken": Exclusion(
        "ccxt leaves [ and ] in values unescaped, to spare those of nested names", "kraken", "AddOrder", {"note": "[1]"}
    ),
    "commas in currencies of gate": Exclusion(
        "ccxt leaves them unescaped", "gate", "orders", {"currencies": "BTC,ETH"}
    ),
    "flags in a form of kraken": Exclusion(
        "ccxt for Python sends True, ccxt for JavaScript true, as the agent does", "kraken", "AddOrder", {"flag": True}
    ),
    "floats with an exponent": Exclusion(
        "ccxt writes 1e-07; the agent writes numbers in full", "okx", "account/balance", {"px": 1e-07}
    ),
    "integers beyond 64 bits in JSON": Exclusion(
        "ccxt's JSON library refuses them; the agent writes them", "okx", "trade/cancel-order", {"ordId": 2**64}
    ),
    "lists in a query": Exclusion(
        "ccxt for Python sends Python's notation, ['a', 'b']", "okx", "account/balance", {"ccy": ["a", "b"]}
    ),
    "null in a query": Exclusion(
        "ccxt sends the word None; the agent refuses it", "okx", "account/balance", {"ccy": None}
    ),
    "order endpoints": Exclusion("ccxt adds an order id with its broker tag", "binance", "order", {"side": "BUY"}),
    "POST of okx without parameters": Exclusion(
        "ccxt says the type of a body that it does not send", "okx", "trade/cancel-order", {}
    ),
    "separators in a raw query": Exclusion(
        "bybit and kucoin get their query unescaped; the agent refuses what would start another parameter, end "
        "the query, or is no character of a URL", "bybit", "v5/order/realtime", {"cursor": "a&b=c"}
    ),
    "symbol in a query of poloniex": Exclusion("ccxt escapes it twice", "poloniex", "orders", {"symbol": "a/b"}),
    "timestamp of the caller's": Exclusion(
        "ccxt puts it in front; the agent keeps its place", "binance", "account", {"a": 1, "timestamp": 1499827319559}
    ),
}


def header(name: str, ms: int = 1) -> Callable[[SignedRequest], int]:
    return lambda signed: int(signed.headers[name]) * ms


def parameter(name: str) -> Callable[[SignedRequest], int]:
    def read(signed: SignedRequest) -> int:
        text = urlsplit(signed.url).query or signed.body.decode()
        return int(parse_qs(text)[name][0])

    return read


def kraken_nonce(signed: SignedRequest) -> int:
    digits = signed.body.decode().partition("nonce")[2].lstrip('":=')
    return int(digits[:13])


def okx_time(signed: SignedRequest) -> int:
    time = datetime.strptime(signed.headers["OK-ACCESS-TIMESTAMP"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return round(time.replace(tzinfo=timezone.utc).timestamp() * 1000)


VENUES = {
    "binance": Venue(
        "private",
        "/api/v3/",
        {"account": "GET", "openOrders": "DELETE", "myTrades": "GET"},
        {"order/test": "POST", "order/amend/keepPriority": "PUT"},
        True,
        parameter("timestamp"),
    ),
    "bitfinex": Venue(
        "private",
        "/v2/",
        {},
        {"auth/w/order/submit": "POST", "auth/r/wallets": "POST"},
        False,
        header("bfx-nonce"),
    ),
    "bybit": Venue(
        "private",
        "/",
        {"v5/order/realtime": "GET", "v5/position/list": "GET"},
        {"v5/order/create": "POST", "v5/order/cancel": "POST"},
        False,
        header("X-BAPI-TIMESTAMP"),
        raw=True,
        extra=frozenset({"Referer"}),
    ),
    "coinbaseexchange": Venue(
        "private",
        "/",
        {"orders": "GET", "fills": "GET"},
        {"reports": "POST", "orders/1": "DELETE", "profiles/2": "PUT"},
        False,
        header("CB-ACCESS-TIMESTAMP", 1000),
    ),
    "gate": Venue(
        ["private", "spot"],
        "/api/v4/spot/",
        {"orders": "GET", "orders/7": "DELETE"},
        {"price_orders": "POST", "cancel_batch_orders": "POST"},
        False,
        header("Timestamp", 1000),
    ),
    "kraken": Venue(
        "private",
        "/0/private/",
        {},
        {"AddOrder": "POST", "TradesHistory": "POST"},
        True,
        kraken_nonce,
        avoid="[]",
        nested=True,
    ),
    "kucoin": Venue(
        "private",
        "/api/v1/",
        {"accounts": "GET", "hf/orders/active": "GET", "hf/orders/5": "DELETE"},
        {"hf/orders": "POST", "hf/orders/multi": "POST"},
        False,
        header("KC-API-TIMESTAMP"),
        raw=True,
        extra=frozenset({"KC-API-PARTNER", "KC-API-PARTNER-SIGN", "KC-API-PARTNER-VERIFY"}),
    ),
    "okx": Venue(
        "private",
        "/api/v5/",
        {"account/balance": "GET", "trade/orders-pending": "GET"},
        {"trade/cancel-order": "POST", "account/set-leverage": "POST"},
        False,
        okx_time,
        empty=False,
    ),
    "poloniex": Venue(
        "private",
        "/",
        {"orders": "GET", "accounts/activity": "GET"},
        {"smartorders": "POST", "orders/cancelByIds": "DELETE", "orders/3": "PUT"},
        False,
        header("signTimestamp"),
    ),
}
# Another kind of key changes the signature alone.
VENUES |= {f"{name}-rsa": VENUES[name] for name in ("binance", "bybit")}
