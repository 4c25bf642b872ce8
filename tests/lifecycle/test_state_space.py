"""The whole space of a job's own process: no dead end, no silence without an end, no cell that makes or loses money.

Each place has a way to an end even if client and worker stay silent; each wait has a clock or an admin; no cell is
unreachable. What comes after the process is in `test_settled_space`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from app.lifecycle import AT_ONCE, CANCELLED, CLOSED_TO_JOB_WORKFLOW, RATING, TABLE, Actor, timers
from tests.lifecycle.process import Place, due_steps
from tests.lifecycle.space import REFUSALS, Space


def test_every_state_and_every_cell_is_reached(space: Space) -> None:
    cells = {
        (state, cell.action, cell.actor)
        for state, row in TABLE.items()
        if state not in CLOSED_TO_JOB_WORKFLOW
        for cell in row
    }
    assert space.cells == cells
    assert space.refused == REFUSALS
    print(f"{len(space.places)} places, {space.tried} steps")  # noqa: T201  # how large the space is


def test_every_place_leads_to_an_end_even_if_client_and_worker_stay_silent(space: Space) -> None:
    for silent in (set[Actor](), {Actor.CLIENT, Actor.WORKER}):
        reached_from = defaultdict(set)
        for key, edges in space.edges.items():
            for to, actor in edges:
                if actor not in silent:
                    reached_from[to].add(key)
        ending = {key for key, place in space.places.items() if place.at in CLOSED_TO_JOB_WORKFLOW}
        waiting = list(ending)
        while waiting:
            more = reached_from[waiting.pop()] - ending
            ending |= more
            waiting += more
        assert [key for key in space.edges if key not in ending] == []


def test_every_wait_has_a_clock_and_an_admin(space: Space) -> None:
    for place in _waits(space):
        due = [moment for moment, _ in due_steps(place)]
        assert due, f"nothing happens in {place.at} if nobody acts"
        assert max(due) - place.now < timedelta(days=120)
        assert any(cell.actor is Actor.ADMIN and cell.to != place.at for cell in TABLE[place.at]), place.at


def test_the_clocks_are_those_of_the_page(space: Space) -> None:
    """What the process does by itself is what `timers` says, and the deadlines it names are among them."""
    seen = {state: found for state, found in space.clocks.items() if state not in AT_ONCE}
    assert {state: set(timers(state)) for state in seen} == seen
    waits = {state for state in TABLE if state not in CLOSED_TO_JOB_WORKFLOW | AT_ONCE}
    assert set(seen) == waits
    for place in _waits(space):
        action = place.state.deadline_action
        assert action is None or action in timers(place.at), place.at


def test_what_was_earned_is_paid_out_and_nothing_stays_held(space: Space) -> None:
    ended = [place for place in space.places.values() if place.at in CLOSED_TO_JOB_WORKFLOW]
    assert {place.at for place in ended} == {RATING, CANCELLED}
    for place in ended:
        assert place.books.sums.held == 0
        accruals = {(item.number, item.worker_id, item.usd_cents) for item in place.state.projection.accruals}
        assert place.payouts == accruals
        assert ("Ratings" in place.followers) == (place.at == RATING)
        assert ("Archive" in place.followers) == (place.at == CANCELLED)


def _waits(space: Space) -> Iterator[Place]:
    return (place for place in space.places.values() if place.at not in CLOSED_TO_JOB_WORKFLOW | AT_ONCE)
