"""A job's whole record as one JSON object, and the note on the job that it is archived.

Everything is found by `_id` or by a unique key: the journal's rows by the keys of the job's acts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import orjson
from pymongo.asynchronous.database import AsyncDatabase

from app.jobs.closing import Note, append_note
from app.jobs.models import offer_id, ranking_id
from app.jobs.payouts import SETTLED, payout_of
from app.jobs.projection import JobNotFoundError
from app.lifecycle import CANCELLED, COMPLETION_DISPUTED, Action, Actor, Status
from app.money.effects import correction_id
from app.money.journal import ledger_collection
from app.money.keys import transfer_key
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
        "transactions": [row async for row in _transactions(database, job)],
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
    numbers = [accrual["number"] for accrual in job.get("accruals", [])]
    return all(payout_of(job, number).get("status") in SETTLED for number in numbers)


def is_disputed(job: Row) -> bool:
    """Whether a dispute over the completed job is open, so that its record is not the last word."""
    return bool(job["phase"] == COMPLETION_DISPUTED.phase.value and job["status"] == Status.COMPLETED.value)


async def mark_archived(
    database: Database,
    job_id: str,
    *,
    status: Status,
    at: datetime,
    correlation_id: str | None = None,
) -> None:
    """Move a completed job to its last phase; a cancelled one only gets the time. Repeatable."""
    if status is CANCELLED.status:
        await database["jobs"].update_one({"_id": job_id}, {"$set": {"archivedAt": at}})
        return
    note = Note(at=at, actor=Actor.SYSTEM, action=Action.ARCHIVE, correlation_id=correlation_id)
    await append_note(database, job_id, "archive", note, {"archivedAt": at})


async def _by_id(database: Database, collection: str, ids: list[str]) -> list[Row]:
    rows = [await database[collection].find_one({"_id": key}) for key in ids]
    return [row for row in rows if row is not None]


async def _transactions(database: Database, job: Row) -> AsyncIterator[Row]:
    """The journal's rows of a job: those that its process has made, in order; then the transfers of what was earned.

    Each with its corrections, which are made outside the process and under keys of their own.
    """
    rows = ledger_collection(database)
    payouts = [transfer_key(job["_id"], accrual["number"]) for accrual in job.get("accruals", [])]
    for key in [*job.get("ledgerKeys", []), *payouts]:
        row = await rows.find_one({"key": key})
        number = 0
        while row:
            yield row
            corrects = row["_id"] if not number else row["corrects"]
            number += 1
            row = await rows.find_one({"correctionId": correction_id(corrects, number)})
