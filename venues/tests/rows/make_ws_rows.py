#!/usr/bin/env python3
"""Makes rows of WebSocket logins by running ccxt.pro offline, with clock and randomness frozen.

    make_ws_rows.py write FILE        the rows
    make_ws_rows.py check FILE        whether FILE has exactly these

Needs ccxt 4.5.90 with what its asynchronous part depends on (aiohttp).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import ccxt.pro  # type: ignore[import-untyped]

from keys import KEY, SEED, TEXT
from make_rows import FROZEN, PASSPHRASE


class Login(NamedTuple):
    """A login as ccxt makes it, and as a profile calls it."""

    profile: str
    id: str
    name: str
    call: str
    args: tuple[Any, ...] = ()
    params: dict[str, Any] = {}
    secret: str = TEXT
    uid: str = ""


LOGINS = (
    Login("backpack", "subscribe", "subscribe", "watch_private", (["account.orderUpdate"], ["x"]),
          {"params": ["account.orderUpdate"]}, SEED),
    Login("bithumb", "login", "login", "authenticate"),
    Login("bitvavo", "login", "login", "authenticate"),
    Login("gate", "spot_login", "login", "authenticate", ("wss://x", "spot"), {"id": "authenticated"}),
    Login("gate", "futures_login", "login", "authenticate", ("wss://x", "futures"), {"market": "futures", "id": "authenticated"}),
    Login("gate", "order_cancel", "api", "request_private",
          ("wss://x", {"order_id": "5", "currency_pair": "BTC_USDT"}, "spot.order_cancel", "8"),
          {"request": "spot.order_cancel", "id": "8", "order_id": "5", "currency_pair": "BTC_USDT"}),
    Login("gemini", "login", "login", "authenticate", ({"url": "wss://api.gemini.com/v1/order/events"},)),
    Login("htx", "inverse", "inverse", "authenticate",
          ({"url": "wss://api.hbdm.com/swap-notification", "hostname": "api.hbdm.com", "type": "inverse"},)),
    Login("htx", "futures", "futures", "authenticate",
          ({"url": "wss://api.hbdm.com/notification", "hostname": "api.hbdm.com", "type": "future"},)),
    Login("phemex", "login", "login", "authenticate"),
    Login("upbit", "login", "login", "authenticate"),
    Login("woo", "login", "login", "authenticate", uid="7"),
)


class Sent(Exception):
    """What the exchange would have sent, instead of sending it."""


def exchange(login: Login) -> Any:
    keys = {"apiKey": KEY, "secret": login.secret, "password": PASSPHRASE, "uid": login.uid}
    made = getattr(ccxt.pro, login.profile)(keys)
    time = FROZEN["time_ms"]
    made.milliseconds = lambda: time
    made.seconds = lambda: time // 1000
    made.uuid = lambda: FROZEN["uuid"]
    if login.profile not in ("woo", "backpack"):
        made.incrementing_nonce = lambda: time
    return made


async def row(login: Login) -> dict[str, Any]:
    made = exchange(login)
    frames: list[Any] = []

    def watch(_url: str, _hash: Any, message: Any = None, *_rest: Any) -> Any:
        frames.append(json.loads(made.json(message)))
        raise Sent

    made.watch = made.watch_multiple = watch
    client, handshake = made.client, {}

    def keep(url: str) -> Any:
        handshake.update(made.options.get("ws", {}).get("options", {}).get("headers", {}))
        return client(url)

    made.client = keep
    tape: list[dict[str, str]] = []
    for name in ("hmac", "eddsa", "jwt"):
        compute = getattr(made, name)

        def record(request: Any, *rest: Any, name: str = name, compute: Any = compute, **named: Any) -> Any:
            text = request.decode() if isinstance(request, bytes) else json.dumps(request)
            tape.append({"fn": name, "input": text})
            return compute(request, *rest, **named)

        setattr(made, name, record)
    try:
        called = getattr(made, login.call)(*login.args)
        if asyncio.iscoroutine(called):
            # Some send first and then wait for the answer.
            await asyncio.wait_for(called, 1)
    except (Sent, TimeoutError, asyncio.TimeoutError):
        pass
    finally:
        await made.close()
    if not handshake:
        handshake.update(made.options.get("ws", {}).get("options", {}).get("headers", {}))
    source = {"kind": "ccxt.pro", "version": ccxt.__version__}
    credentials = {"apiKey": KEY, "secret": login.secret}
    if login.uid:
        credentials["uid"] = login.uid
    request = {"kind": "ws", "call": login.call, "args": list(login.args), "login": login.name, "params": login.params}
    return {
        "id": f"{login.profile}/ws_{login.id}",
        "exchange": login.profile,
        "api": "ws",
        "credentials": credentials,
        "frozen": FROZEN,
        "request": request,
        "expected": {"ws_frame": frames[0], "headers": {}} if frames else {"ws_frame": None, "headers": handshake},
        "compare": "ws",
        "signing_tape": tape,
        "source": source,
    }


async def rows() -> str:
    lines = [json.dumps(await row(login), ensure_ascii=False) for login in LOGINS]
    return "".join(f"{line}\n" for line in lines)


def main() -> int:
    match sys.argv[1:]:
        case ["write", file]:
            Path(file).write_text(asyncio.run(rows()))
        case ["check", file]:
            return 0 if Path(file).read_text() == asyncio.run(rows()) else 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
