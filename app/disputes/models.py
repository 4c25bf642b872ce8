"""What both sides of a dispute said, as stored in the collection `dispute_evidence`. Content, not process."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from app.documents import CamelDocument
from app.lifecycle import Actor


class Evidence(CamelDocument):
    """One statement; never edited."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # text in place of an ObjectId
    job_id: str
    dispute_number: int
    by: Actor
    author_id: str
    at: datetime
    text: str
    file_ids: list[str] = Field(default_factory=list)

    class Settings:
        """Collection and indexes."""

        name = "dispute_evidence"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("jobId", ASCENDING), ("disputeNumber", ASCENDING)], name="job_dispute"),
        ]


DOCUMENTS: list[type[Document]] = [Evidence]
