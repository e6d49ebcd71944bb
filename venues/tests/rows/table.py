"""How each venue is asked of ccxt, and which parameters its rows may have."""

from __future__ import annotations

from typing import Any, NamedTuple

Endpoint = tuple[Any, str, str, str]
"""Section of ccxt's API, its path, the method, and where the parameters go: `query` or `body`."""

KEY = "TEST0key1AAAAbbbbCCCCddddEEEEffff"
TEXT = "TEST0secret1ZZZZyyyyXXXXwwwwVVVVuuuu"
BASE64 = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/QA=="
SEED_BASE58 = "ed25519:4wBqpZM9xaSheZzJSMawUKKwhdpChKbZ5eu5ky4Vigw"
WALLET = "0x" + "11" * 32
SEED = "Z+ppJSnycLr+TlsS5utPBgzJXnQiyt3m/VCkLzEAX1w="
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIGfqaSUp8nC6/k5bEubrTwYMyV50Isrd5v1QpC8xAF9c\n"
    "-----END PRIVATE KEY-----\n"
)

RSA_LINES = (
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCpOvLJUDhiShm4",
    "p4Jx5e9bWa6nrQyJutYOabKRbQCuV0k4aGCVgkp38hI3PyGlXKc/TDiqyxlZM2Z9",
    "s++oWq60Kvd4xiV9hLL3Ksrm38y3MRCdmNrr2u7gpADUMwGfwRJdVrpPvLUuI05c",
    "jhZ1nDYh1RlTj9MS7m6fl27aH0S7LlJf2X22FT+6KIShoK2w9LCd1AYeZ2gvWemZ",
    "y691tjkSiFzaLVPtCRX1upmMvgBGwBqyNrJNoFVnTnc+NYSq0RnZwNgqlxUVBZ10",
    "+kUEHQO05fOCDHullrAHzOk5p14i0Sif3vpBiEwe7xf7ZrgcbSqoJvANYSkC2GSu",
    "umzhcQULAgMBAAECggEAF9F8KmloBi13wU2SRoWeUrUkp+TrRtdNGWo2/9Dfr6oJ",
    "XC8UqPZVlNw1RCFWkvefcoE/2IoNX0ikvDx/Fqrsu97wRcddr3Tl23PiauxE2+PD",
    "+upwpZGC3Ys3sqYbLGj4NLroLiDZP00o0k4NSzBZThm4HtK3WorEdyHRMFIGUnHP",
    "+kTy4+96stXd2pdMJ/VIRxYbIoZyo9w0RJA8jilBv+0ukg9trJSYa/d7SbLMzah5",
    "UbQll5bRHP8T6mdTiXnjnWdS2KvaDX0W5E8H5IohE54p0mxbv8GuW4TtZoWJ4fjs",
    "r5JNbITkLDcNXK+OXPaqBM9ho7OEG7R5QVA656XowQKBgQDVdCnhmVKF+9EhD/U1",
    "MKrAy8QWBd2XEWoaI205Ov1Igv+da6dn8RK5p1Q5EexqxocfoE1SongwIHlKGQMl",
    "FBzA1tJwQjdS39qDBUGS9H83tCbXNMpjUX1/Mm1jcSYm6zxKKhg++Td+kN0uPDMu",
    "1xY+JdinLQuhGpq/kS2U1LVdfwKBgQDK9jToBZqTfX45l75gw77wlmGVRK2kbMoP",
    "1GJtZIZRxtli3dDAzJtpY/B/+aaNReeGONZMeGlnHRX70EqhuzBSJe4tSsTtsDJP",
    "BMLK1EdFg/yvDAgyMRbM/3eywm2qdsgx7ewdrJvUaDxG5UD+0jBRqHS9IlsWP+0h",
    "9Rl+Wmu2dQKBgHSn5M+3xKMXCadBGmj0bQ2rD0Jd+Em8qbkZTXMuqwg7F8oH8Njc",
    "prgyG9SI2CVO1MBTEo8r3fWnecImQ1K7WC+H+ECD38p6LujWMY1H9FMUMPoCju2S",
    "trySabgkOY6hlzSNJu0btNmGAGtpWSurPyu98VcERkvIx3QUus2RJoGvAoGBAINy",
    "s881meg+FZsdURqAjFBrROYU5dUg9DkOV3T77xZVkAM9H+9OVLUMGf34ZUsH5CwE",
    "8Z3zOmii6NL/EubuQhxiHoDM9P/v5pVQwwv0Mfiuw99nDoPbUSYRqqdmzvnhFkVo",
    "D00ktoP5wlg0MEUZQlwQmxLHhnDBlEYy5ID19N7lAoGBANSWkO5pNZQub6lRIPza",
    "Tx4AoV/8DE3uD8a9zIJ83Jr81aeM0IlDuiCLweY5D9DfdUTPEQgh65JsDmHyX9ky",
    "UqVqg3Ib7kUruSW9cnt82gwMBdA3Nen788WkB6JdKquhS+wnnd9GH15Z2LQ4NYpc",
    "YlkNnBeUTEBkILRsQjM1VMhx",
)
RSA_PEM = "\n".join(("-----BEGIN PRIVATE KEY-----", *RSA_LINES, "-----END PRIVATE KEY-----", ""))


