"""A progress line for work that takes minutes. Standard library only: the bootstrap uses it on a bare Python."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing import Self  # Python 3.11; the bootstrap must still start on an older one to say so


def say(message: str, stream: TextIO | None = None) -> None:
    """Print one line at once, also when the output is a pipe."""
    print(message, file=stream or sys.stderr, flush=True)


def spell(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `4 min`, `4 min 10 s`."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


class Progress:
    """Shows what is being done, how long it usually takes and how far it is, until the block ends.

    A terminal gets one line that is rewritten each second; a pipe gets a new line every `quiet_seconds`.
    The percentage is of the usual time and stops at 99: the work itself reports no finer measure.
    """

    def __init__(self, what: str, usual_seconds: float, quiet_seconds: float = 15.0) -> None:
        self._what = what
        self._usual = max(usual_seconds, 0.1)
        self._tty = sys.stderr.isatty()
        self._interval = 1.0 if self._tty else quiet_seconds
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        say(f"  {self._what} (usually {spell(self._usual)})")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        outcome = "done" if kind is None else "failed"
        self._show(f"  {self._what}: {outcome} after {spell(time.monotonic() - self._started)}", last=True)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            elapsed = time.monotonic() - self._started
            percent = min(99, int(100 * elapsed / self._usual))
            self._show(f"  {self._what}: {percent} % of the usual time, {spell(elapsed)}", last=False)

    def _show(self, line: str, *, last: bool) -> None:
        if self._tty:
            end = "\n" if last else ""
            print(f"\r\033[K{line}", end=end, file=sys.stderr, flush=True)
        else:
            say(line)
