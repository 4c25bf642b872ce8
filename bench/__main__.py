"""`python -m bench`: what a job costs, beside a floor, on services that it starts and ends itself."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson
from rich.console import Console

from app.process import leave
from bench import parser as parser_bench
from bench.counts import count
from bench.histories import work_of
from bench.house import build_stack, open_house
from bench.lives import LifeError
from bench.rates import measure_latency, measure_throughput
from bench.report import Results, as_json, show

PARTS = ("counts", "throughput", "latency", "parser")
_BRIEFS = parser_bench.DEFAULT_PATH


def arguments_of(given: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; every number has a ceiling, so that a run is bounded."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", type=_bounded(1, 500), default=24, help="lives in each round (24)")
    parser.add_argument("--concurrency", type=_bounded(1, 64), default=8, help="lives at once (8)")
    parser.add_argument("--rounds", type=_bounded(1, 20), default=4, help="rounds of each side (4)")
    parser.add_argument("--samples", type=_bounded(4, 500), default=60, help="acceptances of each side (60)")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    parser.add_argument("--briefs", type=Path, default=_BRIEFS, help="labelled briefs for the parser")
    parser.add_argument("--minutes", type=_bounded(1, 60), default=15, help="give up after so long (15)")
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


async def run(options: argparse.Namespace) -> Results:
    """Measure what was asked for.

    Raises:
        LifeError, TimeoutError: something did not go as it must, or took too long.
    """
    wanted = set(options.only or PARTS)
    results = Results()
    if "parser" in wanted:
        if options.briefs.is_file():
            results.parser = parser_bench.measure(options.briefs)
        else:
            results.said.append(f"parser: no briefs at {options.briefs.name}, nothing measured")
    if wanted - {"parser"}:
        async with asyncio.timeout(options.minutes * 60):
            await _on_services(options, wanted, results)
    return results


async def _on_services(options: argparse.Namespace, wanted: set[str], results: Results) -> None:
    folder = Path(tempfile.mkdtemp(prefix="nimmit-bench-"))
    try:
        with build_stack(folder) as stack:
            _say("starting the services …")
            await asyncio.to_thread(stack.start)
            if "counts" in wanted:
                _say("counting one job …")
                results.counts = await count(stack.settings())
            async with open_house(stack) as house:
                if "counts" in wanted:
                    handle = house.client.get_workflow_handle(await house.floor.live())
                    await handle.result()
                    results.floor_work = work_of([event async for event in handle.fetch_history_events()])
                if "latency" in wanted:
                    _say(f"accepting {options.samples} times on each side, in turns …")
                    results.latency = await measure_latency(
                        house.platform, house.floor, samples=options.samples
                    )
                if "throughput" in wanted:
                    _say(f"{options.rounds} rounds of {options.jobs} jobs on each side, in turns …")
                    results.throughput = await measure_throughput(
                        house.platform,
                        house.floor,
                        house.processors,
                        jobs=options.jobs,
                        concurrency=options.concurrency,
                        rounds=options.rounds,
                    )
                results.said.append(f"requests repeated after an unknown outcome: {house.platform.repeats}")
    finally:
        if options.keep_logs:
            shutil.copytree(folder / "logs", options.keep_logs, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(given: Sequence[str]) -> int:
    """Measure and print; 1 when it could not be measured."""
    options = arguments_of(given)
    try:
        results = asyncio.run(run(options))
    except (LifeError, TimeoutError) as error:
        _say(f"bench: {str(error) or 'not done in time'}")
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(orjson.dumps(as_json(results), option=orjson.OPT_INDENT_2).decode())
    else:
        show(results, Console(width=None if sys.stdout.isatty() else 160))
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
