"""`python -m bench`: what a job costs, beside a floor, on services that it starts and ends itself."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from rich.console import Console

from app.database import connect
from app.process import leave
from bench import parser as parser_bench
from bench.counts import count
from bench.histories import work_of
from bench.house import House, build_stack, open_house
from bench.ledger import measure_growth, measure_ledger
from bench.lives import LifeError
from bench.night import measure_night
from bench.rates import measure_latency, measure_throughput
from bench.report import Results, as_json, show
from bench.webhooks import measure_webhooks
from devstack.stack import Stack

_BOOKS = ("ledger", "growth", "night")  # on MongoDB alone
_HOUSE = ("throughput", "latency", "webhooks")  # on everything, with the API and the workers as processes
PARTS = ("counts", *_HOUSE, *_BOOKS, "parser")
_ACTS = 250  # ledger transactions in each round
_BRIEFS = parser_bench.DEFAULT_PATH


def arguments_of(given: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; every number has a ceiling, so that a run is bounded."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", type=_bounded(1, 500), default=24, help="lives in each round (24)")
    parser.add_argument("--concurrency", type=_bounded(1, 64), default=8, help="lives at once (8)")
    parser.add_argument("--rounds", type=_bounded(1, 20), default=4, help="rounds of each side (4)")
    parser.add_argument(
        "--samples", type=_bounded(4, 500), default=60, help="acceptances of each side, and webhooks (60)"
    )
    parser.add_argument(
        "--entries",
        type=_bounded(1_000, 1_000_000),
        default=100_000,
        help="most entries in the ledger (100000)",
    )
    parser.add_argument(
        "--only",
        choices=PARTS,
        action="append",
        help=f"only this part of {', '.join(PARTS)}; may be repeated",
    )
    parser.add_argument("--briefs", type=Path, default=_BRIEFS, help="labelled briefs for the parser")
    parser.add_argument("--minutes", type=_bounded(1, 60), default=8, help="end after so long (8)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--keep-logs", type=Path, help="copy the processes' logs to this folder at the end")
    return parser.parse_args(given)


class _bounded:  # noqa: N801  # reads as a type in argparse's messages
    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> int:
        number = int(text)
        if not self._low <= number <= self._high:
            raise argparse.ArgumentTypeError(f"between {self._low} and {self._high}")
        return number


async def run(options: argparse.Namespace, results: Results) -> None:
    """Measure what was asked for, each part into the results as it is done.

    Raises:
        LifeError, TimeoutError: something did not go as it must, or took too long; what was measured stays.
    """
    wanted = set(options.only or PARTS)
    if "parser" in wanted:
        if options.briefs.is_file():
            results.parser = parser_bench.measure(options.briefs)
        else:
            results.said.append(f"parser: no briefs at {options.briefs.name}, nothing measured")
    if wanted - {"parser"}:
        async with asyncio.timeout(options.minutes * 60):
            await _on_services(options, wanted, results)


async def _on_services(options: argparse.Namespace, wanted: set[str], results: Results) -> None:
    folder = Path(tempfile.mkdtemp(prefix="nimmit-bench-"))
    try:
        with build_stack(folder) as stack:
            _say("starting the services …")
            if wanted <= {*_BOOKS, "parser"}:
                await asyncio.to_thread(stack.require, "mongodb")
            else:
                await asyncio.to_thread(stack.start)
            if "counts" in wanted:
                _say("counting one job …")
                results.counts = await count(stack.settings())
            if wanted & {"counts", *_HOUSE}:
                async with open_house(stack) as house:
                    await _in_house(house, options, wanted, results)
            # Last, so that 100,000 entries and what is read of them are in nobody's way.
            if wanted & set(_BOOKS):
                await _on_books(stack, options, wanted, results)
    finally:
        if options.keep_logs:
            shutil.copytree(folder / "logs", options.keep_logs, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


async def _in_house(house: House, options: argparse.Namespace, wanted: set[str], results: Results) -> None:
    if "counts" in wanted:
        handle = house.client.get_workflow_handle(await house.floor.live())
        await handle.result()
        results.floor_work = work_of([event async for event in handle.fetch_history_events()])
    with part_of(
        "latency", wanted, results, f"accepting {options.samples} times on each side, in turns …"
    ) as go:
        if go:
            results.latency = await measure_latency(house.platform, house.floor, samples=options.samples)
    said = f"{options.rounds} rounds of {options.jobs} jobs on each side, in turns …"
    with part_of("throughput", wanted, results, said) as go:
        if go:
            results.throughput = await measure_throughput(
                house.platform,
                house.floor,
                house.processors,
                jobs=options.jobs,
                concurrency=options.concurrency,
                rounds=options.rounds,
            )
    said = f"{options.samples} webhooks beside bare inserts, in turns …"
    with part_of("webhooks", wanted, results, said) as go:
        if go:
            async with house.stripe() as stripe:
                results.webhooks = await measure_webhooks(stripe, house.inbox, samples=options.samples)
    results.said.append(f"requests repeated after an unknown outcome: {house.platform.repeats}")


async def _on_books(stack: Stack, options: argparse.Namespace, wanted: set[str], results: Results) -> None:
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= options.entries]
    rounds = options.rounds
    async with connect(stack.settings()) as client:
        with part_of("ledger", wanted, results, "the ledger beside guarded updates, in turns …") as go:
            if go:
                results.ledger = await measure_ledger(client["bench_ledger"], acts=_ACTS, rounds=rounds)
        with part_of("growth", wanted, results, f"filling books of up to {sizes[-1]:,} entries …") as go:
            if go:
                results.growth = await measure_growth(
                    client["bench_growth"], sizes=sizes, books=(1, 10, 100, 1_000), acts=_ACTS, rounds=rounds
                )
                await client.drop_database("bench_growth")
        ends = tuple(sorted({sizes[0], sizes[-1]}))
        with part_of("night", wanted, results, f"nights over {list(ends)} entries …") as go:
            if go:
                environment = stack.child_environment()
                results.nights = await measure_night(client["bench_night"], environment, sizes=ends)


@contextmanager
def part_of(name: str, wanted: set[str], results: Results, said: str) -> Iterator[bool]:
    """Whether to measure this part. If it fails, that is said, and the other parts are measured all the same."""
    if name not in wanted:
        yield False
        return
    _say(said)
    try:
        yield True
    except Exception as error:  # noqa: BLE001  # whatever it is
        _say(traceback.format_exc())
        results.failed.append(f"{name} failed: {error!r}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(given: Sequence[str]) -> int:
    """Measure and print; 1 when something could not be measured."""
    options, results, status = arguments_of(given), Results(), 0
    try:
        asyncio.run(run(options, results))
    except (LifeError, TimeoutError) as error:
        _say(f"bench: {str(error) or 'not done in time; what was measured:'}")
        status = 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(orjson.dumps(as_json(results), option=orjson.OPT_INDENT_2).decode())
    else:
        show(results, Console(width=None if sys.stdout.isatty() else 160))
    return 1 if results.failed else status


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
