"""What each role sees of a job: the client the price, the worker the pay, the admin everything."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import Field

from api.types import CreditsOut, EntityId, ResponseModel
from app.jobs.change import DisputeStatus, TimelineEntry
from app.jobs.models import Job
from app.lifecycle import Action, Actor, Phase, State, Status, allowed_actions, awaited_actions
from app.parsing.models import ParsedBrief
from app.users.models import Role
from workflows.contracts import JobStateView

ViewT = TypeVar("ViewT", bound=ResponseModel)


class PriceView(ResponseModel):
    """Credits, for the client; `usdCents`, the worker's pay, for the worker. Admins see both."""

    credits: CreditsOut | None = None
    held_credits: CreditsOut | None = None
    spent_credits: CreditsOut | None = None
    pay_usd_cents: int | None = None
    earned_usd_cents: int | None = None
    hours_likely: float


class ProposalView(ResponseModel):
    """A higher price that waits for the client's yes: what is more, and why."""

    extra_credits: CreditsOut | None = None
    extra_pay_usd_cents: int | None = None
    by: Actor
    reason: str = ""


class ClarificationView(ResponseModel):
    """The question about an unclear brief, and its answer."""

    question: str
    asked_at: datetime
    answer: str | None = None
    answered_at: datetime | None = None


class DisputeSummary(ResponseModel):
    """The last dispute of the job; `/jobs/{id}/dispute` has the evidence."""

    number: int
    status: DisputeStatus
    opened_by: Actor
    reason: str
    evidence_until: datetime


class ReadingView(ResponseModel):
    """How the brief was read, and by whom."""

    required_skills: list[str]
    category: str
    complexity: str
    hours_low: float
    hours_likely: float
    hours_high: float
    confidence: float
    parser: str
    model: str | None = None
    prompt_version: str | None = None
    rules_version: str | None = None


class TimelineView(ResponseModel):
    """One entry: who, what, when, why, and the money the reader may see."""

    seq: int
    at: datetime
    actor: Actor
    actor_id: str | None = None
    action: Action
    status: Status
    phase: Phase
    reason: str | None = None
    credits: CreditsOut | None = None
    usd_cents: int | None = None
    details: dict[str, Any] | None = None


class DeliveryView(ResponseModel):
    """One submission of work."""

    number: int
    at: datetime
    file_ids: list[str]
    note: str = ""


class JobSummary(ResponseModel):
    """A job in a list."""

    id: EntityId
    title: str
    status: Status
    phase: Phase
    urgency: str
    category: str | None = None
    deadline: datetime | None = None
    created_at: datetime
    updated_at: datetime
    price: PriceView | None = None


class RatingView(ResponseModel):
    """A revealed rating."""

    rating: int
    comment: str = ""
    given_at: datetime


class RatingsView(ResponseModel):
    """Both sides' ratings; shown together, once both are in or the window has ended."""

    by_client: RatingView | None = None
    by_worker: RatingView | None = None
    revealed_at: datetime | None = None


class PayoutView(ResponseModel):
    """Where the worker's pay is."""

    status: str
    reason: str | None = None
    at: datetime


class JobDetail(JobSummary):
    """One job, as the caller may see it."""

    description: str
    client_id: EntityId
    worker_id: EntityId | None = None
    max_credits: CreditsOut | None = None
    reading: ReadingView | None = None
    revision_count: int
    revision_limit: int
    review_extended: bool
    due_at: datetime | None = Field(default=None, description="When the work is due.")
    overdue_count: int = Field(description="How often the admins were told that the work is late.")
    clarification: ClarificationView | None = None
    proposal: ProposalView | None = None
    dispute: DisputeSummary | None = None
    deliveries: list[DeliveryView]
    needs_admin: bool | None = None
    needs_admin_reason: str | None = None
    ratings: RatingsView | None = None
    payout: PayoutView | None = None
    assigned_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    archived_at: datetime | None = None
    timeline: list[TimelineView]


