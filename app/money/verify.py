"""`nimmit ledger verify`: read the whole journal and say what disagrees. It writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Mapping
from datetime import timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.lifecycle import Status
from app.money.audit import Audit, Check, Discrepancy, Hint, OpenHold
from app.money.journal import HINTS, ledger_collection

Row = dict[str, Any]

_BREATH = 200  # rows after which others get their turn
_BATCH = 500  # rows that the server sends at once; left to itself it sends 16 MB
_ENDED = frozenset({Status.COMPLETED.value, Status.CANCELLED.value})
_GRACE = timedelta(minutes=10)  # a job is told that its hold has ended after it has


async def audit(
    database: AsyncDatabase[Row],
    *,
    heads: Mapping[str, Hint] | None = None,
    progress: Callable[[], None] | None = None,
) -> Audit:
    """Audit every row, streamed in the order of `_id`, which is the order of writing within each book, then every key.

    `heads` are those stored outside the database; `progress` is called now and then. Rows written meanwhile may or
    may not be seen; either way each book is read up to some true moment of it.
    """
    hints = {
        str(hint["_id"]): Hint(int(hint["seq"]), str(hint["hash"]))
        async for hint in database.get_collection(HINTS).find()
    }
    result = Audit(hints, heads or {})
    rows = ledger_collection(database)
    await _each(rows.find().sort("_id", 1).batch_size(_BATCH), result.add, progress)
    keys = rows.find({}, {"key": 1, "book": 1}).sort("key", 1).batch_size(_BATCH)
    await _each(keys, result.add_key, progress)
    result.finish()
    return result


async def _each(
    rows: AsyncIterable[Row], look: Callable[[Row], None], progress: Callable[[], None] | None
) -> None:
    """Look at each row, and let others have their turn now and then."""
    number = 0
    async for row in rows:
        look(row)
        number += 1
        if number % _BREATH == 0:
            await asyncio.sleep(0)
            if progress:
                progress()


async def verify(database: AsyncDatabase[Row]) -> list[Discrepancy]:
    """Everything that disagrees in the journal; empty when the books are sound."""
    return (await audit(database)).discrepancies


async def open_holds(database: AsyncDatabase[Row]) -> list[OpenHold]:
    """Every hold that nothing has resolved yet."""
    return (await audit(database)).open_holds


async def compare_with_jobs(database: AsyncDatabase[Row], holds: list[OpenHold]) -> list[Discrepancy]:
    """Open holds whose job cannot have them, and running jobs that say they hold what nobody holds.

    What moved since the holds were read is looked at again before it is reported.
    """
    faults = [await _fault_of(database, hold) for hold in holds]
    found = [fault for fault in faults if fault]
    holding = {hold.job_id for hold in holds}
    query = {"heldCredits": {"$gt": 0}, "status": {"$nin": sorted(_ENDED)}}
    async for job in database["jobs"].find(query, {"clientId": 1, "heldCredits": 1}):
        if job["_id"] not in holding and await _holds_nothing(database, job["_id"]):
            detail = f"job {job['_id']} says that {job['heldCredits']} are held, and none are"
            found.append(Discrepancy(Check.JOB, f"client:{job['clientId']}", None, detail))
    return found


async def _fault_of(database: AsyncDatabase[Row], hold: OpenHold) -> Discrepancy | None:
    job = await database["jobs"].find_one({"_id": hold.job_id}, {"clientId": 1, "status": 1})
    if job is None:
        fault = "there is no such job"
    elif job["clientId"] != hold.client_id:
        fault = "the job is another client's"
    elif job["status"] in _ENDED:
        fault = f"the job is {job['status']}"
    else:
        return None
    if await ledger_collection(database).find_one({"resolvesHold": hold.hold_key}):
        return None
    detail = f"{hold.hold_key} holds {hold.amount} for job {hold.job_id}: {fault}"
    return Discrepancy(Check.JOB, f"client:{hold.client_id}", hold.transaction_id, detail)


async def _holds_nothing(database: AsyncDatabase[Row], job_id: str) -> bool:
    """Whether no hold was ever made for the job, or its money last moved so long ago that the job should know."""
    last = await ledger_collection(database).find({"jobId": job_id}).sort("createdAt", -1).limit(1).to_list()
    return not last or bool(utcnow() - last[0]["createdAt"] > _GRACE)
