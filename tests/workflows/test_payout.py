"""A worker is paid once, whatever fails on the way; what cannot be sent is held in the open and never lost."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.payouts import PayoutActivities
from app.documents import utcnow
from app.gateways.payments import Transfer
from app.gateways.stripe import StripeGateway
from app.jobs.payouts import HoldReason, PayoutStatus, record_payout
from app.money.earnings import EarningOutcome, Earnings
from app.money.journal import ensure_indexes
from app.money.keys import accrue_key, transfer_key
from devstack.stripe_sandbox.control import SandboxControl
from tests.conftest import Database
from tests.stripe.processes import Service, sandbox
from tests.support.time_skipping import skipping_server
from tests.workflows.followers_support import (
    PAY,
    history_of,
    insert_client,
    insert_job,
    insert_worker,
    job_of,
    notices_of,
    unique_queue,
    until,
    worker,
)
from workflows.contracts import PAYOUT_WORKFLOW, STATE_QUERY, PayoutInput, payout_workflow_id
from workflows.followers import ACCOUNT_UPDATED_SIGNAL, PayoutView
from workflows.payout import PayoutWorkflow


@dataclass
class Scene:
    """One test's platform account at Stripe, its worker with earned pay, and its Temporal."""

    env: WorkflowEnvironment
    database: Database
    gateway: StripeGateway
    control: SandboxControl
    api_key: str
    job: PayoutInput

    async def open_account(self, *, onboarded: bool = True) -> str:
        """Give the worker a connected account, as the platform does."""
        account = await self.gateway.create_recipient_account(
            self.job.worker_id, "w@example.com", idempotency_key=f"account-{self.job.worker_id}"
        )
        if onboarded:
            await self.control.complete_onboarding(account.id)
        await self.database["users"].update_one(
            {"_id": self.job.worker_id}, {"$set": {"workerProfile.stripeAccountId": account.id}}
        )
        return account.id

    async def fund(self, cents: int = 100_000) -> None:
        await self.control.fund_platform(self.api_key, cents)

    async def start(self, queue: str) -> WorkflowHandle[Any, PayoutView]:
        return await self.env.client.start_workflow(
            PAYOUT_WORKFLOW,
            self.job,
            id=payout_workflow_id(self.job.job_id),
            task_queue=queue,
            result_type=PayoutView,
        )

    async def status(self) -> str | None:
        payout = (await job_of(self.database, self.job.job_id))["payout"]
        return payout["status"] if payout else None

    async def reason(self) -> str | None:
        payout = (await job_of(self.database, self.job.job_id))["payout"]
        return payout["reason"] if payout else None

    async def held(self, reason: HoldReason) -> bool:
        return await self.reason() == reason.value

    async def assert_paid_once(self) -> None:
        """One transfer at Stripe, one row in the book, nothing owed any more, and the job says so."""
        moved = 100_000 - await self.gateway.available_cents()
        transfer = await self.gateway.find_transfer(self.job.job_id)
        assert moved == PAY
        assert transfer is not None
        rows = await self.database["transactions"].find({"jobId": self.job.job_id}).to_list()
        assert [
            (row["kind"], row["stripeTransferId"]) for row in rows if row["kind"] == "worker_transfer"
        ] == [("worker_transfer", transfer.id)]
        balance = await Earnings(self.database).balance(self.job.worker_id)
        assert (balance.payable, balance.paid) == (0, PAY)
        stored = await job_of(self.database, self.job.job_id)
        assert (stored["payout"]["status"], stored["payout"]["stripeTransferId"]) == ("sent", transfer.id)
        assert stored["needsAdmin"] is False
        sent = [
            who for what, who in await notices_of(self.database, self.job.job_id) if what == "payout.sent"
        ]
        assert sent == [self.job.worker_id]


@pytest.fixture(scope="module")
def stripe_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One whose platforms begin without money, unlike the stack's own."""
    service = sandbox(tmp_path_factory.mktemp("stripe"))
    service.start()
    yield service
    service.stop()