class Venue(NamedTuple):
    """A profile and the class of ccxt that speaks the same."""

    name: str
    """The class; nothing where `formulas.py` has the scheme."""
    endpoints: tuple[Endpoint, ...]
    version: str = "4.5.90"
    """The ccxt that has it: newer ones dropped venues, or older schemes of them."""
    key: str = KEY
    secret: str = TEXT
    passphrase: bool = False
    uid: str = ""
    """The user id, which ccxt has under several names."""
    command: str = ""
    """The parameter that says what is done, where all requests have one path."""
    raw: bool = False
    """The query goes out unescaped, so it holds only what needs no escape."""
    lists: bool = False
    """Lists may stand in a query (or in parameters that are signed like one)."""
    body: str = "json"
    """What a body may hold: `json`, `form` (no lists in it), or `flat` (JSON of texts and numbers)."""
    empty: bool = True
    """Whether a request with a body may have no parameters at all."""
    flags: bool = True
    """Whether ccxt for Python writes booleans as other languages do."""
    floats: bool = True
    """Whether numbers with a fraction may stand in it."""
    blank: bool = True
    """Whether ccxt takes an empty text."""
    ascii: bool = False
    """This ccxt escapes what is not ASCII in JSON, so there is none in its rows."""
    extra: tuple[str, ...] = ()
    """Headers in which ccxt names itself."""
    written: bool = True
    """Whether the row files are made by this program; the others came with the project."""
    ships: bool = True
    """Whether its profile ships; the rows of the others, whose profiles are tests, share one file."""
    more: bool = False
    """The rows that came with the project are few: `VENUE-more.jsonl` has more."""
    batch: Endpoint | None = None
    """An endpoint whose body is a list of orders."""
    tags: tuple[str, ...] = ()
    """Paths at which ccxt adds a broker's tag to the parameters: rows of these inform and do not bind."""


def both(api: Any, query: str, body: str, method: str = "POST") -> tuple[Endpoint, ...]:
    return ((api, query, "GET", "query"), (api, body, method, "body"))


FUTURES = ("KC-API-PARTNER", "KC-API-PARTNER-SIGN", "KC-API-PARTNER-VERIFY")

