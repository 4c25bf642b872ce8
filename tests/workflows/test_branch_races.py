"""Races of the side roads, many rounds each on the real server: one outcome, both told the truth, the books balanced.

The acts of a round start within milliseconds of each other, in an order and at a distance that the round's number
decides. Against a timer they are spread around the moment at which it ends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

from app.jobs.change import OfferStatus
from app.jobs.models import Job
from app.lifecycle import (
    AWAITING_APPROVAL,
    OFFERING,
    RATING,
    RESCUE,
    WORK_DISPUTED,
    WORKING,
    Action,
    Actor,
    Status,
)
from tests.support.books import check_books
from tests.support.jobs import JobHarness, RefusedError
from tests.support.scenes import ADMIN, Scene
from workflows.contracts import Act, Assign, Cancel, Rule, Update

ROUNDS = 12
DONE = "done"
# What a caller hears who came second. "ended": the process is gone, and the API answers from the record.
SECOND = {"wrong-state", "not-a-party", "ended"}
Racing = Callable[[], Awaitable[object]]


async def _outcome(act: Awaitable[object]) -> str:
    """`done`, or why not."""
    try:
        await act
    except RefusedError as refused:
        code = str(refused.code)
        return "ended" if code == "AcceptedUpdateCompletedWorkflow" else code
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return "ended"
        raise
    return DONE


async def _race(round_: int, one: Racing, other: Racing) -> tuple[str, str]:
    """Both at once; odd rounds let the other begin, each a little later than the last."""

    async def after(milliseconds: int, act: Racing) -> str:
        await asyncio.sleep(milliseconds / 1000)
        return await _outcome(act())

    head_start = round_ // 2
    first, second = (head_start, 0) if round_ % 2 else (0, head_start)
    return await asyncio.gather(after(first, one), after(second, other))


async def _until_near(job: Job, round_: int) -> None:
    """Just before the deadline of the first round, just after it in the last."""
    assert job.deadline is not None
    offset = -0.6 + 0.8 * round_ / ROUNDS
    await asyncio.sleep(max(0.0, (job.deadline - datetime.now(UTC)).total_seconds() + offset))


def _count(job: Job, *actions: Action) -> int:
    return sum(entry.action in actions for entry in job.timeline)


async def _settled(scene: Scene) -> Job:
    """The job once what the race left running has come to rest."""
    await asyncio.sleep(0.3)
    return await scene.jobs.stored(scene.job)


async def _check_held(scene: Scene, job: Job) -> None:
    """The client's book says what the job says."""
    balance = await scene.jobs.resources.credits.balance(scene.client)
    assert balance.held == job.held_credits
    assert balance.available == 100_000 - job.held_credits - job.spent_credits
    active = (await scene.jobs.user(scene.worker))["workerProfile"]["activeJobIds"]
    ended = job.status in (Status.CANCELLED, Status.COMPLETED)
    assert (scene.job.id in active) is (job.worker_id == scene.worker and not ended)


async def _cancelling(scene: Scene) -> Racing:
    version = await scene.preview(Actor.CLIENT)
    act = Cancel(actor=Actor.CLIENT, actor_id=scene.client, reason="enough", preview_version=version)
    return lambda: scene.jobs.update(scene.job, Update.CANCEL, act)


def _by(scene: Scene, update: Update, actor: Actor) -> Racing:
    actor_id = scene.client if actor is Actor.CLIENT else scene.worker
    return lambda: scene.jobs.update(scene.job, update, Act(actor=actor, actor_id=actor_id))


async def test_accept_races_the_cancel_of_the_offered_job(jobs: JobHarness) -> None:
    seen: Counter[str] = Counter()
    for round_ in range(ROUNDS):
        scene = await Scene(jobs).reach(OFFERING)
        cancel = await _cancelling(scene)
        accepted, cancelled = await _race(round_, _by(scene, Update.ACCEPT_OFFER, Actor.WORKER), cancel)
        job = await _settled(scene)
        offer = await jobs.database["offers"].find_one({"jobId": job.id, "number": 1})
        assert offer is not None
        if accepted == DONE:
            assert cancelled == "stale-preview"
            assert (job.worker_id, offer["status"]) == (scene.worker, OfferStatus.ACCEPTED)
        else:
            assert cancelled == DONE
            assert accepted in SECOND | {"offer-withdrawn"}
            assert (job.status, offer["status"]) == (Status.CANCELLED, OfferStatus.WITHDRAWN)
        await _check_held(scene, job)
        seen[accepted] += 1
    assert seen[DONE] < ROUNDS
    assert seen[DONE] > 0
    await check_books(jobs)


