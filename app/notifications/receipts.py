"""`mail_deliveries`: which mails the mail server has taken, so that none of them is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from app.documents import utcnow
from app.notifications.outbox import raise_unless_duplicates


class Receipts:
    """Writes each receipt at once, together with those that came in while the last write was under way.

    What the store has not taken is kept, and written when it is back, as long as the process lives.
    """

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._deliveries = database["mail_deliveries"]
        self._unwritten: set[str] = set()
        self._writing = asyncio.Lock()

    async def add(self, key: str) -> None:
        """The mail server has taken this mail; the receipt is stored when this returns."""
        self._unwritten.add(key)
        await self.flush()

    async def flush(self) -> None:
        """Write what is not written.

        Raises:
            pymongo.errors.PyMongoError: the store failed; it is written by the next `flush`.
        """
        async with self._writing:
            keys = sorted(self._unwritten)
            if not keys:
                return
            now = utcnow()
            try:
                await self._deliveries.insert_many(
                    [{"_id": key, "sentAt": now} for key in keys], ordered=False
                )
            except BulkWriteError as error:
                raise_unless_duplicates(error)
            self._unwritten.difference_update(keys)

    async def among(self, keys: Collection[str]) -> set[str]:
        """Those of the keys whose mail was sent."""
        if not keys:
            return set()
        found = await self._deliveries.find({"_id": {"$in": list(keys)}}, {"_id": 1}).to_list()
        return {receipt["_id"] for receipt in found}
