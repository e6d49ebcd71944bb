#!/usr/bin/env python3
"""Makes rows of signing vectors by running ccxt offline, with clock and randomness frozen.

    make_rows.py write FOLDER        the row files of every venue that the installed ccxt is for
    make_rows.py check FOLDER        whether FOLDER has exactly these files
    make_rows.py random COUNT SEED   COUNT rows of random requests for each such venue, on standard output

The same ccxt gives the same bytes. `table.py` says which one a venue is asked of; ccxt 4.5.90 knows most of
them. For another version: pip install --no-deps --target DIR ccxt==VERSION, and PYTHONPATH=DIR.
"""

from __future__ import annotations

import json
import random
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ccxt  # type: ignore[import-untyped]

import hyperliquid_rows
from asked import Endpoint, Venue
from formulas import FORMULAS
from table import VENUES

FROZEN: dict[str, Any] = {
    "time_ms": 1754000123456,
    "uuid": "3f2b8c1e-5d4a-4b7c-9e6f-0a1b2c3d4e5f",
    "uuid16": "5d4a4b7c9e6f0a1b",
    "uuid22": "3f2b8c1e5d4a4b7c9e6f0a",
    "random_hex16": "d00dfeedcafef00d1122334455667788",
}
PASSPHRASE = "TestPass phrase+1"
OTHERS = "ccxt-further"
Params = Any

ORDER = {"symbol": "BTC_USDT", "side": "BUY", "quantity": "0.00100000", "price": "61234.50"}
SPECIAL = {"client": "a b+c/d=e&f?g#h%i", "note": "漢字 ü🦀", "tail": "%41%2B~!*'()-_.", "empty": ""}
PLAIN = {"client": "a+b/c=d:e,f%20%41", "note": "~!*'()-_.$", "empty": ""}
NUMBERS = {"big": 9007199254740993, "least": -(2**63), "zero": 0, "price": 61234.5, "flag": True}
NESTED = {
    "orders": [{"id": "1", "legs": [1, 2.5, "x"]}, {"id": "2", "options": {"post": True, "tag": "a b"}}],
    "nothing": None,
    "none": [],
    "text": "\"quoted\" \\ /\t\n漢",
}
LISTS = {"symbol": "BTC_USDT", "ids": ["1", "b", "3"], "levels": [1, 2]}


def exchange(profile: str) -> Any:
    """An exchange that knows no network and always has the same time."""
    venue = VENUES[profile]
    speaks: Any = getattr(ccxt, venue.name) if venue.name else FORMULAS[profile]
    made = speaks(credentials(profile))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("ccxt wants the network")

    made.fetch = made.load_markets = refuse
    time = FROZEN["time_ms"]
    made.milliseconds = lambda: time
    made.seconds = lambda: time // 1000
    made.microseconds = lambda: time * 1000
    if venue.version == "1.20.1":
        made.nonce = made.seconds
    if profile == "bigone":
        made.options["exchangeMillisecondsCorrection"] = 0
    # What ccxt calls otherwise.
    if profile in ("aster", "revolutx"):
        made.privateKey = venue.secret
    if profile == "modetrade":
        made.accountId = venue.uid
    made.random_bytes = lambda length: FROZEN["random_hex16"] if length == 16 else refuse()
    for name in ("uuid", "uuid16", "uuid22"):
        setattr(made, name, lambda *_, text=FROZEN[name]: text)
    return made


def credentials(profile: str) -> dict[str, str]:
    venue = VENUES[profile]
    keys = {"apiKey": venue.key, "secret": venue.secret}
    if venue.passphrase:
        keys["password"] = PASSPHRASE
    if venue.uid:
        keys["uid"] = venue.uid
    return keys


class Tape:
    """The texts that an exchange signs and hashes."""

    def __init__(self, made: Any) -> None:
        self.texts: list[dict[str, str]] = []
        for name in ("hmac", "hash", "eddsa", "rsa"):
            made.__dict__.pop(name, None)  # the recorder of another request
            if hasattr(made, name):
                setattr(made, name, self.recorder(name, getattr(made, name)))

    def recorder(self, name: str, compute: Any) -> Any:
        def record(request: Any, *arguments: Any, **named: Any) -> Any:
            data = request if isinstance(request, bytes) else str(request).encode()
            try:
                text = {"fn": name, "input": data.decode()}
            except UnicodeDecodeError:
                text = {"fn": name, "input_hex": data.hex()}
            self.texts.append(text)
            return compute(request, *arguments, **named)

        return record


