"""Ledger, Stripe and jobs are compared each night; what disagrees is found, mended once, and then gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import ActivityEnvironment

from activities.payouts import PayoutActivities
from app.documents import utcnow
from app.errors import NotFoundError
from app.ids import new_id
from app.lifecycle import Phase, Status
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.errors import IdempotencyKeyReused
from app.money.keys import accrue_key, hold_key, transfer_key, transfer_reversal_key
from app.money.verify import verify
from app.payouts.models import BankPayout, BankPayoutStatus, bank_payout_id
from app.reconciliation.compare import Comparison
from app.reconciliation.errors import RepairRefusedError
from app.reconciliation.models import Difference, DifferenceKind, RepairKind
from app.reconciliation.repairs import Repairs
from app.reconciliation.store import get_report, write_report
from app.settings import Settings
from tests.conftest import Database
from tests.payouts.conftest import Payer
from tests.workflows.followers_support import PAY, insert_client, insert_job, insert_worker
from workflows.followers import TakeBack

ADMIN = "a" * 24
_AT_ONCE = (DifferenceKind.AMOUNT_DIFFERS,)


@dataclass
class Office:
    """A night's comparison over a database of its own, and the repairs of it."""

    database: Database
    payer: Payer
    credits: Credits
    earnings: Earnings
    tried: list[tuple[str, str, int, int]] = field(default_factory=list)

    async def night(self, *, days: float = 2) -> tuple[str, list[Difference]]:
        """What a comparison finds so many days from now."""
        at = utcnow() + timedelta(days=days)
        comparison = Comparison(self.database, self.payer.gateway, at=at, since=at - timedelta(days=35))
        report = await comparison.run(new_id())
        await write_report(self.database, report)
        return report.id, report.differences

    async def only(self, kind: DifferenceKind) -> tuple[str, Difference]:
        """The one difference that a night finds, which is of this kind; the night after a moment finds none."""
        _, young = await self.night(days=0)
        assert young == [] or kind in _AT_ONCE, "what may be under way is not reported"
        report_id, (difference,) = await self.night()
        assert difference.kind is kind
        return report_id, difference

    async def apply(self, report_id: str, number: int = 1) -> Difference:
        async def try_payout(job_id: str, worker_id: str, payout: int, cents: int) -> None:
            self.tried.append((job_id, worker_id, payout, cents))

        async def settle_billing(client_id: str) -> None:
            raise AssertionError(client_id)

        repairs = Repairs(
            self.database,
            self.payer.gateway,
            Settings(environment="test"),
            self.credits,
            self.earnings,
            try_payout,
            settle_billing,
        )
        return await repairs.apply(report_id, number, admin_id=ADMIN)

    async def assert_mended(self) -> None:
        assert (await self.night())[1] == []
        assert await verify(self.database) == []

    async def paid_job(self, *, number: int = 1, sent: bool = True, recorded: bool = True) -> dict[str, Any]:
        """A completed job whose pay was earned and, by default, sent and recorded."""
        worker_id, client_id = await insert_worker(self.database), await insert_client(self.database)
        job_id = await insert_job(
            self.database,
            client_id=client_id,
            worker_id=worker_id,
            payout={"status": "sent", "at": utcnow()},
        )
        await self.earnings.accrue(worker_id, job_id, PAY, key=accrue_key(job_id, number))
        transfer_id = "tr_none"
        if sent:
            account = await self.payer.give(self.database, worker_id)
            await self.payer.control.fund_platform(self.payer.api_key, PAY)
            transfer = await self.payer.gateway.create_transfer(
                account, PAY, job_id, idempotency_key=job_id, metadata={"payout_id": f"payout-{job_id}"}
            )
            transfer_id = transfer.id
        if recorded:
            await self.earnings.record_transfer(
                worker_id, job_id, PAY, key=transfer_key(job_id, number), stripe_transfer_id=transfer_id
            )
        return {"job": job_id, "worker": worker_id, "transfer": transfer_id}


@pytest_asyncio.fixture
async def office(fresh_database: Database, payer: Payer) -> AsyncIterator[Office]:
    yield Office(fresh_database, payer, Credits(fresh_database), Earnings(fresh_database))


async def test_books_that_agree_have_no_differences_and_no_alert(office: Office) -> None:
    await office.paid_job()
    _, found = await office.night()
    assert found == []
    assert await office.database["outbox"].count_documents({}) == 0


