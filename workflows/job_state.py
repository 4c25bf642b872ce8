"""The state of one job's process: moved only along the lifecycle table, drained into changes to be stored.

Deterministic and free of I/O. The workflow works on a copy where an act can still fail, so a state is either wholly
moved or not at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from app.jobs.change import (
    Delivery,
    JobChange,
    JobProjection,
    OfferRecord,
    OfferStatus,
    TimelineEntry,
)
from app.jobs.errors import JobErrorCode
from app.lifecycle import (
    INITIAL,
    Action,
    Actor,
    Cell,
    HoldEffect,
    PayEffect,
    PriceEffect,
    State,
    allowed_actions,
    cell_for,
)
from app.notifications.notices import Notice, NoticeType
from workflows.contracts import Act, ActResult, Awaited, JobInput, JobStateView, RankedWorker

# Reminders at the policy's distance; then one for as many as these, so that a job which nobody rescues for months
# stays within the events that the server allows a workflow (51,200), and its timeline within a document.
_CLOSE_REMINDERS = 24


class Refused(BaseModel):
    """How often one person's act was refused after a look outside, and the last of these answers."""

    times: int
    at: datetime
    code: JobErrorCode
    message: str


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
    refused: dict[str, Refused] = Field(default_factory=dict)  # by who was refused
    # Drained by `take_change`:
    timeline: list[TimelineEntry] = Field(default_factory=list)
    notices: list[Notice] = Field(default_factory=list)
    changed_offers: list[int] = Field(default_factory=list)

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
        deadline: datetime | None = None,
        deadline_action: Action | None = None,
    ) -> Cell:
        """Move along one cell, with its effects on price, hold and pay, and note it in the timeline.

        Raises:
            ActNotAllowedError: the act is not possible in this state.
        """
        cell = self.require(action, actor)
        projection = self.projection
        projection.status, projection.phase = cell.to.status, cell.to.phase
        projection.deadline, self.deadline_action = deadline, deadline_action
        money = self._apply_money(cell)
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
                credits=money.get("credits"),
                usd_cents=money.get("usd_cents"),
                details=details or {},
                correlation_id=act.correlation_id if act else None,
            )
        )
        return cell

    def _apply_money(self, cell: Cell) -> dict[str, int]:
        projection, pricing = self.projection, self.projection.pricing
        if pricing is None:
            return {}
        money: dict[str, int] = {}
        if cell.price is PriceEffect.QUOTE or cell.hold is not HoldEffect.NONE:
            money["credits"] = pricing.credits
        if cell.hold is HoldEffect.HOLD:
            projection.held_credits = pricing.credits
        elif cell.hold in (HoldEffect.POST, HoldEffect.RELEASE):
            projection.spent_credits = projection.held_credits if cell.hold is HoldEffect.POST else 0
            projection.held_credits = 0
        if cell.pay is not PayEffect.NONE:
            money["usd_cents"] = pricing.pay_usd_cents
        if cell.pay is PayEffect.ACCRUE:
            projection.earned_usd_cents = pricing.pay_usd_cents
        return money

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
            correlation_id=correlation_id or self.input.correlation_id,
        )
        self.timeline, self.notices, self.changed_offers = [], [], []
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

    def add_delivery(self, file_ids: list[str], note: str, *, at: datetime) -> Delivery:
        """Note one submission of work."""
        delivery = Delivery(number=len(self.projection.deliveries) + 1, at=at, file_ids=file_ids, note=note)
        self.projection.deliveries.append(delivery)
        return delivery

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
        awaited = [
            Awaited(actor=actor, actor_id=self.party(actor), actions=sorted(actions))
            for actor in (Actor.CLIENT, Actor.WORKER, Actor.ADMIN)
            if (actions := allowed_actions(self.state, actor))
        ]
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
            awaited=awaited,
        )
