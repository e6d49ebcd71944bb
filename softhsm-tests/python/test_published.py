"""What the venues publish, through the whole road: token, keeper, agent, socket, client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from conftest import Room

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "official.jsonl"


def published(id: str) -> dict[str, Any]:
    rows = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    row: dict[str, Any] = next(row for row in rows if row["id"] == id)
    return row


@pytest.mark.parametrize("id", ["official/binance/order-query", "official/binance/order-unicode"])
@pytest.mark.parametrize("place", ["query", "form"])
def test_signs_the_examples_of_binance(room: Room, id: str, place: str) -> None:
    row = published(id)
    request = row["request"]
    with room.client() as client:
        pairs = request["params_list"]
        if place == "query":
            signed = client.sign("binance-main", request["method"], request["path"], query=pairs)
            text = urlsplit(signed.url).query
            assert signed.body == b""
        else:
            signed = client.sign("binance-main", request["method"], request["path"], form=pairs)
            text = signed.body.decode()
            assert signed.url == "https://api.binance.com/api/v3/order"
    assert text == f"{row['signing_input']}&signature={row['expected_signature']}"
    assert signed.method == "POST"
    assert signed.headers["X-MBX-APIKEY"] == row["credentials"]["apiKey"]


def test_signs_query_and_body_of_binance_one_behind_the_other(room: Room) -> None:
    row = published("official/binance/order-mixed")
    query, body = row["signing_input"].split("GTC")
    with room.client() as client:
        signed = client.sign(
            "binance-main",
            "POST",
            "/api/v3/order",
            query=parse_qsl(f"{query}GTC"),
            form=parse_qsl(body),
        )
    assert urlsplit(signed.url).query == f"{query}GTC"
    assert parse_qs(signed.body.decode())["signature"] == [row["expected_signature"]]


def test_signs_the_example_of_kraken(own: Room) -> None:
    # An agent of its own: after a nonce of today this one of 2021 would not be above the last.
    row = published("official/kraken/addorder")
    request = row["request"]
    with own.client() as client:
        signed = client.sign("kraken-main", request["method"], request["path"], form=parse_qsl(request["body"]))
    assert signed.url == "https://api.kraken.com/0/private/AddOrder"
    assert signed.body.decode() == request["body"]
    assert signed.headers == {
        "API-Key": "published-example",
        "API-Sign": row["expected_signature"],
        "Content-Type": "application/x-www-form-urlencoded",
    }
