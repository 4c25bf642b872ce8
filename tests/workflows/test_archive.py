"""The whole record of a finished job goes into one object; a held payout completes it later."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest_asyncio
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.archive import ArchiveActivities
from app.documents import utcnow
from app.gateways.storage import Storage, StorageUnavailableError
from app.jobs.archive import gather
from app.jobs.models import offer_id, ranking_id
from app.jobs.payouts import PayoutStatus, record_payout
from app.lifecycle import Phase, Status
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.journal import ensure_indexes
from app.money.keys import (
    accrue_key,
    complete_key,
    hold_key,
    period_grant_key,
    refund_key,
    release_key,
    transfer_key,
)
from app.settings import Settings
from devstack.stack import Stack
from tests.conftest import Database
from tests.support.time_skipping import skipping_server
from tests.support.timers import near
from tests.workflows.followers_support import (
    PAY,
    insert_client,
    insert_job,
    insert_worker,
    job_of,
    unique_queue,
    until,
    worker,
)
from workflows.archive import ArchiveWorkflow
from workflows.contracts import ARCHIVE_WORKFLOW, STATE_QUERY, ArchiveInput, archive_workflow_id
from workflows.followers import PAYOUT_SETTLED_SIGNAL, ArchiveView

PRICE = 300  # hundredths of a credit


@dataclass
class Scene:
    """One finished job, the archive bucket, and a task queue."""

    env: WorkflowEnvironment
    database: Database
    settings: Settings
    storage: Storage
    queue: str
    client_id: str
    worker_id: str

    def worker(self, storage: Storage | None = None) -> AbstractAsyncContextManager[None]:
        own = ArchiveActivities(
            self.database, storage or self.storage, bucket=self.settings.s3_bucket_archive
        )
        return worker(self.env.client, self.queue, [ArchiveWorkflow], [own.write_archive, own.mark_archived])

    async def start(self, job_id: str, **given: Any) -> WorkflowHandle[Any, ArchiveView]:
        return await self.env.client.start_workflow(
            ARCHIVE_WORKFLOW,
            ArchiveInput(job_id=job_id, client_id=self.client_id, **given),
            id=archive_workflow_id(job_id),
            task_queue=self.queue,
            result_type=ArchiveView,
        )

    def read(self, key: str) -> dict[str, Any]:
        client = boto3.client(
            "s3",
            endpoint_url=self.settings.s3_endpoint_url,
            region_name=self.settings.s3_region,
            aws_access_key_id=self.settings.s3_access_key_id.get_secret_value(),
            aws_secret_access_key=self.settings.s3_secret_access_key.get_secret_value(),
        )
        try:
            with client.get_object(Bucket=self.settings.s3_bucket_archive, Key=key)["Body"] as body:
                record: dict[str, Any] = json.loads(body.read())
        finally:
            client.close()
        return record

    async def hold_and(self, job_id: str, *, completed: bool) -> None:
        """The job's credits: held, then spent or released."""
        credits_ = Credits(self.database)
        await credits_.hold(self.client_id, job_id, PRICE, key=hold_key(job_id))
        if completed:
            await credits_.resolve(
                self.client_id, hold_key(job_id), post=PRICE, release=0, key=complete_key(job_id)
            )
        else:
            await credits_.resolve(
                self.client_id, hold_key(job_id), post=0, release=PRICE, key=release_key(job_id)
            )


@pytest_asyncio.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with skipping_server() as environment:
        yield environment


@pytest_asyncio.fixture
async def scene(
    stack: Stack, settings: Settings, database: Database, time_skipping: WorkflowEnvironment
) -> AsyncIterator[Scene]:
    stack.require("s3")
    await ensure_indexes(database)
    client_id, worker_id = await insert_client(database), await insert_worker(database)
    await Credits(database).grant(
        client_id, 10 * PRICE, key=period_grant_key(client_id, "2026-11-01"), source="test"
    )
    storage = Storage(settings)
    yield Scene(time_skipping, database, settings, storage, unique_queue(), client_id, worker_id)
    storage.close()


