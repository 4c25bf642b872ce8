"""The lifecycle table, as a whole: no dead end, no unpaid post, no hold left open, no cell said twice."""

from __future__ import annotations

import pytest

from app.lifecycle import (
    CANCELLED,
    CLOSED_TO_JOB_WORKFLOW,
    ENDS,
    INITIAL,
    RATING,
    TABLE,
    Action,
    ActNotAllowedError,
    Actor,
    Cell,
    HoldEffect,
    PayEffect,
    Phase,
    State,
    Status,
    allowed_actions,
    cell_for,
)
from app.lifecycle_doc import FILE, render

CELLS = [(state, cell) for state, cells in TABLE.items() for cell in cells]


def _reachable(start: State) -> set[State]:
    seen, waiting = {start}, [start]
    while waiting:
        for cell in TABLE[waiting.pop()]:
            if cell.to not in seen:
                seen.add(cell.to)
                waiting.append(cell.to)
    return seen


def test_every_state_is_reached_and_leads_to_an_end() -> None:
    assert _reachable(INITIAL) == set(TABLE)
    for state in TABLE:
        assert _reachable(state) & ENDS, state


def test_only_ends_are_without_cells() -> None:
    assert {state for state, cells in TABLE.items() if not cells} == ENDS


def test_an_actor_has_one_cell_for_an_act() -> None:
    for state, cells in TABLE.items():
        keys = [(cell.action, cell.actor) for cell in cells]
        assert len(keys) == len(set(keys)), state


def test_every_status_and_phase_is_used() -> None:
    assert {state.status for state in TABLE} == set(Status)
    assert {state.phase for state in TABLE} == set(Phase)
    assert {cell.action for _, cell in CELLS} == set(Action)


def _walks(state: State, held: bool, seen: frozenset[tuple[State, bool]]) -> list[tuple[State, bool]]:
    """The ends of every walk (each pair of state and hold once), with whether a hold is open there."""
    if state in ENDS:
        return [(state, held)]
    ends = []
    for cell in TABLE[state]:
        after = _after(cell, held)
        if (cell.to, after) not in seen:
            ends += _walks(cell.to, after, seen | {(cell.to, after)})
    return ends


def _after(cell: Cell, held: bool) -> bool:
    if cell.hold is HoldEffect.HOLD:
        assert not held, f"{cell} holds a second time"
        return True
    if cell.hold in (HoldEffect.POST, HoldEffect.RELEASE):
        assert held, f"{cell} resolves a hold that is not there"
        return False
    return held


def test_no_walk_ends_with_a_hold_open() -> None:
    ends = _walks(INITIAL, False, frozenset({(INITIAL, False)}))
    assert {state for state, _ in ends} == ENDS
    assert not any(held for _, held in ends)


def test_pay_is_earned_exactly_where_the_hold_is_spent() -> None:
    for _, cell in CELLS:
        assert (cell.hold is HoldEffect.POST) == (cell.pay is PayEffect.ACCRUE), cell


def test_the_job_workflow_closes_where_only_followers_act() -> None:
    assert {cell.to for state, cell in CELLS if state not in CLOSED_TO_JOB_WORKFLOW} >= {RATING, CANCELLED}
    for state in CLOSED_TO_JOB_WORKFLOW:
        assert all(cell.to in CLOSED_TO_JOB_WORKFLOW for cell in TABLE[state])


@pytest.mark.parametrize("actor", list(Actor))
def test_a_refusal_says_what_may_be_done_instead(actor: Actor) -> None:
    for state in TABLE:
        allowed = allowed_actions(state, actor)
        for action in set(Action) - allowed:
            with pytest.raises(ActNotAllowedError) as refused:
                cell_for(state, action, actor)
            for hint in allowed:
                assert hint in str(refused.value)


def test_the_page_is_current() -> None:
    assert FILE.read_text() == render()
