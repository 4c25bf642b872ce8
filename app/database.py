"""The MongoDB connection and the list of every document model."""

from __future__ import annotations

from typing import Any

from beanie import Document, init_beanie
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from app import idempotency
from app.auth import models as auth
from app.disputes import models as disputes
from app.jobs import models as jobs
from app.money.journal import ensure_indexes
from app.notifications import models as notifications
from app.payouts import models as payouts
from app.policies import models as policies
from app.reconciliation import models as reconciliation
from app.reviews import models as reviews
from app.settings import Settings
from app.skills import models as skills
from app.subscriptions import acts as billing_acts
from app.subscriptions import models as subscriptions
from app.timetracking import models as timetracking
from app.users import models as users
from app.webhooks import models as webhooks


def document_models() -> list[type[Document]]:
    """Every collection of the platform; each area lists its own in `models.DOCUMENTS`."""
    return [
        *auth.DOCUMENTS,
        *billing_acts.DOCUMENTS,
        *disputes.DOCUMENTS,
        *idempotency.DOCUMENTS,
        *jobs.DOCUMENTS,
        *notifications.DOCUMENTS,
        *payouts.DOCUMENTS,
        *policies.DOCUMENTS,
        *reconciliation.DOCUMENTS,
        *reviews.DOCUMENTS,
        *skills.DOCUMENTS,
        *subscriptions.DOCUMENTS,
        *timetracking.DOCUMENTS,
        *users.DOCUMENTS,
        *webhooks.DOCUMENTS,
    ]


def connect(
    settings: Settings, *, operation_timeout_seconds: float | None = None
) -> AsyncMongoClient[dict[str, Any]]:
    """A client that gives up on an absent server within the dependency timeout (the driver waits 30 s).

    `operation_timeout_seconds` bounds each operation as a whole, retries included, on a server that is there but
    does not answer; without it, ten seconds for each answer.
    """
    timeout_ms = int(settings.dependency_timeout_seconds * 1000)
    return AsyncMongoClient(
        settings.mongodb_uri.get_secret_value(),
        tz_aware=True,
        serverSelectionTimeoutMS=timeout_ms,
        connectTimeoutMS=timeout_ms,
        socketTimeoutMS=None if operation_timeout_seconds else 10_000,
        timeoutMS=int(operation_timeout_seconds * 1000) if operation_timeout_seconds else None,
        appname="nimmit",
    )


async def open_database(
    client: AsyncMongoClient[dict[str, Any]], settings: Settings
) -> AsyncDatabase[dict[str, Any]]:
    """Bind the document models to the database and make their indexes.

    Raises:
        pymongo.errors.ServerSelectionTimeoutError: MongoDB cannot be reached.
    """
    database = client[settings.mongodb_database]
    await init_beanie(database=database, document_models=document_models())
    await ensure_indexes(database)
    return database
