"""Times the Python client against ccxt's own signing, in alternation; prints one JSON object.

Usage: bench_sign.py SOCKET. Both sign the same Binance limit order; ccxt does it in this process with
the secret in its memory, which is what a bot does today.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import ccxt  # type: ignore[import-untyped]
from strongroom import Client

ROUNDS = 20
CALLS = 500
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.00100000",
    "price": "61234.50",
    "newClientOrderId": "cli-1",
}


def timed(call: Callable[[], object]) -> list[float]:
    """Microseconds of each of many calls."""
    times = []
    for _ in range(CALLS):
        began = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


def main() -> None:
    room = Client(sys.argv[1])
    exchange = ccxt.binance({"apiKey": "K" * 64, "secret": "S" * 64})
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours += timed(lambda: room.sign("binance-bench", "POST", "/api/v3/order", form=ORDER))
        theirs += timed(lambda: exchange.sign("order", ["private"], "POST", dict(ORDER)))
    figures = {
        name: {"median": statistics.median(times), "best": min(times)}
        for name, times in (("strongroom", ours), ("ccxt", theirs))
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