def row(made: Any, profile: str, id: str, endpoint: Endpoint, params: Params) -> dict[str, Any]:
    venue = VENUES[profile]
    api, path, method, place = endpoint
    tape = Tape(made)
    if isinstance(made.options, dict):
        made.options.pop("lastNonce", None)  # of another request
    given = deepcopy(params)
    if "accountGroup" in api or "accountCategory" in api:
        given |= {"account-group": 7, "account-category": "cash"}
    # Since 4.5 a section of ccxt's API is always a list.
    section = [api] if isinstance(api, str) and venue.version == "4.5.90" else api
    signed = made.sign(path, section, method, given)
    url = urlsplit(signed["url"])
    asked = deepcopy(params)
    if venue.command:
        asked = {venue.command: path, **asked}
    if profile == "aster":
        # ccxt writes the last byte of a signature in capitals: the same number.
        for member in ("url", "body"):
            front, mark, signature = (signed[member] or "").rpartition("&signature=")
            signed[member] = front + mark + signature.lower() if mark else signed[member]
    # What stands for no parameters is the profile's to say.
    body = asked if place == "body" and asked else None
    made_row = {
        "id": id,
        "exchange": profile,
        "credentials": credentials(profile),
        "frozen": FROZEN,
        "request": {
            "method": method,
            "base_url": f"{url.scheme}://{url.netloc}",
            "path": url.path,
            "query": [[name, value] for name, value in asked.items()] if place == "query" else [],
            "body": body,
        },
        "expected": {
            "url": signed["url"],
            "method": signed["method"],
            "headers": signed["headers"] or {},
            "body": signed["body"] or None,
        },
        "compare": "exact",
        "optional_headers": [name.lower() for name in venue.extra],
        "signing_tape": tape.texts,
        "source": {"kind": "ccxt", "version": ccxt.__version__, "class": venue.name, "path": path}
        if venue.name
        else {"kind": "formula", "path": path},
    }
    if path in venue.tags:
        made_row["quirk"] = "ccxt adds a tag of its own to the parameters"
    return made_row


def fixed(venue: Venue, place: str) -> dict[str, Params]:
    """The parameters of the rows that are written, by what they show."""
    numbers = {name: value for name, value in NUMBERS.items() if allowed(venue, value)}
    text = PLAIN if venue.raw and place == "query" else SPECIAL
    if venue.ascii:
        text = {name: value.encode("ascii", "ignore").decode() for name, value in text.items()}
    kinds: dict[str, Params] = {"order": ORDER, "special": text, "numbers": numbers}
    if not venue.blank:
        kinds["special"] = {name: value for name, value in text.items() if value}
    if place == "query" or venue.empty:
        kinds["empty"] = {}
    if place == "body" and venue.body == "json":
        kinds["nested"] = NESTED | ({"text": "\t"} if venue.ascii else {})
    if venue.lists and (place == "query" or venue.body != "json"):
        kinds["lists"] = LISTS
    return kinds


def allowed(venue: Venue, value: object) -> bool:
    if isinstance(value, bool):
        return venue.flags
    return venue.floats or not isinstance(value, float)


def written(profile: str) -> str:
    """A venue's row file."""
    venue, lines = VENUES[profile], []
    made = exchange(profile)
    names: set[str] = set()
    for endpoint in venue.endpoints:
        name = f"{endpoint[2]} {endpoint[1]}"
        if name in names:
            # Of another section of the venue's.
            name = f"{endpoint[2]} {'/'.join(endpoint[0])}/{endpoint[1]}"
        names.add(name)
        for kind, params in fixed(venue, endpoint[3]).items():
            id = f"{profile}/{name} {kind}"
            lines.append(json.dumps(row(made, profile, id, endpoint, params), ensure_ascii=False))
    if venue.batch:
        batch = [ORDER, {**ORDER, "clientId": 7, "postOnly": True}, {"symbol": "a b+c&d=e"}]
        made_row = row(made, profile, f"{profile}/batch", venue.batch, batch)
        lines.append(json.dumps(made_row, ensure_ascii=False))
    return "\n".join(lines) + "\n"


