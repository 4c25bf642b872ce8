"""An orphaned job is started once, however many sweeps see it; what expired goes; silent timers stop."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest_asyncio
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.sweep import SweepActivities
from activities.timetracking import TimeTrackingActivities
from app.documents import utcnow
from app.ids import new_id
from app.jobs.models import Job
from app.jobs.orphans import find_orphans
from app.lifecycle import Phase, Status
from app.settings import Settings
from app.timetracking.service import TimeTracking
from tests.conftest import Database
from tests.workflows.followers_support import insert_client, insert_job, until, worker
from worker.search_attributes import register_search_attributes
from workflows.contracts import SWEEP_WORKFLOW, JobInput, TaskQueue, job_workflow_id, task_queue
from workflows.followers import SweepInput, SweepResult
from workflows.starting import start_job
from workflows.sweep import SweepWorkflow, ensure_schedule, sweep_schedule_id


@dataclass
class Scene:
    """A stack with a prefix of its own on the real server. Nobody works on its queue of jobs."""

    client: Client
    database: Database
    settings: Settings

    @property
    def queue(self) -> str:
        return task_queue(TaskQueue.NOTIFY, self.settings.task_queue_prefix)

    def worker(self) -> AbstractAsyncContextManager[None]:
        own = SweepActivities(self.database, self.client, self.settings)
        timers = TimeTrackingActivities(self.database)
        activities = [own.start_orphans, own.purge_expired, timers.stop_idle_timers]
        return worker(self.client, self.queue, [SweepWorkflow], activities)

    async def sweep(self) -> SweepResult:
        result: SweepResult = await self.client.execute_workflow(
            SWEEP_WORKFLOW,
            SweepInput(purge_every_minutes=1),
            id=f"sweep-{uuid.uuid4().hex}",
            task_queue=self.queue,
            result_type=SweepResult,
        )
        return result

    async def input_of(self, job_id: str) -> JobInput | None:
        """What the job's workflow was started with, if it was."""
        handle = self.client.get_workflow_handle(job_workflow_id(job_id))
        try:
            history = await handle.fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        started = history.events[0].workflow_execution_started_event_attributes
        (value,) = await self.client.data_converter.decode(started.input.payloads, [JobInput])
        assert isinstance(value, JobInput)
        return value


@pytest_asyncio.fixture
async def scene(temporal: Client, fresh_database: Database, settings: Settings) -> AsyncIterator[Scene]:
    await register_search_attributes(temporal)
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    yield Scene(temporal, fresh_database, settings.model_copy(update={"task_queue_prefix": prefix}))
    async for job in fresh_database["jobs"].find({}, {"_id": 1}):
        handle = temporal.get_workflow_handle(job_workflow_id(job["_id"]))
        try:
            await handle.terminate("the test is over")
        except RPCError:
            continue


async def post(scene: Scene, *, age_seconds: int = 60, **fields: Any) -> str:
    """Store a job as the API does, and die before its process is started."""
    return await insert_job(
        scene.database,
        client_id=await insert_client(scene.database),
        status=fields.pop("status", Status.PENDING),
        phase=fields.pop("phase", Phase.POSTED),
        seq=fields.pop("seq", 0),
        created_at=utcnow() - timedelta(seconds=age_seconds),
        **fields,
    )


async def test_an_orphan_is_started_once_by_any_number_of_sweeps(scene: Scene) -> None:
    job_id = await post(scene, max_credits=700, correlation_id="c-1")
    async with scene.worker():
        first = await scene.sweep()
        second = await scene.sweep()
    assert (first.orphans.started, first.orphans.running, first.orphans.failed) == (1, 0, 0)
    assert (second.orphans.started, second.orphans.running, second.orphans.failed) == (0, 1, 0)
    given = await scene.input_of(job_id)
    assert given is not None
    assert (given.job_id, given.rate, given.max_credits) == (job_id, 100, 700)
    assert given.correlation_id == "c-1"
    description = await scene.client.get_workflow_handle(job_workflow_id(job_id)).describe()
    assert description.task_queue == task_queue(TaskQueue.JOBS, scene.settings.task_queue_prefix)
    assert "banner" not in (await description.static_summary() or "")


async def test_two_sweeps_at_once_start_it_once(scene: Scene) -> None:
    for _ in range(5):
        await post(scene)
    async with scene.worker():
        handles = [
            await scene.client.start_workflow(
                SWEEP_WORKFLOW,
                SweepInput(),
                id=f"sweep-{uuid.uuid4().hex}",
                task_queue=scene.queue,
                result_type=SweepResult,
            )
            for _ in range(3)
        ]
        results = [await handle.result() for handle in handles]
    assert sum(result.orphans.started for result in results) == 5
    assert sum(result.orphans.running for result in results) == 10