async def test_accept_races_the_assignment_of_another(jobs: JobHarness) -> None:
    for round_ in range(ROUNDS):
        scene = await Scene(jobs).reach(OFFERING)
        other = await jobs.add_worker()
        act = Assign(actor=Actor.ADMIN, actor_id=ADMIN, worker_id=other, reason="by hand")
        accepted, assigned = await _race(
            round_,
            _by(scene, Update.ACCEPT_OFFER, Actor.WORKER),
            lambda scene=scene, act=act: jobs.update(scene.job, Update.ASSIGN, act),  # type: ignore[misc]
        )
        job = await _settled(scene)
        assert [accepted, assigned].count(DONE) == 1
        assert job.worker_id == (scene.worker if accepted == DONE else other)
        assert {accepted, assigned} - {DONE} <= SECOND | {"offer-withdrawn"}
        assert job.assignments == 1
        await _check_held(scene, job)
    await check_books(jobs)


async def test_cancel_races_submit(jobs: JobHarness) -> None:
    for round_ in range(ROUNDS):
        scene = await Scene(jobs).reach(WORKING)
        cancel = await _cancelling(scene)
        submitted, cancelled = await _race(
            round_,
            lambda scene=scene: jobs.submit(scene.job, scene.worker),  # type: ignore[misc]
            cancel,
        )
        job = await _settled(scene)
        if submitted == DONE:
            assert cancelled == "stale-preview"
            assert (job.status, len(job.deliveries), job.spent_credits) == (Status.REVIEW, 1, 0)
        else:
            assert cancelled == DONE
            assert submitted in SECOND
            assert (job.status, len(job.deliveries)) == (Status.CANCELLED, 0)
            assert job.spent_credits > 0
        await _check_held(scene, job)
    await check_books(jobs)


@pytest.mark.parametrize("update", [Update.APPROVE, Update.EXTEND_REVIEW])
async def test_the_clients_act_races_the_automatic_approval(jobs: JobHarness, update: Update) -> None:
    seen: Counter[str] = Counter()

    async def race(round_: int, scene: Scene) -> None:
        before = await jobs.stored(scene.job)
        await _until_near(before, round_)
        outcome = await _outcome(_by(scene, update, Actor.CLIENT)())
        job = await _settled(scene)
        seen[outcome] += 1
        assert outcome in SECOND | {DONE}
        automatic = _count(job, Action.AUTO_APPROVE)
        assert automatic == (outcome != DONE)
        if outcome == DONE and update is Update.EXTEND_REVIEW:
            assert before.deadline is not None
            assert job.deadline is not None
            assert job.deadline > before.deadline
            assert (job.status, job.spent_credits, job.review_extended) == (Status.REVIEW, 0, True)
        else:
            assert (job.status, job.phase) == (RATING.status, RATING.phase)
            assert _count(job, Action.APPROVE, Action.AUTO_APPROVE) == 1
            assert (job.spent_credits, len(job.accruals)) == (before.held_credits, 1)
            assert (await jobs.resources.earnings.balance(scene.worker)).payable >= job.earned_usd_cents
        await _check_held(scene, job)

    async with asyncio.TaskGroup() as rounds:
        for round_ in range(ROUNDS):
            scene = await Scene(jobs).reach(AWAITING_APPROVAL, auto_approve_seconds=2)
            rounds.create_task(race(round_, scene))
    assert len(seen) > 1, seen
    await check_books(jobs)


