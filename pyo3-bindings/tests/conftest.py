"""A small agent over a real socket, that does what a test tells it."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import wire

Script = Callable[["Peer"], None]


class Peer:
    """One client, seen from the agent."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.connection = connection
        self.number = number
        self.buffer = b""

    def next(self) -> wire.Request | None:
        """The next request; ``None`` where the client has closed."""
        while True:
            if len(self.buffer) >= 4:
                length = int.from_bytes(self.buffer[:4], "little")
                if len(self.buffer) >= 4 + length:
                    frame, self.buffer = self.buffer[4 : 4 + length], self.buffer[4 + length :]
                    return wire.read_request(frame)
            try:
                received = self.connection.recv(65536)
            except OSError:
                return None
            if not received:
                return None
            self.buffer += received

    def requests(self) -> Iterator[wire.Request]:
        while (request := self.next()) is not None:
            yield request

    def send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError:
            pass  # The client is gone.

    def answer(self, request: wire.Request) -> None:
        """Says what a good agent would."""
        self.send(good_answer(request))


def good_answer(request: wire.Request) -> bytes:
    if request.operation == "Sign":
        body = request.json or b""
        headers = [("X-Key", request.credential), ("X-Signature", "feedface")]
        url = f"https://venue.test{request.path}?signature=feedface"
        return wire.signed(request.id, request.method, url, headers, body)
    if request.operation == "WsLogin":
        place = None if request.path == "headers" else "wss://venue.test/private"
        frame = b"" if request.path == "headers" else b'{"op":"login"}'
        return wire.ws_login(request.id, request.path or "login", place, [("X-Key", "feedface")], frame)
    if request.operation == "Status":
        return wire.status(request.id)
    if request.operation == "List":
        page = [name for name in ("a", "b", "c") if name > request.after][:2]
        return wire.credentials(request.id, page, more="c" not in page)
    if request.operation == "Show":
        return wire.credential(request.id, request.credential)
    return wire.done(request.id)


def good(peer: Peer) -> None:
    for request in peer.requests():
        peer.answer(request)


class Agent:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.script: Script = good
        self.seen: list[wire.Request] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.start()

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if listener is not self._listener:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        peer = Peer(connection, number)
        take = peer.next

        def next_seen() -> wire.Request | None:
            request = take()
            if request is not None:
                self.seen.append(request)
            return request

        peer.next = next_seen  # type: ignore[method-assign]
        self.script(peer)
        close(connection)

    def stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with socket.socket(socket.AF_UNIX) as waker:
                waker.connect(os.fspath(self.path))
            close(listener)
            self.path.unlink()
        while self._open:
            close(self._open.pop())


def close(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # It is closed already.
    connection.close()


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """An agent at the socket that `Client()` finds. Short paths only: a socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="room-") as folder:
        agent = Agent(Path(folder) / "agent.sock")
        monkeypatch.setenv("STRONGROOM_SOCKET", os.fspath(agent.path))
        yield agent
        agent.stop()
