"""What the tests of payout, ratings, archive and sweep share: seeds, a worker, and a look into histories."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from app.documents import utcnow
from app.ids import new_id
from app.jobs.change import Accrual, TimelineEntry
from app.jobs.models import Job
from app.jobs.policy import JobPolicy, Urgency
from app.lifecycle import Action, Actor, Phase, Status
from app.money.keys import accrue_key, complete_key, hold_key, release_key
from tests.conftest import Database
from worker.sandbox import QuietSandbox
from workflows.repeats import RepeatedUpdates

PAY = 4_500  # USD cents


def unique_queue(name: str = "jobs") -> str:
    """A task queue of one test's own, named so that its siblings can be derived."""
    return f"t{uuid.uuid4().hex[:8]}-{name}"


@asynccontextmanager
async def worker(
    client: Client, queue: str, workflows: Sequence[type], activities: Sequence[Callable[..., Any]]
) -> AsyncIterator[None]:
    """A worker without a cache: every workflow task is a replay."""
    async with Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=QuietSandbox(),
        max_cached_workflows=0,
        interceptors=[RepeatedUpdates()],
    ):
        yield


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    """Wait, in real time, for something that other tasks bring about."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.05)


async def history_of(handle: WorkflowHandle[Any, Any]) -> str:
    """The whole history as JSON."""
    return (await handle.fetch_history()).to_json()


async def insert_worker(database: Database, **profile: Any) -> str:
    """A worker as the process sees one."""
    return await _insert_user(database, "worker", workerProfile={"rating": {"sum": 0, "count": 0}, **profile})


async def insert_client(database: Database) -> str:
    """A client as the process sees one."""
    return await _insert_user(database, "client", clientProfile={"rating": {"sum": 0, "count": 0}})


async def _insert_user(database: Database, role: str, **fields: Any) -> str:
    user_id = new_id()
    email = f"{user_id}@example.com"
    await database["users"].insert_one({"_id": user_id, "role": role, "email": email, **fields})
    return user_id


async def insert_job(
    database: Database,
    *,
    client_id: str,
    worker_id: str | None = None,
    status: Status = Status.COMPLETED,
    phase: Phase = Phase.RATING,
    seq: int = 1,
    created_at: datetime | None = None,
    **fields: Any,
) -> str:
    """A job as its own process left it, or as the API posted it."""
    now = utcnow()
    entry = TimelineEntry(
        seq=1,
        at=now,
        actor=Actor.CLIENT,
        actor_id=client_id,
        action=Action.APPROVE,
        status=status,
        phase=phase,
    )
    job_id = new_id()
    ending = [complete_key(job_id), accrue_key(job_id)] if worker_id else [release_key(job_id)]
    job = Job(
        id=job_id,
        client_id=client_id,
        worker_id=worker_id,
        title="A banner",
        description="Draw a banner for the autumn sale.",
        urgency=Urgency.NORMAL,
        status=status,
        phase=phase,
        seq=seq,
        rate=100,
        policy=JobPolicy(),
        earned_usd_cents=PAY if worker_id else 0,
        accruals=[Accrual(number=1, worker_id=worker_id, usd_cents=PAY)] if worker_id else [],
        ledger_keys=[hold_key(job_id), *ending],
        timeline=[entry] if seq else [],
        created_at=created_at or now - timedelta(hours=1),
        updated_at=now,
        completed_at=now if status is Status.COMPLETED else None,
        **fields,
    )
    await database["jobs"].insert_one(job.model_dump(by_alias=True))
    return job.id


async def job_of(database: Database, job_id: str) -> dict[str, Any]:
    """The stored job."""
    job = await database["jobs"].find_one({"_id": job_id})
    assert job is not None
    return job


async def notices_of(database: Database, job_id: str) -> list[tuple[str, str | None]]:
    """What the outbox says of a job, to whom (None: every admin)."""
    rows = await database["outbox"].find({"jobId": job_id}).sort("_id", 1).to_list()
    told = [(row["template"], row["userId"]) for row in rows]
    return sorted(told, key=lambda one: (one[0], one[1] or ""))