async def test_only_orphans_are_started(scene: Scene) -> None:
    fresh = await post(scene, age_seconds=5)
    known = await post(scene, status=Status.MATCHING, phase=Phase.PARSING, seq=1)
    broken = await post(scene)
    await scene.database["jobs"].update_one({"_id": broken}, {"$unset": {"rate": ""}})
    orphan = await post(scene)
    async with scene.worker():
        result = await scene.sweep()
    assert (result.orphans.started, result.orphans.failed) == (1, 1)
    assert [await scene.input_of(job) is not None for job in (fresh, known, broken, orphan)] == [
        False,
        False,
        False,
        True,
    ]


async def test_a_job_that_was_started_and_ended_is_not_started_again(scene: Scene) -> None:
    job_id = await post(scene)
    stored = await scene.database["jobs"].find_one({"_id": job_id})
    assert await start_job(scene.client, Job.model_validate(stored), scene.settings)
    await scene.client.get_workflow_handle(job_workflow_id(job_id)).terminate("ended")
    async with scene.worker():
        result = await scene.sweep()
    assert (result.orphans.started, result.orphans.running) == (0, 1)


async def test_orphans_are_found_page_by_page(scene: Scene) -> None:
    created = utcnow() - timedelta(minutes=5)
    wanted = sorted(new_id() for _ in range(205))
    await scene.database["jobs"].insert_many(
        [{"_id": key, "status": "pending", "seq": 0, "createdAt": created} for key in wanted]
    )
    found = [job["_id"] async for job in find_orphans(scene.database, at=utcnow())]
    await scene.database["jobs"].delete_many({})
    assert found == wanted


async def test_what_has_expired_is_removed_and_nothing_else(scene: Scene) -> None:
    now = utcnow()
    old, recent = now - timedelta(days=90), now - timedelta(hours=1)
    later = now + timedelta(hours=1)
    database = scene.database
    await database["idempotency_keys"].insert_many(
        [{"_id": "old", "expiresAt": old}, {"_id": "live", "expiresAt": later}]
    )
    for name in ("sessions", "refresh_tokens"):
        await database[name].insert_many(
            [{"_id": "old", "expiresAt": old}, {"_id": "live", "expiresAt": later}]
        )
    await database["mail_deliveries"].insert_many(
        [{"_id": "old", "sentAt": old}, {"_id": "live", "sentAt": recent}]
    )
    async with scene.worker():
        result = await scene.sweep()
    assert result.purged is not None
    assert (result.purged.idempotency_keys, result.purged.sessions) == (1, 2)
    assert result.purged.mail_deliveries == 1
    for name in ("idempotency_keys", "sessions", "refresh_tokens", "mail_deliveries"):
        assert [row["_id"] for row in await database[name].find({}).to_list()] == ["live"]


async def test_every_sweep_stops_silent_timers(scene: Scene) -> None:
    worker_id, now = new_id(), utcnow()
    job_id = await insert_job(
        scene.database,
        client_id=await insert_client(scene.database),
        worker_id=worker_id,
        status=Status.IN_PROGRESS,
        phase=Phase.WORKING,
    )
    tracking = TimeTracking(scene.database, idle_seconds=60)
    await tracking.start(job_id, worker_id, now - timedelta(seconds=100))
    await tracking.heartbeat(job_id, worker_id, now - timedelta(seconds=70))
    async with scene.worker():
        first, second = await scene.sweep(), await scene.sweep()
    assert (first.timers.idle, second.timers.idle) == (1, 0)
    entries = await scene.database["time_entries"].find({"jobId": job_id}).to_list()
    assert [(entry["seconds"], entry["stoppedBy"]) for entry in entries] == [(30, "idle")]
    told = await scene.database["outbox"].find({"userId": worker_id}).to_list()
    assert [row["template"] for row in told] == ["time.idle_stopped"]


async def test_the_schedule_is_made_once_and_stays_as_an_operator_left_it(scene: Scene) -> None:
    prefix = scene.settings.task_queue_prefix
    handle = scene.client.get_schedule_handle(sweep_schedule_id(prefix))
    try:
        await ensure_schedule(scene.client, prefix, every=timedelta(hours=5))
        await handle.pause(note="an operator looks into it")
        await ensure_schedule(scene.client, prefix)
        schedule = (await handle.describe()).schedule
        assert schedule.spec.intervals[0].every == timedelta(minutes=1)
        assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert (schedule.state.paused, schedule.state.note) == (True, "an operator looks into it")
        job_id = await post(scene)
        async with scene.worker():
            await handle.trigger()

            async def started() -> bool:
                return await scene.input_of(job_id) is not None

            await until(started)
    finally:
        await handle.delete()
