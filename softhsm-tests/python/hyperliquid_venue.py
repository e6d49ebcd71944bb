"""A stand-in for Hyperliquid on this machine. It knows no key: it recovers who has signed, as the venue does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import ccxt  # type: ignore[import-untyped]
from coincurve import PublicKey

CHAINS = {"a": "Mainnet", "b": "Testnet"}
# Which of ccxt's methods knows the type of what is signed field by field.
TYPED = {
    "approveBuilderFee": "build_approve_builder_fee_sig",
    "sendAsset": "build_send_asset_sig",
    "usdClassTransfer": "build_usd_class_send_sig",
    "usdSend": "build_usd_send_sig",
    "userDexAbstraction": "build_user_dex_abstraction_sig",
    "userSetAbstraction": "build_user_abstraction_sig",
    "withdraw3": "build_withdraw_sig",
}


def signer(body: dict[str, Any], source: str) -> str:
    """The address whose key has signed this body for this network."""
    knows: Any = ccxt.hyperliquid()
    action, nonce = body["action"], body["nonce"]
    zero = "0x" + "0" * 40
    if action["type"] in TYPED:
        types: dict[str, Any] = {}
        knows.sign_user_signed_action = lambda given, _message: types.update(given)
        getattr(knows, TYPED[action["type"]])({})
        (fields,) = types.values()
        message = {field["name"]: action[field["name"]] for field in fields}
        assert message.get("time", message.get("nonce")) == nonce
        assert message["hyperliquidChain"] == CHAINS[source] and action["signatureChainId"] == "0x66eee"
        domain = {"name": "HyperliquidSignTransaction", "chainId": 0x66EEE}
    else:
        vault = body.get("vaultAddress")
        hashed = knows.action_hash(action, vault and vault.removeprefix("0x"), nonce, body.get("expiresAfter"))
        types = {"Agent": [{"name": "source", "type": "string"}, {"name": "connectionId", "type": "bytes32"}]}
        message = {"source": source, "connectionId": hashed}
        domain = {"name": "Exchange", "chainId": 1337}
    domain |= {"version": "1", "verifyingContract": zero}
    digest = knows.hash(knows.eth_encode_structured_data(domain, types, message), "keccak", "binary")
    signature = body["signature"]
    r, s = (int(signature[part], 16).to_bytes(32, "big") for part in "rs")
    recoverable = r + s + bytes([signature["v"] - 27])
    point = PublicKey.from_signature_and_message(recoverable, digest, hasher=None).format(compressed=False)
    return "0x" + str(knows.hash(point[1:], "keccak", "hex"))[-40:]


def answer(action: dict[str, Any]) -> dict[str, Any]:
    """What the venue says where all is well."""
    kind = action["type"]
    one: Any = "success" if kind.startswith("cancel") else {"resting": {"oid": 77738308}}
    many = action.get("orders") or action.get("cancels") or action.get("modifies") or [None]
    data: Any = {"statuses": [one for _ in many]}
    if kind == "twapOrder":
        data = {"status": {"running": {"twapId": 77738308}}}
    elif kind == "twapCancel":
        data = {"status": "success"}
    elif kind == "createSubAccount":
        data = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
    return {"status": "ok", "response": {"type": kind, "data": data}}


class Taken(NamedTuple):
    """What came in."""

    url: str
    body: dict[str, Any]


class Venue:
    """Answers on a port of this machine, and keeps what was sent."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                url = self.path.removeprefix("/")
                if url.endswith("/exchange"):
                    taken.append(Taken(url, body))
                said = json.dumps(answer(body["action"]) if "action" in body else {}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def front(self) -> str:
        """What ccxt puts in front of the address of the venue, to have it go here."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @contextmanager
    def running(self) -> Iterator[Venue]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
