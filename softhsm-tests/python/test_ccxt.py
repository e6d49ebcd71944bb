"""What the agent signs, against what ccxt signs in its own process, for random requests at the same time."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import ccxt  # type: ignore[import-untyped]
import pytest

from conftest import Room
from credentials import CREDENTIALS
from strongroom import Client, Invalid, SignedRequest
from venues import EXCLUDED, VENUES, Params, Venue

REQUESTS = 120

NAMES = ("instId", "clOrdId", "pair", "limit", "after", "note", "qty", "px", "a b", "ünï", "x+y", "p%41", "q&r", "z[0]")
PLAIN_NAMES = NAMES[:8]
TEXTS = (
    "",
    "BTC-USDT",
    "0.00000001",
    "a b",
    "a+b",
    "100%",
    "%41%2B",
    "a&b=c#d?e/f",
    "漢字",
    "ü\u0301",
    "🦀",
    "~!*'()-_.$,;:@[]{}|\"q\"\\^`<>",
    "\t\n",
    "9" * 40,
)
ALPHABET = "abcXYZ019 +%&=#?/漢ü🦀\u0301~!*'()-_.$,;:@[]{}|\"\\^`<>\t\n"
INTEGERS = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))


class Requests:
    """Random parameters, of the kinds that agent and ccxt must write alike."""

    def __init__(self, venue: str) -> None:
        # A test that fails must fail again.
        self.random = random.Random(f"strongroom {venue}")
        self.venue = VENUES[venue]

    def text(self) -> str:
        length = self.random.randrange(12)
        return self.random.choice([*TEXTS, "".join(self.random.choices(ALPHABET, k=length))])

    def can_send(self, character: str) -> bool:
        """Whether a query or a form of this venue can be compared with this character in it."""
        if self.venue.raw:
            return character.isascii() and character.isprintable() and character not in "&# "
        return character not in self.venue.avoid

    def number(self) -> int | float:
        decimals = round(self.random.uniform(-1000, 1000), self.random.randrange(1, 6)) or 0.5
        return self.random.choice([self.random.choice(INTEGERS), self.random.getrandbits(60), decimals])

    def scalar(self) -> str | int | float:
        """What is written alike in a query and in a form."""
        if self.random.random() < 0.4:
            return self.number()
        return "".join(filter(self.can_send, self.text()))

    def json(self, depth: int = 0) -> Any:
        kind = self.random.randrange(8 if depth < 3 else 6)
        if kind == 7:
            return [self.json(depth + 1) for _ in range(self.random.randrange(4))]
        if kind == 6:
            return {name: self.json(depth + 1) for name in self.names(self.random.randrange(4), NAMES)}
        return [self.text(), self.text(), self.number(), self.number(), self.random.random() < 0.5, None][kind]

    def value(self, depth: int = 0) -> Any:
        """A value of a query or of a form. No list and no object in it is empty."""
        kind = self.random.random()
        if not self.venue.nested:
            return self.random.choice([True, False]) if kind < 0.1 else self.scalar()
        if depth == 2 or kind < 0.7:
            return self.scalar()
        count = self.random.randrange(1, 4)
        if kind < 0.85:
            return [self.value(depth + 1) for _ in range(count)]
        return {name: self.value(depth + 1) for name in self.names(count, PLAIN_NAMES)}

    def names(self, count: int, among: tuple[str, ...]) -> list[str]:
        return self.random.sample(among, count)

    def pairs(self) -> Params:
        """Parameters of a query or of a form."""
        names = PLAIN_NAMES if self.venue.raw or self.venue.avoid else NAMES
        return {name: self.value() for name in self.names(self.random.randrange(7), names)}

    def body(self) -> Params:
        """Parameters of a JSON body."""
        count = self.random.randrange(0 if self.venue.empty else 1, 7)
        return {name: self.json() for name in self.names(count, NAMES)}


def exchange(name: str) -> Any:
    """An exchange of ccxt that never asks the network for anything."""
    credential = CREDENTIALS[name]
    keys = {"apiKey": credential.key_id, "secret": credential.secret, "password": credential.passphrase or ""}
    made = getattr(ccxt, name.removesuffix("-rsa"))(keys)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("ccxt wants the network")

    made.fetch = made.load_markets = refuse
    return made


def by_ccxt(made: Any, venue: Venue, path: str, method: str, params: Params, time_ms: int) -> tuple[Any, ...]:
    """What ccxt would send at that time."""
    made.milliseconds = lambda: time_ms
    made.seconds = lambda: time_ms // 1000
    api = venue.api if isinstance(venue.api, list) else [venue.api]
    # ccxt may change what it is given.
    sent = made.sign(path, api, method, deepcopy(params))
    headers = {name: value for name, value in sent["headers"].items() if name not in venue.extra}
    return sent["method"], sent["url"], headers, sent["body"] or ""


def by_agent(client: Client, name: str, path: str, method: str, params: Params, in_body: bool) -> SignedRequest:
    venue = VENUES[name]
    path = venue.prefix + path
    if not in_body:
        return client.sign(name, method, path, query=params)
    if venue.form:
        return client.sign(name, method, path, form=params)
    if not params and name in ("coinbaseexchange", "kucoin", "poloniex"):
        return client.sign(name, method, path)  # ccxt sends no body where there are no parameters
    return client.sign(name, method, path, json=params)


@pytest.mark.parametrize("name", VENUES)
def test_signs_what_ccxt_signs(room: Room, name: str) -> None:
    venue, requests, made = VENUES[name], Requests(name), exchange(name)
    endpoints = [(path, method, False) for path, method in venue.query.items()]
    endpoints += [(path, method, True) for path, method in venue.body.items()]
    characters: set[str] = set()
    with room.client() as client:
        for number in range(REQUESTS):
            path, method, in_body = endpoints[number % len(endpoints)]
            params = requests.body() if in_body and not venue.form else requests.pairs()
            signed = by_agent(client, name, path, method, params, in_body)
            ours = (signed.method, signed.url, signed.headers, signed.body.decode())
            theirs = by_ccxt(made, venue, path, method, params, venue.time_ms(signed))
            assert ours == theirs, f"{name} {method} {path} {params!r}"
            characters |= set("".join(map(str, params.values())))
    # The generator does what it is for.
    assert set("%+/=" if venue.raw else "漢🦀% +&") <= characters


def test_signs_json_orders_of_kraken_as_ccxt_does(room: Room) -> None:
    made, venue = exchange("kraken"), VENUES["kraken"]
    with room.client() as client:
        orders: list[tuple[str, Params]] = [
            ("AddOrder", {"pair": "XBTUSD", "price": "+2.5%", "volume": 1.5, "note": "漢 +%"}),
            ("AddOrder", {"price": "#5%", "validate": True, "close": {"price": "1", "legs": []}}),
            ("AddOrderBatch", {"pair": "XBTUSD", "orders": [{"price": "1", "reduce_only": False}, {"volume": None}]}),
            ("CancelOrderBatch", {"orders": ["OYVGEW-VYV5B-UUEXSK", 7]}),
        ]
        for path, params in orders:
            signed = client.sign("kraken", "POST", f"/0/private/{path}", json=params)
            ours = (signed.method, signed.url, signed.headers, signed.body.decode())
            assert ours == by_ccxt(made, venue, path, "POST", params, venue.time_ms(signed))


@pytest.mark.parametrize("name", EXCLUDED)
def test_differs_where_it_is_said_to(room: Room, name: str) -> None:
    _, id, path, params = EXCLUDED[name]
    venue, made = VENUES[id], exchange(id)
    in_body = path not in venue.query
    method = venue.query.get(path, "POST")
    time_ms = 1499827319559
    with room.client() as client:
        try:
            signed = by_agent(client, id, path, method, params, in_body)
        except Invalid:
            ours: object = "refused"
        else:
            time_ms = venue.time_ms(signed)
            ours = (signed.method, signed.url, signed.headers, signed.body.decode())
    try:
        theirs: object = by_ccxt(made, venue, path, method, params, time_ms)
    except TypeError:  # its JSON library
        theirs = "impossible"
    assert ours != theirs


@pytest.mark.parametrize("name", ["bybit", "kucoin"])
@pytest.mark.parametrize("character", list("&# 漢\n"))
def test_refuses_what_a_raw_query_cannot_hold(room: Room, name: str, character: str) -> None:
    path = next(iter(VENUES[name].query))
    with room.client() as client:
        assert client.sign(name, "GET", f"/{path}", query={"note": "ab"}).url.endswith("?note=ab")
        with pytest.raises(Invalid):
            client.sign(name, "GET", f"/{path}", query={"note": f"a{character}b"})
