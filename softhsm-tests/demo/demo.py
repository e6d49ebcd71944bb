"""From nothing to a signed order: a token, an agent, and a bot that has no secret.

    demo.py --programs DIR      run by `./x demo`; DIR holds strongroom, strongroom-keeper, strongroom-token

Everything is in one temporary folder and in processes of this program, and goes away with it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import traces
from installation import Agent, Credential, Installation, InstallationError, alive, has_secret_memory
from screen import Screen
from venue import Venue

# Published by the venues, for examples; these keys open nothing.
# https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md, "SIGNED request example (HMAC)"
BINANCE = Credential(
    "binance-main",
    "binance",
    "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
)
BINANCE_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
# https://docs.kraken.com/api/docs/guides/spot-rest-auth; it has no API key, so this one is made up.
KRAKEN = Credential(
    "kraken-main",
    "kraken",
    "published-example",
    "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==",
)
KRAKEN_SIGNATURE = (
    "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
)
# Longest path of a Unix socket, with the byte that ends it.
SUN_PATH = 108
ANSWER_SECONDS = 60

# What came as JSON.
Answer: TypeAlias = dict[str, Any]


class DemoError(Exception):
    """Something was not as it should be; the message says what."""


class Bot:
    """The bot's process: tasks go to its standard input, answers come from its standard output."""

    def __init__(self, socket: Path, log: Path) -> None:
        self._log = log
        program = Path(__file__).with_name("bot.py")
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(program)],
                env={"LANG": "C.UTF-8", "STRONGROOM_SOCKET": str(socket)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd="/",
                start_new_session=True,
            )

    def do(self, task: str, *arguments: str) -> Answer:
        """Has the bot do one thing."""
        assert self.process.stdin and self.process.stdout
        line = ""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps([task, *arguments]), file=self.process.stdin, flush=True)
            if select.select([self.process.stdout], [], [], ANSWER_SECONDS)[0]:
                line = self.process.stdout.readline()
        if not line:
            raise DemoError(f"the bot does not answer to `{task}`\n{self._log.read_text(errors='replace').strip()}")
        answer: Answer = json.loads(line)
        return answer

    def stop(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.communicate()


class Ended(BaseException):
    """A signal asks the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """Turns SIGHUP, SIGINT and SIGTERM into `Ended`; not while something is started or cleaned up."""

    def __init__(self) -> None:
        self._held = False
        self._came: int | None = None
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on)

    def _on(self, number: int, _frame: object) -> None:
        self._came = number
        if not self._held:
            raise Ended(number)

    def hold(self) -> None:
        """From now on a signal changes nothing."""
        self._held = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What is done here is done to its end first."""
        self._held = True
        yield
        self._held = False
        if self._came is not None:
            raise Ended(self._came)


class Demo:
    """The demo, step by step."""

    def __init__(self, screen: Screen, signals: Signals, stack: contextlib.ExitStack, room: Installation) -> None:
        self.screen = screen
        self.room = room
        key_id, secret = (random_text() for _ in range(2))
        self.local = Credential("demo-venue", "binance", key_id, secret)
        self.credentials = (BINANCE, KRAKEN, self.local)
        self._signals = signals
        self._stack = stack
        self._pids: list[int] = []

    @property
    def secrets(self) -> list[bytes]:
        """Every secret in every form that it is used in."""
        texts = [credential.secret.encode() for credential in self.credentials]
        return [*texts, base64.b64decode(KRAKEN.secret)]

    def run(self) -> None:
        """All of it; `DemoError` at the first thing that is not as it should be."""
        self.initialise()
        self.enroll()
        agent = self.start()
        bot = self.introduce()
        self.published(bot)
        self.order(bot)
        self.look(agent, bot)
        self.lock(bot)
        self.end(agent, bot)

    def initialise(self) -> None:
        screen, token = self.screen, self.room.token
        screen.step("A token")
        screen.say("SoftHSM, a token made of files, stands where a real one would be.")
        screen.fact("token", f"{token.label}, serial {token.serial}")
        screen.step("A key that never leaves it")
        screen.command(f"strongroom init --module {Path(token.module).name} --serial {token.serial} --pin-fd 3")
        made = self.room.init()
        screen.fact("KEK", f"AES-256, born in the token; id {made['kek_id'][:8]}…; rung {made['rung']}")
        self.room.accept_any_caller_time()
        screen.beware(
            "danger_accept_any_caller_time is set, for the published examples bring times "
            "of long ago. A real installation leaves it off."
        )
        if not has_secret_memory():
            self.room.allow_weak_memory()
            screen.beware(
                "danger_allow_weak_memory is set, for this kernel has no secret memory: root "
                "can read the keeper. Linux 6.5 has it, older ones with secretmem.enable=1."
            )

    def enroll(self) -> None:
        screen = self.screen
        screen.step("Three exchange keys go in")
        screen.say("Two that Binance and Kraken publish as examples, one made for this demo.")
        for credential in self.credentials:
            screen.command(
                f"strongroom enroll {credential.name} --venue {credential.venue} "
                f"--key-id {shortened(credential.key_id)} --allow '*' --secret-fd 3 --pin-fd 4"
            )
            self.room.enroll(credential)
        folder = self.room.folder
        for credential in self.credentials:
            found = [path.name for path in traces.in_folder(folder, credential.key_id.encode())]
            check(found, [f"{credential.name}.toml"], f"files with the API key of {credential.name}")
        for secret in self.secrets:
            check(traces.in_folder(folder, secret), [], "files with a secret")
        count = len(traces.files(folder))
        screen.good(f"all {count} files looked through: API keys in the records, no secret anywhere")

    def start(self) -> Agent:
        screen = self.screen
        screen.step("The agent")
        screen.command("strongroom agent &")
        with self._signals.held():
            agent = self.room.start()
            self._stack.callback(agent.stop)
        screen.command("strongroom unlock --pin-fd 3")
        self.room.unlock()
        status = json.loads(self.room.must(["status", "--json"]))
        check((status["locked"], status["ready"]), (False, len(self.credentials)), "locked, and ready credentials")
        self._pids = agent.family()
        check(status["keeper_pid"] in self._pids, True, "the keeper is a child of the agent")
        screen.fact("agent", f"process {agent.process.pid}, talks with bots, has no secret")
        screen.fact("keeper", f"process {status['keeper_pid']}, has the secrets, talks with the agent only")
        screen.good(f"unlocked, {status['ready']} of {status['credentials']} credentials ready")
        return agent

    def introduce(self) -> Bot:
        screen = self.screen
        screen.step("A bot without a secret")
        with self._signals.held():
            bot = Bot(self.room.socket, self.room.folder / "bot.log")
            self._stack.callback(bot.stop)
        has = bot.do("about")
        screen.say("A process of its own. It says what it has:")
        screen.fact("arguments", " ".join(has["argv"]))
        screen.fact("variables", *(f"{name}={value}" for name, value in has["environment"].items()))
        screen.fact("files", *has["files"])
        socket = str(self.room.socket).encode()
        check(traces.in_start(bot.process.pid, [socket, *self.secrets]), [socket], "in arguments and environment")
        for path in has["files"]:
            if Path(path).is_file():
                text = Path(path).read_bytes()
                check([secret for secret in self.secrets if secret in text], [], f"secrets in {path}")
        screen.good("no secret in any of them")
        return bot

    def published(self, bot: Bot) -> None:
        screen = self.screen
        screen.step("The bot signs what Binance and Kraken publish")
        signed = bot.do("binance_example")
        must_be_signed(signed)
        query = parse_qs(urlsplit(signed["url"]).query)
        self._compare("POST /api/v3/order", query["signature"][0], "Binance", BINANCE_SIGNATURE)
        signed = bot.do("kraken_example")
        must_be_signed(signed)
        self._compare("POST /0/private/AddOrder", signed["headers"]["API-Sign"], "Kraken", KRAKEN_SIGNATURE)

    def _compare(self, request: str, signature: str, venue: str, published: str) -> None:
        self.screen.fact(venue, request)
        self.screen.fact("signature", signature)
        self.screen.fact("published", published)
        check(signature, published, f"the signature for {venue}")
        self.screen.good("the same")

    def order(self, bot: Bot) -> None:
        screen = self.screen
        screen.step("The bot places an order")
        with self._signals.held():
            venue = self._stack.enter_context(Venue(self.local.key_id, self.local.secret))
        screen.say("A small exchange on this machine checks API key, signature and time.")
        screen.fact("venue", venue.url)
        placed = bot.do("order", venue.url)
        must_be_signed(placed)
        check(placed["status"], 200, f"the venue's answer to the order ({placed['answer']})")
        check(len(venue.orders), 1, "orders at the venue")
        answer = placed["answer"]
        screen.fact("order", f"{answer['side']} {answer['origQty']} {answer['symbol']} at {answer['price']}")
        screen.good(f"accepted: order {answer['orderId']}, status {answer['status']}")

        screen.say("Would it accept anything? The same order, quantity changed from 1 to 9:")
        status, refusal = send(venue.url, placed["signed"], ("quantity=1&", "quantity=9&"))
        check((status, refusal["code"]), (400, -1022), "the venue's answer to a changed order")
        screen.good(f"refused, {refusal['code']}: {refusal['msg']}")
        screen.say("The same order, well signed with a time of 2017:")
        late = bot.do("old_order", venue.url)
        must_be_signed(late)
        check((late["status"], late["answer"]["code"]), (400, -1021), "the venue's answer to an old order")
        screen.good(f"refused, {late['answer']['code']}: {late['answer']['msg']}")
        check(len(venue.orders), 1, "orders at the venue")

    def look(self, agent: Agent, bot: Bot) -> None:
        screen = self.screen
        screen.step("A look into their memory")
        key_ids = {credential.key_id.encode() for credential in self.credentials}
        for name, pid in (("bot", bot.process.pid), ("agent", agent.process.pid)):
            try:
                found, size = traces.in_memory(pid, [*key_ids, *self.secrets])
            except PermissionError as error:
                screen.beware(f"{name}: this machine does not let a parent look into its child ({error.strerror})")
                continue
            # The API keys belong there: they are in every request.
            check(found, key_ids, f"found in the memory of the {name}")
            screen.good(f"{name}: {size >> 20} MiB looked through, all three API keys found, and no secret")

    def lock(self, bot: Bot) -> None:
        screen = self.screen
        screen.step("The agent is locked")
        screen.command("strongroom lock")
        self.room.lock()
        refused = bot.do("binance_example")
        check(refused.get("error"), "Locked", f"the bot's answer when the agent is locked ({refused})")
        screen.good(f"the bot is refused. {refused['error']}: {refused['message']}")

    def end(self, agent: Agent, bot: Bot) -> None:
        bot.stop()
        check(agent.stop(), 0, "the agent's exit status")
        left = [pid for pid in [*self._pids, bot.process.pid] if alive(pid)]
        check(left, [], "processes left behind")


def send(venue: str, signed: Answer, change: tuple[str, str]) -> tuple[int, Answer]:
    """Sends a request of the bot's with something changed in its body."""
    old, new = change
    check(signed["body"].count(old), 1, f"`{old}` in the body")
    body = signed["body"].replace(old, new).encode()
    request = Request(venue + urlsplit(signed["url"]).path, body, signed["headers"], method=signed["method"])
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=ANSWER_SECONDS) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def check(found: object, expected: object, what: str) -> None:
    """Stops the demo where something is not as it should be."""
    if found != expected:
        raise DemoError(f"{what}\nexpected: {expected}\nis:       {found}")


