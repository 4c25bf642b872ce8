"""What people do with a job in each of its states: one throw of a seeded die, one act, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from temporalio.service import RPCError, RPCStatusCode

from app.ids import new_id
from app.jobs.models import Job
from app.jobs.policy import JobPolicy
from app.jobs.preview import cancel_preview
from app.lifecycle import (
    AWAITING_APPROVAL,
    CLARIFYING,
    COMPLETION_DISPUTED,
    DISPUTED,
    OFFERING,
    QUOTING,
    QUOTING_REVISION,
    RATING,
    READY,
    REPRICING,
    RESCUE,
    REVISION_REQUESTED,
    WORK_IS_DUE,
    WORKING,
    Action,
    ActNotAllowedError,
    Actor,
    State,
)
from app.timetracking.errors import NotWorkedOnError, TimerAlreadyRunningError
from app.timetracking.service import TimeTracking
from tests.market.completed import CompletedJobs
from tests.support.jobs import JobHarness, RefusedError
from tests.support.scenes import ADMIN, update_of
from workflows.contracts import (
    Act,
    AgreePrice,
    Assign,
    Cancel,
    ChangePolicy,
    Clarify,
    DeclineOffer,
    ExtendDeadline,
    ProposePrice,
    QuoteRevision,
    RaisePrice,
    Reasoned,
    Reassign,
    RequestRevision,
    Rule,
    Submit,
)

# Definite answers that somebody in a hurry gets; the process has looked outside, or at what the person has seen.
HONEST = {"worker-at-capacity", "insufficient-credits", "stale-preview"}
Move = tuple[Actor, Action, float]  # who does what, how often
_C, _W, _R, _A = Actor.CLIENT, Actor.WORKER, Actor.ADMIN, Action

_LEAVE: list[Move] = [
    (_W, _A.WITHDRAW, 0.05),
    (_R, _A.REASSIGN, 0.03),
    (_C, _A.CANCEL, 0.03),
    (_R, _A.CANCEL, 0.02),
    (_R, _A.EXTEND_DEADLINE, 0.02),
    (_R, _A.CHANGE_POLICY, 0.01),
]
_DISPUTE: list[Move] = [(_C, _A.OPEN_DISPUTE, 0.04), (_W, _A.OPEN_DISPUTE, 0.03)]
_RULE: list[Move] = [
    (_C, _A.WITHDRAW_DISPUTE, 0.1),
    (_W, _A.WITHDRAW_DISPUTE, 0.1),
    (_R, _A.DISMISS_DISPUTE, 0.2),
    (_R, _A.RULE, 0.3),
    (_R, _A.RULE_REFUND, 0.1),
    (_R, _A.EXTEND_DEADLINE, 0.05),
]
# What is left of one is silence.
MOVES: dict[State, list[Move]] = {
    CLARIFYING: [(_C, _A.CLARIFY, 0.6), (_C, _A.CANCEL, 0.05), (_R, _A.EXTEND_DEADLINE, 0.05)],
    QUOTING: [(_C, _A.APPROVE_QUOTE, 0.5), (_C, _A.DECLINE_QUOTE, 0.1), (_C, _A.CANCEL, 0.05)],
    OFFERING: [
        (_W, _A.ACCEPT_OFFER, 0.4),
        (_W, _A.DECLINE_OFFER, 0.25),
        (_C, _A.CANCEL, 0.02),
        (_R, _A.ASSIGN, 0.04),
        (_R, _A.EXTEND_DEADLINE, 0.03),
    ],
    RESCUE: [
        (_R, _A.ASSIGN, 0.3),
        (_R, _A.PROPOSE_PRICE, 0.2),
        (_C, _A.RAISE_PRICE, 0.2),
        (_C, _A.CANCEL, 0.05),
        (_R, _A.CANCEL, 0.05),
    ],
    REPRICING: [(_C, _A.APPROVE_PRICE, 0.5), (_C, _A.DECLINE_PRICE, 0.2), (_R, _A.ASSIGN, 0.1)],
    READY: [(_W, _A.START, 0.7), *_LEAVE],
    WORKING: [(_W, _A.SUBMIT, 0.5), *_DISPUTE, *_LEAVE],
    AWAITING_APPROVAL: [
        (_C, _A.APPROVE, 0.25),
        (_C, _A.REQUEST_REVISION, 0.35),
        (_C, _A.EXTEND_REVIEW, 0.05),
        *_DISPUTE,
        *_LEAVE,
    ],
    QUOTING_REVISION: [
        (_W, _A.QUOTE_REVISION, 0.2),
        (_C, _A.APPROVE_REVISION_QUOTE, 0.3),
        (_C, _A.DECLINE_REVISION_QUOTE, 0.1),
        (_C, _A.APPROVE, 0.05),
        *_DISPUTE,
        *_LEAVE,
    ],
    REVISION_REQUESTED: [(_W, _A.START, 0.7), *_DISPUTE, *_LEAVE],
    **dict.fromkeys(DISPUTED, _RULE),  # read only
}
# Once everybody has had their fun, what brings a job to its end.
TIRED: dict[State, Move] = {
    CLARIFYING: (_C, _A.CLARIFY, 1),
    QUOTING: (_C, _A.DECLINE_QUOTE, 1),
    OFFERING: (_W, _A.ACCEPT_OFFER, 1),
    RESCUE: (_R, _A.CANCEL, 1),
    REPRICING: (_C, _A.DECLINE_PRICE, 1),
    READY: (_W, _A.START, 1),
    WORKING: (_W, _A.SUBMIT, 1),
    AWAITING_APPROVAL: (_C, _A.APPROVE, 1),
    QUOTING_REVISION: (_C, _A.APPROVE, 1),
    REVISION_REQUESTED: (_W, _A.START, 1),
    **dict.fromkeys(DISPUTED, (_R, _A.RULE, 1.0)),
}
PATIENCE = 16  # turns of one job before everybody is tired of it


@dataclass
class People:
    """Clients, workers and admins of a market, over one harness. `now` reads the server's clock."""

    jobs: JobHarness
    seed: str
    now: Callable[[], Awaitable[datetime]]
    clients: list[str] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    turns: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    completed: CompletedJobs = field(init=False)

    def __post_init__(self) -> None:
        self.completed = CompletedJobs(self.jobs, self.now, self.done, self.refused)

    async def turn(self, number: int, job: Job) -> None:
        """One throw of the job's own die: an act by somebody, or silence."""
        stored = await self.jobs.stored(job)
        state = State(stored.status, stored.phase)
        self.turns[job.id] += 1
        die = Random(f"{self.seed}:{number}:{self.turns[job.id]}")
        if state in (RATING, COMPLETION_DISPUTED):
            await self.completed.turn(stored, die)
            return
        if state == WORKING and die.random() < 0.6:
            await self._track(stored)
        throw = die.random()
        moves = (
            MOVES.get(state, [])
            if self.turns[job.id] <= PATIENCE
            else [TIRED[state]]
            if state in TIRED
            else []
        )
        for actor, action, weight in moves:
            throw -= weight
            if throw < 0:
                await self._do(stored, actor, action, die)
                return

    async def _do(self, job: Job, actor: Actor, action: Action, die: Random) -> None:
        if action is Action.WITHDRAW_DISPUTE and not (job.dispute and job.dispute.opened_by is actor):
            return
        if action is Action.EXTEND_REVIEW and job.review_extended:
            return
        party = {_C: job.client_id, _W: job.worker_id or job.offered_worker_id, _R: ADMIN}[actor]
        if party is None:  # the offer has just lapsed
            return
        act = await self._act(job, action, {"actor": actor, "actor_id": party}, die)
        if act is None:
            return
        try:
            await self.jobs.update(job, update_of(action), act)
        except RefusedError as refused:
            moved = refused.code == "wrong-state" and (await self.jobs.stored(job)).seq != job.seq
            if refused.code not in HONEST and not moved:  # as when a clock was quicker than the person
                raise
            self.refused[str(refused.code)] += 1
        except RPCError as error:  # the time-skipping server forgets an update that a validator refused
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            self.refused["came too late"] += 1
        else:
            self.done[action.value] += 1

    async def _act(self, job: Job, action: Action, base: dict[str, Any], die: Random) -> Act | None:
        reasoned, now = base | {"reason": "for a reason"}, await self.now()
        if action is Action.CANCEL:
            return await self._cancel(job, reasoned, die)
        price = (job.pricing.credits if job.pricing else 0) + die.randint(1, 150)
        due = job.due_at if State(job.status, job.phase) in WORK_IS_DUE else job.deadline
        agreed = job.proposal.extra_credits if job.proposal else None
        acts: dict[Action, Callable[[], Act]] = {
            **dict.fromkeys(
                (Action.APPROVE_PRICE, Action.APPROVE_REVISION_QUOTE),
                lambda: AgreePrice(**base, extra_credits=agreed),
            ),
            Action.DECLINE_OFFER: lambda: DeclineOffer(**reasoned),
            Action.ASSIGN: lambda: Assign(**base, worker_id=die.choice(self.workers)),
            Action.REASSIGN: lambda: Reassign(**reasoned, share_basis_points=die.choice([None, None, 2_000])),
            Action.SUBMIT: lambda: Submit(**base, file_ids=[new_id()]),
            Action.REQUEST_REVISION: lambda: RequestRevision(**reasoned),
            Action.CLARIFY: lambda: Clarify(**base, answer="A sheet in Excel with three charts"),
            Action.RAISE_PRICE: lambda: RaisePrice(**base, credits=price),
            Action.PROPOSE_PRICE: lambda: ProposePrice(**reasoned, credits=price),
            Action.QUOTE_REVISION: lambda: QuoteRevision(**reasoned, credits=die.randint(1, 200)),
            Action.EXTEND_DEADLINE: lambda: ExtendDeadline(
                **reasoned, to=max(now, due or now) + timedelta(hours=die.randint(1, 48))
            ),
            Action.CHANGE_POLICY: lambda: ChangePolicy(
                **reasoned, policy=job.policy.model_copy(update={"version": job.policy.version + 1})
            ),
            Action.RULE: lambda: Rule(**reasoned, worker_share_basis_points=die.randint(1, 10_000)),
            Action.RULE_REFUND: lambda: Rule(**reasoned, worker_share_basis_points=0),
            Action.WITHDRAW: lambda: Reasoned(**reasoned),
            Action.OPEN_DISPUTE: lambda: Reasoned(**reasoned),
            Action.DISMISS_DISPUTE: lambda: Reasoned(**reasoned),
        }
        return acts.get(action, lambda: Act(**base))()

    async def _cancel(self, job: Job, reasoned: dict[str, Any], die: Random) -> Cancel | None:
        """With the preview that the person has just seen; or one who names another is refused."""
        if die.random() < 0.2:
            return Cancel(**reasoned, preview_version="seen-long-ago")
        try:
            _, version = await cancel_preview(
                self.jobs.database, job, reasoned["actor"], now=await self.now()
            )
        except ActNotAllowedError:
            return None
        return Cancel(**reasoned, preview_version=version)

    async def _track(self, job: Job) -> None:
        """The worker starts their one timer, unless it runs for another job."""
        tracking = TimeTracking(self.jobs.database, idle_seconds=8 * 3600)
        try:
            await tracking.start(job.id, str(job.worker_id), await self.now())
        except (TimerAlreadyRunningError, NotWorkedOnError):
            return
        self.done["track time"] += 1


def policy_for(die: Random) -> JobPolicy:
    """Most jobs have the usual policy; some briefs count as unclear, some have no free revision."""
    return JobPolicy(
        candidates_per_round=die.choice([1, 2, 3]),
        rounds=die.choice([1, 2]),
        clarify_below_basis_points=10_000 if die.random() < 0.15 else 0,
        revision_limit=die.choice([0, 1, 2]),
    )
