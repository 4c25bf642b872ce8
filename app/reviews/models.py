"""The collection `reviews`: what client and worker say of each other. Unseen until `revealedAt` is set."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.documents import CamelDocument
from app.lifecycle import Actor


class Review(CamelDocument):
    """One rating. The comment is personal text: it is never logged, and shown to nobody before the reveal."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # `<jobId>:<client|worker>` in place of an ObjectId
    job_id: str
    by: Actor
    author_id: str
    subject_id: str
    rating: int
    comment: str = Field(default="", repr=False)
    given_at: datetime
    revealed_at: datetime | None = None

    class Settings:
        name = "reviews"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("subjectId", ASCENDING), ("revealedAt", DESCENDING)], name="subject_revealed"),
        ]


DOCUMENTS: list[type[Document]] = [Review]


def review_id(job_id: str, by: Actor) -> str:
    """The `_id` of a side's review of a job."""
    return f"{job_id}:{by.value}"
