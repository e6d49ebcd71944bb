"""A whole installation in one folder: a SoftHSM token, configuration, records, socket and the agent."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("strongroom", "strongroom-keeper", "strongroom-token")
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
START_SECONDS = 60.0
STOP_SECONDS = 60.0


# The number of the system call on x86-64 and on ARM 64.
MEMFD_SECRET = 447


def has_secret_memory() -> bool:
    """Whether this kernel has `memfd_secret`: Linux 6.5, or older ones booted with secretmem.enable=1."""
    descriptor: int = ctypes.CDLL(None).syscall(MEMFD_SECRET, 0)
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


class InstallationError(Exception):
    """Something outside Python is missing or has failed; the message says what."""


class Credential(NamedTuple):
    """A venue key to enrol."""

    name: str
    venue: str
    key_id: str
    secret: str
    passphrase: str | None = None


class Run(NamedTuple):
    """What a command printed, and its exit code."""

    stdout: str
    stderr: str
    code: int


class Token:
    """A fresh SoftHSM token in a folder of its own; nothing of the machine's own SoftHSM is touched."""

    def __init__(self, folder: Path, label: str) -> None:
        self.label = label
        self.pin = f"{secrets.randbelow(10**8):08}"
        self.conf = folder / "softhsm2.conf"
        self.folder = folder / "tokens"
        self.module = next((path for path in MODULES if Path(path).is_file()), "")
        if not self.module or not shutil.which("softhsm2-util"):
            raise InstallationError("SoftHSM is not installed (Debian: apt-get install softhsm2)")
        self.folder.mkdir(mode=0o700)
        self.conf.write_text(
            f"directories.tokendir = {self.folder}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        # SoftHSM's own tool takes PINs as arguments only. This one lives as long as the folder.
        so_pin = f"{secrets.randbelow(10**8):08}"
        self._util("--init-token", "--free", "--label", label, "--so-pin", so_pin, "--pin", self.pin)
        lines = self._util("--show-slots").splitlines()
        numbers = [line.split(":", 1)[1].strip() for line in lines if line.strip().startswith("Serial number:")]
        self.serial = next((number for number in numbers if number), "")
        if not self.serial:
            raise InstallationError("softhsm2-util has made no token")

    def _util(self, *arguments: str) -> str:
        run = subprocess.run(
            ["softhsm2-util", *arguments],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "SOFTHSM2_CONF": str(self.conf)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if run.returncode != 0:
            raise InstallationError(f"softhsm2-util {arguments[0]}: {(run.stderr or run.stdout).strip()}")
        return run.stdout


class Installation:
    """Strongroom in one folder, with an environment that has nothing of this process's own."""

    def __init__(self, programs: Path, folder: Path, label: str) -> None:
        for program in PROGRAMS:
            if not (programs / program).is_file():
                raise InstallationError(f"{programs / program} is not built; run `cargo build --release` first")
        self.programs = programs.resolve()
        self.folder = folder
        self.config = folder / "strongroom.toml"
        self.data = folder / "data"
        self.socket = folder / "run" / "agent.sock"
        self.token = Token(folder, label)

    @property
    def environment(self) -> dict[str, str]:
        """What every command of this installation gets, and nothing else."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "STRONGROOM_CONFIG": str(self.config),
            "STRONGROOM_DATA": str(self.data),
            "STRONGROOM_SOCKET": str(self.socket),
        }

    def run(self, arguments: Sequence[str], given: Mapping[str, str] | None = None) -> Run:
        """Runs `strongroom`. Each of `given` (`{"--pin-fd": PIN}`) is read from a descriptor of its own."""
        command = [str(self.programs / "strongroom"), *arguments]
        descriptors: list[int] = []
        try:
            for option, text in (given or {}).items():
                reader, writer = os.pipe()
                descriptors.append(reader)
                with os.fdopen(writer, "wb") as pipe:  # far below what a pipe holds unread
                    pipe.write(text.encode())
                command += [option, str(reader)]
            done = subprocess.run(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                pass_fds=descriptors,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return Run(done.stdout, done.stderr, done.returncode)

    def must(self, arguments: Sequence[str], given: Mapping[str, str] | None = None) -> str:
        """As `run`, for a command that must succeed; gives what it printed."""
        run = self.run(arguments, given)
        if run.code != 0:
            said = (run.stderr or run.stdout).strip()
            raise InstallationError(f"`strongroom {arguments[0]}` ended with {run.code}:\n{said}")
        return run.stdout

    def init(self) -> dict[str, str]:
        """Makes the KEK in the token, and the configuration; gives what they are."""
        arguments = ["init", "--module", self.token.module, "--serial", self.token.serial]
        arguments += ["--module-env", f"SOFTHSM2_CONF={self.token.conf}"]
        made: dict[str, str] = json.loads(self.must([*arguments, "--json"], {"--pin-fd": self.token.pin}))
        return made

    def accept_any_caller_time(self) -> None:
        """Sets `danger_accept_any_caller_time`: published examples bring times of long ago."""
        self._set("danger_accept_any_caller_time")

    def allow_weak_memory(self) -> None:
        """Sets `danger_allow_weak_memory`, for kernels without secret memory."""
        self._set("danger_allow_weak_memory")

    def _set(self, danger: str) -> None:
        text = self.config.read_text()
        off = f"{danger} = false"
        if text.count(off) != 1:
            raise InstallationError(f"{self.config} has not got the line `{off}`")
        self.config.write_text(text.replace(off, f"{danger} = true"))

    def enroll(self, credential: Credential, *more: str, allow: str = "*") -> str:
        """Enrols a credential, with which this user may do everything, or what is said."""
        arguments = ["enroll", credential.name, "--venue", credential.venue, "--key-id", credential.key_id]
        arguments += ["--allow", allow, *more]
        given = {"--secret-fd": credential.secret, "--pin-fd": self.token.pin}
        if credential.passphrase is not None:
            given["--passphrase-fd"] = credential.passphrase
        return self.must(arguments, given)

    def unlock(self) -> str:
        """Unlocks the running agent."""
        return self.must(["unlock"], {"--pin-fd": self.token.pin})

    def lock(self) -> str:
        """Locks the running agent."""
        return self.must(["lock"])

    def start(self) -> Agent:
        """Starts the agent, locked, and waits until it answers."""
        return Agent(self)


class Agent:
    """A running agent."""

    def __init__(self, installation: Installation) -> None:
        self._log = installation.folder / "agent.log"
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C at the terminal reaches who started it, who ends it then.
            self.process = subprocess.Popen(
                [str(installation.programs / "strongroom"), "agent"],
                env=installation.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait(installation.socket)
        except BaseException:
            self.kill()
            raise

    def _wait(self, path: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == 0:
                    return
            time.sleep(0.005)
        raise InstallationError(f"the agent does not answer at {path}:\n{self.log()}")

    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(errors="replace").strip()

    def family(self) -> list[int]:
        """Process ids of the agent and of all that it has started."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        parents = {pid: int(fields[1]) for pid in pids if (fields := _stat(pid))}
        family = [self.process.pid]
        for pid in family:  # grows while it is read: children of children
            family += [child for child, parent in parents.items() if parent == pid]
        return family

    def stop(self) -> int:
        """Asks it to end and waits; kills it where it does not. Gives its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Ends it without asking."""
        self.process.kill()
        return self.process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs. One that has ended may be listed until its parent has asked how."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name (state, parent, …); none where it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return []
    # The name in brackets may hold anything, also brackets.
    return text.rpartition(")")[2].split()