class AwaitedView(ResponseModel):
    """Whom the job waits for, and for which acts of theirs."""

    actor: Actor
    actions: list[Action]


class StateView(ResponseModel):
    """The live state of a job."""

    job_id: EntityId
    status: Status
    phase: Phase
    seq: int
    deadline: datetime | None = None
    deadline_action: Action | None = Field(
        default=None, description="What happens at the deadline if nobody acts."
    )
    reminders: list[datetime] = Field(
        default_factory=list, description="When whom the job waits for is reminded."
    )
    due_at: datetime | None = Field(default=None, description="When the work is due.")
    awaited: list[AwaitedView]
    allowed_actions: list[Action] = Field(description="What the caller may do now.")
    live: bool = Field(description="False when the job's process has ended and this is its last record.")


# Who of us assigned a job, and which workers were asked, is the platform's own business.
_UNNAMED = frozenset(
    {
        Action.ACCEPT_OFFER,
        Action.DECLINE_OFFER,
        Action.EXPIRE_OFFER,
        Action.ASSIGN,
        Action.REASSIGN,
        Action.WITHDRAW,
        Action.CHANGE_POLICY,
    }
)
# The reasons that were meant for the reader. A worker tells the platform why they decline, not the client; that a
# client is short of credits is not the worker's to know; why an admin chose a worker is for admins.
# What a worker was paid who left is not for the next one to see.
_OF_THE_ONE_BEFORE = frozenset({Action.WITHDRAW, Action.REASSIGN})
_DISPUTE = (Action.OPEN_DISPUTE, Action.DISMISS_DISPUTE, Action.RULE, Action.RULE_REFUND)
_REASONS: dict[Role, frozenset[Action]] = {
    Role.CLIENT: frozenset(
        {
            Action.REQUEST_CONSENT,
            Action.REQUEST_REVISION,
            Action.REQUEST_EXTRA_REVISION,
            Action.QUOTE_REVISION,
            Action.PROPOSE_PRICE,
            Action.CANCEL,
            *_DISPUTE,
        }
    ),
    Role.WORKER: frozenset(
        {Action.REQUEST_REVISION, Action.REQUEST_EXTRA_REVISION, Action.QUOTE_REVISION, *_DISPUTE}
    ),
}


def price_view(job: Job, role: Role) -> PriceView | None:
    """The money of a job that a role may see."""
    if job.pricing is None:
        return None
    view = PriceView(hours_likely=job.pricing.hours_likely)
    if role is not Role.WORKER:
        view.credits, view.held_credits = job.pricing.credits, job.held_credits
        view.spent_credits = job.spent_credits
    if role is not Role.CLIENT:
        view.pay_usd_cents, view.earned_usd_cents = _pay(job, role), earned(job, role)
    return view


def earned(job: Job, role: Role) -> int:
    """What was earned by the job in USD cents; a worker sees what its present worker did."""
    if role is Role.ADMIN:
        return job.earned_usd_cents
    return sum(item.usd_cents for item in job.accruals if item.worker_id == job.worker_id)


def _pay(job: Job, role: Role) -> int | None:
    """What the job pays in USD cents: in all, or the worker who holds it, with what they have earned of it."""
    if job.pricing is None:
        return None
    if role is Role.ADMIN or not job.former_workers:
        return job.pricing.pay_usd_cents
    return job.pay_usd_cents + earned(job, role)


def summary(job: Job, role: Role) -> JobSummary:
    """A job in a list."""
    return JobSummary(**_summary_fields(job, role))