class Requests:
    """Random parameters: everything that a bot may ask for, and more than a venue takes."""

    NAMES = ("instId", "clOrdId", "pair", "limit", "after", "note", "qty", "px", "aMount", "B", "_x", "tif")
    ALPHABET = "abcXYZ019 +%&=#?/漢ü🦀\u0301~!*'()-_.$,;:@[]{}|\"\\^`<>\t\n"
    TEXTS = ("", "BTC-USDT", "0.00000001", "a b", "100%", "%41%2B", "a&b=c#d?e/f", "漢字", "9" * 40)
    INTEGERS = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))

    def __init__(self, profile: str, seed: int) -> None:
        self.random = random.Random(f"strongroom {profile} {seed}")

    def scalar(self) -> Any:
        kind = self.random.random()
        if kind < 0.25:
            return self.random.choice([*self.INTEGERS, self.random.getrandbits(60)])
        if kind < 0.35:
            return round(self.random.uniform(-1000, 1000), self.random.randrange(1, 6)) or 0.5
        if kind < 0.4:
            return self.random.random() < 0.5
        made = "".join(self.random.choices(self.ALPHABET, k=self.random.randrange(12)))
        return self.random.choice([*self.TEXTS, made, made])

    def json(self, depth: int = 0) -> Any:
        kind = self.random.randrange(8 if depth < 3 else 6)
        if kind == 7:
            return [self.json(depth + 1) for _ in range(self.random.randrange(4))]
        if kind == 6:
            return {name: self.json(depth + 1) for name in self.names(3)}
        return None if kind == 5 else self.scalar()

    def names(self, most: int) -> list[str]:
        return self.random.sample(self.NAMES, self.random.randrange(most + 1))

    def params(self, nested: float) -> Params:
        """Nested values are most of what JSON has, and the exception in a query."""
        deep = self.random.random() < nested
        params: Params = {name: self.json() if deep else self.scalar() for name in self.names(6)}
        if not deep and self.random.random() < 0.15:
            params["list"] = [self.random.choice(["a", "b c", "7"]) for _ in range(self.random.randrange(1, 4))]
        return params


def random_rows(profile: str, count: int, seed: int) -> list[dict[str, Any]]:
    requests, made = Requests(profile, seed), exchange(profile)
    rows: list[dict[str, Any]] = []
    endpoints = [endpoint for endpoint in VENUES[profile].endpoints if endpoint[1] not in VENUES[profile].tags]
    while len(rows) < count:
        endpoint = endpoints[len(rows) % len(endpoints)]
        params = requests.params(0.7 if endpoint[3] == "body" and VENUES[profile].body == "json" else 0.15)
        try:
            rows.append(row(made, profile, f"{profile}/{len(rows)}", endpoint, params))
        except (AttributeError, TypeError, UnicodeError):
            # ccxt itself fails: on nested values, and 4.0.100 on what is not in Latin-1.
            if profile not in ("bithumb", "bittrex", "cryptocom"):
                raise
    return rows


def main(arguments: list[str]) -> int:
    here = [name for name, venue in VENUES.items() if venue.version == ccxt.__version__]
    match arguments:
        case ["write" | "check" as task, folder]:
            stale = []
            texts = {}
            others = [written(name) for name in here if not VENUES[name].ships]
            if others:
                texts[OTHERS] = "".join(others)
            for name in (name for name in here if VENUES[name].ships):
                if VENUES[name].written or VENUES[name].more:
                    texts[f"{name}{'' if VENUES[name].written else '-more'}"] = written(name)
            if hyperliquid_rows.VERSION == ccxt.__version__:
                texts["hyperliquid"] = hyperliquid_rows.written(FROZEN)
            for name, text in texts.items():
                file = Path(folder) / f"{name}.jsonl"
                if task == "write":
                    file.write_text(text)
                elif not file.is_file() or file.read_text() != text:
                    stale.append(str(file))
            for name in stale:
                print(f"{name} is not what ccxt {ccxt.__version__} gives", file=sys.stderr)
            return 1 if stale else 0
        case ["random", count, seed]:
            # RSA takes ccxt 40 ms a row, and signs the texts that the venue signs by HMAC.
            for name in (name for name in here if VENUES[name].ships and not name.endswith("-rsa")):
                for made in random_rows(name, int(count), int(seed)):
                    print(json.dumps(made, ensure_ascii=False))
            if hyperliquid_rows.VERSION == ccxt.__version__:
                value = Requests("whitebit", int(seed)).json  # which takes any JSON
                for made in hyperliquid_rows.random_rows(int(count), int(seed), FROZEN, value):
                    print(json.dumps(made, ensure_ascii=False))
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
