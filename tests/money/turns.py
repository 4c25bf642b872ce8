"""Callers who go on one step at a time, in an order drawn beforehand, so that a race can be run again as it was."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.money.support import CrashError, Hook

Caller = Callable[[Hook], Awaitable[Any]]
_LONGEST_SECONDS = 30.0


async def take_turns(
    callers: Sequence[Caller], order: Sequence[int], *, dies: tuple[int, int] | None = None
) -> list[Any]:
    """Each caller's answer, or what it raised.

    Before and after each operation on the store a caller waits for its turn. Who is next is decided only when all of
    them wait: `order` says which one, counted among those who are still there; after it they go round. `dies` is a
    caller and the step at which its process ends.
    """
    waiting: dict[int, asyncio.Future[None]] = {}
    moved = asyncio.Event()
    steps = [0] * len(callers)

    def hook_of(number: int) -> Hook:
        async def hook(when: str, operation: str) -> None:
            waiting[number] = asyncio.get_running_loop().create_future()
            moved.set()
            await waiting[number]
            del waiting[number]
            steps[number] += 1
            if dies == (number, steps[number] - 1):
                raise CrashError(f"{when} {operation}")

        return hook

    async def live(number: int, caller: Caller) -> Any:
        try:
            return await caller(hook_of(number))
        finally:
            moved.set()

    tasks = [asyncio.create_task(live(number, caller)) for number, caller in enumerate(callers)]
    turns = itertools.chain(order, itertools.count())
    async with asyncio.timeout(_LONGEST_SECONDS):
        while not all(task.done() for task in tasks):
            await moved.wait()
            moved.clear()
            await asyncio.sleep(0)  # whoever has just ended is done now
            there = [number for number, task in enumerate(tasks) if not task.done()]
            idle = [number for number, gate in sorted(waiting.items()) if not gate.done()]
            if there and idle == there:
                waiting[idle[next(turns) % len(idle)]].set_result(None)
    return await asyncio.gather(*tasks, return_exceptions=True)
