"""What a dispute over a completed job does when nobody acts, and when a step of it dies half-way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.disputes import DisputeActivities
from activities.payouts import PayoutActivities
from app.disputes.completed import find_job
from app.gateways.payments import TransferReversal
from app.gateways.stripe import StripeGateway
from app.ids import new_id
from app.jobs.archive import gather
from app.jobs.change import DisputeStatus
from app.lifecycle import RATING, Actor, State
from app.money.credits import Credits, RefundOutcome
from app.money.earnings import EarningOutcome, Earnings
from app.money.journal import ensure_indexes
from app.money.keys import accrue_key, complete_key, hold_key, reversal_key
from app.settings import Settings
from devstack.stack import Stack
from devstack.stripe_sandbox.control import SandboxControl
from tests.conftest import Database
from tests.support.completed import ADMIN
from tests.workflows.followers_support import (
    PAY,
    insert_client,
    insert_job,
    insert_worker,
    job_of,
    notices_of,
    unique_queue,
    worker,
)
from workflows.contracts import (
    DISPUTE_WORKFLOW,
    Act,
    ActResult,
    DisputeInput,
    ExtendDeadline,
    Reasoned,
    Rule,
    Update,
    dispute_workflow_id,
    payout_workflow_id,
)
from workflows.dispute import DisputeWorkflow
from workflows.followers import TakeBack

SPENT, DAY = 1_001, 86_400


@dataclass
class Scene:
    """A job that was completed and paid for, and its dispute's process."""

    env: WorkflowEnvironment
    database: Database
    dispute: DisputeInput
    activities: list[Any]

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.env.client.get_workflow_handle(dispute_workflow_id(self.dispute.job_id))

    async def start(self, queue: str) -> WorkflowHandle[Any, Any]:
        return await self.env.client.start_workflow(
            DISPUTE_WORKFLOW, self.dispute, id=dispute_workflow_id(self.dispute.job_id), task_queue=queue
        )

    async def open(self) -> ActResult:
        act = Reasoned(actor=Actor.CLIENT, actor_id=self.dispute.client_id, reason="not what we agreed")
        return await self.update(Update.OPEN_DISPUTE, act)

    async def rule(self, share: int) -> ActResult:
        act = Rule(actor=Actor.ADMIN, actor_id=ADMIN, reason="half", worker_share_basis_points=share)
        return await self.update(Update.RULE, act)

    async def update(self, update: Update, act: Act) -> ActResult:
        result: ActResult = await self.handle.execute_update(update, act, id=new_id(), result_type=ActResult)
        return result

    async def actions(self) -> list[str]:
        return [entry["action"] for entry in (await job_of(self.database, self.dispute.job_id))["timeline"]][
            1:
        ]

    async def now(self) -> datetime:
        return await self.env.get_current_time()


@pytest_asyncio.fixture
async def scene(database: Database, time_skipping: WorkflowEnvironment) -> AsyncIterator[Scene]:
    await ensure_indexes(database)
    client_id, worker_id = await insert_client(database), await insert_worker(database)
    job_id = await insert_job(database, client_id=client_id, worker_id=worker_id, spent_credits=SPENT)
    credits_, earnings = Credits(database), Earnings(database)
    await credits_.grant(client_id, SPENT, key=f"seed:{client_id}", source="seed")
    await credits_.hold(client_id, job_id, SPENT, key=hold_key(job_id))
    await credits_.resolve(client_id, hold_key(job_id), post=SPENT, release=0, key=complete_key(job_id))
    await earnings.accrue(worker_id, job_id, PAY, key=accrue_key(job_id))
    dispute = DisputeInput(
        job_id=job_id,
        client_id=client_id,
        worker_id=worker_id,
        completed_at=await time_skipping.get_current_time(),
        window_seconds=7 * DAY,
        evidence_seconds=3 * DAY,
        reminder_seconds=3_600,
        payouts=[1],
    )
    own = DisputeActivities(database, credits_, earnings)
    activities = [own.open_dispute, own.note_dispute, own.plan_ruling, own.settle_ruling]
    yield Scene(time_skipping, database, dispute, activities)


