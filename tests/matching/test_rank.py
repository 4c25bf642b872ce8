"""The ranking: exact sums, order, reasons, and what can never happen."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.matching.models import MAX_SCORE, Candidate, Ranking, ScoreCard, Weights
from app.matching.rank import (
    ADJACENT_CREDIT,
    COOL_DOWN,
    DECLINE_MEMORY,
    RANKING_VERSION,
    acceptance_value,
    rank,
    rating_value,
    skill_fit,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WANTED = ["logo-design", "adobe-illustrator"]


def worker(name: str = "w", **known: Any) -> Candidate:
    return Candidate(**{"worker_id": name, "skills": WANTED, "on_shift": True, "capacity": 3, **known})


def ranked(*candidates: Candidate, **options: Any) -> Ranking:
    return rank(candidates, options.pop("wanted", WANTED), now=options.pop("now", NOW), **options)


def card(ranking: Ranking, name: str) -> ScoreCard:
    return next(entry for entry in ranking.cards if entry.worker_id == name)


def value(ranking: Ranking, name: str, factor: str) -> float:
    return next(part.value for part in card(ranking, name).factors if part.name == factor)


def test_the_version_and_every_factor_are_on_the_card() -> None:
    ranking = ranked(worker())
    assert ranking.version == RANKING_VERSION
    assert {part.name: part.weight for part in ranking.cards[0].factors} == dict(Weights())


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"available": False}, "not available"),
        ({"active_jobs": 3}, "at capacity (3 of 3 jobs)"),
        ({"capacity": 0}, "at capacity (0 of 0 jobs)"),
        ({"skills": ["seo"]}, "has none of the required skills"),
        (
            {"declined_recently_at": NOW - timedelta(minutes=30)},
            "cooling down after a decline until 2026-03-02 12:30 UTC",
        ),
    ],
)
def test_who_is_passed_over_is_listed_with_the_reason(known: dict[str, Any], reason: str) -> None:
    ranking = ranked(worker("a", **known), worker("b"))
    passed = card(ranking, "a")
    assert (passed.eligible, passed.rank, passed.passed_over_reason) == (False, None, reason)
    assert ranking.eligible_ids == ["b"]
    assert card(ranking, "b").passed_over_reason is None


def test_the_excluded_are_passed_over_with_the_callers_reason() -> None:
    assert card(ranked(worker("a"), exclude={"a": "declined this job"}), "a").passed_over_reason == (
        "declined this job"
    )
    assert card(ranked(worker("a"), exclude={"a"}), "a").passed_over_reason == "already asked for this job"


def test_a_widened_round_takes_neighbours_and_forgives_a_decline() -> None:
    neighbour = worker("a", skills=["print-design"])
    stranger = worker("b", skills=["seo"])
    decliner = worker("c", declined_recently_at=NOW - timedelta(minutes=1))
    ranking = ranked(neighbour, stranger, decliner, widened=True)
    assert ranking.eligible_ids == ["c", "a", "b"]
    assert value(ranking, "a", "skill_fit") == pytest.approx(1 / 3, abs=1e-4)
    assert value(ranking, "b", "skill_fit") == 0
    assert value(ranking, "c", "cool_down") < 0.01


def test_nobody_asleep_outranks_somebody_on_shift() -> None:
    star = worker(
        "star", on_shift=False, rating_sum=5000, rating_count=1000, offers_made=999, offers_accepted=999,
        capacity=1000, jobs_with_client=1000,
    )  # fmt: skip
    beginner = worker(
        "beginner", skills=["adobe-illustrator"], rating_sum=20, rating_count=20, offers_made=500,
        active_jobs=2, declined_recently_at=NOW - COOL_DOWN,
    )  # fmt: skip
    assert ranked(star, beginner).eligible_ids == ["beginner", "star"]


def test_urgent_jobs_go_to_people_on_shift_or_to_those_who_opted_in() -> None:
    people = [
        worker("a", on_shift=False),
        worker("b", on_shift=True),
        worker("c", on_shift=False, opted_in_urgent=True),
    ]
    assert sorted(ranked(*people, urgent=True).eligible_ids) == ["b", "c"]
    assert sorted(ranked(*people, urgent=True, widened=True).eligible_ids) == ["b", "c"]
    assert sorted(ranked(*people).eligible_ids) == ["a", "b", "c"]


def test_opting_in_to_urgent_work_counts_as_being_there_for_urgent_jobs_alone() -> None:
    sleeper = worker("a", on_shift=False, opted_in_urgent=True)
    awake = worker("b", skills=["adobe-illustrator"])
    assert ranked(sleeper, awake).eligible_ids == ["b", "a"]
    assert ranked(sleeper, awake, urgent=True).eligible_ids == ["a", "b"]


def test_among_equals_asleep_the_first_back_is_first() -> None:
    late = worker("a", on_shift=False, next_shift_at=NOW + timedelta(hours=9))
    soon = worker("b", on_shift=False, next_shift_at=NOW + timedelta(hours=1))
    never = worker("c", on_shift=False)
    assert ranked(late, never, soon).eligible_ids == ["b", "a", "c"]


def test_the_first_skill_counts_most() -> None:
    assert skill_fit(["logo-design"], WANTED) == Fraction(2, 3)
    assert skill_fit(["adobe-illustrator"], WANTED) == Fraction(1, 3)
    assert skill_fit(WANTED, WANTED) == 1
    assert skill_fit([], []) == 1
    assert skill_fit(["print-design"], WANTED) == 0
    assert skill_fit(["print-design"], WANTED, widened=True) == ADJACENT_CREDIT
    assert skill_fit(["unknown"], ["unknown-too"], widened=True) == 0


def test_points_are_rounded_down() -> None:
    (only,) = ranked(worker(skills=["logo-design"])).cards
    fit = next(part for part in only.factors if part.name == "skill_fit")
    assert (fit.value, fit.points) == (0.6667, 1466)  # two thirds of 2,200 are 1,466 and two thirds


def test_one_glowing_review_does_not_beat_a_long_good_record() -> None:
    assert rating_value(0, 0) == Fraction(3, 4)
    assert rating_value(5, 1) < rating_value(48 * 10, 100)
    assert rating_value(1, 1) > rating_value(100, 100)
    assert 0 <= rating_value(0, 10**6) < rating_value(5 * 10**6, 10**6) <= 1


def test_one_decline_does_not_ruin_a_newcomer() -> None:
    assert acceptance_value(0, 0) == Fraction(3, 5)
    assert acceptance_value(0, 1) == Fraction(1, 2)
    assert acceptance_value(0, 20) < acceptance_value(0, 1) < acceptance_value(18, 20)


def test_a_decline_fades_in_a_day() -> None:
    def faded(after: timedelta) -> float:
        return value(ranked(worker(declined_recently_at=NOW - after), widened=True), "w", "cool_down")

    assert faded(timedelta(0)) == 0
    assert faded(timedelta(seconds=-5)) == 0, "a clock slightly ahead"
    assert faded(DECLINE_MEMORY / 2) == 0.5
    assert faded(DECLINE_MEMORY) == faded(DECLINE_MEMORY * 2) == 1


def test_the_cool_down_ends_on_time() -> None:
    declined = worker(declined_recently_at=NOW - COOL_DOWN)
    assert ranked(declined).eligible_ids == ["w"]
    assert ranked(declined, now=NOW - timedelta(seconds=1)).eligible_ids == []


def test_equal_scores_fall_to_different_workers_from_job_to_job() -> None:
    equals = [worker(f"w{number}") for number in range(8)]
    firsts = {ranked(*equals, salt=f"job-{number}").eligible_ids[0] for number in range(60)}
    assert len(firsts) >= 6
    assert ranked(*equals, salt="job-1") == ranked(*equals, salt="job-1")


def test_a_worker_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="twice"):
        ranked(worker("a"), worker("a"))


def test_weights_must_be_whole() -> None:
    with pytest.raises(ValidationError, match="add up to 10000"):
        Weights(on_shift=4_999)
    assert sum(dict(Weights(on_shift=4_000, skill_fit=3_200)).values()) == MAX_SCORE


def test_no_candidates_give_an_empty_ranking() -> None:
    assert ranked().cards == []


_SKILLS = st.sampled_from(
    ["logo-design", "adobe-illustrator", "print-design", "seo", "data-entry", "unknown"]
)
_AGO = st.none() | st.integers(-10, 100_000).map(lambda seconds: NOW - timedelta(seconds=seconds))


@st.composite
def _candidates(draw: st.DrawFn) -> list[Candidate]:
    names = draw(st.lists(st.integers(0, 50), unique=True, max_size=8))
    return [_one(draw, f"w{name}") for name in names]


def _one(draw: st.DrawFn, name: str) -> Candidate:
    reviews, offers = draw(st.integers(0, 200)), draw(st.integers(0, 200))
    on_shift = draw(st.booleans())
    return Candidate(
        worker_id=name,
        skills=draw(st.lists(_SKILLS, max_size=4)),
        rating_sum=draw(st.integers(reviews, 5 * reviews)),
        rating_count=reviews,
        offers_made=offers,
        offers_accepted=draw(st.integers(0, offers)),
        active_jobs=draw(st.integers(0, 4)),
        capacity=draw(st.integers(0, 4)),
        available=draw(st.booleans()),
        on_shift=on_shift,
        next_shift_at=None if on_shift else NOW + timedelta(hours=draw(st.integers(1, 48))),
        jobs_with_client=draw(st.integers(0, 30)),
        declined_recently_at=draw(_AGO),
        opted_in_urgent=draw(st.booleans()),
    )


_WANTED = st.lists(_SKILLS, unique=True, max_size=4)


class Modes(TypedDict):
    """How a round is ranked."""

    widened: bool
    urgent: bool


_MODES = st.builds(Modes, widened=st.booleans(), urgent=st.booleans())


@given(
    _candidates(), _WANTED, _MODES, st.sets(st.integers(0, 50).map(lambda number: f"w{number}"), max_size=5)
)
@settings(max_examples=150, deadline=None)
def test_the_parts_add_up_and_everybody_is_accounted_for(
    candidates: list[Candidate], wanted: list[str], modes: Modes, exclude: set[str]
) -> None:
    ranking = rank(candidates, wanted, now=NOW, exclude=exclude, **modes)
    assert {entry.worker_id for entry in ranking.cards} == {entry.worker_id for entry in candidates}
    for entry in ranking.cards:
        assert entry.score == sum(part.points for part in entry.factors)
        assert 0 <= entry.score <= MAX_SCORE
        assert all(part.points <= part.weight for part in entry.factors)
        assert entry.eligible == (entry.passed_over_reason is None) == (entry.rank is not None)
        assert not (entry.eligible and entry.worker_id in exclude)
    eligible = [entry for entry in ranking.cards if entry.eligible]
    assert [entry.rank for entry in eligible] == list(range(1, len(eligible) + 1))
    assert [entry.score for entry in eligible] == sorted((entry.score for entry in eligible), reverse=True)
    assert ranking.cards[: len(eligible)] == eligible
    assert Ranking.model_validate_json(ranking.model_dump_json()) == ranking


@given(_candidates(), _WANTED, _MODES, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_input_does_not_matter(
    candidates: list[Candidate], wanted: list[str], modes: Modes, shuffler: random.Random
) -> None:
    shuffled = list(candidates)
    shuffler.shuffle(shuffled)
    assert rank(shuffled, wanted, now=NOW, salt="job", **modes) == rank(
        candidates, wanted, now=NOW, salt="job", **modes
    )


def _improved(candidate: Candidate, way: str) -> Candidate:
    ways: dict[str, dict[str, Any]] = {
        "skills": {"skills": [*candidate.skills, "logo-design"]},
        "rating": {"rating_sum": candidate.rating_sum + 5, "rating_count": candidate.rating_count + 1},
        "acceptance": {
            "offers_made": candidate.offers_made + 1,
            "offers_accepted": candidate.offers_accepted + 1,
        },
        "load": {"active_jobs": max(0, candidate.active_jobs - 1)},
        "room": {"capacity": candidate.capacity + 1},
        "shift": {"on_shift": True, "next_shift_at": None},
        "past": {"jobs_with_client": candidate.jobs_with_client + 1},
        "calm": {"declined_recently_at": None},
        "available": {"available": True},
    }
    return candidate.model_copy(update=ways[way])


_WAYS = ("skills", "rating", "acceptance", "load", "room", "shift", "past", "calm", "available")


@given(_candidates(), _WANTED, _MODES, st.sampled_from(_WAYS), st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_getting_better_never_lowers_a_rank(
    candidates: list[Candidate], wanted: list[str], modes: Modes, way: str, which: int
) -> None:
    if which >= len(candidates):
        return
    name = candidates[which].worker_id
    before = rank(candidates, wanted, now=NOW, **modes)
    improved = [_improved(entry, way) if entry.worker_id == name else entry for entry in candidates]
    after = rank(improved, wanted, now=NOW, **modes)
    assert card(after, name).score >= card(before, name).score
    old, new = card(before, name).rank, card(after, name).rank
    if old is not None:
        assert new is not None
        assert new <= old


@given(_candidates(), _WANTED, st.booleans())
@settings(max_examples=150, deadline=None)
def test_on_shift_comes_first_whatever_else_is_true(
    candidates: list[Candidate],
    wanted: list[str],
    widened: bool,
) -> None:
    there = {entry.worker_id: entry.on_shift for entry in candidates}
    order = [there[name] for name in rank(candidates, wanted, now=NOW, widened=widened).eligible_ids]
    assert order == sorted(order, reverse=True)


def test_somebody_on_shift_with_hardly_any_of_the_skills_waits_for_the_wider_round() -> None:
    wanted = ["figma", "html", "css", "web-design", "copywriting", "landing-pages"]
    barely = Candidate(worker_id="barely", skills=["landing-pages"], on_shift=True, capacity=3)
    asleep = Candidate(worker_id="asleep", skills=wanted, on_shift=False, capacity=3)
    first = rank([barely, asleep], wanted, now=datetime(2026, 11, 22, 3, tzinfo=UTC))
    assert first.eligible_ids == ["asleep"]
    reasons = {card.worker_id: card.passed_over_reason for card in first.cards}
    assert reasons["barely"] == "has too few of the required skills"
    wider = rank([barely, asleep], wanted, now=datetime(2026, 11, 22, 3, tzinfo=UTC), widened=True)
    assert set(wider.eligible_ids) == {"barely", "asleep"}
