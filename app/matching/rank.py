"""Ranks candidates for a job: a pure function of what it is given, in exact integer arithmetic.

The formula, its weights and its sources are in docs/matching.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256

from app.matching.models import Candidate, Factor, Ranking, ScoreCard, Weights
from app.skills.taxonomy import BY_SLUG

RANKING_VERSION = "rank-3"

PRIOR_RATING = 4  # stars that a newcomer is presumed to have
PRIOR_RATING_COUNT = 5  # reviews' worth of that presumption
PRIOR_ACCEPTED = 3  # Beta(3, 2): a newcomer is presumed to accept three offers of five
PRIOR_DECLINED = 2
COOL_DOWN = timedelta(hours=1)  # after a decline, no offer at all in the first round
DECLINE_MEMORY = timedelta(hours=24)  # after which a decline costs nothing
LEAST_FIT = Fraction(1, 5)  # of the skills wanted; with less, being on shift must not win the first round
ADJACENT_CREDIT = Fraction(1, 3)  # of a missing skill, for another skill of its trade, in a widened round

_FAR_FUTURE = datetime.max.replace(tzinfo=UTC)


def rank(
    candidates: Sequence[Candidate],
    required_skills: Sequence[str],
    *,
    exclude: Mapping[str, str] | Collection[str] = (),
    weights: Weights | None = None,
    now: datetime,
    widened: bool = False,
    urgent: bool = False,
    salt: str = "",
) -> Ranking:
    """Score every candidate, order the eligible and say of the rest why they were passed over.

    Args:
        candidates: workers, each id once.
        required_skills: slugs, most needed first; none at all fits everybody.
        exclude: ids that must not be asked, with the reason where it is a mapping.
        weights: points for each factor; the defaults when None.
        now: the aware moment of ranking.
        widened: the second round: neighbours in the trade count, and a recent decline only costs points.
        urgent: only people on shift and those who opted in to urgent work are asked; both count as on shift.
        salt: the job's id, so that equal scores fall to different workers from job to job.

    Raises:
        ValueError: a worker appears twice.
    """
    ids = [candidate.worker_id for candidate in candidates]
    if len(set(ids)) != len(ids):
        raise ValueError("a worker appears twice among the candidates")
    chosen = weights or Weights()
    wanted = list(dict.fromkeys(required_skills))
    eligible: list[tuple[tuple[int, datetime, bytes], ScoreCard]] = []
    passed_over: list[ScoreCard] = []
    for candidate in candidates:
        factors = _factors(candidate, wanted, weights=chosen, now=now, widened=widened, urgent=urgent)
        reason = _reason(candidate, wanted, exclude=exclude, now=now, widened=widened, urgent=urgent)
        card = ScoreCard(
            worker_id=candidate.worker_id,
            score=sum(factor.points for factor in factors),
            factors=factors,
            eligible=reason is None,
            passed_over_reason=reason,
        )
        if reason is None:
            eligible.append((_order(card, candidate, salt), card))
        else:
            passed_over.append(card)
    eligible.sort(key=lambda entry: entry[0])
    ranked = [card.model_copy(update={"rank": place}) for place, (_, card) in enumerate(eligible, start=1)]
    passed_over.sort(key=lambda card: card.worker_id)
    return Ranking(version=RANKING_VERSION, cards=[*ranked, *passed_over])


def _order(card: ScoreCard, candidate: Candidate, salt: str) -> tuple[int, datetime, bytes]:
    """Best score first; then who is back soonest; then a draw that is fixed for the job and fair across jobs."""
    back = datetime.min.replace(tzinfo=UTC) if candidate.on_shift else candidate.next_shift_at or _FAR_FUTURE
    return -card.score, back, sha256(f"{salt}:{candidate.worker_id}".encode()).digest()


def _factors(
    candidate: Candidate,
    wanted: Sequence[str],
    *,
    weights: Weights,
    now: datetime,
    widened: bool,
    urgent: bool,
) -> list[Factor]:
    values = {
        "on_shift": Fraction(candidate.on_shift or (urgent and candidate.opted_in_urgent)),
        "skill_fit": skill_fit(candidate.skills, wanted, widened=widened),
        "rating": rating_value(candidate.rating_sum, candidate.rating_count),
        "acceptance": acceptance_value(candidate.offers_accepted, candidate.offers_made),
        "load": _free_share(candidate),
        "past_work": Fraction(candidate.jobs_with_client, candidate.jobs_with_client + 2),
        "cool_down": _recovery(candidate.declined_recently_at, now),
    }
    return [_factor(name, value, weight=dict(weights)[name]) for name, value in values.items()]


def _factor(name: str, value: Fraction, *, weight: int) -> Factor:
    """Points are rounded down, so that only a value of exactly 1 earns the whole weight."""
    points = weight * value.numerator // value.denominator
    return Factor(name=name, value=round(float(value), 4), weight=weight, points=points)


def skill_fit(skills: Collection[str], wanted: Sequence[str], *, widened: bool = False) -> Fraction:
    """The share of the wanted skills that a worker holds, the first of n counting n times the last."""
    if not wanted:
        return Fraction(1)
    held = set(skills)
    trades = {BY_SLUG[slug].category for slug in held if slug in BY_SLUG}
    size = len(wanted)
    earned = Fraction(0)
    for place, slug in enumerate(wanted):
        if slug in held:
            earned += size - place
        elif widened and slug in BY_SLUG and BY_SLUG[slug].category in trades:
            earned += (size - place) * ADJACENT_CREDIT
    return earned / (size * (size + 1) // 2)


def rating_value(rating_sum: int, rating_count: int) -> Fraction:
    """The Bayesian mean of the stars, from 0 (one star) to 1 (five): few reviews stay near the prior mean."""
    total = rating_sum + PRIOR_RATING * PRIOR_RATING_COUNT
    mean = Fraction(total, rating_count + PRIOR_RATING_COUNT)
    return _bounded((mean - 1) / 4)


def acceptance_value(accepted: int, made: int) -> Fraction:
    """The posterior mean of the share of offers accepted, with a Beta(3, 2) prior."""
    return _bounded(Fraction(accepted + PRIOR_ACCEPTED, made + PRIOR_ACCEPTED + PRIOR_DECLINED))


def _free_share(candidate: Candidate) -> Fraction:
    if candidate.capacity <= 0:
        return Fraction(0)
    return _bounded(Fraction(candidate.capacity - candidate.active_jobs, candidate.capacity))


def _recovery(declined_at: datetime | None, now: datetime) -> Fraction:
    """From 0 right after a decline to 1 when it is forgotten, evenly, in whole seconds."""
    if declined_at is None:
        return Fraction(1)
    elapsed = int((now - declined_at).total_seconds())
    return _bounded(Fraction(elapsed, int(DECLINE_MEMORY.total_seconds())))


def _bounded(value: Fraction) -> Fraction:
    return min(max(value, Fraction(0)), Fraction(1))


def _absence(candidate: Candidate, *, urgent: bool) -> str | None:
    """Why a candidate could not do any job of this kind now, or None."""
    if not candidate.available:
        return "not available"
    if candidate.active_jobs >= candidate.capacity:
        return f"at capacity ({candidate.active_jobs} of {candidate.capacity} jobs)"
    if urgent and not (candidate.on_shift or candidate.opted_in_urgent):
        return "off shift, and not open to urgent work"
    return None


def _reason(
    candidate: Candidate,
    wanted: Sequence[str],
    *,
    exclude: Mapping[str, str] | Collection[str],
    now: datetime,
    widened: bool,
    urgent: bool,
) -> str | None:
    """Why a candidate must not be asked, or None."""
    if candidate.worker_id in exclude:
        return exclude[candidate.worker_id] if isinstance(exclude, Mapping) else "already asked for this job"
    if absence := _absence(candidate, urgent=urgent):
        return absence
    if not widened and (fit := skill_fit(candidate.skills, wanted)) < LEAST_FIT:
        return f"has {'too few' if fit else 'none'} of the required skills"
    declined = candidate.declined_recently_at
    if declined is not None and not widened and now < declined + COOL_DOWN:
        until = (declined + COOL_DOWN).astimezone(UTC)
        return f"cooling down after a decline until {until:%Y-%m-%d %H:%M} UTC"
    return None
