"""Schemes that no ccxt speaks, written down from the vendor's page, or that it speaks wrongly, mended."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import quote, urlencode

import ccxt  # type: ignore[import-untyped]


class CoinexHmac:
    """https://docs.coinex.com/api/v2/authorization: method + request_path + body + timestamp."""

    def __init__(self, credentials: dict[str, str]) -> None:
        self.credentials = credentials
        self.options: dict[str, Any] = {}

    def hmac(self, text: bytes) -> str:
        return hmac.new(self.credentials["secret"].encode(), text, hashlib.sha256).hexdigest()

    def milliseconds(self) -> int:
        raise AssertionError("the clock is not frozen")

    def sign(self, path: str, _: object, method: str, params: dict[str, Any]) -> dict[str, Any]:
        body, target = "", f"/v2/{path}"
        if method == "POST" and params:
            body = json.dumps(params, separators=(",", ":"), ensure_ascii=False)
        elif params:
            texts = {name: json.dumps(v) if isinstance(v, bool) else v for name, v in params.items()}
            target += "?" + urlencode(texts, quote_via=quote, safe="")
        time = str(self.milliseconds())
        headers = {
            "Content-Type": "application/json",
            "X-COINEX-KEY": self.credentials["apiKey"],
            "X-COINEX-TIMESTAMP": time,
            "X-COINEX-SIGN": self.hmac(f"{method}{target}{body}{time}".encode()),
        }
        return {"url": "https://api.coinex.com" + target, "method": method, "headers": headers, "body": body}


class BinanceWs:
    """web-socket-api.md of binance-spot-api-docs, "SIGNED request example (HMAC)": sorted, with the API key, as they read.

    The frame is the body; `path` is its method.
    """

    def __init__(self, credentials: dict[str, str]) -> None:
        self.credentials = credentials
        self.options: dict[str, Any] = {}

    def hmac(self, text: bytes) -> str:
        return hmac.new(self.credentials["secret"].encode(), text, hashlib.sha256).hexdigest()

    def milliseconds(self) -> int:
        raise AssertionError("the clock is not frozen")

    def uuid(self) -> str:
        raise AssertionError("the uuid is not frozen")

    def sign(self, path: str, _: object, method: str, params: dict[str, Any]) -> dict[str, Any]:
        given = {"recvWindow": 10000, **params}
        all_of = {"apiKey": self.credentials["apiKey"], "timestamp": self.milliseconds(), **given}
        ordered = dict(sorted(all_of.items()))
        texts = (f"{name}={json.dumps(v) if isinstance(v, (bool, float)) else v}" for name, v in ordered.items())
        signature = self.hmac("&".join(texts).encode())
        frame = {"id": self.uuid(), "method": path, "params": {**ordered, "signature": signature}}
        body = json.dumps(frame, separators=(",", ":"), ensure_ascii=False)
        return {"url": f"https://ws-api.binance.com/ws-api/v3/{path}", "method": method, "headers": {}, "body": body}


class LbankRsa(ccxt.lbank):  # type: ignore[misc]
    """https://www.lbank.com/docs/index.html#signature, with RSA. ccxt makes a PEM block of the key's whole lines of 64
    characters and drops the rest, so that no key of a usual length goes through it."""

    def convert_secret_to_pem(self, secret: object) -> str:
        lines = [self.secret[at : at + 64] for at in range(0, len(self.secret), 64)]
        return "\n".join(("-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""))


class UpbitHs512(ccxt.upbit):  # type: ignore[misc]
    """https://docs.upbit.com/kr/reference/auth: HS512 instead of ccxt's HS256; the rest of the token is the same."""

    def jwt(self, request: dict[str, Any], secret: bytes, *_: object) -> str:
        def part(value: dict[str, Any]) -> bytes:
            return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")

        text = part({"alg": "HS512", "typ": "JWT"}) + b"." + part(request)
        mac = hmac.new(secret, text, hashlib.sha512).digest()
        return (text + b"." + urlsafe_b64encode(mac).rstrip(b"=")).decode()


FORMULAS = {"binance-ws": BinanceWs, "coinex-hmac": CoinexHmac, "lbank-rsa": LbankRsa, "upbit-hs512": UpbitHs512}
