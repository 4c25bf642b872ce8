"""What only goes wrong rarely: lost workflow tasks, frozen workers, stale reads, askers in a loop, months of silence.

A local activity runs before its workflow task is durable, so the first cases store two decisions from one place.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import pytest_asyncio

from activities.jobs import JobActivities
from api.job_desk import JobDesk
from api.job_gateway import ActRefusedError, JobGateway
from api.routers import admin_jobs
from api.routers.admin_jobs import AssignBody
from api.security import Principal
from app.documents import utcnow
from app.ids import new_id
from app.jobs.change import OfferStatus
from app.jobs.models import Job, offer_id
from app.jobs.policy import JobPolicy
from app.jobs.pricing import quote
from app.jobs.queries import JobQueries
from app.lifecycle import OFFERING, QUOTING, Action, Actor
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.settings import Settings
from app.users.models import Role
from app.users.store import UserStore
from tests.support.jobs import JobHarness, RefusedError
from workflows.contracts import Act, JobInput, Update
from workflows.job_options import STORE
from workflows.job_state import JobState
from workflows.messages import AssignWorker, RankedWorker, RankWorkers
from workflows.starting import job_input

MAX_EVENTS = 51_200  # of one workflow, before the server ends it
T0 = datetime(2026, 3, 2, 10, 0, 0, 123_456, tzinfo=UTC)
LATER = T0 + timedelta(seconds=11)  # the lost task has timed out
WINDOW = timedelta(minutes=15)


@pytest_asyncio.fixture
async def activities(jobs: JobHarness) -> JobActivities:
    return JobActivities(jobs.database, Credits(jobs.database), Earnings(jobs.database))


def _desk(jobs: JobHarness) -> JobDesk:
    gateway = JobGateway(jobs.resources.client, jobs.resources.settings)
    return JobDesk(JobQueries(jobs.database), gateway, "test")


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


async def test_an_act_that_meets_the_end_of_the_job_is_told_of_the_end(jobs: JobHarness) -> None:
    """The door read the job before it ended; the answer comes from what is recorded now."""
    client, worker = await jobs.add_client(), await jobs.add_worker()
    job = await jobs.post(client)
    worker = await jobs.until_offered(job)
    await jobs.accept(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    stale = await jobs.stored(job)
    await jobs.approve(job)
    await jobs.handle(job).result()
    desk = _desk(jobs)
    act = Act(actor=Actor.CLIENT, actor_id=client)
    with pytest.raises(ActRefusedError) as refused:
        await desk.hand_over(stale, Update.APPROVE, "late", act)
    assert refused.value.code == "wrong-state"
    assert "completed" in str(refused.value)


async def test_two_admins_with_two_choices_each_get_an_answer_of_their_own(jobs: JobHarness) -> None:
    full, free = await jobs.add_worker(capacity=0), await jobs.add_worker()
    job = await jobs.post(await jobs.add_client())
    await jobs.until_offered(job)
    users = SimpleNamespace(users=UserStore(jobs.database))

    async def assign(worker_id: str) -> str:
        admin = Principal(user_id=new_id(), role=Role.ADMIN, session_id=new_id())
        try:
            body = AssignBody.model_validate({"workerId": worker_id})
            await admin_jobs.assign(job.id, body, admin, users, _desk(jobs))  # type: ignore[arg-type]  # users only
        except ActRefusedError as refused:
            return refused.code
        return "assigned"

    answers = await asyncio.gather(assign(full), assign(free))
    assert answers[0] in ("worker-at-capacity", "wrong-state")
    assert answers[1] == "assigned"


async def test_an_asker_in_a_loop_leaves_the_job_its_events(jobs: JobHarness) -> None:
    """The server gives a workflow 2,000 updates: past some refusals the next look has to wait."""
    client = await jobs.add_client(credits_=0)
    job = await jobs.post(client)
    await jobs.until(job, QUOTING)
    answers = []
    for _ in range(25):
        with pytest.raises(RefusedError) as refused:
            await jobs.quote_answer(job, Update.APPROVE_QUOTE)
        answers.append(refused.value)
    assert {answer.code for answer in answers} == {"insufficient-credits"}
    assert (await jobs.stored(job)).refusals == 20
    assert "ask again after" in answers[-1].message
    await jobs.quote_answer(job, Update.DECLINE_QUOTE)  # whatever else may be done still may


def test_reminders_of_a_year_stay_within_a_history() -> None:
    state = JobState(input=JobInput(job_id="j", client_id="c", rate=100, posted_at=T0))
    waits = [state.next_reminder() for _ in range(400)]
    assert waits[:23] == [timedelta(hours=1)] * 23
    assert sum(waits, timedelta()) > timedelta(days=365)
    assert MAX_EVENTS / 5 > 400 * 10


def test_a_store_away_for_a_week_does_not_fill_a_history() -> None:
    interval = STORE["retry_policy"].maximum_interval
    assert interval is not None
    assert timedelta(days=7) / interval * 6 < MAX_EVENTS
