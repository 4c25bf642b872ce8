"""The inbox of events: each once, whatever Stripe repeats. Every write is by the event's id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.webhooks.models import EventFacts, EventStatus, WebhookEvent

COLLECTION = "webhook_events"
LIFETIME_DAYS = 90
_STUCK = timedelta(minutes=5)
Database = AsyncDatabase[dict[str, Any]]


async def take_in(
    database: Database, facts: EventFacts, endpoint: str, *, ignored: str | None = None
) -> EventStatus:
    """Keep an event, and say where it is: `received` also if it came before and was not handed on then.

    `ignored` is why nothing follows from it.

    Raises:
        pymongo.errors.PyMongoError: the store failed; Stripe shall send it again.
    """
    event = WebhookEvent(
        id=facts.id,
        type=facts.type,
        endpoint=endpoint,
        facts=facts,
        status=EventStatus.IGNORED if ignored else EventStatus.RECEIVED,
        reason=ignored,
    )
    events = database[COLLECTION]
    try:
        await events.insert_one(event.model_dump(by_alias=True))
    except DuplicateKeyError:
        known = await events.find_one_and_update({"_id": facts.id}, {"$inc": {"deliveries": 1}})
        return EventStatus(known["status"]) if known else EventStatus.RECEIVED
    return event.status


async def mark_handed(database: Database, event_id: str) -> None:
    """Temporal has it. One that is handled already stays so."""
    await database[COLLECTION].update_one(
        {"_id": event_id, "status": EventStatus.RECEIVED.value},
        {"$set": {"status": EventStatus.HANDED.value, "handedAt": utcnow()}},
    )


async def mark_handled(database: Database, event_ids: Sequence[str]) -> None:
    """What they may have changed was read and settled."""
    for event_id in event_ids:
        await database[COLLECTION].update_one(
            {"_id": event_id}, {"$set": {"status": EventStatus.HANDLED.value, "handledAt": utcnow()}}
        )


async def mark_ignored(database: Database, event_id: str, reason: str) -> None:
    """Nothing follows from it."""
    await database[COLLECTION].update_one(
        {"_id": event_id}, {"$set": {"status": EventStatus.IGNORED.value, "reason": reason}}
    )


async def stuck(database: Database, *, at: datetime) -> AsyncIterator[WebhookEvent]:
    """Events that were kept but never handed on: the process died, or Temporal was away."""
    query = {"status": EventStatus.RECEIVED.value, "receivedAt": {"$lt": at - _STUCK}}
    async for document in database[COLLECTION].find(query):
        yield WebhookEvent.model_validate(document)


async def purge_expired(database: Database, *, at: datetime) -> int:
    """Remove what is older than Stripe's own memory by far; how many."""
    gone = await database[COLLECTION].delete_many({"receivedAt": {"$lt": at - timedelta(days=LIFETIME_DAYS)}})
    return gone.deleted_count
