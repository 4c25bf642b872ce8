"""What a job's process writes down: the projection of its state, its offers, its timeline and its notices.

Pure models. The workflow computes a `JobChange`; an activity stores it (`app.jobs.projection`). A change names
the sequence number it starts from, so storing it twice, or late, changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from app.camel import CamelModel
from app.jobs.holds import OpenHold
from app.jobs.policy import JobPolicy
from app.jobs.pricing import Quote
from app.lifecycle import Action, Actor, Phase, Status
from app.notifications.notices import Notice
from app.parsing.models import ParsedBrief


class OfferStatus(StrEnum):
    """An offer is open until it is answered, lapses, or is taken back because an admin assigned the job."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class OfferRecord(CamelModel):
    """One offer of one job to one worker; `number` counts from 1 within the job."""

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


class TimelineEntry(CamelModel):
    """Who did what, when and why, and what it did to money. `seq` counts from 1 within the job."""

    seq: int
    at: datetime
    actor: Actor
    actor_id: str | None = None
    action: Action
    status: Status
    phase: Phase
    reason: str | None = None
    credits: int | None = None  # hundredths of a credit: quoted, held or spent
    usd_cents: int | None = None  # agreed with or earned by the worker
    details: dict[str, Any] = Field(default_factory=dict)
    correlation_id: str | None = None


class Delivery(CamelModel):
    """One submission of work."""

    number: int
    at: datetime
    file_ids: list[str]
    note: str = ""
    assignment: int = 1  # whose it is: the job's first assignment, second, …


class Clarification(CamelModel):
    """The one question that a low-confidence reading asks, and its answer."""

    question: str
    asked_at: datetime
    answer: str | None = None
    answered_at: datetime | None = None


class PriceProposal(CamelModel):
    """More credits for the job (hundredths) and the pay that goes with them; they count once the client agrees."""

    extra_credits: int
    extra_pay_usd_cents: int
    by: Actor
    reason: str = ""


class Accrual(CamelModel):
    """What a worker earned by the job, in USD cents; `number` counts from 1 and names the payout."""

    number: int
    worker_id: str
    usd_cents: int


class FormerWorker(CamelModel):
    """One who held the job and does not any more; `assignment` counts the job's assignments from 1.

    What was paid for their part, in hundredths of a credit and in USD cents, and how many of the job's transactions
    there were then; None where it was not kept yet.
    """

    worker_id: str
    assignment: int
    left_at: datetime
    reason: str = ""
    client_paid: int | None = None
    worker_earned_usd_cents: int | None = None
    ledger_keys: int | None = None


class DisputeStatus(StrEnum):
    """An open dispute is ended by a ruling, a dismissal, or the one who opened it."""

    OPEN = "open"
    RULED = "ruled"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


class Dispute(CamelModel):
    """The last dispute of a job; `number` counts from 1. All deadlines stand still while it is open."""

    number: int
    status: DisputeStatus = DisputeStatus.OPEN
    opened_by: Actor
    opened_by_id: str
    reason: str
    opened_at: datetime
    evidence_until: datetime
    worker_share_basis_points: int | None = None
    ruling_reason: str | None = None
    closed_at: datetime | None = None


class JobProjection(CamelModel):
    """The fields of the job document that only its own workflow writes."""

    status: Status
    phase: Phase
    worker_id: str | None = None
    policy: JobPolicy | None = None  # once an admin has moved the job to another than it was posted with
    parsed: ParsedBrief | None = None
    pricing: Quote | None = None
    held_credits: int = 0
    spent_credits: int = 0
    earned_usd_cents: int = 0  # by all who worked on it
    pay_usd_cents: int = 0  # what the present worker, or the next, gets when the work is approved
    holds: list[OpenHold] = Field(default_factory=list)
    ledger_keys: list[str] = Field(default_factory=list)  # every transaction that the job has made
    accruals: list[Accrual] = Field(default_factory=list)
    proposal: PriceProposal | None = None
    clarification: Clarification | None = None
    offer_number: int = 0
    offered_worker_id: str | None = None
    round: int = 0
    refusals: int = 0  # acts that were refused after a look outside: part of the next such act's update id
    revision_count: int = 0
    deliveries: list[Delivery] = Field(default_factory=list)
    deadline: datetime | None = None
    reminders: list[datetime] = Field(default_factory=list)  # before the deadline, to whom the job waits for
    due_at: datetime | None = None  # when the work is due; None while it is not the worker's turn
    overdue_count: int = 0  # alerts to the admins that the work is late
    review_extended: bool = False
    assignments: int = 0
    former_workers: list[FormerWorker] = Field(default_factory=list)
    dispute: Dispute | None = None
    needs_admin: bool = False
    needs_admin_reason: str | None = None
    assigned_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


class JobChange(CamelModel):
    """One write of a job's process: entries `from_seq + 1 … from_seq + len(timeline)`."""

    job_id: str
    client_id: str
    from_seq: int
    projection: JobProjection
    timeline: list[TimelineEntry]
    offers: list[OfferRecord] = Field(default_factory=list)
    notices: list[Notice] = Field(default_factory=list)
    stop_timer_of: str | None = None  # the worker whose tracked time ends with this change
    correlation_id: str | None = None

    @property
    def to_seq(self) -> int:
        """The sequence number of the job after this change."""
        return self.from_seq + len(self.timeline)

    @property
    def decided_at(self) -> datetime | None:
        """When the last of it was decided, by the workflow's clock; None when the job does not move."""
        return self.timeline[-1].at if self.timeline else None


def expiring(change: JobChange, expires_at: datetime) -> JobChange:
    """The change that makes an offer, with the instant at which it lapses, wherever the change tells of it."""
    changed = change.model_copy(deep=True)
    changed.projection.deadline = expires_at
    for offer in changed.offers:
        if offer.status is OfferStatus.OPEN:
            offer.expires_at = expires_at
    changed.notices = [
        notice.model_copy(update={"context": {**notice.context, "expires_at": expires_at}})
        if notice.type == "job.offer"
        else notice
        for notice in changed.notices
    ]
    return changed
