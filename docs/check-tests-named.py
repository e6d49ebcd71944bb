#!/usr/bin/python3
"""Every test that the threat model names is there: `suite::file::name` is `fn name` in that file of that suite."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUITES = {
    "outside": "softhsm-tests/tests/outside",
    "bad_days": "softhsm-tests/tests/bad_days",
    "leak": "softhsm-tests/tests/leak",
    "keeper": "keeper/tests/process",
    "seeds": "keeper/src",
    "token": "token/tests/worker",
}


def main() -> int:
    page = (ROOT / "docs/explanation/threat-model.md").read_text()
    named = re.findall(r"`(\w+)::(\w+)::(\w+)`", page)
    if len(named) < 40:
        print(f"threat model: only {len(named)} tests are named: is its form another?", file=sys.stderr)
        return 1
    missing = []
    for suite, file, name in named:
        source = ROOT / SUITES.get(suite, "no such suite") / f"{file}.rs"
        text = source.read_text() if source.exists() else ""
        if not re.search(rf"\bfn {name}\b", text):
            missing.append(f"{suite}::{file}::{name}")
    for name in missing:
        print(f"threat model: there is no test {name}", file=sys.stderr)
    if not missing:
        print(f"threat model: all {len(named)} tests that it names are there")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
