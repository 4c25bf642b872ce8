"""The space after a job's process: completed jobs, disputed wherever their pay is, rated and archived; no dead end.

From every kind of completed job that `space` finds, each act of the table is tried, and each clock; the pay has been
sent or not, and Stripe gives it back or not. What workers who left were paid stands through all of it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.exceptions import ApplicationError

from app.jobs.errors import JobErrorCode
from app.lifecycle import (
    ARCHIVED,
    CLOSED_TO_JOB_WORKFLOW,
    COMPLETION_DISPUTED,
    RATING,
    TABLE,
    Action,
    Actor,
    Cell,
    HoldEffect,
    PayEffect,
    State,
    cell_for,
    timers,
)
from tests.lifecycle.books import GRANTED
from tests.lifecycle.settled import Aftermath, Settled
from tests.lifecycle.space import ADMIN, CLIENT, Edge, Space
from tests.support.scenes import update_of
from workflows.contracts import Act, ExtendDeadline, Reasoned, Rule, SubmitRating, Update
from workflows.dispute import DisputeWorkflow
from workflows.ratings import RatingsWorkflow

DISPUTES = 2  # one after another are the same as many
SHARES = (0, 3_333, 10_000)
Key = tuple[Any, ...]


def kind_of(place: Settled) -> Key:
    """Places of one kind go on in the same way."""
    dispute = place.dispute
    return (
        place.at,
        place.deadline_action,
        place.reminders > 0,
        dispute and min(dispute.number, DISPUTES),
        dispute.opened_by if dispute and place.at == COMPLETION_DISPUTED else None,
        place.sent,
        bool(place.parts.standing_accruals),
        place.spent > 0,
        place.earned > 0,
        place.books.sums.debt > 0,
        tuple(sorted(place.rated)),
    )


@dataclass
class Aftermaths:
    """All places after completion, what leads from one to another, and what was seen on the way."""

    process: Aftermath
    places: dict[Key, Settled] = field(default_factory=dict)
    edges: dict[Key, set[tuple[Key, Actor]]] = field(default_factory=lambda: defaultdict(set))
    cells: set[Edge] = field(default_factory=set)
    clocks: dict[State, set[Action]] = field(default_factory=lambda: defaultdict(set))
    refused: set[str] = field(default_factory=set)

    async def explore(self, begin: list[Settled]) -> None:
        """From these, breadth first."""
        for place in begin:
            self.places.setdefault(kind_of(place), place)
        waiting = deque(self.places.values())
        while waiting:
            place = waiting.popleft()
            async for actor, to in self._steps(place):
                check_books(place, to)
                self.edges[kind_of(place)].add((kind_of(to), actor))
                if kind_of(to) not in self.places:
                    self.places[kind_of(to)] = to
                    waiting.append(to)

    async def _steps(self, place: Settled) -> AsyncIterator[tuple[Actor, Settled]]:
        if place.at == ARCHIVED:
            return
        if place.at == RATING:
            yield Actor.SYSTEM, self.process.pay(place)
            yield Actor.SYSTEM, self._noted(place, await self.process.archive(place))
        if place.deadline:
            at = max(place.now, place.deadline)
            to = await self.process.of_dispute(place, lambda dispute: dispute._await_ruling(), at=at)
            yield Actor.SYSTEM, self._noted(place, to)
        for cell in TABLE[place.at]:
            if cell.actor is Actor.SYSTEM:
                continue
            for step in self._acts(place, cell):
                if reached := await self._try(place, cell, step):
                    yield cell.actor, reached

    async def _try(
        self, place: Settled, cell: Cell, step: Callable[[], Awaitable[Settled]]
    ) -> Settled | None:
        try:
            to = await step()
        except ApplicationError as refusal:
            assert self.process.place.books == place.books
            self.refused.add(str(refusal.type))
            return None
        assert [(note.action, note.actor) for note in self.process.notes] == [(cell.action, cell.actor)]
        check_money(place, cell, to)
        return self._noted(place, to)

    def _noted(self, place: Settled, to: Settled) -> Settled:
        for note in self.process.notes:
            self.cells.add((place.at, note.action, note.actor))
            assert cell_for(place.at, note.action, note.actor).to == to.at
            if note.actor is Actor.SYSTEM:
                self.clocks[place.at].add(note.action)
        return to

    def _acts(self, place: Settled, cell: Cell) -> list[Callable[[], Awaitable[Settled]]]:
        actor_id = {Actor.CLIENT: CLIENT, Actor.WORKER: place.parts.worker_id, Actor.ADMIN: ADMIN}[cell.actor]
        base: dict[str, Any] = {"actor": cell.actor, "actor_id": actor_id}
        reasoned, at = base | {"reason": "for a reason"}, place.now + timedelta(minutes=1)
        if cell.action is Action.REVIEW:
            rating = SubmitRating(**base, rating=4)

            async def rate(ratings: RatingsWorkflow) -> None:
                ratings._check(rating)
                await getattr(ratings, Update.SUBMIT_RATING.value)(rating)

            return [lambda: self.process.rate(place, rate)]
        acts: dict[Action, list[Act]] = {
            Action.RULE: [Rule(**reasoned, worker_share_basis_points=share) for share in SHARES],
            Action.EXTEND_DEADLINE: [
                ExtendDeadline(**reasoned, to=(place.deadline or at) + timedelta(hours=1))
            ],
            Action.WITHDRAW_DISPUTE: [Act(**base)],
        }
        return [
            lambda act=act, emptied=emptied: self.process.of_dispute(  # type: ignore[misc]
                place, _update(cell.action, act), at=at, emptied=emptied
            )
            for act in acts.get(cell.action, [Reasoned(**reasoned)])
            for emptied in ((False, True) if cell.action is Action.RULE and place.sent else (False,))
        ]


def _update(action: Action, act: Act) -> Callable[[DisputeWorkflow], Awaitable[Any]]:
    async def step(dispute: DisputeWorkflow) -> None:
        await getattr(dispute, update_of(action).value)(act)

    return step


def check_books(before: Settled, after: Settled) -> None:
    """The books add up, say what the job says of itself, and what was settled with those who left stands."""
    sums = after.books.sums
    assert sums.available + sums.held + sums.spent == GRANTED
    assert sums.payable + sums.paid + sums.cost == 0
    assert (sums.held, sums.spent, sums.payable + sums.paid - sums.debt) == (0, after.spent, after.earned)
    assert sum(item.usd_cents for item in after.parts.accruals) == after.earned
    assert after.parts.standing_accruals == before.parts.standing_accruals
    former = sum(item.client_paid or 0 for item in after.parts.former_workers)
    assert after.spent >= former


def check_money(before: Settled, cell: Cell, after: Settled) -> None:
    """What the act did to the books is what its cell says."""
    was, now = before.books.sums, after.books.sums
    back = now.available - was.available
    lost = (was.payable + was.paid - was.debt) - (now.payable + now.paid - now.debt)
    assert (cell.hold, cell.pay) in {
        (HoldEffect.NONE, PayEffect.NONE),
        (HoldEffect.REFUND, PayEffect.REVERSE),
    }
    assert was.spent - now.spent == back >= 0
    assert lost >= 0
    if cell.hold is HoldEffect.NONE:
        assert after.books == before.books


@pytest_asyncio.fixture(scope="module")
async def settled(space: Space) -> Aftermaths:
    """The whole of it, explored once."""
    begin = [Settled.of(place) for place in space.places.values() if place.at == RATING]
    with pytest.MonkeyPatch.context() as patch:
        process = Aftermath()
        process.install(patch)
        found = Aftermaths(process)
        await found.explore(begin)
    print(f"{len(found.places)} places")  # noqa: T201  # how large the space is
    return found


def test_every_cell_after_completion_is_reached(settled: Aftermaths) -> None:
    wanted = {(state, cell.action, cell.actor) for state in CLOSED_TO_JOB_WORKFLOW for cell in TABLE[state]}
    assert settled.cells == wanted
    assert settled.refused == {JobErrorCode.NOT_THE_OPENER, JobErrorCode.REVIEW_ALREADY_GIVEN}


def test_all_that_a_ruling_can_find_is_among_it(settled: Aftermaths) -> None:
    """Pay that was sent or not, given back or owed, beside a part that was settled before or not."""
    disputed = [place for place in settled.places.values() if place.at == COMPLETION_DISPUTED]
    assert {place.sent for place in disputed} == {True, False}
    assert {bool(place.parts.standing_accruals) for place in disputed} == {True, False}
    assert all(place.parts.present_accruals for place in disputed)
    assert any(place.books.sums.debt for place in settled.places.values())
    assert any(place.spent == 0 for place in settled.places.values())


def test_every_place_leads_to_the_archive_even_if_client_and_worker_stay_silent(settled: Aftermaths) -> None:
    for silent in (set[Actor](), {Actor.CLIENT, Actor.WORKER}):
        reached_from = defaultdict(set)
        for key, edges in settled.edges.items():
            for to, actor in edges:
                if actor not in silent:
                    reached_from[to].add(key)
        ending = {key for key, place in settled.places.items() if place.at == ARCHIVED}
        waiting = list(ending)
        while waiting:
            more = reached_from[waiting.pop()] - ending
            ending |= more
            waiting += more
        assert set(settled.places) == ending


def test_every_dispute_has_a_clock_and_an_admin(settled: Aftermaths) -> None:
    for place in settled.places.values():
        if place.at == COMPLETION_DISPUTED:
            assert place.deadline is not None
            assert place.deadline - place.now < timedelta(days=30)
            assert place.deadline_action in timers(place.at)
    assert {state: set(timers(state)) for state in settled.clocks} == settled.clocks
    assert {cell.actor for cell in TABLE[COMPLETION_DISPUTED] if cell.to != COMPLETION_DISPUTED} >= {
        Actor.ADMIN
    }