@pytest_asyncio.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with skipping_server() as environment:
        yield environment


@pytest_asyncio.fixture
async def scene(
    stripe_sandbox: Service, database: Database, time_skipping: WorkflowEnvironment
) -> AsyncIterator[Scene]:
    await ensure_indexes(database)
    client_id, worker_id = await insert_client(database), await insert_worker(database)
    job_id = await insert_job(database, client_id=client_id, worker_id=worker_id)
    await Earnings(database).accrue(worker_id, job_id, PAY, key=accrue_key(job_id))
    api_key = f"sk_test_{uuid.uuid4().hex}"
    gateway = StripeGateway(api_key, api_base=stripe_sandbox.base_url)
    job = PayoutInput(job_id=job_id, worker_id=worker_id, client_id=client_id, amount_usd_cents=PAY)
    async with SandboxControl(stripe_sandbox.base_url) as control:
        yield Scene(time_skipping, database, gateway, control, api_key, job)
        await control.clear_faults()
    await gateway.close()


def activities(
    scene: Scene, *, gateway: StripeGateway | None = None, earnings: Earnings | None = None
) -> list[Any]:
    own = PayoutActivities(scene.database, gateway or scene.gateway, earnings or Earnings(scene.database))
    return [own.payout_due, own.send_transfer, own.record_payout_sent, own.record_payout, own.take_back]


async def test_pay_is_sent_recorded_and_told(scene: Scene) -> None:
    await scene.open_account()
    await scene.fund()
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)
        view = await handle.result()
    assert (view.status, view.tries) == (PayoutStatus.SENT, 0)
    transfer = await scene.gateway.find_transfer(scene.job.job_id)
    assert transfer is not None
    assert transfer.metadata["payout_id"] == payout_workflow_id(scene.job.job_id)
    await scene.assert_paid_once()
    assert "example.com" not in await history_of(handle)


class _DiesAfterTransfer(StripeGateway):
    """The process ends after Stripe has moved the money, and is back when Stripe has forgotten the key."""

    deaths = 1
    control: SandboxControl

    async def create_transfer(self, *args: Any, **kwargs: Any) -> Transfer:
        transfer = await super().create_transfer(*args, **kwargs)
        if self.deaths:
            self.deaths -= 1
            await self.control.advance_clock(25 * 3600)
            raise RuntimeError("died after the transfer")
        return transfer


class _DiesAfterRecord(Earnings):
    """The process ends between the book and the job."""

    deaths = 1

    async def record_transfer(self, *args: Any, **kwargs: Any) -> EarningOutcome:
        outcome = await super().record_transfer(*args, **kwargs)
        if self.deaths:
            self.deaths -= 1
            raise RuntimeError("died after the record")
        return outcome


async def test_a_crash_between_any_two_steps_pays_once(scene: Scene, stripe_sandbox: Service) -> None:
    await scene.open_account()
    await scene.fund()
    queue = unique_queue("billing")
    gateway = _DiesAfterTransfer(scene.api_key, api_base=stripe_sandbox.base_url)
    gateway.control = scene.control
    earnings = _DiesAfterRecord(scene.database)
    try:
        async with worker(
            scene.env.client, queue, [PayoutWorkflow], activities(scene, gateway=gateway, earnings=earnings)
        ):
            view = await (await scene.start(queue)).result()
    finally:
        await gateway.close()
    assert (gateway.deaths, earnings.deaths) == (0, 0)
    assert (view.status, view.tries) == (PayoutStatus.SENT, 0)
    await scene.assert_paid_once()


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "after"},
        {"drop": "before"},
        {"status": 500},
        {"status": 500, "remembered": True},
        {"status": 429},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
async def test_an_outage_is_sat_out(scene: Scene, fault: dict[str, Any]) -> None:
    """The last of a saved 500 shows that the next key is tried at once, not after the day Stripe keeps it."""
    await scene.open_account()
    await scene.fund()
    await scene.control.add_fault(method="POST", path="/v1/transfers", **fault)
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        view = await (await scene.start(queue)).result()
    assert view.status is PayoutStatus.SENT
    await scene.assert_paid_once()
    assert not [what for what, _ in await notices_of(scene.database, scene.job.job_id) if "held" in what]


