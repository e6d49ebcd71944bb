"""The engine alone against ccxt: every venue, hundreds of random requests each.

The requests and ccxt's answers are rows of signing vectors, so that no agent is needed for so many; the few that go
through a real one are in test_ccxt.py. A difference must be one of artefacts.py, which say what they concern.

    STRONGROOM_DIFFERENTIAL=1000 STRONGROOM_SEED=7 ./x python     more requests, and other ones
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from artefacts import ARTEFACTS, REFUSALS, explain
from conftest import programs

REPOSITORY = Path(__file__).resolve().parents[2]
MAKE_ROWS = REPOSITORY / "venues/tests/rows/make_rows.py"
REQUESTS = int(os.environ.get("STRONGROOM_DIFFERENTIAL", "300"))
"""For each venue."""
SEED = os.environ.get("STRONGROOM_SEED", "1")
OLDER = ("4.4.100", "4.0.100", "1.90.1", "1.20.1")
VENUES = {"": 39, "4.4.100": 3, "4.0.100": 2, "1.90.1": 1, "1.20.1": 1}
"""How many each ccxt is asked for."""

Row = dict[str, Any]


def older() -> dict[str, str]:
    """What to put in front of the modules for each older ccxt."""
    folder = os.environ.get("STRONGROOM_CCXT_DIR")
    if not folder or not all((Path(folder) / version / "ccxt").is_dir() for version in OLDER):
        pytest.fail(f"STRONGROOM_CCXT_DIR must name a folder with the ccxts {', '.join(OLDER)}; `./x test` makes it")
    return {version: str(Path(folder) / version) for version in OLDER}


def make_rows(*arguments: str, ccxt: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": ccxt, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(MAKE_ROWS), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def sign(file: Path) -> list[Row]:
    done = subprocess.run([programs() / "sign-vectors", file], capture_output=True, text=True, timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def differing(ours: Row, row: Row) -> set[str]:
    """What of a signed request is not as ccxt has it; nothing where there is none."""
    if "error" in ours:
        return set()
    theirs, optional = row["expected"], row["optional_headers"]
    headers = {name.lower(): value for name, value in theirs["headers"].items() if name.lower() not in optional}
    expected = {"url": theirs["url"], "method": theirs["method"], "body": theirs["body"], "headers": headers}
    found = {**ours, "headers": {name.lower(): value for name, value in ours["headers"].items()}}
    return {part for part, value in expected.items() if found[part] != value}


def judged(ours: Row, row: Row) -> str:
    """`equal`, the name of what explains the difference, or the difference itself."""
    parts, error = differing(ours, row), str(ours.get("error") or "")
    if not parts and not error:
        return "equal"
    return explain(row, parts, error) or f"{row['id']}: {error or parts}: {ours} is not {row['expected']}"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Row, Row]]:
    """What the engine makes of each random row, and the row."""
    text = ""
    for version, folder in {"": "", **older()}.items():
        made = make_rows("random", str(REQUESTS), SEED, ccxt=folder)
        assert made.returncode == 0, made.stderr
        assert made.stdout.count("\n") == VENUES[version] * REQUESTS, version
        text += made.stdout
    file = tmp_path_factory.mktemp("rows") / "random.jsonl"
    file.write_text(text)
    return list(zip(sign(file), map(json.loads, text.splitlines()), strict=True))


def test_signs_what_ccxt_signs_for_every_venue(
    signed: list[tuple[Row, Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    counted: dict[str, Counter[str]] = {}
    for ours, row in signed:
        counted.setdefault(row["exchange"], Counter())[judged(ours, row)] += 1
    known = {"equal", *REFUSALS, *ARTEFACTS}
    wrong = {venue: [text for text in counts if text not in known] for venue, counts in counted.items()}
    assert {venue: (len(texts), texts[0]) for venue, texts in wrong.items() if texts} == {}, f"seed {SEED}"
    # The explanations are the exception, and the generator does what it is for.
    assert all(counts["equal"] >= REQUESTS // 2 for counts in counted.values()), counted
    assert set("漢🦀% +&=#") <= set("".join(json.dumps(row["request"], ensure_ascii=False) for _, row in signed))
    every = Counter[str]()
    for counts in counted.values():
        every.update(counts)
    with capsys.disabled():
        print(f"\n{len(signed)} requests to {len(counted)} venues, seed {SEED}:")
        for name, count in every.most_common():
            print(f"{count:7} {name}")


def test_uses_every_explanation(signed: list[tuple[Row, Row]]) -> None:
    """An artefact or a refusal that explains nothing any more must go; other seeds meet the rare ones or not."""
    used = {judged(ours, row) for ours, row in signed}
    unused = {*REFUSALS, *ARTEFACTS} - used
    assert not unused or SEED != "1" or REQUESTS < 300, unused


def test_notices_a_request_that_differs(signed: list[tuple[Row, Row]], tmp_path: Path) -> None:
    """The control: one character more in one value of every row that has one and was signed alike."""
    alike = [row for ours, row in signed if judged(ours, row) == "equal"]
    changed = [json.loads(json.dumps(row)) for row in alike if row["request"]["query"]][::3]
    for row in changed:
        row["request"]["query"][0][1] = f"{row['request']['query'][0][1]}x"
    file = tmp_path / "changed.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in changed))
    assert len(changed) > 1000
    assert all(differing(ours, row) for ours, row in zip(sign(file), changed, strict=True))


@pytest.mark.parametrize("version", ["", *OLDER])
def test_makes_the_rows_that_are_in_the_repository(version: str) -> None:
    made = make_rows("check", str(REPOSITORY / "vectors"), ccxt=older()[version] if version else "")
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
