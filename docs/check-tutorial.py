#!/usr/bin/env python3
"""Does what tutorials/first-signature.md says: docs/check-tutorial.py BINDIR

Every block marked `sh` is run, in order, in one bash on a terminal of its own, with a fresh HOME and
the programs of BINDIR; PIN and secret are typed when they are asked for. Then the outcome is checked:
the signature against a second implementation, the refusals, and that nothing is left.
Needs softhsm2-util and SoftHSM (Debian: softhsm2). Standard library only.
"""

import hashlib
import hmac
import os
import pathlib
import pty
import re
import select
import signal
import sys
import tempfile
import termios
import time
from urllib.parse import urlsplit

PAGE = pathlib.Path(__file__).parent / "tutorials" / "first-signature.md"
PIN = "123456"
SECONDS = 600
WAIT = 'for _ in $(seq 600); do strongroom status > /dev/null 2>&1 && break; sleep 0.1; done\n'


def script(page: str) -> str:
    """All `sh` blocks as one script that stops at the first failure."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 7, f"only {len(blocks)} blocks found"
    # A reader is slower than a script: let the agent come up.
    blocks = [block + WAIT if block.startswith("strongroom agent") else block for block in blocks]
    return "set -euo pipefail\n" + "".join(blocks) + "echo THE-END\n"


def run(path: str, environment: dict[str, str], secret: str) -> tuple[str, int]:
    """Runs the script on a terminal and answers what it asks. Returns all output and the exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve("/bin/bash", ["bash", path], environment)
    output, answered, deadline = "", 0, time.monotonic() + SECONDS
    while True:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            sys.exit(f"not done after {SECONDS} s:\n{output}")
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            output += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # the terminal's other side is closed
            break
        question = re.search(r"[^\n]*\b(PIN|secret)\b[^\n]*: ?$", output[answered:], re.IGNORECASE)
        if question:
            while termios.tcgetattr(terminal)[3] & termios.ECHO:
                time.sleep(0.01)  # a person does not type before the echo is off
            answered = len(output)
            answer = secret if question[1].lower() == "secret" else PIN
            os.write(terminal, f"{answer}\n".encode())
    return output.replace("\r\n", "\n"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    bindir = pathlib.Path(sys.argv[1]).resolve()
    page = PAGE.read_text()
    secret = re.search(r"Its secret is\n\n```text\n(\S+)\n```", page)
    assert secret, "the page does not say the secret"
    with tempfile.TemporaryDirectory() as home:
        file = pathlib.Path(home) / "script"
        file.write_text(script(page))
        environment = {"HOME": home, "PATH": f"{bindir}:/usr/bin:/bin:/usr/sbin", "TERM": "dumb", "LANG": "C.UTF-8"}
        output, status = run(str(file), environment, secret[1])
        left = sorted(path.name for path in pathlib.Path(home).iterdir() if path != file)

    def check(ok: bool, what: str) -> None:
        if not ok:
            sys.exit(f"{what}; the whole output:\n{output}")

    check(status == 0 and "THE-END" in output, f"the tutorial stopped with status {status}")
    check(not left, f"left behind: {left}")
    check(secret[1] not in output, "the secret was printed")
    signed = re.search(r"((?:[\w.~%-]+=[^&\s\"]*&)*timestamp=\d+[^\s\"]*?)&signature=([0-9a-f]{64})", output)
    check(signed is not None, "there is no signed request")
    assert signed
    text = urlsplit(signed[1]).path
    expected = hmac.new(secret[1].encode(), text.encode(), hashlib.sha256).hexdigest()
    check(signed[2] == expected, f"{signed[2]} is not the signature of {text}")
    check("exit code 5" in output, "a locked agent did not refuse")
    check("was edited, damaged, or swapped" in output, "an edited record was not named as such")
    print("tutorial: every command works, the signature is right, locked and edited are refused")


main()
