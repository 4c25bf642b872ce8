"""Kills processes of a platform at random instants, and starts each again."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from devstack.process import StartError
from tests.e2e.platform import Platform

VICTIMS: Mapping[str, int] = {"worker": 40, "api": 25, "temporal": 20, "mongodb": 15}  # weights
_REVIVE_SECONDS = 180  # then it is broken


def chosen_seed() -> str:
    """The seed of the environment, or a new one; printed, to try the same again."""
    seed = os.environ.get("NIMMIT_CHAOS_SEED") or str(time.time_ns() % 1_000_000)
    print(f"NIMMIT_CHAOS_SEED={seed}")  # noqa: T201
    return seed


@dataclass
class Reaper:
    """Kills processes, and starts each again."""

    platform: Platform
    random: Random
    kills: int
    pause_seconds: float = 3.0  # at most, before a kill
    victims: Mapping[str, int] = field(default_factory=lambda: VICTIMS)
    killed: Counter[str] = field(default_factory=Counter)
    down: set[str] = field(default_factory=set)

    async def reap(self) -> None:
        """All the kills. Who was killed is started again at once; meanwhile one more may be killed, but no third."""
        pair = asyncio.Semaphore(2)
        async with asyncio.TaskGroup() as group:
            while self.killed.total() < self.kills:
                await asyncio.sleep(self.random.uniform(0, self.pause_seconds))
                await pair.acquire()
                group.create_task(self._kill(self._choose(), pair))

    async def reap_in_rounds(self, *, within_seconds: float = 1.5) -> None:
        """All the kills: one to three at about the same time, and the next when all have been up for a while.

        However slowly a machine starts processes, there are moments at which everything is up.
        """
        while self.killed.total() < self.kills:
            await asyncio.sleep(self.random.uniform(0, self.pause_seconds))
            async with asyncio.TaskGroup() as group:
                (at_once,) = self.random.choices((1, 2, 3), (1, 2, 2))
                for _ in range(min(at_once, self.kills - self.killed.total())):
                    group.create_task(self._kill(self._choose()))
                    await asyncio.sleep(self.random.uniform(0, within_seconds))

    def _choose(self) -> str:
        """Somebody who is up."""
        up = [name for name in self.victims if name not in self.down]
        (name,) = self.random.choices(up, [self.victims[name] for name in up])
        self.down.add(name)
        self.killed[name] += 1
        return name

    async def _kill(self, name: str, slot: asyncio.Semaphore | None = None) -> None:
        await self.platform.kill(name)
        deadline = time.monotonic() + _REVIVE_SECONDS
        while True:
            try:
                await self.platform.revive(name)
                break
            except StartError:
                # A worker gives up without Temporal or MongoDB; whoever supervises it starts it again.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1)
        self.down.discard(name)
        if slot is not None:
            slot.release()
