"""Measures both sides in turns: A, B, A, B, … so that what else the machine does falls on both alike."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.processor import Processors, difference
from bench.sides import BareFloor, Side


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of lives: seconds until each was `completed`, and until nothing was left to do for any."""

    jobs: int
    seconds: float
    settled_seconds: float
    processor: dict[str, float]  # seconds by process, until nothing was left to do

    @property
    def rate(self) -> float:
        """Jobs a second up to `completed`."""
        return self.jobs / self.seconds

    @property
    def settled_rate(self) -> float:
        """Jobs a second with all that follows: payouts, and on the platform's side notices and mails."""
        return self.jobs / self.settled_seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """Lowest, median and highest of some ratios."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(min(values), statistics.median(values), max(values))


@dataclass(frozen=True, slots=True)
class Throughput:
    """Rounds of both sides, in pairs."""

    platform: list[Batch]
    floor: list[Batch]
    concurrency: int

    @property
    def ratio(self) -> Spread:
        """Of the rates up to `completed`, round by round: platform over floor."""
        return Spread.of([a.rate / b.rate for a, b in zip(self.platform, self.floor, strict=True)])

    @property
    def settled_ratio(self) -> Spread:
        """The same with all that follows."""
        return Spread.of(
            [a.settled_rate / b.settled_rate for a, b in zip(self.platform, self.floor, strict=True)]
        )


def processor_per_job(batches: Sequence[Batch]) -> dict[str, float]:
    """Seconds of processor time a job, by process, over all batches."""
    jobs = sum(batch.jobs for batch in batches)
    return {name: sum(batch.processor[name] for batch in batches) / jobs for name in batches[0].processor}


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that acceptances took, in turns, one at a time: over HTTP, and two kinds of update by the bare client.

    `bare` does nothing at all; `floor` has what an acceptance asks of Temporal, an upsert and an empty activity.
    """

    platform: list[float]
    bare: list[float]
    floor: list[float]

    def ratio(self, percent: int, beside: Sequence[float]) -> float:
        """Platform over another, at a percentile."""
        return percentile(self.platform, percent) / percentile(beside, percent)

    def blocks(self, percent: int, beside: Sequence[float], blocks: int = 4) -> Spread:
        """The ratio of each stretch of the run, to show how far it moves."""
        size = max(1, len(beside) // blocks)
        ratios = [
            percentile(self.platform[cut : cut + size], percent)
            / percentile(beside[cut : cut + size], percent)
            for cut in range(0, size * blocks, size)
            if beside[cut : cut + size]
        ]
        return Spread.of(ratios)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


async def measure_throughput(
    platform: Side, floor: Side, processors: Processors, *, jobs: int, concurrency: int, rounds: int
) -> Throughput:
    """Rounds of `jobs` lives at `concurrency`, after one of each that is not counted."""
    for side in (platform, floor):
        await _batch(side, processors, min(jobs, concurrency), concurrency)
    found = Throughput([], [], concurrency)
    for number in range(rounds):
        # Whoever goes second finds the caches of the other: take turns in that, too.
        order = [(platform, found.platform), (floor, found.floor)]
        for side, batches in order if number % 2 == 0 else reversed(order):
            batches.append(await _batch(side, processors, jobs, concurrency))
    return found


async def _batch(side: Side, processors: Processors, jobs: int, concurrency: int) -> Batch:
    lives: list[str] = []
    left = iter(range(jobs))

    async def lane() -> None:
        for _ in left:
            lives.append(await side.live())  # noqa: PERF401  # each in its turn, and kept if the next fails

    before = processors.seconds()
    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(concurrency)))
    seconds = time.perf_counter() - started
    await side.settle(lives)
    settled_seconds = time.perf_counter() - started
    return Batch(jobs, seconds, settled_seconds, difference(before, processors.seconds()))


async def measure_latency(platform: Side, floor: BareFloor, *, samples: int) -> Latency:
    """Acceptances one at a time, in turns, after a few that are not counted."""
    found = Latency([], [], [])
    order = [
        (platform.acceptance, found.platform),
        (floor.bare_update, found.bare),
        (floor.acceptance, found.floor),
    ]
    for number in range(-3, samples):
        for accept, times in order if number % 2 == 0 else reversed(order):
            seconds = await accept()
            if number >= 0:
                times.append(seconds)
    return found