async def test_a_transfer_without_a_row_is_recorded_once(office: Office) -> None:
    job = await office.paid_job(recorded=False)
    report_id, difference = await office.only(DifferenceKind.TRANSFER_WITHOUT_ROW)
    assert difference.repair.kind is RepairKind.RECORD_TRANSFER
    (alert,) = await office.database["outbox"].find({}).to_list()
    assert (alert["template"], alert["userId"], alert["context"]["differences"]) == (
        "ledger.differences",
        None,
        1,
    )
    applied = await asyncio.gather(*(office.apply(report_id) for _ in range(3)))
    assert {(each.applied_by, each.applied_at) for each in applied} == {(ADMIN, applied[0].applied_at)}
    assert (await office.earnings.balance(job["worker"])).paid == PAY
    assert (job["job"], job["worker"], 1, PAY) in office.tried
    before = len(office.tried)
    await office.apply(report_id)
    assert len(office.tried) == before, "an applied repair is not applied again"
    await office.assert_mended()


async def test_a_row_without_a_transfer_is_owed_again(office: Office) -> None:
    job = await office.paid_job(sent=False)
    report_id, difference = await office.only(DifferenceKind.ROW_WITHOUT_TRANSFER)
    assert difference.repair.kind is RepairKind.MAKE_PAYABLE
    await office.apply(report_id)
    balance = await office.earnings.balance(job["worker"])
    assert (balance.payable, balance.paid) == (PAY, 0)
    await office.assert_mended()


async def test_a_transfer_of_another_amount_is_left_to_an_admin(office: Office) -> None:
    job = await office.paid_job(recorded=False)
    await office.earnings.record_transfer(
        job["worker"],
        job["job"],
        PAY - 1,
        key=transfer_key(job["job"]),
        stripe_transfer_id=job["transfer"],
    )
    report_id, difference = await office.only(DifferenceKind.AMOUNT_DIFFERS)
    assert difference.repair.kind is RepairKind.BY_HAND
    assert (await office.apply(report_id)).applied_by == ADMIN
    assert (await office.earnings.balance(job["worker"])).paid == PAY - 1  # noted, and nothing moved


async def test_what_stripe_took_back_by_hand_is_recorded(office: Office) -> None:
    job = await office.paid_job()
    await office.payer.gateway._stripe.v1.transfers.reversals.create_async(job["transfer"], {"amount": 500})
    report_id, difference = await office.only(DifferenceKind.REVERSAL_WITHOUT_ROW)
    assert difference.repair.kind is RepairKind.RECORD_REVERSAL
    await office.apply(report_id)
    balance = await office.earnings.balance(job["worker"])
    assert (balance.payable, balance.paid) == (500, PAY - 500)
    await office.assert_mended()


@pytest.mark.parametrize("first", ["repair", "ruling"])
async def test_a_repair_and_a_late_ruling_record_one_reversal_once(office: Office, first: str) -> None:
    """The ruling's answer was lost after Stripe had given the money back; the repair names another reason than it."""
    job = await office.paid_job()
    ruling = TakeBack(
        job_id=job["job"], worker_id=job["worker"], amount_usd_cents=500, act="ruling:1", reason="half done"
    )
    payer = PayoutActivities(office.database, office.payer.gateway, office.earnings)
    await office.payer.gateway.reverse_transfer(
        job["transfer"], 500, idempotency_key=new_id(), metadata={"act": "ruling:1:1"}
    )
    report_id, difference = await office.only(DifferenceKind.REVERSAL_WITHOUT_ROW)
    assert difference.repair.kind is RepairKind.RECORD_REVERSAL

    async def rule() -> None:
        taken = await ActivityEnvironment().run(payer.take_back, ruling)
        assert (taken.reversed_usd_cents, taken.debt_usd_cents) == (500, 0)

    if first == "repair":
        await office.apply(report_id)
        await rule()
    else:
        await rule()
        await office.apply(report_id)
    balance = await office.earnings.balance(job["worker"])
    assert (balance.payable, balance.paid, balance.debt) == (0, PAY - 500, 0)
    await office.assert_mended()
    with pytest.raises(IdempotencyKeyReused):  # the reason alone may differ
        await office.earnings.record_transfer_reversal(
            job["worker"],
            job["job"],
            499,
            key=transfer_reversal_key(difference.repair.fields["reversalId"]),
            stripe_reversal_id=difference.repair.fields["reversalId"],
        )


async def test_polar_two_equal_reversals_of_one_transfer_both_reach_stripe(office: Office) -> None:
    """The key was the transfer's, so the second was taken for a repeat of the first while the key lived."""
    job = await office.paid_job()
    payer = PayoutActivities(office.database, office.payer.gateway, office.earnings)
    for act in ("ruling:1", "ruling:2", "ruling:1"):  # the last one is a repeat
        request = TakeBack(
            job_id=job["job"], worker_id=job["worker"], amount_usd_cents=300, act=act, reason="ruling"
        )
        taken = await ActivityEnvironment().run(payer.take_back, request)
        assert taken.reversed_usd_cents == 300
    transfer = await office.payer.gateway.retrieve_transfer(job["transfer"])
    assert transfer.reversed_cents == 600
    balance = await office.earnings.balance(job["worker"])
    assert (balance.payable, balance.paid, balance.debt) == (0, PAY - 600, 0)
    await office.assert_mended()