def detail(job: Job, role: Role) -> JobDetail:
    """One job with its timeline."""
    admin = role is Role.ADMIN
    return JobDetail(
        **_summary_fields(job, role),
        description=job.description,
        client_id=job.client_id,
        worker_id=job.worker_id,
        max_credits=job.max_credits if role is not Role.WORKER else None,
        reading=_reading(job.parsed) if job.parsed else None,
        revision_count=job.revision_count,
        revision_limit=job.policy.revision_limit,
        review_extended=job.review_extended,
        due_at=job.due_at,
        overdue_count=job.overdue_count,
        clarification=_view(ClarificationView, job.clarification),
        proposal=_proposal(job, role),
        dispute=_view(DisputeSummary, job.dispute),
        deliveries=[DeliveryView.model_validate(item, from_attributes=True) for item in job.deliveries],
        needs_admin=job.needs_admin if admin else None,
        needs_admin_reason=job.needs_admin_reason if admin else None,
        ratings=_view(RatingsView, job.ratings),
        payout=_view(PayoutView, job.payout_of(job.worker_id)) if role is not Role.CLIENT else None,
        assigned_at=job.assigned_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        archived_at=job.archived_at,
        timeline=[timeline_entry(entry, role) for entry in job.timeline],
    )


def timeline_entry(entry: TimelineEntry, role: Role) -> TimelineView:
    """One entry, without the money and the internals that are not the role's to see."""
    view = TimelineView.model_validate(entry, from_attributes=True)
    if role is Role.CLIENT:
        view.usd_cents = None
    if role is Role.WORKER:
        view.credits = None
        if entry.action in _OF_THE_ONE_BEFORE:
            view.usd_cents = None
    if role is not Role.ADMIN:
        view.details = None
        if entry.action in _UNNAMED:
            view.actor_id = None
        if entry.action not in _REASONS[role]:
            view.reason = None
    return view


def live_state(view: JobStateView, role: Role, user_id: str) -> StateView:
    """The state that the job's own process answered."""
    allowed = [
        action
        for awaited in view.possible
        if awaited.actor.value == role.value and awaited.actor_id in (None, user_id)
        for action in awaited.actions
    ]
    return StateView(
        job_id=view.job_id,
        status=view.status,
        phase=view.phase,
        seq=view.seq,
        deadline=view.deadline,
        deadline_action=view.deadline_action,
        reminders=view.reminders,
        due_at=view.due_at,
        awaited=[AwaitedView(actor=item.actor, actions=item.actions) for item in view.awaited],
        allowed_actions=sorted(allowed),
        live=True,
    )


def recorded_state(job: Job, role: Role) -> StateView:
    """The last state on record, once the job's own process has ended (or before it has begun)."""
    state = State(job.status, job.phase)
    awaited = [
        AwaitedView(actor=actor, actions=sorted(actions))
        for actor in (Actor.CLIENT, Actor.WORKER, Actor.ADMIN)
        if (actions := awaited_actions(state, actor))
    ]
    return StateView(
        job_id=job.id,
        status=job.status,
        phase=job.phase,
        seq=job.seq,
        deadline=job.deadline,
        reminders=job.reminders,
        due_at=job.due_at,
        awaited=awaited,
        allowed_actions=sorted(allowed_actions(state, Actor(role.value))),
        live=False,
    )


def _view(kind: type[ViewT], value: object | None) -> ViewT | None:
    return None if value is None else kind.model_validate(value, from_attributes=True)


def _proposal(job: Job, role: Role) -> ProposalView | None:
    view = _view(ProposalView, job.proposal)
    if view and role is Role.CLIENT:
        view.extra_pay_usd_cents = None
    if view and role is Role.WORKER:
        view.extra_credits = None
    return view


def _summary_fields(job: Job, role: Role) -> dict[str, Any]:
    return {
        "id": job.id,
        "title": job.title,
        "status": job.status,
        "phase": job.phase,
        "urgency": job.urgency.value,
        "category": job.category,
        "deadline": job.deadline,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "price": price_view(job, role),
    }


def _reading(parsed: ParsedBrief) -> ReadingView:
    return ReadingView.model_validate(parsed, from_attributes=True)
