"""How the client behaves, against an agent that behaves."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import strongroom
from strongroom import (
    Client,
    Credential,
    Locked,
    NotFound,
    Protection,
    SignedRequest,
    SignRequest,
    Status,
    StrongroomError,
)

from . import wire
from .conftest import Agent, Peer


def test_returns_exactly_what_the_agent_signed(agent: Agent) -> None:
    signed = Client(timeout=60).sign("binance-main", "POST", "/api/v3/order", json={"a": 1})
    assert signed.method == "POST"
    assert signed.url == "https://venue.test/api/v3/order?signature=feedface"
    assert signed.headers == {"X-Key": "binance-main", "X-Signature": "feedface"}
    assert signed.body == b'{"a":1}'
    request = agent.seen[0]
    assert (request.credential, request.method, request.path) == ("binance-main", "POST", "/api/v3/order")


def test_returns_exactly_the_login_that_the_agent_built(agent: Agent) -> None:
    login = Client(timeout=60).ws_login("okx-main")
    assert (login.name, login.url, login.frame) == ("login", "wss://venue.test/private", '{"op":"login"}')
    assert (login.whole, login.signature, login.expires_unix_ms) == (True, "feedface", 1_754_000_133_456)
    assert repr(login) == "<WsLogin 'login' wss://venue.test/private>"
    bare = Client(timeout=60).ws_login("gemini", "headers", params={"challenge": "226aee50", "payload": ["a"], "id": 1})
    assert (bare.url, bare.frame, bare.headers) == (None, None, {"X-Key": "feedface"})
    assert "feedface" not in repr(bare) + repr(login)
    first, second = agent.seen
    assert (first.credential, first.path, first.query) == ("okx-main", "", [])
    told = [("challenge", ("text", "226aee50")), ("payload", ("json", '["a"]')), ("id", ("json", "1"))]
    assert (second.credential, second.path, second.query) == ("gemini", "headers", told)


def test_tells_how_the_agent_is(agent: Agent) -> None:
    with Client(timeout=60) as room:
        status = room.status()
    assert (status.version, status.pid, status.locked, status.reason) == ("0.1.0", 4711, True, "asked to")
    assert (status.since_unix, status.credentials, status.ready, status.keeper_pid) == (1_700_000_001, 2, 1, None)
    assert (status.token_serial, status.token_label, status.rung) == ("8f2c01d4", "strongroom", "aes-cbc")
    assert status.weaknesses == ["danger_accept_any_caller_time"]
    assert (status.principal, status.admins) == ("user:1000", ["user:0"])
    assert status.checkpoint == (4_242, 1_700_000_003)
    [keeper] = status.protection
    assert (keeper.process, keeper.pid) == ("keeper", 4712)
    assert (keeper.secret_memory, keeper.guarded, keeper.landlock) == (True, False, "partial")
    assert repr(keeper) == "<Protection process='keeper' secret_memory=True guarded=False landlock='partial'>"
    assert repr(status) == "<Status version='0.1.0' locked=True ready=1 credentials=2>"


def test_tells_of_credentials(agent: Agent) -> None:
    room = Client(timeout=60)
    assert [credential.name for credential in room.credentials()] == ["a", "b", "c"]
    assert [request.after for request in agent.seen] == ["", "b"]
    credential = room.show("kraken")
    assert (credential.name, credential.venue, credential.key_id) == ("kraken", "kraken", "key-1")
    assert (credential.base_url, credential.algorithm) == ("https://api.kraken.com", "HMAC-SHA512")
    assert (credential.custody, credential.rung, credential.token_serial) == ("keeper", "aes-gcm", "8f2c01d4")
    assert (credential.enrolled_unix, credential.ready) == (1_700_000_000, False)
    assert credential.fault == "the record was changed"
    assert repr(credential) == "<Credential name='kraken' venue='kraken' ready=False>"
    assert credential == room.show("kraken") != room.show("other")


def test_locks(agent: Agent) -> None:
    room = Client(timeout=60)
    room.lock()
    assert [request.operation for request in agent.seen] == ["Lock"]


def test_has_nothing_that_takes_a_secret() -> None:
    assert not {"unlock", "enroll", "remove"} & set(dir(Client))


def test_signs_a_batch_in_order(agent: Agent) -> None:
    requests = [SignRequest("c", "GET", f"/{number}") for number in range(1_000)]
    signed = Client(timeout=60).sign_many(requests)
    assert [one.url for one in signed] == [f"https://venue.test/{n}?signature=feedface" for n in range(1_000)]
    assert agent.connections == 1
    assert Client(timeout=60).sign_many([]) == []


def refuse_some(peer: Peer) -> None:
    for request in peer.requests():
        if request.credential == "absent":
            peer.send(wire.error(request.id, 7, "there is no credential `absent`", "run `strongroom list`"))
        else:
            peer.answer(request)


def test_raises_the_first_error_of_a_batch_or_returns_each(agent: Agent) -> None:
    agent.script = refuse_some
    requests = [SignRequest("c", "GET", "/"), SignRequest("absent", "GET", "/"), SignRequest("c", "GET", "/")]
    with pytest.raises(NotFound):
        Client(timeout=60).sign_many(requests)
    first, second, third = Client(timeout=60).sign_many(requests, return_exceptions=True)
    assert isinstance(first, SignedRequest) and isinstance(third, SignedRequest)
    assert isinstance(second, NotFound) and second.hint == "run `strongroom list`"


def test_keeps_headers_query_and_body_out_of_repr(agent: Agent) -> None:
    signed = Client(timeout=60).sign("c", "POST", "/x", json={"secret": 1})
    assert repr(signed) == "<SignedRequest POST https://venue.test/x headers=['X-Key', 'X-Signature'] body=12 bytes>"
    request = SignRequest("c", "POST", "/x", query={"price": "12"})
    assert repr(request) == "<SignRequest c POST /x>"
    assert (request.credential, request.method, request.path) == ("c", "POST", "/x")
    assert repr(Client("/run/x.sock")) == "<Client socket='/run/x.sock'>"


def test_has_frozen_classes(agent: Agent) -> None:
    room = Client(timeout=60)
    things: list[Any] = [room, room.sign("c", "GET", "/"), room.status(), room.show("a"), SignRequest("c", "GET", "/")]
    for thing in things:
        name = "socket" if thing is room else next(name for name in dir(thing) if not name.startswith("_"))
        with pytest.raises(AttributeError):
            setattr(thing, name, "other")
        with pytest.raises(AttributeError):
            thing.new_attribute = 1
    signed: SignedRequest = things[1]
    signed.headers["X-Key"] = "changed"
    assert signed.headers["X-Key"] == "c"
    for kind in (SignedRequest, Credential, Protection, Status):
        with pytest.raises(TypeError):
            kind()


def test_connects_at_the_first_call_and_anew_after_close(agent: Agent) -> None:
    with Client(timeout=60) as room:
        assert agent.connections == 0
        room.lock()
        room.lock()
        assert agent.connections == 1
    room.lock()
    assert agent.connections == 2
    room.close()
    room.close()


def test_finds_the_socket(agent: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Client(timeout=60).socket == agent.path
    assert Client(agent.path).socket == Client(os.fspath(agent.path)).socket == agent.path
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert Client(timeout=60).socket == agent.path
    monkeypatch.setenv("STRONGROOM_SOCKET", "")
    assert Client(timeout=60).socket == Path("/run/user/1000/strongroom/agent.sock")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(strongroom.NoAgent) as caught:
        Client(timeout=60)
    message = "no socket is named: neither STRONGROOM_SOCKET nor XDG_RUNTIME_DIR is set"
    assert caught.value.args == (message,)
    wrong: Any = 5
    with pytest.raises(TypeError):
        Client(wrong)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_refuses_a_timeout_that_is_none(timeout: float) -> None:
    with pytest.raises(ValueError, match="^timeout: give a number of seconds above 0$"):
        Client("/x", timeout=timeout)


def test_is_shared_by_threads_over_one_connection(agent: Agent) -> None:
    room = Client(timeout=60)
    wrong: list[str] = []

    def bot(thread: int) -> None:
        for number in range(100):
            url = room.sign("c", "GET", f"/{thread}/{number}").url
            if url != f"https://venue.test/{thread}/{number}?signature=feedface":
                wrong.append(url)

    threads = [threading.Thread(target=bot, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(agent.seen) == 800
    assert agent.connections == 1


def test_lets_other_threads_run_while_it_waits(agent: Agent) -> None:
    """The agent is in this very process: it could not answer if the client kept the interpreter's lock."""
    passed = threading.Event()

    def slow(peer: Peer) -> None:
        for request in peer.requests():
            assert passed.wait(60)
            peer.answer(request)

    agent.script = slow
    threading.Timer(0.05, passed.set).start()
    assert Client(timeout=60).sign("c", "GET", "/").method == "GET"


