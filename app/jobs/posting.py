"""Makes a job out of a client's post: the policy and the prices of this moment, fixed in it."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.jobs.models import Job
from app.jobs.policy import JobPolicy, Urgency
from app.lifecycle import INITIAL
from app.settings import Settings


def policy_of(settings: Settings) -> JobPolicy:
    """The policy that the settings give: the one in force until an admin changes it (`app.policies`)."""
    return JobPolicy(
        offer_window_seconds=settings.offer_window_seconds,
        offer_window_high_urgency_seconds=min(
            settings.offer_window_seconds, JobPolicy().offer_window_high_urgency_seconds
        ),
        rescue_reminder_seconds=settings.rescue_reminder_seconds,
        auto_approve_seconds=settings.auto_approve_seconds,
        rating_window_seconds=settings.rating_window_seconds,
        dispute_window_seconds=settings.dispute_window_seconds,
    )


def new_job(
    job_id: str,
    *,
    client_id: str,
    title: str,
    description: str,
    urgency: Urgency,
    max_credits: int | None,
    rate: int,
    policy: JobPolicy,
    correlation_id: str | None,
) -> Job:
    """A job as posted; `rate` is hundredths of a credit an hour, from the client's tier."""
    now = utcnow()
    return Job(
        id=job_id,
        client_id=client_id,
        title=title,
        description=description,
        urgency=urgency,
        max_credits=max_credits,
        rate=rate,
        policy=policy,
        status=INITIAL.status,
        phase=INITIAL.phase,
        created_at=now,
        updated_at=now,
        correlation_id=correlation_id,
    )


async def insert_job(database: AsyncDatabase[dict[str, Any]], job: Job) -> Job:
    """Store a posted job; a repeat with the same id finds the one that is there."""
    document = job.model_dump(by_alias=True)
    try:
        await database["jobs"].insert_one(document)
    except DuplicateKeyError:
        found = await database["jobs"].find_one({"_id": job.id, "clientId": job.client_id})
        if found is None:
            raise
        job = Job.model_validate(found)
    return job
