"""What the demo prints: short lines, in colour where there is a terminal that wants it."""

import io
import os
import sys
import textwrap

WIDTH = 79


class Screen:
    """Standard output, as steps with what happened in each."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = terminal and not os.environ.get("NO_COLOR")
        self._steps = 0
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            "✓…·".encode(sys.stdout.encoding)
            self._tick, self._cross, self._bullet = "✓", "✗", "·"
        except UnicodeEncodeError:
            self._tick, self._cross, self._bullet = "ok", "NO", "-"

    def title(self, text: str, aside: str) -> None:
        """The first line."""
        print(f"\n{self._paint('1', text)}\n{self._paint('2', aside)}", flush=True)

    def step(self, text: str) -> None:
        """A new step."""
        self._steps += 1
        print(f"\n{self._paint('1;36', str(self._steps))}  {self._paint('1', text)}", flush=True)

    def command(self, text: str) -> None:
        """A command that is run."""
        for number, line in enumerate(textwrap.wrap(text, WIDTH - 7, break_on_hyphens=False)):
            mark = self._paint("36", "$") if number == 0 else " "
            print(f"   {mark} {'  ' if number else ''}{line}", flush=True)

    def say(self, text: str) -> None:
        """What is going on."""
        for line in textwrap.wrap(text, WIDTH - 3):
            print(f"   {self._paint('2', line)}", flush=True)

    def fact(self, name: str, *values: str) -> None:
        """A name and its values, each on a line of its own, or on several where it is long."""
        width = WIDTH - 3 - len("· published ")
        lines = [line for value in values for line in textwrap.wrap(value, width, break_on_hyphens=False)]
        for number, line in enumerate(lines):
            label = f"{self._bullet} {name}" if number == 0 else ""
            print(f"   {self._paint('2', f'{label:<12}')}{line}", flush=True)

    def good(self, text: str) -> None:
        """Something that was checked and is as it should be."""
        self._marked("32", self._tick, text)

    def beware(self, text: str) -> None:
        """Something that one should know."""
        self._marked("33", "!", text)

    def end(self, text: str, next_step: str) -> None:
        """The last lines of a demo in which all went well."""
        print(f"\n{self._paint('1;32', text)}\n{self._paint('2', next_step)}", flush=True)

    def fail(self, text: str) -> None:
        """Why the demo stopped."""
        first, *more = text.splitlines() or [""]
        print(f"   {self._paint('1;31', f'{self._cross} {first}')}", file=sys.stderr)
        for line in more:
            print(f"     {line}", file=sys.stderr, flush=True)

    def _marked(self, colour: str, mark: str, text: str) -> None:
        for number, line in enumerate(textwrap.wrap(text, WIDTH - 5, break_on_hyphens=False)):
            print(f"   {self._paint(colour, mark) if number == 0 else ' ' * len(mark)} {line}", flush=True)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text
