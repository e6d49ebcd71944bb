"""Looking for secrets where none may be: in files, and in a process from outside."""

from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK = 1 << 20


def in_folder(folder: Path, wanted: bytes) -> list[Path]:
    """The files below `folder` that hold `wanted`."""
    return [path for path in files(folder) if wanted in path.read_bytes()]


def files(folder: Path) -> list[Path]:
    """All files below `folder`."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def in_start(pid: int, wanted: Iterable[bytes]) -> list[bytes]:
    """What of `wanted` is in the arguments or in the environment that a process was started with."""
    given = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    return [text for text in wanted if text in given]


def in_memory(pid: int, wanted: Iterable[bytes]) -> tuple[set[bytes], int]:
    """What of `wanted` is in a process's memory, and how many bytes were looked through.

    Raises `PermissionError` where this machine does not let a parent look.
    """
    wanted = tuple(wanted)
    overlap = max(map(len, wanted)) - 1
    found: set[bytes] = set()
    size = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in _readable(pid):
            tail = b""
            for at in range(start, end, _BLOCK):
                try:
                    memory.seek(at)
                    block = memory.read(min(_BLOCK, end - at))
                except OSError:  # the kernel's own pages cannot be read
                    break
                size += len(block)
                tail += block
                found.update(text for text in wanted if text in tail)
                tail = tail[-overlap:]
    return found, size


def _readable(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, permissions, *_ = line.split()
        start, end = (int(address, 16) for address in addresses.split("-"))
        if permissions.startswith("r") and not line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
            yield start, end