VENUES = {
    "ascendex": Venue(
        "ascendex",
        (
            (["v1", "private"], "info", "GET", "query"),
            (["v1", "private", "accountCategory"], "order/open", "GET", "query"),
            (["v1", "private", "accountCategory"], "order", "POST", "body"),
            (["v1", "private", "accountCategory"], "order/all", "DELETE", "body"),
            (["v1", "private", "accountGroup"], "cash/balance", "GET", "query"),
            (["v1", "private", "accountGroup"], "transfer", "POST", "body"),
            (["v2", "private", "accountGroup"], "futures/position", "GET", "query"),
            (["v2", "private", "data"], "order/hist", "GET", "query"),
            (["v2", "private", "accountGroup"], "subuser/subuser-transfer", "POST", "body"),
        ),
        "4.4.100",
    ),
    "backpack": Venue(
        "backpack",
        (
            ("private", "api/v1/orders", "GET", "query"),
            ("private", "api/v1/order", "POST", "body"),
            ("private", "api/v1/order", "DELETE", "body"),
            ("private", "api/v1/account", "PATCH", "body"),
            ("private", "wapi/v1/capital/withdrawals", "POST", "body"),
        ),
        secret=SEED,
        body="flat",
        extra=("X-Broker-Id",),
        batch=("private", "api/v1/orders", "POST", "body"),
    ),
    "binance": Venue(
        "binance",
        (
            ("private", "account", "GET", "query"),
            ("private", "openOrders", "DELETE", "query"),
            ("private", "order/test", "POST", "body"),
            ("private", "order/amend/keepPriority", "PUT", "body"),
        ),
        body="form",
        written=False,
    ),
    "binance-ed25519": Venue(
        "binance", both("private", "openOrders", "order/test"), secret=PEM, body="form", more=True, written=False
    ),
    "binance-ws": Venue(
        "",
        (
            ("", "order.place", "POST", "body"),
            ("", "openOrders.status", "POST", "body"),
            ("", "account.status", "POST", "body"),
        ),
        body="flat",
    ),
    "binance-rsa": Venue(
        "binance", both("private", "openOrders", "order/test"), secret=RSA_PEM, body="form", more=True, written=False
    ),
    "binancecoinm": Venue(
        "binancecoinm",
        (
            ("dapiPrivate", "balance", "GET", "query"),
            ("dapiPrivate", "allOpenOrders", "DELETE", "query"),
            ("dapiPrivate", "leverage", "POST", "body"),
            ("dapiPrivate", "positionMargin", "POST", "body"),
        ),
        body="form",
    ),
    "binanceus": Venue(
        "binanceus",
        (
            ("private", "account", "GET", "query"),
            ("private", "openOrders", "DELETE", "query"),
            ("private", "order/test", "POST", "body"),
        ),
        body="form",
    ),
    "binanceusdm": Venue(
        "binanceusdm", both("fapiPrivate", "openOrders", "leverage"), body="form", more=True, written=False
    ),
    "bingx": Venue(
        "bingx",
        (
            (["swap", "v2", "private"], "user/balance", "GET", "query"),
            (["swap", "v2", "private"], "trade/order", "POST", "query"),
            (["spot", "v1", "private"], "trade/cancelOrders", "POST", "query"),
            (["swap", "v2", "private"], "trade/batchOrders", "DELETE", "query"),
        ),
        lists=True,
        extra=("X-SOURCE-KEY",),
    ),
    "bitfinex": Venue(
        "bitfinex",
        (("private", "auth/w/order/submit", "POST", "body"), ("private", "auth/r/wallets", "POST", "body")),
        written=False,
    ),
    "bitfinex1": Venue(
        "bitfinex",
        (
            ("private", "balances", "POST", "body"),
            ("private", "order/new", "POST", "body"),
            ("private", "order/cancel/multi", "POST", "body"),
        ),
        "4.0.100",
        ascii=True,
    ),
    "bitget": Venue(
        "bitget",
        both(["private", "spot"], "v2/spot/trade/fills", "v2/spot/trade/place-order"),
        extra=("X-CHANNEL-API-CODE",),
        passphrase=True,
        written=False,
    ),
    "bithumb": Venue(
        "bithumb",
        (
            ("private", "v1/accounts", "GET", "query"),
            ("private", "v1/orders", "GET", "query"),
            ("private", "v1/order", "DELETE", "query"),
            ("private", "v1/orders", "POST", "body"),
            ("private", "v2/orders", "POST", "body"),
        ),
        lists=True,
        body="flat",
        flags=False,
        blank=False,
        extra=("OPEN-API-PARTNER",),
    ),
    "bithumb-legacy": Venue(
        "bithumb",
        (
            ("private", "info/balance", "POST", "body"),
            ("private", "trade/place", "POST", "body"),
        ),
        body="form",
        extra=("OPEN-API-PARTNER",),
    ),
    "bitmex": Venue(
        "bitmex",
        (
            ("private", "position", "GET", "query"),
            ("private", "order", "POST", "body"),
            ("private", "order", "PUT", "body"),
            ("private", "order/all", "DELETE", "body"),
        ),
        "4.4.100",
    ),
    "bitstamp": Venue("bitstamp", (("private", "user_transactions/", "POST", "body"),), body="form", more=True, written=False),
    "bittrex": Venue(
        "bittrex",
        (
            ("private", "orders/open", "GET", "query"),
            ("private", "orders", "POST", "body"),
            ("private", "orders/open", "DELETE", "query"),
        ),
        "4.0.100",
        raw=True,
        ascii=True,
        empty=False,
        more=True, written=False,
    ),
    "bittrex1": Venue(
        "bittrex",
        (
            ("market", "buylimit", "GET", "query"),
            ("account", "balances", "GET", "query"),
            ("account", "withdraw", "GET", "query"),
        ),
        "1.20.1",
    ),
    "bitvavo": Venue(
        "bitvavo",
        (
            ("private", "orders", "GET", "query"),
            ("private", "order", "DELETE", "query"),
            ("private", "order", "POST", "body"),
            ("private", "order", "PUT", "body"),
        ),
        empty=False,
    ),
    "bybit": Venue(
        "bybit",
        both("private", "v5/order/realtime", "v5/order/cancel"),
        raw=True,
        empty=False,
        extra=("Referer",),
        written=False,
    ),
    "bybit-rsa": Venue(
        "bybit",
        both("private", "v5/order/realtime", "v5/order/cancel"),
        secret=RSA_PEM,
        raw=True,
        empty=False,
        extra=("Referer",),
        more=True, written=False,
    ),
    "coinbase-eddsa": Venue(
        "coinbase",
        (
            (["v3", "private"], "brokerage/orders/historical/batch", "GET", "query"),
            (["v3", "private"], "brokerage/orders", "POST", "body"),
            (["v3", "private"], "brokerage/orders/batch_cancel", "POST", "body"),
            (["v3", "private"], "brokerage/portfolios/7", "DELETE", "body"),
        ),
        key="55555555-6666-7777-8888-999999999999",
        secret="Z+ppJSnycLr+TlsS5utPBgzJXnQiyt3m/VCkLzEAX1xBW1kGon8Q5Y0bEm5iWMvHkcrZeLEQqYb4IXTsBoGpgA==",
        lists=True,
        written=False,
        more=True,
    ),
    "coinbase-legacy": Venue(
        "coinbase",
        (
            (["v2", "private"], "accounts", "GET", "query"),
            (["v3", "private"], "brokerage/products", "GET", "query"),
            (["v3", "private"], "brokerage/orders/batch_cancel", "POST", "body"),
        ),
        written=False,
    ),
    "coinbaseexchange": Venue(
        "coinbaseexchange", both("private", "fills", "reports"), secret=BASE64, passphrase=True, empty=False, written=False
    ),
    "coinex": Venue(
        "coinex",
        (
            (["v2", "private"], "spot/pending-order", "GET", "query"),
            (["v2", "private"], "assets/deposit-address", "DELETE", "query"),
            (["v2", "private"], "spot/cancel-order", "POST", "body"),
            (["v2", "private"], "futures/adjust-position-leverage", "POST", "body"),
        ),
        "4.4.100",
        raw=True,
    ),
    "coinex-hmac": Venue(
        "",
        (
            ("", "spot/pending-order", "GET", "query"),
            ("", "spot/cancel-order", "POST", "body"),
            ("", "futures/adjust-position-leverage", "POST", "body"),
        ),
    ),
    "cryptocom": Venue(
        "cryptocom",
        (
            (["v1", "private"], "private/create-order", "POST", "body"),
            (["v1", "private"], "private/user-balance", "POST", "body"),
        ),
        body="flat",
        flags=False,
        floats=False,
        more=True, written=False,
    ),
    "deribit": Venue(
        "deribit",
        (("private", "sell", "GET", "query"), ("private", "get_account_summary", "GET", "query")),
        more=True,
        written=False,
    ),
    "gate": Venue(
        "gate",
        both(["private", "spot"], "orders", "price_orders"),
        empty=False,
        written=False,
    ),
    "gemini": Venue(
        "gemini",
        (("private", "v1/order/new", "POST", "body"), ("private", "v1/balances", "POST", "body")),
        key="account-TESTkey0000000000001",
        more=True, written=False,
    ),
    "htx": Venue(
        "htx",
        (
            (["spot", "private"], "v1/order/openOrders", "GET", "query"),
            (["spot", "private"], "v1/order/batchcancel", "POST", "body"),
            (["contract", "private"], "linear-swap-api/v1/swap_cross_cancel", "POST", "body"),
        ),
        more=True,
        written=False,
    ),
    "kraken": Venue(
        "kraken",
        (("private", "AddOrder", "POST", "body"), ("private", "TradesHistory", "POST", "body")),
        secret=BASE64,
        body="form",
        flags=False,
        written=False,
    ),
    "krakenfutures": Venue(
        "krakenfutures",
        (
            ("private", "openorders", "GET", "query"),
            ("private", "sendorder", "POST", "query"),
            ("private", "editorder", "POST", "query"),
            ("private", "batchorder", "POST", "body"),
        ),
        secret=BASE64,
        empty=False,
        more=True,
        written=False,
    ),
    "kucoin": Venue(
        "kucoin",
        (
            ("private", "accounts", "GET", "query"),
            ("private", "hf/orders/5", "DELETE", "query"),
            ("private", "hf/orders", "POST", "body"),
        ),
        raw=True,
        empty=False,
        extra=FUTURES,
        passphrase=True,
        written=False,
    ),
    "kucoinfutures": Venue(
        "kucoinfutures",
        (
            ("futuresPrivate", "orders", "GET", "query"),
            ("futuresPrivate", "orders", "DELETE", "query"),
            ("futuresPrivate", "orders", "POST", "body"),
            ("futuresPrivate", "position/margin/deposit-margin", "POST", "body"),
        ),
        raw=True,
        empty=False,
        passphrase=True,
        extra=FUTURES,
    ),
    "lbank": Venue(
        "lbank",
        (
            (["spot", "private"], "supplement/user_info", "POST", "body"),
            (["spot", "private"], "supplement/create_order", "POST", "body"),
            (["spot", "private"], "supplement/withdraw", "POST", "body"),
        ),
        secret="TEST0secret1ZZZZyyyyXXXXwwww",
        body="form",
    ),
    "lbank-rsa": Venue(
        "",
        (
            (["spot", "private"], "supplement/user_info", "POST", "body"),
            (["spot", "private"], "supplement/create_order", "POST", "body"),
            (["spot", "private"], "supplement/withdraw", "POST", "body"),
        ),
        secret="".join(RSA_LINES),
        body="form",
    ),
    "mexc": Venue(
        "mexc",
        (
            (["spot", "private"], "openOrders", "GET", "query"),
            (["spot", "private"], "order", "POST", "query"),
            (["spot", "private"], "openOrders", "DELETE", "query"),
            (["contract", "private"], "account/assets", "GET", "query"),
            (["contract", "private"], "order/submit", "POST", "body"),
        ),
        empty=False,
        extra=("source",),
        written=False,
    ),
    "okx": Venue(
        "okx",
        both("private", "account/balance", "trade/cancel-order"),
        empty=False,
        passphrase=True,
        written=False,
    ),
    "phemex": Venue(
        "phemex",
        (
            ("private", "spot/orders/active", "GET", "query"),
            ("private", "spot/orders", "PUT", "query"),
            ("private", "orders/cancel", "DELETE", "query"),
            ("private", "assets/transfer", "POST", "body"),
        ),
        lists=True,
    ),
    "poloniex": Venue(
        "poloniex",
        (
            ("private", "accounts/activity", "GET", "query"),
            ("private", "smartorders", "POST", "body"),
            ("private", "orders/cancelByIds", "DELETE", "body"),
        ),
        empty=False,
        written=False,
    ),
    "poloniex-legacy": Venue(
        "poloniex",
        (
            ("private", "returnBalances", "POST", "body"),
            ("private", "buy", "POST", "body"),
        ),
        "1.90.1",
        body="form",
        flags=False,
        command="command",
    ),
    "upbit": Venue(
        "upbit",
        (
            ("private", "orders/open", "GET", "query"),
            ("private", "order", "DELETE", "query"),
            ("private", "orders", "POST", "body"),
        ),
        body="flat",
        empty=False,
        more=True, written=False,
    ),
    "upbit-hs512": Venue(
        "",
        (
            ("private", "orders/open", "GET", "query"),
            ("private", "order", "DELETE", "query"),
            ("private", "orders", "POST", "body"),
        ),
        body="flat",
        empty=False,
    ),
    "whitebit": Venue(
        "whitebit",
        (
            (["v4", "private"], "trade-account/balance", "POST", "body"),
            (["v4", "private"], "order/new", "POST", "body"),
            (["v4", "private"], "order/bulk", "POST", "body"),
        ),
    ),
    "woo": Venue(
        "woo",
        (
            (["v1", "private"], "orders", "GET", "query"),
            (["v1", "private"], "order", "POST", "body"),
            (["v1", "private"], "order", "DELETE", "body"),
            (["v3", "private"], "trade/orders", "GET", "query"),
            (["v3", "private"], "trade/order", "DELETE", "query"),
            (["v3", "private"], "trade/order", "PUT", "body"),
        ),
        body="flat",
        empty=False,
    ),
    "xt": Venue(
        "xt",
        (
            (["private", "spot"], "balances", "GET", "query"),
            (["private", "spot"], "open-order", "DELETE", "body"),
            (["private", "spot"], "order", "POST", "body"),
            (["private", "spot"], "balance/transfer", "POST", "body"),
            (["private", "linear"], "future/trade/v1/order/list", "GET", "query"),
            (["private", "linear"], "future/trade/v1/order/cancel", "POST", "body"),
            (["private", "inverse"], "future/trade/v1/order/create", "POST", "body"),
        ),
        tags=("order", "future/trade/v1/order/create"),
    ),
    # Written from the documentation of the grammar alone, without a change of the engine.
    "bigone": Venue(
        "bigone",
        (("private", "viewer/orders", "GET", "query"), ("private", "orders", "POST", "body")),
        extra=("User-Agent",),
        ships=False,
    ),
    "aster": Venue(
        "aster",
        ((["fapiPrivate"], "v3/openOrders", "GET", "query"), (["fapiPrivate"], "v3/order", "POST", "body")),
        secret=WALLET,
        uid="0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
        body="form",
        flags=False,
        ships=False,
    ),
    "bit2c": Venue(
        "bit2c",
        (("private", "Account/Balance", "GET", "query"), ("private", "Order/AddOrder", "POST", "body")),
        body="form",
        ships=False,
    ),
    "bitbns": Venue(
        "bitbns",
        ((["v1"], "placeBuyOrder/BTC", "POST", "body"),),
        ships=False,
    ),
    "bitopro": Venue(
        "bitopro",
        ((["private"], "orders/all", "DELETE", "query"), (["private"], "orders/btc_twd", "POST", "body")),
        extra=("X-BITOPRO-API",),
        ships=False,
    ),
    "bitrue": Venue(
        "bitrue",
        (
            (["spot", "v1", "private"], "order", "POST", "body"),
            (["fapi", "v2", "private"], "user_trades", "GET", "query"),
            (["fapi", "v2", "private"], "order", "POST", "body"),
        ),
        body="form",
        ships=False,
    ),
    "blofin": Venue(
        "blofin",
        (("private", "account/balance", "GET", "query"), ("private", "trade/order", "POST", "body")),
        passphrase=True,
        ships=False,
    ),
    "btcturk": Venue(
        "btcturk",
        (("private", "users/balances", "GET", "query"), ("private", "order", "POST", "body")),
        secret=BASE64,
        ships=False,
    ),
    "btse": Venue(
        "btse",
        (
            (["private"], "spot/api/v3.2/order", "DELETE", "query"),
            (["private"], "futures/api/v3/order", "DELETE", "body"),
        ),
        body="flat",
        extra=("BROKER-ID",),
        ships=False,
    ),
    "coincheck": Venue(
        "coincheck",
        (("private", "exchange/orders/opens", "GET", "query"), ("private", "exchange/orders", "POST", "body")),
        body="form",
        ships=False,
    ),
    "coinmate": Venue("coinmate", (("private", "openOrders", "POST", "body"),), uid="1234567", body="form", ships=False),
    "digifinex": Venue(
        "digifinex",
        (
            (["private", "spot"], "spot/order", "GET", "query"),
            (["private", "spot"], "spot/order/new", "POST", "body"),
            (["private", "swap"], "account/positions", "GET", "query"),
        ),
        body="form",
        ships=False,
    ),
    "hashkey": Venue(
        "hashkey",
        (("private", "api/v1/spot/openOrders", "GET", "query"), ("private", "api/v1/spot/order", "POST", "body")),
        body="form",
        extra=("INPUT-SOURCE",),
        ships=False,
    ),
    "latoken": Venue(
        "latoken",
        (("private", "auth/account", "GET", "query"), ("private", "auth/order/place", "POST", "body")),
        body="flat",
        ships=False,
    ),
    "indodax": Venue("indodax", (("private", "trade", "POST", "body"),), command="method", body="form", ships=False),
    "modetrade": Venue(
        "modetrade",
        ((["v1", "private"], "orders", "DELETE", "query"), (["v1", "private"], "client/leverage", "POST", "body")),
        secret=SEED_BASE58,
        uid="0xabc123",
        ships=False,
    ),
    "paymium": Venue(
        "paymium",
        (("private", "user/orders", "POST", "body"),),
        ships=False,
    ),
    "revolutx": Venue(
        "revolutx",
        (("private", "1.0/orders", "DELETE", "query"),),
        secret=PEM,
        ships=False,
    ),
    "weex": Venue(
        "weex",
        (("private", "api/v3/order/batch", "DELETE", "body"),),
        passphrase=True,
        body="flat",
        ships=False,
    ),
}
