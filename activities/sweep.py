"""Housekeeping: starts what was posted but never started, and removes what has expired."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity
from temporalio.client import Client

from app import idempotency
from app.auth.sessions import purge_expired_sessions
from app.jobs.models import Job
from app.jobs.orphans import find_orphans
from app.notifications.models import MAIL_DELIVERY_DAYS
from app.settings import Settings
from workflows.followers import FollowerActivity, OrphansStarted, Purged
from workflows.starting import start_job


class SweepActivities:
    """Needs a client of its own, since starting a workflow is a call to Temporal from outside."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], client: Client, settings: Settings) -> None:
        """Start jobs as the API does: by the same function and the same settings."""
        self._database, self._client, self._settings = database, client, settings

    @activity.defn(name=FollowerActivity.START_ORPHANS)
    async def start_orphans(self, at: datetime) -> OrphansStarted:
        """Start every orphan there is at that moment. A job that runs already stays as it is.

        Raises:
            temporalio.service.RPCError: Temporal does not answer; the next attempt goes through them all again.
        """
        result = OrphansStarted()
        async for document in find_orphans(self._database, at=at):
            activity.heartbeat()
            try:
                job = Job.model_validate(document)
            except ValidationError:  # one unreadable job must not keep the others waiting
                activity.logger.exception("unreadable job", extra={"job_id": document["_id"]})
                result.failed += 1
                continue
            if await start_job(self._client, job, self._settings):
                result.started += 1
            else:
                result.running += 1
        return result

    @activity.defn(name=FollowerActivity.PURGE_EXPIRED)
    async def purge_expired(self, at: datetime) -> Purged:
        """Remove idempotency records, sessions and mail records past their time. MongoDB's TTL is not relied on."""
        before = at - timedelta(days=MAIL_DELIVERY_DAYS)
        mail = await self._database["mail_deliveries"].delete_many({"sentAt": {"$lt": before}})
        return Purged(
            idempotency_keys=await idempotency.purge_expired(self._database),
            sessions=await purge_expired_sessions(self._database),
            mail_deliveries=mail.deleted_count,
        )
