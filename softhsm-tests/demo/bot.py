"""A trading bot without a secret. The demo says on its standard input what to do next.

Each line is a JSON list, a task and its arguments; each answer is one JSON line.
"""

import json
import os
import sys
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from strongroom import Client, SignedRequest, StrongroomError

room = Client()  # finds the agent by $STRONGROOM_SOCKET
direct = build_opener(ProxyHandler({}))


def about() -> object:
    """What this process has been given."""
    return {"argv": sys.orig_argv, "environment": dict(os.environ), "files": [__file__, *open_files()]}


def open_files() -> list[str]:
    """What the descriptors that it started with lead to."""
    return [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]


def binance_example() -> object:
    """The example of Binance's documentation, with its time of 2017."""
    return shown(
        room.sign(
            "binance-main",
            "POST",
            "/api/v3/order",
            query=[
                ("symbol", "LTCBTC"),
                ("side", "BUY"),
                ("type", "LIMIT"),
                ("timeInForce", "GTC"),
                ("quantity", "1"),
                ("price", "0.1"),
                ("recvWindow", "5000"),
                ("timestamp", "1499827319559"),
            ],
        )
    )


def kraken_example() -> object:
    """The example of Kraken's documentation, with its nonce of 2021."""
    return shown(
        room.sign(
            "kraken-main",
            "POST",
            "/0/private/AddOrder",
            form={
                "nonce": "1616492376594",
                "ordertype": "limit",
                "pair": "XBTUSD",
                "price": "37500",
                "type": "buy",
                "volume": "1.25",
            },
        )
    )


def order(venue: str, **more: str) -> object:
    """Places an order at the local venue, which stands where the real one is in `signed.url`."""
    form = {"symbol": "LTCBTC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 1, "price": "0.1"}
    signed = room.sign("demo-venue", "POST", "/api/v3/order", form={**form, **more})
    url = urlsplit(signed.url)
    target = f"{venue}{url.path}{'?' if url.query else ''}{url.query}"
    request = Request(target, signed.body or None, signed.headers, method=signed.method)
    try:
        with direct.open(request, timeout=10) as response:
            return {"signed": shown(signed), "status": response.status, "answer": json.load(response)}
    except HTTPError as error:
        return {"signed": shown(signed), "status": error.code, "answer": json.load(error)}


def old_order(venue: str) -> object:
    """The same with a time of 2017."""
    return order(venue, timestamp="1499827319559")


def shown(signed: SignedRequest) -> dict[str, object]:
    """A signed request as JSON."""
    return {
        "method": signed.method,
        "url": signed.url,
        "headers": signed.headers,
        "body": signed.body.decode(),
    }


TASKS: dict[str, Callable[..., object]] = {
    task.__name__: task for task in (about, binance_example, kraken_example, order, old_order)
}


def main() -> None:
    history = []  # all that it ever got, so that a look into its memory would find it
    for line in sys.stdin:
        task, *arguments = json.loads(line)
        try:
            history.append(TASKS[task](*arguments))
        except StrongroomError as error:
            history.append({"error": type(error).__name__, "message": str(error)})
        print(json.dumps(history[-1]), flush=True)


if __name__ == "__main__":
    main()