async def test_a_completed_jobs_whole_record_is_written_and_noted(scene: Scene) -> None:
    database = scene.database
    payout = {"status": PayoutStatus.SENT, "stripe_transfer_id": "tr_1", "at": utcnow()}
    job_id = await insert_job(
        database,
        client_id=scene.client_id,
        worker_id=scene.worker_id,
        seq=9,
        offer_number=2,
        round=1,
        payout=payout,
    )
    await database["offers"].insert_many([{"_id": offer_id(job_id, n), "number": n} for n in (1, 2)])
    await database["rankings"].insert_one({"_id": ranking_id(job_id, 1), "at": utcnow()})
    await database["reviews"].insert_one({"_id": f"{job_id}:client", "rating": 5})
    await scene.hold_and(job_id, completed=True)
    earnings = Earnings(database)
    await earnings.accrue(scene.worker_id, job_id, PAY, key=accrue_key(job_id))
    await earnings.record_transfer(
        scene.worker_id, job_id, PAY, key=transfer_key(job_id), stripe_transfer_id="tr_1"
    )
    async with scene.worker():
        view = await (await scene.start(job_id)).result()
    assert (view.key, view.settled) == (f"jobs/{job_id}/archive.json", True)
    record = scene.read(view.key or "")
    assert record["job"]["description"] == "Draw a banner for the autumn sale."
    assert [offer["number"] for offer in record["offers"]] == [1, 2]
    assert [ranking["_id"] for ranking in record["rankings"]] == [f"{job_id}:1"]
    assert [review["rating"] for review in record["reviews"]] == [5]
    kinds = [row["kind"] for row in record["transactions"]]
    assert kinds == ["credit_hold", "hold_resolution", "worker_accrual", "worker_transfer"]
    job = await job_of(database, job_id)
    assert (job["status"], job["phase"], job["seq"]) == ("completed", "archived", 10)
    assert [entry["action"] for entry in job["timeline"][1:]] == ["archive"]
    assert job["archivedAt"] is not None


async def test_refunds_and_reversals_are_in_the_record(scene: Scene) -> None:
    """They are written under keys that the job's process knows nothing of."""
    job_id = await insert_job(scene.database, client_id=scene.client_id, worker_id=scene.worker_id)
    await scene.hold_and(job_id, completed=True)
    credits_, spent = Credits(scene.database), complete_key(job_id)
    for act in ("1", "2"):
        await credits_.refund(scene.client_id, spent, 20, key=refund_key(job_id, act), reason="test")
    record = await gather(scene.database, job_id, at=utcnow())
    assert [(row["kind"], row["amount"]) for row in record["transactions"]] == [
        ("credit_hold", PRICE),
        ("hold_resolution", PRICE),
        ("credit_refund", 20),
        ("credit_refund", 20),
    ]


async def test_a_record_is_completed_when_the_held_payout_is_sent(scene: Scene) -> None:
    job_id = await insert_job(scene.database, client_id=scene.client_id, worker_id=scene.worker_id)
    common: dict[str, Any] = {
        "job_id": job_id,
        "worker_id": scene.worker_id,
        "amount_usd_cents": PAY,
        "at": utcnow(),
    }
    await record_payout(scene.database, status=PayoutStatus.HELD, **common)
    async with scene.worker():
        handle = await scene.start(job_id)

        async def archived() -> bool:
            return bool((await job_of(scene.database, job_id))["phase"] == "archived")

        await until(archived)
        key = f"jobs/{job_id}/archive.json"
        assert scene.read(key)["job"]["payout"]["status"] == "held"
        await record_payout(scene.database, status=PayoutStatus.SENT, stripe_transfer_id="tr_2", **common)
        await handle.signal(PAYOUT_SETTLED_SIGNAL)
        assert (await handle.result()).settled
    assert scene.read(key)["job"]["payout"]["stripeTransferId"] == "tr_2"
    assert len((await job_of(scene.database, job_id))["timeline"]) == 2


