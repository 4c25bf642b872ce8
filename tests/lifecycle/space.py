"""Every state that a job can be in, with its money and its clocks, explored breadth first with the process's own code.

A place is a state of the lifecycle with what decides how it goes on: which clock runs, what is held, delivered, asked
and left. From the post, each place is tried with every act of every actor and with every clock.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

from app.jobs.errors import JobErrorCode
from app.jobs.policy import JobPolicy
from app.jobs.terms import cancel_terms
from app.lifecycle import (
    CLOSED_TO_JOB_WORKFLOW,
    PARSING,
    RANKING,
    RATING,
    RESCUE,
    TABLE,
    WORK_IS_DUE,
    Action,
    Actor,
    Cell,
    HoldEffect,
    PayEffect,
    State,
    cell_for,
)
from tests.lifecycle.books import GRANTED, Books
from tests.lifecycle.process import Place, Process, World, due_steps
from tests.support.scenes import update_of
from workflows.contracts import (
    Act,
    AgreePrice,
    Assign,
    Cancel,
    ChangePolicy,
    Clarify,
    DeclineOffer,
    ExtendDeadline,
    JobInput,
    ProposePrice,
    QuoteRevision,
    RaisePrice,
    Reasoned,
    Reassign,
    RequestRevision,
    Rule,
    Submit,
)
from workflows.job import JobWorkflow
from workflows.job_state import JobState

CLIENT, ADMIN = "client", "admin"
POLICY = JobPolicy(
    candidates_per_round=1,
    rounds=1,
    revision_limit=1,
    rescue_escalation_reminders=1,
    review_reminder_seconds=(24 * 3600,),
    worker_reminder_basis_points=(5_000,),
)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
Edge = tuple[State, Action, Actor]

# What an act may be refused for though the table has its cell; nothing has changed then.
REFUSALS: dict[Action, set[JobErrorCode]] = {
    Action.ACCEPT_OFFER: {JobErrorCode.WORKER_AT_CAPACITY},
    Action.ASSIGN: {JobErrorCode.WORKER_AT_CAPACITY},
    Action.EXTEND_REVIEW: {JobErrorCode.ALREADY_EXTENDED},
    Action.WITHDRAW_DISPUTE: {JobErrorCode.NOT_THE_OPENER},
    Action.APPROVE_QUOTE: {JobErrorCode.INSUFFICIENT_CREDITS},
    Action.RAISE_PRICE: {JobErrorCode.INSUFFICIENT_CREDITS},
    Action.APPROVE_PRICE: {JobErrorCode.INSUFFICIENT_CREDITS},
    Action.APPROVE_REVISION_QUOTE: {JobErrorCode.INSUFFICIENT_CREDITS},
}
_PLACE, _CREDITS, _TIME = (World(place=False),), (World(enough=False),), (World(tracked_seconds=3_600),)
WORLDS: dict[Action, tuple[World, ...]] = {  # what else the outside may answer to an act
    Action.ACCEPT_OFFER: _PLACE,
    Action.ASSIGN: _PLACE,
    Action.APPROVE_QUOTE: _CREDITS,
    Action.RAISE_PRICE: _CREDITS,
    Action.APPROVE_PRICE: _CREDITS,
    Action.APPROVE_REVISION_QUOTE: _CREDITS,
    Action.CANCEL: _TIME,
    Action.WITHDRAW: _TIME,
    Action.REASSIGN: _TIME,
}
# and to a step of the process itself
BY_ITSELF = {
    PARSING: (World(clear=False), World(enough=False)),
    RANKING: (World(willing=False),),
    RESCUE: (World(willing=False),),
}


def kind_of(place: Place) -> tuple[Any, ...]:
    """Places of one kind go on in the same way; the first one found stands for all."""
    state, projection = place.state, place.state.projection
    alarm = None if state.next_alarm() is None else "reminder" if state.due_reminders else "alert"
    return (
        place.at,
        state.deadline_action,
        bool(projection.reminders),
        alarm,
        bool(state.frozen and state.frozen.deadline_action),
        min(len(projection.holds), 2),
        bool(projection.accruals),
        state.stake(0).deliveries > 0,
        projection.revision_count < POLICY.revision_limit,
        projection.clarification and projection.clarification.answer is not None,
        projection.review_extended,
        bool(projection.proposal),
        projection.dispute and projection.dispute.opened_by if state.frozen else None,
        state.first_round < projection.round if place.at == RANKING else None,
        any(former.client_paid for former in projection.former_workers) if place.at == RATING else None,
    )


@dataclass
class Space:
    """All places of a job, what leads from one to another, and what was seen on the way."""

    process: Process
    places: dict[tuple[Any, ...], Place] = field(default_factory=dict)
    edges: dict[tuple[Any, ...], set[tuple[tuple[Any, ...], Actor]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    cells: set[Edge] = field(default_factory=set)
    clocks: dict[State, set[Action]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[Action, set[str]] = field(default_factory=lambda: defaultdict(set))
    tried: int = 0

    async def explore(self) -> None:
        """From a post with open consent and one with none, breadth first."""
        waiting: deque[Place] = deque()
        for max_credits in (None, 1):
            job = JobInput(
                job_id="job",
                client_id=CLIENT,
                rate=100,
                max_credits=max_credits,
                policy=POLICY,
                posted_at=BEGIN,
            )
            place = Place(job, JobState(input=job), BEGIN, Books.opened(CLIENT))
            self.places.setdefault((max_credits, *kind_of(place)), place)
            waiting.append(place)
        while waiting:
            place = waiting.popleft()
            key = self._key(place)
            async for actor, to in self._steps(place):
                found = self._key(to)
                self.edges[key].add((found, actor))
                if found not in self.places:
                    self.places[found] = to
                    waiting.append(to)

    @staticmethod
    def _key(place: Place) -> tuple[Any, ...]:
        return (place.job.max_credits if place.at in _BEFORE_CONSENT else None, *kind_of(place))

    async def _steps(self, place: Place) -> Any:
        if place.at in CLOSED_TO_JOB_WORKFLOW:
            return
        for at, step in due_steps(place):
            for world in (World(), *BY_ITSELF.get(place.at, ())):
                to = await self._take(place, step, at, world)
                for entry in self.process.entries:
                    assert entry.actor is Actor.SYSTEM
                    self.clocks[place.at].add(entry.action)
                yield Actor.SYSTEM, to
        for cell in (cell for cell in TABLE[place.at] if cell.actor is not Actor.SYSTEM):
            for answer in (World(), *WORLDS.get(cell.action, ())):
                if reached := await self._act(place, cell, answer):
                    yield cell.actor, reached

    async def _act(self, place: Place, cell: Cell, world: World) -> Place | None:
        at = place.now + timedelta(minutes=1)
        act = act_of(place, cell, world, at)
        if act is None:
            return None

        async def step(workflow: JobWorkflow) -> None:
            await getattr(workflow, update_of(cell.action).value)(act)

        try:
            to = await self._take(place, step, at, world)
        except ApplicationError as refusal:
            if refusal.type not in REFUSALS.get(cell.action, set()) or self.process.books != place.books:
                raise
            self.refused[cell.action].add(str(refusal.type))
            return None
        done = self.process.entries[-1]
        assert (done.action, done.actor, to.at) == (cell.action, cell.actor, cell.to)
        return to

    async def _take(self, place: Place, step: Any, at: datetime, world: World) -> Place:
        self.tried += 1
        to = await self.process.take(place, step, at=at, world=world)
        state, cells = place.at, list[Cell]()
        for entry in self.process.entries:
            cells.append(cell_for(state, entry.action, entry.actor))
            self.cells.add((state, entry.action, entry.actor))
            state = cells[-1].to
        assert state == to.at
        if len(cells) == 1:
            check_money(place, cells[0], to)
        check_sums(to)
        return to


_BEFORE_CONSENT = {state for state in TABLE if state.phase.value in ("posted", "parsing", "clarifying")}


def act_of(place: Place, cell: Cell, world: World, at: datetime) -> Act | None:
    """The act of a cell by the right person; None where another cell is the one that the same words lead to."""
    state, projection = place.state, place.state.projection
    actor_id = ADMIN if cell.actor is Actor.ADMIN else state.party(cell.actor)
    assert actor_id is not None, f"nobody can do {cell} in {place.at}"
    base: dict[str, Any] = {"actor": cell.actor, "actor_id": actor_id}
    reasoned = base | {"reason": "for a reason"}
    price = (projection.pricing.credits if projection.pricing else 0) + 100
    left = projection.revision_count < POLICY.revision_limit
    if cell.action in (Action.REQUEST_REVISION, Action.REQUEST_EXTRA_REVISION) and left != (
        cell.action is Action.REQUEST_REVISION
    ):
        return None
    acts: dict[Action, Any] = {
        Action.DECLINE_OFFER: lambda: DeclineOffer(**reasoned),
        Action.ASSIGN: lambda: Assign(**base, worker_id=f"assigned-{projection.assignments}"),
        Action.REASSIGN: lambda: Reassign(**reasoned),
        Action.SUBMIT: lambda: Submit(**base, file_ids=["file"]),
        Action.REQUEST_REVISION: lambda: RequestRevision(**reasoned),
        Action.REQUEST_EXTRA_REVISION: lambda: RequestRevision(**reasoned),
        Action.CLARIFY: lambda: Clarify(**base, answer="in Excel"),
        Action.RAISE_PRICE: lambda: RaisePrice(**base, credits=price),
        Action.PROPOSE_PRICE: lambda: ProposePrice(**reasoned, credits=price),
        **dict.fromkeys(
            (Action.APPROVE_PRICE, Action.APPROVE_REVISION_QUOTE),
            lambda: AgreePrice(**base, extra_credits=projection.proposal.extra_credits),  # type: ignore[union-attr]
        ),
        Action.QUOTE_REVISION: lambda: QuoteRevision(**reasoned, credits=50),
        Action.EXTEND_DEADLINE: lambda: ExtendDeadline(**reasoned, to=_later(place, at)),
        Action.CHANGE_POLICY: lambda: ChangePolicy(
            **reasoned, policy=POLICY.model_copy(update={"version": 2})
        ),
        Action.RULE: lambda: Rule(**reasoned, worker_share_basis_points=3_333),
        Action.RULE_REFUND: lambda: Rule(**reasoned, worker_share_basis_points=0),
        Action.CANCEL: lambda: Cancel(**reasoned, preview_version=_preview(place, cell.actor, world, at)),
        **dict.fromkeys(
            (Action.WITHDRAW, Action.OPEN_DISPUTE, Action.DISMISS_DISPUTE), lambda: Reasoned(**reasoned)
        ),
    }
    act: Act = acts.get(cell.action, lambda: Act(**base))()
    return act


def _later(place: Place, at: datetime) -> datetime:
    projection = place.state.projection
    current = projection.due_at if place.at in WORK_IS_DUE else projection.deadline
    return max(at, current or at) + timedelta(hours=1)


def _preview(place: Place, actor: Actor, world: World, at: datetime) -> str:
    stake = place.state.stake(world.tracked_seconds)
    terms = cancel_terms(place.at, actor, stake, place.state.input.policy, now=at)
    return terms.version(place.state.seq)


def check_sums(place: Place) -> None:
    """The books add up to what was granted, and say what the job says of itself."""
    sums, projection = place.books.sums, place.state.projection
    assert sums.available + sums.held + sums.spent == GRANTED
    assert sums.payable + sums.cost == 0
    assert (sums.held, sums.spent, sums.payable) == (
        projection.held_credits,
        projection.spent_credits,
        projection.earned_usd_cents,
    )
    open_holds = {
        key: row.hold.amount
        for key, row in place.books.rows.items()
        if row.hold and key not in place.books.resolved
    }
    assert open_holds == {hold.key: hold.credits for hold in projection.holds}
    assert set(place.books.rows) - {f"seed:{CLIENT}"} == set(projection.ledger_keys)


def check_money(before: Place, cell: Cell, after: Place) -> None:
    """What the act did to the books is what its cell says."""
    was, now = before.books.sums, after.books.sums
    held, spent, back = now.held - was.held, now.spent - was.spent, now.available - was.available
    earned = now.payable - was.payable
    fits = {
        HoldEffect.NONE: (held, spent, back) == (0, 0, 0),
        HoldEffect.HOLD: was.held == 0 < held and spent == 0,
        HoldEffect.HOLD_MORE: was.held > 0 and held > 0 and spent == 0,
        HoldEffect.POST: spent == was.held and now.held == back == 0,
        HoldEffect.RELEASE: back == was.held and now.held == spent == 0,
        HoldEffect.SPLIT: now.held == 0 <= spent and back >= 0,
        HoldEffect.HOLD_AGAIN: now.held > 0 and spent == -held and back == 0,
    }
    assert fits[cell.hold], (cell, was, now)
    if cell.pay is PayEffect.ACCRUE:
        assert earned == before.state.projection.pay_usd_cents > 0
    elif cell.pay is not PayEffect.ACCRUE_PART:
        assert earned == 0, (cell, was, now)
    else:
        assert 0 <= earned <= before.state.projection.pay_usd_cents
