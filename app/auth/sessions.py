"""Sessions: opened at login, carried on by rotating refresh tokens, ended for good by logout or by a token's reuse.

MongoDB decides. Redis vouches for running sessions for a minute at a time, and at once says that one has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

from app.auth.errors import SessionEndedError
from app.auth.models import EndReason
from app.auth.tokens import new_refresh_token, refresh_token_hash
from app.cache import Cache
from app.documents import utcnow
from app.ids import new_id
from app.settings import Settings

log = structlog.stdlib.get_logger(__name__)

_ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Grant:
    """A refresh token just issued. The token is shown once and never stored."""

    session_id: str
    user_id: str
    refresh_token: str
    expires_at: datetime


class SessionStore:
    """Every read and write of `sessions` and `refresh_tokens`."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], cache: Cache, settings: Settings) -> None:
        self._sessions = database["sessions"]
        self._tokens = database["refresh_tokens"]
        self._cache = cache
        self._settings = settings

    async def open(self, user_id: str) -> Grant:
        """A new session with its first refresh token."""
        now = utcnow()
        expires_at = now + timedelta(days=self._settings.refresh_token_days)
        session_id = new_id()
        await self._sessions.insert_one(
            {
                "_id": session_id,
                "userId": user_id,
                "createdAt": now,
                "expiresAt": expires_at,
                "endedAt": None,
                "endReason": None,
            }
        )
        return await self._issue(session_id, user_id, expires_at)

    async def rotate(self, token: str) -> Grant:
        """Spend a refresh token and issue the next one of its family, which keeps its absolute end.

        Spending is one atomic step on the token's `_id`, so of two parallel uses exactly one is first. The other is
        a reuse: somebody has a copy. The family is ended and stays so; its access tokens die with it.

        Raises:
            SessionEndedError: unknown, expired or reused token, or an ended session.
        """
        spent = await self._tokens.find_one_and_update(
            {"_id": refresh_token_hash(token)}, {"$inc": {"uses": 1}}, return_document=ReturnDocument.BEFORE
        )
        if spent is None:
            raise SessionEndedError
        if spent.get("uses", 0) > 0:
            await self.end(spent["sessionId"], "token-reuse")
            log.warning("refresh_token_reused", session_id=spent["sessionId"], user_id=spent["userId"])
            raise SessionEndedError
        session = await self._sessions.find_one({"_id": spent["sessionId"]})
        if session is None or not _running(session):
            raise SessionEndedError
        return await self._issue(session["_id"], session["userId"], session["expiresAt"])

    async def owner_if_running(self, session_id: str) -> str | None:
        """The user whose session this is, or None when it has ended."""

        async def cached(redis: Redis) -> str | None:
            answer = await redis.get(_key(session_id))
            return answer.decode() if isinstance(answer, bytes) else answer

        vouched = await self._cache.attempt(cached, default=None)
        if vouched is not None:
            return None if vouched == _ENDED else vouched
        session = await self._sessions.find_one({"_id": session_id})
        if session is None or not _running(session):
            return None
        user_id: str = session["userId"]
        left = int((session["expiresAt"] - utcnow()).total_seconds())
        seconds = max(1, min(self._settings.session_cache_seconds, left))

        async def vouch(redis: Redis) -> None:
            # NX: if the session was ended since it was read, the word that it ended stays
            await redis.set(_key(session_id), user_id, ex=seconds, nx=True)

        await self._cache.attempt(vouch, default=None)
        return user_id

    async def end(self, session_id: str, reason: EndReason) -> None:
        """End a session: MongoDB first, which lasts; then Redis, which is quick. Repeatable."""
        await self._sessions.update_one(
            {"_id": session_id, "endedAt": None}, {"$set": {"endedAt": utcnow(), "endReason": reason}}
        )

        async def tell(redis: Redis) -> None:
            await redis.set(_key(session_id), _ENDED, ex=self._settings.access_token_minutes * 60 + 60)

        await self._cache.attempt(tell, default=None, insist=True)

    async def end_by_token(self, token: str, reason: EndReason) -> None:
        """End the session that a refresh token belongs to, spent or not; an unknown one changes nothing."""
        found = await self._tokens.find_one({"_id": refresh_token_hash(token)})
        if found is not None:
            await self.end(found["sessionId"], reason)

    async def end_all(self, user_id: str, reason: EndReason) -> int:
        """End every session of a user; answers how many ran."""
        running = await self._sessions.find({"userId": user_id, "endedAt": None}, {"_id": 1}).to_list()
        for session in running:
            await self.end(session["_id"], reason)
        return len(running)

    async def _issue(self, session_id: str, user_id: str, expires_at: datetime) -> Grant:
        token = new_refresh_token()
        await self._tokens.insert_one(
            {
                "_id": refresh_token_hash(token),
                "sessionId": session_id,
                "userId": user_id,
                "issuedAt": utcnow(),
                "expiresAt": expires_at,
                "uses": 0,
            }
        )
        return Grant(session_id, user_id, token, expires_at)


async def purge_expired_sessions(database: AsyncDatabase[dict[str, Any]]) -> int:
    """Remove sessions and tokens past their absolute end, kept a day longer as evidence; answers how many."""
    before = utcnow() - timedelta(days=1)
    tokens = await database["refresh_tokens"].delete_many({"expiresAt": {"$lt": before}})
    sessions = await database["sessions"].delete_many({"expiresAt": {"$lt": before}})
    return tokens.deleted_count + sessions.deleted_count


def _running(session: dict[str, Any]) -> bool:
    return session["endedAt"] is None and bool(session["expiresAt"] > utcnow())


def _key(session_id: str) -> str:
    return f"session:{session_id}"
