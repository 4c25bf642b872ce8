"""What a lost workflow task, or a frozen worker, leaves in the store: the process's own word stands in the end.

A local activity runs before its workflow task is durable, so each case stores two decisions made from one place.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest_asyncio

from activities.jobs import JobActivities
from app.documents import utcnow
from app.jobs.change import OfferStatus
from app.jobs.models import Job, offer_id
from app.jobs.policy import JobPolicy
from app.jobs.pricing import quote
from app.lifecycle import OFFERING, Action, Actor
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.settings import Settings
from tests.support.jobs import JobHarness
from workflows.contracts import Act, AssignWorker, RankedWorker, RankWorkers
from workflows.job_state import JobState
from workflows.starting import job_input

T0 = datetime(2026, 3, 2, 10, 0, 0, 123_456, tzinfo=UTC)
LATER = T0 + timedelta(seconds=11)  # the lost task has timed out
WINDOW = timedelta(minutes=15)


@pytest_asyncio.fixture
async def activities(jobs: JobHarness) -> JobActivities:
    return JobActivities(jobs.database, Credits(jobs.database), Earnings(jobs.database))


def _offered(job: Job, settings: Settings, worker_id: str, *, at: datetime) -> JobState:
    """The process just after it has offered the job, with all of that still to be stored."""
    state = JobState(input=job_input(job, settings))
    state.apply(Action.START_PARSING, Actor.SYSTEM, at=at)
    state.projection.pricing = quote(hours_likely=3, rate=100, urgency=job.urgency, policy=JobPolicy())
    state.apply(Action.HOLD_CREDITS, Actor.SYSTEM, at=at)
    state.projection.round = 1
    state.open_offer(RankedWorker(worker_id=worker_id, rank=1, score=1), at=at, window=WINDOW)
    state.apply(Action.MAKE_OFFER, Actor.SYSTEM, at=at, deadline=at + WINDOW)
    state.notify("job.offer", worker_id, expires_at=at + WINDOW, pay_usd_cents=4500)
    return state


def _accepted(state: JobState, worker_id: str, *, at: datetime) -> AssignWorker:
    draft = state.model_copy(deep=True)
    draft.close_offer(OfferStatus.ACCEPTED, at=at)
    draft.projection.worker_id = worker_id
    act = Act(actor=Actor.WORKER, actor_id=worker_id)
    draft.apply(Action.ACCEPT_OFFER, Actor.WORKER, at=at, act=act)
    return AssignWorker(worker_id=worker_id, offer_number=1, change=draft.take_change())


def _expired(state: JobState, *, at: datetime) -> JobState:
    moved = state.model_copy(deep=True)
    moved.close_offer(OfferStatus.EXPIRED, at=at)
    moved.apply(Action.EXPIRE_OFFER, Actor.SYSTEM, at=at)
    return moved


async def test_an_offer_of_a_lost_task_is_taken_back_for_the_one_that_is_made(
    jobs: JobHarness, activities: JobActivities
) -> None:
    lost, made = await jobs.add_worker(), await jobs.add_worker()
    job = await jobs.post(await jobs.add_client(), start=False)
    settings = jobs.resources.settings
    stale = _offered(job, settings, lost, at=T0).take_change()
    await activities.record_change(stale)
    change = _offered(job, settings, made, at=LATER).take_change()
    for _ in range(2):  # a repeat changes nothing
        await activities.record_change(change)
    await activities.record_change(stale)  # nor does the lost one, late

    stored = await jobs.stored(job)
    assert (stored.offered_worker_id, stored.seq) == (made, 3)
    assert stored.deadline is not None
    assert abs(stored.deadline - (LATER + WINDOW)) < timedelta(milliseconds=1)
    assert [entry.seq for entry in stored.timeline] == [1, 2, 3]
    assert all(entry.at > T0 + timedelta(seconds=10) for entry in stored.timeline)
    profiles = {who: (await jobs.user(who))["workerProfile"] for who in (lost, made)}
    assert profiles[lost]["openOfferIds"] == []
    assert profiles[lost]["offers"]["offered"] == 0
    assert profiles[made]["openOfferIds"] == [offer_id(job.id, 1)]
    told = await jobs.database["outbox"].find({"jobId": job.id}).to_list()
    assert made in {row["userId"] for row in told}


async def test_a_place_taken_by_a_lost_accept_is_free_again_when_the_offer_lapses(
    jobs: JobHarness, activities: JobActivities
) -> None:
    worker = await jobs.add_worker(capacity=1)
    job = await jobs.post(await jobs.add_client(), start=False)
    state = _offered(job, jobs.resources.settings, worker, at=T0)
    await activities.record_change(state.take_change())
    assert (await activities.assign_worker(_accepted(state, worker, at=LATER))).assigned
    assert (await jobs.user(worker))["workerProfile"]["activeJobs"] == 1

    await activities.record_change(_expired(state, at=T0 + WINDOW).take_change())
    profile = (await jobs.user(worker))["workerProfile"]
    assert (profile["activeJobs"], profile["activeJobIds"]) == (0, [])
    stored = await jobs.stored(job)
    assert [entry.action for entry in stored.timeline][2:] == [Action.MAKE_OFFER, Action.EXPIRE_OFFER]
    assert stored.worker_id is None


async def test_an_accept_that_runs_after_the_job_has_moved_on_keeps_no_place(
    jobs: JobHarness, activities: JobActivities
) -> None:
    worker = await jobs.add_worker(capacity=1)
    job = await jobs.post(await jobs.add_client(), start=False)
    state = _offered(job, jobs.resources.settings, worker, at=T0)
    await activities.record_change(state.take_change())
    await activities.record_change(_expired(state, at=T0 + WINDOW).take_change())
    await activities.assign_worker(_accepted(state, worker, at=LATER))
    profile = (await jobs.user(worker))["workerProfile"]
    assert (profile["activeJobs"], profile["activeJobIds"]) == (0, [])
    assert (await jobs.stored(job)).worker_id is None


async def test_the_count_of_refusals_never_goes_back(jobs: JobHarness, activities: JobActivities) -> None:
    """It is part of the next act's update id: an old count would bring back an old answer."""
    worker = await jobs.add_worker()
    job = await jobs.post(await jobs.add_client(), start=False)
    state = _offered(job, jobs.resources.settings, worker, at=T0)
    await activities.record_change(state.take_change())
    changes = []
    for count in (1, 2):
        state.projection.refusals = count
        changes.append(state.take_change())
    for change in (*changes, changes[0]):
        await activities.record_change(change)
    stored = await jobs.stored(job)
    assert (stored.refusals, stored.seq, stored.phase) == (2, 3, OFFERING.phase)


async def test_a_ranking_decided_anew_does_not_hold_the_lost_offer_against_its_worker(
    jobs: JobHarness, activities: JobActivities
) -> None:
    worker = await jobs.add_worker(capacity=1)
    client = await jobs.add_client()
    job = await jobs.post(client, start=False)
    await activities.record_change(_offered(job, jobs.resources.settings, worker, at=T0).take_change())
    request = RankWorkers(
        job_id=job.id,
        client_id=client,
        required_skills=["microsoft-excel"],
        round=1,
        limit=100,
        excluded=[],
        widened=False,
        at=utcnow(),
    )
    ranked = await activities.rank_workers(request)
    assert worker in {candidate.worker_id for candidate in ranked.candidates}
    other = await activities.rank_workers(request.model_copy(update={"job_id": "0" * 24}))
    assert worker not in {candidate.worker_id for candidate in other.candidates}
