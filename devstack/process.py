"""One child process with a log, a readiness check, and an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Ready = Callable[[], bool]


class StartError(RuntimeError):
    """A process ended, or did not answer, before it was ready; the message ends with its log."""


class Warden:
    """The helper process that ends our children if we cannot (see `devstack.warden`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("warden.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def tell(self, line: str) -> None:
        """Add (`+<group>`) or remove (`-<group>`) a process group."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Let it go; it ends whatever it still knows of."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()


class ManagedProcess:
    """A child in a process group of its own, started, killed and started again with the same arguments.

    `ready` is asked until it returns True (an OSError counts as "not yet"); None means ready when started.
    Times are seconds.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log_path: Path,
        warden: Warden,
        ready: Ready | None = None,
        ready_timeout: float = 60.0,
        stop_timeout: float = 10.0,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log_path = log_path
        self._env = dict(env)
        self._cwd = cwd
        self._warden = warden
        self._ready = ready
        self._ready_timeout = ready_timeout
        self._stop_timeout = stop_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._buried = True

    @property
    def pid(self) -> int:
        """The process id; the process group has the same number.

        Raises:
            RuntimeError: it was never started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs or before it was started."""
        if self._process is None:
            return None
        status = self._process.poll()
        if status is not None:
            self._bury()
        return status

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self.returncode is None

    def start(self) -> None:
        """Start it and return at once. Does nothing when it runs."""
        if self.alive:
            return
        self._reap()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._buried = False
        self._warden.tell(f"+{self._process.pid}")

    def wait_ready(self) -> None:
        """Wait until the readiness check passes.

        Raises:
            StartError: it ended first, or the time was up.
        """
        deadline = time.monotonic() + self._ready_timeout
        while True:
            if not self.alive:
                raise StartError(
                    f"{self.name} ended with status {self.returncode} at its start.{self._tail()}"
                )
            if self._is_ready():
                return
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.name} did not answer within {self._ready_timeout:g} s.{self._tail()}"
                )
            time.sleep(0.05)

    def stop(self) -> int | None:
        """Ask it to end, insist after `stop_timeout`, and return its exit status."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(self._stop_timeout)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        return self._reap()

    def kill(self) -> None:
        """`kill -9` the whole group and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._reap()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for it to end by itself, and return its exit status. Raises subprocess.TimeoutExpired."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        self._process.wait(timeout)
        return self._reap() or 0

    def send_signal(self, number: int) -> None:
        """Send a signal to the group, if it runs."""
        self._signal(number)

    def log_text(self) -> str:
        """All it has printed, over every start."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _is_ready(self) -> bool:
        if self._ready is None:
            return True
        try:
            return self._ready()
        except OSError:
            return False

    def _signal(self, number: int) -> None:
        # Not when it has been reaped: the number may belong to somebody else by now.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _reap(self) -> int | None:
        if self._process is None:
            return None
        status = self._process.wait()
        self._bury()
        return status

    def _bury(self) -> None:
        """End, once and at once, whatever the ended process left in its group."""
        if self._process is None or self._buried:
            return
        self._buried = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._warden.tell(f"-{self._process.pid}")

    def _tail(self) -> str:
        lines = self.log_text().splitlines()[-15:]
        return (
            f" Its log, {self.log_path}, ends:\n    " + "\n    ".join(lines)
            if lines
            else " Its log is empty."
        )
