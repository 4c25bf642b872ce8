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


class JobProjection(CamelModel):
    """The fields of the job document that only its own workflow writes."""

    status: Status
    phase: Phase
    worker_id: str | None = None
    parsed: ParsedBrief | None = None
    pricing: Quote | None = None
    held_credits: int = 0
    spent_credits: int = 0
    earned_usd_cents: int = 0
    offer_number: int = 0
    offered_worker_id: str | None = None
    round: int = 0
    refusals: int = 0  # acts that were refused after a look outside: part of the next such act's update id
    revision_count: int = 0
    deliveries: list[Delivery] = Field(default_factory=list)
    deadline: datetime | None = None
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
    correlation_id: str | None = None

    @property
    def to_seq(self) -> int:
        """The sequence number of the job after this change."""
        return self.from_seq + len(self.timeline)

    @property
    def decided_at(self) -> datetime | None:
        """When the last of it was decided, by the workflow's clock; None when the job does not move."""
        return self.timeline[-1].at if self.timeline else None
