"""Stop signals: what a scheduler sends before it takes the machine away."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Exit code after a stop signal: the state is saved, start the same command with --resume auto.
EXIT_STOPPED = 75


class Interrupted(BaseException):
    """A stop signal came while something ran that may be cut short."""


class StopSignal:
    """Remembers SIGTERM, SIGUSR1 and the first Ctrl-C, so that the loop can save and leave.

    A second Ctrl-C interrupts at once. Use as a context; handlers are put back at its end.

    Args:
        then: what the program does after a signal, for the person.
    """

    def __init__(self, then: str = "saving, then leaving") -> None:
        self._then = then
        self.received: str | None = None
        self._interrupts = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        """Installs the handlers."""
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        """Restores the handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Inside, a signal does not wait: a probe of minutes would outlast a scheduler's patience.

        Raises:
            Interrupted: a signal came, before or now.
        """
        if self.received:
            raise Interrupted
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == "SIGINT":
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name
        os.write(sys.stderr.fileno(), f"\n{self.received}: {self._then}\n".encode())
        if self._interrupts:
            self._interrupts = False
            raise Interrupted
