"""A hundred `kill -9` at random instants while fifty jobs run: every job ends right, and nothing happens twice.

Jobs take all roads: approved, left and finished by another, cancelled, priced anew, disputed. A few kills over one
job on each road are among the usual tests.

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

from app.jobs.models import Job
from tests.chaos.reaper import Reaper, chosen_seed
from tests.chaos.roads import EACH_ONCE, ROADS, Cast, Road
from tests.e2e.checks import ENDED, check_mails, check_timeline, settled, transfers_of
from tests.e2e.platform import Platform
from tests.e2e.play import Board, watching
from tests.support.endings import check_books, check_notices, check_offers, check_workers
from tests.support.http import Person

KILLS = int(os.environ.get("NIMMIT_CHAOS_KILLS", "100"))
JOBS = int(os.environ.get("NIMMIT_CHAOS_JOBS", "50"))
AT_ONCE = 10
LIMIT_SECONDS = 18 * 60


@dataclass
class Stage:
    """Who plays: jobs are posted until there are enough of them and the reaper is done."""

    clients: Sequence[Person]
    admin: Person
    board: Board
    seed: str
    lapses: bool = True
    taken: Counter[str] = field(default_factory=Counter)
    job_ids: list[str] = field(default_factory=list)
    busy: dict[str, str] = field(default_factory=dict)  # the road of each job that somebody is at

    async def play(self, road: Road | None = None) -> None:
        """One job from post to its end, whatever is killed meanwhile; its dice are its own."""
        number = self.taken.total()
        die = Random(f"{self.seed}:{number}")
        if road is None:
            (road,) = die.choices(list(ROADS), list(ROADS.values()))
        self.taken[road.__name__] += 1
        client = self.clients[number % len(self.clients)]
        job_id = str((await client.post_job())["id"])
        self.job_ids.append(job_id)
        self.busy[job_id] = road.__name__
        await road(Cast(job_id, client, self.admin, self.board, die, lapses=self.lapses))
        del self.busy[job_id]


async def _check(platform: Platform) -> None:
    """Every job has ended right, and nothing was done, told or paid twice."""
    database = platform.database
    rows = await database["jobs"].find({}).to_list()
    assert {(row["status"], row["phase"]) for row in rows} <= ENDED
    for row in rows:
        check_timeline(row)
    jobs = [Job.model_validate(row) for row in rows]
    await check_books(database, jobs)
    await check_offers(database, jobs)
    await check_workers(database, jobs)
    admins = [row["_id"] for row in await database["users"].find({"role": "admin"}).to_list()]
    notices = await database["notifications"].find({}).to_list()
    check_notices(jobs, notices, await database["reviews"].find({}).to_list(), admins=admins)
    # A mail may leave twice when its sender is killed, under the same Message-ID (decision 5).
    await check_mails(platform, [job.id for job in jobs], repeats=True)
    transfers = await transfers_of(platform)
    for job in jobs:
        paid = [item["amount"] for item in transfers if item["metadata"].get("job_id") == job.id]
        assert sorted(paid) == sorted(accrual.usd_cents for accrual in job.accruals), job.id


async def _play(platform: Platform, reaper: Reaper, stage: Stage, roads: Sequence[Road], jobs: int) -> None:
    """Those roads first, and more of any until there are so many jobs and the reaper is done."""
    started = time.monotonic()
    waiting = list(roads)
    reaping = asyncio.create_task(reaper.reap())

    async def player() -> None:
        # Posting goes on as long as somebody is killed, within what the clients can pay.
        while waiting or len(stage.job_ids) < jobs or (not reaping.done() and len(stage.job_ids) < 2 * jobs):
            await stage.play(waiting.pop(0) if waiting else None)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, jobs)):
                group.create_task(player())
        await reaping
        await settled(platform, stage.job_ids, seconds=240)
    except BaseException:
        print(f"killed {dict(reaper.killed)}, down {reaper.down}; jobs under way: {stage.busy}")  # noqa: T201
        raise
    finally:
        reaping.cancel()
    took, repeats = time.monotonic() - started, dict(platform.door.unanswered)
    played = f"{len(stage.job_ids)} jobs on {dict(stage.taken)}, killed {dict(reaper.killed)}"
    print(f"{played}, repeated {repeats}, {took:.0f} s")  # noqa: T201  # what the test is worth
    await _check(platform)
    assert reaper.killed.total() >= reaper.kills
    assert len(stage.job_ids) >= jobs


async def test_a_few_kills_over_a_job_on_each_road(platform: Platform) -> None:
    seed = chosen_seed()
    clients, admin = [await platform.client() for _ in range(2)], await platform.admin()
    workers = [await platform.worker(capacity=8) for _ in range(4)]
    reaper = Reaper(platform, Random(f"reaper:{seed}"), kills=6, pause_seconds=2)
    async with watching(workers) as board:
        await _play(platform, reaper, Stage(clients, admin, board, seed, lapses=False), EACH_ONCE, jobs=6)


@pytest.mark.chaos
async def test_a_hundred_kills_over_fifty_jobs(platform: Platform) -> None:
    seed = chosen_seed()
    clients, admin = [await platform.client() for _ in range(10)], await platform.admin()
    workers = [await platform.worker(capacity=8) for _ in range(8)]
    reaper = Reaper(platform, Random(f"reaper:{seed}"), kills=KILLS)
    async with asyncio.timeout(LIMIT_SECONDS), watching(workers) as board:
        await _play(platform, reaper, Stage(clients, admin, board, seed), (), jobs=JOBS)
