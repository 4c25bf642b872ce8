"""Disputes over completed jobs: the money of a ruling, wherever the pay is by then; on the real server."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from api.job_gateway import ActRefusedError
from app.disputes.preview import ruling_preview
from app.documents import utcnow
from app.jobs.archive import gather
from app.jobs.change import DisputeStatus
from app.jobs.models import Job
from app.lifecycle import COMPLETION_DISPUTED, RATING, Actor, State
from app.money.verify import audit
from devstack.stripe_sandbox.control import SandboxControl
from tests.support.completed import Completed, completed_job, give_account, left_and_completed_job
from tests.support.http import until
from tests.support.jobs import JobHarness
from worker.sandbox import QuietSandbox
from worker.workers import WORKFLOWS

ALL_WORKFLOWS = [each for classes in WORKFLOWS.values() for each in classes]


def payout_is(status: str) -> Any:
    return lambda job: job.payout is not None and job.payout.status == status


def in_state(job: Job, state: State) -> bool:
    return State(job.status, job.phase) == state


async def check(scene: Completed) -> Job:
    """The books balance, the job names its rows, and both histories replay."""
    found = await audit(scene.jobs.database)
    assert found.discrepancies == []
    job = await scene.stored()
    rows = await scene.jobs.database["transactions"].find({"jobId": job.id}).to_list()
    record = await gather(scene.jobs.database, job.id, at=utcnow())
    archived = [row["key"] for row in record["transactions"]]
    assert len(archived) == len(set(archived))
    assert {row["key"] for row in rows} <= set(archived)
    replayer = Replayer(
        workflows=ALL_WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=QuietSandbox()
    )
    for handle in (scene.dispute, scene.payout):
        await replayer.replay_workflow(await handle.fetch_history())
    return job


async def test_pay_that_was_not_sent_follows_the_ruling(jobs: JobHarness) -> None:
    scene = await completed_job(jobs)
    await jobs.until_stored(scene.job, payout_is("held"))
    before, done = await scene.balances(), await scene.stored()
    spent, earned = done.spent_credits, done.earned_usd_cents
    assert spent
    assert earned == before["payable"]

    opened = await scene.open()
    assert State(opened.status, opened.phase) == COMPLETION_DISPUTED
    await give_account(jobs, scene.worker)
    await scene.payout.signal("account_updated")
    held = await jobs.until_stored(
        scene.job, lambda job: job.payout is not None and job.payout.reason == "disputed"
    )
    assert (held.needs_admin, held.dispute and held.dispute.number) == (False, 1)

    ruled = await scene.rule(6_000)
    assert State(ruled.status, ruled.phase) == RATING
    await scene.dispute.result()
    assert (await scene.payout.result())["status"] == "sent"
    keeps, pays = earned * 6_000 // 10_000, spent * 6_000 // 10_000
    after = await scene.balances()
    assert after["available"] - before["available"] == spent - pays
    assert (after["payable"], after["paid"], after["debt"]) == (0, keeps, 0)
    transfer = await jobs.resources.payments.find_transfer(scene.job.id)
    assert transfer is not None
    assert (transfer.amount_cents, transfer.reversed_cents) == (keeps, 0)
    job = await check(scene)
    assert (job.spent_credits, job.earned_usd_cents, job.accruals[0].usd_cents) == (pays, keeps, keeps)
    assert job.dispute is not None
    assert (job.dispute.status.value, job.dispute.worker_share_basis_points) == ("ruled", 6_000)
    assert [entry.action.value for entry in job.timeline][-2:] == ["open_dispute", "rule"]


async def test_nothing_is_left_to_send_when_all_goes_back(jobs: JobHarness) -> None:
    scene = await completed_job(jobs)
    await jobs.until_stored(scene.job, payout_is("held"))
    before = await scene.balances()
    spent = (await scene.stored()).spent_credits
    await scene.open(Actor.WORKER)
    await scene.rule(0)
    assert (await scene.payout.result())["status"] == "not_due"
    after = await scene.balances()
    assert after == before | {"available": before["available"] + spent, "payable": 0}
    assert (await check(scene)).spent_credits == 0


async def test_pay_that_was_sent_comes_back_by_a_reversal(jobs: JobHarness) -> None:
    scene = await completed_job(jobs, account=True)
    await scene.payout.result()
    earned = (await scene.stored()).earned_usd_cents
    await scene.open()
    await scene.rule(2_500)
    await scene.dispute.result()
    keeps = earned * 2_500 // 10_000
    after = await scene.balances()
    assert (after["payable"], after["paid"], after["debt"]) == (0, keeps, 0)
    transfer = await jobs.resources.payments.find_transfer(scene.job.id)
    assert transfer is not None
    assert transfer.reversed_cents == earned - keeps
    await check(scene)


async def test_what_stripe_cannot_give_back_is_a_debt_that_later_pay_goes_to(jobs: JobHarness) -> None:
    scene = await completed_job(jobs, account=True)
    await scene.payout.result()
    earned = (await scene.stored()).earned_usd_cents
    account = (await jobs.user(scene.worker))["workerProfile"]["stripeAccountId"]
    await jobs.resources.payments.create_payout(account, earned, idempotency_key=f"bank-{scene.job.id}")
    await scene.open()
    await scene.rule(7_000)
    await scene.dispute.result()
    owed = earned - earned * 7_000 // 10_000
    after = await scene.balances()
    assert (after["payable"], after["paid"], after["debt"]) == (0, earned, owed)
    await check(scene)

    await jobs.database["users"].update_one(
        {"_id": scene.worker}, {"$set": {"workerProfile.available": True}}
    )
    job = await jobs.post(await jobs.add_client())
    await jobs.until_offered(job, to=scene.worker)
    await jobs.accept(job, scene.worker)
    await jobs.start(job, scene.worker)
    await jobs.submit(job, scene.worker)
    await jobs.approve(job)
    await jobs.until_stored(job, payout_is("sent"))
    transfer = await jobs.resources.payments.find_transfer(job.id)
    assert transfer is not None
    assert transfer.amount_cents == (await jobs.stored(job)).earned_usd_cents - owed
    balance = await jobs.resources.earnings.balance(scene.worker)
    assert (balance.payable, balance.debt) == (0, 0)


async def test_a_ruling_finds_a_transfer_that_is_on_its_way(jobs: JobHarness) -> None:
    async with SandboxControl(jobs.resources.settings.stripe_api_base) as control:
        await control.add_fault(method="POST", path="/v1/transfers", delay_seconds=4)
        scene = await completed_job(jobs, account=True)
        earned = (await scene.stored()).earned_usd_cents
        await until(lambda: _attempted(scene), bool, "the transfer's attempt")
        await scene.open()
        await scene.rule(5_000)
        assert not (await scene.stored()).payout, "the ruling is in before the transfer has an answer"
        assert (await scene.payout.result())["status"] == "sent"
        await control.clear_faults()
    keeps = earned * 5_000 // 10_000
    transfer = await jobs.resources.payments.find_transfer(scene.job.id)
    assert transfer is not None
    assert (transfer.amount_cents, transfer.reversed_cents) == (earned, earned - keeps)
    after = await scene.balances()
    assert (after["payable"], after["paid"], after["debt"]) == (0, keeps, 0)
    await scene.dispute.result()
    await check(scene)


async def _attempted(scene: Completed) -> bool:
    """Whether the transfer's activity is at Stripe."""
    description = await scene.payout.describe()
    return any(
        pending.activity_type.name == "send_transfer" and pending.HasField("last_started_time")
        for pending in description.raw_description.pending_activities
    )


