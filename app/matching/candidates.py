"""Preselects the candidates of a ranking from the users collection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.matching.models import Candidate
from app.matching.shifts import is_on_shift, next_shift_start

Database = AsyncDatabase[dict[str, Any]]

CANDIDATE_LIMIT = 500


async def find_candidates(
    database: Database, *, client_id: str, at: datetime, job_id: str | None = None
) -> list[Candidate]:
    """Every enabled worker, as ranking sees them at a moment, without what `job_id` itself may take of their load.

    A job that is ranked has no worker and no open offer; what says otherwise is left of a lost attempt.

    Nobody is filtered by skill or load here, so that the score card can say of each why they were passed over.
    """
    workers = (
        await database["users"]
        .find({"role": "worker", "disabled": False}, {"workerProfile": 1, "emailVerified": 1})
        .sort("_id", 1)
        .limit(CANDIDATE_LIMIT)
        .to_list()
    )
    together = await _jobs_together(database, client_id, [worker["_id"] for worker in workers])
    return [_candidate(worker, together.get(worker["_id"], 0), at, job_id) for worker in workers]


async def _jobs_together(database: Database, client_id: str, worker_ids: list[str]) -> dict[str, int]:
    """How many jobs each worker has completed for the client; fetched by `_id`."""
    keys = [f"{client_id}:{worker_id}" for worker_id in worker_ids]
    rows = await database["work_history"].find({"_id": {"$in": keys}}).to_list()
    return {row["workerId"]: len(row.get("jobIds", [])) for row in rows}


def _load(profile: dict[str, Any], job_id: str | None) -> int:
    """Active jobs and open offers, but for this job's own."""
    open_offers = [key for key in profile.get("openOfferIds", []) if key.partition(":")[0] != job_id]
    own = job_id is not None and job_id in profile.get("activeJobIds", [])
    return int(profile.get("activeJobs", 0)) - own + len(open_offers)


def _candidate(
    worker: dict[str, Any], jobs_with_client: int, at: datetime, job_id: str | None = None
) -> Candidate:
    profile = worker.get("workerProfile") or {}
    rating, offers = profile.get("rating") or {}, profile.get("offers") or {}
    hours = profile.get("workingHours") or {}
    timezone = profile.get("timezone") or "Asia/Phnom_Penh"
    on_shift = is_on_shift(hours, timezone, at)
    return Candidate(
        worker_id=worker["_id"],
        skills=profile.get("skills", []),
        rating_sum=rating.get("sum", 0),
        rating_count=rating.get("count", 0),
        offers_made=offers.get("offered", 0),
        offers_accepted=offers.get("accepted", 0),
        active_jobs=_load(profile, job_id),
        capacity=profile.get("capacity", 1),
        available=bool(profile.get("available", True)) and bool(worker.get("emailVerified", False)),
        on_shift=on_shift,
        next_shift_at=None if on_shift else next_shift_start(hours, timezone, at),
        jobs_with_client=jobs_with_client,
        declined_recently_at=profile.get("lastDeclinedAt"),
        opted_in_urgent=bool(profile.get("optedInUrgent", False)),
    )
