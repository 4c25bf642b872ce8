"""Notes on a job whose own process has ended: each is one guarded write, named by its place in the timeline."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.jobs.change import TimelineEntry
from app.jobs.projection import JobNotFoundError


async def append_entry(
    database: AsyncDatabase[dict[str, Any]],
    job_id: str,
    entry: TimelineEntry,
    fields: dict[str, Any] | None = None,
) -> None:
    """Add the entry, and set the fields with it, if the job stands just before `entry.seq`. Repeatable.

    Raises:
        JobNotFoundError: there is no such job.
        RuntimeError: an earlier entry is missing.
    """
    jobs = database["jobs"]
    result = await jobs.update_one(
        {"_id": job_id, "seq": entry.seq - 1},
        {
            "$set": {**(fields or {}), "seq": entry.seq, "updatedAt": utcnow()},
            "$push": {"timeline": entry.model_dump(by_alias=True, exclude_none=True)},
        },
    )
    if result.matched_count:
        return
    stored = await jobs.find_one({"_id": job_id}, {"seq": 1})
    if stored is None:
        raise JobNotFoundError(job_id)
    if stored["seq"] < entry.seq:
        raise RuntimeError(f"job {job_id} is at {stored['seq']}, the entry is number {entry.seq}")