async def test_a_dispute_ends_without_a_trace_in_the_books_when_it_is_taken_back_or_dismissed(
    jobs: JobHarness,
) -> None:
    scene = await completed_job(jobs)
    await jobs.until_stored(scene.job, payout_is("held"))
    before = await scene.balances()

    with pytest.raises(ActRefusedError) as stranger:
        await scene.open(by="f" * 24)
    assert stranger.value.code == "not-a-party"
    await scene.open(Actor.WORKER)
    with pytest.raises(ActRefusedError) as second:
        await scene.open(Actor.CLIENT)
    assert second.value.code == "wrong-state"
    with pytest.raises(ActRefusedError) as other:
        await scene.withdraw(Actor.CLIENT)
    assert other.value.code == "not-the-opener"
    await scene.withdraw(Actor.WORKER)
    await scene.dispute.result()
    assert in_state(await scene.stored(), RATING)

    await scene.open(Actor.CLIENT)
    job = await scene.stored()
    assert job.dispute is not None
    assert (job.dispute.number, job.dispute.opened_by) == (2, Actor.CLIENT)
    await scene.dismiss()
    await scene.dispute.result()
    with pytest.raises(ActRefusedError) as late:
        await scene.rule(0)
    assert late.value.code == "wrong-state"
    assert await scene.balances() == before
    await give_account(jobs, scene.worker)
    await scene.payout.signal("account_updated")
    assert (await scene.payout.result())["status"] == "sent"
    await check(scene)


