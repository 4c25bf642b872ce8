"""Double-blind ratings: kept unseen when given, shown and counted together. Every write may run again.

A user's `rating` is counted with the pattern of `app.users.workload`: giving puts the review's id into the rated
user's `openRatingIds`, the reveal takes it out in the same atomic update that counts it. The set holds only ratings
that were given and not yet revealed, so it stays small.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.jobs.models import RatingGiven, Ratings
from app.lifecycle import Actor
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue
from app.reviews.models import review_id

Database = AsyncDatabase[dict[str, Any]]

_OPEN = "openRatingIds"
# Whose rating of whom counts where: a client's stars are the worker's, and the other way round.
_COUNTED_IN = {Actor.CLIENT: "workerProfile.rating", Actor.WORKER: "clientProfile.rating"}


async def keep_rating(
    database: Database,
    *,
    job_id: str,
    by: Actor,
    author_id: str,
    subject_id: str,
    rating: int,
    comment: str,
    at: datetime,
) -> None:
    """Keep one side's rating unseen. The first one stands; a repeat changes nothing."""
    key = review_id(job_id, by)
    review = {
        "jobId": job_id,
        "by": by.value,
        "authorId": author_id,
        "subjectId": subject_id,
        "rating": rating,
        "comment": comment,
        "givenAt": at,
        "revealedAt": None,
    }
    await database["reviews"].update_one({"_id": key}, {"$setOnInsert": review}, upsert=True)
    stored = await database["reviews"].find_one({"_id": key}, {"revealedAt": 1})
    if stored is not None and stored["revealedAt"] is None:
        await database["users"].update_one({"_id": subject_id}, {"$addToSet": {_OPEN: key}})


async def reveal_ratings(
    database: Database,
    *,
    job_id: str,
    client_id: str,
    worker_id: str,
    at: datetime,
    correlation_id: str | None = None,
) -> Ratings:
    """Count what was given, show it on the job, and tell each side that has been rated."""
    given: dict[Actor, RatingGiven] = {}
    for by, subject_id in ((Actor.CLIENT, worker_id), (Actor.WORKER, client_id)):
        review = await database["reviews"].find_one({"_id": review_id(job_id, by)})
        if review is None:
            continue
        given[by] = RatingGiven.model_validate(review)
        await _count(database, subject_id, by, review["_id"], review["rating"])
        await database["reviews"].update_one({"_id": review["_id"]}, {"$set": {"revealedAt": at}})
    ratings = Ratings(by_client=given.get(Actor.CLIENT), by_worker=given.get(Actor.WORKER), revealed_at=at)
    await database["jobs"].update_one(
        {"_id": job_id}, {"$set": {"ratings": ratings.model_dump(by_alias=True), "updatedAt": at}}
    )
    rated = ((Actor.CLIENT, worker_id), (Actor.WORKER, client_id))
    await enqueue(
        database,
        [
            OutboxEntry.of(
                Notice(type="review.revealed", user_id=subject_id, job_id=job_id),
                key=f"ratings-{job_id}:revealed:{by.value}",
                created_at=at,
                correlation_id=correlation_id,
            )
            for by, subject_id in rated
            if by in given
        ],
    )
    return ratings


async def _count(database: Database, subject_id: str, by: Actor, key: str, stars: int) -> None:
    """Add the stars to the rated user's sum, once: the id leaves the set in the same step."""
    field = _COUNTED_IN[by]
    await database["users"].update_one(
        {"_id": subject_id, _OPEN: key},
        {"$pull": {_OPEN: key}, "$inc": {f"{field}.sum": stars, f"{field}.count": 1}},
    )
