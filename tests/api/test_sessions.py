"""Where Redis and MongoDB meet: what one says must never outlive what the other knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from app.auth.errors import SessionEndedError
from app.auth.sessions import SessionStore, purge_expired_sessions
from app.cache import Cache, connect
from app.documents import utcnow
from app.ids import new_id
from app.settings import Settings
from tests.api.conftest import free_port

Database = AsyncDatabase[dict[str, Any]]


@pytest_asyncio.fixture(scope="module")
async def cache(api_settings: Settings) -> AsyncIterator[Cache]:
    redis = connect(api_settings)
    yield Cache(redis)
    await redis.aclose()


@pytest.fixture
def store(database: Database, cache: Cache, api_settings: Settings) -> SessionStore:
    return SessionStore(database, cache, api_settings)


async def test_redis_vouches_and_is_told_at_once(store: SessionStore, cache: Cache) -> None:
    grant = await store.open("user-1")
    assert await store.owner_if_running(grant.session_id) == "user-1"
    assert await cache.redis.get(f"session:{grant.session_id}") == "user-1"
    assert 0 < await cache.redis.ttl(f"session:{grant.session_id}") <= 60
    await store.end(grant.session_id, "logout")
    assert await cache.redis.get(f"session:{grant.session_id}") == "ended"
    assert await store.owner_if_running(grant.session_id) is None


async def test_a_session_ended_between_reading_and_vouching_stays_ended(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = await store.open("user-2")
    read = store._sessions.find_one

    async def read_then_end(*args: Any, **kwargs: Any) -> Any:
        found = await read(*args, **kwargs)
        monkeypatch.undo()
        await store.end(grant.session_id, "logout")
        return found

    monkeypatch.setattr(store._sessions, "find_one", read_then_end)
    await store.owner_if_running(grant.session_id)  # this one was on its way before the end
    assert await store.owner_if_running(grant.session_id) is None


async def test_without_redis_mongodb_answers(database: Database, api_settings: Settings) -> None:
    away = api_settings.model_copy(
        update={"redis_url": type(api_settings.redis_url)(f"redis://127.0.0.1:{free_port()}/0")}
    )
    redis = connect(away)
    store = SessionStore(database, Cache(redis), away)
    grant = await store.open("user-3")
    assert await store.owner_if_running(grant.session_id) == "user-3"
    await store.end(grant.session_id, "logout")
    assert await store.owner_if_running(grant.session_id) is None
    await redis.aclose()


async def test_all_sessions_of_a_user_end_together(store: SessionStore) -> None:
    grants = [await store.open("user-4") for _ in range(3)]
    other = await store.open("user-5")
    assert await store.end_all("user-4", "ended-by-admin") == 3
    assert [await store.owner_if_running(grant.session_id) for grant in grants] == [None] * 3
    with pytest.raises(SessionEndedError):
        await store.rotate(grants[0].refresh_token)
    assert await store.owner_if_running(other.session_id) == "user-5"


async def test_unknown_sessions_and_tokens(store: SessionStore) -> None:
    assert await store.owner_if_running(new_id()) is None
    with pytest.raises(SessionEndedError):
        await store.rotate("no such token")
    await store.end_by_token("no such token", "logout")


async def test_what_ran_out_is_purged_a_day_later(store: SessionStore, database: Database) -> None:
    old, young = await store.open("user-6"), await store.open("user-6")
    long_ago = utcnow() - timedelta(days=1, minutes=1)
    for collection in ("sessions", "refresh_tokens"):
        key = "_id" if collection == "sessions" else "sessionId"
        await database[collection].update_one({key: old.session_id}, {"$set": {"expiresAt": long_ago}})
    assert await purge_expired_sessions(database) == 2
    assert await store.owner_if_running(young.session_id) == "user-6"
