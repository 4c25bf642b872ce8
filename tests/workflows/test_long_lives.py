"""Lives of many runs: the limit of a history lowered, so that the process continues as new every few acts.

Nothing is lost at the seam: state, holds, due times, deadlines, what stands still, and the answers to repeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.client import Client

from api.job_gateway import JobGateway
from app.jobs.models import Job
from app.jobs.policy import JobPolicy, Urgency
from app.lifecycle import (
    AWAITING_APPROVAL,
    QUOTING_REVISION,
    RATING,
    READY,
    RESCUE,
    REVIEW_DISPUTED,
    WORKING,
    Action,
    Actor,
)
from app.settings import Settings
from devstack.stack import Stack
from tests.support.books import check_books, track
from tests.support.jobs import Database, JobHarness, run_harness
from tests.support.scenes import ADMIN, Scene
from workflows.contracts import (
    WORKER_ID,
    ActResult,
    ChangePolicy,
    RequestRevision,
    Update,
    job_workflow_id,
)

LIMIT = 40  # events of one run
TICK = timedelta(milliseconds=2)  # the store keeps moments to the millisecond


@pytest_asyncio.fixture(params=[1000, 0], ids=["cached", "uncached"])
async def either(
    request: pytest.FixtureRequest, stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[JobHarness]:
    """Workers that keep workflows in memory, and workers that replay each task from the run's beginning."""
    stack.require("mongodb", "s3", "stripe")
    async with run_harness(temporal, database, settings, max_cached_workflows=request.param) as harness:
        yield harness


async def _agrees(scene: Scene) -> Job:
    """The process, the record and the client's book say the same."""
    stored, view = await scene.jobs.stored(scene.job), await scene.jobs.state(scene.job)
    assert (view.status, view.phase, view.seq) == (stored.status, stored.phase, stored.seq)
    assert [entry.seq for entry in stored.timeline] == list(range(1, stored.seq + 1))
    for live, kept in ((view.deadline, stored.deadline), (view.due_at, stored.due_at)):
        assert (live is None) is (kept is None)
        assert live is None or kept is None or abs(live - kept) < TICK
    assert len(view.reminders) == len(stored.reminders)
    assert view.worker_id == stored.worker_id
    assert stored.held_credits == sum(hold.credits for hold in stored.holds)
    assert (await scene.jobs.resources.credits.balance(scene.client)).held == stored.held_credits
    return stored


async def test_many_revisions_lose_nothing_from_run_to_run(either: JobHarness) -> None:
    jobs = either
    scene = await Scene(jobs, history_limit=LIMIT).reach(READY, revision_limit=3)
    await jobs.add_worker()
    await scene.do(Action.EXTEND_DEADLINE, Actor.ADMIN)
    due = (await _agrees(scene)).due_at
    await scene.do(Action.CHANGE_POLICY, Actor.ADMIN)  # with its limit of two revisions
    await jobs.start(scene.job, scene.worker)
    stored = await _agrees(scene)
    assert (stored.due_at, stored.policy.version) == (due, 7)
    for _ in range(2):
        await jobs.submit(scene.job, scene.worker)
        await jobs.request_revision(scene.job)
        await jobs.start(scene.job, scene.worker)
        await _agrees(scene)
    await jobs.submit(scene.job, scene.worker)
    await jobs.request_revision(scene.job)
    await jobs.until(scene.job, QUOTING_REVISION)
    await _agrees(scene)
    await scene.do(Action.APPROVE_REVISION_QUOTE, Actor.CLIENT)
    assert len((await _agrees(scene)).holds) == 2
    await track(jobs, scene.job.id, scene.worker, 1)
    await jobs.start(scene.job, scene.worker)
    await jobs.submit(scene.job, scene.worker)
    await scene.do(Action.EXTEND_REVIEW, Actor.CLIENT)
    before = await _agrees(scene)
    await scene.do(Action.OPEN_DISPUTE, Actor.WORKER)
    await jobs.until(scene.job, REVIEW_DISPUTED)
    await scene.do(Action.EXTEND_DEADLINE, Actor.ADMIN)
    await scene.do(Action.DISMISS_DISPUTE, Actor.ADMIN)
    after = await _agrees(scene)
    assert after.review_extended
    assert before.deadline is not None
    assert after.deadline is not None
    opened = next(entry.at for entry in after.timeline if entry.action is Action.OPEN_DISPUTE)
    assert abs(after.deadline - before.deadline - (after.timeline[-1].at - opened)) < TICK
    assert len(after.reminders) == len(before.reminders)

    runs = (await jobs.state(scene.job)).runs
    assert runs >= 4
    description = await jobs.handle(scene.job).describe()
    assert description.typed_search_attributes.get(WORKER_ID) == scene.worker
    leaver, held, pay = scene.worker, after.held_credits, after.pay_usd_cents
    await scene.do(Action.WITHDRAW, Actor.WORKER)
    scene.worker = await jobs.until_offered(scene.job)
    assert scene.worker != leaver
    await jobs.accept(scene.job, scene.worker)
    await jobs.start(scene.job, scene.worker)
    await jobs.submit(scene.job, scene.worker)
    await _agrees(scene)
    await jobs.approve(scene.job)
    await jobs.until(scene.job, RATING)
    await jobs.handle(scene.job).result()
    done = await jobs.stored(scene.job)
    assert (done.spent_credits, done.earned_usd_cents, done.held_credits) == (held, pay, 0)
    assert [accrual.worker_id for accrual in done.accruals] == [leaver, scene.worker]
    await check_books(jobs)


