"""The demo's own audit: it is quiet about sound books, and names each fault of unsound ones."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase
from stripe import StripeClient

from app.documents import utcnow
from app.gateways.stripe import StripeGateway
from app.gateways.stripe_client import AsyncHttpClient
from app.ids import new_id
from app.jobs.policy import JobPolicy, Urgency
from app.jobs.posting import insert_job, new_job
from app.jobs.pricing import quote
from app.lifecycle import Phase, Status
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.journal import ledger_collection
from app.money.keys import accrue_key, complete_key, hold_key, invoice_grant_key, transfer_key
from app.seed.people import make_cast
from app.seed.store import Seeder
from app.settings import Settings
from demo.books import Check, check_books
from devstack.stack import Stack
from tests.stripe import billing

Database = AsyncDatabase[dict[str, Any]]

CAST = make_cast(workers=1)
WORKER, CLIENT = CAST.workers[0].id, CAST.clients[0].id
PRICING = quote(hours_likely=8, rate=95, urgency=Urgency.NORMAL, policy=JobPolicy())


@dataclass(frozen=True, slots=True)
class Books:
    """A small world with one settled job."""

    database: Database
    settings: Settings
    stripe: StripeGateway
    job_id: str

    async def faults(self, *job_ids: str) -> dict[str, tuple[str, ...]]:
        """What is wrong, by the name of the check."""
        checks: list[Check] = await check_books(self.database, self.settings, [self.job_id, *job_ids])
        return {check.name: check.faults for check in checks if not check.ok}

    async def account(self) -> str:
        worker = await self.database["users"].find_one({"_id": WORKER})
        assert worker is not None
        return str(worker["workerProfile"]["stripeAccountId"])

    async def transfer(self, job_id: str, cents: int, key: str) -> str:
        made = await self.stripe.create_transfer(await self.account(), cents, job_id, idempotency_key=key)
        return made.id


async def _settled_job(database: Database, stripe: StripeGateway) -> str:
    job_id = new_id()
    job = new_job(
        job_id,
        client_id=CLIENT,
        title="A page",
        description="One page, settled by hand",
        urgency=Urgency.NORMAL,
        max_credits=None,
        rate=95,
        policy=JobPolicy(),
        correlation_id=None,
    )
    job.status, job.phase, job.worker_id = Status.COMPLETED, Phase.RATING, WORKER
    job.pricing, job.spent_credits, job.earned_usd_cents = PRICING, PRICING.credits, PRICING.pay_usd_cents
    await insert_job(database, job)
    credits_, earnings = Credits(database), Earnings(database)
    await credits_.hold(CLIENT, job_id, PRICING.credits, key=hold_key(job_id))
    await credits_.resolve(
        CLIENT, hold_key(job_id), post=PRICING.credits, release=0, key=complete_key(job_id)
    )
    await earnings.accrue(WORKER, job_id, PRICING.pay_usd_cents, key=accrue_key(job_id))
    worker = await database["users"].find_one({"_id": WORKER})
    assert worker is not None
    made = await stripe.create_transfer(
        worker["workerProfile"]["stripeAccountId"],
        PRICING.pay_usd_cents,
        job_id,
        idempotency_key=f"payout-{job_id}",
    )
    await earnings.record_transfer(
        WORKER, job_id, PRICING.pay_usd_cents, key=transfer_key(job_id), stripe_transfer_id=made.id
    )
    return job_id


@pytest_asyncio.fixture
async def books(fresh_database: Database, stack: Stack, settings: Settings) -> AsyncIterator[Books]:
    stack.require("stripe")
    own = Settings.model_validate(
        settings.model_dump() | {"stripe_api_key": f"sk_test_{uuid.uuid4().hex}"}  # a platform of its own
    )
    stripe = StripeGateway.from_settings(own)
    await Seeder(fresh_database, own, Credits(fresh_database), stripe).write(CAST)
    yield Books(fresh_database, own, stripe, await _settled_job(fresh_database, stripe))
    await stripe.close()


async def test_sound_books_have_no_fault(books: Books) -> None:
    assert await books.faults() == {}


async def test_a_second_transfer_is_seen(books: Books) -> None:
    await books.transfer(books.job_id, PRICING.pay_usd_cents, "another-key")
    assert await books.faults() == {"one transfer for each job": (f"job {books.job_id} has 2 transfers",)}


async def test_a_hold_that_nobody_resolved_is_seen(books: Books) -> None:
    await Credits(books.database).hold(CLIENT, books.job_id, 100, key=hold_key(books.job_id, 2))
    faults = await books.faults()
    assert set(faults) == {"nothing held", "credits posted"}
    assert faults["nothing held"] == (f"job {books.job_id} still holds 1.00 credits",)


async def test_pay_that_is_still_owed_is_seen(books: Books) -> None:
    await Earnings(books.database).accrue(WORKER, books.job_id, 500, key="accrue:extra")
    assert set(await books.faults()) == {"workers paid"}


async def test_a_side_road_is_settled_when_each_workers_part_was_transferred(books: Books) -> None:
    earned = {"accruals": [{"number": 1, "workerId": WORKER, "usdCents": PRICING.pay_usd_cents}]}
    jobs, own = books.database["jobs"], books.settings
    await jobs.update_one(
        {"_id": books.job_id}, {"$set": earned | {"status": "cancelled", "phase": "closed"}}
    )
    assert all(check.ok for check in await check_books(books.database, own, [], [books.job_id]))
    await books.transfer(books.job_id, 100, "another-key")
    await jobs.update_one({"_id": books.job_id}, {"$set": {"status": "review", "phase": "disputed"}})
    checks = await check_books(books.database, own, [], [books.job_id, new_id()])
    (settled,) = (check for check in checks if not check.ok)
    assert (settled.name, len(settled.faults)) == ("side roads settled", 3)


async def test_a_payment_that_brought_nothing_and_credits_that_nobody_paid_are_seen(books: Books) -> None:
    paid = await _paid_invoice(books.settings)
    credits_ = Credits(books.database)
    await credits_.grant(CLIENT, 100, key=invoice_grant_key("in_none"), source="subscription:growth:now")
    assert await books.faults() == {
        "credits paid for": (
            f"{invoice_grant_key(paid)} is paid, and granted 0 times",
            f"{invoice_grant_key('in_none')} is granted, and no such invoice is paid",
        )
    }
    await credits_.grant(
        CLIENT, 100, key=invoice_grant_key(paid), source="subscription:growth:now", paid_cents=749
    )
    faults = (await books.faults())["credits paid for"]
    assert faults[-1] == f"{invoice_grant_key(paid)}: 750 cents were paid, 749 are booked"


async def _paid_invoice(settings: Settings) -> str:
    """A client of this platform pays 7.50."""
    http = AsyncHttpClient(connect=3, read=20)
    sdk = StripeClient(
        settings.stripe_api_key.get_secret_value(),
        base_addresses={"api": settings.stripe_api_base},
        http_client=http,
    )
    client = await billing.customer(sdk)
    await sdk.v1.invoice_items.create_async({"customer": client.id, "amount": 750, "currency": "usd"})
    made = await sdk.v1.invoices.create_async(
        {"customer": client.id, "pending_invoice_items_behavior": "include", "auto_advance": False}
    )
    await sdk.v1.invoices.pay_async(str(made.id))
    await http.close_async()
    return str(made.id)


async def test_a_tampered_journal_is_seen(books: Books) -> None:
    ledger = ledger_collection(books.database)
    row = await ledger.find_one({"key": complete_key(books.job_id)})
    assert row is not None
    await ledger.update_one({"_id": row["_id"]}, {"$set": {"amount": 1}})
    assert "journal balanced" in await books.faults()


async def test_a_leaked_place_a_job_not_done_and_a_notice_not_sent_are_seen(books: Books) -> None:
    await books.database["users"].update_one(
        {"_id": WORKER},
        {"$inc": {"workerProfile.activeJobs": 1}, "$addToSet": {"workerProfile.activeJobIds": "x"}},
    )
    await books.database["jobs"].update_one({"_id": books.job_id}, {"$set": {"status": "review"}})
    await books.database["outbox"].insert_one({"_id": "left", "createdAt": utcnow()})
    await books.database["webhook_events"].insert_one(
        {"_id": "evt_1", "type": "invoice.paid", "status": "handed"}
    )
    faults = await books.faults(new_id())
    assert set(faults) == {
        "jobs completed",
        "workers' places free",
        "Stripe's events settled",
        "notices delivered",
    }
    assert len(faults["jobs completed"]) == 2
