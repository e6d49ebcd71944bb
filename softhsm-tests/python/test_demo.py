"""The demo: what it shows, what it leaves, and what its venue refuses."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import programs
from demo import BINANCE_SIGNATURE, KRAKEN_SIGNATURE
from venue import BAD_KEY, BAD_PARAMETER, BAD_SIGNATURE, BAD_TIME, Refused, Venue

DEMO = Path(__file__).resolve().parents[1] / "demo" / "demo.py"


def start(folder: Path, programs: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), "--programs", str(programs)],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as folder:
        yield Path(folder)


def running(folder: Path) -> list[str]:
    """The processes that were started with a path in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                given = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"STRONGROOM_SOCKET={folder}".encode() in given:
                found.append(entry.name)
    return found


def test_shows_the_published_signatures_and_leaves_nothing(folder: Path) -> None:
    demo = start(folder, programs())
    output, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, output
    assert output.count(BINANCE_SIGNATURE) == 2
    assert "".join(output.split()).count(KRAKEN_SIGNATURE) == 2
    for line in ("accepted: order 1", "refused, -1022", "refused, -1021", "Locked: the agent is locked"):
        assert line in output
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) < 80 or len(str(folder)) > 30
    assert list(folder.iterdir()) == [] and running(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("step", ["A key that never", "The agent\n", "A bot without", "places an order"])
def test_leaves_nothing_when_it_is_interrupted(folder: Path, number: signal.Signals, step: str) -> None:
    demo = start(folder, programs())
    assert demo.stdout
    output = ""
    while step not in output:
        line = demo.stdout.readline()
        assert line, output
        output += line
    demo.send_signal(number)
    output += demo.communicate(timeout=300)[0]
    assert demo.returncode == 128 + number, output
    assert f"{number.name}: ending" in output and "Traceback" not in output
    assert list(folder.iterdir()) == []
    end = time.monotonic() + 60
    while running(folder) and time.monotonic() < end:  # what a killed command had started ends by itself
        time.sleep(0.01)
    assert running(folder) == []


def test_says_what_is_not_built(folder: Path) -> None:
    demo = start(folder, folder / "nowhere")
    output, _ = demo.communicate(timeout=300)
    assert demo.returncode == 1
    assert "nowhere/strongroom is not built" in output and "Traceback" not in output
    assert list(folder.iterdir()) == []


def test_runs_a_venue_that_refuses_what_is_not_right() -> None:
    key, secret = "key", "secret"
    order = "symbol=A&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=2"

    def signed(text: str) -> str:
        return f"{text}&signature={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"

    now = time.time_ns() // 1_000_000
    timed = f"{order}&timestamp={now}"
    with Venue(key, secret) as venue:
        assert venue.check(key, "", signed(timed))["quantity"] == "1"
        assert venue.check(key, signed(timed), "")["quantity"] == "1"
        # Query and body are signed one behind the other, without a separator.
        body = signed("symbol=A" + timed.removeprefix("symbol=A&")).removeprefix("symbol=A")
        assert venue.check(key, "symbol=A", body)["symbol"] == "A"
        for why, key_id, body in [
            (BAD_KEY, "other", signed(timed)),
            (BAD_SIGNATURE, key, timed),
            (BAD_SIGNATURE, key, signed(timed).replace("quantity=1", "quantity=9")),
            (BAD_SIGNATURE, key, signed(timed)[:-1]),
            (BAD_SIGNATURE, key, f"{signed(timed)}&price=1"),
            (BAD_TIME, key, signed(f"{order}&timestamp={now - 6000}")),
            (BAD_TIME, key, signed(f"{order}&timestamp={now + 60_000}")),
            (BAD_TIME, key, signed(order)),
            (BAD_PARAMETER, key, signed(f"{timed}&quantity=2")),
            (BAD_PARAMETER, key, signed(timed.replace("price=2", "price="))),
        ]:
            with pytest.raises(Refused) as caught:
                venue.check(key_id, "", body)
            assert caught.value.code == why[1], body
        assert venue.orders == []
