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


def _after(cell: Cell, held: bool) -> bool:
    """Whether credits are held after a cell."""
    match cell.hold:
        case HoldEffect.HOLD:
            assert not held, f"{cell} holds a second time"
            return True
        case HoldEffect.NONE | HoldEffect.REFUND:
            return held
        case HoldEffect.HOLD_MORE | HoldEffect.HOLD_AGAIN:
            assert held, f"{cell} adds to a hold that is not there"
            return True
        case _:
            assert held, f"{cell} resolves a hold that is not there"
            return False


def _walk() -> set[tuple[State, bool]]:
    """Every pair of a state and whether credits are held there that can be reached."""
    seen, waiting = {(INITIAL, False)}, [(INITIAL, False)]
    while waiting:
        state, held = waiting.pop()
        for cell in TABLE[state]:
            pair = (cell.to, _after(cell, held))
            if pair not in seen:
                seen.add(pair)
                waiting.append(pair)
    return seen


def test_no_walk_ends_with_a_hold_open() -> None:
    walked = _walk()
    assert {state for state, _ in walked if state in ENDS} == ENDS
    assert not any(held for state, held in walked if state in ENDS)


def test_credits_are_held_in_exactly_the_states_that_may_spend_them() -> None:
    """So no state is reached both with and without a hold."""
    walked = _walk()
    assert len(walked) == len(TABLE)


def test_pay_moves_exactly_where_the_hold_is_spent() -> None:
    """All of it, or a part; and a cancel by an admin pays the worker without the client."""
    for _, cell in CELLS:
        assert (cell.hold is HoldEffect.POST) == (cell.pay is PayEffect.ACCRUE), cell
        assert (cell.hold is HoldEffect.REFUND) == (cell.pay is PayEffect.REVERSE), cell
        assert (cell.hold is HoldEffect.HOLD_MORE) == (cell.pay is PayEffect.RAISE), cell
        if cell.hold in (HoldEffect.SPLIT, HoldEffect.HOLD_AGAIN):
            assert cell.pay is PayEffect.ACCRUE_PART, cell


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
