"""Messages of the workflows that outlive the job's own, of the sweep and of the ledger's night.

Their inputs are in `workflows.contracts`, since the job's workflow starts them; here is what they exchange with their
activities, and what they answer. Ids, times and money only, but for the comment of a rating.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from app.disputes.rulings import RulingPlan
from app.jobs.change import Dispute
from app.jobs.closing import Note
from app.jobs.payouts import HoldReason, PayoutStatus
from app.lifecycle import Action, Actor, Status
from app.notifications.notices import Notice


class FollowerActivity(StrEnum):
    """Names of the activities."""

    SEND_TRANSFER = "send_transfer"
    RECORD_PAYOUT_SENT = "record_payout_sent"
    RECORD_PAYOUT = "record_payout"
    PAYOUT_DUE = "payout_due"
    TAKE_BACK = "take_back"
    OPEN_DISPUTE = "open_dispute"
    NOTE_DISPUTE = "note_dispute"
    PLAN_RULING = "plan_ruling"
    SETTLE_RULING = "settle_ruling"
    LIST_PAYEES = "list_payees"
    PAY_OUT = "pay_out"
    FOLLOW_PAYOUTS = "follow_payouts"
    READ_ACCOUNT = "read_account"
    FOLLOW_PAYOUT = "follow_payout"
    STORE_RATING = "store_rating"
    REVEAL_RATINGS = "reveal_ratings"
    WRITE_ARCHIVE = "write_archive"
    MARK_ARCHIVED = "mark_archived"
    START_ORPHANS = "start_orphans"
    PURGE_EXPIRED = "purge_expired"
    STOP_IDLE_TIMERS = "stop_idle_timers"
    EXPIRE_CREDITS = "expire_credits"
    AUDIT_LEDGER = "audit_ledger"
    RECONCILE = "reconcile"


# --- Payout

ACCOUNT_UPDATED_SIGNAL = "account_updated"
"""To a payout: the worker's account, or whatever held it, may have changed: try now. Carries nothing."""


DISPUTE_CLOSED_SIGNAL = "dispute_closed"
"""To a payout: the dispute over its job is closed; it goes on. Carries a `DisputeClosed`."""


class PayoutDue(BaseModel):
    """What is to be sent now in USD cents, by the worker's book, or was; and whether a dispute forbids it."""

    usd_cents: int
    disputed: bool = False


class TakeBack(BaseModel):
    """What a ruling takes of one accrual, in USD cents; `act` names the ruling within the job."""

    job_id: str
    worker_id: str
    number: int = 1  # of the accrual, and its payout
    amount_usd_cents: int
    act: str
    reason: str
    correlation_id: str | None = None


class TakenBack(BaseModel):
    """Of what was taken, in USD cents: how much Stripe gave back, and how much the worker owes now."""

    reversed_usd_cents: int = 0
    debt_usd_cents: int = 0


class DisputeClosed(BaseModel):
    """The end of a dispute, and what of the pay a ruling took."""

    take_back: TakeBack | None = None


class SendTransfer(BaseModel):
    """Move a job's pay to the worker's connected account. `payout_id` finds it again, the key keeps it single."""

    job_id: str
    worker_id: str
    amount_usd_cents: int
    payout_id: str
    idempotency_key: str
    number: int | None = None  # of the payout; None: it was not said yet, and any dispute holds it


class TransferOutcome(BaseModel):
    """A transfer's id, or why there is none.

    `key_spent`: Stripe refused, and saved that under the key. `replayed`: it was an old answer under the key, so try
    the next key now.
    """

    stripe_transfer_id: str | None = None
    reason: HoldReason | None = None
    key_spent: bool = False
    replayed: bool = False


class RecordPayout(BaseModel):
    """Write where the pay is on the job, and tell who must know."""

    job_id: str
    worker_id: str
    amount_usd_cents: int
    status: PayoutStatus
    at: datetime
    stripe_transfer_id: str | None = None
    reason: HoldReason | None = None
    number: int = 1
    was_held: bool = True  # so that an admin may have been asked for
    correlation_id: str | None = None


class PayoutView(BaseModel):
    """The live state of a payout: its query's answer and its workflow's result."""

    job_id: str
    worker_id: str
    amount_usd_cents: int
    status: PayoutStatus
    reason: HoldReason | None = None
    tries: int = 0
    next_try_at: datetime | None = None
    stripe_transfer_id: str | None = None


# --- Dispute over a completed job


class OpenCompletedDispute(BaseModel):
    """Open the next dispute of a completed job, and tell of it."""

    job_id: str
    opened_by: Actor
    opened_by_id: str
    reason: str
    at: datetime
    evidence_until: datetime
    correlation_id: str | None = None


class DisputeOpened(BaseModel):
    """The dispute as it is on record, and the job's sequence number."""

    dispute: Dispute
    seq: int


class NoteDispute(BaseModel):
    """Note an act on the job under the key `act`, with the dispute as it is then."""

    job_id: str
    act: str
    note: Note
    dispute: Dispute
    deadline: datetime | None = None
    admin_reason: str | None = None
    notices: list[Notice] = Field(default_factory=list)


