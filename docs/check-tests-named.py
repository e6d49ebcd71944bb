#!/usr/bin/python3
"""Every test that a page names is there.

The threat model names `suite::file::name`: `#[test] fn name` in that file of that suite, or, in the suite `leak`, which has a
harness of its own, `file::name` in its list of cases. The page of the leak test names a test by its name alone, and whole files.
"""

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
LEAK = ROOT / SUITES["leak"]
# Other attributes and comments may stand between.
TEST = r"#\[(?:tokio::)?test[^\]]*\]\s*(?:(?:#\[[^\n]*\]|//[^\n]*)\s*)*(?:async )?fn (\w+)\b"


def tests_of(source: pathlib.Path) -> set[str]:
    return set(re.findall(TEST, source.read_text())) if source.exists() else set()


def cases() -> set[str]:
    """The cases that the suite `leak` runs, as `file::name`."""
    main = (LEAK / "main.rs").read_text()
    table = main.partition("const CASES")[2].partition("];")[0]
    return set(re.findall(r'^\s*\("\w+", (\w+::\w+)\),$', table, re.MULTILINE))


def missing_of_threat_model() -> tuple[int, list[str]]:
    page = (ROOT / "docs/explanation/threat-model.md").read_text()
    named = re.findall(r"`(\w+)::(\w+)::(\w+)`", page)
    listed = cases()
    missing = []
    for suite, file, name in named:
        if suite == "leak":
            there = f"{file}::{name}" in listed
        else:
            there = name in tests_of(ROOT / SUITES.get(suite, "no such suite") / f"{file}.rs")
        if not there:
            missing.append(f"{suite}::{file}::{name}")
    return len(named), missing


def missing_of_leak_page() -> tuple[int, list[str]]:
    table = (LEAK / "page.rs").read_text().partition("const ELSEWHERE")[2].partition("Not looked into")[0]
    named = re.findall(r"`([^`]+)`", table)
    tests = {name for folder in SUITES.values() for source in (ROOT / folder).glob("*.rs") for name in tests_of(source)}
    missing = []
    folder = ROOT
    for name in named:
        if name.endswith(".rs"):
            # A file without a folder is beside the one before it.
            source = ROOT / name if "/" in name else folder / name
            folder = source.parent
            there = bool(tests_of(source))
        else:
            there = name in tests
        if not there:
            missing.append(name)
    return len(named), missing


def main() -> int:
    faults = 0
    pages = [("threat model", 40, missing_of_threat_model), ("page of the leak test", 8, missing_of_leak_page)]
    for page, fewest, look in pages:
        count, missing = look()
        if count < fewest:
            print(f"{page}: only {count} tests are named: is its form another?", file=sys.stderr)
            faults += 1
        for name in missing:
            print(f"{page}: there is no test {name}", file=sys.stderr)
        faults += len(missing)
        if not missing:
            print(f"{page}: all {count} tests that it names are there")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
