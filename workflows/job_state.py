"""The state of one job's process: moved only along the lifecycle table, drained into changes to be stored.

Deterministic and free of I/O. The workflow works on a copy where an act can still fail, so a state is either wholly
moved or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from app.jobs.change import (
    Accrual,
    Delivery,
    Dispute,
    DisputeStatus,
    FormerWorker,
    JobChange,
    JobProjection,
    OfferRecord,
    OfferStatus,
    TimelineEntry,
)
from app.jobs.errors import JobErrorCode
from app.jobs.policy import BASIS
from app.jobs.terms import Stake, Terms, stake_of
from app.lifecycle import (
    INITIAL,
    WORK_IS_DUE,
    WORKING,
    Action,
    Actor,
    Cell,
    State,
    allowed_actions,
    awaited_actions,
    cell_for,
)
from app.notifications.notices import Notice, NoticeType
from workflows.contracts import Act, ActResult, Awaited, JobInput, JobStateView
from workflows.messages import RankedWorker

# Reminders at the policy's distance; then one for as many as these, so that a job which nobody rescues for months
# stays within the events that the server allows a workflow (51,200), and its timeline within a document.
_CLOSE_REMINDERS = 24


class Money(BaseModel):
    """What an act has moved: hundredths of a credit quoted, held or spent; USD cents agreed or earned."""

    credits: int | None = None
    usd_cents: int | None = None


class Refused(BaseModel):
    """How often one person's act was refused after a look outside, and the last of these answers."""

    times: int
    at: datetime
    code: JobErrorCode
    message: str


class Frozen(BaseModel):
    """What stands still during a dispute, to be moved by as long as it took."""

    at: datetime
    deadline: datetime | None = None
    deadline_action: Action | None = None
    reminders: list[datetime] = Field(default_factory=list)
    due_at: datetime | None = None
    due_reminders: list[datetime] = Field(default_factory=list)
    overdue_alert_at: datetime | None = None


