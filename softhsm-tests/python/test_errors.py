"""Each exception that a real agent can cause, and what helps."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Room, until
from credentials import CREDENTIALS
from strongroom import (
    Client,
    Denied,
    Invalid,
    Locked,
    NoAgent,
    NotFound,
    SignedRequest,
    SignRequest,
    StrongroomError,
    Timeout,
    Unavailable,
)

ACCOUNT = ("binance-main", "GET", "/api/v3/account")


def test_raises_not_found_for_an_unknown_credential(room: Room) -> None:
    asks: list[Callable[[Client], object]] = [
        lambda client: client.sign("nobody", "GET", "/api/v3/account"),
        lambda client: client.show("nobody"),
    ]
    for ask in asks:
        with room.client() as client, pytest.raises(NotFound, match="nobody") as caught:
            ask(client)
        assert caught.value.code == "NotFound"
        assert "strongroom list" in caught.value.hint


@pytest.mark.parametrize(
    ("credential", "method", "path", "arguments", "says"),
    [
        ("binance", "FETCH", "/api/v3/order", {}, "FETCH"),
        ("binance", "GET", "api/v3/order", {}, "must start with `/`"),
        ("binance", "GET", "/api/v3/order?a=1", {}, "pass the query as parameters"),
        ("binance", "GET", "/api/../order", {}, "`.` or `..` segment"),
        ("binance", "GET", "/x", {"query": [("a", 1), ("a", 2)]}, "`a`"),
        ("binance", "GET", "/x", {"query": {"signature": "00"}}, "signature"),
        ("binance", "GET", "/x", {"query": {"timestamp": "today"}}, "timestamp"),
        ("binance", "POST", "/x", {"query": {"a": 1}, "form": {"a": 2}}, "`a`"),
        ("binance", "GET", "/x", {"query": {"a": None}}, "null"),
        ("bitfinex", "POST", "/v2/x", {"query": {"a": 1}}, "put the parameters into the body"),
        ("kraken", "POST", "/0/private/x", {"query": {"a": 1}, "form": {"b": 1}}, "does not sign the query"),
        ("bybit", "GET", "/v5/x", {"query": {"a": "b&c=d"}}, "'&'"),
        ("okx", "POST", "/api/v5/x", {"json": b'{"a":1,"a":2}'}, "`a`"),
        ("okx", "POST", "/api/v5/x", {"json": b"{"}, "JSON"),
        ("okx", "POST", "/api/v5/x", {"json": {"a": "x" * 70_000}}, "bytes"),
    ],
)
def test_raises_invalid_for_what_a_venue_would_not_get(
    room: Room, credential: str, method: str, path: str, arguments: dict[str, Any], says: str
) -> None:
    with room.client() as client:
        with pytest.raises(Invalid) as caught:
            client.sign(credential, method, path, **arguments)
        assert says in str(caught.value)
        assert caught.value.code == "Invalid"
        # The connection has survived.
        assert client.sign(*ACCOUNT).method == "GET"


def test_raises_invalid_with_the_rule_for_a_body_that_the_venue_does_not_sign(own: Room) -> None:
    own.installation.enroll(CREDENTIALS["binance"]._replace(name="bingx", venue="bingx"))
    order = ("bingx", "POST", "/openApi/swap/v2/trade/order")
    with own.client() as client:
        with pytest.raises(Invalid) as caught:
            client.sign(*order, json={"symbol": "BTC-USDT"})
        rule = "bingx does not sign the body of a POST to this path; put the parameters into the query"
        assert str(caught.value).startswith(rule)
        assert client.sign(*order, query={"symbol": "BTC-USDT"}).method == "POST"


def test_raises_locked_until_it_is_unlocked(own: Room) -> None:
    with own.client() as client:
        assert client.sign(*ACCOUNT).method == "GET"
        client.lock()
        with pytest.raises(Locked, match="the agent is locked: a client locked it") as caught:
            client.sign(*ACCOUNT)
        assert caught.value.code == "Locked"
        assert "strongroom unlock" in caught.value.hint
        status = client.status()
        assert (status.locked, status.ready, status.keeper_pid) == (True, 0, None)
        own.installation.unlock()
        assert client.sign(*ACCOUNT).method == "GET"


def test_raises_locked_when_the_keeper_was_killed(own: Room) -> None:
    with own.client() as client:
        keeper = client.status().keeper_pid
        assert keeper
        os.kill(keeper, signal.SIGKILL)
        until(lambda: client.status().locked)
        with pytest.raises(Locked, match="keeper"):
            client.sign(*ACCOUNT)
        own.installation.unlock()
        assert client.sign(*ACCOUNT).method == "GET"


def test_raises_unavailable_for_a_record_that_was_edited(own: Room) -> None:
    record = own.installation.data / "records" / "binance-main.toml"
    text = record.read_text()
    own.agent.stop()
    record.write_text(text.replace("vmPUZE6mv9SD5VNHk4HlW", "XXXXXXXXXXXXXXXXXXXXX"))
    assert record.read_text() != text
    own.restart()
    own.installation.unlock()
    with own.client() as client:
        with pytest.raises(Unavailable, match="`binance-main` cannot sign: .*(edited|swapped)") as caught:
            client.sign(*ACCOUNT)
        assert caught.value.code == "Unavailable"
        shown = client.show("binance-main")
        assert not shown.ready and "edited" in shown.fault
        # The other one does not suffer.
        assert client.sign("kraken-main", "POST", "/0/private/Balance").method == "POST"


def test_raises_no_agent_where_none_answers(own: Room) -> None:
    with own.client() as client:
        assert client.sign(*ACCOUNT).method == "GET"
        own.agent.stop()
        with pytest.raises(NoAgent, match="no agent answers at") as caught:
            client.sign(*ACCOUNT)
        assert caught.value.code is None
        assert "strongroom agent" in caught.value.hint
    with pytest.raises(NoAgent):
        Client(own.installation.folder / "nothing" / "agent.sock").status()


def test_raises_timeout_while_the_agent_is_stopped(own: Room) -> None:
    with own.client(timeout=0.2) as client, own.client() as patient:
        assert patient.sign(*ACCOUNT).method == "GET"
        with own.stopped():
            began = time.monotonic()
            with pytest.raises(Timeout) as caught:
                client.sign(*ACCOUNT)
            assert time.monotonic() - began >= 0.2
            assert isinstance(caught.value, TimeoutError) and caught.value.code is None
        assert patient.sign(*ACCOUNT).method == "GET"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_raises_denied_for_another_user(own: Room) -> None:
    # As wide open as a careless administrator can make it.
    own.installation.folder.chmod(0o755)
    own.socket.parent.chmod(0o755)
    own.socket.chmod(0o666)
    said = as_user(65534, lambda: refusal(lambda: own.client().sign(*ACCOUNT)))
    assert said.startswith("Denied: refusing user 65534: it is neither the agent's user nor an admin")
    # And the same where nobody was careless.
    own.socket.chmod(0o600)
    said = as_user(65534, lambda: refusal(lambda: own.client().sign(*ACCOUNT)))
    assert said.startswith("NoAgent: ") and "Permission denied" in said


def as_user(uid: int, action: Callable[[], str]) -> str:
    """Runs `action` in a child that is another user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            said = action()
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


def refusal(action: Callable[[], object]) -> str:
    try:
        action()
    except StrongroomError as error:
        return f"{type(error).__name__}: {error}"
    return "no refusal"


def test_returns_or_raises_the_errors_of_a_batch(own: Room) -> None:
    good = SignRequest(*ACCOUNT)
    batch = [good, SignRequest("nobody", "GET", "/x"), good, SignRequest("binance-main", "GET", "x")]
    with own.client() as client:
        with pytest.raises(NotFound):
            client.sign_many(batch)
        kinds = [type(result) for result in client.sign_many(batch, return_exceptions=True)]
        assert kinds == [SignedRequest, NotFound, SignedRequest, Invalid]
        client.lock()
        kinds = [type(result) for result in client.sign_many(batch, return_exceptions=True)]
        assert set(kinds) == {Locked}


def test_names_no_secret_in_an_error(own: Room) -> None:
    word = "TOP-SECRET-STRATEGY"
    with own.client() as client, pytest.raises(Invalid) as caught:
        client.sign("binance-main", "GET", "/x", query=[("a", word), ("a", word)])
    assert word not in str(caught.value)
    assert word not in own.agent.log()
    assert Path(own.installation.data).is_dir()
