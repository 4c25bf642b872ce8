"""The collection `users`: people, their role, and what that role adds.

Activities count in `workerProfile` while the API edits it, so nothing ever saves a whole user: every write is a
targeted `$set`, `$inc` or `$addToSet`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from app.documents import CamelDocument, CamelModel
from app.users.hours import WorkingHours, office_hours

DEFAULT_TIMEZONE = "Asia/Phnom_Penh"
DEFAULT_COUNTRY = "KH"
DEFAULT_CAPACITY = 3
MAX_CAPACITY = 20
MAX_SKILLS = 30


class Role(StrEnum):
    """What a person is here; one for each account."""

    CLIENT = "client"
    WORKER = "worker"
    ADMIN = "admin"


class Rating(CamelModel):
    """Whole stars received, 1 to 5 each: their sum and how many."""

    sum: int = 0
    count: int = 0


class OfferStats(CamelModel):
    """How a worker answered offers."""

    offered: int = 0
    accepted: int = 0
    declined: int = 0
    expired: int = 0
    withdrawn: int = 0


class PayoutAccount(CamelModel):
    """What Stripe said of the worker's connected account when it was read last.

    `requirements_due` are Stripe's names of what it still wants to know; an account that has left us has neither
    ability.
    """

    transfers_active: bool
    payouts_enabled: bool
    details_submitted: bool
    requirements_due: list[str] = Field(default_factory=list)
    read_at: datetime


class WorkerProfile(CamelModel):
    """The first block is the worker's own to edit; the second only activities write."""

    skills: list[str] = Field(default_factory=list)
    timezone: str = DEFAULT_TIMEZONE
    working_hours: WorkingHours = Field(default_factory=office_hours)
    capacity: int = DEFAULT_CAPACITY
    available: bool = True
    opted_in_urgent: bool = False

    active_job_ids: list[str] = Field(default_factory=list)
    active_jobs: int = 0
    open_offer_ids: list[str] = Field(default_factory=list)
    rating: Rating = Field(default_factory=Rating)
    offers: OfferStats = Field(default_factory=OfferStats)
    completed_jobs: int = 0
    last_declined_at: datetime | None = None
    country: str = DEFAULT_COUNTRY
    stripe_account_id: str | None = None
    stripe_account_asked_at: datetime | None = None  # before Stripe was asked to make it
    payout_account: PayoutAccount | None = None

    @property
    def can_be_paid(self) -> bool:
        """Whether a transfer would reach the worker, as far as we know."""
        if self.stripe_account_id is None:
            return False
        return self.payout_account is None or self.payout_account.transfers_active


class ClientProfile(CamelModel):
    """What a client tells of themselves; credits and tier live in their own collections."""

    company: str = ""
    rating: Rating = Field(default_factory=Rating)
    completed_jobs: int = 0


class User(CamelDocument):
    """One account. `registration` names the registration whose mail may verify it."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # text in place of an ObjectId
    email: str  # lower case
    role: Role
    name: str
    password_hash: str = Field(repr=False)
    email_verified: bool = False
    disabled: bool = False
    registration: str = ""
    worker_profile: WorkerProfile | None = None
    client_profile: ClientProfile | None = None
    created_at: datetime

    class Settings:
        name = "users"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("email", ASCENDING)], unique=True),
            # preselection of candidates for a job
            IndexModel([("role", ASCENDING), ("workerProfile.skills", ASCENDING), ("disabled", ASCENDING)]),
        ]


DOCUMENTS: list[type[Document]] = [User]
