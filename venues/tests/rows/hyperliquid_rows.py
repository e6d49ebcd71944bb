"""Rows of Hyperliquid. Its requests are made by ccxt's own methods, because ccxt signs there and not in `sign`."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

import ccxt  # type: ignore[import-untyped]

VERSION = "4.5.90"
# The key of the vendor's own tests, and its address.
KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
OTHER = "0x5e9ee1089755c3435139848e47e6635505d5a13a"
CLOID = "0x1234567890abcdef1234567890abcdef"
MARKETS = {"BTC/USDC:USDC": ("0", True), "ETH/USDC:USDC": ("1", True), "PURR/USDC": ("10000", False)}
TESTNET = "https://api.hyperliquid-testnet.xyz"


class Sent(BaseException):
    """What ccxt would send; no error, because ccxt passes over those of some requests."""


def exchange(time_ms: int) -> Any:
    """An exchange that knows no network, and sends nothing but what is asked for."""
    made: Any = ccxt.hyperliquid({"walletAddress": ADDRESS, "privateKey": KEY})

    def fetch(url: str, method: str, headers: Any, body: Any) -> None:
        raise Sent(url, method, headers, body)

    made.fetch = fetch
    made.milliseconds = lambda: time_ms
    know_markets(made)
    return made


def know_markets(made: Any) -> None:
    """Tells an exchange of these markets, and that nothing else need be asked for."""

    async def later(*_: Any) -> bool:
        return True

    known = later if inspect.iscoroutinefunction(made.load_markets) else lambda *_: True
    made.load_markets = made.initialize_client = known
    usdc = {"id": "0", "code": "USDC", "info": {"name": "USDC", "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054"}}
    made.currencies = {"USDC": usdc}
    made.markets = {
        symbol: {
            **{"id": id, "symbol": symbol, "baseId": id, "swap": swap, "spot": not swap, "quote": "USDC"},
            **{"base": symbol.split("/")[0], "precision": {"amount": 0.00001, "price": 0.1}, "info": {}},
            **{"type": "swap" if swap else "spot", "linear": swap, "contract": swap, "settle": "USDC"},
        }
        for symbol, (id, swap) in MARKETS.items()
    }
    made.markets_by_id = {market["id"]: [market] for market in made.markets.values()}
    made.symbols = list(made.markets)


def order(symbol: str, side: str, amount: float, price: float, kind: str = "limit", **params: Any) -> dict[str, Any]:
    return {"symbol": symbol, "type": kind, "side": side, "amount": amount, "price": price, "params": params}


BTC, ETH, SPOT = MARKETS
Ask = Callable[[Any], object]
ASKED: dict[str, Ask] = {
    "order limit": lambda made: made.create_order(BTC, "limit", "buy", 0.001, 61234),
    "order limit cloid": lambda made: made.create_order(ETH, "limit", "sell", 1.5, 3456.7, {"clientOrderId": CLOID}),
    "order post only": lambda made: made.create_order(SPOT, "limit", "buy", 100, 0.12345, {"postOnly": True}),
    "order ioc reduce": lambda made: made.create_order(
        BTC, "limit", "sell", 0.25, 60000, {"timeInForce": "IOC", "reduceOnly": True}
    ),
    "order market": lambda made: made.create_order(BTC, "market", "buy", 0.01, 61234),
    "order trigger": lambda made: made.create_order(BTC, "market", "sell", 0.01, 61234, {"stopLossPrice": 60000}),
    "order take profit": lambda made: made.create_order(BTC, "limit", "sell", 0.01, 65000, {"takeProfitPrice": 64000}),
    "order with tpsl": lambda made: made.create_order(
        ETH, "limit", "buy", 2, 3000, {"takeProfit": {"triggerPrice": 3300}, "stopLoss": {"triggerPrice": 2900}}
    ),
    "order batch": lambda made: made.create_orders(
        [order(BTC, "buy", 0.001, 60000), order(ETH, "sell", 0.1, 4000), order(SPOT, "buy", 1000, 0.1)]
    ),
    "order batch of twenty": lambda made: made.create_orders(
        [order(BTC, "buy", 0.001, 60000 + step) for step in range(20)]
    ),
    "order vault": lambda made: made.create_order(BTC, "limit", "buy", 0.001, 61234, {"vaultAddress": VAULT}),
    "order subaccount": lambda made: made.create_order(ETH, "limit", "sell", 0.1, 4000, {"subAccountAddress": VAULT}),
    "order builder": lambda made: (
        made.options.update(approvedBuilderFee=True),
        made.create_order(BTC, "limit", "buy", 0.001, 61234),
    ),
    "twap": lambda made: made.create_twap_order(BTC, "buy", 0.5, 1800000, {"randomize": True}),
    "modify": lambda made: made.edit_order("91490942", BTC, "limit", "buy", 0.002, 61000),
    "modify batch": lambda made: made.edit_orders(
        [{"id": "1", **order(BTC, "buy", 0.002, 61000)}, {"id": "77738308", **order(ETH, "sell", 1, 4100)}]
    ),
    "cancel": lambda made: made.cancel_order("91490942", BTC),
    "cancel cloid": lambda made: made.cancel_order(None, BTC, {"clientOrderId": CLOID}),
    "cancel several": lambda made: made.cancel_orders(["1", "4294967296", "77738308"], ETH),
    "cancel vault": lambda made: made.cancel_orders(["5"], ETH, {"vaultAddress": VAULT}),
    "cancel twap": lambda made: made.cancel_order("12", BTC, {"twap": True}),
    "cancel after": lambda made: made.cancel_all_orders_after(10000),
    "leverage cross": lambda made: made.set_leverage(20, BTC),
    "leverage isolated": lambda made: made.set_margin_mode("isolated", ETH, {"leverage": 5}),
    "margin more": lambda made: made.add_margin(ETH, 12.5),
    "margin less": lambda made: made.reduce_margin(ETH, 12.5),
    "withdraw": lambda made: made.withdraw("USDC", 100.5, OTHER),
    "withdraw vault": lambda made: made.withdraw("USDC", 1000000, OTHER, {"vaultAddress": VAULT}),
    "transfer to perp": lambda made: made.transfer("USDC", 5, "spot", "swap"),
    "transfer of a subaccount": lambda made: made.transfer("USDC", 5.25, "swap", "spot", {"vaultAddress": VAULT}),
    "transfer asset": lambda made: made.transfer("USDC", 7, "main", OTHER, {"method": "sendAsset"}),
    "transfer to subaccount": lambda made: made.transfer("USDC", 3, "main", OTHER, {"method": "subAccountTransfer"}),
    "transfer spot": lambda made: made.transfer(
        "USDC", 3, OTHER, "main", {"method": "subAccountTransfer", "type": "spot"}
    ),
    "builder fee": lambda made: made.approve_builder_fee(OTHER, "0.01%"),
    "referrer": lambda made: made.set_ref(),
    "subaccount": lambda made: made.create_sub_account("desk 1"),
    "subaccount expires": lambda made: made.create_sub_account("desk 2", {"expiresAfter": made.milliseconds() + 60000}),
    "weight": lambda made: made.reserve_request_weight(1000),
    "abstraction of an agent": lambda made: made.set_agent_abstraction("u"),
    "abstraction": lambda made: made.set_user_abstraction("unifiedAccount"),
    "dex abstraction": lambda made: made.enable_user_dex_abstraction(True),
}


def sent(made: Any, ask: Ask) -> tuple[str, str, dict[str, str], str]:
    try:
        ask(made)
    except Sent as what:
        url, method, headers, body = what.args
        return url, method, headers, body
    raise AssertionError("nothing was sent")


def row(
    id: str, frozen: dict[str, Any], url: str, method: str, headers: dict[str, str], body: str, venue: str = "hyperliquid"
) -> dict[str, Any]:
    asked = json.loads(body)
    del asked["signature"]
    # Where ccxt has them in another order, the caller says which.
    if list(asked)[:2] == ["action", "nonce"]:
        del asked["nonce"]
    parts = urlsplit(url)
    base_url = f"{parts.scheme}://{parts.netloc}"
    return {
        "id": f"{venue}/{id}",
        "exchange": venue,
        "credentials": {"apiKey": ADDRESS, "secret": KEY},
        "frozen": frozen,
        "request": {"method": method, "base_url": base_url, "path": parts.path, "query": [], "body": asked},
        "expected": {
            "url": url,
            "method": method,
            "headers": {"Content-Type": headers["Content-Type"]},
            "body": body,
        },
        "compare": "exact",
        "optional_headers": [],
        "source": {"kind": "ccxt", "version": VERSION, "class": "hyperliquid", "path": "exchange"},
    }


def written(frozen: dict[str, Any], venue: str = "hyperliquid") -> str:
    """The row file; that of `hyperliquid-agent` has the actions that are hashed whole."""
    lines = []
    for sandbox in (False, True):
        for id, ask in ASKED.items():
            # Every kind of signature on the test net too.
            if sandbox and id not in ("order limit", "order vault", "withdraw", "transfer asset", "builder fee"):
                continue
            made = exchange(frozen["time_ms"])
            made.set_sandbox_mode(sandbox)
            name = f"{id} testnet" if sandbox else id
            url, method, headers, body = sent(made, ask)
            if venue != "hyperliquid" and "signatureChainId" in json.loads(body)["action"]:
                continue
            lines.append(json.dumps(row(name, frozen, url, method, headers, body, venue), ensure_ascii=False))
    return "\n".join(lines) + "\n"


def random_rows(count: int, seed: int, frozen: dict[str, Any], value: Callable[[], Any]) -> list[dict[str, Any]]:
    """Actions that no venue has, of every kind of JSON, with and without a vault and an expiry."""
    chance, made, rows = random.Random(f"strongroom hyperliquid {seed}"), exchange(frozen["time_ms"]), []
    time = frozen["time_ms"]
    for number in range(count):
        action = {"type": "x" * chance.choice((1, 31, 32, 300)), "list": [number] * chance.choice((0, 15, 16, 300))}
        action |= {f"member {at}": value() for at in range(chance.choice((0, 1, 13, 14, 20)))}
        vault = VAULT[2:] if chance.random() < 0.5 else None
        expires = time + chance.randrange(10**6) if chance.random() < 0.5 else None
        request = {"action": action, "nonce": time}
        request["signature"] = made.sign_l1_action(deepcopy(action), time, vault, expires)
        request |= {"vaultAddress": vault} if vault else {}
        request |= {"expiresAfter": expires} if expires else {}
        signed = made.sign("exchange", ["private"], "POST", request)
        url, headers = signed["url"], signed["headers"]
        rows.append(row(str(number), frozen, url, "POST", headers, signed["body"]))
    return rows
