#!/usr/bin/python3
"""What a process can do where it runs: one line for each thing tried, `can NAME` or `cannot NAME`.

systemd/start.sh runs it twice, in the agent's sandbox and in a unit without one.
"""

import ctypes
import mmap
import os
import pathlib
import socket
import sys

HOME = pathlib.Path.home()
LIBC = ctypes.CDLL(None, use_errno=True)


def called(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write_home() -> None:
    (HOME / "probe").touch()


def write_records() -> None:
    (HOME / ".local/share/strongroom/probe").touch()


def see_tmp() -> None:
    (pathlib.Path("/tmp") / sys.argv[1]).stat()


def use_the_internet() -> None:
    socket.socket(socket.AF_INET).close()


def use_netlink() -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15).close()


def use_unix() -> None:
    socket.socket(socket.AF_UNIX).close()


def see_devices() -> None:
    os.stat("/dev/kmsg")


def map_writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def make_a_namespace() -> None:
    called(LIBC.unshare(0x10000000))  # CLONE_NEWUSER


def change_the_nice() -> None:
    called(LIBC.setpriority(0, 0, 5))


def make_secret_memory() -> None:
    called(LIBC.syscall(447, 0))


for thing in list(globals().values()):
    if not callable(thing) or thing is called or thing.__module__ != __name__:
        continue
    try:
        thing()
    except OSError as error:
        print("cannot", thing.__name__, error.strerror)
    else:
        print("can", thing.__name__)
