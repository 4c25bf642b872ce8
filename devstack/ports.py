"""Free ports that stay ours: two stacks on one machine never pick the same one."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

# Below the kernel's ephemeral range, so that no outgoing connection takes one in between.
_LOWEST, _HIGHEST = 20_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nothing listens on that port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class PortRegister:
    """Reserves ports until it is closed; the reservation is a file lock, gone when the process is."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"nimmit-ports-{os.getuid()}"
        self._held: list[IO[str]] = []

    def reserve(self, usual: int | None = None) -> int:
        """The usual port if it is free, else any free one.

        Raises:
            RuntimeError: no free port was found in a thousand tries.
        """
        if usual is not None and self._take(usual):
            return usual
        for _ in range(1000):
            port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311  # only to spread the tries
            if self._take(port):
                return port
        raise RuntimeError(f"no free port between {_LOWEST} and {_HIGHEST}")

    def close(self) -> None:
        """Give every port back."""
        for handle in self._held:
            handle.close()
        self._held.clear()

    def _take(self, port: int) -> bool:
        self._folder.mkdir(exist_ok=True)
        handle = (self._folder / str(port)).open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return False
        if not is_free(port):
            handle.close()
            return False
        self._held.append(handle)
        return True
