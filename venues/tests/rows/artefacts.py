"""What a difference between ccxt and the engine may be: refusals that are the engine's rule, and artefacts of ccxt.

Each is a function of the request that says whether it is concerned, so that nothing else hides behind it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from table import VENUES

Row = dict[str, Any]


class Refusal(NamedTuple):
    """A class of requests that the engine does not sign, because two programs could read them differently."""

    message: str
    concerns: Callable[[Row], bool]


class Artefact(NamedTuple):
    """Something that ccxt for Python does and nobody should copy."""

    concerns: Callable[[Row], bool]
    parts: tuple[str, ...]
    """What of the request may differ then."""
    venues: tuple[str, ...] = ()
    """Where; everywhere if this is empty."""


def pairs(row: Row) -> Iterator[tuple[str, Any]]:
    """The parameters that go out, or are signed, as `name=value`."""
    request = row["request"]
    yield from ((name, value) for name, value in request["query"])
    if isinstance(request["body"], dict) and VENUES[row["exchange"]].body != "json":
        yield from request["body"].items()


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar and every empty container in a value."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if below:
        for inner in below:
            yield from leaves(inner)
    else:
        yield value


def is_container(value: Any) -> bool:
    return isinstance(value, (dict, list))


def without_parameters(row: Row) -> bool:
    return not row["request"]["query"] and not row["request"]["body"]


def has_null(row: Row) -> bool:
    """Where a list is written element by element, and at Kraken an object too, `null` is also in there."""
    if row["exchange"] == "kraken":
        return any(value is None for _, given in pairs(row) for value in leaves(given))
    return any(value is None for _, given in pairs(row) for value in (given, *(given if isinstance(given, list) else ())))


def has_empty_container(row: Row) -> bool:
    return any(is_container(value) and not value for _, given in pairs(row) for value in (given, *leaves(given)))


def breaks_a_raw_query(row: Row) -> bool:
    """A character that ends a parameter or a line, or that no URL has, where the venue takes it unescaped."""
    texts = (text for name, value in row["request"]["query"] for text in (name, str(value)))
    return VENUES[row["exchange"]].raw and any(re.search(r"[&#\s]|[^\x00-\x7f]", text) for text in texts)


REFUSALS = {
    "null has no text form": Refusal(r"is null, which", has_null),
    "an empty list or object vanishes": Refusal(r"is an empty (list|object), which", has_empty_container),
    "unescaped text breaks the query": Refusal(r"takes this part of the query unescaped", breaks_a_raw_query),
}


def writes_python(row: Row) -> bool:
    """ccxt writes a list or an object in a query or a form as Python does: `['a', None]`."""
    return any(
        is_container(value) and str(value) != json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        for _, value in pairs(row)
    )


def has_container(row: Row) -> bool:
    return any(is_container(value) for _, value in pairs(row))


def has_boolean(row: Row) -> bool:
    return any(isinstance(value, bool) for _, given in pairs(row) for value in leaves(given))


def has_boolean_or_null(row: Row) -> bool:
    return has_boolean(row) or any(value is None for _, given in pairs(row) for value in leaves(given))


def has_square_brackets(row: Row) -> bool:
    return any(bracket in str(value) for _, value in pairs(row) for bracket in "[]")


def has_more_than_ascii(row: Row) -> bool:
    return not json.dumps(row["request"]["body"], ensure_ascii=False).isascii()


def sorts_before_the_time(row: Row) -> bool:
    return any(name < "Timestamp" for name, _ in row["request"]["query"])


ANY = ("url", "body", "headers")
ARTEFACTS = {
    "a list or an object in a query or a form is written as Python shows it": Artefact(writes_python, ANY),
    "an empty list or object is signed, but not sent": Artefact(has_empty_container, ANY),
    "a list is signed as Python shows it, and sent element by element": Artefact(has_container, ANY, ("gate", "htx")),
    "a list is written as JSON, and not repeated": Artefact(has_container, ("url", "headers"), ("krakenfutures",)),
    "what is not ASCII is escaped in JSON": Artefact(has_more_than_ascii, ("body", "headers"), ("bitfinex1", "bittrex")),
    "True and False are Python's": Artefact(has_boolean, ANY, ("bithumb", "kraken", "poloniex-legacy")),
    "True, False and None are signed as Python's": Artefact(has_boolean_or_null, ("body",), ("cryptocom",)),
    "square brackets in a value are not escaped": Artefact(has_square_brackets, ("body", "headers"), ("kraken",)),
    "the four parameters of the signature are not sorted among the others, as the vendor says": Artefact(
        sorts_before_the_time, ("url",), ("htx",)
    ),
    "a POST without parameters has the body `{}`, or the content type of a body that is not there": Artefact(
        without_parameters,
        ("body", "headers"),
        ("bittrex", "bitvavo", "bybit", "gate", "krakenfutures", "mexc", "okx", "upbit", "upbit-hs512", "woo"),
    ),
}


def explain(row: Row, differing: set[str], error: str) -> str:
    """The name of what explains a difference; nothing if nothing does."""
    if error:
        refusals = ((name, refusal) for name, refusal in REFUSALS.items() if refusal.concerns(row))
        return next((name for name, refusal in refusals if re.search(refusal.message, error)), "")
    for name, artefact in ARTEFACTS.items():
        here = not artefact.venues or row["exchange"] in artefact.venues
        if here and artefact.concerns(row) and differing <= set(artefact.parts):
            return name
    return ""
