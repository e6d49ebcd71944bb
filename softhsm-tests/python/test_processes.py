"""One client, many threads and processes, and agents that come and go."""

from __future__ import annotations

import hashlib
import hmac
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

from conftest import Room
from credentials import CREDENTIALS
from strongroom import Client, Locked, NoAgent, SignedRequest

BALANCE = ("kraken-main", "POST", "/0/private/Balance")


def well_signed(signed: SignedRequest, order: int) -> bool:
    """Whether this is the request for this order, rightly signed, by Python's own means."""
    text, _, signature = urlsplit(signed.url).query.rpartition("&signature=")
    secret = CREDENTIALS["binance-main"].secret.encode()
    right = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    return signature == right and parse_qs(text)["orderId"] == [str(order)]


def nonce(signed: SignedRequest) -> int:
    return int(parse_qs(signed.body.decode())["nonce"][0])


def test_is_shared_by_threads(room: Room) -> None:
    threads, each = 8, 250
    barrier = threading.Barrier(threads)
    with room.client() as client:

        def work(thread: int) -> tuple[int, list[int]]:
            barrier.wait()
            right, nonces = 0, []
            for number in range(each):
                order = thread * each + number
                signed = client.sign("binance-main", "GET", "/api/v3/order", query={"orderId": order})
                right += well_signed(signed, order)
                nonces.append(nonce(client.sign(*BALANCE)))
            return right, nonces

        with ThreadPoolExecutor(threads) as pool:
            results = list(pool.map(work, range(threads)))
    assert [right for right, _ in results] == [each] * threads
    for _, nonces in results:
        assert nonces == sorted(nonces)
    assert len({number for _, nonces in results for number in nonces}) == threads * each


def test_lets_other_threads_run_while_a_call_waits(own: Room) -> None:
    with own.client() as client:
        client.status()
        call = threading.Thread(target=client.status)
        with own.stopped():
            call.start()
            began, turns = time.monotonic(), 0
            while turns < 1000 or time.monotonic() - began < 0.2:
                turns += 1
            # The call would wait for a minute. With the interpreter's lock held these turns would have too.
            assert call.is_alive()
        call.join(60)
        assert not call.is_alive()


def in_child(client: Client, results: multiprocessing.SimpleQueue[tuple[int, int]], first: int) -> None:
    right = sum(
        well_signed(client.sign("binance-main", "GET", "/api/v3/order", query={"orderId": order}), order)
        for order in range(first, first + 200)
    )
    results.put((right, nonce(client.sign(*BALANCE))))


def test_survives_a_fork(room: Room) -> None:
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    with room.client() as client:
        before = nonce(client.sign(*BALANCE))  # connected, so that children inherit the connection
        children = [fork.Process(target=in_child, args=(client, results, 1000 * number)) for number in (1, 2, 3)]
        for child in children:
            child.start()
        in_child(client, results, 0)
        for child in children:
            child.join(120)
        assert [child.exitcode for child in children] == [0, 0, 0]
        outcomes = [results.get() for _ in range(4)]
        after = nonce(client.sign(*BALANCE))
    assert [right for right, _ in outcomes] == [200] * 4
    nonces = {number for _, number in outcomes}
    assert len(nonces) == 4 and before < min(nonces) and max(nonces) < after


def test_goes_on_after_a_restart_with_rising_nonces(own: Room) -> None:
    with own.client() as client:
        nonces = [nonce(client.sign(*BALANCE))]
        for end in (own.agent.stop, lambda: own.agent.kill()):
            end()
            try:
                client.sign(*BALANCE)
            except NoAgent:
                pass
            else:
                raise AssertionError("a signature without an agent")
            own.restart()
            try:
                client.sign(*BALANCE)
            except Locked as locked:
                assert "unlock" in locked.hint
            else:
                raise AssertionError("a signature from a locked agent")
            own.installation.unlock()
            nonces += [nonce(client.sign(*BALANCE)) for _ in range(3)]
    assert nonces == sorted(set(nonces)) and len(nonces) == 7


def test_shares_nonces_among_clients(room: Room) -> None:
    clients = [room.client() for _ in range(5)]
    nonces = [nonce(client.sign(*BALANCE)) for _ in range(50) for client in clients]
    for client in clients:
        client.close()
    assert nonces == sorted(set(nonces)) and len(nonces) == 250
