"""Who is seeded: the same each time, well formed, and awake somewhere at every hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.ids import is_id
from app.matching.shifts import is_on_shift
from app.seed.people import MAX_WORKERS, TRADES, Cast, make_cast
from app.skills.taxonomy import BY_SLUG
from app.users.models import MAX_CAPACITY, MAX_SKILLS


@pytest.fixture(scope="module")
def cast() -> Cast:
    return make_cast()


def test_a_seed_makes_the_same_people_and_another_seed_makes_others(cast: Cast) -> None:
    assert make_cast() == cast
    assert make_cast(8).workers != cast.workers
    assert make_cast(8).admin.id != cast.admin.id


def test_more_people_leave_the_first_ones_as_they_are(cast: Cast) -> None:
    larger = make_cast(workers=60, clients=25)
    assert larger.workers[:30] == cast.workers
    assert larger.clients[:1] == cast.clients


def test_nobody_is_somebody_else() -> None:
    people = make_cast(workers=MAX_WORKERS, clients=25).everybody
    assert len({person.id for person in people}) == len(people)
    assert len({person.email for person in people}) == len(people)
    assert all(is_id(person.id) for person in people)
    assert all(
        person.email == person.email.lower() and person.email.endswith(".example") for person in people
    )
    with pytest.raises(ValueError, match="names"):
        make_cast(workers=MAX_WORKERS + 1)


@pytest.mark.parametrize("seed", range(5))
def test_profiles_are_what_a_worker_could_have_made_of_theirs(seed: int) -> None:
    cast = make_cast(seed)
    assert len(cast.workers) == 30
    for worker in cast.workers:
        assert set(worker.skills) <= set(BY_SLUG)
        assert 2 <= len(set(worker.skills)) == len(worker.skills) <= MAX_SKILLS
        assert 1 <= worker.capacity <= MAX_CAPACITY
        assert worker.rating.count <= worker.rating.sum <= 5 * worker.rating.count
        offers = worker.offers
        assert offers.offered == offers.accepted + offers.declined + offers.expired
        assert worker.completed_jobs == offers.accepted >= worker.worked_with_first_client
    assert {worker.trade for worker in cast.workers} == set(TRADES)


def test_somebody_is_on_shift_at_every_half_hour_of_the_week_summer_and_winter(cast: Cast) -> None:
    for monday in (datetime(2026, 11, 23, tzinfo=UTC), datetime(2027, 6, 21, tzinfo=UTC)):
        for half_hour in range(7 * 48):
            at = monday + timedelta(minutes=30 * half_hour)
            assert any(
                is_on_shift(worker.working_hours.model_dump(), worker.timezone, at) for worker in cast.workers
            ), f"everybody sleeps at {at}"


def test_some_work_in_other_zones_than_cambodias(cast: Cast) -> None:
    zones = {worker.timezone for worker in cast.workers}
    assert "Asia/Phnom_Penh" in zones
    assert len(zones) >= 4
