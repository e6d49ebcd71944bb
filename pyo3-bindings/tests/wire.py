"""The client protocol once more, in Python, from ``docs/reference/protocol.md`` alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

VERSION = 1
OPERATIONS = (
    ("Sign", "Status", "List", "Show", "Lock", "Unlock", "Enroll", "Remove")
    + ("Token", "SetGrants", "Hello", "AddClient", "Clients", "RemoveClient", "Metrics", "Pending", "Confirm")
    + ("WsLogin",)
)

Param = tuple[str, str]
"""``("text", value)`` or ``("json", value)``."""


@dataclass
class Request:
    """What a client asked for; the fields of other operations are empty."""

    id: int
    operation: str
    credential: str = ""
    method: str = ""
    path: str = ""
    query: list[tuple[str, Param]] = field(default_factory=list)
    form: list[tuple[str, Param]] | None = None
    json: bytes | None = None
    after: str = ""
    token: str = ""


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        assert len(taken) == count, "the message is too short"
        self.at += count
        return taken

    def number(self) -> int:
        first = self.take(1)[0]
        if first < 251:
            return first
        size = {251: 2, 252: 4, 253: 8}[first]
        value = int.from_bytes(self.take(size), "little")
        smallest = {2: 251, 4: 1 << 16, 8: 1 << 32}[size]
        assert value >= smallest, "not the shortest form"
        return value

    def data_bytes(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        return self.data_bytes().decode()

    def param(self) -> Param:
        return (("text", "json")[self.number()], self.text())

    def pairs(self) -> list[tuple[str, Param]]:
        return [(self.text(), self.param()) for _ in range(self.number())]


def read_request(frame: bytes) -> Request:
    assert frame[0] == VERSION
    reader = Reader(frame[1:])
    request = Request(reader.number(), OPERATIONS[reader.number()])
    if request.operation == "Sign":
        request.credential, request.method, request.path = (reader.text() for _ in range(3))
        request.query = reader.pairs()
        body = reader.number()
        if body == 1:
            request.form = reader.pairs()
        elif body == 2:
            request.json = reader.data_bytes()
        else:
            assert body == 0
    elif request.operation == "WsLogin":
        request.credential = reader.text()
        request.path = reader.text() if reader.number() else ""
        request.query = reader.pairs()
    elif request.operation == "List":
        request.after = reader.text()
    elif request.operation == "Hello":
        request.token = reader.text()
    elif request.operation in ("Show", "Remove"):
        request.credential = reader.text()
    assert reader.at == len(reader.data), "bytes are left over"
    return request


def number(value: int) -> bytes:
    for marker, size in ((251, 2), (252, 4), (253, 8)):
        if value < 251:
            return bytes([value])
        if value < 1 << (8 * size):
            return bytes([marker]) + value.to_bytes(size, "little")
    raise ValueError(value)


def data(value: bytes) -> bytes:
    return number(len(value)) + value


def text(value: str) -> bytes:
    return data(value.encode())


def frame(message: bytes, version: int = VERSION) -> bytes:
    return (len(message) + 1).to_bytes(4, "little") + bytes([version]) + message


def done(id: int) -> bytes:
    return frame(number(id) + b"\0")


def error(id: int, code: int, message: str, hint: str) -> bytes:
    return frame(number(id) + b"\1" + bytes([code]) + text(message) + text(hint))


def signed(id: int, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    pairs = [text(name) + text(value) for name, value in headers]
    message = number(id) + b"\2" + text(method) + text(url) + number(len(pairs))
    return frame(message + b"".join(pairs) + data(body))


def ws_login(id: int, name: str, url: str | None, headers: Iterable[tuple[str, str]], frame_text: bytes) -> bytes:
    pairs = [text(header) + text(value) for header, value in headers]
    message = number(id) + b"\x0c" + text(name) + (b"\0" if url is None else b"\1" + text(url))
    message += number(len(pairs)) + b"".join(pairs) + data(frame_text) + b"\1" + text("feedface")
    return frame(message + number(1_754_000_133_456))


def credential_fields(name: str) -> bytes:
    texts = (name, "kraken", "key-1", "https://api.kraken.com", "HMAC-SHA512", "keeper", "aes-gcm", "8f2c01d4")
    fault = text("the record was changed")
    return b"".join(map(text, texts)) + number(1_700_000_000) + b"\0" + fault + number(1) + number(0) + text("") + b"\0" + text("")


def credentials(id: int, names: Sequence[str], more: bool) -> bytes:
    page = number(len(names)) + b"".join(map(credential_fields, names))
    return frame(number(id) + b"\3" + page + bytes([more]))


def credential(id: int, name: str) -> bytes:
    return frame(number(id) + b"\4" + credential_fields(name) + text(""))


def status(id: int) -> bytes:
    message = text("0.1.0") + number(4711) + b"\1" + text("asked to") + number(1_700_000_001)
    message += number(2) + number(1) + number(0)
    message += text("8f2c01d4") + text("strongroom") + text("aes-cbc")
    message += number(1) + text("danger_accept_any_caller_time")
    protection = text("keeper") + number(4712) + b"\1\0" + text("partial")
    principals = text("user:1000") + number(1) + text("user:0")
    checkpoint = number(4_242) + number(1_700_000_003)
    return frame(number(id) + b"\5" + message + number(1) + protection + principals + checkpoint)
