"""The job as stored. The API writes the post and the files; the job's own workflow writes all else."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.camel import CamelModel
from app.documents import CamelDocument
from app.files.models import JobFile
from app.jobs.change import (
    Accrual,
    Clarification,
    Delivery,
    Dispute,
    FormerWorker,
    OfferStatus,
    PriceProposal,
    TimelineEntry,
)
from app.jobs.holds import OpenHold
from app.jobs.parts import Parts
from app.jobs.policy import JobPolicy, Urgency
from app.jobs.pricing import Quote
from app.lifecycle import Phase, Status
from app.matching.models import ScoreCard
from app.parsing.models import ParsedBrief


class RatingGiven(CamelModel):
    """A revealed rating."""

    rating: int
    comment: str = ""
    given_at: datetime


class Ratings(CamelModel):
    """Both sides' ratings, empty until they are revealed together."""

    by_client: RatingGiven | None = None
    by_worker: RatingGiven | None = None
    revealed_at: datetime | None = None


class JobPayout(CamelModel):
    """Where the worker's pay is."""

    status: str
    stripe_transfer_id: str | None = None
    reason: str | None = None
    at: datetime


class Job(CamelDocument):
    """One job; `_id` is known before it is inserted, since its workflow is named by it."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # text in place of an ObjectId
    client_id: str
    worker_id: str | None = None
    offered_worker_id: str | None = None
    title: str
    description: str
    urgency: Urgency
    max_credits: int | None = None
    status: Status
    phase: Phase
    seq: int = 0
    rate: int
    policy: JobPolicy
    parsed: ParsedBrief | None = None
    pricing: Quote | None = None
    category: str | None = None
    required_skills: list[str] = Field(default_factory=list)
    held_credits: int = 0
    spent_credits: int = 0
    earned_usd_cents: int = 0
    pay_usd_cents: int = 0
    holds: list[OpenHold] = Field(default_factory=list)
    ledger_keys: list[str] = Field(default_factory=list)
    accruals: list[Accrual] = Field(default_factory=list)
    proposal: PriceProposal | None = None
    clarification: Clarification | None = None
    offer_number: int = 0
    round: int = 0
    refusals: int = 0
    revision_count: int = 0
    deliveries: list[Delivery] = Field(default_factory=list)
    deadline: datetime | None = None
    reminders: list[datetime] = Field(default_factory=list)
    due_at: datetime | None = None
    overdue_count: int = 0
    review_extended: bool = False
    assignments: int = 0
    former_workers: list[FormerWorker] = Field(default_factory=list)
    dispute: Dispute | None = None
    decided_at: datetime | None = (
        None  # when the workflow decided what is stored: a later decision replaces it
    )
    needs_admin: bool = False
    needs_admin_reason: str | None = None
    timeline: list[TimelineEntry] = Field(default_factory=list)
    note_keys: list[str] = Field(default_factory=list)  # of what was noted after the job's process had ended
    files: list[JobFile] = Field(default_factory=list)
    payout: JobPayout | None = None  # the first; of further workers, by number:
    further_payouts: dict[str, JobPayout] = Field(default_factory=dict)
    ratings: Ratings | None = None
    archived_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    assigned_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    correlation_id: str | None = None

    def payout_of(self, worker_id: str | None) -> JobPayout | None:
        """The payout of what a worker earned by this job, the last one where there are several."""
        numbers = [item.number for item in self.accruals if item.worker_id == worker_id]
        if not numbers:
            return self.payout if not self.accruals else None
        return self.payout if numbers[-1] == 1 else self.further_payouts.get(str(numbers[-1]))

    @property
    def is_disputed_after_completion(self) -> bool:
        """Whether the last dispute was opened once the job had completed, and so is a process of its own."""
        if self.dispute is None or self.completed_at is None:
            return False
        return self.dispute.opened_at >= self.completed_at

    @property
    def parts(self) -> Parts:
        """Whose part of the job's money is whose."""
        return Parts(
            job_id=self.id,
            worker_id=self.worker_id,
            ledger_keys=self.ledger_keys,
            accruals=self.accruals,
            former_workers=self.former_workers,
        )

    class Settings:
        """Collection and indexes. The unique pair serves the guarded write of a change."""

        name = "jobs"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("_id", ASCENDING), ("seq", ASCENDING)], unique=True, name="id_seq"),
            IndexModel(
                [("clientId", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="client_status"
            ),
            IndexModel(
                [("workerId", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="worker_status"
            ),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)], name="status"),
            IndexModel([("needsAdmin", ASCENDING), ("_id", DESCENDING)], name="needs_admin"),
        ]


class Offer(CamelDocument):
    """One offer; `_id` is `<jobId>:<number>`."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # a business key in place of an ObjectId
    job_id: str
    number: int
    worker_id: str
    status: OfferStatus
    round: int
    rank: int
    score: int
    made_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    reason: str | None = None

    class Settings:
        """Collection and indexes."""

        name = "offers"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("workerId", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="worker_status"
            ),
            IndexModel([("jobId", ASCENDING), ("number", ASCENDING)], name="job_number"),
        ]


class RankingRecord(CamelDocument):
    """The whole score card of a round; `_id` is `<jobId>:<round>`."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # a business key in place of an ObjectId
    job_id: str
    round: int
    version: str
    widened: bool
    at: datetime
    required_skills: list[str]
    cards: list[ScoreCard]

    class Settings:
        """Collection."""

        name = "rankings"


def offer_id(job_id: str, number: int) -> str:
    """The `_id` of an offer."""
    return f"{job_id}:{number}"


def ranking_id(job_id: str, round_number: int) -> str:
    """The `_id` of a round's ranking."""
    return f"{job_id}:{round_number}"


DOCUMENTS: list[type[Document]] = [Job, Offer, RankingRecord]
