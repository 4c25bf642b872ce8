"""Stores what a job's process has decided. Every write may run again after a crash and then changes nothing."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.jobs.change import JobChange, OfferRecord, OfferStatus
from app.jobs.models import offer_id
from app.notifications.notices import OutboxEntry
from app.notifications.outbox import enqueue
from app.users import workload

Database = AsyncDatabase[dict[str, Any]]


class JobNotFoundError(LookupError):
    """No job has this id."""


async def store_change(database: Database, change: JobChange) -> None:
    """Write a change: the job with its timeline in one atomic update, then its offers, then its notices.

    The update names the sequence number that it starts from, so an old one that runs late finds nothing to do.

    Raises:
        JobNotFoundError: there is no such job.
        RuntimeError: an earlier change is missing.
    """
    if not await _store_job(database, change):
        return
    for offer in change.offers:
        await _store_offer(database, change.job_id, offer)
    await enqueue(
        database,
        [
            OutboxEntry.of(
                notice,
                key=f"{change.job_id}:{change.to_seq}:{number}",
                created_at=change.timeline[-1].at if change.timeline else None,
                correlation_id=change.correlation_id,
            )
            for number, notice in enumerate(change.notices)
        ],
    )


async def _store_job(database: Database, change: JobChange) -> bool:
    """True when this change is now the job's last; False when a later one is stored already."""
    jobs, job_id = database["jobs"], change.job_id
    projection = change.projection
    fields = projection.model_dump(by_alias=True) | {"seq": change.to_seq, "updatedAt": utcnow()}
    if projection.parsed:
        fields |= {
            "category": projection.parsed.category,
            "requiredSkills": projection.parsed.required_skills,
        }
    update: dict[str, Any] = {"$set": fields}
    if change.timeline:
        entries = [entry.model_dump(by_alias=True, exclude_none=True) for entry in change.timeline]
        update["$push"] = {"timeline": {"$each": entries}}
    result = await jobs.update_one({"_id": job_id, "seq": change.from_seq}, update)
    if result.matched_count:
        return True
    stored = await jobs.find_one({"_id": job_id}, {"seq": 1})
    if stored is None:
        raise JobNotFoundError(change.job_id)
    if stored["seq"] < change.from_seq:
        raise RuntimeError(
            f"job {change.job_id} is at {stored['seq']}, the change starts from {change.from_seq}"
        )
    return bool(stored["seq"] == change.to_seq)


async def _store_offer(database: Database, job_id: str, offer: OfferRecord) -> None:
    key = offer_id(job_id, offer.number)
    fields = offer.model_dump(by_alias=True) | {"jobId": job_id}
    await database["offers"].update_one({"_id": key}, {"$set": fields}, upsert=True)
    if offer.status is OfferStatus.OPEN:
        await workload.note_offer_made(database, offer.worker_id, key)
    else:
        await workload.note_offer_closed(
            database, offer.worker_id, key, offer.status.value, offer.answered_at
        )
