"""What leaving, replacing and cancelling cost whom, on the real server: the preview, the act and the books agree."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.job_desk import JobDesk
from api.job_gateway import JobGateway
from api.routers import job_acts
from api.routers.job_acts import RevisionBody
from api.security import Principal
from app.documents import utcnow
from app.ids import new_id
from app.jobs.models import Job
from app.jobs.policy import BASIS, Urgency
from app.jobs.preview import cancel_preview, withdraw_preview
from app.jobs.queries import JobQueries
from app.jobs.terms import Reason, worked_share
from app.lifecycle import (
    AWAITING_APPROVAL,
    CANCELLED,
    QUOTING_REVISION,
    RATING,
    READY,
    RESCUE,
    TABLE,
    WORKING,
    Action,
    Actor,
    State,
)
from app.users.models import Role
from tests.support.books import check_books, track
from tests.support.jobs import JobHarness, RefusedError
from tests.support.scenes import ADMIN, Scene
from tests.workflows.test_job_acts import STATES
from workflows.contracts import Act, Cancel, Reassign, Update

GRANTED = 100_000  # hundredths of a credit of each client
CANCELS = [(state, cell.actor) for state in STATES for cell in TABLE[state] if cell.action is Action.CANCEL]


def _split(job: Job, share: int) -> tuple[int, int]:
    """What the client pays and the worker earns by a share."""
    return job.held_credits * share // BASIS, job.pay_usd_cents * share // BASIS


async def _newcomers(jobs: JobHarness, state: State) -> Scene:
    """A job of a worker who has earned nothing yet, with another such to succeed them, and nobody else."""
    scene = Scene(jobs)
    await scene._make_available(False)
    await scene.reach(state)
    await jobs.add_worker()
    return scene


async def _finish(scene: Scene) -> Job:
    """The next worker takes the job, delivers, and the client approves."""
    jobs, job = scene.jobs, scene.job
    scene.worker = await jobs.until_offered(job)
    await jobs.accept(job, scene.worker)
    await jobs.start(job, scene.worker)
    await jobs.submit(job, scene.worker)
    await jobs.approve(job)
    await jobs.until(job, RATING)
    return await jobs.stored(job)


@pytest.mark.parametrize("worked", [0.4, 3.0])
async def test_who_leaves_after_a_delivery_is_paid_in_part_and_the_next_one_gets_the_rest(
    jobs: JobHarness, worked: float
) -> None:
    scene = await _newcomers(jobs, AWAITING_APPROVAL)
    leaver, before = scene.worker, await jobs.stored(scene.job)
    assert before.pricing is not None
    hours = before.pricing.hours_likely * worked
    await track(jobs, scene.job.id, leaver, hours)
    share = min(worked_share(int(hours * 3600), before.pricing.hours_likely), 5_000)
    assert share == 5_000 if worked > 1 else 0 < share < 5_000
    spent, earned = _split(before, share)
    preview = await withdraw_preview(jobs.database, before, now=utcnow())
    assert (preview.client_pays, preview.worker_earns_usd_cents) == (spent, earned)

    await scene.do(Action.WITHDRAW, Actor.WORKER)
    after = await jobs.stored(scene.job)
    assert (after.spent_credits, after.held_credits) == (spent, before.held_credits - spent)
    assert (after.earned_usd_cents, after.pay_usd_cents) == (earned, before.pay_usd_cents - earned)
    balance = await jobs.resources.credits.balance(scene.client)
    assert (balance.held, balance.available) == (after.held_credits, GRANTED - before.held_credits)
    assert (await jobs.resources.earnings.balance(leaver)).payable == earned
    assert (await jobs.user(leaver))["workerProfile"]["activeJobIds"] == []
    assert [former.worker_id for former in after.former_workers] == [leaver]
    await check_books(jobs)

    done = await _finish(scene)
    assert scene.worker != leaver
    told = await jobs.database["outbox"].find_one(
        {"jobId": scene.job.id, "template": "job.offer", "userId": scene.worker}
    )
    assert told is not None
    assert told["context"]["pay_usd_cents"] == before.pay_usd_cents - earned
    assert (await jobs.resources.earnings.balance(scene.worker)).payable == before.pay_usd_cents - earned
    assert (done.earned_usd_cents, done.spent_credits) == (before.pay_usd_cents, before.held_credits)
    balance = await jobs.resources.credits.balance(scene.client)
    assert (balance.held, balance.available) == (0, GRANTED - before.held_credits)
    await check_books(jobs)


async def test_who_leaves_before_a_delivery_earns_nothing_and_is_not_asked_again(jobs: JobHarness) -> None:
    scene = await _newcomers(jobs, WORKING)
    before = await jobs.stored(scene.job)
    await track(jobs, scene.job.id, scene.worker, 2)
    await jobs.database["users"].update_many(
        {"role": "worker", "_id": {"$ne": scene.worker}}, {"$set": {"workerProfile.available": False}}
    )
    await scene.do(Action.WITHDRAW, Actor.WORKER)
    await jobs.until(scene.job, RESCUE)  # the leaver alone is available
    after = await jobs.stored(scene.job)
    assert (after.spent_credits, after.held_credits) == (0, before.held_credits)
    assert after.pay_usd_cents == before.pay_usd_cents
    assert (await jobs.resources.earnings.balance(scene.worker)).payable == 0
    await scene.do(Action.RAISE_PRICE, Actor.CLIENT)  # everybody is asked again, but for those who left
    await jobs.until(scene.job, RESCUE)
    assert await jobs.database["offers"].count_documents({"jobId": scene.job.id}) == 1
    await check_books(jobs)
    await scene._make_available(True)


@pytest.mark.parametrize(("ruled", "share"), [(None, 0), (2_000, 2_000), (9_000, 5_000)])
async def test_an_admin_who_replaces_a_worker_may_rule_a_share(
    jobs: JobHarness, ruled: int | None, share: int
) -> None:
    scene = await _newcomers(jobs, WORKING)
    replaced, before = scene.worker, await jobs.stored(scene.job)
    await track(jobs, scene.job.id, replaced, 1)
    act = Reassign(actor=Actor.ADMIN, actor_id=ADMIN, reason="ill", share_basis_points=ruled)
    await jobs.update(scene.job, Update.REASSIGN, act)
    spent, earned = _split(before, share)
    assert (await jobs.resources.earnings.balance(replaced)).payable == earned
    done = await _finish(scene)
    assert scene.worker != replaced
    assert (done.spent_credits, done.earned_usd_cents) == (before.held_credits, before.pay_usd_cents)
    assert (await jobs.resources.earnings.balance(scene.worker)).payable == before.pay_usd_cents - earned
    assert [entry.credits for entry in done.timeline if entry.action is Action.REASSIGN] == [spent]
    await check_books(jobs)


async def _cancel_as_previewed(scene: Scene, actor: Actor) -> None:
    """The books move by exactly what the preview has said."""
    jobs, job = scene.jobs, await scene.jobs.stored(scene.job)
    terms, version = await cancel_preview(jobs.database, job, actor, now=utcnow())
    credits_, earnings = jobs.resources.credits, jobs.resources.earnings
    before, payable = await credits_.balance(scene.client), (await earnings.balance(scene.worker)).payable
    assert before.held == terms.client_pays + terms.client_gets_back
    actor_id = scene.client if actor is Actor.CLIENT else ADMIN
    act = Cancel(actor=actor, actor_id=actor_id, reason="enough", preview_version=version)
    await jobs.update(scene.job, Update.CANCEL, act)
    await jobs.until_stored(scene.job, lambda stored: stored.status == CANCELLED.status)
    after = await credits_.balance(scene.client)
    assert (after.held, after.available) == (0, before.available + terms.client_gets_back)
    earned = (await earnings.balance(scene.worker)).payable - payable
    assert earned == terms.worker_earns_usd_cents
    entry = (await jobs.stored(scene.job)).timeline[-1]
    assert entry.details["client_pays"] == terms.client_pays
    assert (await jobs.user(scene.worker))["workerProfile"]["activeJobIds"] == []


@pytest.mark.parametrize(("state", "actor"), CANCELS, ids=str)
async def test_a_cancel_does_what_its_preview_said(jobs: JobHarness, state: State, actor: Actor) -> None:
    scene = await Scene(jobs).reach(state)
    stored = await jobs.stored(scene.job)
    if stored.worker_id:
        await track(jobs, scene.job.id, stored.worker_id, 1)
    await _cancel_as_previewed(scene, actor)
    await check_books(jobs)


@pytest.mark.parametrize("actor", [Actor.CLIENT, Actor.ADMIN])
async def test_a_job_that_was_left_and_raised_is_cancelled_as_previewed(
    jobs: JobHarness, actor: Actor
) -> None:
    scene = await Scene(jobs).reach(QUOTING_REVISION)
    await scene.do(Action.APPROVE_REVISION_QUOTE, Actor.CLIENT)  # a second hold
    await track(jobs, scene.job.id, scene.worker, 0.5)
    await scene.do(Action.WITHDRAW, Actor.WORKER)
    scene.worker = await jobs.until_offered(scene.job)
    await jobs.accept(scene.job, scene.worker)
    await jobs.start(scene.job, scene.worker)
    await track(jobs, scene.job.id, scene.worker, 1)
    await _cancel_as_previewed(scene, actor)
    await check_books(jobs)


async def _cancel(scene: Scene, version: str) -> str | None:
    act = Cancel(actor=Actor.CLIENT, actor_id=scene.client, reason="enough", preview_version=version)
    with pytest.raises(RefusedError) as refused:
        await scene.jobs.update(scene.job, Update.CANCEL, act)
    return refused.value.code


async def test_a_stale_preview_is_refused_and_nothing_moves(jobs: JobHarness) -> None:
    scene = await Scene(jobs).reach(READY)
    version = await scene.preview(Actor.CLIENT)
    await jobs.start(scene.job, scene.worker)
    before = (await jobs.stored(scene.job)).model_dump(exclude={"refusals", "updated_at"})
    balance = await jobs.resources.credits.balance(scene.client)
    assert await _cancel(scene, version) == "stale-preview"
    version = await scene.preview(Actor.CLIENT)
    await track(jobs, scene.job.id, scene.worker, 2)  # the terms move with the time that is worked
    assert await _cancel(scene, version) == "stale-preview"
    assert await _cancel(scene, await scene.preview(Actor.ADMIN)) == "stale-preview"
    assert (await jobs.stored(scene.job)).model_dump(exclude={"refusals", "updated_at"}) == before
    assert await jobs.resources.credits.balance(scene.client) == balance
    await _cancel_as_previewed(scene, Actor.CLIENT)
    await check_books(jobs)


async def test_stale_previews_in_a_loop_leave_the_job_its_events(jobs: JobHarness) -> None:
    scene = await Scene(jobs).reach(READY)
    codes = {await _cancel(scene, f"invented-{number}") for number in range(25)}
    assert codes == {"stale-preview"}
    assert (await jobs.stored(scene.job)).refusals == 20
    await jobs.start(scene.job, scene.worker)


async def test_work_past_its_due_time_is_cancelled_free(jobs: JobHarness) -> None:
    scene = await Scene(jobs).reach(WORKING, due_seconds=dict.fromkeys(Urgency, 1))
    await track(jobs, scene.job.id, scene.worker, 2)
    stored = await jobs.stored(scene.job)
    assert stored.due_at is not None
    await asyncio.sleep(max(0.0, (stored.due_at - utcnow()).total_seconds()) + 0.2)
    await jobs.until_stored(scene.job, lambda job: job.overdue_count > 0)
    terms, _ = await cancel_preview(jobs.database, await jobs.stored(scene.job), Actor.CLIENT, now=utcnow())
    assert (terms.reason, terms.client_pays, terms.worker_earns_usd_cents) == (Reason.OVERDUE, 0, 0)
    await _cancel_as_previewed(scene, Actor.CLIENT)
    assert (await jobs.resources.credits.balance(scene.client)).available == GRANTED
    await check_books(jobs)


async def test_the_review_is_extended_once_for_each_delivery(jobs: JobHarness) -> None:
    scene = await Scene(jobs).reach(AWAITING_APPROVAL)
    await scene.do(Action.EXTEND_REVIEW, Actor.CLIENT)
    deadline = (await jobs.state(scene.job)).deadline
    with pytest.raises(RefusedError) as refused:
        await scene.do(Action.EXTEND_REVIEW, Actor.CLIENT)
    assert refused.value.code == "already-extended"
    assert (await jobs.state(scene.job)).deadline == deadline
    await jobs.request_revision(scene.job)
    await jobs.start(scene.job, scene.worker)
    await jobs.submit(scene.job, scene.worker)
    await scene.do(Action.EXTEND_REVIEW, Actor.CLIENT)


async def test_a_further_revision_is_asked_for_again_after_its_price_was_declined(jobs: JobHarness) -> None:
    """Through the door: the same delivery, another act; and each repeat gets the answer of its own."""
    scene = await Scene(jobs).reach(AWAITING_APPROVAL, revision_limit=0)
    gateway = JobGateway(jobs.resources.client, jobs.resources.settings)
    client = Principal(user_id=scene.client, role=Role.CLIENT, session_id=new_id())

    async def ask() -> Any:
        desk = JobDesk(JobQueries(jobs.database), gateway, "test")
        return await job_acts.request_revision(scene.job.id, RevisionBody(reason="more"), client, desk)

    first = await ask()
    assert (await ask()).seq == first.seq
    await jobs.update(
        scene.job, Update.DECLINE_REVISION_QUOTE, Act(actor=Actor.CLIENT, actor_id=scene.client)
    )
    second = await ask()
    assert State(second.status, second.phase) == QUOTING_REVISION
    assert second.seq == first.seq + 2
    await jobs.until(scene.job, QUOTING_REVISION)
