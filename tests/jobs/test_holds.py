"""Plans that end holds: amounts add up, no hold is ended twice, what is kept stays as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.jobs.holds import OpenHold, PlannedResolution, post_all, release_all, split
from app.money.keys import hold_key

JOB = "1" * 24
HOLDS = st.lists(st.integers(1, 1_000_000), min_size=1, max_size=6).map(
    lambda amounts: [
        OpenHold(key=hold_key(JOB, number), credits=amount) for number, amount in enumerate(amounts, start=1)
    ]
)


def total(holds: list[OpenHold]) -> int:
    return sum(hold.credits for hold in holds)


def _sound(holds: list[OpenHold], planned: list[PlannedResolution]) -> None:
    """Each hold at most once, each key once, and the three amounts are the hold."""
    amounts = {hold.key: hold.credits for hold in holds}
    assert len({item.hold_key for item in planned}) == len(planned)
    assert len({item.key for item in planned}) == len(planned)
    for item in planned:
        assert min(item.post, item.release, item.hold_again) >= 0
        assert item.post + item.release + item.hold_again == amounts[item.hold_key]


@given(HOLDS)
def test_all_is_spent_or_all_returns(holds: list[OpenHold]) -> None:
    spent, returned = post_all(JOB, holds), release_all(JOB, holds)
    for planned in (spent, returned):
        _sound(holds, planned)
        assert [item.hold_key for item in planned] == [hold.key for hold in holds]
    assert sum(item.post for item in spent) == sum(item.release for item in returned) == total(holds)
    assert not {item.key for item in spent} & {item.key for item in returned}


@given(HOLDS, st.data())
def test_a_split_spends_exactly_its_part_and_returns_the_rest(
    holds: list[OpenHold], data: st.DataObject
) -> None:
    post = data.draw(st.integers(0, total(holds)))
    planned, left = split(JOB, holds, post, number=3)
    _sound(holds, planned)
    assert left == []
    assert sum(item.post for item in planned) == post
    assert sum(item.release for item in planned) == total(holds) - post
    assert {item.hold_key for item in planned} == {hold.key for hold in holds}


@given(HOLDS, st.data())
def test_a_split_that_keeps_leaves_the_rest_held_and_the_untouched_as_they_are(
    holds: list[OpenHold], data: st.DataObject
) -> None:
    post = data.draw(st.integers(1, total(holds)))
    planned, left = split(JOB, holds, post, number=0, keep=True)
    _sound(holds, planned)
    assert sum(item.post for item in planned) == post
    assert all(item.release == 0 for item in planned)
    assert total(left) == total(holds) - post
    touched = {item.hold_key for item in planned}
    assert all(item.post > 0 for item in planned)
    assert [hold for hold in holds if hold.key not in touched] == [
        hold for hold in left if hold.key in {before.key for before in holds}
    ]
    again = {item.key: item.hold_again for item in planned if item.hold_again}
    assert again == {hold.key: hold.credits for hold in left if hold.key in again}


@given(HOLDS, st.data())
def test_a_job_that_is_left_again_and_again_ends_every_hold_once(
    holds: list[OpenHold], data: st.DataObject
) -> None:
    """As the job's process does it: leave with a part, raise the price, leave again, then end in one of three ways."""
    whole, spent, returned, resolved = total(holds), 0, 0, 0
    ended: list[str] = []
    keys: list[str] = []
    open_ = list(holds)
    for number in range(data.draw(st.integers(0, 4))):
        if more := data.draw(st.integers(0, 1_000)):
            open_.append(OpenHold(key=hold_key(JOB, len(holds) + number + 1), credits=more))
            whole += more
        part = data.draw(st.integers(0, total(open_)))
        if not part:
            continue
        planned, open_ = split(JOB, open_, part, number=resolved, keep=True)
        resolved += len(planned)
        ended += [item.hold_key for item in planned]
        keys += [item.key for item in planned]
        spent += part
    match data.draw(st.sampled_from(["post", "release", "split"])):
        case "post":
            last = post_all(JOB, open_)
        case "release":
            last = release_all(JOB, open_)
        case _:
            last, _left = split(JOB, open_, data.draw(st.integers(0, total(open_))), number=resolved)
    spent += sum(item.post for item in last)
    returned += sum(item.release for item in last)
    ended += [item.hold_key for item in last]
    keys += [item.key for item in last]
    assert spent + returned == whole
    assert len(set(ended)) == len(ended)
    assert len(set(keys)) == len(keys)