async def test_a_payout_without_an_account_is_held_and_released_by_the_signal(scene: Scene) -> None:
    await scene.fund()
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)
        await until(lambda: scene.held(HoldReason.NO_ACCOUNT))
        view = await handle.query(STATE_QUERY, result_type=PayoutView)
        assert (view.status, view.reason) == (PayoutStatus.HELD, HoldReason.NO_ACCOUNT)
        assert ("payout.held", scene.job.worker_id) in await notices_of(scene.database, scene.job.job_id)
        begun = await scene.env.get_current_time()
        await scene.open_account()
        await handle.signal(ACCOUNT_UPDATED_SIGNAL)
        await until(lambda: _is(scene, "sent"))
        assert (await scene.env.get_current_time() - begun).total_seconds() < 3600  # no timer was needed
        view = await handle.result()
    assert (view.status, view.tries) == (PayoutStatus.SENT, 0)  # no key was spent
    await scene.assert_paid_once()


async def test_an_account_that_cannot_receive_is_tried_again_by_the_timer(scene: Scene) -> None:
    account = await scene.open_account(onboarded=False)
    await scene.fund()
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)
        await until(lambda: scene.held(HoldReason.ACCOUNT_CANNOT_RECEIVE))
        begun = await scene.env.get_current_time()
        await scene.env.sleep(
            3 * 86_400 + 60
        )  # three more tries, under keys of their own, and no more notices
        await scene.control.complete_onboarding(account)
        view = await handle.result()
        assert (await scene.env.get_current_time() - begun).total_seconds() >= 4 * 86_400
    assert view.status is PayoutStatus.SENT
    assert view.tries == 4
    await scene.assert_paid_once()
    held = [who for what, who in await notices_of(scene.database, scene.job.job_id) if what == "payout.held"]
    assert held == [scene.job.worker_id]


async def test_what_a_long_hold_carries_into_its_next_run_is_not_told_again(scene: Scene) -> None:
    """As after a continue-as-new: the spent keys are skipped, and the hold that is known is not news."""
    reason = HoldReason.ACCOUNT_CANNOT_RECEIVE
    scene.job = scene.job.model_copy(update={"tries": 2, "held_reason": reason.value})
    account = await scene.open_account(onboarded=False)
    await scene.fund()
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)

        async def held() -> bool:
            view = await handle.query(STATE_QUERY, result_type=PayoutView)
            return (view.status, view.reason, view.tries) == (PayoutStatus.HELD, reason, 3)

        await until(held)
        assert await notices_of(scene.database, scene.job.job_id) == []
        await scene.control.complete_onboarding(account)
        assert (await handle.result()).status is PayoutStatus.SENT
    await scene.assert_paid_once()


async def test_an_empty_platform_balance_needs_an_admin_and_heals_by_itself(scene: Scene) -> None:
    await scene.open_account()
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)
        await until(lambda: scene.held(HoldReason.PLATFORM_BALANCE))
        stored = await job_of(scene.database, scene.job.job_id)
        assert (stored["needsAdmin"], stored["needsAdminReason"]) == (True, "payout: platform_balance")
        assert ("payout.held", None) in await notices_of(scene.database, scene.job.job_id)
        await scene.fund()
        assert (await handle.result()).status is PayoutStatus.SENT
    await scene.assert_paid_once()


async def test_a_transfer_of_another_amount_is_left_to_an_admin(scene: Scene) -> None:
    account = await scene.open_account()
    await scene.fund()
    payout_id = payout_workflow_id(scene.job.job_id)
    await scene.gateway.create_transfer(
        account, PAY - 1, scene.job.job_id, idempotency_key="by-hand", metadata={"payout_id": payout_id}
    )
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)
        await until(lambda: scene.held(HoldReason.TRANSFER_DIFFERS))
        await handle.terminate()
    assert await scene.gateway.available_cents() == 100_000 - (PAY - 1)
    assert (await job_of(scene.database, scene.job.job_id))["needsAdmin"] is True