async def test_of_two_who_act_at_once_on_a_dispute_one_is_told_that_they_were_late(jobs: JobHarness) -> None:
    """Both sides open it; an admin rules while the opener takes it back. What is told is what is on record."""
    scene = await completed_job(jobs)
    done = await scene.stored()
    for _ in range(3):
        opened = await asyncio.gather(
            scene.open(Actor.CLIENT), scene.open(Actor.WORKER), return_exceptions=True
        )
        assert [_told(answer) for answer in opened].count("done") == 1
        assert {_told(answer) for answer in opened} == {"done", "wrong-state"}
        job = await scene.stored()
        assert job.dispute is not None
        opener = job.dispute.opened_by
        assert _told(opened[0 if opener is Actor.CLIENT else 1]) == "done"
        ended = await asyncio.gather(scene.rule(10_000), scene.withdraw(opener), return_exceptions=True)
        assert {_told(answer) for answer in ended} == {"done", "wrong-state"}
        await scene.dispute.result()
        job = await scene.stored()
        assert job.dispute is not None
        ruled = _told(ended[0]) == "done"
        assert job.dispute.status is (DisputeStatus.RULED if ruled else DisputeStatus.WITHDRAWN)
    job = await scene.stored()
    assert job.dispute is not None
    assert job.dispute.number == 3
    assert (job.spent_credits, job.earned_usd_cents) == (done.spent_credits, done.earned_usd_cents)
    assert (await audit(jobs.database)).discrepancies == []


def _told(answer: object) -> str:
    if isinstance(answer, ActRefusedError):
        return str(answer.code)
    assert not isinstance(answer, BaseException), answer
    return "done"


async def test_a_second_ruling_divides_what_the_first_has_left(jobs: JobHarness) -> None:
    scene = await completed_job(jobs)
    await jobs.until_stored(scene.job, payout_is("held"))
    before, done = await scene.balances(), await scene.stored()
    for _ in range(2):
        await scene.open()
        await scene.rule(5_000)
        await scene.dispute.result()
    await until(scene.balances, lambda now: now["payable"] == done.earned_usd_cents // 4, "the second part")
    left = done.spent_credits // 2 // 2
    assert (await scene.balances())["available"] == before["available"] + done.spent_credits - left
    assert (await check(scene)).spent_credits == left


async def test_the_window_closes_for_opening_and_not_for_ruling(jobs: JobHarness) -> None:
    scene = await completed_job(jobs, dispute_window_seconds=2)
    await scene.open()
    await until(scene.stored, _window_is_over, "the window's end")
    await scene.rule(10_000)
    with pytest.raises(ActRefusedError) as late:
        await scene.open(Actor.WORKER)
    assert late.value.code == "dispute-window-closed"


@pytest.mark.parametrize("by_the_same", [False, True], ids=["another", "the same again"])
async def test_the_part_of_a_worker_who_left_stands(jobs: JobHarness, by_the_same: bool) -> None:
    """It is neither divided by a ruling nor kept back by the dispute, and the admin is told so beforehand."""
    scene, leaver = await left_and_completed_job(jobs, by_the_same=by_the_same)
    done, earnings = await scene.stored(), jobs.resources.earnings
    (former,) = done.former_workers
    first, second = done.accruals
    assert former.client_paid is not None
    assert (first.worker_id, former.worker_earned_usd_cents) == (leaver, first.usd_cents)
    own = done.spent_credits - former.client_paid
    assert min(former.client_paid, first.usd_cents, own) > 0
    before = await scene.balances()

    await scene.open()
    foretold = await ruling_preview(
        jobs.database, jobs.resources.credits, earnings, await scene.stored(), share_basis_points=2_500
    )
    keeps, pays = second.usd_cents * 2_500 // 10_000, own * 2_500 // 10_000
    assert (foretold.client_pays, foretold.client_gets_back) == (pays, own - pays)
    assert (foretold.worker_earns_usd_cents, foretold.worker_loses_usd_cents) == (
        keeps,
        second.usd_cents - keeps,
    )
    assert [
        (part.worker_id, part.client_paid, part.worker_earned_usd_cents) for part in foretold.standing
    ] == [(leaver, former.client_paid, first.usd_cents)]
    await give_account(jobs, leaver)
    await scene.payout.signal("account_updated")
    assert (await scene.payout.result())["status"] == "sent"

    await scene.rule(2_500)
    await scene.dispute.result()
    if not by_the_same:
        await give_account(jobs, scene.worker)
    await scene.payout_number(2).signal("account_updated")
    assert (await scene.payout_number(2).result())["status"] == "sent"
    assert (await scene.balances())["available"] == before["available"] + own - pays
    paid = {worker: (await earnings.balance(worker)).paid for worker in (leaver, scene.worker)}
    assert paid == (
        {leaver: first.usd_cents + keeps} if by_the_same else {leaver: first.usd_cents, scene.worker: keeps}
    )
    job = await check(scene)
    assert (job.spent_credits, job.earned_usd_cents) == (former.client_paid + pays, first.usd_cents + keeps)
    assert [item.usd_cents for item in job.accruals] == [first.usd_cents, keeps]


def _window_is_over(job: Job) -> bool:
    return job.completed_at is not None and utcnow() > job.completed_at + timedelta(seconds=2.1)
