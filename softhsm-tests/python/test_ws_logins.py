"""WebSocket logins of every venue that has rows of them, by the wheel and by the command line.

The agent gives the time itself, so a login never has the bytes of a row. It must be the row with other times, and its
signature must be that of the row's text with the same other times, computed here.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import conftest
from conftest import Room
from installation import Credential
from strongroom import Denied, Invalid, NotFound

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
# Farther from now than any venue puts the end of a login.
BOUND_S = 600


class Login(NamedTuple):
    """What came by either road."""

    frame: Any
    headers: dict[str, str]


class Row(NamedTuple):
    """One login that was signed elsewhere, with its clock frozen."""

    id: str
    venue: str
    credentials: dict[str, str]
    name: str | None
    params: dict[str, Any]
    expected: Login
    signed: str | None


def rows() -> Iterator[Row]:
    for path in sorted(VECTORS.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            request = row.get("request") or {}
            if request.get("kind") != "ws":
                continue
            expected = Login(row["expected"]["ws_frame"], row["expected"].get("headers") or {})
            if isinstance(expected.frame, dict):
                expected.frame.pop("url", None)  # ccxt's own note, which is not sent
            tape = (step["input"] for step in row.get("signing_tape", []) if "input" in step)
            params = request.get("params") or {}
            login = request.get("login")
            yield Row(row["id"], row["exchange"], row["credentials"], login, params, expected, next(tape, None))


# `session.logon` with an HMAC key: Binance takes it with Ed25519 keys only, and the profile has none.
NOT_OURS = {"binance/ws_session_logon_params"}
ROWS = {row.id: row for row in rows() if row.id not in NOT_OURS}

Sign = Callable[[str, str], str]


def mac(digest: str, form: str = "hex", decode: bool = False) -> Sign:
    def sign(secret: str, text: str) -> str:
        key = base64.b64decode(secret) if decode else secret.encode()
        made = hmac.new(key, text.encode(), digest)
        return made.hexdigest() if form == "hex" else base64.b64encode(made.digest()).decode()

    return sign


def ed25519(secret: str, text: str) -> str:
    # A seed in base64, or at the end of a PEM block.
    lines = [line for line in secret.splitlines() if not line.startswith("-")]
    seed = base64.b64decode("".join(lines))[-32:]
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())).decode()


def kraken_futures(secret: str, text: str) -> str:
    made = hmac.new(base64.b64decode(secret), hashlib.sha256(text.encode()).digest(), "sha512")
    return base64.b64encode(made.digest()).decode()


SIGN: dict[str, Sign] = {
    "backpack": ed25519,
    "binance": mac("sha256"),
    "binance-ed25519": ed25519,
    "bitfinex": mac("sha384"),
    "bitget": mac("sha256", "base64"),
    "bitvavo": mac("sha256"),
    "bybit": mac("sha256"),
    "coinbase-legacy": mac("sha256"),
    "coinbaseexchange": mac("sha256", "base64", decode=True),
    "cryptocom": mac("sha256"),
    "deribit": mac("sha256"),
    "gate": mac("sha512"),
    "gemini": mac("sha384"),
    "htx": mac("sha256", "base64"),
    "krakenfutures": kraken_futures,
    "mexc": mac("sha256"),
    "okx": mac("sha256", "base64"),
    "phemex": mac("sha256"),
    "poloniex": mac("sha256", "base64"),
    "woo": mac("sha256"),
}
TOKENS = ("bithumb", "upbit")


def test_has_rows_of_every_venue_that_it_knows() -> None:
    assert {row.venue for row in ROWS.values()} == {*SIGN, *TOKENS}


def credential(row: Row) -> Credential:
    given = row.credentials
    name = re.sub("[^a-z0-9]", "-", row.venue)
    return Credential(name, row.venue, given["apiKey"], given["secret"], given.get("password"))


@pytest.fixture(scope="module")
def sockets() -> Iterator[Room]:
    with conftest.installed() as room:
        venues = {row.venue: row for row in ROWS.values()}
        for row in venues.values():
            room.installation.enroll(credential(row))
        room.installation.lock()
        room.installation.unlock()
        yield room


def by_wheel(room: Room, row: Row) -> Login:
    with room.client() as client:
        login = client.ws_login(credential(row).name, row.name, params=row.params)
    return Login(json.loads(login.frame) if login.frame else None, login.headers)


def by_command(room: Room, row: Row) -> Login:
    words = ["ws-login", credential(row).name, *(["--name", row.name] if row.name else [])]
    for name, value in row.params.items():
        words += ["--param", f"{name}={value}" if isinstance(value, str) else f"{name}:={json.dumps(value)}"]
    told = json.loads(room.installation.must(words))
    return Login(json.loads(told["frame"]) if told["frame"] else None, told["headers"])


ROADS = {"wheel": by_wheel, "command": by_command}


def leaves(value: Any, at: str = "") -> dict[str, str]:
    """Each text and number in it, by where it stands."""
    if isinstance(value, dict):
        parts = [leaves(member, f"{at}.{name}") for name, member in value.items()]
    elif isinstance(value, list):
        parts = [leaves(member, f"{at}.{index}") for index, member in enumerate(value)]
    else:
        return {at: json.dumps(value)}
    return {place: text for part in parts for place, text in part.items()}


def is_time(text: str) -> bool:
    """Of the second in which the rows were frozen, or of what a venue adds to it."""
    number = text.strip('"').removeprefix("AUTH")
    return number.startswith("1754000") or text.startswith('"2025-07-31T22:15:23')


def seconds(text: str) -> float:
    text = text.strip('"').removeprefix("AUTH")
    if not text.isdecimal():
        return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    number = float(text)
    while number > 1e11:
        number /= 1000
    return number


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("id", [id for id, row in ROWS.items() if row.venue in SIGN])
def test_logs_in_as_the_row_does_with_the_times_of_now(sockets: Room, id: str, road: str) -> None:
    row = ROWS[id]
    login = ROADS[road](sockets, row)
    expected, found = leaves(row.expected._asdict()), leaves(login._asdict())
    assert expected.keys() == found.keys(), (row.expected, login)
    assert row.signed is not None
    if row.venue == "gemini":
        # The text that is signed is itself a header: base64 of JSON with a nonce.
        payload, signature = login.headers["X-GEMINI-PAYLOAD"], login.headers["X-GEMINI-SIGNATURE"]
        told = json.loads(base64.b64decode(payload))
        assert told["request"] == "/v1/order/events" and abs(seconds(str(told["nonce"])) - time.time()) < BOUND_S
        assert signature == SIGN["gemini"](row.credentials["secret"], payload)
        return
    # A time of the row stands in the text that it has signed; every other member but the signature stays.
    text, signatures = row.signed, []
    for place, was in expected.items():
        now = found[place]
        if is_time(was):
            assert abs(seconds(now) - time.time()) < BOUND_S, (place, now)
            for old, new in ((was, now), (was.replace(":", "%3A"), now.replace(":", "%3A"))):
                text = text.replace(old.strip('"'), new.strip('"'))
        elif was != now:
            signatures.append(now.strip('"'))
    signature = SIGN[row.venue](row.credentials["secret"], text)
    if "1754000" in row.signed or "2025-07-31" in row.signed:
        assert text != row.signed, "no time was changed, so nothing was compared"
        assert signatures == [signature]
    else:
        # A challenge: the same each time.
        assert signatures == [] and json.dumps(signature) in found.values()


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("venue", TOKENS)
def test_makes_the_token_of_the_handshake(sockets: Room, venue: str, road: str) -> None:
    row = next(row for row in ROWS.values() if row.venue == venue)
    login = ROADS[road](sockets, row)
    assert login.frame is None and [name.lower() for name in login.headers] == ["authorization"]
    assert row.expected.headers.keys() == {name.lower() for name in login.headers}
    head, claims, signature = next(iter(login.headers.values())).removeprefix("Bearer ").split(".")

    def opened(part: str) -> Any:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    assert opened(head) == {"alg": "HS256", "typ": "JWT"}
    told, wanted = opened(claims), json.loads(row.signed or "")
    assert told.keys() == wanted.keys() and told["access_key"] == wanted["access_key"]
    assert told["nonce"] != wanted["nonce"] and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", told["nonce"])
    made = hmac.new(row.credentials["secret"].encode(), f"{head}.{claims}".encode(), "sha256").digest()
    assert signature == base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def test_says_what_is_wrong_with_a_login(sockets: Room) -> None:
    with sockets.client() as client:
        with pytest.raises(Invalid, match="has no WebSocket login `nosuch`; it has `login`"):
            client.ws_login("okx", "nosuch")
        with pytest.raises(Invalid, match="`channel` of the WebSocket login `subscribe` of gate is missing"):
            client.ws_login("gate", "subscribe")
        with pytest.raises(Invalid, match="has not the form") as refused:
            client.ws_login("krakenfutures", params={"challenge": "currency=XBT&amount=1/api/v3/withdrawal"})
        assert refused.value.hint
        with pytest.raises(NotFound, match="no credential `nobody`"):
            client.ws_login("nobody")
    room = sockets.installation
    grants = room.folder / "grants.toml"
    grants.write_text(f"[[grant]]\nid = 'r'\nto = 'user:{os.getuid()}'\nallow = ['read']\n")
    room.must(["grant", "edit", "bitvavo", "--file", str(grants)], {"--pin-fd": room.token.pin})
    with sockets.client() as client, pytest.raises(Denied, match="allows `session` here; an admin can grant it, knowing"):
        client.ws_login("bitvavo")
