"""The outbox: a state change writes the fact here, beside its own write; the dispatcher delivers it later.

Nothing here talks to Temporal, so a notice adds no event to a job's history. A row is named by the business
act that caused it; writing it twice leaves one row, and writing it again after its delivery changes nothing
that a person sees (the notification and the mail record carry the same key).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from app.documents import utcnow
from app.notifications.models import Row
from app.notifications.notices import Context, MailType, OutboxEntry

OUTBOX = "outbox"
DUPLICATE_KEY = 11000
_EPOCH = datetime.fromtimestamp(0, UTC)


async def enqueue(database: AsyncDatabase[dict[str, Any]], entries: Sequence[OutboxEntry]) -> None:
    """Write the entries in one round trip. Repeatable: an entry already there is left as it is.

    Raises:
        pymongo.errors.PyMongoError: the store failed; some entries may be written, so call again.
    """
    if not entries:
        return
    now = utcnow()
    try:
        await database[OUTBOX].insert_many([_row(entry, now) for entry in entries], ordered=False)
    except BulkWriteError as error:
        raise_unless_duplicates(error)


def raise_unless_duplicates(error: BulkWriteError) -> set[int]:
    """The positions that were there already, in an unordered insert that failed for nothing else.

    Raises:
        pymongo.errors.BulkWriteError: something else was wrong.
    """
    faults = (error.details or {}).get("writeErrors", [])
    if any(fault.get("code") != DUPLICATE_KEY for fault in faults) or not faults:
        raise error
    return {int(fault["index"]) for fault in faults}


async def enqueue_mail(
    database: AsyncDatabase[dict[str, Any]],
    *,
    key: str,
    to: str,
    template: MailType,
    context: Context,
    correlation_id: str | None = None,
) -> None:
    """Queue a mail without a notification, as `verify-email:<userId>:<n>`. Repeatable by its key.

    A secret in the context (a verification token) lives in the outbox row until the mail is sent or given up,
    and nowhere else; it is never logged.

    Raises:
        pydantic.ValidationError: the key is not one.
        pymongo.errors.PyMongoError: the store failed; call again.
    """
    entry = OutboxEntry(
        key=key, kind="mail", template=template, to=to, context=context, correlation_id=correlation_id
    )
    await enqueue(database, [entry])


async def dead_letters(database: AsyncDatabase[dict[str, Any]], *, limit: int = 100) -> list[Row]:
    """The rows given up on, newest first, without addresses and contexts."""
    cursor = database[OUTBOX].find({"deadAt": {"$ne": None}}, {"to": 0, "context": 0})
    return await cursor.sort("deadAt", -1).limit(limit).to_list()


async def revive(database: AsyncDatabase[dict[str, Any]], key: str) -> bool:
    """Give a dead row its attempts back. False when there is none, or its secret was wiped when it died."""
    result = await database[OUTBOX].update_one(
        {"_id": key, "deadAt": {"$ne": None}, "wiped": {"$ne": True}},
        {"$set": {"deadAt": None, "attempts": 0, "notBefore": utcnow(), "leaseUntil": _EPOCH}},
    )
    return result.modified_count == 1


def _row(entry: OutboxEntry, now: datetime) -> Row:
    return {
        "_id": entry.key,
        "kind": entry.kind,
        "template": entry.template,
        "userId": entry.user_id,
        "to": entry.to,
        "jobId": entry.job_id,
        "correlationId": entry.correlation_id,
        "context": entry.context,
        "createdAt": entry.created_at or now,
        "attempts": 0,
        "notBefore": now,
        "leaseUntil": _EPOCH,
        "leaseOwner": None,
        "lastError": None,
        "deadAt": None,
    }
