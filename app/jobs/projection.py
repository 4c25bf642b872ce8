"""Stores what a job's process has decided. Every write may run again after a crash and then changes nothing.

A local activity runs before its workflow task is durable. If the worker dies in between, the process decides anew
from the same sequence number, perhaps otherwise: other workers are free by then, or an act was lost with the task.
So of two changes from one place the later decision stands, and what the lost one did to workers is taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.jobs.change import JobChange, OfferRecord, OfferStatus, TimelineEntry
from app.jobs.models import offer_id
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue
from app.users import workload

Database = AsyncDatabase[dict[str, Any]]

_TO_COMPARE = {"seq": 1, "decidedAt": 1, "timeline": 1, "offeredWorkerId": 1, "offerNumber": 1, "workerId": 1}


class JobNotFoundError(LookupError):
    """No job has this id."""


async def store_change(database: Database, change: JobChange) -> bool:
    """Write a change: the job with its timeline in one atomic update, then its offers, then its notices.

    The update names the sequence number that it starts from, so an old one that runs late finds nothing to do:
    False says that a later change is stored.

    Raises:
        JobNotFoundError: there is no such job.
        RuntimeError: an earlier change is missing.
    """
    if not await _store_job(database, change):
        return False
    # The job's own write says what is so. The rest follows from it in any order, each part repeatable by itself.
    notices = [
        OutboxEntry.of(
            notice,
            key=_notice_key(change, number, notice),
            created_at=change.decided_at,
            correlation_id=change.correlation_id,
        )
        for number, notice in enumerate(change.notices)
    ]
    offers = [write for offer in change.offers for write in _offer_writes(database, change.job_id, offer)]
    await _all_of(*offers, enqueue(database, notices))
    return True


async def _all_of(*writes: Awaitable[None]) -> None:
    """Side by side, all to their end; then the first failure, if there was one."""
    results = await asyncio.gather(*writes, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _notice_key(change: JobChange, number: int, notice: Notice) -> str:
    """Names what is told and to whom too: a decision made anew may have other news, for another."""
    parts = (change.job_id, change.to_seq, number, notice.type.replace(".", "-"), notice.user_id or "admins")
    return ":".join(map(str, parts))


async def _store_job(database: Database, change: JobChange) -> bool:
    """True when this change is now the job's last; False when a later one is stored already."""
    jobs, job_id = database["jobs"], change.job_id
    fields, entries = _fields(change), [_entry(entry) for entry in change.timeline]
    place: dict[str, Any] = {"_id": job_id, "seq": change.from_seq}
    update: dict[str, Any] = {"$set": fields}
    if entries:
        update["$push"] = {"timeline": {"$each": entries}}
    else:  # nothing moves: only the count of refusals tells an old one from the last
        place["refusals"] = {"$lte": change.projection.refusals}
    while not (await jobs.update_one(place, update)).matched_count:
        stored = await jobs.find_one({"_id": job_id}, _TO_COMPARE)
        if stored is None:
            raise JobNotFoundError(job_id)
        if stored["seq"] < change.from_seq:
            raise RuntimeError(
                f"job {job_id} is at {stored['seq']}, the change starts from {change.from_seq}"
            )
        if not _is_decided_anew(change, stored):
            return stored["seq"] == change.to_seq and _decided(change) in (None, stored.get("decidedAt"))
        await _take_back(database, change, stored)
        place = {"_id": job_id, "seq": stored["seq"]}
        update = {"$set": fields | {"timeline": stored["timeline"][: change.from_seq] + entries}}
    return True


def _fields(change: JobChange) -> dict[str, Any]:
    projection = change.projection
    fields = projection.model_dump(by_alias=True) | {"seq": change.to_seq, "updatedAt": utcnow()}
    if projection.policy is None:
        del fields["policy"]  # the job keeps the one that it was posted with
    if change.decided_at:
        fields["decidedAt"] = change.decided_at
    if projection.parsed:
        fields |= {
            "category": projection.parsed.category,
            "requiredSkills": projection.parsed.required_skills,
        }
    return fields


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    return entry.model_dump(by_alias=True, exclude_none=True)


def _decided(change: JobChange) -> datetime | None:
    """When the change was decided, to the millisecond, as MongoDB keeps it."""
    at = change.decided_at
    return at and at.replace(microsecond=at.microsecond // 1000 * 1000)


def _is_decided_anew(change: JobChange, stored: dict[str, Any]) -> bool:
    """Whether what is stored was decided before this, from the same place or past it: its task was lost."""
    at, before = _decided(change), stored.get("decidedAt")
    return at is not None and before is not None and stored["seq"] > change.from_seq and at > before


async def _take_back(database: Database, change: JobChange, lost: dict[str, Any]) -> None:
    """Undo what a lost decision did to workers: an offer that was not made, a place that was not taken."""
    now, job_id = change.projection, change.job_id
    offered, number = lost.get("offeredWorkerId"), lost.get("offerNumber", 0)
    if offered and (offered, number) != (now.offered_worker_id, now.offer_number):
        await workload.forget_offer(database, offered, offer_id(job_id, number))
        if number > now.offer_number:
            await database["offers"].delete_one({"_id": offer_id(job_id, number)})
    holder = lost.get("workerId")
    if holder and holder != now.worker_id:
        await workload.release_place(database, holder, job_id, completed=False)


def _offer_writes(database: Database, job_id: str, offer: OfferRecord) -> list[Awaitable[None]]:
    """The offer's record, and what it means for its worker."""
    key = offer_id(job_id, offer.number)
    record = _store_offer(database, key, offer.model_dump(by_alias=True) | {"jobId": job_id})
    if offer.status is OfferStatus.OPEN:
        return [record, workload.note_offer_made(database, offer.worker_id, key)]
    outcome, at = offer.status.value, offer.answered_at
    return [record, workload.note_offer_closed(database, offer.worker_id, key, outcome, at)]


async def _store_offer(database: Database, key: str, fields: dict[str, Any]) -> None:
    await database["offers"].update_one({"_id": key}, {"$set": fields}, upsert=True)
