"""Places one limit order on Binance's test network. This file has no secret, and neither has its process.

    strongroom enroll testnet --venue binance --key-id … --base-url https://testnet.binance.vision
    python place_order.py testnet
"""

import json
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from strongroom import Client, SignedRequest, StrongroomError


def send(signed: SignedRequest) -> object:
    """Sends exactly what was signed."""
    request = Request(signed.url, signed.body or None, signed.headers, method=signed.method)
    with urlopen(request, timeout=10) as response:
        return json.load(response)


def main(credential: str) -> int:
    with Client() as room:
        try:
            order = room.sign(
                credential,
                "POST",
                "/api/v3/order",
                query=[
                    ("symbol", "LTCBTC"),
                    ("side", "BUY"),
                    ("type", "LIMIT"),
                    ("timeInForce", "GTC"),
                    ("quantity", 1),
                    ("price", "0.001"),
                ],
            )
        except StrongroomError as error:
            print(f"the order was not signed: {error}", file=sys.stderr)
            return 1
        try:
            print(json.dumps(send(order), indent=2))
        except HTTPError as error:
            print(f"the venue says {error.code}: {error.read().decode()}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: place_order.py CREDENTIAL")
    sys.exit(main(sys.argv[1]))
