"""Redis as a help, never a need: a call that fails gives its default, and the next ones do not wait for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.settings import Settings

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

REDIS_FAULTS = (RedisError, OSError, TimeoutError)


def connect(settings: Settings) -> Redis:
    """A client that fails fast; its first connection is made at its first call."""
    return Redis.from_url(
        settings.redis_url.get_secret_value(),
        decode_responses=True,
        socket_connect_timeout=settings.redis_timeout_seconds,
        socket_timeout=settings.redis_timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )


class Cache:
    """Guards calls to Redis. After a failure it stays away for `rest_seconds`, so that an outage costs one wait."""

    def __init__(self, redis: Redis, *, rest_seconds: float = 2.0) -> None:
        self.redis = redis
        self._rest_seconds = rest_seconds
        self._away_until = 0.0

    @property
    def resting(self) -> bool:
        """Whether Redis failed a moment ago and is not being asked."""
        return time.monotonic() < self._away_until

    async def attempt(
        self, operation: Callable[[Redis], Awaitable[T]], *, default: T, insist: bool = False
    ) -> T:
        """The operation's result, or `default` when Redis is away. `insist` asks even while resting."""
        if self.resting and not insist:
            return default
        try:
            return await operation(self.redis)
        except REDIS_FAULTS as error:
            if not self.resting:
                log.warning("redis_unavailable", fault=type(error).__name__)
            self._away_until = time.monotonic() + self._rest_seconds
            return default
