"""What a policy may be as a whole, and what a change makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from app.errors import InvalidFieldError
from app.jobs.policy import JobPolicy, Urgency
from app.policies.rules import MAX_SECONDS, changed, differences, faults, plain, reverted

DURATIONS = [name for name in JobPolicy.model_fields if name.endswith("_seconds")]


def test_the_policy_as_installed_is_sound() -> None:
    assert faults(JobPolicy()) == []
    assert DURATIONS, "there is nothing to bound"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"offer_window_high_urgency_seconds": 901}, "offerWindowHighUrgencySeconds"),
        ({"offer_window_seconds": 299}, "offerWindowHighUrgencySeconds"),
        ({"candidates_per_round": 51}, "candidatesPerRound"),
        ({"revision_limit": 2**31}, "revisionLimit"),
        ({"worker_share_basis_points": 10_001}, "workerShareBasisPoints"),
        ({"rounds": 0}, "rounds"),
        ({"urgency_basis_points": {Urgency.NORMAL: 10_000}}, "urgencyBasisPoints"),
        (
            {"urgency_basis_points": {Urgency.LOW: 0, Urgency.NORMAL: 1, Urgency.HIGH: 2}},
            "urgencyBasisPoints",
        ),
        (
            {"urgency_basis_points": {Urgency.LOW: 9_000, Urgency.NORMAL: 10_000, Urgency.HIGH: 100_001}},
            "urgencyBasisPoints",
        ),
        (
            {"urgency_basis_points": {Urgency.LOW: 9_000, Urgency.NORMAL: 10_000, Urgency.HIGH: 9_999}},
            "urgencyBasisPoints",
        ),
    ],
)
def test_an_unsound_change_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        changed(JobPolicy(), changes, version=2)
    assert refused.value.pointer == f"#/changes/{field}"


@pytest.mark.parametrize("name", DURATIONS)
def test_every_duration_has_an_end(name: str) -> None:
    default = JobPolicy.model_fields[name].get_default()
    too_long: Any = MAX_SECONDS + 1
    if isinstance(default, dict):
        too_long = dict.fromkeys(Urgency, too_long)
    elif isinstance(default, tuple):
        too_long = (too_long,)
    with pytest.raises(InvalidFieldError, match="366 days"):
        changed(JobPolicy(), {name: too_long}, version=2)


class Richer(JobPolicy):
    """A policy with fields of every shape that a policy may have."""

    review_reminder_seconds: tuple[int, ...] = (24 * 3600, 48 * 3600)
    cancel_ready_basis_points: int = 1_000
    cancel_working_basis_points: int = 2_500
    due_seconds: dict[Urgency, int] = Field(
        default={Urgency.LOW: 3 * 86_400, Urgency.NORMAL: 2 * 86_400, Urgency.HIGH: 86_400}
    )
    part_basis_points: tuple[int, ...] = (5_000, 8_000)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"review_reminder_seconds": (3600, 72 * 3600 + 1)}, "reviewReminderSeconds"),
        ({"auto_approve_seconds": 48 * 3600 - 1}, "reviewReminderSeconds"),
        ({"review_reminder_seconds": (0,)}, "reviewReminderSeconds"),
        ({"review_reminder_seconds": tuple(range(3600, 3611))}, "reviewReminderSeconds"),
        ({"cancel_ready_basis_points": 2_501}, "cancelReadyBasisPoints"),
        ({"cancel_working_basis_points": -1}, "cancelWorkingBasisPoints"),
        ({"due_seconds": {Urgency.LOW: 3_600}}, "dueSeconds"),
        ({"due_seconds": {Urgency.LOW: 1, Urgency.NORMAL: 2, Urgency.HIGH: 3}}, "dueSeconds"),
        ({"part_basis_points": (5_000, 10_001)}, "partBasisPoints"),
    ],
)
def test_rules_reach_into_lists_and_mappings(changes: dict[str, Any], field: str) -> None:
    assert faults(Richer()) == []
    with pytest.raises(InvalidFieldError) as refused:
        changed(Richer(), changes, version=2)
    assert refused.value.pointer == f"#/changes/{field}"


def test_a_list_is_changed_and_changed_back() -> None:
    after = changed(Richer(), {"review_reminder_seconds": (), "revision_limit": 3}, version=2)
    diff = differences(Richer(), after)
    assert {change.field: change.after for change in diff} == {
        "revisionLimit": 3,
        "reviewReminderSeconds": [],
    }
    assert reverted(after, diff) == Richer()


def test_shares_add_up_to_one_whole_at_most() -> None:
    class WithAnotherShare(JobPolicy):
        referral_share_basis_points: int = 4_000

    assert faults(WithAnotherShare()) == []
    found = faults(WithAnotherShare(referral_share_basis_points=4_001))
    assert [fault.field for fault in found] == ["workerShareBasisPoints", "referralShareBasisPoints"]


def test_a_change_does_not_answer_for_what_was_unsound_before() -> None:
    """Settings may give what an admin may not, so that a demo is over soon."""
    odd = JobPolicy(rounds=51, candidates_per_round=2)
    assert faults(odd)
    assert changed(odd, {"revision_limit": 3}, version=2).revision_limit == 3
    with pytest.raises(InvalidFieldError, match="offers"):
        changed(odd, {"candidates_per_round": 3}, version=2)


def test_what_differs_is_told_as_json_and_in_order() -> None:
    before = JobPolicy()
    after = changed(
        before,
        {
            "urgency_basis_points": {Urgency.LOW: 8_000, Urgency.NORMAL: 10_000, Urgency.HIGH: 15_000},
            "rounds": 3,
            "revision_limit": before.revision_limit,
        },
        version=2,
    )
    assert after.version == 2
    assert [change.model_dump() for change in differences(before, after)] == [
        {"field": "rounds", "before": 2, "after": 3},
        {
            "field": "urgencyBasisPoints",
            "before": {"low": 9_000, "normal": 10_000, "high": 15_000},
            "after": {"low": 8_000, "normal": 10_000, "high": 15_000},
        },
    ]
    assert reverted(after, differences(before, after)) == before


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "offer_window_seconds": st.integers(300, JobPolicy().offer_pause_limit_seconds),
            "rounds": st.integers(1, 20),
            "revision_limit": st.integers(0, 100),
            "worker_share_basis_points": st.integers(0, 10_000),
            "auto_approve_seconds": st.integers(300 * 3600, MAX_SECONDS),
        },
    )
)
def test_a_change_and_its_reverse(changes: dict[str, int]) -> None:
    before = JobPolicy()
    after = changed(before, changes, version=2)
    diff = differences(before, after)
    told = {change.field for change in diff}
    assert {field for field, value in plain(after).items() if plain(before)[field] != value} == told | {
        "version"
    }
    assert reverted(after, diff) == before
