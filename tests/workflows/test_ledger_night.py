"""The ledger's night on real stores: what lapsed is booked, the heads are kept, and a rewritten past shows."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, ScheduleOverlapPolicy

from activities.ledger import LedgerActivities
from activities.reconciliation import ReconciliationActivities
from app.documents import utcnow
from app.gateways.storage import Storage
from app.gateways.stripe import StripeGateway
from app.gateways.stripe_billing import StripeBilling
from app.lifecycle import Phase, Status
from app.money.audit import Check
from app.money.credits import Credits
from app.money.hashing import row_hash
from app.money.heads import Heads, heads_key, last_heads, store_heads
from app.money.keys import complete_key, hold_key
from app.money.verify import audit, compare_with_jobs
from app.settings import Settings
from app.subscriptions.store import create_subscription, get_subscription
from app.subscriptions.tiers import TierName
from devstack.stack import Stack
from tests.conftest import Database
from tests.workflows.followers_support import insert_client, insert_job, worker
from workflows.contracts import TaskQueue, task_queue
from workflows.followers import LEDGER_NIGHT_WORKFLOW, LedgerNight
from workflows.ledger import LedgerNightWorkflow, ensure_ledger_night, ledger_night_schedule_id


@dataclass
class Scene:
    """A database and a task queue of its own, and days of its own in the shared bucket."""

    client: Client
    database: Database
    settings: Settings
    storage: Storage
    gateway: StripeGateway
    billing: StripeBilling

    @property
    def bucket(self) -> str:
        return self.settings.s3_bucket_archive

    @property
    def queue(self) -> str:
        return task_queue(TaskQueue.NOTIFY, self.settings.task_queue_prefix)

    def worker(self) -> AbstractAsyncContextManager[None]:
        own = LedgerActivities(self.database, Credits(self.database), self.storage, bucket=self.bucket)
        compare = ReconciliationActivities(self.database, self.gateway, self.settings, self.billing)
        activities: list[Callable[..., Any]] = [own.expire_credits, own.audit_ledger, compare.reconcile]
        return worker(self.client, self.queue, [LedgerNightWorkflow], activities)

    async def night(self) -> LedgerNight:
        result: LedgerNight = await self.client.execute_workflow(
            LEDGER_NIGHT_WORKFLOW,
            id=f"ledger-night-{uuid.uuid4().hex}",
            task_queue=self.queue,
            result_type=LedgerNight,
        )
        return result


@pytest_asyncio.fixture
async def scene(
    stack: Stack, temporal: Client, fresh_database: Database, settings: Settings
) -> AsyncIterator[Scene]:
    stack.require("s3", "stripe")
    storage = Storage(settings)
    own = settings.model_copy(update={"task_queue_prefix": f"t{uuid.uuid4().hex[:8]}-"})
    await storage.delete(settings.s3_bucket_archive, heads_key(utcnow().date()))
    # a platform of its own, so that no other test's transfers are compared with these books
    key = f"sk_test_{uuid.uuid4().hex}"
    gateway = StripeGateway(key, api_base=settings.stripe_api_base)
    billing = StripeBilling(key, api_base=settings.stripe_api_base)
    yield Scene(temporal, fresh_database, own, storage, gateway, billing)
    await gateway.close()
    await billing.close()
    await storage.delete(settings.s3_bucket_archive, heads_key(utcnow().date()))
    storage.close()


async def book_of(database: Database) -> str:
    """A client with a book of five rows, one hold of it open for a running job."""
    owner, credits_ = await insert_client(database), Credits(database)
    await credits_.grant(owner, 100, key=f"a:{owner}", source="plan", expires_at=utcnow())
    await credits_.grant(owner, 1000, key=f"b:{owner}", source="plan")
    running = await insert_job(database, client_id=owner, status=Status.IN_PROGRESS, phase=Phase.WORKING)
    done = await insert_job(database, client_id=owner)
    await credits_.hold(owner, running, 200, key=hold_key(running))
    await credits_.hold(owner, done, 300, key=hold_key(done))
    await credits_.resolve(owner, hold_key(done), post=300, release=0, key=complete_key(done))
    return owner


async def rewrite(database: Database, owner: str) -> None:
    """Rewrite the past as someone with the database could: a bigger grant, and every hash after it made right."""
    rows = await database["transactions"].find({"clientId": owner}).sort("_id", 1).to_list()
    previous = "0" * 64
    for row in rows:
        for leg in row["legs"]:
            if row["seq"] == 2:
                leg["amount"] *= 2
        if row["seq"] == 2:
            row["amount"] = row["lot"]["amount"] = 2000
        if row["seq"] >= 2:
            row["balances"]["available"] += 1000
            lot = next(lot for lot in row["balances"]["lots"] if lot["seq"] == 2)
            lot["amount"] += 1000
        row["previousHash"] = previous
        row["hash"] = previous = row_hash(row)
        await database["transactions"].delete_one({"_id": row["_id"]})
        await database["transactions"].insert_one(row)


async def test_a_night_books_what_lapsed_and_keeps_the_heads(scene: Scene) -> None:
    owner = await book_of(scene.database)
    await create_subscription(owner, TierName.STARTER)
    async with scene.worker():
        first, second = await scene.night(), await scene.night()
    assert (first.expired.clients, first.expired.lots, first.expired.amount) == (1, 1, 100)
    assert (second.expired.lots, second.expired.failed) == (0, 0)
    assert (first.audited.transactions, first.audited.books, first.audited.open_holds) == (6, 1, 1)
    assert (first.audited.discrepancies, second.audited.discrepancies) == (0, 0)
    assert first.audited.heads_key == heads_key(utcnow().date())
    kept = await last_heads(scene.storage, scene.bucket, at=utcnow())
    assert kept is not None
    last = await scene.database["transactions"].find_one({"_id": f"client:{owner}:000000000006"})
    assert last is not None
    assert {name: (head.seq, head.hash) for name, head in kept.books.items()} == {
        f"client:{owner}": (6, last["hash"])
    }
    assert (await get_subscription(owner)).credits.available == 500


async def test_a_past_that_was_rewritten_to_its_end_shows_night_after_night(scene: Scene) -> None:
    owner = await book_of(scene.database)
    yesterday, today = utcnow() - timedelta(days=1), utcnow()
    sound = await audit(scene.database)
    key = await store_heads(scene.storage, scene.bucket, sound.heads, at=yesterday, last=None, distrusted=())
    try:
        await rewrite(scene.database, owner)
        assert (await audit(scene.database)).discrepancies == []  # by itself it looks sound
        async with scene.worker():
            for _ in range(2):
                night = await scene.night()
                assert night.audited.first == [f"head client:{owner}:000000000005"]
        kept = await last_heads(scene.storage, scene.bucket, at=today)
        assert kept is not None
        assert kept.books[f"client:{owner}"].hash == sound.heads[f"client:{owner}"].hash
    finally:
        await scene.storage.delete(scene.bucket, key)


async def test_the_first_heads_of_a_day_stand_and_books_that_vanish_show(scene: Scene) -> None:
    owner = await book_of(scene.database)
    async with scene.worker():
        await scene.night()
        await Credits(scene.database).grant(owner, 1, key=f"z:{owner}", source="test")
        await scene.night()
        kept = await last_heads(scene.storage, scene.bucket, at=utcnow())
        assert isinstance(kept, Heads)
        assert kept.books[f"client:{owner}"].seq == 6
        await scene.database["transactions"].delete_many({"clientId": owner, "seq": {"$gte": 6}})
        assert (await scene.night()).audited.first == [f"head client:{owner}"]
        await scene.database["transactions"].delete_many({"clientId": owner})
        assert (await scene.night()).audited.first == [f"head client:{owner}"]
    assert await last_heads(scene.storage, scene.bucket, at=utcnow() - timedelta(days=400)) is None


async def _job_gone(database: Database, job_id: str) -> None:
    await database["jobs"].delete_one({"_id": job_id})


async def _job_anothers(database: Database, job_id: str) -> None:
    await database["jobs"].update_one({"_id": job_id}, {"$set": {"clientId": "someone"}})


async def _job_ended(database: Database, job_id: str) -> None:
    await database["jobs"].update_one({"_id": job_id}, {"$set": {"status": "cancelled"}})


@pytest.mark.parametrize("spoil", [_job_gone, _job_anothers, _job_ended])
async def test_an_open_hold_that_its_job_cannot_have_is_found(
    fresh_database: Database, spoil: Callable[[Database, str], Awaitable[Any]]
) -> None:
    owner = await book_of(fresh_database)
    holds = (await audit(fresh_database)).open_holds
    assert await compare_with_jobs(fresh_database, holds) == []
    await spoil(fresh_database, holds[0].job_id)
    (found,) = await compare_with_jobs(fresh_database, holds)
    assert (found.check, found.book, found.transaction_id) == (
        Check.JOB,
        f"client:{owner}",
        f"client:{owner}:000000000003",
    )
    # What was resolved since the audit is no fault.
    await Credits(fresh_database).resolve(
        owner, holds[0].hold_key, post=200, release=0, key=complete_key(holds[0].job_id)
    )
    assert await compare_with_jobs(fresh_database, holds) == []


async def test_a_job_that_says_it_holds_what_nobody_holds_is_found(fresh_database: Database) -> None:
    owner = await insert_client(fresh_database)
    job_id = await insert_job(
        fresh_database, client_id=owner, status=Status.IN_PROGRESS, phase=Phase.WORKING, held_credits=200
    )
    (found,) = await compare_with_jobs(fresh_database, [])
    assert (found.check, found.book) == (Check.JOB, f"client:{owner}")
    credits_ = Credits(fresh_database)
    await credits_.grant(owner, 200, key=f"a:{owner}", source="plan")
    await credits_.hold(owner, job_id, 200, key=hold_key(job_id))
    assert await compare_with_jobs(fresh_database, (await audit(fresh_database)).open_holds) == []
    await credits_.resolve(owner, hold_key(job_id), post=200, release=0, key=complete_key(job_id))
    assert await compare_with_jobs(fresh_database, []) == []  # the job is about to be told


async def test_the_schedule_is_made_once_and_stays_as_an_operator_left_it(scene: Scene) -> None:
    prefix = scene.settings.task_queue_prefix
    handle = scene.client.get_schedule_handle(ledger_night_schedule_id(prefix))
    try:
        await ensure_ledger_night(scene.client, prefix)
        await handle.pause(note="an operator looks into it")
        await ensure_ledger_night(scene.client, prefix)
        schedule = (await handle.describe()).schedule
        assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert (schedule.state.paused, schedule.state.note) == (True, "an operator looks into it")
    finally:
        await handle.delete()
