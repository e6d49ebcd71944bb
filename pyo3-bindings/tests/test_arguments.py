"""What Python programs pass in, and what the agent then gets."""

from __future__ import annotations

import enum
import json
import math
import random
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from strongroom import Client, Invalid, SignRequest

from .conftest import Agent


class Side(str, enum.Enum):
    BUY = "BUY"


class Level(enum.IntEnum):
    LOW = 7


class Own(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        return {"b": "2", "a": 1}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["b", "a"])

    def __len__(self) -> int:
        return 2


VALUES: list[tuple[Any, tuple[str, str]]] = [
    ("LTCBTC", ("text", "LTCBTC")),
    ("", ("text", "")),
    ("ünï &=?\n", ("text", "ünï &=?\n")),
    (Side.BUY, ("text", "BUY")),
    (5, ("json", "5")),
    (-(2**63), ("json", "-9223372036854775808")),
    (2**70, ("json", "1180591620717411303424")),
    (Level.LOW, ("json", "7")),
    (True, ("json", "true")),
    (False, ("json", "false")),
    (None, ("json", "null")),
    (1.0, ("json", "1.0")),
    (-0.0, ("json", "-0.0")),
    (0.1, ("json", "0.1")),
    (1e-7, ("json", "0.0000001")),
    (1e15, ("json", "1000000000000000.0")),
    (1e16, ("json", "10000000000000000")),
    (1.5e300, ("json", "15" + "0" * 299)),
    (Decimal("0.10"), ("json", "0.10")),
    (Decimal("1E+3"), ("json", "1000")),
    (Decimal("-1E-8"), ("json", "-0.00000001")),
    ([1, "a", None], ("json", '[1,"a",null]')),
    ((1, 2.5), ("json", "[1,2.5]")),
    ({"b": [True], "a": {}}, ("json", '{"b":[true],"a":{}}')),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: repr(value)[:40])
def test_writes_each_kind_of_value(agent: Agent, value: Any, expected: tuple[str, str]) -> None:
    room = Client(timeout=60)
    room.sign("c", "POST", "/x", query=[("q", value)], form={"f": value})
    assert agent.seen[-1].query == [("q", expected)]
    assert agent.seen[-1].form == [("f", expected)]


def test_writes_floats_as_decimal_does(agent: Agent) -> None:
    chance = random.Random(2)
    floats = [struct.unpack("<d", chance.randbytes(8))[0] for _ in range(300)]
    floats += [chance.uniform(-1e6, 1e6) for _ in range(300)] + [10.0**power for power in range(-30, 30)]
    floats = [number for number in floats if math.isfinite(number)]
    room = Client(timeout=60)
    for at in range(0, len(floats), 50):
        some = floats[at : at + 50]
        room.sign("c", "GET", "/", query=[(str(nth), number) for nth, number in enumerate(some)])
        written = [text for _, (_, text) in agent.seen[-1].query]
        assert written == [format(Decimal(repr(number)), "f") for number in some]


@pytest.mark.parametrize(
    "pairs",
    [
        {"b": "2", "a": 1},
        OrderedDict([("b", "2"), ("a", 1)]),
        MappingProxyType({"b": "2", "a": 1}),
        Own(),
        [("b", "2"), ("a", 1)],
        [["b", "2"], ["a", 1]],
        (("b", "2"), ("a", 1)),
        {"b": "2", "a": 1}.items(),
        (pair for pair in [("b", "2"), ("a", 1)]),
    ],
    ids=lambda pairs: type(pairs).__name__,
)
def test_keeps_the_order_of_pairs(agent: Agent, pairs: Any) -> None:
    Client(timeout=60).sign("c", "GET", "/", query=pairs)
    assert agent.seen[0].query == [("b", ("text", "2")), ("a", ("json", "1"))]


def test_keeps_pairs_of_the_same_name(agent: Agent) -> None:
    Client(timeout=60).sign("c", "GET", "/", query=[("a", "1"), ("a", "2")])
    assert [value for _, (_, value) in agent.seen[0].query] == ["1", "2"]


def test_tells_a_form_without_parameters_from_no_body(agent: Agent) -> None:
    room = Client(timeout=60)
    room.sign("c", "POST", "/", form={})
    room.sign("c", "POST", "/")
    assert [(request.form, request.json) for request in agent.seen] == [([], None), (None, None)]


@pytest.mark.parametrize(
    "value",
    [
        {"price": "0.1", "nested": [{"ü": [1, -2, True, None]}, []], "text": 'a"\\\b\f\n\r\t\x00\x1f\x7fé😀/'},
        [],
        {},
        [[], {}, ""],
        5,
        True,
        {"a": ("t", "u")},
    ],
    ids=repr,
)
def test_writes_json_as_the_standard_library_does(agent: Agent, value: Any) -> None:
    Client(timeout=60).sign("c", "POST", "/", json=value)
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    assert agent.seen[0].json == expected.encode()


