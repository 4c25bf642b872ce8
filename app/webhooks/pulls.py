"""How far events have been pulled from Stripe's own list: one cursor for each account.

A pull goes back in time from its end to where the last one ended, page by page. Each page is noted, so a pull that was
broken off goes on where it was; and each note names the one before, so of two at once only one moves the cursor.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.webhooks.models import EventPull

COLLECTION = "webhook_pulls"
STRIPE_KEEPS = timedelta(days=30)
Database = AsyncDatabase[dict[str, Any]]


async def begin(database: Database, owner: str, *, at: datetime, until: datetime) -> EventPull:
    """The pull under way, or a new one that ends at `until`. Nothing is older than what Stripe keeps."""
    oldest = at - STRIPE_KEEPS
    new = EventPull(id=owner, pulled_to=oldest).model_dump(by_alias=True)
    await database[COLLECTION].update_one({"_id": owner}, {"$setOnInsert": new}, upsert=True)
    begun = await _read(database, owner)
    if begun.until is None:
        await _move(database, begun, until=max(until, begun.pulled_to))
        begun = await _read(database, owner)
    begun.pulled_to = max(begun.pulled_to, oldest)
    return begun


async def pulled_to(database: Database, owner: str) -> datetime | None:
    """Where the last pull ended; None if there was none, or one is under way."""
    found = await database[COLLECTION].find_one({"_id": owner})
    return None if found is None or found["until"] is not None else found["pulledTo"]


async def note_page(database: Database, pull: EventPull, after: str) -> None:
    """A page is in the inbox, down to this event."""
    await _move(database, pull, until=pull.until, after=after)


async def note_end(database: Database, pull: EventPull) -> None:
    """The last page is in the inbox."""
    await _move(database, pull, pulled_to=pull.until)


async def begin_again(database: Database, pull: EventPull) -> None:
    """Stripe has forgotten the event that the next page would come after."""
    await _move(database, pull)


async def _read(database: Database, owner: str) -> EventPull:
    found: EventPull = EventPull.model_validate(await database[COLLECTION].find_one({"_id": owner}))
    return found


async def _move(
    database: Database,
    pull: EventPull,
    *,
    pulled_to: datetime | None = None,
    until: datetime | None = None,
    after: str | None = None,
) -> None:
    fields: dict[str, Any] = {"until": until, "after": after}
    if pulled_to is not None:
        fields["pulledTo"] = pulled_to
    before = {"_id": pull.id, "until": pull.until, "after": pull.after}
    await database[COLLECTION].update_one(before, {"$set": fields})