def child(room: Client, results: Any) -> None:
    signed = [room.sign("child", "GET", f"/{number}").url for number in range(20)]
    results.put((os.getpid(), signed))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_gives_a_forked_child_a_connection_of_its_own(agent: Agent) -> None:
    room = Client(timeout=60)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            assert room.sign("parent", "GET", "/parent").url == "https://venue.test/parent?signature=feedface"

    # Some thread of the parent always has the connection in use when a child is forked.
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    children = [fork.Process(target=child, args=(room, results)) for _ in range(3)]
    for process in children:
        process.start()
    for process in children:
        process.join(300)
        assert process.exitcode == 0
    stop.set()
    for thread in threads:
        thread.join()
    expected = [f"https://venue.test/{number}?signature=feedface" for number in range(20)]
    for _ in children:
        pid, signed = results.get()
        assert pid != os.getpid()
        assert signed == expected
    assert agent.connections == 4


def test_keeps_no_memory(agent: Agent) -> None:
    room = Client(timeout=60)
    rss = []
    for _ in range(6):
        for _ in range(1_000):
            room.sign("c", "POST", "/", query={"a": "x" * 100, "b": [1.5]}, form={"c": "y" * 100})
        agent.seen.clear()
        gc.collect()
        rss.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4)
    # What is kept grows each time; all else grows now and then, as where the kernel takes a large page for small ones.
    assert min(after - before for before, after in pairwise(rss)) < 200, rss


