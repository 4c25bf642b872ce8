"""Gathers everything that is on record of one job. Reads only."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pymongo.asynchronous.database import AsyncDatabase

from app.camel import CamelModel
from app.documents import utcnow
from app.jobs import archive

Database = AsyncDatabase[dict[str, Any]]
Row = dict[str, Any]

MAX_ROWS = 2_000  # of each kind; a job with more is shown its first ones

# No addresses, no words, no secrets.
_NOTICE = {"template": 1, "userId": 1, "createdAt": 1, "attempts": 1, "deadAt": 1, "kind": 1}
_NOTIFICATION = {"type": 1, "userId": 1, "createdAt": 1, "readAt": 1}


class JobRecord(CamelModel):
    """The rows as stored, each list in no order."""

    job: Row
    offers: list[Row] = Field(default_factory=list)
    rankings: list[Row] = Field(default_factory=list)
    reviews: list[Row] = Field(default_factory=list)
    transactions: list[Row] = Field(default_factory=list)
    evidence: list[Row] = Field(default_factory=list)
    time_entries: list[Row] = Field(default_factory=list)
    timers: list[Row] = Field(default_factory=list)
    undelivered: list[Row] = Field(
        default_factory=list
    )  # notices that are still to be sent, or were given up
    notifications: list[Row] = Field(default_factory=list)
    mailed: list[Row] = Field(default_factory=list)  # which notices' mails were taken by the mail server


async def gather(database: Database, job_id: str) -> JobRecord:
    """All that is on record of a job.

    Raises:
        JobNotFoundError: there is no such job.
    """
    whole = await archive.gather(database, job_id, at=utcnow())
    of_job = {"jobId": job_id}
    notifications = await _rows(database, "notifications", of_job, _NOTIFICATION)
    return JobRecord(
        job=whole["job"],
        offers=whole["offers"],
        rankings=whole["rankings"],
        reviews=whole["reviews"],
        transactions=whole["transactions"],
        evidence=await _rows(database, "dispute_evidence", of_job),
        time_entries=await _rows(database, "time_entries", of_job),
        timers=await _rows(database, "running_timers", of_job),
        undelivered=await _rows(database, "outbox", of_job, _NOTICE),
        notifications=notifications,
        mailed=await _rows(
            database, "mail_deliveries", {"_id": {"$in": [row["_id"] for row in notifications]}}
        ),
    )


async def _rows(
    database: Database, collection: str, query: Row, projection: dict[str, int] | None = None
) -> list[Row]:
    return await database[collection].find(query, projection).sort("_id", 1).limit(MAX_ROWS).to_list()
