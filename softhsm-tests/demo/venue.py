"""A small exchange on this machine. It checks orders as Binance does, with its own copy of the secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

# https://developers.binance.com/docs/binance-spot-api-docs/errors
BAD_KEY = (401, -2015, "Invalid API-key, IP, or permissions for action.")
BAD_PARAMETER = (400, -1102, "Mandatory parameter was not sent, was empty/null, or malformed.")
BAD_SIGNATURE = (400, -1022, "Signature for this request is not valid.")
BAD_TIME = (400, -1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD_MS = 1000
ORDER = ("symbol", "side", "type", "timeInForce", "quantity", "price")


class Refused(Exception):
    """The venue says no: HTTP status, code and message."""

    def __init__(self, why: tuple[int, int, str]) -> None:
        super().__init__(why[2])
        self.status, self.code, self.message = why


class Venue:
    """Serves `POST /api/v3/order` at `url`, until it is closed."""

    def __init__(self, key_id: str, secret: str) -> None:
        self._key_id = key_id
        self._secret = secret.encode()
        self.orders: list[dict[str, str]] = []
        venue = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                try:
                    length = min(int(self.headers.get("Content-Length") or 0), 65536)
                    body = self.rfile.read(length).decode()
                    parts = urlsplit(self.path)
                    if parts.path != "/api/v3/order":
                        raise Refused((404, -1, "There is no such endpoint."))
                    order = venue.check(self.headers.get("X-MBX-APIKEY", ""), parts.query, body)
                    status, answer = 200, venue.accept(order)
                except Refused as no:
                    status, answer = no.status, {"code": no.code, "msg": no.message}
                except ValueError:
                    status, answer = BAD_PARAMETER[0], {"code": BAD_PARAMETER[1], "msg": BAD_PARAMETER[2]}
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing: the demo tells what happens."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def check(self, key_id: str, query: str, body: str) -> dict[str, str]:
        """Gives the parameters of an order; `Refused` where key, signature, time or order are wrong."""
        if key_id != self._key_id:
            raise Refused(BAD_KEY)
        # The signature is the last parameter of the body or, without a body, of the query. Signed is
        # all before it: query and body, one behind the other.
        signed, separator, signature = (query + body).rpartition("&signature=")
        expected = hmac.new(self._secret, signed.encode(), hashlib.sha256).hexdigest()
        if not separator or not hmac.compare_digest(signature.encode(), expected.encode()):
            raise Refused(BAD_SIGNATURE)
        pairs = [pair for part in (query, body) if part for pair in parse_qsl(part, True, strict_parsing=True)]
        order = dict(pairs)
        if len(order) != len(pairs) or any(not order.get(name) for name in ORDER):
            raise Refused(BAD_PARAMETER)
        now_ms = time.time_ns() // 1_000_000
        timestamp, window = int(order.get("timestamp", "0")), int(order.get("recvWindow", "5000"))
        if not now_ms - min(window, 60_000) <= timestamp < now_ms + AHEAD_MS:
            raise Refused(BAD_TIME)
        return order

    def accept(self, order: dict[str, str]) -> dict[str, object]:
        """Takes an order that has been checked."""
        self.orders.append(order)
        return {
            "symbol": order["symbol"],
            "orderId": len(self.orders),
            "status": "NEW",
            "side": order["side"],
            "origQty": order["quantity"],
            "price": order["price"],
        }

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Venue:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
