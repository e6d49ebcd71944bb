"""The engine alone against ccxt: every venue that this ccxt knows, hundreds of random requests each.

The requests and ccxt's answers are rows of signing vectors, so that no agent is needed for so many; the few that go
through a real one are in test_ccxt.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import programs

REPOSITORY = Path(__file__).resolve().parents[2]
MAKE_ROWS = REPOSITORY / "venues/tests/rows/make_rows.py"
REQUESTS = 200
"""For each venue."""
VENUES = 34

Row = dict[str, Any]


def make_rows(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, MAKE_ROWS, *arguments], capture_output=True, text=True, timeout=300)


def sign(file: Path) -> list[Row]:
    done = subprocess.run([programs() / "sign-vectors", file], capture_output=True, text=True, timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def difference(ours: Row, row: Row) -> str:
    """What of a signed request is not as ccxt has it; nothing if all is."""
    theirs = row["expected"]
    if "error" in ours:
        return str(ours["error"])
    optional = row["optional_headers"]
    headers = {name.lower(): value for name, value in theirs["headers"].items() if name.lower() not in optional}
    expected = {"url": theirs["url"], "method": theirs["method"], "body": theirs["body"], "headers": headers}
    found = {part: ours[part] for part in ("url", "method", "body")}
    found["headers"] = {name.lower(): value for name, value in ours["headers"].items()}
    return "" if found == expected else f"{found} is not {expected}"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    made = make_rows("random", str(REQUESTS))
    assert made.returncode == 0, made.stderr
    file = tmp_path_factory.mktemp("rows") / "random.jsonl"
    file.write_text(made.stdout)
    return file, [json.loads(line) for line in made.stdout.splitlines()]


def test_signs_what_ccxt_signs_for_every_venue(rows: tuple[Path, list[Row]]) -> None:
    file, asked = rows
    wrong: dict[str, list[str]] = {}
    counted: dict[str, int] = {}
    for ours, row in zip(sign(file), asked, strict=True):
        venue = row["exchange"]
        counted[venue] = counted.get(venue, 0) + 1
        if text := difference(ours, row):
            wrong.setdefault(venue, []).append(f"{row['id']}: {text}")
    assert {venue: (len(texts), texts[0]) for venue, texts in wrong.items()} == {}
    assert len(counted) == VENUES and set(counted.values()) == {REQUESTS}
    # The generator does what it is for.
    assert set("漢🦀% +&=#") <= set("".join(json.dumps(row["request"], ensure_ascii=False) for row in asked))


def test_notices_a_request_that_differs(rows: tuple[Path, list[Row]], tmp_path: Path) -> None:
    """The control: one character more in one value of every row that has one."""
    _, asked = rows
    changed = [json.loads(json.dumps(row)) for row in asked if row["request"]["query"]]
    for row in changed:
        row["request"]["query"][0][1] = f"{row['request']['query'][0][1]}x"
    file = tmp_path / "changed.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in changed))
    assert len(changed) > 1000
    assert all(difference(ours, row) for ours, row in zip(sign(file), changed, strict=True))


def test_makes_the_rows_that_are_in_the_repository() -> None:
    made = make_rows("check", str(REPOSITORY / "vectors"))
    assert made.returncode == 0, made.stderr


def test_makes_the_logins_that_are_in_the_repository() -> None:
    program = MAKE_ROWS.with_name("make_ws_rows.py")
    made = subprocess.run([sys.executable, program, "check", REPOSITORY / "vectors/ws.jsonl"], capture_output=True)
    assert made.returncode == 0, made.stderr


def test_notices_a_stale_row_file(tmp_path: Path) -> None:
    assert make_rows("write", str(tmp_path)).returncode == 0
    (tmp_path / "xt.jsonl").write_text("")
    stale = make_rows("check", str(tmp_path))
    assert stale.returncode == 1 and "xt.jsonl is not what ccxt" in stale.stderr
