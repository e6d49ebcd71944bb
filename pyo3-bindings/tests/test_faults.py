"""How the client behaves when the agent does not."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import strongroom
from strongroom import Client, Disconnected, NoAgent, ProtocolError, SignRequest, StrongroomError, Timeout

from . import wire
from .conftest import Agent, Peer, good

REFUSALS = [
    (1, "Denied", strongroom.Denied),
    (2, "Exists", strongroom.Exists),
    (3, "Failed", strongroom.Failed),
    (4, "Invalid", strongroom.Invalid),
    (5, "Locked", strongroom.Locked),
    (6, "Malformed", ProtocolError),
    (7, "NotFound", strongroom.NotFound),
    (8, "Unavailable", strongroom.Unavailable),
    (9, "Version", ProtocolError),
]


@pytest.mark.parametrize(("number", "code", "kind"), REFUSALS, ids=[code for _, code, _ in REFUSALS])
def test_raises_what_the_agent_refuses(agent: Agent, number: int, code: str, kind: type[StrongroomError]) -> None:
    def refuse(peer: Peer) -> None:
        for request in peer.requests():
            peer.send(wire.error(request.id, number, "it is so", "do that"))

    agent.script = refuse
    with pytest.raises(StrongroomError) as caught:
        Client(timeout=60).status()
    error = caught.value
    assert (type(error), error.args, error.code, error.hint) == (kind, ("it is so",), code, "do that")
    assert str(error) == "it is so (hint: do that)"


def test_raises_where_it_does_not_know_the_code(agent: Agent) -> None:
    def refuse(peer: Peer) -> None:
        for request in peer.requests():
            peer.send(wire.error(request.id, 99, "why", ""))

    agent.script = refuse
    with pytest.raises(ProtocolError, match="code 99, which this version does not know: why"):
        Client(timeout=60).status()


def test_says_where_no_agent_answers(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    room = Client(path)
    with pytest.raises(NoAgent) as caught:
        room.sign("c", "GET", "/")
    assert caught.value.args == (f"no agent answers at {path}: No such file or directory (os error 2)",)
    assert caught.value.code is None
    assert "STRONGROOM_SOCKET" in caught.value.hint
    results = room.sign_many([SignRequest("c", "GET", "/")] * 2, return_exceptions=True)
    assert [type(result) for result in results] == [NoAgent, NoAgent]


def test_gives_up_at_the_deadline_and_goes_on_afterwards(agent: Agent) -> None:
    late = threading.Event()

    def slow(peer: Peer) -> None:
        first = peer.next()
        assert first is not None and late.wait(60)
        peer.answer(first)
        good(peer)

    agent.script = slow
    room = Client(timeout=0.1)
    start = time.monotonic()
    with pytest.raises(Timeout) as caught:
        room.status()
    assert 0.1 <= time.monotonic() - start < 60
    assert isinstance(caught.value, TimeoutError)
    late.set()
    while True:  # The deadline is short: asked again where the machine was too busy for it.
        try:
            assert room.sign("c", "GET", "/").method == "GET"
            break
        except Timeout:
            assert time.monotonic() - start < 60
    assert agent.connections == 1


def test_connects_anew_after_a_restart(agent: Agent) -> None:
    room = Client(timeout=60)
    room.lock()
    agent.stop()
    with pytest.raises(NoAgent):
        room.lock()
    agent.start()
    room.lock()
    assert agent.connections == 2


def test_asks_once_more_where_the_connection_dies(agent: Agent) -> None:
    def die_first(peer: Peer) -> None:
        if peer.number == 1:
            peer.next()
        else:
            good(peer)

    agent.script = die_first
    assert Client(timeout=60).sign("c", "GET", "/").method == "GET"
    assert agent.connections == 2


def test_gives_up_where_every_connection_dies(agent: Agent) -> None:
    def die(peer: Peer) -> None:
        peer.next()

    agent.script = die
    with pytest.raises(Disconnected):
        Client(timeout=60).sign("c", "GET", "/")
    assert agent.connections == 2


@pytest.mark.parametrize(
    ("rubbish", "message"),
    [
        (b"\0\0\0\0", "a frame of length 0"),
        (b"HTTP/1.1 400\r\n\r\n", "a frame of 1347703880 bytes; the limit is 65536"),
        (wire.frame(b"\1\x63"), "a frame holds no response"),
        (wire.done(77), "a response carries the id 77, which was never sent"),
        (wire.frame(b"\0\1\x09\0\0", version=2), "the agent speaks protocol version 2, this program speaks version 1"),
    ],
    ids=["empty", "http", "no message", "foreign id", "version"],
)
def test_names_what_breaks_the_protocol(agent: Agent, rubbish: bytes, message: str) -> None:
    def talk(peer: Peer) -> None:
        if peer.next():
            peer.send(rubbish)
            peer.next()

    agent.script = talk
    with pytest.raises(ProtocolError) as caught:
        Client(timeout=60).sign("c", "GET", "/")
    assert message in caught.value.args[0]
