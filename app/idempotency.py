"""Answers kept by `Idempotency-Key`, so that repeating a request that creates something creates it once.

A record is inserted before the work, under the caller's key, with the id that the new thing will have. Whoever
finds it unfinished and old takes it over and runs the work again with the same id: the first attempt crashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import CamelDocument, utcnow
from app.errors import DomainError
from app.ids import new_id

LIFETIME = timedelta(hours=48)
COLLECTION = "idempotency_keys"


class IdempotencyKey(CamelDocument):
    """One request by its key. `status` and `body` are its answer, once it has one."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # scope, route and key in place of an ObjectId
    request_hash: str
    resource_id: str
    attempt: int = 1
    attempt_at: datetime
    status: int | None = None
    body: str | None = None
    expires_at: datetime

    class Settings:
        name = COLLECTION
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("expiresAt", ASCENDING)])]


DOCUMENTS: list[type[Document]] = [IdempotencyKey]


class IdempotencyKeyReusedError(DomainError):
    """The key was used for another request."""

    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another body; use a new key for a new request.")


class RequestInProgressError(DomainError):
    """The first request with this key has no answer yet."""

    code = "request-in-progress"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("A request with this Idempotency-Key is being worked on; repeat it in a moment.")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Begun:
    """This attempt is to do the work, under this id."""

    key: str
    resource_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The work was done; this is what was answered."""

    status: int
    body: str


class IdempotencyStore:
    """Reads and writes of `idempotency_keys`, each by `_id`."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, takeover_seconds: float) -> None:
        self._keys = database[COLLECTION]
        self._takeover = timedelta(seconds=takeover_seconds)

    async def begin(self, key: str, request_hash: str) -> Begun | Answered:
        """Claim the key, or say what was answered under it.

        Raises:
            IdempotencyKeyReusedError: it stands for another request.
            RequestInProgressError: another attempt is at it, and not for long enough to have crashed.
        """
        now = utcnow()
        resource_id = new_id()
        try:
            await self._keys.insert_one(
                {
                    "_id": key,
                    "requestHash": request_hash,
                    "resourceId": resource_id,
                    "attempt": 1,
                    "attemptAt": now,
                    "status": None,
                    "body": None,
                    "expiresAt": now + LIFETIME,
                }
            )
        except DuplicateKeyError:
            return await self._begin_again(key, request_hash, now)
        return Begun(key, resource_id, attempt=1)

    async def _begin_again(self, key: str, request_hash: str, now: datetime) -> Begun | Answered:
        record = await self._keys.find_one({"_id": key})
        if record is None or record["expiresAt"] <= now:
            await self._keys.delete_one({"_id": key, "expiresAt": {"$lte": now}})
            return await self.begin(key, request_hash)
        if record["requestHash"] != request_hash:
            raise IdempotencyKeyReusedError
        if record["status"] is not None:
            return Answered(record["status"], record["body"])
        if now - record["attemptAt"] < self._takeover:
            raise RequestInProgressError(retry_after_seconds=1)
        claimed = await self._keys.update_one(
            {"_id": key, "attempt": record["attempt"]}, {"$inc": {"attempt": 1}, "$set": {"attemptAt": now}}
        )
        if claimed.modified_count == 0:
            raise RequestInProgressError(retry_after_seconds=1)
        return Begun(key, record["resourceId"], attempt=record["attempt"] + 1)

    async def finish(self, begun: Begun, *, status: int, body: str) -> None:
        """Keep the answer. An attempt that was taken over and still finishes keeps the same one."""
        await self._keys.update_one({"_id": begun.key}, {"$set": {"status": status, "body": body}})

    async def forget(self, begun: Begun) -> None:
        """The work was refused and nothing was changed: the key is free for the same or another request."""
        await self._keys.delete_one({"_id": begun.key, "attempt": begun.attempt})

    async def release(self, begun: Begun) -> None:
        """The work failed with an unknown outcome: the next repeat may take over at once, under the same id."""
        await self._keys.update_one(
            {"_id": begun.key, "attempt": begun.attempt}, {"$set": {"attemptAt": utcnow() - self._takeover}}
        )


async def purge_expired(database: AsyncDatabase[dict[str, Any]]) -> int:
    """Remove records past their 48 hours; answers how many. MongoDB's TTL is not relied on."""
    result = await database[COLLECTION].delete_many({"expiresAt": {"$lt": utcnow()}})
    return result.deleted_count
