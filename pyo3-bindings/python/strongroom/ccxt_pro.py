"""WebSocket logins of ccxt.pro, built by the agent.

ccxt.pro builds the text of a login itself and calls ``hmac``, ``eddsa`` or ``rsa`` of the exchange for its signature.
:func:`attach` makes that call ask the agent, which signs nothing but a login that it builds itself to the same bytes:
the text of a request is refused. Where a login is a token, ``jwt`` gives the agent's own, and ccxt's claims go nowhere.
The exchange object never holds a secret.

Requests over REST are not signed here.
"""

from __future__ import annotations

import json
from typing import Any

from strongroom import Client, Invalid

__all__ = ["attach"]

# The claims of tokens that name no request.
_LOGIN_CLAIMS = {"access_key", "aud", "exp", "iat", "iss", "nbf", "nonce", "sub", "timestamp"}

# Any text that an exchange of ccxt takes for a secret: plain, and base64 as well.
_PLACEHOLDER = "c3Ryb25ncm9vbSBoYXMgdGhlIHNlY3JldA=="


def attach(exchange: Any, credential: str, *, client: Client | None = None) -> None:
    """Lets ``exchange``, an object of ccxt.pro, log in to sockets with a credential of the agent's.

    The key id comes from the agent, and so does a passphrase, when the frame is sent. A login waits for the agent, for
    less than a millisecond where no human is asked.
    """
    room = client or Client()
    logins: list[Any] = []

    def sign(request: bytes | str, *_: Any, **__: Any) -> str:
        text = request.decode() if isinstance(request, bytes) else request
        login = room.ws_login(credential, params={"text": text})
        if login.frame is not None:
            logins[:] = [json.loads(login.frame)]
        return login.signature

    def refuse(*_: Any, **__: Any) -> str:
        raise Invalid("the agent signs no text of this kind; ask it by ws_login, or sign")

    def token(claims: dict[str, Any], *_: Any, **__: Any) -> str:
        if not claims or not _LOGIN_CLAIMS.issuperset(claims):
            return refuse()
        login = room.ws_login(credential)
        return login.signature if login.signature.count(".") == 2 else refuse()

    def filled(message: Any) -> Any:
        """The message with what only the agent knows of."""
        return _fill(message, logins[0]) if logins else message

    watch, watch_multiple = exchange.watch, exchange.watch_multiple

    def watch_filled(url: str, message_hash: Any, message: Any = None, *rest: Any, **named: Any) -> Any:
        return watch(url, message_hash, filled(message), *rest, **named)

    def watch_multiple_filled(url: str, message_hashes: Any, message: Any = None, *rest: Any, **named: Any) -> Any:
        return watch_multiple(url, message_hashes, filled(message), *rest, **named)

    exchange.apiKey = room.show(credential).key_id
    exchange.secret = exchange.password = _PLACEHOLDER
    exchange.hmac = exchange.eddsa = exchange.rsa = sign
    exchange.jwt = token
    exchange.ecdsa = refuse
    exchange.watch, exchange.watch_multiple = watch_filled, watch_multiple_filled


def _fill(message: Any, frame: Any) -> Any:
    """``message`` with the values of ``frame`` where it has the placeholder."""
    if isinstance(message, dict) and isinstance(frame, dict):
        return {name: _fill(value, frame.get(name)) for name, value in message.items()}
    if isinstance(message, list) and isinstance(frame, list) and len(message) == len(frame):
        return [_fill(value, other) for value, other in zip(message, frame)]
    return frame if message == _PLACEHOLDER and frame is not None else message