def must_be_signed(answer: Answer) -> None:
    """Stops the demo where the bot got an error instead of a signed request."""
    if "error" in answer:
        raise DemoError(f"the bot got no signature\n{answer['error']}: {answer['message']}")


def shortened(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= 20 else f"{text[:8]}…"


def random_text() -> str:
    """64 random letters and digits, as Binance's keys and secrets are."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(64))


def temporary_folder() -> Path:
    """A fresh folder in which the path of a socket is short enough for the kernel."""
    for parent in (tempfile.gettempdir(), "/tmp"):
        if len(os.fsencode(parent)) + len("/strongroom-demo-12345678/run/agent.sock") < SUN_PATH:
            return Path(tempfile.mkdtemp(prefix="strongroom-demo-", dir=parent))
    raise DemoError("the path of the folder for temporary files is too long for a socket")


def main() -> int:
    """Runs the demo and gives its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--programs", type=Path, required=True, help="folder of the built programs")
    programs: Path = parser.parse_args().programs
    began = time.monotonic()
    screen, signals = Screen(), Signals()
    stack = contextlib.ExitStack()
    try:
        with signals.held():
            folder = temporary_folder()
            stack.callback(shutil.rmtree, folder)
        screen.title("Strongroom: from nothing to a signed order", f"in {folder}, which goes away at the end")
        room = Installation(programs, folder, "strongroom-demo")
        Demo(screen, signals, stack, room).run()
        signals.hold()
        stack.close()
    except Ended as end:
        signals.hold()
        screen.fail(f"{end}: ending; processes and files are being removed")
        return 128 + end.number
    except (DemoError, InstallationError, OSError) as error:
        signals.hold()
        screen.fail(str(error))
        return 1
    finally:
        signals.hold()
        stack.close()
    screen.end(
        f"All as it should be, in {time.monotonic() - began:.1f} s. No process and no file is left.",
        "Next, by hand: docs/tutorials/first-signature.md",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
