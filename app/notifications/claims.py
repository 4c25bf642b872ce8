"""Rows of the outbox in the hands of one dispatcher: taken by a lease, many at a time, then let go."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import structlog
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.notifications.catalogue import holds_secret
from app.notifications.models import Row
from app.notifications.outbox import OUTBOX

_LONGEST_BACKOFF = timedelta(minutes=30)

log = structlog.stdlib.get_logger(__name__)


class Claims:
    """Every write to the outbox that a dispatcher makes; to a row, only while the row is its own."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        lease: timedelta,
        max_attempts: int,
        first_backoff: timedelta,
    ) -> None:
        self._outbox = database[OUTBOX]
        self._lease = lease
        self._max_attempts = max_attempts
        self._first_backoff = first_backoff
        self._owner = secrets.token_hex(8)

    async def take(self, limit: int) -> list[Row]:
        """Lease rows that are due, the oldest first. Of several dispatchers, one gets a row."""
        now = utcnow()
        due = {"deadAt": None, "notBefore": {"$lte": now}, "leaseUntil": {"$lte": now}}
        rows: list[Row] = await self._outbox.find(due).sort("createdAt", 1).limit(limit).to_list()
        if not rows:
            return []
        keys = [row["_id"] for row in rows]
        leased = await self._outbox.update_many(
            due | {"_id": {"$in": keys}},
            {"$set": {"leaseUntil": now + self._lease, "leaseOwner": self._owner}, "$inc": {"attempts": 1}},
        )
        if leased.modified_count == len(rows):
            return [row | {"attempts": row["attempts"] + 1} for row in rows]
        # Others were quicker with some: what is ours is what says so. An older lease of ours has run out.
        ours = {"_id": {"$in": keys}, "leaseOwner": self._owner, "leaseUntil": {"$gt": now}}
        return await self._outbox.find(ours).sort("createdAt", 1).to_list()

    async def delivered(self, keys: Collection[str]) -> None:
        """Take rows out. They need not be ours any more: what was delivered is delivered."""
        if keys:
            await self._outbox.delete_many({"_id": {"$in": list(keys)}})

    async def give_back(self, keys: Sequence[str]) -> None:
        """End the leases at once, as if the rows had not been taken: nothing was tried."""
        if keys:
            await self._outbox.update_many(
                {"_id": {"$in": list(keys)}, "leaseOwner": self._owner},
                {"$set": {"leaseUntil": utcnow(), "leaseOwner": None}, "$inc": {"attempts": -1}},
            )

    async def put_back(self, row: Row, reason: str) -> None:
        """Try again later, and later still each time; give up when there have been enough attempts."""
        if row["attempts"] >= self._max_attempts:
            await self.give_up(row, reason)
            return
        wait = min(self._first_backoff * 2 ** (row["attempts"] - 1), _LONGEST_BACKOFF)
        now = utcnow()
        await self._outbox.update_one(
            {"_id": row["_id"], "leaseOwner": self._owner},
            {"$set": {"leaseUntil": now, "leaseOwner": None, "notBefore": now + wait, "lastError": reason}},
        )
        log.info(
            "outbox.put_back",
            key=row["_id"],
            template=row["template"],
            reason=reason,
            attempt=row["attempts"],
        )

    async def give_up(self, row: Row, reason: str) -> None:
        """Leave the row where an admin sees it, without its token if it had one."""
        now = utcnow()
        fields: Row = {"deadAt": now, "leaseUntil": now, "leaseOwner": None, "lastError": reason}
        if holds_secret(row["template"]):
            fields |= {"context": {}, "to": None, "wiped": True}
        await self._outbox.update_one({"_id": row["_id"], "leaseOwner": self._owner}, {"$set": fields})
        log.error("outbox.dead_letter", key=row["_id"], template=row["template"], reason=reason)
