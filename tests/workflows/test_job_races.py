"""Races on the real server: one outcome each, and everybody is told the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime

import pytest

from app.documents import utcnow
from app.jobs.policy import JobPolicy
from app.lifecycle import RATING, READY, Action
from tests.support.jobs import JobHarness, RefusedError

SHORT = JobPolicy(
    offer_window_seconds=4, offer_window_high_urgency_seconds=4, candidates_per_round=1, rounds=2
)


async def _only(jobs: JobHarness, *worker_ids: str) -> None:
    """Nobody else is available."""
    await jobs.database["users"].update_many(
        {"role": "worker", "_id": {"$nin": list(worker_ids)}}, {"$set": {"workerProfile.available": False}}
    )


async def _refusal(act: Awaitable[object]) -> RefusedError | None:
    """The refusal of an act, or None when it was done."""
    try:
        await act
    except RefusedError as refused:
        return refused
    return None


async def test_two_accepts_at_once_have_one_outcome(jobs: JobHarness) -> None:
    worker = await jobs.add_worker()
    await _only(jobs, worker)
    job = await jobs.post(await jobs.add_client())
    await jobs.until_offered(job, to=worker)
    answers = await asyncio.gather(*(jobs.accept(job, worker, update_id=f"accept-{n}") for n in range(8)))
    assert {(answer.status, answer.phase, answer.seq) for answer in answers} == {
        (READY.status, READY.phase, 4)
    }
    accepted = [entry for entry in (await jobs.stored(job)).timeline if entry.action is Action.ACCEPT_OFFER]
    assert len(accepted) == 1
    assert (await jobs.user(worker))["workerProfile"]["activeJobs"] == 1


async def test_a_repeat_with_the_same_update_id_adds_no_event(jobs: JobHarness) -> None:
    worker = await jobs.add_worker()
    await _only(jobs, worker)
    job = await jobs.post(await jobs.add_client())
    await jobs.until_offered(job, to=worker)
    first = await jobs.accept(job, worker, update_id="accept")
    length = (await jobs.handle(job).describe()).history_length
    again = await asyncio.gather(*(jobs.accept(job, worker, update_id="accept") for _ in range(5)))
    assert all(answer == first for answer in again)
    assert (await jobs.handle(job).describe()).history_length == length


async def test_accepts_race_the_expiry_and_the_clock_decides(jobs: JobHarness) -> None:
    """Thirty jobs, accepted from well before their expiry to just after it: a busy machine makes many late."""
    outcomes = {"accepted": 0, "expired": 0}

    async def race(offset_ms: int) -> None:
        job = await jobs.post(client, policy=SHORT)
        first = await jobs.until_offered(job)
        deadline = (await jobs.stored(job)).deadline
        assert deadline is not None
        await asyncio.sleep(max(0.0, (deadline - datetime.now(UTC)).total_seconds() + offset_ms / 1000))
        refused = await _refusal(jobs.accept(job, first))
        winner = refused is None
        outcomes["accepted" if winner else "expired"] += 1
        if refused is not None:
            assert refused.code == "offer-expired", refused
            assert f"{deadline:%H:%M:%S}" in refused.message
        offers = await jobs.database["offers"].find({"jobId": job.id, "number": 1}).to_list()
        stored = await jobs.stored(job)
        ends = [
            entry.action
            for entry in stored.timeline
            if entry.action in (Action.ACCEPT_OFFER, Action.EXPIRE_OFFER)
        ]
        if winner:
            assert offers[0]["status"] == "accepted"
            assert stored.worker_id == first
            assert ends == [Action.ACCEPT_OFFER]
            assert offers[0]["answeredAt"] < deadline
        else:
            assert stored.worker_id != first
            assert Action.ACCEPT_OFFER not in ends

    client = await jobs.add_client()
    workers = [await jobs.add_worker(capacity=20) for _ in range(3)]
    await _only(jobs, *workers)
    await asyncio.gather(*(race(offset) for offset in range(-2400, 240, 88)))
    assert outcomes["accepted"] > 0
    assert outcomes["expired"] > 0


async def test_50_jobs_race_for_one_free_place(jobs: JobHarness) -> None:
    # More than 50 until all are offered: a job that an earlier test left may look for a worker meanwhile.
    worker = await jobs.add_worker(capacity=100)
    await _only(jobs, worker)
    client = await jobs.add_client()
    posted = [await jobs.post(client) for _ in range(50)]
    await asyncio.gather(*(jobs.until_offered(job, to=worker) for job in posted))
    await jobs.database["users"].update_one({"_id": worker}, {"$set": {"workerProfile.capacity": 1}})

    async def accept(index: int) -> str | None:
        refused = await _refusal(jobs.accept(posted[index], worker))
        return refused.code if refused else None

    codes = await asyncio.gather(*(accept(index) for index in range(50)))
    assert codes.count(None) == 1
    assert codes.count("worker-at-capacity") == 49
    profile = (await jobs.user(worker))["workerProfile"]
    winner = posted[codes.index(None)]
    assert (profile["activeJobs"], profile["activeJobIds"]) == (1, [winner.id])
    loser = posted[0 if codes[0] else 1]
    assert (await jobs.stored(loser)).refusals == 1
    assert (await jobs.state(loser)).offered_worker_id == worker  # still open: a place may come free

    await jobs.start(winner, worker)
    await jobs.submit(winner, worker)
    await jobs.approve(winner)
    await jobs.accept(loser, worker)
    assert (await jobs.user(worker))["workerProfile"]["activeJobIds"] == [loser.id]


async def test_late_foreign_and_declined_accepts_each_get_their_answer(jobs: JobHarness) -> None:
    workers = [await jobs.add_worker() for _ in range(2)]
    await _only(jobs, *workers)
    job = await jobs.post(
        await jobs.add_client(), policy=JobPolicy(offer_window_seconds=2, candidates_per_round=2)
    )
    first = await jobs.until_offered(job)
    second = next(worker for worker in workers if worker != first)
    stranger = await jobs.add_worker()

    async def code(worker_id: str) -> str | None:
        with pytest.raises(RefusedError) as refused:
            await jobs.accept(job, worker_id)
        return refused.value.code

    assert await code(stranger) == "offer-not-found"
    assert await code(second) == "offer-not-found"
    await jobs.decline(job, first, reason="on leave")
    assert await code(first) == "offer-declined"
    await jobs.until_offered(job, to=second)
    await jobs.until_stored(job, lambda stored: stored.offered_worker_id != second)
    assert await code(second) == "offer-expired"
    admin_choice = await jobs.add_worker()
    await jobs.until_stored(job, lambda stored: stored.phase in ("rescue", "offering"))
    await jobs.assign(job, admin_choice)
    assert (await jobs.stored(job)).worker_id == admin_choice


async def test_assign_races_accept_and_one_of_them_has_the_job(jobs: JobHarness) -> None:
    workers = [await jobs.add_worker() for _ in range(2)]
    await _only(jobs, *workers)
    job = await jobs.post(await jobs.add_client())
    offered = await jobs.until_offered(job)
    other = next(worker for worker in workers if worker != offered)
    answers = await asyncio.gather(jobs.accept(job, offered), jobs.assign(job, other), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    refused = next(answer for answer in answers if isinstance(answer, BaseException))
    assert isinstance(refused, RefusedError)
    assert refused.code in ("offer-withdrawn", "wrong-state")
    stored = await jobs.stored(job)
    holder, loser = (offered, other) if isinstance(answers[1], BaseException) else (other, offered)
    assert stored.worker_id == holder
    assert (await jobs.user(loser))["workerProfile"]["activeJobs"] == 0
    assert (await jobs.user(holder))["workerProfile"]["activeJobs"] == 1


async def test_approve_races_request_revision(jobs: JobHarness) -> None:
    worker = await jobs.add_worker()
    await _only(jobs, worker)
    client = await jobs.add_client()
    job = await jobs.post(client)
    await jobs.until_offered(job, to=worker)
    await jobs.accept(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    before = utcnow()
    answers = await asyncio.gather(jobs.approve(job), jobs.request_revision(job), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    stored = await jobs.stored(job)
    assert stored.updated_at >= before
    balance = await jobs.resources.credits.balance(client)
    if isinstance(answers[0], BaseException):
        assert (stored.revision_count, stored.spent_credits) == (1, 0)
        assert balance.held == stored.held_credits
    else:
        assert (stored.revision_count, balance.held) == (0, 0)
        await jobs.until(job, RATING)


async def test_many_approvals_settle_once(jobs: JobHarness) -> None:
    worker = await jobs.add_worker()
    await _only(jobs, worker)
    client = await jobs.add_client()
    job = await jobs.post(client)
    await jobs.until_offered(job, to=worker)
    await jobs.accept(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    answers = await asyncio.gather(
        *(jobs.approve(job, update_id=f"approve-{n}") for n in range(6)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    stored = await jobs.stored(job)
    balance = await jobs.resources.credits.balance(client)
    assert (balance.held, balance.available) == (0, 100_000 - stored.spent_credits)
    rows = await jobs.database["transactions"].find({"jobId": job.id}).to_list()
    assert len([row for row in rows if row["key"].startswith("accrue:")]) == 1
