"""Turns Ctrl-C and SIGTERM into a stop between two pieces of work, so that nothing is left half-written. Layer 0."""

import signal
import sys
import threading
from types import FrameType, TracebackType


class Stop:
    """Listens for SIGINT and SIGTERM while it is entered; the second signal interrupts at once.

    Attributes:
      signal: number of the first signal received, None before.
    """

    def __init__(self, quiet: bool = False, piece: str = "evaluation"):
        self.signal: int | None = None
        self._quiet, self._piece = quiet, piece
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no handlers
            self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        if not self._quiet:
            sys.stderr.write(f"\nStopping after this {self._piece}; once more stops at once.\n")
