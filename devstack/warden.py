"""Ends a stack's processes when the stack itself dies without a word (`kill -9`, a crash, a closed terminal).

Run as a program. It reads lines `+<process group>` and `-<process group>` from its standard input, which the stack
holds open. At the end of that input it ends every group it still knows. Linux could tell each child of its
parent's death (PR_SET_PDEATHSIG), but that fires when the starting *thread* ends, which is not the same thing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE_SECONDS = 5.0


def _send(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_groups(groups: set[int]) -> None:
    """Ask each group to end, and end it if it has not within the grace."""
    for group in groups:
        _send(group, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(_send(group, 0) for group in groups):
        time.sleep(0.05)
    for group in groups:
        _send(group, signal.SIGKILL)


def main() -> None:
    """Keep the list until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            group = int(line[1:])
            if line.startswith("+"):
                groups.add(group)
            else:
                groups.discard(group)
    end_groups(groups)


if __name__ == "__main__":
    main()
