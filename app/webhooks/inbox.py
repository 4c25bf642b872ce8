"""The inbox of events: each once, whatever Stripe repeats. Every write is by the event's id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.webhooks.models import EventFacts, EventStatus, WebhookEndpoint, WebhookEvent
from app.webhooks.types import Concern, concern_of, why_ignored

COLLECTION = "webhook_events"
LIFETIME_DAYS = 90
_STUCK = timedelta(minutes=5)
_UNHANDLED = timedelta(minutes=30)  # the work on an event takes seconds; an outage, as long as it lasts
Database = AsyncDatabase[dict[str, Any]]


class Kept(NamedTuple):
    """Where an event is, and whether it came for the first time."""

    status: EventStatus
    is_new: bool


async def take_in(database: Database, facts: EventFacts, endpoint: WebhookEndpoint) -> Kept:
    """Keep an event, and say where it is: `received` also if it came before and was not handed on then.

    Raises:
        pymongo.errors.PyMongoError: the store failed; Stripe shall send it again.
    """
    ignored = _why_ignored(facts, endpoint)
    event = WebhookEvent(
        id=facts.id,
        type=facts.type,
        endpoint=endpoint.value,
        facts=facts,
        status=EventStatus.IGNORED if ignored else EventStatus.RECEIVED,
        reason=ignored,
    )
    events = database[COLLECTION]
    try:
        await events.insert_one(event.model_dump(by_alias=True))
    except DuplicateKeyError:
        known = await events.find_one_and_update({"_id": facts.id}, {"$inc": {"deliveries": 1}})
        status = EventStatus(known["status"]) if known else EventStatus.RECEIVED
        return Kept(status, is_new=False)
    return Kept(event.status, is_new=True)


def _why_ignored(facts: EventFacts, endpoint: WebhookEndpoint) -> str | None:
    """Why nothing follows from it, if so. What connected accounts sell is not ours."""
    concern = concern_of(facts.type)
    if concern is None:
        return why_ignored(facts.type)
    if concern is Concern.CLIENT and (facts.account or endpoint is not WebhookEndpoint.PLATFORM):
        return "of a connected account"
    return None


async def status_of(database: Database, event_id: str) -> EventStatus | None:
    """Where an event is; None: it never came."""
    known = await database[COLLECTION].find_one({"_id": event_id}, {"status": 1})
    return EventStatus(known["status"]) if known else None


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


async def unhandled(database: Database, *, at: datetime) -> AsyncIterator[WebhookEvent]:
    """Events that Temporal had, and that nothing came of for long: their workflow was ended from outside, or failed."""
    query = {"status": EventStatus.HANDED.value, "handedAt": {"$lt": at - _UNHANDLED}}
    async for document in database[COLLECTION].find(query):
        yield WebhookEvent.model_validate(document)


async def mark_handed_again(database: Database, event_id: str) -> None:
    """Temporal has it once more. One that is handled meanwhile stays so."""
    await database[COLLECTION].update_one(
        {"_id": event_id, "status": EventStatus.HANDED.value},
        {"$set": {"handedAt": utcnow()}, "$inc": {"retries": 1}},
    )


async def purge_expired(database: Database, *, at: datetime) -> int:
    """Remove what is older than Stripe's own memory by far, unless it is still to be handled; how many."""
    settled = {"$in": [EventStatus.HANDLED.value, EventStatus.IGNORED.value]}
    gone = await database[COLLECTION].delete_many(
        {"status": settled, "receivedAt": {"$lt": at - timedelta(days=LIFETIME_DAYS)}}
    )
    return gone.deleted_count