async def test_a_hold_of_an_ended_job_is_given_back(office: Office) -> None:
    owner = await insert_client(office.database)
    job_id = await insert_job(office.database, client_id=owner, status=Status.CANCELLED, phase=Phase.CLOSED)
    running = await insert_job(
        office.database, client_id=owner, status=Status.IN_PROGRESS, phase=Phase.WORKING
    )
    await office.credits.grant(owner, 500, key=f"g:{owner}", source="plan")
    await office.credits.hold(owner, job_id, 200, key=hold_key(job_id))
    await office.credits.hold(owner, running, 100, key=hold_key(running))
    report_id, difference = await office.only(DifferenceKind.HOLD_OF_ENDED_JOB)
    assert difference.client_id == owner
    await office.apply(report_id)
    balance = await office.credits.balance(owner)
    assert (balance.available, balance.held) == (400, 100)
    await office.assert_mended()


async def test_a_completed_job_without_accrual_is_owed_and_paid(office: Office) -> None:
    worker_id, client_id = await insert_worker(office.database), await insert_client(office.database)
    payout = {"status": "not_due", "at": utcnow()}
    job_id = await insert_job(office.database, client_id=client_id, worker_id=worker_id, payout=payout)
    report_id, _ = await office.only(DifferenceKind.JOB_WITHOUT_ACCRUAL)
    await office.apply(report_id)
    assert (await office.earnings.balance(worker_id)).payable == PAY
    assert office.tried == [(job_id, worker_id, 1, PAY)]
    await office.assert_mended()


@pytest.mark.parametrize(
    ("payout", "stuck"),
    [
        (None, True),
        ({"status": "sending"}, True),
        ({"status": "unrecorded", "reason": "book_refuses"}, True),
        ({"status": "held", "reason": "platform_balance"}, True),
        ({"status": "held", "reason": "no_account"}, False),  # the worker knows
        ({"status": "held", "reason": "disputed"}, False),  # the admins know
        ({"status": "not_due"}, False),
    ],
    ids=str,
)
async def test_a_payout_that_nobody_waits_for_is_tried(
    office: Office, payout: dict[str, Any] | None, stuck: bool
) -> None:
    worker_id, client_id = await insert_worker(office.database), await insert_client(office.database)
    stored = payout and {**payout, "at": utcnow()}
    job_id = await insert_job(office.database, client_id=client_id, worker_id=worker_id, payout=stored)
    await office.earnings.accrue(worker_id, job_id, PAY, key=accrue_key(job_id))
    if not stuck:
        assert (await office.night())[1] == []
        return
    report_id, _ = await office.only(DifferenceKind.PAYOUT_STUCK)
    await office.apply(report_id)
    assert office.tried == [(job_id, worker_id, 1, PAY)]


async def test_a_payout_to_the_bank_that_nobody_heard_of_is_followed(office: Office) -> None:
    worker_id = await insert_worker(office.database)
    account = await office.payer.give(office.database, worker_id)
    await office.payer.send(account, PAY)
    now = utcnow()
    payout = BankPayout(
        id=bank_payout_id(worker_id, "2026-11-23"),
        worker_id=worker_id,
        account_id=account,
        period="2026-11-23",
        amount_usd_cents=PAY,
        created_at=now,
        updated_at=now,
    )
    await office.database["payouts"].insert_one(payout.model_dump(by_alias=True))
    report_id, _ = await office.only(DifferenceKind.BANK_PAYOUT_STUCK)
    await office.apply(report_id)
    stored = await office.database["payouts"].find_one({"_id": payout.id})
    assert stored is not None
    assert stored["status"] in (BankPayoutStatus.PENDING, BankPayoutStatus.PAID)
    assert await office.payer.gateway.available_cents(account) == 0


async def test_a_repair_that_the_books_do_not_take_any_more_is_refused_and_not_marked(office: Office) -> None:
    job = await office.paid_job(recorded=False)
    report_id, _ = await office.only(DifferenceKind.TRANSFER_WITHOUT_ROW)
    await office.earnings.record_transfer(
        job["worker"], job["job"], 1, key=transfer_key(job["job"]), stripe_transfer_id="tr_another"
    )
    with pytest.raises(RepairRefusedError):
        await office.apply(report_id)
    assert (await get_report(office.database, report_id)).differences[0].applied_at is None
    for wrong in (0, 2):
        with pytest.raises(NotFoundError):
            await office.apply(report_id, wrong)
    with pytest.raises(NotFoundError):
        await office.apply(new_id())


async def test_a_report_is_written_once_under_its_id(office: Office) -> None:
    await office.paid_job(recorded=False)
    report_id, _ = await office.night()
    first = await get_report(office.database, report_id)
    await write_report(office.database, first.model_copy(update={"differences": []}))
    assert len((await get_report(office.database, report_id)).differences) == 1
    assert await office.database["outbox"].count_documents({}) == 1
