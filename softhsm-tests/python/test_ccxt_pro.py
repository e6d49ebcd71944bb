"""Logins of ccxt.pro that the agent signs, against those that ccxt signs with the secret in its own process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import ccxt.pro  # type: ignore[import-untyped]
import pytest

import conftest
from conftest import Room
from credentials import CREDENTIALS, SOCKETS
from strongroom import Invalid
from strongroom.ccxt_pro import attach

TIME_MS = 1754000123456

# What is called in ccxt, with which arguments.
LOGINS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "bitfinex": ("authenticate", ()),
    "bitget": ("authenticate", ({"url": "wss://ws.bitget.com/v2/ws/private"},)),
    "bybit": ("authenticate", ("wss://stream.bybit.com/v5/private",)),
    "cryptocom": ("authenticate", ()),
    "deribit": ("authenticate", ()),
    "gate": ("authenticate", ("wss://x", "spot")),
    "okx": ("authenticate", ()),
}


class Sent(Exception):
    """Raised instead of sending anything."""


@pytest.fixture(scope="module")
def sockets() -> Iterator[Room]:
    with conftest.installed(*SOCKETS) as room:
        yield room


def exchange(name: str, frames: list[Any], secret: bool) -> Any:
    credential = CREDENTIALS[name]
    keys = {"apiKey": credential.key_id, "secret": credential.secret, "password": credential.passphrase or ""}
    made = getattr(ccxt.pro, name)(keys if secret else {})
    made.milliseconds = made.incrementing_nonce = lambda: TIME_MS
    made.seconds = lambda: TIME_MS // 1000

    def watch(_url: str, _hash: Any, message: Any = None, *_rest: Any) -> Any:
        frames.append(json.loads(made.json(message)))
        raise Sent

    made.watch = made.watch_multiple = watch
    return made


def sent(made: Any, frames: list[Any], call: str, args: tuple[Any, ...]) -> Any:
    async def run() -> None:
        try:
            with pytest.raises(Sent):
                await getattr(made, call)(*args)
        finally:
            await made.close()

    asyncio.run(run())
    return frames[0]


@pytest.mark.parametrize("name", LOGINS)
def test_sends_the_frame_that_ccxt_sends(sockets: Room, name: str) -> None:
    call, args = LOGINS[name]
    theirs: list[Any] = []
    expected = sent(exchange(name, theirs, True), theirs, call, args)
    ours: list[Any] = []
    with sockets.client() as client:
        made = exchange(name, ours, False)
        attach(made, name, client=client)
        assert sent(made, ours, call, args) == expected
    secret = CREDENTIALS[name].secret
    held = [value for value in vars(made).values() if isinstance(value, (str, bytes))]
    assert not any(secret in str(value) for value in held)


def test_signs_an_order_for_a_socket_that_signs_each(sockets: Room) -> None:
    order = {"text": "t-1", "currency_pair": "BTC_USDT", "side": "buy", "amount": "1", "price": "1"}
    call = ("request_private", ("wss://x", order, "spot.order_place", "77"))
    theirs: list[Any] = []
    expected = sent(exchange("gate", theirs, True), theirs, *call)
    ours: list[Any] = []
    with sockets.client() as client:
        made = exchange("gate", ours, False)
        attach(made, "gate", client=client)
        assert sent(made, ours, *call) == expected


@pytest.mark.parametrize("name", LOGINS)
def test_refuses_the_text_of_a_request(sockets: Room, name: str) -> None:
    with sockets.client() as client:
        made = exchange(name, [], False)
        attach(made, name, client=client)
        api = {"gate": ["private", "spot"], "bitget": ["private", "spot"], "cryptocom": ["v1", "private"]}
        path = {"gate": "accounts", "bitget": "v2/spot/account/assets", "cryptocom": "private/user-balance"}
        asked = (path.get(name, "x/y"), api.get(name, "private"), "GET" if name in ("gate", "bitget") else "POST")
        with pytest.raises(Invalid, match="is none of the WebSocket logins"):
            made.sign(asked[0], [asked[1]] if isinstance(asked[1], str) else asked[1], asked[2], {})
        # Nor anything else that a program could want signed.
        for text in ("", "withdraw", f"{TIME_MS}GET/users/self/verify\n"):
            with pytest.raises(Invalid):
                made.hmac(text.encode(), b"", None)
        with pytest.raises(Invalid):
            made.jwt({}, b"", None)
        asyncio.run(made.close())
