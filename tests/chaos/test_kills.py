"""A hundred `kill -9` at random instants while fifty jobs run: every job ends right, and nothing happens twice.

make chaos                                  another seed each time; it is printed
NIMMIT_CHAOS_SEED=7 make chaos              the same kills in the same order again
NIMMIT_CHAOS_KILLS=20 NIMMIT_CHAOS_JOBS=10 make chaos
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from devstack.process import StartError
from tests.e2e.checks import ENDED, actions, check_all, job_of, settled
from tests.e2e.platform import Platform
from tests.e2e.play import Board, rate, watching, work
from tests.support.http import Json, Person, RefusedError

KILLS = int(os.environ.get("NIMMIT_CHAOS_KILLS", "100"))
JOBS = int(os.environ.get("NIMMIT_CHAOS_JOBS", "50"))
AT_ONCE = 10
LIMIT_SECONDS = 18 * 60
VICTIMS = {"worker": 40, "api": 25, "temporal": 20, "mongodb": 15}  # weights


@dataclass
class Reaper:
    """Kills processes, and starts each again."""

    platform: Platform
    random: Random
    killed: Counter[str] = field(default_factory=Counter)
    down: set[str] = field(default_factory=set)

    async def reap(self) -> None:
        """All the kills. Who was killed is started again at once; meanwhile one more may be killed, but no third."""
        pair = asyncio.Semaphore(2)
        async with asyncio.TaskGroup() as group:
            while self.killed.total() < KILLS:
                await asyncio.sleep(self.random.uniform(0, 3))
                await pair.acquire()
                up = [name for name in VICTIMS if name not in self.down]
                (name,) = self.random.choices(up, [VICTIMS[name] for name in up])
                self.down.add(name)
                self.killed[name] += 1
                group.create_task(self._kill(name, pair))

    async def _kill(self, name: str, pair: asyncio.Semaphore) -> None:
        await self.platform.kill(name)
        while True:
            try:
                await self.platform.revive(name)
                break
            except (
                StartError
            ):  # a worker gives up without Temporal or MongoDB; whoever supervises it starts it again
                await asyncio.sleep(1)
        self.down.discard(name)
        pair.release()


@dataclass
class Stage:
    """Who plays: jobs are posted until there are enough of them and the reaper is done."""

    clients: Sequence[Person]
    admin: Person
    board: Board
    random: Random
    job_ids: list[str] = field(default_factory=list)

    async def play(self) -> None:
        """One job from post to ratings, whatever is killed meanwhile."""
        client = self.clients[len(self.job_ids) % len(self.clients)]
        job_id = str((await client.post_job())["id"])
        self.job_ids.append(job_id)
        worker = await self._find_worker(client, job_id)
        await work(job_id, client, worker, revisions=int(self.random.random() < 0.2))
        for person in (client, worker):
            await rate(person, job_id, self.random.randint(1, 5))

    async def _find_worker(self, client: Person, job_id: str) -> Person:
        """Answer offer after offer; an admin assigns when nobody took it."""
        answered = 0
        while True:
            job = await client.get(f"/jobs/{job_id}")
            if job["phase"] == "rescue":
                worker = self.random.choice(list(self.board.workers))
                body = {"workerId": worker.id}
                if await taken(self.admin, f"/admin/jobs/{job_id}/assign", body):
                    return worker
            newest = max((number for its_id, number in self.board.seen if its_id == job_id), default=0)
            if newest > answered:
                answered, worker = newest, self.board.seen[job_id, newest]
                if await self._answer(worker, job_id):
                    return worker
            await asyncio.sleep(0.3)

    async def _answer(self, worker: Person, job_id: str) -> bool:
        dice = self.random.random()
        if dice < 0.05:
            return False  # lets it lapse
        if dice < 0.2:
            await taken(worker, f"/jobs/{job_id}/offer/decline", {"reason": "busy today"})
            return False
        return await taken(worker, f"/jobs/{job_id}/offer/accept")


async def taken(person: Person, path: str, body: Json | None = None) -> bool:
    """Whether the act was done; a definite no must be one of those that come from coming late."""
    try:
        await person.insist("POST", path, body)
    except RefusedError as refused:
        assert refused.code in {"offer-expired", "worker-at-capacity", "wrong-state"}, refused  # noqa: PT017  # a no is as good as a yes
        return False
    return True


@pytest.mark.chaos
async def test_a_hundred_kills_over_fifty_jobs(platform: Platform) -> None:
    seed = os.environ.get("NIMMIT_CHAOS_SEED") or str(time.time_ns() % 1_000_000)
    print(f"NIMMIT_CHAOS_SEED={seed}")  # noqa: T201  # to try the same again
    clients = [await platform.client() for _ in range(10)]
    workers = [await platform.worker(capacity=8) for _ in range(8)]
    admin = await platform.admin()
    reaper = Reaper(platform, Random(f"reaper:{seed}"))
    started = time.monotonic()
    async with asyncio.timeout(LIMIT_SECONDS), watching(workers) as board:
        stage = Stage(clients, admin, board, Random(f"stage:{seed}"))
        reaping = asyncio.create_task(reaper.reap())

        async def player() -> None:
            # Posting goes on as long as somebody is killed, within what the clients can pay.
            while len(stage.job_ids) < JOBS or (not reaping.done() and len(stage.job_ids) < 2 * JOBS):
                await stage.play()

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(player())
        await reaping
        await settled(platform, stage.job_ids, seconds=240)
    await check_all(platform, stage.job_ids, mail_may_repeat=True)
    jobs = [await job_of(platform.database, job_id) for job_id in stage.job_ids]
    assert {(job["status"], job["phase"]) for job in jobs} <= ENDED
    assert all(job["status"] == "completed" for job in jobs), [actions(job) for job in jobs]
    assert reaper.killed.total() >= KILLS
    assert len(jobs) >= JOBS
    took, repeats = time.monotonic() - started, dict(platform.door.unanswered)
    print(f"{len(jobs)} jobs, killed {dict(reaper.killed)}, repeated {repeats}, {took:.0f} s")  # noqa: T201
