"""The price of every ending: parts never exceed the whole, sums are exact, more work is never worth less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.policy import BASIS, JobPolicy
from app.jobs.terms import (
    QUARTER_HOUR,
    Reason,
    Stake,
    Terms,
    cancel_terms,
    leave_terms,
    ruling_terms,
    worked_share,
)
from app.lifecycle import (
    AWAITING_APPROVAL,
    OFFERING,
    QUOTING_REVISION,
    READY,
    REVISION_REQUESTED,
    TABLE,
    WORK_IS_DUE,
    WORKING,
    Action,
    Actor,
    State,
)

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
POLICY = JobPolicy()

SHARES = st.integers(0, BASIS)
SECONDS = st.integers(0, 400 * 3600)
HOURS = st.integers(1, 1600).map(lambda quarters: quarters / 4)
STAKES = st.fixed_dictionaries(
    {
        "held_credits": st.integers(0, 10_000_000),
        "pay_usd_cents": st.integers(0, 10_000_000),
        "hours_likely": HOURS,
        "tracked_seconds": SECONDS,
        "deliveries": st.integers(0, 5),
        "due_at": st.none() | st.integers(-72, 72).map(lambda hours: NOW + timedelta(hours=hours)),
    }
).map(Stake.model_validate)
POLICIES = st.fixed_dictionaries(
    {
        "cancel_ready_basis_points": SHARES,
        "cancel_working_basis_points": SHARES,
        "cancel_delivered_basis_points": SHARES,
        "leave_share_limit_basis_points": st.integers(0, BASIS - 1),
    }
).map(JobPolicy.model_validate)
CANCELS = st.sampled_from(
    [(state, cell.actor) for state in TABLE for cell in TABLE[state] if cell.action is Action.CANCEL]
)


def stake(**changes: Any) -> Stake:
    fields = {"held_credits": 2_000, "pay_usd_cents": 6_001, "hours_likely": 4.0} | changes
    return Stake.model_validate(fields)


def cancelled(state: State, actor: Actor = Actor.CLIENT, **changes: Any) -> Terms:
    return cancel_terms(state, actor, stake(**changes), POLICY, now=NOW)


def _adds_up(terms: Terms, held: Stake) -> None:
    assert terms.client_pays + terms.client_gets_back == held.held_credits
    assert 0 <= terms.client_pays <= held.held_credits
    assert 0 <= terms.worker_earns_usd_cents <= held.pay_usd_cents
    assert 0 <= terms.share_basis_points <= BASIS


@given(CANCELS, STAKES, POLICIES)
def test_the_parts_of_a_cancel_are_the_whole(
    who: tuple[State, Actor], held: Stake, policy: JobPolicy
) -> None:
    terms = cancel_terms(*who, held, policy, now=NOW)
    _adds_up(terms, held)
    if who[1] is Actor.ADMIN or held.pay_usd_cents == 0:
        assert terms.client_pays == 0
    if held.pay_usd_cents == 0:
        assert terms.reason is Reason.NOT_ASSIGNED


@given(STAKES, POLICIES, st.none() | SHARES)
def test_the_parts_of_a_withdrawal_are_the_whole_and_leave_some_for_the_next(
    held: Stake, policy: JobPolicy, ruled: int | None
) -> None:
    terms = leave_terms(held, policy, share_basis_points=ruled)
    _adds_up(terms, held)
    assert terms.share_basis_points <= policy.leave_share_limit_basis_points < BASIS
    if held.pay_usd_cents:
        assert terms.worker_earns_usd_cents < held.pay_usd_cents
    if held.held_credits:
        assert terms.client_gets_back > 0
    if ruled is None and not held.deliveries:
        assert (terms.client_pays, terms.worker_earns_usd_cents) == (0, 0)


@given(STAKES, SHARES)
def test_the_parts_of_a_ruling_are_the_whole(held: Stake, share: int) -> None:
    terms = ruling_terms(held, share)
    _adds_up(terms, held)
    if share == BASIS:
        assert (terms.client_pays, terms.worker_earns_usd_cents) == (held.held_credits, held.pay_usd_cents)
    if share == 0:
        assert (terms.client_pays, terms.worker_earns_usd_cents) == (0, 0)


@given(CANCELS, STAKES, POLICIES, SECONDS)
def test_more_tracked_time_never_earns_less_and_never_costs_less(
    who: tuple[State, Actor], held: Stake, policy: JobPolicy, more: int
) -> None:
    longer = held.model_copy(update={"tracked_seconds": held.tracked_seconds + more})
    for before, after in (
        (cancel_terms(*who, held, policy, now=NOW), cancel_terms(*who, longer, policy, now=NOW)),
        (leave_terms(held, policy), leave_terms(longer, policy)),
    ):
        assert before.worker_earns_usd_cents <= after.worker_earns_usd_cents
        assert before.client_pays <= after.client_pays
        assert before.reason is after.reason


@given(SECONDS, SECONDS, HOURS)
def test_the_share_of_work_grows_by_whole_quarters_up_to_the_whole(
    seconds: int, more: int, hours: float
) -> None:
    share = worked_share(seconds, hours)
    assert 0 <= share <= worked_share(seconds + more, hours) <= BASIS
    assert share == worked_share(seconds // QUARTER_HOUR * QUARTER_HOUR, hours)
    assert worked_share(int(hours * 3600), hours) == BASIS


@pytest.mark.parametrize(
    ("seconds", "hours", "share"),
    [
        (0, 4.0, 0),
        (QUARTER_HOUR - 1, 4.0, 0),
        (QUARTER_HOUR, 4.0, 625),
        (3600, 3.0, 3_333),
        (4 * 3600, 4.0, BASIS),
        (400 * 3600, 0.25, BASIS),
        (-60, 4.0, 0),
        (3600, 0.0, 0),
    ],
)
def test_tracked_time_against_likely_hours(seconds: int, hours: float, share: int) -> None:
    assert worked_share(seconds, hours) == share


@pytest.mark.parametrize(
    ("state", "changes", "reason", "pays", "earns"),
    [
        (OFFERING, {"pay_usd_cents": 0}, Reason.NOT_ASSIGNED, 0, 0),
        (READY, {}, Reason.NOT_STARTED, 200, 600),
        (WORKING, {}, Reason.WORK_DONE, 500, 1_500),
        (WORKING, {"tracked_seconds": 3 * 3600}, Reason.WORK_DONE, 1_500, 4_500),
        (AWAITING_APPROVAL, {"deliveries": 1}, Reason.DELIVERED, 1_000, 3_000),
        (QUOTING_REVISION, {"deliveries": 1, "tracked_seconds": 9 * 3600}, Reason.DELIVERED, 2_000, 6_001),
        (REVISION_REQUESTED, {"deliveries": 1}, Reason.DELIVERED, 1_000, 3_000),
    ],
)
def test_what_a_client_pays_who_cancels(
    state: State, changes: dict[str, Any], reason: Reason, pays: int, earns: int
) -> None:
    terms = cancelled(state, **changes)
    assert (terms.reason, terms.client_pays, terms.worker_earns_usd_cents) == (reason, pays, earns)


@pytest.mark.parametrize("state", sorted(WORK_IS_DUE), ids=str)
def test_overdue_work_is_cancelled_free_from_the_due_instant_on(state: State) -> None:
    worked: dict[str, Any] = {"tracked_seconds": 3 * 3600, "deliveries": 1}
    late = cancelled(state, due_at=NOW, **worked)
    assert (late.reason, late.client_pays, late.worker_earns_usd_cents) == (Reason.OVERDUE, 0, 0)
    in_time = cancelled(state, due_at=NOW + timedelta(microseconds=1), **worked)
    assert in_time.client_pays > 0


def test_delivered_work_is_not_cancelled_free_while_the_client_looks_at_it() -> None:
    assert cancelled(AWAITING_APPROVAL, due_at=NOW - timedelta(days=9), deliveries=1).client_pays > 0


def test_an_admins_cancel_costs_the_client_nothing_and_pays_the_worker_for_the_time() -> None:
    terms = cancelled(WORKING, Actor.ADMIN, tracked_seconds=3600, due_at=NOW - timedelta(days=1))
    assert (terms.reason, terms.client_pays, terms.client_gets_back) == (Reason.ADMIN, 0, 2_000)
    assert terms.worker_earns_usd_cents == 1_500


def test_an_admins_share_is_capped_like_the_rule() -> None:
    assert leave_terms(stake(), POLICY, share_basis_points=2_000).worker_earns_usd_cents == 1_200
    assert leave_terms(stake(), POLICY, share_basis_points=BASIS).client_pays == 1_000
    assert leave_terms(stake(deliveries=1, tracked_seconds=3600), POLICY, share_basis_points=0) == Terms(
        reason=Reason.ADMIN,
        share_basis_points=0,
        client_pays=0,
        client_gets_back=2_000,
        worker_earns_usd_cents=0,
    )


@given(STAKES, SHARES, SHARES, st.integers(0, 500), st.integers(0, 500))
def test_a_version_names_its_terms_and_its_place(
    held: Stake, one: int, other: int, seq: int, later: int
) -> None:
    first, second = ruling_terms(held, one), ruling_terms(held, other)
    same = first == second and seq == later
    assert (first.version(seq) == second.version(later)) is same
