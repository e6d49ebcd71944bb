"""Real installations: a SoftHSM token, the built programs, a running agent."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from credentials import CREDENTIALS, ENROLLED
from installation import Agent, Installation
from strongroom import Client


class Room:
    """One installation and its agent."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.agent: Agent = installation.start()

    @property
    def socket(self) -> Path:
        return self.installation.socket

    def client(self, timeout: float = 60.0) -> Client:
        return Client(self.socket, timeout=timeout)

    def restart(self) -> None:
        """Ends the agent if it runs, and starts it again, locked."""
        self.agent.stop()
        self.agent = self.installation.start()


    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The agent does nothing meanwhile. A signal that was sent has not come yet, so that is waited for."""
        process = self.agent.process.pid
        os.kill(process, signal.SIGSTOP)
        try:
            until(lambda: is_stopped(process))
            yield
        finally:
            os.kill(process, signal.SIGCONT)


def is_stopped(process: int) -> bool:
    """Whether each thread of a process is stopped, as proc(5) has it."""
    threads = Path(f"/proc/{process}/task").iterdir()
    try:
        return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)
    except OSError:  # one has just ended
        return False


def until(fact: Callable[[], bool]) -> None:
    """Waits for what must come. Whoever waits this long has found a hang, and no busy machine."""
    end = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < end, "what was waited for has not come"
        time.sleep(0.005)


@contextmanager
def installed(*names: str) -> Iterator[Room]:
    """An unlocked agent with these credentials, in a folder of its own."""
    # Short: the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="room-", dir="/tmp") as folder:
        installation = Installation(programs(), Path(folder), "pytest")
        installation.init()
        # Published examples, and requests whose bytes are to be known beforehand.
        installation.accept_any_caller_time()
        for name in names:
            installation.enroll(CREDENTIALS[name])
        room = Room(installation)
        try:
            installation.unlock()
            yield room
        finally:
            room.agent.stop()


def programs() -> Path:
    """The folder of the built programs."""
    folder = os.environ.get("STRONGROOM_BIN_DIR")
    if not folder:
        pytest.exit("STRONGROOM_BIN_DIR must name the folder of the built programs; `./x test` sets it", 3)
    return Path(folder)


@pytest.fixture(scope="session")
def room() -> Iterator[Room]:
    """An agent with a credential for every venue. It belongs to all tests: do not lock or stop it."""
    with installed(*ENROLLED) as room:
        yield room


@pytest.fixture
def own() -> Iterator[Room]:
    """An agent that the test may lock, stop and kill."""
    with installed("binance-main", "kraken-main") as room:
        yield room
