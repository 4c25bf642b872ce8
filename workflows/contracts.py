"""What the API, the workflows and the activities agree on: names, ids, task queues and messages.

Every message is one Pydantic model whose new fields get defaults, so that a running workflow can read an old
one and a new worker an old history. Ids cross into workflows, documents do not.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field
from temporalio.common import SearchAttributeKey

from app.jobs.change import JobChange
from app.jobs.policy import JobPolicy, Urgency
from app.lifecycle import Action, Actor, Phase, Status

JOB_WORKFLOW = "Job"
PAYOUT_WORKFLOW = "Payout"
RATINGS_WORKFLOW = "Ratings"
ARCHIVE_WORKFLOW = "Archive"
SWEEP_WORKFLOW = "Sweep"

SWEEP_SCHEDULE_ID = "sweep"

MAX_COMMENT_LENGTH = 1_000  # characters of a rating's comment


class TaskQueue(StrEnum):
    """One queue per class of failure, so that a slow model never delays money."""

    JOBS = "jobs"
    BILLING = "billing"
    AI = "ai"
    NOTIFY = "notify"


def task_queue(name: TaskQueue, prefix: str = "") -> str:
    """The queue's name in a stack whose settings give it a prefix."""
    return f"{prefix}{name.value}"


def sibling_task_queue(own: str, name: TaskQueue) -> str:
    """Another queue of the stack that the caller's own queue belongs to; for use in workflow code."""
    for candidate in TaskQueue:
        if own.endswith(candidate.value):
            return own.removesuffix(candidate.value) + name.value
    return name.value


def job_workflow_id(job_id: str) -> str:
    """The workflow that is the job."""
    return f"job-{job_id}"


def payout_workflow_id(job_id: str) -> str:
    """The workflow that pays the worker of a job; also the idempotency key of its transfer."""
    return f"payout-{job_id}"


def ratings_workflow_id(job_id: str) -> str:
    """The workflow that holds both ratings of a job until they are revealed."""
    return f"ratings-{job_id}"


def archive_workflow_id(job_id: str) -> str:
    """The workflow that archives a finished job."""
    return f"archive-{job_id}"


# Search attributes: no personal data, ids only.
JOB_STATUS = SearchAttributeKey.for_keyword("JobStatus")
CLIENT_ID = SearchAttributeKey.for_keyword("ClientId")
WORKER_ID = SearchAttributeKey.for_keyword("WorkerId")
URGENCY = SearchAttributeKey.for_keyword("Urgency")
NEEDS_ADMIN = SearchAttributeKey.for_bool("NeedsAdmin")
DEADLINE = SearchAttributeKey.for_datetime("Deadline")
SEARCH_ATTRIBUTES = (JOB_STATUS, CLIENT_ID, WORKER_ID, URGENCY, NEEDS_ADMIN, DEADLINE)


class JobInput(BaseModel):
    """Start of a job's process, with the policy and the prices of that moment."""

    job_id: str
    client_id: str
    urgency: Urgency = Urgency.NORMAL
    rate: int  # hundredths of a credit for one likely hour, from the client's tier
    max_credits: int | None = None  # hundredths; consent up to there, None: the client agrees to the quote
    policy: JobPolicy = Field(default_factory=JobPolicy)
    parse_with_openai: bool = False
    posted_at: datetime
    correlation_id: str | None = None


class JobResult(BaseModel):
    """How a job ended."""

    status: Status
    phase: Phase
    seq: int
    spent_credits: int = 0
    earned_usd_cents: int = 0


# --- Updates of the job workflow. The update id is the business act; `body_hash` tells a repeat from a clash.


class Update(StrEnum):
    """Names of the updates."""

    ACCEPT_OFFER = "accept_offer"
    DECLINE_OFFER = "decline_offer"
    ASSIGN = "assign"
    APPROVE_QUOTE = "approve_quote"
    DECLINE_QUOTE = "decline_quote"
    START = "start"
    SUBMIT = "submit"
    APPROVE = "approve"
    REQUEST_REVISION = "request_revision"
    SUBMIT_RATING = "submit_rating"


STATE_QUERY = "state"


class Act(BaseModel):
    """What every act carries: who, and which request it came from."""

    actor: Actor
    actor_id: str
    body_hash: str = ""
    correlation_id: str | None = None


class DeclineOffer(Act):
    """A worker says no, and why."""

    reason: str


class Assign(Act):
    """An admin gives the job to a worker by hand."""

    worker_id: str
    reason: str = ""


class Submit(Act):
    """A worker delivers confirmed files."""

    file_ids: list[str]
    note: str = ""


class RequestRevision(Act):
    """A client sends the work back, and says what is missing."""

    reason: str


class ActResult(BaseModel):
    """The answer to an act: where the job is now."""

    job_id: str
    status: Status
    phase: Phase
    seq: int
    body_hash: str = ""
    deadline: datetime | None = None


class Awaited(BaseModel):
    """What the job waits for, and from whom."""

    actor: Actor
    actor_id: str | None = None
    actions: list[Action]


class JobStateView(BaseModel):
    """The live state of one job, as its own process knows it."""

    job_id: str
    client_id: str
    worker_id: str | None = None
    offered_worker_id: str | None = None
    status: Status
    phase: Phase
    seq: int
    deadline: datetime | None = None
    deadline_action: Action | None = None  # what happens at the deadline if nobody acts
    awaited: list[Awaited] = Field(default_factory=list)


# --- Activities


class Activity(StrEnum):
    """Names of the activities."""

    PARSE_WITH_OPENAI = "parse_brief_with_openai"
    PARSE_WITH_RULES = "parse_brief_with_rules"
    HOLD_CREDITS = "hold_credits"
    RANK_WORKERS = "rank_workers"
    ASSIGN_WORKER = "assign_worker"
    RECORD_CHANGE = "record_change"
    COMPLETE_JOB = "complete_job"


class HoldCredits(BaseModel):
    """Hold a job's price, in hundredths of a credit."""

    job_id: str
    client_id: str
    credits: int


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


class CompleteJob(BaseModel):
    """Settle a job: spend the hold, credit the worker, give the place back, write the change."""

    worker_id: str
    credits: int
    pay_usd_cents: int
    change: JobChange


# --- Workflows that outlive the job's own


class PayoutInput(BaseModel):
    """Pay a worker for a job, in USD cents. The last two are carried from run to run of a payout long held."""

    job_id: str
    worker_id: str
    client_id: str
    amount_usd_cents: int
    correlation_id: str | None = None
    tries: int = 0  # that ended in a definite no; each one spent its idempotency key
    held_reason: str | None = None  # why it is held, as recorded last


class RatingsInput(BaseModel):
    """Collect both ratings of a job, double-blind, and reveal them together or when the window ends."""

    job_id: str
    client_id: str
    worker_id: str
    window_seconds: int
    seq: int  # of the job when its own workflow ended
    completed_at: datetime
    correlation_id: str | None = None


class SubmitRating(Act):
    """One side's rating of the other, from 1 to 5."""

    rating: int = Field(ge=1, le=5)
    comment: str = Field(default="", max_length=MAX_COMMENT_LENGTH)


class RatingResult(BaseModel):
    """The answer to a rating."""

    job_id: str
    revealed: bool
    closes_at: datetime
    body_hash: str = ""


class ArchiveInput(BaseModel):
    """Archive a finished job."""

    job_id: str
    client_id: str
    seq: int
    correlation_id: str | None = None
