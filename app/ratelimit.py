"""Rate limits shared by every process through Redis, or kept in this process while Redis is away."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.util import WindowStats
from redis.asyncio import Redis

from app.cache import Cache
from app.errors import RateLimitedError
from app.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `item` attempts on what `name` does by whom `subject` names."""

    item: RateLimitItem
    name: str
    subject: str

    @property
    def identifiers(self) -> tuple[str, str]:
        """The key's parts. The subject is hashed: addresses and e-mails stay out of Redis."""
        return self.name, hashlib.sha256(self.subject.encode()).hexdigest()[:32]


class RateLimiter:
    """Counts attempts in fixed windows. Counting comes before the work, so that parallel attempts cannot slip by."""

    def __init__(self, cache: Cache, settings: Settings) -> None:
        storage = RedisStorage(
            settings.redis_url.get_secret_value(),
            implementation="redispy",
            key_prefix="limits",
            # the bridge hands it to redis-py; its type speaks of plain options only
            connection_pool=cache.redis.connection_pool,  # type: ignore[arg-type]
        )
        self._cache = cache
        self._shared = FixedWindowRateLimiter(storage)
        self._local = FixedWindowRateLimiter(MemoryStorage())

    async def take(self, limits: Sequence[Limit]) -> None:
        """Count one attempt against each limit.

        Raises:
            RateLimitedError: one of them is used up; says after how many seconds to come back.
        """
        for limit in limits:
            if not await self._hit(limit):
                stats = await self._stats(limit)
                raise RateLimitedError(max(1, math.ceil(stats.reset_time - time.time())))

    async def give_back(self, limits: Sequence[Limit]) -> None:
        """Take one attempt off again: it turned out to be a good one."""
        for limit in limits:
            await self._hit(limit, cost=-1)

    async def _hit(self, limit: Limit, *, cost: int = 1) -> bool:
        return await self._with(lambda limiter: limiter.hit(limit.item, *limit.identifiers, cost=cost))

    async def _stats(self, limit: Limit) -> WindowStats:
        return await self._with(lambda limiter: limiter.get_window_stats(limit.item, *limit.identifiers))

    async def _with(self, operation: Callable[[FixedWindowRateLimiter], Awaitable[T]]) -> T:
        async def on_redis(_redis: Redis) -> T | None:
            return await operation(self._shared)

        answer = await self._cache.attempt(on_redis, default=None)
        return answer if answer is not None else await operation(self._local)


def login_limits(settings: Settings, *, email: str, address: str) -> list[Limit]:
    """Failed logins: by account (a minute and an hour), and by address, which may be a whole office's."""
    per_minute = settings.login_attempts_per_minute
    return [
        Limit(RateLimitItemPerMinute(per_minute * 5), "login-address", address),
        Limit(RateLimitItemPerMinute(per_minute), "login-account", email),
        Limit(RateLimitItemPerHour(per_minute * 6), "login-account", email),
    ]


def register_limits(settings: Settings, *, email: str, address: str) -> list[Limit]:
    """Registrations: by address, and by mailbox, so that nobody can flood another's with mail."""
    return [
        Limit(RateLimitItemPerMinute(settings.register_attempts_per_minute), "register-address", address),
        Limit(RateLimitItemPerHour(10), "register-mailbox", email),
    ]


def verify_limits(settings: Settings, *, address: str) -> list[Limit]:
    """Attempts at a verification token, by address."""
    return [Limit(RateLimitItemPerMinute(settings.register_attempts_per_minute), "verify-address", address)]