async def test_silence_closes_the_evidence_and_reminds_the_admins_ever_more_rarely(scene: Scene) -> None:
    queue = unique_queue()
    async with worker(scene.env.client, queue, [DisputeWorkflow], scene.activities):
        await scene.start(queue)
        opened = await scene.open()
        assert opened.deadline is not None
        job = await job_of(scene.database, scene.dispute.job_id)
        assert (job["needsAdmin"], job["deadline"]) == (False, opened.deadline)

        await scene.env.sleep(timedelta(days=3, seconds=60))
        job = await job_of(scene.database, scene.dispute.job_id)
        assert (job["needsAdmin"], job["needsAdminReason"]) == (True, "a dispute to rule on")
        assert await scene.actions() == ["open_dispute", "close_evidence"]

        await scene.env.sleep(timedelta(days=30))
        reminders = (await scene.actions())[2:]
        assert set(reminders) == {"remind_admins"}
        assert 24 + 27 <= len(reminders) <= 24 + 30, "hourly for a day, then daily"
        told = await notices_of(scene.database, scene.dispute.job_id)
        assert told.count(("job.dispute_reminder", None)) == len(reminders) + 1
        assert {who for what, who in told if what == "job.dispute_opened"} == {
            scene.dispute.client_id,
            scene.dispute.worker_id,
            None,
        }

        dismissal = Reasoned(actor=Actor.ADMIN, actor_id=ADMIN, reason="as agreed")
        await scene.update(Update.DISMISS_DISPUTE, dismissal)
        assert (await scene.handle.result())["dispute"]["status"] == DisputeStatus.DISMISSED.value
    stored = await find_job(scene.database, scene.dispute.job_id)
    assert State(stored.status, stored.phase) == RATING
    assert (stored.needs_admin, stored.deadline, stored.spent_credits) == (False, None, SPENT)


async def test_an_admin_moves_the_end_of_the_evidence_to_a_later_moment_only(scene: Scene) -> None:
    queue = unique_queue()
    async with worker(scene.env.client, queue, [DisputeWorkflow], scene.activities):
        await scene.start(queue)
        opened = await scene.open()
        assert opened.deadline is not None
        for hours, code in ((-1, "deadline-not-later"), (24, None)):
            to = opened.deadline + timedelta(hours=hours)
            act = ExtendDeadline(actor=Actor.ADMIN, actor_id=ADMIN, reason="holidays", to=to)
            if code is None:
                await scene.update(Update.EXTEND_DEADLINE, act)
                continue
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await scene.update(Update.EXTEND_DEADLINE, act)
            assert isinstance(refused.value.cause, ApplicationError)
            assert refused.value.cause.type == code
        stored = await find_job(scene.database, scene.dispute.job_id)
        assert stored.dispute is not None
        assert stored.dispute.evidence_until == opened.deadline + timedelta(hours=24)
        await scene.env.sleep(timedelta(days=3, hours=12))
        assert "close_evidence" not in await scene.actions()
        await scene.env.sleep(timedelta(hours=12, minutes=30))
        assert await scene.actions() == ["open_dispute", "extend_deadline", "close_evidence"]
        await scene.handle.terminate()


async def test_after_the_window_nothing_is_opened_and_the_process_ends(scene: Scene) -> None:
    queue = unique_queue()
    late = scene.dispute.completed_at - timedelta(days=8)
    scene.dispute = scene.dispute.model_copy(update={"completed_at": late})
    async with worker(scene.env.client, queue, [DisputeWorkflow], scene.activities):
        handle = await scene.start(queue)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await scene.open()
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "dispute-window-closed"
        assert (await handle.result())["dispute"] is None
    assert await scene.actions() == []


async def test_an_archived_job_is_not_disputed(scene: Scene) -> None:
    await scene.database["jobs"].update_one({"_id": scene.dispute.job_id}, {"$set": {"phase": "archived"}})
    queue = unique_queue()
    async with worker(scene.env.client, queue, [DisputeWorkflow], scene.activities):
        handle = await scene.start(queue)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await scene.open()
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "wrong-state"
        assert (await handle.result())["dispute"] is None


class _DiesAfterRefund(Credits):
    """The process ends between the client's book and the job."""

    deaths = 1

    async def refund(self, *args: Any, **kwargs: Any) -> RefundOutcome:
        outcome = await super().refund(*args, **kwargs)
        if self.deaths:
            self.deaths -= 1
            raise RuntimeError("died after the refund")
        return outcome


class _DiesAfterReversal(StripeGateway):
    """The process ends after Stripe has given the money back, and is back when Stripe has forgotten the key."""

    deaths = 1
    control: SandboxControl

    async def reverse_transfer(self, *args: Any, **kwargs: Any) -> TransferReversal:
        reversal = await super().reverse_transfer(*args, **kwargs)
        if self.deaths:
            self.deaths -= 1
            await self.control.advance_clock(25 * 3600)
            raise RuntimeError("died after the reversal")
        return reversal


