"""How one venue is asked of ccxt."""

from __future__ import annotations

from typing import Any, NamedTuple

from keys import KEY, TEXT

Endpoint = tuple[Any, str, str, str]
"""Section of ccxt's API, its path, the method, and where the parameters go: `query` or `body`."""


class Venue(NamedTuple):
    """A profile and the class of ccxt that speaks the same."""

    name: str
    """The class; nothing where `formulas.py` has the scheme."""
    endpoints: tuple[Endpoint, ...]
    version: str = "4.5.90"
    """The ccxt that has it: newer ones dropped venues, or older schemes of them."""
    key: str = KEY
    secret: str = TEXT
    passphrase: bool = False
    uid: str = ""
    """The user id, which ccxt has under several names."""
    command: str = ""
    """The parameter that says what is done, where all requests have one path."""
    raw: bool = False
    """The query goes out unescaped, so it holds only what needs no escape."""
    lists: bool = False
    """Lists may stand in a query (or in parameters that are signed like one)."""
    body: str = "json"
    """What a body may hold: `json`, `form` (no lists in it), or `flat` (JSON of texts and numbers)."""
    empty: bool = True
    """Whether a request with a body may have no parameters at all."""
    flags: bool = True
    """Whether ccxt for Python writes booleans as other languages do."""
    floats: bool = True
    """Whether numbers with a fraction may stand in it."""
    blank: bool = True
    """Whether ccxt takes an empty text."""
    ascii: bool = False
    """This ccxt escapes what is not ASCII in JSON, so there is none in its rows."""
    extra: tuple[str, ...] = ()
    """Headers in which ccxt names itself."""
    written: bool = True
    """Whether the row files are made by this program; the others came with the project."""
    ships: bool = True
    """Whether its profile ships; the rows of the others, whose profiles are tests, share one file."""
    more: bool = False
    """The rows that came with the project are few: `VENUE-more.jsonl` has more."""
    batch: Endpoint | None = None
    """An endpoint whose body is a list of orders."""
    tags: tuple[str, ...] = ()
    """Paths at which ccxt adds a broker's tag to the parameters: rows of these inform and do not bind."""


def both(api: Any, query: str, body: str, method: str = "POST") -> tuple[Endpoint, ...]:
    return ((api, query, "GET", "query"), (api, body, method, "body"))
