"""`make dev`: every service, the API and a worker, until Ctrl-C; the data stays for the next time."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from dotenv import dotenv_values

from devstack.checks import http_ok
from devstack.process import ManagedProcess, StartError
from devstack.progress import say
from devstack.services import HOST, ROOT, SERVICES
from devstack.stack import Stack, StackInUseError

DATA = ROOT / ".nimmit" / "data"
_API_PORT = 8000


def given() -> dict[str, str]:
    """The process environment over the `.env` file, as the platform itself reads them."""
    from_file = {key: value for key, value in dotenv_values(ROOT / ".env").items() if value is not None}
    return from_file | dict(os.environ)


def data_dir() -> Path:
    """Where the data lives: `NIMMIT_DATA_DIR`, or `.nimmit/data` in the project."""
    return Path(os.environ.get("NIMMIT_DATA_DIR") or DATA)


def announce_api(stack: Stack, known: dict[str, str]) -> int:
    """Decide the API's port, and tell everything started from now on its address: Stripe's events go there.

    Asked again, it answers with the port decided before.
    """
    decided = stack.environment().get("NIMMIT_API_PORT")
    if decided:
        return int(decided)
    port = stack.reserve_port(int(known.get("NIMMIT_API_PORT") or _API_PORT))
    url = f"http://{HOST}:{port}"
    stack.set_variable("NIMMIT_API_PORT", str(port))
    for key in ("NIMMIT_PUBLIC_URL", "NIMMIT_PORTAL_URL"):
        stack.set_variable(key, known.get(key) or url)
    return port


def start_platform(stack: Stack, known: dict[str, str], *, wait: bool = True) -> list[ManagedProcess]:
    """Start the API and the workers on a stack whose services run, and tell them their own address.

    Returns when the API answers, or at once without `wait`.
    """
    port = announce_api(stack, known)
    url = f"http://{HOST}:{port}"
    workers = spawn_workers(stack)
    api = stack.spawn(
        "api",
        [sys.executable, "-m", "api", "--host", HOST, "--port", str(port)],
        ready=lambda: http_ok(f"{url}/health/live"),
        wait=wait,
    )
    return [api, *workers]


def spawn_workers(stack: Stack) -> list[ManagedProcess]:
    """Start the process that runs jobs, and another that tells people, so that mail delays no act. Not ready yet."""
    return [
        stack.spawn("worker", [sys.executable, "-m", "worker", "jobs", "billing", "ai"], wait=False),
        stack.spawn("notifier", [sys.executable, "-m", "worker", "notify"], wait=False),
    ]


def show(stack: Stack, api_url: str) -> None:
    """Print every address."""
    rows = {"API": api_url, "API reference": f"{api_url}/docs"} | stack.urls()
    width = max(map(len, rows))
    say("\nEverything is up.\n")
    for title, url in rows.items():
        say(f"  {title:<{width}}  {url}")
    say(f"\n  Data and logs are in {stack.data_dir} (make clean-data forgets them).")
    say("  Ctrl-C stops all of it.\n")


def stay(processes: list[ManagedProcess], stop: threading.Event) -> int:
    """Wait for the signal; 1 if a process ends by itself before it."""
    while not stop.wait(0.5):
        for process in processes:
            if not process.alive:
                lines = process.log_text().splitlines()[-15:]
                say(f"\n{process.name} ended with status {process.returncode}. Its log ends:")
                say("    " + "\n    ".join(lines))
                return 1
    return 0


def main() -> int:
    """Start everything, stay, stop everything."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    known = given()
    started = time.monotonic()
    try:
        stack = Stack(data_dir(), given=known, usual_ports=True)
    except StackInUseError as error:
        say(f"{error}: stop that one first, or set NIMMIT_DATA_DIR to another folder")
        return 1
    with stack:
        say("Starting the services …")
        try:
            announce_api(stack, known)
            stack.start()
            if stop.is_set():
                return 0
            platform = start_platform(stack, known)
        except StartError as error:
            say(f"\n{error}")
            return 1
        services = [stack.process(name) for name in SERVICES if not stack.is_external(name)]
        show(stack, stack.environment()["NIMMIT_PUBLIC_URL"])
        say(f"  (up in {time.monotonic() - started:.1f} s)")
        status = stay(services + platform, stop)
        say("Stopping …")
    say("All stopped.")
    return status


def clean_data() -> int:
    """Forget the data of `make dev`; refuses while it runs."""
    folder = data_dir()
    if not folder.exists():
        say("There is no data.")
        return 0
    try:
        with Stack(folder, given={}):
            pass
    except StackInUseError as error:
        say(f"{error}: stop it first")
        return 1
    shutil.rmtree(folder)
    say(f"Forgot {folder}.")
    return 0