class _DiesBetweenRows(Earnings):
    """The process ends between the row of the reversal and the row of what was earned."""

    deaths = 1

    async def record_transfer_reversal(self, *args: Any, **kwargs: Any) -> EarningOutcome:
        outcome = await super().record_transfer_reversal(*args, **kwargs)
        if self.deaths:
            self.deaths -= 1
            raise RuntimeError("died after the first row")
        return outcome


async def test_a_crash_between_any_two_steps_of_a_ruling_moves_money_once(
    scene: Scene, stack: Stack, settings: Settings
) -> None:
    stack.require("stripe")
    dispute, database = scene.dispute, scene.database
    settings = stack.settings()
    gateway = _DiesAfterReversal(
        settings.stripe_api_key.get_secret_value(), api_base=settings.stripe_api_base
    )
    credits_, earnings = _DiesAfterRefund(database), _DiesBetweenRows(database)
    async with SandboxControl(settings.stripe_api_base) as control:
        gateway.control = control
        account = await gateway.create_recipient_account(
            "w", "w@example.com", idempotency_key=dispute.worker_id
        )
        await control.complete_onboarding(account.id)
        await control.fund_platform(settings.stripe_api_key.get_secret_value(), PAY)
        transfer = await gateway.create_transfer(
            account.id,
            PAY,
            dispute.job_id,
            idempotency_key=dispute.job_id,
            metadata={"payout_id": payout_workflow_id(dispute.job_id)},
        )
        own = DisputeActivities(database, credits_, earnings)
        pay = PayoutActivities(database, gateway, earnings)
        queue = unique_queue()
        billing = queue.replace("jobs", "billing")
        activities: list[Any] = [own.open_dispute, own.note_dispute, own.plan_ruling, own.settle_ruling]
        async with (
            worker(scene.env.client, queue, [DisputeWorkflow], activities),
            worker(scene.env.client, billing, [], [pay.take_back]),
        ):
            await scene.start(queue)
            await scene.open()
            await scene.rule(3_333)
            await scene.handle.result()
        found = await gateway.retrieve_transfer(transfer.id)
        await gateway.close()
    assert (credits_.deaths, gateway.deaths, earnings.deaths) == (0, 0, 0)
    keeps, pays = PAY * 3_333 // 10_000, SPENT * 3_333 // 10_000
    assert found.reversed_cents == PAY - keeps
    assert (await credits_.balance(dispute.client_id)).available == SPENT - pays
    earned = await earnings.balance(dispute.worker_id)
    assert (earned.payable, earned.paid, earned.debt) == (0, keeps, 0)
    job = await find_job(database, dispute.job_id)
    assert (job.spent_credits, job.earned_usd_cents) == (pays, keeps)
    record = await gather(database, dispute.job_id, at=await scene.now())
    kinds = sorted(row["kind"] for row in record["transactions"])
    assert kinds == [
        "credit_hold",
        "credit_refund",
        "earning_reversal",
        "hold_resolution",
        "transfer_reversal",
        "worker_accrual",
        "worker_transfer",
    ]


async def test_take_back_in_parts_never_takes_more_than_was_earned(scene: Scene) -> None:
    """As by the payout's process after one ruling and the dispute's own after another; repeated, as after a crash."""
    dispute = scene.dispute
    earnings = Earnings(scene.database)

    class _NothingSent(StripeGateway):
        async def find_transfer(self, *_args: Any, **_kwargs: Any) -> None:
            return None

    gateway = _NothingSent("sk_test_x")
    pay = PayoutActivities(scene.database, gateway, earnings)
    for act, cents in (("ruling:1", 1_000), ("ruling:2", 500), ("ruling:1", 1_000)):
        request = TakeBack(
            job_id=dispute.job_id,
            worker_id=dispute.worker_id,
            amount_usd_cents=cents,
            act=act,
            reason="r",
        )
        taken = await pay.take_back(request)
        assert taken.reversed_usd_cents == 0
    await gateway.close()
    assert await earnings.transferable(dispute.worker_id, dispute.job_id) == PAY - 1_500
    rows = scene.database["transactions"]
    assert await rows.count_documents({"key": reversal_key(dispute.job_id, "ruling:1:1")}) == 1
