"""How each venue is asked of ccxt, and which parameters its rows may have."""

from __future__ import annotations

from asked import Venue, both
from further import FURTHER
from keys import BASE64, PEM, RSA_LINES, RSA_PEM, SEED

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
    **FURTHER,
}