async def test_money_that_the_book_refuses_is_shown_to_an_admin_and_not_sent_again(scene: Scene) -> None:
    await scene.open_account()
    await scene.fund()
    job = scene.job
    key = transfer_key(job.job_id)
    await Earnings(scene.database).record_transfer(
        job.worker_id, job.job_id, PAY, key=key, stripe_transfer_id="tr_another"
    )
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)
        await until(lambda: scene.held(HoldReason.BOOK_REFUSES))
        await scene.env.sleep(2 * 3600)
        await handle.terminate()
    assert await scene.status() == "unrecorded"
    assert await scene.gateway.available_cents() == 100_000 - PAY


async def test_nothing_earned_means_nothing_sent(scene: Scene) -> None:
    scene.job = scene.job.model_copy(update={"amount_usd_cents": 0})
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        view = await (await scene.start(queue)).result()
    assert (view.status, await scene.status()) == (PayoutStatus.NOT_DUE, "not_due")
    assert await scene.gateway.find_transfer(scene.job.job_id) is None


async def owe(scene: Scene, cents: int) -> None:
    """Pay of another job, already sent, is taken back: it comes out of what is payable, as a debt does."""
    earnings, worker_id = Earnings(scene.database), scene.job.worker_id
    other = await insert_job(scene.database, client_id=scene.job.client_id, worker_id=worker_id)
    await earnings.accrue(worker_id, other, cents, key=accrue_key(other))
    await earnings.record_transfer(
        worker_id, other, cents, key=transfer_key(other), stripe_transfer_id="tr_other"
    )
    await earnings.reverse(worker_id, other, cents, key=f"reversal:{other}:1", reason="ruling")


async def test_a_debt_that_takes_all_leaves_nothing_due_and_the_worker_is_told_why(scene: Scene) -> None:
    await scene.open_account()
    await scene.fund()
    await owe(scene, PAY + 100)
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        view = await (await scene.start(queue)).result()
    assert (view.status, view.reason) == (PayoutStatus.NOT_DUE, HoldReason.NOTHING_LEFT)
    assert (await scene.status(), await scene.reason()) == ("not_due", "nothing_left")
    assert await notices_of(scene.database, scene.job.job_id) == [("payout.not_due", scene.job.worker_id)]
    assert (await job_of(scene.database, scene.job.job_id))["needsAdmin"] is False
    assert await scene.gateway.find_transfer(scene.job.job_id) is None


async def test_a_debt_that_takes_a_part_leaves_the_rest_to_send(scene: Scene) -> None:
    await scene.open_account()
    await scene.fund()
    await owe(scene, 1_000)
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        view = await (await scene.start(queue)).result()
    transfer = await scene.gateway.find_transfer(scene.job.job_id)
    assert transfer is not None
    assert (view.status, view.amount_usd_cents, transfer.amount_cents) == (
        PayoutStatus.SENT,
        PAY - 1_000,
        PAY - 1_000,
    )
    balance = await Earnings(scene.database).balance(scene.job.worker_id)
    assert (balance.payable, balance.debt) == (0, 0)


async def test_a_late_word_of_a_hold_does_not_unsettle_a_payout(database: Database) -> None:
    job_id = await insert_job(database, client_id=await insert_client(database), worker_id="w")
    common: dict[str, Any] = {"job_id": job_id, "worker_id": "w", "amount_usd_cents": PAY, "at": utcnow()}
    await record_payout(database, status=PayoutStatus.SENT, stripe_transfer_id="tr_1", **common)
    await record_payout(database, status=PayoutStatus.HELD, reason=HoldReason.REFUSED, **common)
    stored = await job_of(database, job_id)
    assert stored["payout"]["status"] == "sent"
    assert stored["needsAdmin"] is False


async def _is(scene: Scene, status: str) -> bool:
    return await scene.status() == status
