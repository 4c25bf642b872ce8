"""What the API, the workflows and the activities agree on: names, ids, task queues and messages.

Every message is one Pydantic model whose new fields get defaults, so that a running workflow can read an old
one and a new worker an old history. Ids cross into workflows, documents do not.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field
from temporalio.common import SearchAttributeKey

from app.jobs.change import Dispute
from app.jobs.policy import BASIS, JobPolicy, Urgency
from app.lifecycle import Action, Actor, Phase, Status

JOB_WORKFLOW = "Job"
PAYOUT_WORKFLOW = "Payout"
DISPUTE_WORKFLOW = "Dispute"
BANK_PAYOUTS_WORKFLOW = "BankPayouts"
RATINGS_WORKFLOW = "Ratings"
ARCHIVE_WORKFLOW = "Archive"
SWEEP_WORKFLOW = "Sweep"

SWEEP_SCHEDULE_ID = "sweep"
BANK_PAYOUTS_SCHEDULE_ID = "bank-payouts"

# Events of one run. The server suggests a new run well before it; it counts where it is lowered.
HISTORY_LIMIT = 10_000
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


def payout_workflow_id(job_id: str, number: int = 1) -> str:
    """The workflow that pays a worker of a job; also the idempotency key of its transfer."""
    return f"payout-{job_id}" if number == 1 else f"payout-{job_id}-{number}"


def dispute_workflow_id(job_id: str) -> str:
    """The workflow of a dispute over a completed job."""
    return f"dispute-{job_id}"


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
    history_limit: int = Field(
        default=5_000, gt=0
    )  # events of one run; past them the process continues as new
    carried: dict[str, Any] | None = None  # the state that an earlier run ended in


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
    REASSIGN = "reassign"
    CLARIFY = "clarify"
    APPROVE_QUOTE = "approve_quote"
    DECLINE_QUOTE = "decline_quote"
    RAISE_PRICE = "raise_price"
    PROPOSE_PRICE = "propose_price"
    APPROVE_PRICE = "approve_price"
    DECLINE_PRICE = "decline_price"
    START = "start"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"
    APPROVE = "approve"
    EXTEND_REVIEW = "extend_review"
    EXTEND_DEADLINE = "extend_deadline"
    REQUEST_REVISION = "request_revision"
    QUOTE_REVISION = "quote_revision"
    APPROVE_REVISION_QUOTE = "approve_revision_quote"
    DECLINE_REVISION_QUOTE = "decline_revision_quote"
    CHANGE_POLICY = "change_policy"
    OPEN_DISPUTE = "open_dispute"
    WITHDRAW_DISPUTE = "withdraw_dispute"
    RULE = "rule"
    DISMISS_DISPUTE = "dismiss_dispute"
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


class Reasoned(Act):
    """An act that says why: a revision, a withdrawal, a dispute, a dismissal."""

    reason: str


class RequestRevision(Reasoned):
    """A client sends the work back, and says what is missing."""


class Reassign(Reasoned):
    """An admin takes the job from its worker. The share is a ruling otherwise than the policy's, in basis points."""

    share_basis_points: int | None = Field(default=None, ge=0, le=BASIS)


class Clarify(Act):
    """A client answers the question about the brief."""

    answer: str


class RaisePrice(Act):
    """A client raises the price of a job that nobody took: to this, in hundredths of a credit."""

    credits: int = Field(gt=0)


class ProposePrice(Reasoned):
    """An admin proposes a higher price: this, in hundredths of a credit. It counts once the client agrees."""

    credits: int = Field(gt=0)


class AgreePrice(Act):
    """A client agrees to pay so much more, in hundredths of a credit. None: to whatever is proposed."""

    extra_credits: int | None = Field(default=None, gt=0)


class QuoteRevision(Reasoned):
    """A worker says what a further revision costs, in hundredths of a credit."""

    credits: int = Field(gt=0)


class Cancel(Reasoned):
    """End the job on the terms that this version names, as the preview showed them."""

    preview_version: str


class ExtendDeadline(Reasoned):
    """An admin moves what the job waits for, or the due time of its work, to a later moment."""

    to: datetime


class ChangePolicy(Reasoned):
    """An admin moves a running job to another policy."""

    policy: JobPolicy


class Rule(Reasoned):
    """An admin ends a dispute: the worker gets this share, in basis points, and the client the rest back."""

    worker_share_basis_points: int = Field(ge=0, le=BASIS)


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
    reminders: list[datetime] = Field(default_factory=list)  # that will be sent before it
    due_at: datetime | None = None  # when the work is due
    next_alarm_at: datetime | None = None  # of the work's due time: a reminder to the worker, or an alert
    dispute: Dispute | None = None
    runs: int = 1  # of the process: it continues as new where a history would grow too long
    awaited: list[Awaited] = Field(default_factory=list)
    possible: list[Awaited] = Field(default_factory=list)  # all that may be done now, awaited or not


# --- Workflows that outlive the job's own


class PayoutInput(BaseModel):
    """Pay a worker for a job, in USD cents. `number` counts the job's payouts: one for each worker who earned.

    `tries` and `held_reason` are carried from run to run of a payout long held.
    """

    job_id: str
    worker_id: str
    client_id: str
    amount_usd_cents: int
    number: int = 1
    correlation_id: str | None = None
    tries: int = 0  # that ended in a definite no; each one spent its idempotency key
    held_reason: str | None = None  # why it is held, as recorded last
    history_limit: int = Field(default=HISTORY_LIMIT, gt=0)


class DisputeInput(BaseModel):
    """Hold a dispute over a completed job; the numbers are those of the job's policy."""

    job_id: str
    client_id: str
    worker_id: str
    completed_at: datetime
    window_seconds: int  # after completion, in which a dispute can be opened
    evidence_seconds: int
    reminder_seconds: int  # between reminders to the admins
    payouts: list[int] = Field(default_factory=list)  # of the worker: numbers of accruals
    correlation_id: str | None = None
    history_limit: int = Field(default=HISTORY_LIMIT, gt=0)
    carried: dict[str, Any] | None = None  # the state that an earlier run ended in


class BankPayoutsResult(BaseModel):
    """Of a run over workers' balances: paid out, in USD cents in all, not enough to pay out, refused, given up."""

    paid: int = 0
    usd_cents: int = 0
    below_minimum: int = 0
    refused: int = 0
    failed: int = 0


class BankPayoutsInput(BaseModel):
    """Pay workers' balances out to their banks. A worker is paid out once in a period; None: the day of the run.

    `after` and `result` are carried from run to run.
    """

    period: str | None = None
    worker_ids: list[str] | None = None  # None: everyone
    after: str = ""
    result: BankPayoutsResult = Field(default_factory=BankPayoutsResult)
    history_limit: int = Field(default=HISTORY_LIMIT, gt=0)


class RatingsInput(BaseModel):
    """Collect both ratings of a job, double-blind, and reveal them together or when the window ends."""

    job_id: str
    client_id: str
    worker_id: str
    window_seconds: int
    dispute_window_seconds: int = 0  # after completion; the archive waits for it
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
    """Archive a finished job, not before a moment, nor while it is disputed."""

    job_id: str
    client_id: str
    not_before: datetime | None = None
    correlation_id: str | None = None
    history_limit: int = Field(default=HISTORY_LIMIT, gt=0)
    carried: dict[str, Any] | None = None  # the state that an earlier run ended in
