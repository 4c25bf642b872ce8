"""A worker's load and offer history, kept on the user's document by atomic, repeatable updates.

A counter moves only together with the set that remembers why (`$inc` beside `$addToSet` or `$pull`, under a filter
on the set), so an update that runs twice counts once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

Database = AsyncDatabase[dict[str, Any]]

_ACTIVE = "workerProfile.activeJobIds"
_OPEN_OFFERS = "workerProfile.openOfferIds"


async def take_place(database: Database, worker_id: str, job_id: str) -> tuple[bool, int]:
    """Take one place of the worker's capacity for a job, or find it taken for this job already.

    One step compares and takes. Returns whether the job now has a place; where it has none, the worker's capacity.
    """
    users = database["users"]
    result = await users.update_one(
        {
            "_id": worker_id,
            "disabled": {"$ne": True},
            _ACTIVE: {"$ne": job_id},
            "$expr": {"$lt": ["$workerProfile.activeJobs", "$workerProfile.capacity"]},
        },
        {"$addToSet": {_ACTIVE: job_id}, "$inc": {"workerProfile.activeJobs": 1}},
    )
    if result.modified_count:
        return True, 0
    worker = await users.find_one(
        {"_id": worker_id}, {_ACTIVE: 1, "workerProfile.capacity": 1, "disabled": 1}
    )
    if worker is None or worker.get("disabled") or not worker.get("workerProfile"):
        return False, 0
    profile = worker["workerProfile"]
    return job_id in profile.get("activeJobIds", []), int(profile.get("capacity", 0))


async def release_place(database: Database, worker_id: str, job_id: str, *, completed: bool) -> None:
    """Give the place back; a completed job counts in the worker's history."""
    counts = {"workerProfile.activeJobs": -1} | ({"workerProfile.completedJobs": 1} if completed else {})
    await database["users"].update_one(
        {"_id": worker_id, _ACTIVE: job_id}, {"$pull": {_ACTIVE: job_id}, "$inc": counts}
    )


async def note_offer_made(database: Database, worker_id: str, offer_id: str) -> None:
    """Count an offer, once."""
    await database["users"].update_one(
        {"_id": worker_id, _OPEN_OFFERS: {"$ne": offer_id}},
        {"$addToSet": {_OPEN_OFFERS: offer_id}, "$inc": {"workerProfile.offers.offered": 1}},
    )


async def forget_offer(database: Database, worker_id: str, offer_id: str) -> None:
    """Take an offer out of the counts, once: it was noted, but never made."""
    await database["users"].update_one(
        {"_id": worker_id, _OPEN_OFFERS: offer_id},
        {"$pull": {_OPEN_OFFERS: offer_id}, "$inc": {"workerProfile.offers.offered": -1}},
    )


async def note_offer_closed(
    database: Database, worker_id: str, offer_id: str, outcome: str, at: datetime | None
) -> None:
    """Count an offer's outcome (`accepted`, `declined`, `expired` or `withdrawn`), once."""
    update: dict[str, Any] = {
        "$pull": {_OPEN_OFFERS: offer_id},
        "$inc": {f"workerProfile.offers.{outcome}": 1},
    }
    if outcome == "declined":
        update["$set"] = {"workerProfile.lastDeclinedAt": at}
    await database["users"].update_one({"_id": worker_id, _OPEN_OFFERS: offer_id}, update)


async def note_work_together(
    database: Database, client_id: str, worker_id: str, job_id: str, at: datetime
) -> None:
    """Remember that the worker completed a job of the client's."""
    await database["work_history"].update_one(
        {"_id": f"{client_id}:{worker_id}"},
        {
            "$addToSet": {"jobIds": job_id},
            "$set": {"clientId": client_id, "workerId": worker_id, "lastCompletedAt": at},
        },
        upsert=True,
    )