async def test_withdraw_races_approve(jobs: JobHarness) -> None:
    for round_ in range(ROUNDS):
        scene = await Scene(jobs).reach(AWAITING_APPROVAL)
        approved, withdrawn = await _race(
            round_,
            _by(scene, Update.APPROVE, Actor.CLIENT),
            lambda scene=scene: scene.do(Action.WITHDRAW, Actor.WORKER),  # type: ignore[misc]
        )
        job = await _settled(scene)
        assert sorted([approved, withdrawn]).count(DONE) == 1
        assert {approved, withdrawn} - {DONE} <= SECOND
        if approved == DONE:
            assert (job.status, job.former_workers) == (Status.COMPLETED, [])
        else:
            assert [former.worker_id for former in job.former_workers] == [scene.worker]
            assert (job.status, job.spent_credits, job.accruals) == (Status.MATCHING, 0, [])
        await _check_held(scene, job)
    await check_books(jobs)


async def test_dispute_and_ruling_race_a_late_delivery(jobs: JobHarness) -> None:
    """The client's dispute and the admin's ruling at once behind it, against the worker who still delivers."""
    for round_ in range(ROUNDS):
        scene = await Scene(jobs).reach(WORKING)

        async def rule(scene: Scene = scene) -> None:
            await scene.do(Action.OPEN_DISPUTE, Actor.CLIENT)
            act = Rule(actor=Actor.ADMIN, actor_id=ADMIN, reason="late", worker_share_basis_points=4_000)
            await jobs.update(scene.job, Update.RULE, act)

        ruled, submitted = await _race(
            round_,
            rule,
            lambda scene=scene: jobs.submit(scene.job, scene.worker),  # type: ignore[misc]
        )
        job = await _settled(scene)
        assert ruled == DONE
        assert submitted in SECOND | {DONE}
        acts = [entry.action for entry in job.timeline]
        assert len(job.deliveries) == (submitted == DONE)
        if submitted == DONE:
            assert acts.index(Action.SUBMIT) < acts.index(Action.OPEN_DISPUTE)
        assert job.status is Status.COMPLETED
        assert job.spent_credits == 40 * (job.pricing.credits if job.pricing else 0) // 100
        await _check_held(scene, job)
    await check_books(jobs)


async def test_a_ruling_races_the_withdrawal_of_the_dispute(jobs: JobHarness) -> None:
    for round_ in range(ROUNDS):
        scene = await Scene(jobs).reach(WORK_DISPUTED)
        ruled, withdrawn = await _race(
            round_,
            lambda scene=scene: scene.do(Action.RULE_REFUND, Actor.ADMIN),  # type: ignore[misc]
            _by(scene, Update.WITHDRAW_DISPUTE, Actor.CLIENT),
        )
        job = await _settled(scene)
        assert [ruled, withdrawn].count(DONE) == 1
        assert {ruled, withdrawn} - {DONE} <= SECOND
        assert (job.status is Status.CANCELLED) is (ruled == DONE)
        await _check_held(scene, job)
    await check_books(jobs)


async def test_raising_the_price_races_the_assignment_by_an_admin(jobs: JobHarness) -> None:
    """Both may be done, the raise first; then the worker is assigned at the higher pay."""
    for round_ in range(ROUNDS):
        scene = await Scene(jobs).reach(RESCUE)
        before = await jobs.stored(scene.job)
        act: Any = Assign(actor=Actor.ADMIN, actor_id=ADMIN, worker_id=scene.worker, reason="by hand")
        raised, assigned = await _race(
            round_,
            lambda scene=scene: scene.do(Action.RAISE_PRICE, Actor.CLIENT),  # type: ignore[misc]
            lambda scene=scene, act=act: jobs.update(scene.job, Update.ASSIGN, act),  # type: ignore[misc]
        )
        job = await _settled(scene)
        assert assigned == DONE
        assert raised in SECOND | {DONE}
        assert job.worker_id == scene.worker
        assert len(job.holds) == (2 if raised == DONE else 1)
        assert job.held_credits == before.held_credits + (100 if raised == DONE else 0)
        assert (job.pay_usd_cents > before.pay_usd_cents) is (raised == DONE)
        await _check_held(scene, job)
    await check_books(jobs)