async def test_timers_go_on_from_run_to_run(either: JobHarness) -> None:
    """Late work, forgotten: the alerts come at distances that grow across the seams; then the client is silent."""
    jobs = either
    scene = await Scene(jobs, history_limit=30).reach(
        WORKING,
        due_seconds=dict.fromkeys(Urgency, 2),
        overdue_alert_seconds=1,
        auto_approve_seconds=6,
        review_reminder_seconds=(1, 2, 3),
    )
    late = await jobs.until_stored(scene.job, lambda job: job.overdue_count >= 3)
    moments = [entry.at for entry in late.timeline if entry.action is Action.MARK_OVERDUE]
    assert late.due_at is not None
    assert moments[0] >= late.due_at - TICK
    assert moments[1] - moments[0] >= timedelta(seconds=1) - TICK
    assert moments[2] - moments[1] >= timedelta(seconds=2) - TICK
    await jobs.submit(scene.job, scene.worker)
    await jobs.until_stored(scene.job, lambda job: job.phase == RATING.phase)
    done = await jobs.stored(scene.job)
    assert (await jobs.state(scene.job)).runs >= 3
    delivered = next(entry.at for entry in done.timeline if entry.action is Action.SUBMIT)
    assert sum(entry.action is Action.REMIND_CLIENT for entry in done.timeline) in (
        2,
        3,
    )  # a busy machine joins two
    assert done.timeline[-1].action is Action.AUTO_APPROVE
    assert done.timeline[-1].at - delivered >= timedelta(seconds=6) - TICK
    await check_books(jobs)


async def test_a_rescue_of_many_runs_goes_on_counting(jobs: JobHarness) -> None:
    scene = await Scene(jobs, history_limit=20).reach(RESCUE, rescue_reminder_seconds=1)
    await scene._make_available(False)
    worker = await jobs.add_worker(available=False)
    reminded = await jobs.until_stored(
        scene.job, lambda job: sum(entry.action is Action.REMIND_ADMINS for entry in job.timeline) >= 5
    )
    assert reminded.needs_admin_reason == "no worker accepted; escalated"
    assert (await jobs.state(scene.job)).runs >= 3
    told = await jobs.database["outbox"].count_documents(
        {"jobId": scene.job.id, "template": "job.rescue_reminder", "userId": scene.client}
    )
    assert told == 1
    await jobs.assign(scene.job, worker)
    assert (await jobs.stored(scene.job)).worker_id == worker
    await scene._make_available(True)


async def test_acts_that_meet_a_seam_are_each_done_once(either: JobHarness) -> None:
    """Each change of policy makes the run too long, and more of them are on their way."""
    jobs = either
    scene = await Scene(jobs, history_limit=10).reach(READY)
    versions = list(range(2, 10))  # the server takes ten at a time

    async def change(version: int) -> ActResult:
        act = ChangePolicy(
            actor=Actor.ADMIN, actor_id=ADMIN, reason="a better one", policy=JobPolicy(version=version)
        )
        return await jobs.update(scene.job, Update.CHANGE_POLICY, act, update_id=f"policy-{version}")

    answers = await asyncio.gather(*(change(version) for version in versions))
    stored = await _agrees(scene)
    changes = [entry for entry in stored.timeline if entry.action is Action.CHANGE_POLICY]
    assert sorted(entry.details["to"] for entry in changes) == versions
    assert sorted(answer.seq for answer in answers) == [entry.seq for entry in changes]
    assert (await jobs.state(scene.job)).runs > 1


async def test_a_repeat_gets_its_first_answer_from_a_later_run(either: JobHarness) -> None:
    """Through the door's gateway, as a caller repeats who has lost the answer."""
    jobs = either
    scene = await Scene(jobs, history_limit=10).reach(AWAITING_APPROVAL)
    gateway = JobGateway(jobs.resources.client, jobs.resources.settings)
    workflow_id = job_workflow_id(scene.job.id)
    act = RequestRevision(actor=Actor.CLIENT, actor_id=scene.client, reason="more charts", body_hash="one")

    async def ask(number: int) -> ActResult:
        return await gateway.act(workflow_id, Update.REQUEST_REVISION, f"revise:{number}", act, ActResult)

    first = await ask(1)
    runs = (await gateway.state(scene.job.id)).runs
    assert await ask(1) == first
    await jobs.start(scene.job, scene.worker)
    await jobs.submit(scene.job, scene.worker)
    assert (await gateway.state(scene.job.id)).runs > runs
    assert await ask(1) == first  # and not a second revision, which the state would allow
    stored = await _agrees(scene)
    assert stored.revision_count == 1
    second = await ask(2)
    assert second.seq > first.seq
