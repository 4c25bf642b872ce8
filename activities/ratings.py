"""Keeping and revealing the ratings of a job: local activities on MongoDB, each repeatable."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity

from app.jobs.closing import Note, append_note
from app.lifecycle import Action
from app.reviews import store
from workflows.followers import FollowerActivity, RevealRatings, StoreRating


class RatingActivities:
    """The workflow says who and when; what was said goes straight to the collection `reviews`."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        """Share one database among all ratings of the process."""
        self._database = database

    @activity.defn(name=FollowerActivity.STORE_RATING)
    async def store_rating(self, request: StoreRating) -> None:
        """Keep one side's rating unseen, and note in the timeline that it was given."""
        await store.keep_rating(
            self._database,
            job_id=request.job_id,
            by=request.by,
            author_id=request.author_id,
            subject_id=request.subject_id,
            rating=request.rating,
            comment=request.comment,
            at=request.at,
        )
        entry = Note(
            at=request.at,
            actor=request.by,
            actor_id=request.author_id,
            action=Action.REVIEW,
            correlation_id=request.correlation_id,
        )
        await append_note(self._database, request.job_id, f"review:{request.by.value}", entry)

    @activity.defn(name=FollowerActivity.REVEAL_RATINGS)
    async def reveal_ratings(self, request: RevealRatings) -> None:
        """Show and count what was given."""
        await store.reveal_ratings(
            self._database,
            job_id=request.job_id,
            client_id=request.client_id,
            worker_id=request.worker_id,
            at=request.at,
            correlation_id=request.correlation_id,
        )