class JobState(BaseModel):
    """All that the job's process knows; plain data, so that it can be carried into a next run."""

    input: JobInput
    seq: int = 0
    projection: JobProjection = Field(
        default_factory=lambda: JobProjection(status=INITIAL.status, phase=INITIAL.phase)
    )
    offers: list[OfferRecord] = Field(default_factory=list)
    candidates: list[RankedWorker] = Field(default_factory=list)  # of this round, not asked yet
    deadline_action: Action | None = None
    reminders: int = 0  # sent to the admins
    due_reminders: list[datetime] = Field(default_factory=list)  # to the worker, before the work is due
    overdue_alert_at: datetime | None = None
    overdue_alerts: int = 0  # since the present due time
    first_round: int = 0  # the round that the search for the present worker began after
    first_offer: int = 0  # and the offer
    holds_made: int = 0
    resolutions: int = 0  # of holds in parts
    disputes: int = 0
    frozen: Frozen | None = None
    runs: int = 1
    refused: dict[str, Refused] = Field(default_factory=dict)  # by who was refused
    answers: dict[str, ActResult] = Field(
        default_factory=dict
    )  # the last ones, by update id, for the next run
    # Drained by `take_change`:
    timeline: list[TimelineEntry] = Field(default_factory=list)
    notices: list[Notice] = Field(default_factory=list)
    changed_offers: list[int] = Field(default_factory=list)
    stop_timer_of: str | None = None

    @property
    def state(self) -> State:
        """The key of the lifecycle table."""
        return State(self.projection.status, self.projection.phase)

    @property
    def offer(self) -> OfferRecord | None:
        """The last offer made."""
        return self.offers[-1] if self.offers else None

    def require(self, action: Action, actor: Actor) -> Cell:
        """The table's cell for an act now.

        Raises:
            ActNotAllowedError: the act is not possible in this state.
        """
        return cell_for(self.state, action, actor)

    def apply(
        self,
        action: Action,
        actor: Actor,
        *,
        at: datetime,
        act: Act | None = None,
        reason: str | None = None,
        details: dict[str, Any] | None = None,
        money: Money | None = None,
        deadline: datetime | None = None,
        deadline_action: Action | None = None,
        reminders: list[datetime] | None = None,
    ) -> Cell:
        """Move along one cell and note it in the timeline, with the money that the act has moved.

        A new state has the deadline that is given, or none. An act that leaves the state as it is leaves its deadline
        as well, unless it gives another.

        Raises:
            ActNotAllowedError: the act is not possible in this state.
        """
        cell = self.require(action, actor)
        projection, before = self.projection, self.state
        projection.status, projection.phase = cell.to.status, cell.to.phase
        if cell.to != before or deadline is not None:
            projection.deadline, self.deadline_action = (
                deadline,
                deadline_action or (self.deadline_action if cell.to == before else None),
            )
        if cell.to != before or reminders is not None:
            projection.reminders = reminders or []
        if before == WORKING and cell.to != WORKING:
            self.stop_timer_of = projection.worker_id
        self.seq += 1
        self.timeline.append(
            TimelineEntry(
                seq=self.seq,
                at=at,
                actor=actor,
                actor_id=act.actor_id if act else None,
                action=action,
                status=cell.to.status,
                phase=cell.to.phase,
                reason=reason or None,
                credits=money.credits if money else None,
                usd_cents=money.usd_cents if money else None,
                details=details or {},
                correlation_id=act.correlation_id if act else None,
            )
        )
        return cell

    def notify(self, type_: NoticeType, user_id: str | None, **context: Any) -> None:
        """Add a notice; `user_id` None is every admin."""
        notice = Notice(type=type_, user_id=user_id, job_id=self.input.job_id, context=context)
        self.notices.append(notice)

    def take_change(self, correlation_id: str | None = None) -> JobChange:
        """What has happened since the last time, to be stored as one change."""
        change = JobChange(
            job_id=self.input.job_id,
            client_id=self.input.client_id,
            from_seq=self.seq - len(self.timeline),
            projection=self.projection.model_copy(deep=True),
            timeline=self.timeline,
            offers=[self.offers[number - 1].model_copy() for number in sorted(set(self.changed_offers))],
            notices=self.notices,
            stop_timer_of=self.stop_timer_of,
            correlation_id=correlation_id or self.input.correlation_id,
        )
        self.timeline, self.notices, self.changed_offers, self.stop_timer_of = [], [], [], None
        return change

    def note_refusal(self, actor_id: str, code: JobErrorCode, message: str, *, at: datetime) -> None:
        """Count an act that was refused after a look outside."""
        self.projection.refusals += 1
        before = self.refused.get(actor_id)
        times = before.times + 1 if before else 1
        self.refused[actor_id] = Refused(times=times, at=at, code=code, message=message)

    # --- offers

    def open_offer(self, candidate: RankedWorker, *, at: datetime, window: timedelta) -> OfferRecord:
        """Offer the job to a candidate; the offer lapses at `at + window`."""
        offer = OfferRecord(
            number=len(self.offers) + 1,
            worker_id=candidate.worker_id,
            status=OfferStatus.OPEN,
            round=self.projection.round,
            rank=candidate.rank,
            score=candidate.score,
            made_at=at,
            expires_at=at + window,
        )
        self.offers.append(offer)
        self.changed_offers.append(offer.number)
        self.projection.offer_number = offer.number
        self.projection.offered_worker_id = offer.worker_id
        return offer

    def close_offer(self, status: OfferStatus, *, at: datetime, reason: str | None = None) -> None:
        """Answer the open offer, if one is open."""
        offer = self.offer
        if offer is None or offer.status is not OfferStatus.OPEN:
            return
        offer.status, offer.answered_at, offer.reason = status, at, reason
        self.changed_offers.append(offer.number)
        self.projection.offered_worker_id = None

    def offer_of(self, worker_id: str) -> OfferRecord | None:
        """The last offer that was made to a worker."""
        return next((offer for offer in reversed(self.offers) if offer.worker_id == worker_id), None)

    def next_reminder(self) -> timedelta:
        """Count a reminder to the admins; how long until the next."""
        self.reminders += 1
        seconds = self.input.policy.rescue_reminder_seconds
        return timedelta(seconds=seconds * (1 if self.reminders < _CLOSE_REMINDERS else _CLOSE_REMINDERS))

    # --- work

    def take_up(self, worker_id: str, *, at: datetime) -> None:
        """A worker takes the job: the work is due from now on."""
        projection, policy = self.projection, self.input.policy
        projection.worker_id, projection.assigned_at = worker_id, at
        projection.offered_worker_id, projection.needs_admin = None, False
        projection.needs_admin_reason, projection.started_at = None, None
        projection.assignments += 1
        self.candidates = []
        self.set_due(at, policy.due_time(self.input.urgency))

    def set_due(self, at: datetime, time: timedelta) -> None:
        """The work is due after `time`; the worker is reminded at the policy's shares of it."""
        self.projection.due_at = at + time
        self.due_reminders = [
            at + time * share / BASIS for share in sorted(self.input.policy.worker_reminder_basis_points)
        ]
        self.overdue_alert_at, self.overdue_alerts = at + time, 0

    def clear_due(self) -> None:
        """It is not the worker's turn: nothing is due."""
        self.projection.due_at, self.due_reminders, self.overdue_alert_at = None, [], None

    def next_alarm(self) -> datetime | None:
        """When to remind the worker, or to tell the admins that the work is late; None while no work is due."""
        if self.state not in WORK_IS_DUE:
            return None
        return self.due_reminders[0] if self.due_reminders else self.overdue_alert_at

    def lose_worker(self, terms: Terms, *, at: datetime, reason: str) -> str:
        """The worker, whose part is settled, does not hold the job any more; a new search begins. Their id."""
        projection = self.projection
        worker_id = projection.worker_id or ""
        projection.former_workers.append(
            FormerWorker(
                worker_id=worker_id,
                assignment=projection.assignments,
                left_at=at,
                reason=reason,
                client_paid=terms.client_pays,
                worker_earned_usd_cents=terms.worker_earns_usd_cents,
                ledger_keys=len(projection.ledger_keys),
            )
        )
        projection.worker_id = projection.assigned_at = projection.started_at = None
        projection.proposal, projection.review_extended = None, False
        self.first_round, self.first_offer = projection.round, len(self.offers)
        self.candidates = []
        self.clear_due()
        return worker_id

    def asked(self) -> list[str]:
        """Who is not asked: those who were, in this search, and those who have left the job."""
        since = {offer.worker_id for offer in self.offers[self.first_offer :]}
        return sorted(since | {former.worker_id for former in self.projection.former_workers})

    def add_delivery(self, file_ids: list[str], note: str, *, at: datetime) -> Delivery:
        """Note one submission of work."""
        projection = self.projection
        delivery = Delivery(
            number=len(projection.deliveries) + 1,
            at=at,
            file_ids=file_ids,
            note=note,
            assignment=projection.assignments,
        )
        projection.deliveries.append(delivery)
        return delivery

    def stake(self, tracked_seconds: int) -> Stake:
        """What there is to divide now, and what the present worker did for it."""
        return stake_of(self.projection, tracked_seconds)

    def earn(self, usd_cents: int) -> Accrual | None:
        """The present worker earns so much; None when it is nothing."""
        projection = self.projection
        projection.pay_usd_cents -= min(usd_cents, projection.pay_usd_cents)
        if usd_cents <= 0 or projection.worker_id is None:
            return None
        accrual = Accrual(
            number=len(projection.accruals) + 1, worker_id=projection.worker_id, usd_cents=usd_cents
        )
        projection.accruals.append(accrual)
        projection.earned_usd_cents += usd_cents
        return accrual

    # --- disputes

    def freeze(self, dispute: Dispute, *, at: datetime) -> None:
        """All deadlines stand still from now on."""
        projection = self.projection
        self.disputes = dispute.number
        self.frozen = Frozen(
            at=at,
            deadline=projection.deadline,
            deadline_action=self.deadline_action,
            reminders=projection.reminders,
            due_at=projection.due_at,
            due_reminders=self.due_reminders,
            overdue_alert_at=self.overdue_alert_at,
        )
        projection.dispute = dispute
        self.clear_due()

    def thaw(self, *, at: datetime) -> Frozen | None:
        """What stood still, moved by as long as it did."""
        frozen, self.frozen = self.frozen, None
        if frozen is None:
            return None
        moved = at - frozen.at
        return Frozen(
            at=at,
            deadline=frozen.deadline and frozen.deadline + moved,
            deadline_action=frozen.deadline_action,
            reminders=[moment + moved for moment in frozen.reminders],
            due_at=frozen.due_at and frozen.due_at + moved,
            due_reminders=[moment + moved for moment in frozen.due_reminders],
            overdue_alert_at=frozen.overdue_alert_at and frozen.overdue_alert_at + moved,
        )

    def close_dispute(self, status: DisputeStatus, *, at: datetime) -> None:
        """The dispute has ended."""
        if self.projection.dispute:
            self.projection.dispute.status, self.projection.dispute.closed_at = status, at
        self.projection.needs_admin, self.projection.needs_admin_reason = False, None

    # --- views

    def answer(self, act: Act) -> ActResult:
        """The result of an act that has just moved the job."""
        return ActResult(
            job_id=self.input.job_id,
            status=self.projection.status,
            phase=self.projection.phase,
            seq=self.seq,
            body_hash=act.body_hash,
            deadline=self.projection.deadline,
        )

    def party(self, actor: Actor) -> str | None:
        """Who of an actor's kind may act now: the client, or the worker who holds or is offered the job."""
        if actor is Actor.CLIENT:
            return self.input.client_id
        if actor is Actor.WORKER:
            return self.projection.worker_id or self.projection.offered_worker_id
        return None

    def view(self) -> JobStateView:
        """The live state, with what is awaited and from whom."""
        return JobStateView(
            job_id=self.input.job_id,
            client_id=self.input.client_id,
            worker_id=self.projection.worker_id,
            offered_worker_id=self.projection.offered_worker_id,
            status=self.projection.status,
            phase=self.projection.phase,
            seq=self.seq,
            deadline=self.projection.deadline,
            deadline_action=self.deadline_action,
            reminders=self.projection.reminders,
            due_at=self.projection.due_at,
            next_alarm_at=self.next_alarm(),
            dispute=self.projection.dispute,
            runs=self.runs,
            awaited=self._acts(awaited_actions),
            possible=self._acts(allowed_actions),
        )

    def _acts(self, actions_of: Callable[[State, Actor], frozenset[Action]]) -> list[Awaited]:
        """Who may do which of these acts now."""
        return [
            Awaited(actor=actor, actor_id=self.party(actor), actions=sorted(actions))
            for actor in (Actor.CLIENT, Actor.WORKER, Actor.ADMIN)
            if (actions := actions_of(self.state, actor))
        ]
