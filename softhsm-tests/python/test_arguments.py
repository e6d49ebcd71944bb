"""How arguments in Python become bytes that a venue checks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from conftest import Room
from credentials import CREDENTIALS, ENROLLED
from strongroom import SignRequest

TIME = ("timestamp", "1499827319559")
PAIRS = [("symbol", "LTCBTC"), ("note", "a b+c%d&e=f/ü漢"), ("empty", ""), ("limit", 5), TIME]


def binance_text(pairs: list[tuple[str, Any]]) -> str:
    """What is signed for these pairs, and the signature behind it, by Python's own means."""
    pairs = [*pairs, ("recvWindow", 10000)]
    text = "&".join(f"{quote(name, safe='')}={quote(str(value), safe='')}" for name, value in pairs)
    secret = CREDENTIALS["binance"].secret.encode()
    return f"{text}&signature={hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(
    "given",
    [
        PAIRS,
        tuple(PAIRS),
        [list(pair) for pair in PAIRS],
        dict(PAIRS),
        OrderedDict(PAIRS),
        MappingProxyType(dict(PAIRS)),
        dict(PAIRS).items(),
    ],
    ids=["list", "tuple", "lists", "dict", "OrderedDict", "mapping", "items"],
)
def test_takes_mappings_and_pairs_for_query_and_form(room: Room, given: Any) -> None:
    with room.client() as client:
        get = client.sign("binance", "GET", "/api/v3/order", query=given)
        post = client.sign("binance", "POST", "/api/v3/order", form=given)
    assert get.url == f"https://api.binance.com/api/v3/order?{binance_text(PAIRS)}"
    assert get.body == b""
    assert post.url == "https://api.binance.com/api/v3/order"
    assert post.body.decode() == binance_text(PAIRS)
    assert post.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_takes_a_generator(room: Room) -> None:
    with room.client() as client:
        signed = client.sign("binance", "GET", "/api/v3/order", query=(pair for pair in PAIRS))
    assert urlsplit(signed.url).query == binance_text(PAIRS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (2**70, "1180591620717411303424"),
        (True, "true"),
        (False, "false"),
        (0.1, "0.1"),
        (1.0, "1.0"),
        (1e-07, "0.0000001"),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("12E+2"), "1200"),
    ],
    ids=repr,
)
def test_writes_a_value_of_a_query_in_full(room: Room, value: Any, text: str) -> None:
    with room.client() as client:
        signed = client.sign("binance", "GET", "/api/v3/order", query=[("value", value), TIME])
    assert urlsplit(signed.url).query == binance_text([("value", text), TIME])


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": 1, "b": [1, 2.5, True, False, None, "x"], "c": {"d": {"e": []}}},
        {"z": "first", "a": "second"},
        {"text": "漢 ü 🦀 \" \\ / \b\f\n\r\t\x01\x7f"},
        {"big": 2**64 - 1, "negative": -(2**63), "bigger": 2**80},
        [{"instId": "BTC-USDT", "sz": "1"}, {"instId": "ETH-USDT", "sz": "2"}],
    ],
    ids=["empty", "nested", "order", "text", "numbers", "list"],
)
def test_signs_a_json_value_as_compact_utf8(room: Room, value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    credential = CREDENTIALS["okx"]
    with room.client() as client:
        signed = client.sign("okx", "POST", "/api/v5/trade/x", json=value)
        ready = client.sign("okx", "POST", "/api/v5/trade/x", json=text.encode())
    for one in (signed, ready):
        assert one.body.decode() == text
        message = f"{one.headers['OK-ACCESS-TIMESTAMP']}POST/api/v5/trade/x{text}"
        mac = hmac.new(credential.secret.encode(), message.encode(), hashlib.sha256).digest()
        assert one.headers["OK-ACCESS-SIGN"] == base64.b64encode(mac).decode()
        assert one.headers["OK-ACCESS-PASSPHRASE"] == credential.passphrase


def test_keeps_every_digit_of_a_decimal_in_json(room: Room) -> None:
    digits = "0.1234567890123456789012345678901234567890"
    with room.client() as client:
        signed = client.sign("okx", "POST", "/api/v5/trade/x", json={"px": Decimal(digits)})
    assert signed.body.decode() == f'{{"px":{digits}}}'


def test_signs_a_batch_as_it_signs_one_by_one(room: Room) -> None:
    requests = [
        SignRequest("binance", "GET", "/api/v3/order", query=[("orderId", number), TIME]) for number in range(3000)
    ]
    with room.client() as client:
        batch = client.sign_many(requests)
        assert len(batch) == len(requests)
        for number in (0, 1, 1499, 2999):
            alone = client.sign("binance", "GET", "/api/v3/order", query=[("orderId", number), TIME])
            assert batch[number] == alone
    for number, signed in enumerate(batch):
        assert urlsplit(signed.url).query == binance_text([("orderId", number), TIME])


def test_tells_of_credentials_what_was_enrolled(room: Room) -> None:
    with room.client() as client:
        known = {credential.name: credential for credential in client.credentials()}
        shown = client.show("okx")
        status = client.status()
    assert set(known) == set(ENROLLED)
    for name in ENROLLED:
        credential = CREDENTIALS[name]
        assert (known[name].venue, known[name].key_id) == (credential.venue, credential.key_id)
        assert known[name].ready and known[name].fault == ""
        assert known[name].token_serial == room.installation.token.serial
    assert shown == known["okx"]
    assert (status.locked, status.ready, status.credentials) == (False, len(ENROLLED), len(ENROLLED))
    assert status.pid == room.agent.process.pid
    assert status.weaknesses == ["danger_accept_any_caller_time"]
