"""One job's process without a server: its own handlers and steps, with a clock and a world that the test decides.

Thousands of states are each tried with every act, which a server could not do; what Temporal adds (histories, races,
replay) is tested elsewhere. Every try begins with the state carried over as into a new run of the workflow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.jobs.change import TimelineEntry
from app.lifecycle import AT_ONCE, CLOSED_TO_JOB_WORKFLOW, State
from app.money.keys import hold_key
from app.parsing.models import ParsedBrief
from tests.lifecycle.books import Books
from workflows.contracts import PAYOUT_WORKFLOW, JobInput, PayoutInput
from workflows.job import JobWorkflow
from workflows.job_state import JobState
from workflows.messages import (
    AssignWorker,
    AssignWorkerResult,
    HoldCredits,
    HoldCreditsResult,
    MakeOffer,
    MakeOfferResult,
    RankedWorker,
    RankWorkers,
    RankWorkersResult,
    SettleJob,
    TrackedTime,
)


@dataclass(frozen=True)
class World:
    """What the outside answers in one step."""

    clear: bool = True  # the brief
    enough: bool = True  # credits
    willing: bool = True  # a worker is there to be asked
    place: bool = True  # and has one
    tracked_seconds: int = 0


@dataclass(frozen=True)
class Place:
    """Where a job is: its state, its clock, the books, and what outlives its process."""

    job: JobInput
    state: JobState
    now: datetime
    books: Books
    payouts: frozenset[tuple[int, str, int]] = frozenset()  # number, worker, USD cents
    followers: frozenset[str] = frozenset()

    @property
    def at(self) -> State:
        """The key of the lifecycle table."""
        return self.state.state


Step = Callable[[JobWorkflow], Awaitable[Any]]


@dataclass
class Process:
    """Runs one step from a place, and says where it leads."""

    world: World = field(default_factory=World)
    entries: list[TimelineEntry] = field(default_factory=list)
    now: datetime = field(init=False)
    books: Books = field(init=False)
    payouts: set[tuple[int, str, int]] = field(default_factory=set)
    followers: set[str] = field(default_factory=set)

    async def take(self, place: Place, step: Step, *, at: datetime, world: World) -> Place:
        """Where the step leads; `entries` are what it added to the timeline.

        Raises:
            ApplicationError: it was refused.
        """
        self.world, self.entries = world, []
        carried = place.state.model_dump(mode="json", exclude={"input"})
        self.now, self.books = at, place.books
        self.payouts, self.followers = set(place.payouts), set(place.followers)
        workflow = JobWorkflow(place.job.model_copy(update={"carried": carried}))
        workflow._state.input = place.state.input
        await step(workflow)
        state = workflow._state
        if state.state in CLOSED_TO_JOB_WORKFLOW and place.at not in CLOSED_TO_JOB_WORKFLOW:
            await workflow._start_followers()
        self.entries = [
            entry for entry in [*self.entries, *state.timeline] if place.state.seq < entry.seq <= state.seq
        ]
        return Place(place.job, state, at, self.books, frozenset(self.payouts), frozenset(self.followers))

    # --- what the process asks of Temporal

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand in for the server."""
        for name in ("now", "wait_condition", "start_child_workflow", "info"):
            patch.setattr(f"temporalio.workflow.{name}", getattr(self, f"_{name}"))
        for name in ("execute_activity_method", "execute_local_activity_method"):
            patch.setattr(f"temporalio.workflow.{name}", self._execute)
        for name in ("set_current_details", "upsert_search_attributes"):
            patch.setattr(f"temporalio.workflow.{name}", lambda _: None)
        patch.setattr("temporalio.workflow.patched", lambda _: True)

    def _now(self) -> datetime:
        return self.now

    def _info(self) -> SimpleNamespace:
        return SimpleNamespace(task_queue="jobs")

    async def _wait_condition(self, *_: Any, **__: Any) -> None:
        raise AssertionError("a step that is due does not wait")

    async def _start_child_workflow(self, name: str, arg: object, **_: Any) -> None:
        self.followers.add(name)
        if name == PAYOUT_WORKFLOW:
            assert isinstance(arg, PayoutInput)
            self.payouts.add((arg.number, arg.worker_id, arg.amount_usd_cents))

    async def _execute(self, method: Callable[..., Any], arg: Any, **_: Any) -> Any:
        return getattr(self, method.__name__)(arg)

    # --- what the activities do

    def parse_brief_with_rules(self, _: str) -> ParsedBrief:
        """A reading of two hours, clear or not."""
        return ParsedBrief(
            hours_low=1, hours_likely=2, hours_high=3, confidence=0.9 if self.world.clear else 0.0
        )

    def hold_credits(self, hold: HoldCredits) -> HoldCreditsResult:
        """Hold, if there is enough."""
        if not self.world.enough:
            return HoldCreditsResult(held=False, available=0)
        self.books = self.books.hold(hold.job_id, hold.credits, hold_key(hold.job_id, hold.number))
        return HoldCreditsResult(held=True, available=self.books.sums.available)

    def rank_workers(self, request: RankWorkers) -> RankWorkersResult:
        """One who was not asked yet, or nobody."""
        worker = RankedWorker(worker_id=f"worker-{request.round}", rank=1, score=1)
        assert worker.worker_id not in request.excluded
        return RankWorkersResult(candidates=[worker] if self.world.willing else [])

    def make_offer(self, request: MakeOffer) -> MakeOfferResult:
        """The clock does not pause."""
        self.record_change(request.change)
        return MakeOfferResult(expires_at=request.at + timedelta(seconds=request.window_seconds))

    def assign_worker(self, request: AssignWorker) -> AssignWorkerResult:
        """The place is taken, if there is one."""
        if self.world.place:
            self.record_change(request.change)
        return AssignWorkerResult(assigned=self.world.place, capacity=1)

    def tracked_time(self, _: TrackedTime) -> int:
        """So many seconds."""
        return self.world.tracked_seconds

    def settle_job(self, request: SettleJob) -> None:
        """Move the books, then note the change."""
        self.books = self.books.settle(request.change.job_id, request.resolutions, request.accrual)
        self.record_change(request.change)

    def record_change(self, change: Any) -> None:
        """Keep what was added to the timeline."""
        self.entries += change.timeline


def due_steps(place: Place) -> list[tuple[datetime, Step]]:
    """What the process does by itself from here, and when: at once, or when one of its clocks ends."""
    if place.at in AT_ONCE:
        return [(place.now, _step)]
    state, steps = place.state, list[tuple[datetime, Step]]()
    deadline = state.projection.deadline
    if wakes := [*state.projection.reminders[:1], *([deadline] if deadline else [])]:
        steps.append((max(place.now, min(wakes)), _step))
    if alarm := state.next_alarm():
        steps.append((max(place.now, alarm), _sound_alarm))
    return steps


async def _step(workflow: JobWorkflow) -> None:
    await workflow._steps()[workflow._state.state]()


async def _sound_alarm(workflow: JobWorkflow) -> None:
    await workflow._sound_alarm()
