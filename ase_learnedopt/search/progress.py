"""A line that tells how a search is doing: tqdm on a terminal if it is installed, else one of our own. Layer 4."""

import shutil
import sys
import time
from typing import Protocol, TextIO

PLAIN_INTERVAL = 30.0
"""Seconds between two lines where the output is no terminal."""


class Progress(Protocol):
    """Shows the state of a search."""

    def update(self, n_evaluations: int, best_energy: float, n_hops: int, n_minima: int) -> None:
        """Shows the numbers, now or when it is time."""

    def close(self) -> None:
        """Shows the last numbers and ends the line."""


class Silent:
    """Shows nothing."""

    def update(self, n_evaluations: int, best_energy: float, n_hops: int, n_minima: int) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class Bar:
    """Draws one line that is drawn again in place on a terminal, and a plain line now and then elsewhere."""

    def __init__(self, total: int, stream: TextIO | None = None, interval: float | None = None):
        self._total, self._stream = total, stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._interval = (0.1 if self._terminal else PLAIN_INTERVAL) if interval is None else interval
        self._begin = self._shown = time.monotonic()
        self._first: int | None = None
        self._numbers: tuple[int, float, int, int] | None = None
        self._pending = False

    def update(self, n_evaluations: int, best_energy: float, n_hops: int, n_minima: int) -> None:
        """Shows the numbers if the last time is long enough ago."""
        self._first = n_evaluations - 1 if self._first is None else self._first
        self._numbers, self._pending = (n_evaluations, best_energy, n_hops, n_minima), True
        if time.monotonic() - self._shown >= self._interval:
            self._show()

    def close(self) -> None:
        """Shows the last numbers and ends the line."""
        if self._pending:
            self._show()
        if self._terminal:
            self._stream.write("\n")
        self._stream.flush()

    def _show(self) -> None:
        assert self._numbers is not None
        assert self._first is not None
        now, n = time.monotonic(), self._numbers[0]
        rate = (n - self._first) / max(now - self._begin, 1e-9)
        left = _clock((self._total - n) / rate) if rate > 0 else "?"
        share = min(n / self._total, 1.0)
        text = f"{n}/{self._total} FE, {left} left, {describe(*self._numbers[1:])}"
        columns = shutil.get_terminal_size().columns - 1 if self._terminal else 1000
        width = min(24, max(columns - len(text) - 8, 4))
        filled = round(width * share)
        line = f"{100 * share:3.0f}% [{'#' * filled}{'-' * (width - filled)}] {text}"
        # A line longer than the terminal would wrap, and every redraw leave a line behind.
        self._stream.write(f"\r{line[:columns]}\x1b[K" if self._terminal else f"{line}\n")
        self._stream.flush()
        self._shown, self._pending = now, False


class TqdmBar:
    """Shows a tqdm bar."""

    def __init__(self, total: int, stream: TextIO | None = None):
        from tqdm import tqdm

        look = "{percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} FE, {remaining} left{postfix}"
        self._bar = tqdm(total=total, file=stream or sys.stderr, dynamic_ncols=True, smoothing=0.1, bar_format=look)

    def update(self, n_evaluations: int, best_energy: float, n_hops: int, n_minima: int) -> None:
        """Shows the numbers if the last time is long enough ago."""
        if self._bar.n == 0 and n_evaluations > 1:
            self._bar.initial = n_evaluations - 1
            self._bar.n = n_evaluations - 1
        self._bar.set_postfix_str(describe(best_energy, n_hops, n_minima), refresh=False)
        self._bar.update(n_evaluations - self._bar.n)

    def close(self) -> None:
        """Shows the last numbers and ends the line."""
        self._bar.refresh()
        self._bar.close()


def progress_bar(total: int, show: bool = True, stream: TextIO | None = None) -> Progress:
    """Returns the best way to show progress here.

    Args:
      total: evaluations of the whole search.
      show: False for none.
      stream: where to; standard error by default.
    """
    if not show:
        return Silent()
    if not (stream or sys.stderr).isatty():
        return Bar(total, stream)
    try:
        return TqdmBar(total, stream)
    except ImportError:
        return Bar(total, stream)


def describe(best_energy: float, n_hops: int, n_minima: int) -> str:
    """Returns the figures of a search as text."""
    return f"best {best_energy:.4f} eV, {n_hops} hops, {n_minima} minima"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"
