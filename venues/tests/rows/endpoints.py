#!/usr/bin/env python3
"""Prints every endpoint for which the installed ccxt makes a signature, as `PROFILE METHOD PATH`.

ccxt is asked for the URL of each of its endpoints, offline; what a path has in braces becomes `X`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import ccxt  # type: ignore[import-untyped]

from make_rows import exchange
from table import VENUES

METHODS = ("get", "post", "put", "delete", "patch")
CRYPTO = ("hmac", "hash", "eddsa", "jwt", "ecdsa", "rsa")


def endpoints(tree: Any, section: tuple[str, ...] = ()) -> Iterator[tuple[list[str], str, str]]:
    """Section, method and path of everything in ccxt's tree of an API."""
    for name, below in tree.items():
        if name in METHODS:
            for path in below:
                yield list(section), name.upper(), path
        elif isinstance(below, dict):
            yield from endpoints(below, (*section, name))


def signed(made: Any, section: list[str], method: str, path: str) -> str:
    """The path of the URL, if the request is signed."""
    touched = []

    def recorder(compute: Any) -> Any:
        def record(*arguments: Any, **named: Any) -> Any:
            touched.append(compute)
            return compute(*arguments, **named)

        return record

    for name in CRYPTO:
        if hasattr(type(made), name):
            setattr(made, name, recorder(getattr(type(made), name)))
    made.options.pop("lastNonce", None)
    params: dict[str, Any] = {name: "X" for name in re.findall(r"{([^}]+)}", path)}
    if made.id == "ascendex":
        params |= {"account-group": "7", "account-category": "cash"}
    try:
        url = made.sign(path, section, method, params)["url"]
    except TypeError:  # ccxt 4.5.90 fails on a POST to the sub-accounts of bingx; its URL is that of a GET
        url = made.sign(path, section, "GET", params)["url"]
    except KeyError:  # a section of bingx that ccxt lists and has no host for
        return ""
    return urlsplit(url).path if touched else ""


INHERITING = ("binanceus",)
"""ccxt has them inherit the endpoints of another venue, most of which they do not have."""


def main() -> None:
    for profile, venue in sorted(VENUES.items()):
        if not venue.name or not venue.ships or profile in INHERITING or venue.version != ccxt.__version__:
            continue
        made = exchange(profile)
        found = {(method, signed(made, section, method, path)) for section, method, path in endpoints(made.api)}
        for method, path in sorted(found):
            if path:
                print(profile, method, path)


if __name__ == "__main__":
    main()
