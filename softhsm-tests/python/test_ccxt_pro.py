"""Logins of ccxt.pro that the agent signs, against those that ccxt signs with the secret in its own process."""

from __future__ import annotations

import asyncio
import base64
import hmac
import inspect
import json
from collections.abc import Iterator
from typing import Any

import ccxt.pro  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import conftest
from conftest import Room
from credentials import CREDENTIALS, SOCKETS
from strongroom import Invalid
from strongroom.ccxt_pro import attach

TIME_MS = 1754000123456

# What is called in ccxt, with which arguments.
LOGINS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "binance": ("sign_params", ({},)),
    "binance-ed25519": ("sign_params", ({},)),
    "binance-rsa": ("sign_params", ({},)),
    "bitfinex": ("authenticate", ()),
    "bitget": ("authenticate", ({"url": "wss://ws.bitget.com/v2/ws/private"},)),
    "bitvavo": ("authenticate", ()),
    "bybit": ("authenticate", ("wss://stream.bybit.com/v5/private",)),
    "coinbase-legacy": ("create_ws_auth", ("user", ["BTC-USD", "ETH-USD"])),
    "coinbaseexchange": ("authenticate", ()),
    "cryptocom": ("authenticate", ()),
    "deribit": ("authenticate", ()),
    "gate": ("authenticate", ("wss://x", "spot")),
    "mexc": ("watch_swap_private", ("x",)),
    "okx": ("authenticate", ()),
    "phemex": ("authenticate", ()),
    "poloniex": ("authenticate", ()),
    "woo": ("authenticate", ()),
}
# Those that are tokens, in which ccxt and the agent have a random number.
TOKENS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "bithumb": ("authenticate", ()),
    "coinbase": ("create_ws_auth", ("user", ["BTC-USD"])),
    "upbit": ("authenticate", ()),
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
    made = getattr(ccxt.pro, name.split("-")[0])({"uid": "77", **(keys if secret else {})})
    made.milliseconds = made.incrementing_nonce = lambda: TIME_MS
    made.seconds = lambda: TIME_MS // 1000
    made.nonce = made.seconds if name == "coinbaseexchange" else made.milliseconds

    def watch(_url: str, _hash: Any, message: Any = None, *_rest: Any) -> Any:
        frames.append(json.loads(made.json(message)))
        raise Sent

    made.watch = made.watch_multiple = watch
    return made


def sent(made: Any, frames: list[Any], call: str, args: tuple[Any, ...]) -> Any:
    async def run() -> None:
        try:
            with pytest.raises(Sent):
                said = getattr(made, call)(*args)
                said = await said if inspect.isawaitable(said) else said
                # What ccxt puts into a message of its own.
                made.watch("wss://x", "x", {"type": "subscribe", **said})
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
        api |= {"coinbase-legacy": ["v2", "private"], "mexc": ["spot", "private"], "woo": ["v1", "private"]}
        path = {"gate": "accounts", "bitget": "v2/spot/account/assets", "cryptocom": "private/user-balance"}
        asked = (path.get(name, "x/y"), api.get(name, "private"), "GET" if name in ("gate", "bitget") else "POST")
        # Without parameters a request to WOO X is a login; with one it is none.
        params = {"a": "b"} if name == "woo" else {}
        with pytest.raises(Invalid, match="is none of the WebSocket logins|signs no text of this kind"):
            made.sign(asked[0], [asked[1]] if isinstance(asked[1], str) else asked[1], asked[2], params)
        # Nor anything else that a program could want signed.
        for text in ("", "withdraw", f"{TIME_MS}GET/users/self/verify\n"):
            with pytest.raises(Invalid):
                made.hmac(text.encode(), b"", None)
        with pytest.raises(Invalid):
            made.jwt({}, b"", None)
        asyncio.run(made.close())


def opened(token: str, secret: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, whose signature is of this secret."""
    signed, _, signature = token.rpartition(".")
    decoded = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in (*signed.split("."), signature)]
    header, claims = json.loads(decoded[0]), json.loads(decoded[1])
    if header["alg"] == "HS256":
        assert hmac.digest(secret.encode(), signed.encode(), "sha256") == decoded[2]
    else:
        key = load_pem_private_key(secret.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = (int.from_bytes(half, "big") for half in (decoded[2][:32], decoded[2][32:]))
        key.public_key().verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
    return header, claims


@pytest.mark.parametrize("name", TOKENS)
def test_gives_the_token_that_ccxt_makes(sockets: Room, name: str) -> None:
    call, args = TOKENS[name]
    secret = CREDENTIALS[name].secret

    def token(made: Any) -> str:
        async def run() -> str:
            said = getattr(made, call)(*args)
            said = await said if inspect.isawaitable(said) else said
            await made.close()
            return str(said["jwt"] if isinstance(said, dict) else made.options["ws"]["token"])

        return asyncio.run(run())

    theirs = opened(token(exchange(name, [], True)), secret)
    with sockets.client() as client:
        made = exchange(name, [], False)
        attach(made, name, client=client)
        ours = opened(token(made), secret)
        for mine, their in zip(ours, theirs):
            assert mine.keys() == their.keys()
            fixed = their.keys() - {"exp", "iat", "nbf", "nonce", "timestamp"}
            assert {name: mine[name] for name in fixed} == {name: their[name] for name in fixed}
        # A token for a request comes from nobody.
        for claims in ({"access_key": "k", "nonce": "1", "query_hash": "00"}, {"sub": "k", "uri": "GET api/x"}, {}):
            with pytest.raises(Invalid):
                made.jwt(claims, b"", "sha256")
    assert not any(secret in str(value) for value in vars(made).values())


def test_logs_in_with_an_rsa_key_where_ccxt_knows_none(sockets: Room) -> None:
    """ccxt.pro takes every key of Bybit for one of HMAC."""
    frames: list[Any] = []
    with sockets.client() as client:
        made = exchange("bybit-rsa", frames, False)
        attach(made, "bybit-rsa", client=client)
        _, expires, signature = sent(made, frames, *LOGINS["bybit"])["args"]
    key = load_pem_private_key(CREDENTIALS["bybit-rsa"].secret.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    text = f"GET/realtime{expires}".encode()
    key.public_key().verify(base64.b64decode(signature), text, padding.PKCS1v15(), hashes.SHA256())
