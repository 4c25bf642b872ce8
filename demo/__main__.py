"""`python -m demo [--keep] [--jobs N | --branches] [--seed N]`: exit status 0 when all books agree, 1 if not."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
from pymongo.errors import PyMongoError
from rich.markup import escape

from app.gateways.payments import PaymentError
from app.process import leave
from app.seed.people import DEFAULT_SEED
from demo.browser import PageError
from demo.door import LateError, RefusedError
from demo.house import House, build_stack, forget, start_processes
from demo.run import Plan, play, show_addresses
from demo.show import Show
from devstack.process import StartError
from devstack.services import ROOT, SERVICES
from devstack.stack import Stack, StackInUseError
from devstack.toolchain import BuildError, MissingToolError

MOST_JOBS = 500
_FAILURES = (RefusedError, LateError, PageError, StartError, httpx2.HTTPError, PyMongoError, PaymentError)
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells say it


def main() -> int:
    """Run the demo; its exit status."""
    arguments = _arguments()
    # a shell that starts it in the background has it ignore Ctrl-C, which others may still send
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    show = Show()
    try:
        if arguments.keep:
            return _run(_kept_folder(), arguments, show)
        return _in_passing(arguments, show)
    except KeyboardInterrupt:
        show.console.print("\nInterrupted; all stopped.")
        return INTERRUPTED
    except StackInUseError as error:
        show.console.print(f"[red]{escape(str(error))}: stop that demo first[/red]")
    except (StartError, MissingToolError, BuildError, FileExistsError) as error:
        show.console.print(f"[red]{escape(str(error))}[/red]")
    return 1


def _in_passing(arguments: argparse.Namespace, show: Show) -> int:
    """In a folder that ends with the demo, unless it failed: then its logs are worth a look."""
    folder = Path(tempfile.mkdtemp(prefix="nimmit-demo-"))
    failed = True
    try:
        status = _run(folder, arguments, show)
        failed = status != 0
    except KeyboardInterrupt:
        failed = False
        raise
    finally:
        if failed:
            show.console.print(f"The logs are kept in {folder / 'logs'}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return status


def _kept_folder() -> Path:
    """Where a kept demo lives: `NIMMIT_DEMO_DIR`, or `.nimmit/demo` in the project. The last one is forgotten.

    Raises:
        StackInUseError: it is still running.
        FileExistsError: there is something else in the folder.
    """
    folder = Path(os.environ.get("NIMMIT_DEMO_DIR") or ROOT / ".nimmit" / "demo")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "stack.lock").is_file():
            raise FileExistsError(f"{folder} holds something that is no demo")
        with Stack(folder, given={}):
            pass
        shutil.rmtree(folder)
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="One job from post to payout, live.")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--jobs", type=_count, metavar="N", help="run so many jobs at once, with a summary")
    which.add_argument(
        "--branches",
        action="store_true",
        help="and a job each that is left, cancelled, priced anew, disputed",
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, metavar="N", help="who the people are")
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"from 1 to {MOST_JOBS}")
    return number


def _run(folder: Path, arguments: argparse.Namespace, show: Show) -> int:
    plan = Plan(arguments.seed, arguments.jobs, arguments.keep, arguments.branches)
    show.section("Starting the platform on this machine")
    window = plan.offer_window_seconds
    with build_stack(folder, uuid.uuid4().hex[:8], offer_window_seconds=window) as stack:
        titles = ", ".join(service.title for service in SERVICES.values())
        show.note(f"Starting {titles} …")
        stack.start()
        show.note(f"All of them ready after {show.seconds:.1f} s")
        house = start_processes(stack)
        try:
            agreed = asyncio.run(_play(plan, house, show))
            show.console.print()
            if agreed is None:
                show.console.print("[bold red]The demo did not come to its end: see above.[/bold red]")
            elif agreed:
                show.console.print(f"[bold green]All books agree.[/bold green] ({show.seconds:.1f} s in all)")
            else:
                show.console.print("[bold red]The books do not agree: see above.[/bold red]")
            if arguments.keep:
                _stay(house, show)
        finally:
            asyncio.run(forget(house.settings, mongodb_is_given=stack.is_external("mongodb")))
    if arguments.keep:
        show.console.print("All stopped.")
    return 0 if agreed else 1


async def _play(plan: Plan, house: House, show: Show) -> bool | None:
    """Whether the books agree; None, with what went wrong told plainly, when it did not come that far."""
    try:
        return await play(plan, house, show)
    except* _FAILURES as failures:
        for failure in _each(failures):
            show.console.print(f"[bold red]It went wrong:[/bold red] {escape(str(failure))}")
        for process in house.processes:
            if not process.alive:
                show.console.print(f"[red]{process.name} ended with status {process.returncode}[/red]")
            lines = [line for line in process.log_text().splitlines() if '"error"' in line][-5:]
            for line in lines:
                show.console.print(f"  {process.name}: {escape(line)}", soft_wrap=True)
    return None


def _each(failures: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    """The failures themselves, however deep the groups."""
    for failure in failures.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _each(failure)
        else:
            yield failure


def _stay(house: House, show: Show) -> None:
    """Leave all of it running until Ctrl-C."""
    show.section("Still running: Ctrl-C stops all of it")
    show_addresses(house, show)
    show.note(f"Data and logs are in {house.stack.data_dir}, until the next demo with --keep.")
    try:
        while all(process.alive for process in house.processes):
            time.sleep(0.5)
    except KeyboardInterrupt:
        show.console.print("\nStopping …")


if __name__ == "__main__":
    leave(main())
