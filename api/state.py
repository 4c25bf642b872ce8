"""What the process holds while it serves: settings, connections and the stores that stand on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pymongo
import structlog
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from temporalio.client import Client

from app import cache as redis_cache
from app import database as mongodb
from app.auth.passwords import Passwords
from app.auth.service import AuthService
from app.auth.sessions import SessionStore
from app.cache import Cache
from app.errors import DependencyUnavailableError
from app.gateways.billing import BillingGateway
from app.gateways.payments import PaymentGateway
from app.gateways.storage import Storage
from app.gateways.stripe import StripeGateway
from app.gateways.stripe_billing import StripeBilling
from app.money.credits import Credits
from app.policies.store import PolicyStore
from app.ratelimit import RateLimiter
from app.settings import Settings
from app.skills.store import ensure_skills
from app.users.store import UserStore
from workflows.connection import connect as connect_temporal

log = structlog.stdlib.get_logger(__name__)

Database = AsyncDatabase[dict[str, Any]]

_REOPEN_SECONDS = 1.0
_OPENING_SECONDS = 60.0


@dataclass(slots=True)
class Resources:
    """One for each process; requests get at it through `api.dependencies`."""

    settings: Settings
    mongo: AsyncMongoClient[dict[str, Any]]
    redis: Redis
    cache: Cache
    temporal: Client
    http: httpx2.AsyncClient
    users: UserStore
    sessions: SessionStore
    auth: AuthService
    limiter: RateLimiter
    storage: Storage
    payments: PaymentGateway
    billing: BillingGateway
    credits: Credits  # one, so that it remembers the heads of books
    policies: PolicyStore  # one, so that it remembers the current policy
    database_open: asyncio.Event = field(default_factory=asyncio.Event)
    database_tried: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def database(self) -> Database:
        """The database, with its models bound.

        Raises:
            DependencyUnavailableError: MongoDB has not been reachable since the start.
        """
        if not self.database_open.is_set():
            raise DependencyUnavailableError("mongodb")
        return self.mongo[self.settings.mongodb_database]


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Connect to everything without insisting on any of it: what is away answers 503 until it is back."""
    async with AsyncExitStack() as stack:
        mongo = mongodb.connect(settings, operation_timeout_seconds=settings.dependency_timeout_seconds)
        stack.push_async_callback(mongo.close)
        redis = redis_cache.connect(settings)
        stack.push_async_callback(redis.aclose)
        # off the loop: trusted certificates are read from disk
        http = await asyncio.to_thread(httpx2.AsyncClient, timeout=settings.dependency_timeout_seconds)
        stack.push_async_callback(http.aclose)
        temporal = await connect_temporal(
            settings, lazy=True, identity="nimmit-api", retry_seconds=settings.dependency_timeout_seconds
        )
        # off the loop: botocore reads its descriptions of the service from disk
        storage = await asyncio.to_thread(Storage, settings)
        stack.push_async_callback(asyncio.to_thread, storage.close)
        # off the loop: trusted certificates again; its patience is that of an act
        payments = await asyncio.to_thread(
            StripeGateway.from_settings, settings, read_timeout_seconds=settings.update_timeout_seconds
        )
        stack.push_async_callback(payments.close)
        # off the loop: the hash for unknown accounts costs as much as a real one
        passwords = await asyncio.to_thread(Passwords, settings.password_bcrypt_rounds)
        # off the loop: trusted certificates are read from disk
        billing = await asyncio.to_thread(
            StripeBilling.from_settings, settings, read_timeout_seconds=settings.update_timeout_seconds
        )
        stack.push_async_callback(billing.close)
        resources = _assemble(
            settings,
            mongo,
            redis,
            temporal=temporal,
            http=http,
            passwords=passwords,
            storage=storage,
            payments=payments,
            billing=billing,
        )
        opener = asyncio.create_task(_keep_opening(resources))
        stack.push_async_callback(_end, opener)
        await _first_attempt(opener, resources)
        yield resources


def _assemble(
    settings: Settings,
    mongo: AsyncMongoClient[dict[str, Any]],
    redis: Redis,
    *,
    temporal: Client,
    http: httpx2.AsyncClient,
    passwords: Passwords,
    storage: Storage,
    payments: PaymentGateway,
    billing: BillingGateway,
) -> Resources:
    database = mongo[settings.mongodb_database]
    cache = Cache(redis)
    users = UserStore(database)
    sessions = SessionStore(database, cache, settings)
    limiter = RateLimiter(cache, settings)
    return Resources(
        settings=settings,
        mongo=mongo,
        redis=redis,
        cache=cache,
        temporal=temporal,
        http=http,
        users=users,
        sessions=sessions,
        auth=AuthService(database, settings, users, sessions, passwords, limiter),
        limiter=limiter,
        storage=storage,
        payments=payments,
        billing=billing,
        credits=Credits(database),
        policies=PolicyStore(database, settings),
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _first_attempt(opener: asyncio.Task[None], resources: Resources) -> None:
    """Wait for one attempt, however slow. If MongoDB is away, the process serves, and says that it is not ready."""
    tried = asyncio.create_task(resources.database_tried.wait())
    await asyncio.wait({opener, tried}, return_when=asyncio.FIRST_COMPLETED)
    tried.cancel()
    if opener.done():
        opener.result()  # a defect, such as an index that cannot be made, stops the start


async def _keep_opening(resources: Resources) -> None:
    while True:
        try:
            await resources.mongo.admin.command("ping")  # fails within the client's own timeout
            with pymongo.timeout(_OPENING_SECONDS):  # building an index takes longer than a request may
                database = await mongodb.open_database(resources.mongo, resources.settings)
                await ensure_skills(database)
        except PyMongoError as error:
            log.warning("database_not_open", fault=type(error).__name__)
            resources.database_tried.set()
            await asyncio.sleep(_REOPEN_SECONDS)
        else:
            resources.database_open.set()
            resources.database_tried.set()
            return