def test_writes_numbers_in_json_in_full(agent: Agent) -> None:
    Client(timeout=60).sign("c", "POST", "/", json={"a": 1e-8, "b": Decimal("1.10"), "c": 1e22, "d": 2**80})
    assert agent.seen[0].json == b'{"a":0.00000001,"b":1.10,"c":10000000000000000000000,"d":1208925819614629174706176}'


def test_sends_ready_bytes_as_they_are(agent: Agent) -> None:
    Client(timeout=60).sign("c", "POST", "/", json=b'{ "a" : 1 }')
    assert agent.seen[0].json == b'{ "a" : 1 }'


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)

REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"query": "a=1"}, TypeError, "query: give a mapping or a list of pairs, not str"),
    ({"form": b"a=1"}, TypeError, "form: give a mapping or a list of pairs, not bytes"),
    ({"query": 5}, TypeError, "query: give a mapping or a list of pairs, not int"),
    ({"query": ["ab"]}, TypeError, "query: each item must be a pair of name and value"),
    ({"query": [("a", 1, 2)]}, TypeError, "query: each item must be a pair of name and value"),
    ({"form": {1: "a"}}, TypeError, "form: a name must be str, not int"),
    ({"query": {"a": object()}}, TypeError, "query: object has no JSON form"),
    ({"query": {"a": b"x"}}, TypeError, "query: bytes has no JSON form"),
    ({"query": {"a": {1, 2}}}, TypeError, "query: set has no JSON form"),
    ({"query": {"a": math.nan}}, ValueError, "query: NaN is not a number that can be sent"),
    ({"query": {"a": -math.inf}}, ValueError, "query: -inf is not a number that can be sent"),
    ({"query": {"a": Decimal("NaN")}}, ValueError, "query: NaN is not a number that can be sent"),
    ({"query": {"a": Decimal("sNaN")}}, ValueError, "query: sNaN is not a number that can be sent"),
    ({"query": {"a": Decimal("1E+999999")}}, ValueError, "query: 1E+999999 is not a number that can be sent"),
    ({"json": {"a": math.nan}}, ValueError, "json: NaN is not a number that can be sent"),
    ({"json": {1: 2}}, TypeError, "json: a name must be str, not int"),
    ({"json": {"a": [object()]}}, TypeError, "json: object has no JSON form"),
    ({"json": '{"a":1}'}, TypeError, "json: give ready JSON as bytes, or the value itself, not str"),
    ({"json": bytearray(b"{}")}, TypeError, "json: bytearray has no JSON form"),
    ({"json": CIRCLE}, ValueError, "json: nested deeper than 64"),
    ({"form": {}, "json": {}}, TypeError, "a request has form or json, not both"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_refuses_what_it_cannot_send(
    agent: Agent, arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    for make in (Client(timeout=60).sign, SignRequest):
        with pytest.raises(kind) as caught:
            make("c", "POST", "/", **arguments)
        assert (type(caught.value), str(caught.value)) == (kind, message)
    assert agent.connections == 0


def test_refuses_text_that_is_no_unicode(agent: Agent) -> None:
    cases: list[dict[str, Any]] = [
        {"query": {"a": "\ud800"}},
        {"json": {"a": "\ud800"}},
        {"form": {"\ud800": "a"}},
    ]
    for arguments in cases:
        with pytest.raises(UnicodeEncodeError):
            Client(timeout=60).sign("c", "POST", "/", **arguments)
    assert agent.connections == 0


def test_passes_on_what_an_argument_raises(agent: Agent) -> None:
    def pairs() -> Iterator[tuple[str, str]]:
        yield "a", "1"
        raise LookupError("no price")

    with pytest.raises(LookupError, match="^'?no price'?$"):
        Client(timeout=60).sign("c", "POST", "/", query=pairs())
    assert agent.connections == 0


def test_refuses_positional_and_untyped_arguments(agent: Agent) -> None:
    room: Any = Client(timeout=60)
    cases: list[tuple[Any, ...]] = [
        ("c", "POST"),
        ("c", "POST", "/", {}),
        (1, "POST", "/"),
        ("c", b"POST", "/"),
        ("c", "POST", None),
    ]
    for arguments in cases:
        with pytest.raises(TypeError):
            room.sign(*arguments)
    assert agent.connections == 0


def test_refuses_a_request_longer_than_a_frame(agent: Agent) -> None:
    room = Client(timeout=60)
    with pytest.raises(Invalid) as caught:
        room.sign("c", "POST", "/", form={"a": "x" * 70_000})
    assert caught.value.code == "Invalid"
    assert room.sign("c", "POST", "/").method == "POST"
    assert agent.connections == 1