async def test_a_lost_signal_is_made_up_for_by_the_timer(scene: Scene) -> None:
    job_id = await insert_job(scene.database, client_id=scene.client_id, worker_id=scene.worker_id)
    async with scene.worker():
        handle = await scene.start(job_id)
        await scene.env.sleep(5 * 86_400)
        await record_payout(
            scene.database,
            job_id=job_id,
            worker_id=scene.worker_id,
            amount_usd_cents=PAY,
            status=PayoutStatus.SENT,
            stripe_transfer_id="tr_3",
            at=utcnow(),
        )
        assert (await handle.result()).settled
    assert scene.read(f"jobs/{job_id}/archive.json")["job"]["payout"]["stripeTransferId"] == "tr_3"


async def test_a_payout_held_for_many_runs_is_waited_for_in_each(scene: Scene) -> None:
    """The limit of a history lowered: the job is archived once, and its record completed when the pay is sent."""
    job_id = await insert_job(scene.database, client_id=scene.client_id, worker_id=scene.worker_id)
    async with scene.worker():
        handle = await scene.start(job_id, history_limit=20)
        await scene.env.sleep(9 * 86_400)
        latest: Any = scene.env.client.get_workflow_handle(handle.id)
        view = await latest.query(STATE_QUERY, result_type=ArchiveView)
        assert view.runs >= 3
        assert (view.key, view.settled) == (f"jobs/{job_id}/archive.json", False)
        assert near(view.archived_at, (await job_of(scene.database, job_id))["archivedAt"])
        await record_payout(
            scene.database,
            job_id=job_id,
            worker_id=scene.worker_id,
            amount_usd_cents=PAY,
            status=PayoutStatus.SENT,
            at=utcnow(),
            stripe_transfer_id="tr_4",
        )
        await latest.signal(PAYOUT_SETTLED_SIGNAL)
        result = await handle.result()
    assert (result.settled, result.archived_at) == (True, view.archived_at)
    assert scene.read(view.key or "")["job"]["payout"]["stripeTransferId"] == "tr_4"
    assert len((await job_of(scene.database, job_id))["timeline"]) == 2


async def test_a_cancelled_job_keeps_its_state(scene: Scene) -> None:
    job_id = await insert_job(
        scene.database, client_id=scene.client_id, status=Status.CANCELLED, phase=Phase.CLOSED, seq=4
    )
    await scene.hold_and(job_id, completed=False)
    async with scene.worker():
        view = await (await scene.start(job_id)).result()
    assert view.settled
    kinds = [row["kind"] for row in scene.read(view.key or "")["transactions"]]
    assert kinds == ["credit_hold", "hold_resolution"]
    job = await job_of(scene.database, job_id)
    assert (job["status"], job["phase"], job["seq"]) == ("cancelled", "closed", 4)
    assert len(job["timeline"]) == 1
    assert job["archivedAt"] is not None


class _FailsOnce(Storage):
    """The store takes the object, and the answer is lost."""

    failures = 1

    async def put_object(self, *args: Any, **kwargs: Any) -> str:
        etag = await super().put_object(*args, **kwargs)
        if self.failures:
            self.failures -= 1
            raise StorageUnavailableError("no storage: lost answer")
        return etag


async def test_a_failing_store_delays_the_archive_and_doubles_nothing(scene: Scene) -> None:
    payout = {"status": PayoutStatus.NOT_DUE, "at": utcnow()}
    job_id = await insert_job(
        scene.database, client_id=scene.client_id, worker_id=scene.worker_id, payout=payout
    )
    storage = _FailsOnce(scene.settings)
    try:
        async with scene.worker(storage):
            assert (await (await scene.start(job_id)).result()).settled
    finally:
        storage.close()
    assert storage.failures == 0
    assert [entry["seq"] for entry in (await job_of(scene.database, job_id))["timeline"]] == [1, 2]
