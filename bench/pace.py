"""Acts a second of two ways in turns, one after another or several at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.rates import Spread

Act = Callable[[int], Awaitable[object]]  # the lane that does it


@dataclass(frozen=True, slots=True)
class Pace:
    """Acts a second of one way beside another, round by round."""

    name: str
    floor: str
    measured: list[float]
    beside: list[float]

    @property
    def ratio(self) -> Spread:
        """Measured over beside, round by round."""
        return Spread.of([a / b for a, b in zip(self.measured, self.beside, strict=True)])


async def pace(name: str, floor: str, act: Act, beside: Act, *, acts: int, lanes: int, rounds: int) -> Pace:
    """Both in turns, after a round of each that is not counted: the first acts warm what both stand on."""
    found = Pace(name, floor, [], [])
    for number in range(-1, rounds):
        order = [(act, found.measured), (beside, found.beside)]
        for way, rates in order if number % 2 == 0 else reversed(order):
            rate = await rate_of(way, acts=acts, lanes=lanes)
            if number >= 0:
                rates.append(rate)
    return found


async def rate_of(act: Act, *, acts: int, lanes: int) -> float:
    """Acts a second over so many, each lane one after another."""
    left = iter(range(acts))

    async def work(lane: int) -> None:
        for _ in left:
            await act(lane)

    started = time.perf_counter()
    await asyncio.gather(*(work(lane) for lane in range(lanes)))
    return acts / (time.perf_counter() - started)


async def rates_in_turns(acts: Sequence[Act], *, count: int, rounds: int) -> list[list[float]]:
    """The rates of several ways, each round in another order."""
    found: list[list[float]] = [[] for _ in acts]
    for number in range(-1, rounds):
        order = list(range(len(acts)))
        for place in order if number % 2 == 0 else reversed(order):
            rate = await rate_of(acts[place], acts=count, lanes=1)
            if number >= 0:
                found[place].append(rate)
    return found