def test_has_exceptions_that_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(Locked("no secret is in memory", code="Locked", hint="unlock")))
    assert (type(error), error.args, error.code, error.hint) == (Locked, ("no secret is in memory",), "Locked", "unlock")
    assert str(error) == "no secret is in memory (hint: unlock)"
    assert str(StrongroomError("plain")) == "plain"


def test_says_its_name_and_types() -> None:
    for name in strongroom.__all__:
        thing = getattr(strongroom, name)
        assert thing.__doc__, name
    assert Client.__module__ == SignedRequest.__module__ == "strongroom"
    assert (Path(strongroom.__file__).parent / "py.typed").exists()


TOKEN = "strongroom_" + "0" * 72


def test_says_hello_first_on_every_connection(agent: Agent) -> None:
    with Client(token=TOKEN) as room:
        room.lock()
        room.status()
    room = Client(agent.path, token=TOKEN)
    room.lock()
    operations = [request.operation for request in agent.seen]
    assert operations == ["Hello", "Lock", "Status", "Hello", "Lock"]
    assert {request.token for request in agent.seen if request.operation == "Hello"} == {TOKEN}
    assert TOKEN not in repr(room)


def test_says_hello_again_when_it_connects_anew(agent: Agent) -> None:
    room = Client(token=TOKEN)
    room.status()
    agent.stop()
    agent.start()
    room.status()
    assert [request.operation for request in agent.seen] == ["Hello", "Status"] * 2


def test_takes_the_token_of_the_environment(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRONGROOM_TOKEN", TOKEN)
    Client(agent.path).status()
    monkeypatch.delenv("STRONGROOM_TOKEN")
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    monkeypatch.setenv("STRONGROOM_TOKEN_FILE", os.fspath(file))
    Client(timeout=60).status()
    assert [request.token for request in agent.seen] == [TOKEN, "", TOKEN, ""]
    file.chmod(0o644)
    with pytest.raises(StrongroomError, match="can be read by others") as caught:
        Client(timeout=60)
    assert TOKEN not in str(caught.value)
    with pytest.raises(StrongroomError, match="begins with") as caught:
        Client(token="grid-bot")
    assert "grid-bot" not in str(caught.value)
