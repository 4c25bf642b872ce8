"""Real processes for these tests: the sandbox, and Stripe's own stateless stripe-mock."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

REPOSITORY = Path(__file__).resolve().parents[2]
STRIPE_MOCK_VERSION = "0.203.0"


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A child process that serves HTTP on 127.0.0.1."""

    def __init__(self, command: list[str], port: int, health_path: str, log: Path) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self._command = command
        self._health = f"{self.base_url}{health_path}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=REPOSITORY, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command[0]} did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            httpx2.get(self._health, timeout=2)
        except httpx2.HTTPError:
            return False
        return True

    def kill(self) -> None:
        """kill -9: no chance to flush or say good-bye."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


def sandbox(data: Path, *arguments: str, port: int | None = None) -> Service:
    """A sandbox process over a directory; the same port again after a restart, if it is given."""
    data.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [
        sys.executable,
        "-m",
        "devstack.stripe_sandbox",
        "--port",
        str(port),
        "--data",
        str(data),
        *arguments,
    ]
    return Service(command, port, "/healthz", data / "log.txt")


async def stripe_mock(directory: Path) -> Service:
    """Stripe's own request validator, built once into the per-user cache. Without Go this fails, and says so."""
    port = free_port()
    binary = await asyncio.to_thread(_build_stripe_mock)
    return Service([str(binary), "-http-addr", f"127.0.0.1:{port}"], port, "/", directory / "stripe-mock.txt")


def _build_stripe_mock() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    bin_directory = cache / "nimmit" / f"stripe-mock-{STRIPE_MOCK_VERSION}" / "bin"
    binary = bin_directory / "stripe-mock"
    if binary.exists():
        return binary
    go = shutil.which("go")
    if go is None:
        raise RuntimeError(
            f"The comparison with Stripe's own validator needs stripe-mock {STRIPE_MOCK_VERSION}, which is built "
            "with Go, and there is no Go on PATH. Install Go, or leave the long tests out."
        )
    module = f"github.com/stripe/stripe-mock@v{STRIPE_MOCK_VERSION}"
    subprocess.run([go, "install", module], env={**os.environ, "GOBIN": str(bin_directory)}, check=True)
    return binary