class PlanRuling(BaseModel):
    """Work out what a share of the worker's means."""

    job_id: str
    share_basis_points: int


class SettleRuling(BaseModel):
    """Give the client back what was planned, and note the ruling on the job."""

    plan: RulingPlan
    ruling: NoteDispute


class CompletedDisputeView(BaseModel):
    """The live state of a dispute over a completed job: its query's answer and its workflow's result."""

    job_id: str
    dispute: Dispute | None = None
    deadline: datetime | None = None
    deadline_action: Action | None = None
    pay_to_settle: int = 0  # payouts that are still to hear of the last ruling
    runs: int = 1


# --- Payouts to banks, and what Stripe tells of connected accounts


class ListPayees(BaseModel):
    """The next workers with an account, after this id."""

    after: str = ""
    limit: int


class PayOut(BaseModel):
    """Pay out a worker's balance, once in a period."""

    worker_id: str
    period: str


class PaidOut(BaseModel):
    """What became of it: no status when there was nothing to pay out, or not enough."""

    status: str | None = None
    amount_usd_cents: int = 0


class ReadAccount(BaseModel):
    """Re-read a connected account, remember it, and try held payouts again."""

    account_id: str


class AccountRead(BaseModel):
    """Whose account it is (None: nobody's here), and how many held payouts were told."""

    worker_id: str | None = None
    transfers_active: bool = False
    nudged: int = 0


class FollowPayout(BaseModel):
    """Re-read a payout of a connected account to its bank."""

    account_id: str
    stripe_payout_id: str


# --- Ratings


class StoreRating(BaseModel):
    """One side's rating, to be kept unseen."""

    job_id: str
    by: Actor
    author_id: str
    subject_id: str
    rating: int
    comment: str
    at: datetime
    correlation_id: str | None = None


class RevealRatings(BaseModel):
    """Show what was given, and count it for those who were rated."""

    job_id: str
    client_id: str
    worker_id: str
    at: datetime
    correlation_id: str | None = None


class RatingsView(BaseModel):
    """Who has given a rating, never which: the query's answer and the workflow's result."""

    job_id: str
    given_by_client: bool = False
    given_by_worker: bool = False
    closes_at: datetime
    revealed_at: datetime | None = None


# --- Archive

PAYOUT_SETTLED_SIGNAL = "payout_settled"
"""To an archive: the payout that was held is sent, so the record is whole now. Carries nothing."""


class WriteArchive(BaseModel):
    """Write a job's whole record to the archive bucket."""

    job_id: str
    at: datetime


class ArchiveWritten(BaseModel):
    """The record's place and size in bytes, the job's status, and whether its money is settled."""

    key: str
    size: int
    status: Status
    settled: bool


class MarkArchived(BaseModel):
    """Note on the job that its record is archived."""

    job_id: str
    status: Status
    at: datetime
    correlation_id: str | None = None


class ArchiveView(BaseModel):
    """The live state of an archive: its query's answer and its workflow's result."""

    job_id: str
    key: str | None = None
    size: int = 0
    archived_at: datetime | None = None
    settled: bool = False
    runs: int = 1


# --- Sweep


class SweepInput(BaseModel):
    """What one sweep does: orphans and timers always, purges at every so-many-th minute of the hour."""

    purge_every_minutes: int = 15


class OrphansStarted(BaseModel):
    """Of the jobs that looked like orphans: started now, running already, or not startable."""

    started: int = 0
    running: int = 0
    failed: int = 0


class Purged(BaseModel):
    """How many expired records are gone."""

    idempotency_keys: int = 0
    sessions: int = 0
    mail_deliveries: int = 0


class TimersStopped(BaseModel):
    """Of the running timers: stopped for silence, stopped since their job moved on, or not readable."""

    idle: int = 0
    left: int = 0
    failed: int = 0


class SweepResult(BaseModel):
    """What one sweep did."""

    orphans: OrphansStarted
    purged: Purged | None = None
    timers: TimersStopped = Field(default_factory=TimersStopped)


# --- The ledger's night

LEDGER_NIGHT_WORKFLOW = "LedgerNight"
LEDGER_NIGHT_SCHEDULE_ID = "ledger-night"


class CreditsExpired(BaseModel):
    """What lapsed: in how many lots of how many clients, in hundredths of a credit. `failed` are tried again."""

    clients: int = 0
    lots: int = 0
    amount: int = 0
    failed: int = 0


class LedgerAudited(BaseModel):
    """What an audit saw, the first of what disagrees, and where the heads are kept."""

    transactions: int = 0
    books: int = 0
    open_holds: int = 0
    discrepancies: int = 0
    first: list[str] = Field(default_factory=list)
    heads_key: str = ""


class Reconcile(BaseModel):
    """Compare ledger, Stripe and jobs, under this report's id. `discrepancies` are those of the audit before."""

    report_id: str
    at: datetime
    discrepancies: int = 0


class Reconciled(BaseModel):
    """How many things disagree, by the report of that id."""

    report_id: str = ""
    differences: int = 0


class LedgerNight(BaseModel):
    """What one night did."""

    expired: CreditsExpired
    audited: LedgerAudited
    reconciled: Reconciled = Field(default_factory=Reconciled)
