"""A market on the time-skipping server: jobs arrive, people act, months of clocks run, and activities crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from app.jobs.models import Job
from app.jobs.policy import Urgency
from app.jobs.posting import insert_job, new_job
from app.lifecycle import CLOSED_TO_JOB_WORKFLOW, COMPLETION_DISPUTED, RATING, Phase, State, Status
from app.settings import Settings
from app.users.hours import WEEKDAYS
from tests.market.clock import Clock
from tests.market.crashes import Crashes
from tests.market.people import People, policy_for
from tests.support.completed import give_account
from tests.support.jobs import DEFAULT_BRIEF, Database, run_harness
from workflows.contracts import archive_workflow_id, payout_workflow_id, ratings_workflow_id
from workflows.starting import start_job

log = structlog.stdlib.get_logger(__name__)

CRASHING = 0.12  # of all attempts
AT_ONCE = 8
# How far the clock goes between two rounds of everybody's turns, and how often.
STEPS = [
    (timedelta(minutes=6), 5),
    (timedelta(minutes=40), 3),
    (timedelta(hours=7), 2),
    (timedelta(hours=30), 1),
]
LAST_STEPS = [timedelta(days=1)] * 4 + [timedelta(days=4)] * 5  # ratings, disputes' window, archive
_BEGIN_NOTHING_NEW = 2  # of the last steps; disputes are ruled on from then on
_WITHOUT_ACCOUNT = 0.3  # of the workers at first
_FINISHES_AN_ACCOUNT = 0.2  # each round
ROUNDS = 400  # far more than any job needs


@dataclass
class Market:
    """Some jobs, and those who have to do with them."""

    environment: WorkflowEnvironment
    people: People
    crashes: Crashes
    seed: str
    jobs: list[Job] = field(default_factory=list)

    async def run(self, wanted: int) -> None:
        """Post so many jobs, and play until each has ended and is archived."""
        die, clock = Random(f"{self.seed}:market"), Clock(self.environment.client, self._followers)
        for _ in range(ROUNDS):
            for _ in range(min(die.randint(0, 2 + wanted // 6), wanted - len(self.jobs))):
                await self._post(len(self.jobs))
            running, completed = await self._open_jobs()
            log.info("market.round", jobs=len(self.jobs), running=len(running), completed=len(completed))
            if not running and len(self.jobs) == wanted:
                break
            await self._turns([*running, *completed])
            if die.random() < _FINISHES_AN_ACCOUNT:
                await self.people.completed.finish_an_account()
            (step,) = die.choices([step for step, _ in STEPS], [weight for _, weight in STEPS])
            await clock.sleep(step)
        while self.people.completed.without_account:
            await self.people.completed.finish_an_account()
        for number, step in enumerate(LAST_STEPS):
            self.people.completed.closing = number >= _BEGIN_NOTHING_NEW
            await clock.sleep(step)
            await self._turns([number for number, _ in enumerate(self.jobs)])

    async def _post(self, number: int) -> None:
        die = Random(f"{self.seed}:post:{number}")
        job = new_job(
            f"{die.getrandbits(96):024x}",
            client_id=die.choice(self.people.clients),
            title="Data analysis in Excel",
            description=DEFAULT_BRIEF,
            urgency=die.choice(list(Urgency)),
            max_credits=die.choice([None, None, 1]),
            rate=100,
            policy=policy_for(die),
            correlation_id=None,
        )
        harness = self.people.jobs
        await insert_job(harness.database, job)
        await start_job(harness.resources.client, job, harness.resources.settings)
        self.jobs.append(job)

    async def _open_jobs(self) -> tuple[list[int], list[int]]:
        """Those whose own process runs, and those that are completed and not archived."""
        ids = [job.id for job in self.jobs]
        found = self.people.jobs.database["jobs"].find({"_id": {"$in": ids}}, {"status": 1, "phase": 1})
        states = {row["_id"]: State(Status(row["status"]), Phase(row["phase"])) async for row in found}
        at = [(number, states.get(job.id)) for number, job in enumerate(self.jobs)]
        return (
            [number for number, state in at if state not in CLOSED_TO_JOB_WORKFLOW],
            [number for number, state in at if state in (RATING, COMPLETION_DISPUTED)],
        )

    async def _followers(self) -> list[str]:
        """Whatever may outlive the processes of jobs."""
        ids = [job.id for job in self.jobs]
        rows = self.people.jobs.database["jobs"].find({"_id": {"$in": ids}}, {"accruals": 1})
        return [
            follower
            async for row in rows
            for follower in (
                archive_workflow_id(row["_id"]),
                ratings_workflow_id(row["_id"]),
                *(payout_workflow_id(row["_id"], item["number"]) for item in row.get("accruals", [])),
            )
        ]

    async def _turns(self, numbers: list[int]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def turn(number: int) -> None:
            async with gate:
                await self.people.turn(number, self.jobs[number])

        await asyncio.gather(*(turn(number) for number in numbers))


@asynccontextmanager
async def open_market(
    environment: WorkflowEnvironment, database: Database, settings: Settings, seed: str, *, workers: int
) -> AsyncIterator[Market]:
    """People with credits, skills and mostly with payout accounts, and a worker process whose activities crash."""
    crashes = Crashes(seed, share=CRASHING)
    config = environment.client.config()
    config["interceptors"] = [*config["interceptors"], crashes]
    async with run_harness(Client(**config), database, settings) as harness:
        people = People(harness, seed, environment.get_current_time)
        die = Random(f"{seed}:people")
        people.clients = [await harness.add_client(200_000) for _ in range(4)]
        people.clients.append(await harness.add_client(900))  # one who cannot pay for all that they want
        for _ in range(workers):
            people.workers.append(await _add_worker(people, die))
        yield Market(environment, people, crashes, seed)


async def _add_worker(people: People, die: Random) -> str:
    """Some work by day only, so that offers to them pause at night; some have no account yet, so that pay is held."""
    profile: dict[str, Any] = {}
    if die.random() < 0.4:
        hours = [{"start": "08:00", "end": "18:00"}]
        profile["workingHours"] = dict.fromkeys(WEEKDAYS[:6], hours) | {WEEKDAYS[6]: []}
    worker_id = await people.jobs.add_worker(capacity=die.randint(2, 5), **profile)
    if die.random() < _WITHOUT_ACCOUNT:
        people.completed.without_account.append(worker_id)
    else:
        await give_account(people.jobs, worker_id)
    return worker_id
