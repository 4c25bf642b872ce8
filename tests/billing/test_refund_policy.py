"""The refund policy as arithmetic: never more than is left, never for what was used, and never twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.subscriptions.entitlements import part_of
from app.subscriptions.refund_policy import Ground, Paid, allowance

AT = datetime(2026, 11, 1, tzinfo=UTC)
WHOLE = Paid(at=AT, cents=69_900, refunded_cents=0, disputed=False, credits=3_000, unused=3_000)


@pytest.mark.parametrize(
    ("paid", "days", "cents", "at_most", "ground"),
    [
        (WHOLE, 0, 69_900, 69_900, Ground.UNUSED),
        (replace(WHOLE, unused=2_240), 3, 52_192, 69_900, Ground.PARTLY_USED),
        (replace(WHOLE, unused=0), 3, 0, 69_900, Ground.USED),
        (WHOLE, 14, 0, 69_900, Ground.TOO_LATE),
        (replace(WHOLE, disputed=True), 0, 0, 0, Ground.DISPUTED),
        (replace(WHOLE, refunded_cents=69_900, unused=0), 0, 0, 0, Ground.REFUNDED),
        (replace(WHOLE, refunded_cents=23_300, unused=2_000), 0, 46_600, 46_600, Ground.UNUSED),
        (replace(WHOLE, refunded_cents=23_300, unsettled_cents=23_300), 0, 46_600, 46_600, Ground.UNUSED),
        (replace(WHOLE, credits=0, unused=0), 0, 0, 69_900, Ground.NOTHING_BOUGHT),
    ],
)
def test_what_goes_back(paid: Paid, days: int, cents: int, at_most: int, ground: Ground) -> None:
    found = allowance(paid, now=AT + timedelta(days=days), window_days=14)
    assert (found.cents, found.at_most_cents, found.ground) == (cents, at_most, ground)


def test_the_window_ends_to_the_second_and_may_be_none() -> None:
    last = AT + timedelta(days=14) - timedelta(seconds=1)
    assert allowance(WHOLE, now=last, window_days=14).cents == 69_900
    assert allowance(WHOLE, now=AT, window_days=0).ground is Ground.TOO_LATE


@given(st.integers(1, 500_000), st.integers(1, 20_000), st.data())
def test_what_goes_back_never_takes_credits_that_were_used(
    cents: int, credits_: int, data: st.DataObject
) -> None:
    unused = data.draw(st.integers(0, credits_))
    paid = Paid(at=AT, cents=cents, refunded_cents=0, disputed=False, credits=credits_, unused=unused)
    back = allowance(paid, now=AT, window_days=14).cents
    assert 0 <= back <= cents
    if back:
        assert part_of(credits_, back, cents) <= unused, "the refund would leave a debt"
    first = data.draw(st.integers(0, back))
    half = replace(paid, refunded_cents=first, unsettled_cents=first)
    assert allowance(half, now=AT, window_days=14).cents + first <= back, "in two parts it is no more"
