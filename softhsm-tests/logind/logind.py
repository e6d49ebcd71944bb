#!/usr/bin/python3
"""A logind that knows one thing: who wants to act before the machine sleeps.

Runs on the system bus that DBUS_SYSTEM_BUS_ADDRESS names. Reads `sleep`, `wake`, `refuse` and `allow`
from standard input, one a line, and answers each with the same word when it is done. Writes
`taken WHAT MODE WHO` when somebody takes an inhibitor, and `released` when one is let go.
"""

import os
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

MANAGER = "org.freedesktop.login1.Manager"


def say(line: str) -> None:
    print(line, flush=True)


class Manager(dbus.service.Object):
    refuses = False

    @dbus.service.method(MANAGER, in_signature="ssss", out_signature="h")
    def Inhibit(self, what, who, why, mode):
        if self.refuses:
            say("refused")
            raise dbus.DBusException("not allowed", name="org.freedesktop.DBus.Error.AccessDenied")
        ours, theirs = os.pipe()
        GLib.unix_fd_add_full(GLib.PRIORITY_HIGH, ours, GLib.IOCondition.HUP, self.released)
        say(f"taken {what} {mode} {who}")
        given = dbus.types.UnixFd(theirs)
        os.close(theirs)
        return given

    def released(self, ours, _condition):
        os.close(ours)
        say("released")
        return False

    @dbus.service.signal(MANAGER, signature="b")
    def PrepareForSleep(self, start):
        pass


def command(source, _condition, manager, loop):
    line = source.readline()
    word = line.strip()
    if not line:
        loop.quit()
        return False
    if word in ("sleep", "wake"):
        manager.PrepareForSleep(word == "sleep")
    else:
        manager.refuses = word == "refuse"
    say(word)
    return True


def main() -> None:
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    name = dbus.service.BusName("org.freedesktop.login1", bus, do_not_queue=True)
    manager = Manager(bus, "/org/freedesktop/login1")
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IOCondition.IN | GLib.IOCondition.HUP, command, manager, loop)
    say(f"serving {name.get_name()}")
    loop.run()


main()
