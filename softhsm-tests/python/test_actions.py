"""The action tables of the profiles, for every endpoint that ccxt makes a signature for."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from conftest import programs

REPOSITORY = Path(__file__).resolve().parents[2]
ENDPOINTS = REPOSITORY / "venues/tests/rows/endpoints.py"

ACTIONS = ("admin", "cancel", "config", "read", "session", "trade", "transfer")
# How many endpoints of ccxt 4.5.90 have which action. The first check of these tables, with a program of its own,
# came to the same numbers, but for three: it left out seven POSTs to the sub-accounts of bingx, on which ccxt for Python
# fails, and the batch cancellation of gate's futures, whose parameters ccxt takes as a list; and it took the listen key
# of xt's futures for a read. Since then nine more were read in the vendors' own documents and moved: two of binance to
# `config`, two of bitget (a follower leaves a trader, which closes positions) and two of whitebit (codes that are money)
# to `transfer`, and of gemini two that add a bank to `admin` and the list of approved addresses to `read`; and then
# eleven whose names tell: of bitget's brokers six from `transfer` to `admin`, among them the making of API keys, and three
# withdrawals and transfers from `admin` to `transfer`, as one of bingx and one of mexc.
EXPECTED = {
    "backpack": (0, 5, 1, 31, 0, 6, 3),
    "binance": (31, 39, 33, 459, 4, 47, 96),
    "bingx": (7, 11, 15, 81, 3, 18, 7),
    "bitfinex": (0, 4, 10, 50, 1, 5, 10),
    "bitget": (40, 38, 22, 385, 0, 57, 121),
    "bithumb": (0, 4, 0, 27, 0, 7, 8),
    "bitstamp": (4, 3, 0, 32, 1, 7, 212),
    "bitvavo": (1, 5, 1, 18, 0, 2, 3),
    "bybit": (16, 12, 36, 229, 0, 20, 57),
    "coinbase-eddsa": (8, 1, 3, 46, 0, 3, 16),
    "coinbase-legacy": (8, 1, 3, 46, 0, 3, 16),
    "coinbaseexchange": (20, 3, 0, 46, 0, 2, 18),
    "cryptocom": (0, 8, 8, 65, 0, 14, 11),
    "deribit": (24, 6, 4, 50, 1, 12, 7),
    "gate": (16, 22, 27, 191, 0, 21, 44),
    "gemini": (8, 6, 1, 50, 0, 8, 7),
    "htx": (12, 27, 13, 164, 0, 23, 29),
    "kraken": (3, 3, 1, 29, 1, 4, 7),
    "krakenfutures": (3, 2, 6, 24, 0, 3, 3),
    "kucoin": (9, 34, 20, 163, 1, 25, 22),
    "lbank": (0, 4, 0, 24, 3, 4, 7),
    "mexc": (9, 16, 13, 122, 4, 21, 14),
    "okx": (17, 14, 27, 210, 0, 55, 43),
    "phemex": (0, 8, 6, 61, 0, 8, 14),
    "poloniex": (0, 9, 4, 39, 0, 9, 5),
    "upbit": (2, 3, 0, 23, 0, 3, 7),
    "whitebit": (24, 7, 2, 40, 2, 14, 20),
    "woo": (0, 12, 15, 62, 1, 10, 9),
    "xt": (4, 11, 7, 51, 2, 10, 3),
}
ALIKE = {
    "binance-ed25519": "binance",
    "binance-rsa": "binance",
    "binancecoinm": "binance",
    "binanceusdm": "binance",
    "bithumb-legacy": "bithumb",
    "bybit-rsa": "bybit",
    "kucoinfutures": "kucoin",
}


@pytest.fixture(scope="module")
def endpoints() -> list[str]:
    made = subprocess.run([sys.executable, ENDPOINTS], capture_output=True, text=True, timeout=1800)
    assert made.returncode == 0, made.stderr
    return made.stdout.splitlines()


def rules(lines: list[str], tmp_path: Path) -> list[str]:
    file = tmp_path / "endpoints.txt"
    file.write_text("".join(f"{line}\n" for line in lines))
    done = subprocess.run(
        [programs() / "sign-vectors", "--actions", file], capture_output=True, text=True, timeout=1800, check=True
    )
    return done.stdout.splitlines()


def test_knows_what_every_endpoint_of_ccxt_does(endpoints: list[str], tmp_path: Path) -> None:
    counted: dict[str, Counter[str]] = {}
    unknown = []
    for endpoint, rule in zip(endpoints, rules(endpoints, tmp_path), strict=True):
        action = rule.partition("-")[0]
        counted.setdefault(endpoint.partition(" ")[0], Counter())[action] += 1
        if action == "unknown":
            unknown.append(endpoint)
    assert unknown == []
    found = {venue: tuple(actions[name] for name in ACTIONS) for venue, actions in counted.items()}
    assert found == {**EXPECTED, **{venue: EXPECTED[like] for venue, like in ALIKE.items()}}


def test_leaves_everything_else_unknown(tmp_path: Path) -> None:
    """The control: endpoints that no venue has, and venues whose profile has no table."""
    strange = [
        "binance POST /no/such/endpoint",
        "binance GET /sapi/v1/no/such/endpoint",
        "binance POST /sapi/v1/no/such/endpoint",
        "bybit POST /v5/no/such/endpoint",
        "bingx POST /openApi/spot/no/such/endpoint",
        "phemex GET /exchange/wallets/createWithdraw",
        "kraken GET /0/private/Balance",
        "kraken POST /0/private/balance",
        "okx DELETE /api/v5/trade/order",
        "bittrex1 GET /api/v1.1/no/such/endpoint",
        "poloniex-legacy POST /tradingApi",
    ]
    assert rules(strange, tmp_path) == ["unknown"] * len(strange)
