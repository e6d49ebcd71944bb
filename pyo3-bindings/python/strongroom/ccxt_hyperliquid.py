"""ccxt's ``hyperliquid`` without the key of its wallet.

ccxt signs Hyperliquid's actions itself, with ``privateKey``. :func:`attach` takes that out: each action goes to the
agent, and what ccxt sends is the agent's request. So the agent decides what may be done, sets the nonce and the
address of the venue, and the exchange object never holds a key.
"""

from __future__ import annotations

import json
from typing import Any

from strongroom import Client, Invalid, SignedRequest

__all__ = ["attach"]

_VENUES = ("hyperliquid", "hyperliquid-agent")
# What ccxt demands before it sends anything. No key: zero is none.
_PLACEHOLDER = "0x" + "0" * 64


def attach(exchange: Any, credential: str, *, client: Client | None = None) -> None:
    """Lets ``exchange``, a ``hyperliquid`` of ``ccxt``, ``ccxt.async_support`` or ``ccxt.pro``, sign with a wallet of the agent's.

    ``walletAddress`` stays if it is set, because an API wallet acts for the account of another address; else it becomes
    the key id of the credential. A request waits for the agent, for less than a millisecond where no human is asked.
    """
    room = client or Client()
    wallet = room.show(credential)
    if exchange.id != "hyperliquid" or wallet.venue not in _VENUES:
        raise Invalid(
            f"`{credential}` is a credential of {wallet.venue}, and the exchange is {exchange.id}",
            hint="this goes with hyperliquid alone; ccxt_pro has the logins of others",
        )
    plain = exchange.sign

    def signed(request: dict[str, Any], url: str) -> SignedRequest:
        """The same request by the agent, which refuses what it does not know of."""
        if url != f"{wallet.base_url}/exchange":
            raise Invalid(
                f"ccxt would send this to {url}, and `{credential}` signs for {wallet.base_url}",
                hint="set_sandbox_mode must go with the host for which the credential was enrolled",
            )
        # The nonces of a key are the agent's: several bots may have it, and none of them may go back.
        asked = {name: value for name, value in request.items() if name not in ("nonce", "signature")}
        if "signatureChainId" in asked["action"]:
            action = asked["action"].items()
            asked["action"] = {name: value for name, value in action if name not in ("nonce", "time")}
        return room.sign(credential, "POST", "/exchange", json=asked)

    def sign(path: str, api: Any = "public", method: str = "GET", params: Any = None, *rest: Any, **named: Any) -> Any:
        request = plain(path, api, method, {} if params is None else params, *rest, **named)
        if path != "exchange":
            return request
        by_agent = signed(params, request["url"])
        parts = {"url": by_agent.url, "method": by_agent.method, "headers": by_agent.headers}
        return {**request, **parts, "body": by_agent.body.decode()}

    def later(*_: Any, **__: Any) -> dict[str, str]:
        """What stands for a signature until the request is complete."""
        return {}

    def refuse(*_: Any, **__: Any) -> Any:
        raise Invalid("the agent signs actions of Hyperliquid alone, and not what ccxt has hashed")

    exchange.privateKey = _PLACEHOLDER
    exchange.walletAddress = exchange.walletAddress or wallet.key_id
    exchange.sign = sign
    exchange.sign_l1_action = exchange.sign_user_signed_action = later
    exchange.sign_hash = exchange.sign_message = exchange.ecdsa = refuse
    # Only ccxt.pro sends actions over a socket.
    wrap = getattr(exchange, "wrap_as_post_action", None)
    if wrap is not None:

        def wrap_signed(request: dict[str, Any]) -> Any:
            url = plain("exchange", ["private"], "POST", {})["url"]
            return wrap(json.loads(signed(request, url).body))

        exchange.wrap_as_post_action = wrap_signed
