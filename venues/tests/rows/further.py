"""Venues without a shipped profile: written from the documentation of the grammar alone, without a change of the engine."""

from __future__ import annotations

from asked import Venue
from keys import BASE64, PEM, SEED_BASE58, WALLET

FURTHER = {
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
