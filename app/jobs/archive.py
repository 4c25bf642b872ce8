"""A job's whole record as one JSON object, and the note on the job that it is archived.

Everything is found by `_id` or by a unique key: the journal's rows by the keys of the job's acts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import orjson
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from app.jobs.change import TimelineEntry
from app.jobs.closing import append_entry
from app.jobs.models import offer_id, ranking_id
from app.jobs.payouts import SETTLED
from app.jobs.projection import JobNotFoundError
from app.lifecycle import ARCHIVED, CANCELLED, RATING, Action, Actor, Status, cell_for
from app.money.effects import correction_id
from app.money.journal import ledger_collection
from app.money.keys import accrue_key, hold_key, transfer_key
from app.reviews.models import review_id

Database = AsyncDatabase[dict[str, Any]]
Row = dict[str, Any]

FORMAT_VERSION = 1


def archive_key(job_id: str) -> str:
    """The object's key in the archive bucket."""
    return f"jobs/{job_id}/archive.json"


async def gather(database: Database, job_id: str, *, at: datetime) -> Row:
    """The job with its timeline and files, its offers, rankings, reviews and journal rows.

    Raises:
        JobNotFoundError: there is no such job.
    """
    job = await database["jobs"].find_one({"_id": job_id})
    if job is None:
        raise JobNotFoundError(job_id)
    offers = [offer_id(job_id, number) for number in range(1, job.get("offerNumber", 0) + 1)]
    rankings = [ranking_id(job_id, number) for number in range(1, job.get("round", 0) + 1)]
    reviews = [review_id(job_id, side) for side in (Actor.CLIENT, Actor.WORKER)]
    return {
        "version": FORMAT_VERSION,
        "archivedAt": at,
        "job": job,
        "files": job.get("files", []),
        "offers": await _by_id(database, "offers", offers),
        "rankings": await _by_id(database, "rankings", rankings),
        "reviews": await _by_id(database, "reviews", reviews),
        "transactions": [row async for row in _transactions(database, job_id)],
    }


def encode(record: Row) -> bytes:
    """The record as JSON: sorted keys, UTC times, no trace of the store's own types."""
    return orjson.dumps(
        record,
        default=str,
        option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
    )


def is_settled(job: Row) -> bool:
    """Whether no money of the job is on its way any more."""
    if job["status"] != Status.COMPLETED.value:
        return True
    payout = job.get("payout") or {}
    return payout.get("status") in SETTLED


async def mark_archived(
    database: Database,
    job_id: str,
    *,
    status: Status,
    seq: int,
    at: datetime,
    correlation_id: str | None = None,
) -> None:
    """Move a completed job to its last phase, with entry `seq`; a cancelled one only gets the time. Repeatable."""
    if status is CANCELLED.status:
        await database["jobs"].update_one({"_id": job_id}, {"$set": {"archivedAt": at}})
        return
    cell = cell_for(RATING, Action.ARCHIVE, Actor.SYSTEM)
    entry = TimelineEntry(
        seq=seq,
        at=at,
        actor=cell.actor,
        action=cell.action,
        status=cell.to.status,
        phase=cell.to.phase,
        correlation_id=correlation_id,
    )
    fields = {"status": ARCHIVED.status.value, "phase": ARCHIVED.phase.value, "archivedAt": at}
    await append_entry(database, job_id, entry, fields)


async def _by_id(database: Database, collection: str, ids: list[str]) -> list[Row]:
    rows = [await database[collection].find_one({"_id": key}) for key in ids]
    return [row for row in rows if row is not None]


async def _transactions(database: Database, job_id: str) -> AsyncIterator[Row]:
    """The journal's rows of a job: holds, accruals and transfers by number, each with all that came of it."""
    rows = ledger_collection(database)
    for key in (hold_key, accrue_key, transfer_key):
        number = 0
        while row := await rows.find_one({"key": key(job_id, number := number + 1)}):
            async for each in _with_its_ends(rows, row):
                yield each


async def _with_its_ends(rows: AsyncCollection[Row], row: Row) -> AsyncIterator[Row]:
    """A row and its corrections; a hold, then, with its end, which may hold again."""
    yield row
    number = 0
    while correction := await rows.find_one(
        {"correctionId": correction_id(row["_id"], number := number + 1)}
    ):
        yield correction
    if "hold" in row and (end := await rows.find_one({"resolvesHold": row["key"]})):
        async for each in _with_its_ends(rows, end):
            yield each
