#!/usr/bin/env python3
"""Makes rows of Hyperliquid by running the vendor's own SDK offline, with its clock frozen.

    hyperliquid_sdk.py rows              the rows that are in the repository, as vectors/hyperliquid-sdk.jsonl
    hyperliquid_sdk.py random COUNT      rows of random actions, for a comparison beyond them

It needs `pip install hyperliquid-python-sdk==0.24.0`, which brings two dozen packages: more than the tests of this project
ask for, so that they have its rows and not the SDK.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from typing import Any

import hyperliquid.exchange as sdk  # type: ignore[import-not-found]
from eth_account import Account  # type: ignore[import-not-found]
from hyperliquid.utils.signing import sign_l1_action  # type: ignore[import-not-found]
from hyperliquid.utils.types import Cloid  # type: ignore[import-not-found]

VERSION = "0.24.0"
TIME = 1754000123456
KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
OTHER = "0x5e9ee1089755c3435139848e47e6635505d5a13a"
TOKEN = "PURR:0xc4bf3f870c0e9465323c0b6ed28096c2"
HOSTS = ("https://api.hyperliquid.xyz", "https://api.hyperliquid-testnet.xyz")


class Markets:
    """What the SDK asks the network for."""

    name_to_coin = {"BTC": "BTC", "ETH": "ETH", "PURR/USDC": "PURR/USDC"}
    coin_to_asset = {"BTC": 0, "ETH": 1, "PURR/USDC": 10000}
    asset_to_sz_decimals = {0: 5, 1: 4, 10000: 0}

    def name_to_asset(self, name: str) -> int:
        return self.coin_to_asset[name]


def exchange(host: str, vault: str | None, expires: int | None) -> tuple[Any, list[Any]]:
    made: Any = sdk.Exchange.__new__(sdk.Exchange)
    made.wallet, made.base_url, made.info = Account.from_key(KEY), host, Markets()
    made.vault_address, made.account_address, made.expires_after = vault, None, expires
    sent: list[Any] = []
    made.post = lambda path, payload: sent.append((path, payload))
    return made, sent


def order(name: str, is_buy: bool, size: float, price: float, kind: Any = None, **more: Any) -> dict[str, Any]:
    kind = kind or {"limit": {"tif": "Gtc"}}
    order = {"coin": name, "is_buy": is_buy, "sz": size, "limit_px": price, "order_type": kind, "reduce_only": False}
    return order | more


CLOID = Cloid.from_str("0x00000000000000000000000000000001")
TRIGGER = {"trigger": {"triggerPx": 103.5, "isMarket": True, "tpsl": "tp"}}
BUILDER = {"b": OTHER, "f": 10}
ASKED: dict[str, Callable[[Any], object]] = {
    "order": lambda made: made.order("ETH", True, 100, 100, {"limit": {"tif": "Gtc"}}),
    "order cloid": lambda made: made.order("ETH", True, 0.0147, 1670.1, {"limit": {"tif": "Ioc"}}, cloid=CLOID),
    "order trigger": lambda made: made.order("BTC", False, 1e-5, 103.5, TRIGGER, reduce_only=True),
    "order builder": lambda made: made.order("PURR/USDC", True, 7, 0.12345678, {"limit": {"tif": "Alo"}}, builder=BUILDER),
    "orders": lambda made: made.bulk_orders([order("BTC", True, 1, 60000.5), order("ETH", False, 2.5, 0.1, TRIGGER)]),
    "modify": lambda made: made.modify_order(77738308, "ETH", False, 2, 3000, {"limit": {"tif": "Gtc"}}),
    "modify cloid": lambda made: made.bulk_modify_orders_new([{"oid": CLOID, "order": order("BTC", True, 1, 2)}]),
    "cancel": lambda made: made.cancel("BTC", 2**40),
    "cancel cloid": lambda made: made.cancel_by_cloid("BTC", CLOID),
    "cancel several": lambda made: made.bulk_cancel([{"coin": "ETH", "oid": oid} for oid in (1, 128, 70000)]),
    "schedule cancel": lambda made: made.schedule_cancel(TIME + 10000),
    "schedule no cancel": lambda made: made.schedule_cancel(None),
    "leverage": lambda made: made.update_leverage(21, "BTC", False),
    "margin": lambda made: made.update_isolated_margin(-5.5, "ETH"),
    "referrer": lambda made: made.set_referrer("ASDFASDF"),
    "create subaccount": lambda made: made.create_sub_account("漢 example"),
    "subaccount transfer": lambda made: made.sub_account_transfer(OTHER, True, 10),
    "subaccount spot transfer": lambda made: made.sub_account_spot_transfer(OTHER, False, TOKEN, 1.23),
    "vault transfer": lambda made: made.vault_usd_transfer(VAULT, True, 5_000_000),
    "big blocks": lambda made: made.use_big_blocks(True),
    "agent dex abstraction": lambda made: made.agent_enable_dex_abstraction(),
    "agent abstraction": lambda made: made.agent_set_abstraction("u"),
    "noop": lambda made: made.noop(TIME),
    "usd transfer": lambda made: made.usd_transfer(1.5, OTHER),
    "spot transfer": lambda made: made.spot_transfer(0.1, OTHER, TOKEN),
    "withdraw": lambda made: made.withdraw_from_bridge(100, OTHER),
    "class transfer": lambda made: made.usd_class_transfer(100.25, False),
    "send asset": lambda made: made.send_asset(OTHER, "", "spot", TOKEN, 1),
    "delegate": lambda made: made.token_delegate(OTHER, 2**63, True),
    "approve agent": lambda made: made.approve_agent("bot 漢"),
    "approve agent without a name": lambda made: made.approve_agent(),
    "approve builder": lambda made: made.approve_builder_fee(OTHER, "0.001%"),
    "convert to multi-sig": lambda made: made.convert_to_multi_sig_user([OTHER, VAULT], 1),
    "dex abstraction": lambda made: made.user_dex_abstraction(OTHER, True),
    "abstraction": lambda made: made.user_set_abstraction(OTHER, "portfolioMargin"),
}
# With these a vault and an expiry are signed.
WITH_VAULT = ("order", "orders", "modify", "cancel", "leverage", "noop")


def row(id: str, host: str, payload: dict[str, Any]) -> dict[str, Any]:
    asked = {name: value for name, value in payload.items() if name not in ("signature", "nonce")}
    signature = payload["signature"]
    # The SDK writes them as numbers, without the zeros in front; the venue takes both.
    padded = {name: f"0x{signature[name][2:].zfill(64)}" for name in ("r", "s")} | {"v": signature["v"]}
    body = json.dumps(payload | {"signature": padded}, separators=(",", ":"), ensure_ascii=False)
    headers = {"Content-Type": "application/json"}
    return {
        "id": f"hyperliquid-sdk/{id}",
        "exchange": "hyperliquid",
        "credentials": {"apiKey": ADDRESS, "secret": KEY},
        "frozen": {"time_ms": TIME},
        "request": {"method": "POST", "base_url": host, "path": "/exchange", "query": [], "body": asked},
        "expected": {"url": f"{host}/exchange", "method": "POST", "headers": headers, "body": body},
        "compare": "exact",
        "optional_headers": [],
        "source": {"kind": "sdk", "package": "hyperliquid-python-sdk", "version": VERSION},
    }


def rows() -> list[dict[str, Any]]:
    sdk.get_timestamp_ms = lambda: TIME
    sdk.secrets.token_hex = lambda _: "ab" * 32
    made_rows = []
    for host in HOSTS:
        for id, ask in ASKED.items():
            cases: list[tuple[str, str | None, int | None]] = [("", None, None)]
            if id in WITH_VAULT:
                cases += [(" vault", VAULT, None), (" expires", None, TIME + 5000), (" both", VAULT, TIME + 5000)]
            for case, vault, expires in cases:
                made, sent = exchange(host, vault, expires)
                ask(made)
                network = " testnet" if "testnet" in host else ""
                made_rows.append(row(f"{id}{case}{network}", host, sent[0][1]))
    return made_rows


def random_rows(count: int) -> list[dict[str, Any]]:
    chance = random.Random("strongroom hyperliquid sdk")

    def value(depth: int = 0) -> Any:
        kind = chance.randrange(9 if depth < 4 else 7)
        if kind == 8:
            return [value(depth + 1) for _ in range(chance.choice((0, 1, 15, 16)))]
        if kind == 7:
            return {f"k{at}": value(depth + 1) for at in range(chance.choice((0, 1, 15, 16)))}
        text = "".join(chance.choices('aZ09 \u00e4漢🦀"\\\n/', k=chance.choice((0, 5, 31, 32, 256))))
        number = chance.choice((0, 127, 128, 255, 256, 65535, 65536, 2**32, 2**53, 2**64 - 1, -1, -32, -33, -129, -(2**63)))
        return [text, text, number, number, chance.getrandbits(60), round(chance.uniform(-1e6, 1e6), 3), None][kind]

    made_rows = []
    for number in range(count):
        host = chance.choice(HOSTS)
        action = {"type": f"t{number}"} | {f"m{at}": value() for at in range(chance.randrange(1, 6))}
        vault, expires = chance.choice((None, VAULT)), chance.choice((None, TIME + number))
        signature = sign_l1_action(Account.from_key(KEY), action, vault, TIME, expires, host == HOSTS[0])
        payload = {"action": action, "nonce": TIME, "signature": signature}
        payload |= {"vaultAddress": vault, "expiresAfter": expires}
        made_rows.append(row(str(number), host, payload))
    return made_rows


def main(arguments: list[str]) -> int:
    match arguments:
        case ["rows"]:
            made = rows()
        case ["random", count]:
            made = random_rows(int(count))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    for one in made:
        print(json.dumps(one, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
