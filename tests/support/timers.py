"""What tests of timers look at: entries of a job's timeline, what was told to whom, and moments apart."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio.testing import WorkflowEnvironment

from app.jobs.change import TimelineEntry
from app.jobs.models import Job
from app.lifecycle import Action
from tests.support.jobs import JobHarness
from tests.support.scenes import Scene

Skipping = tuple[JobHarness, WorkflowEnvironment]
SLACK = timedelta(minutes=2)  # real time that passes while a busy machine answers


async def pass_time(env: WorkflowEnvironment, **time: float) -> None:
    """Let so much time pass, and what its timers started come to rest."""
    await env.sleep(timedelta(**time))
    await env.sleep(timedelta(milliseconds=100))


async def entries(scene: Scene, *actions: Action) -> list[TimelineEntry]:
    """The entries of the job's timeline with one of these actions, in order."""
    return [entry for entry in (await scene.jobs.stored(scene.job)).timeline if entry.action in actions]


async def told(jobs: JobHarness, job: Job, type_: str, user_id: str | None = None) -> int:
    """How often something was told to a user, or to the admins."""
    rows = await jobs.database["outbox"].find({"jobId": job.id, "template": type_}).to_list()
    return sum(row.get("userId") == user_id for row in rows)


def near(moment: datetime | None, expected: datetime, slack: timedelta = SLACK) -> bool:
    """Whether a moment is the expected one, but for the real time that has passed."""
    return moment is not None and abs(moment - expected) <= slack


def hours_after(start: datetime, moments: list[datetime]) -> list[int]:
    """How many hours after `start` the moments were, to the nearest hour."""
    return [round((moment - start) / timedelta(hours=1)) for moment in moments]
