"""What a job's workflow asks of its activities, and what they answer. Ids, times and money only."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from app.jobs.change import Accrual, JobChange
from app.jobs.holds import PlannedResolution


class Activity(StrEnum):
    """Names of the activities."""

    PARSE_WITH_OPENAI = "parse_brief_with_openai"
    PARSE_WITH_RULES = "parse_brief_with_rules"
    HOLD_CREDITS = "hold_credits"
    RANK_WORKERS = "rank_workers"
    ASSIGN_WORKER = "assign_worker"
    RECORD_CHANGE = "record_change"
    MAKE_OFFER = "make_offer"
    SETTLE_JOB = "settle_job"
    TRACKED_TIME = "tracked_time"


class HoldCredits(BaseModel):
    """Hold a job's price, in hundredths of a credit; `number` counts its holds from 1."""

    job_id: str
    client_id: str
    credits: int
    number: int = 1


class HoldCreditsResult(BaseModel):
    """Whether the credits are held; `available` is what the client has left, or has when it was too little."""

    held: bool
    available: int


class RankWorkers(BaseModel):
    """Rank the workers for a round; `excluded` were asked before and are not asked again."""

    job_id: str
    client_id: str
    required_skills: list[str]
    round: int
    limit: int
    excluded: list[str]
    widened: bool
    urgent: bool = False
    at: datetime


class RankedWorker(BaseModel):
    """A candidate to be offered the job; the whole score card is in the `rankings` collection."""

    worker_id: str
    rank: int
    score: int


class RankWorkersResult(BaseModel):
    """The best candidates of a round, best first."""

    candidates: list[RankedWorker]
    considered: int = 0
    passed_over: int = 0


class AssignWorker(BaseModel):
    """Take one place of the worker's capacity and write the change, or neither."""

    worker_id: str
    offer_number: int | None = None
    change: JobChange


class AssignWorkerResult(BaseModel):
    """Whether the place was taken."""

    assigned: bool
    capacity: int = 0


class MakeOffer(BaseModel):
    """Offer the job: `change` makes the offer, with the window's end as if the worker worked round the clock.

    `pause_limit_seconds` bounds how long the clock may stand still outside the worker's hours; None: it does not.
    """

    worker_id: str
    window_seconds: int
    pause_limit_seconds: int | None = None
    at: datetime
    change: JobChange


class MakeOfferResult(BaseModel):
    """The instant at which the offer lapses."""

    expires_at: datetime


class TrackedTime(BaseModel):
    """The time that a worker has tracked on a job, up to an instant."""

    job_id: str
    worker_id: str
    at: datetime


class SettleJob(BaseModel):
    """End a job's money, or a leaving worker's part: holds, pay, the place, the change."""

    worker_id: str | None = None  # whose place is given back
    resolutions: list[PlannedResolution] = Field(default_factory=list)
    accrual: Accrual | None = None
    completed: bool = False
    change: JobChange
