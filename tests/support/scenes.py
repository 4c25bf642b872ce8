"""Brings one job to any state in which people can act, and lets the right person do any act of the table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from app.documents import utcnow
from app.ids import new_id
from app.jobs.policy import JobPolicy
from app.jobs.preview import cancel_preview
from app.lifecycle import (
    AWAITING_APPROVAL,
    CLARIFYING,
    OFFERING,
    QUOTING,
    QUOTING_REVISION,
    READY,
    REPRICING,
    RESCUE,
    REVIEW_DISPUTED,
    REVISION_DISPUTED,
    REVISION_REQUESTED,
    WORK_DISPUTED,
    WORKING,
    Action,
    ActNotAllowedError,
    Actor,
    State,
)
from tests.support.jobs import JobHarness
from workflows.contracts import (
    Act,
    ActResult,
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
    Update,
)

ADMIN = "a" * 24
SHARED = {Action.REQUEST_EXTRA_REVISION: Update.REQUEST_REVISION, Action.RULE_REFUND: Update.RULE}
PEOPLE = (Actor.CLIENT, Actor.WORKER, Actor.ADMIN)


def update_of(action: Action) -> Update:
    """The update by which people do an act; two acts that depend on the state or the body share one."""
    return SHARED.get(action) or Update(action.value)


class Scene:
    """One job brought to a state, with its people."""

    def __init__(
        self, jobs: JobHarness, *, opener: Actor = Actor.CLIENT, history_limit: int | None = None
    ) -> None:
        """A scene over a harness; `opener` is who opens a dispute, `history_limit` the process's."""
        self.jobs, self.opener, self.history_limit = jobs, opener, history_limit
        self.client = self.worker = ""

    async def reach(self, state: State, **policy: Any) -> Scene:
        """Bring a new job to the state by the acts that lead there."""
        self.client = await self.jobs.add_client()
        self.worker = await self.jobs.add_worker()
        if state in (RESCUE, REPRICING):
            await self._make_available(False)
        if state == QUOTING_REVISION:
            policy["revision_limit"] = 0
        if state == CLARIFYING:
            policy["clarify_below_basis_points"] = 10_000
        self.job = await self.jobs.post(
            self.client,
            max_credits=1 if state == QUOTING else None,
            history_limit=self.history_limit,
            policy=JobPolicy(**{"candidates_per_round": 1, "rounds": 1} | policy),
        )
        if state in (CLARIFYING, QUOTING):
            await self.jobs.until(self.job, state)
        elif state in (RESCUE, REPRICING):
            await self.jobs.until(self.job, RESCUE)
            await self._make_available(True)
            if state == REPRICING:
                await self.do(Action.PROPOSE_PRICE, Actor.ADMIN)
        else:
            self.worker = await self.jobs.until_offered(self.job)
            await self._walk(state)
        return self

    async def _walk(self, state: State) -> None:
        for act in self._road(state):
            await act()

    def _road(self, state: State) -> list[Callable[[], Awaitable[object]]]:
        jobs, job, worker = self.jobs, self.job, self.worker

        def dispute() -> Awaitable[ActResult]:
            return self.do(Action.OPEN_DISPUTE, self.opener)

        ready: list[Callable[[], Awaitable[object]]] = [lambda: jobs.accept(job, worker)]
        working = [*ready, lambda: jobs.start(job, worker)]
        review = [*working, lambda: jobs.submit(job, worker)]
        revision = [*review, lambda: jobs.request_revision(job)]
        return {
            OFFERING: [],
            READY: ready,
            WORKING: working,
            WORK_DISPUTED: [*working, dispute],
            AWAITING_APPROVAL: review,
            QUOTING_REVISION: revision,
            REVIEW_DISPUTED: [*review, dispute],
            REVISION_REQUESTED: revision,
            REVISION_DISPUTED: [*revision, dispute],
        }[state]

    async def _make_available(self, available: bool) -> None:
        await self.jobs.database["users"].update_many(
            {"role": "worker"}, {"$set": {"workerProfile.available": available}}
        )

    async def do(self, action: Action, actor: Actor) -> ActResult:
        """The act, by the right person of its kind."""
        actor_id = {Actor.CLIENT: self.client, Actor.WORKER: self.worker, Actor.ADMIN: ADMIN}[actor]
        base = {"actor": actor, "actor_id": actor_id}
        return await self.jobs.update(self.job, update_of(action), await self._act(action, base))

    async def _act(self, action: Action, base: dict[str, Any]) -> Act:
        reasoned = base | {"reason": "for a reason"}
        stored = await self.jobs.stored(self.job)
        price = (stored.pricing.credits if stored.pricing else 0) + 100
        version = await self.preview(base["actor"]) if action is Action.CANCEL else ""
        later = utcnow() + timedelta(days=40)
        agreed = AgreePrice(**base, extra_credits=stored.proposal.extra_credits if stored.proposal else None)
        acts: dict[Action, Act] = {
            **dict.fromkeys((Action.APPROVE_PRICE, Action.APPROVE_REVISION_QUOTE), agreed),
            Action.DECLINE_OFFER: DeclineOffer(**reasoned),
            Action.ASSIGN: Assign(**base, worker_id=self.worker),
            Action.REASSIGN: Reassign(**reasoned),
            Action.SUBMIT: Submit(**base, file_ids=[new_id()]),
            Action.REQUEST_REVISION: RequestRevision(**reasoned),
            Action.REQUEST_EXTRA_REVISION: RequestRevision(**reasoned),
            Action.CLARIFY: Clarify(**base, answer="A sheet in Excel with three charts"),
            Action.RAISE_PRICE: RaisePrice(**base, credits=price),
            Action.PROPOSE_PRICE: ProposePrice(**reasoned, credits=price),
            Action.QUOTE_REVISION: QuoteRevision(**reasoned, credits=50),
            Action.EXTEND_DEADLINE: ExtendDeadline(**reasoned, to=later),
            Action.CHANGE_POLICY: ChangePolicy(**reasoned, policy=JobPolicy(version=7)),
            Action.RULE: Rule(**reasoned, worker_share_basis_points=6_000),
            Action.RULE_REFUND: Rule(**reasoned, worker_share_basis_points=0),
            Action.CANCEL: Cancel(**reasoned, preview_version=version),
            Action.WITHDRAW: Reasoned(**reasoned),
            Action.OPEN_DISPUTE: Reasoned(**reasoned),
            Action.DISMISS_DISPUTE: Reasoned(**reasoned),
        }
        return acts.get(action, Act(**base))

    async def preview(self, actor: Actor) -> str:
        """The version of what a cancel costs now; none where there is nothing to cancel."""
        stored = await self.jobs.stored(self.job)
        try:
            _, version = await cancel_preview(self.jobs.database, stored, actor, now=utcnow())
        except ActNotAllowedError:  # and so is the act itself, which is what a test looks at
            return ""
        return version
