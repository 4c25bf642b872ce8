"""A person's notifications: marking them as read. Whose they are is part of every query."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.errors import NotFoundError


class NotificationStore:
    """Changes only `read` and `readAt`; the dispatcher writes the rest."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._notifications = database["notifications"]

    async def mark_read(self, user_id: str, notification_id: str) -> dict[str, Any]:
        """The notification, read. The first time counts; a repeat changes nothing.

        Raises:
            NotFoundError: there is none, or it is another's.
        """
        own = {"_id": notification_id, "userId": user_id}
        await self._notifications.update_one(
            own | {"read": False}, {"$set": {"read": True, "readAt": utcnow()}}
        )
        found = await self._notifications.find_one(own)
        if found is None:
            raise NotFoundError("There is no such notification.")
        return found

    async def mark_all_read(self, user_id: str) -> int:
        """Mark all that are unread; returns how many were."""
        result = await self._notifications.update_many(
            {"userId": user_id, "read": False}, {"$set": {"read": True, "readAt": utcnow()}}
        )
        return result.modified_count
