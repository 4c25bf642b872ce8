"""How long the work takes, from what the text counts (hours, words, pages, minutes of video) and how it speaks.

The rates are rules of thumb of the trades: hours for one unit, by the skill that leads the brief.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.parsing.models import Complexity, ordered_hours
from app.parsing.text import Token
from app.parsing.words import words

_MAX_COUNT = 1_000_000
_MAX_LARGE_UNITS = 60
_SPELLED = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100,
}  # fmt: skip
_HOUR_WORDS = frozenset({"hour", "hr", "hrs"})
_PERIODS: Mapping[str, float] = {"week": 1.0, "month": 4.0, "day": 0.2}
_EFFORT_WORDS = words(
    "work take takes effort estimate estimated need project budget about approximately around total job"
)
_DEADLINE_WORDS = words(
    "within in by every deadline turnaround delivery deliver last next per refresh after before"
)

# Hours for one unit, by leading skill ("" is any other).
_RATES: Mapping[str, Mapping[str, float]] = {
    "word": {"": 1 / 400, "translation": 1 / 350, "proofreading": 1 / 1500,
             "editing": 1 / 1000, "data-entry": 1 / 1500},
    "page": {"": 0.75, "web-development": 4.0, "web-design": 3.0, "wordpress": 3.0, "landing-pages": 5.0,
             "data-entry": 0.25, "translation": 0.8, "proofreading": 0.25, "transcription": 0.5},
    "minute": {"": 0.5, "video-editing": 1.5, "motion-graphics": 6.0, "animation-2d": 8.0, "transcription": 0.07,
               "subtitling": 0.15, "voice-over": 0.3, "audio-editing": 0.1, "podcast-production": 0.1},
    "slide": {"": 0.5}, "article": {"": 3.0}, "blog": {"": 3.0}, "post": {"": 0.75, "blog-writing": 3.0},
    "product": {"": 0.25}, "listing": {"": 0.3}, "video": {"": 4.0}, "reel": {"": 2.0}, "episode": {"": 3.0},
    "image": {"": 0.25}, "photo": {"": 0.2}, "banner": {"": 1.0}, "logo": {"": 6.0}, "flyer": {"": 2.5},
    "email": {"": 0.75, "email-management": 0.05}, "record": {"": 1 / 90}, "row": {"": 1 / 90}, "contact": {"": 0.05},
    "lead": {"": 0.06}, "dashboard": {"": 8.0}, "screen": {"": 2.5}, "invoice": {"": 0.05}, "transaction": {"": 0.02},
    "icon": {"": 0.5}, "illustration": {"": 4.0}, "thumbnail": {"": 0.75}, "infographic": {"": 4.0},
}  # fmt: skip

# Usual hours of a small, middling and large piece of work in each trade.
_USUAL: Mapping[str, tuple[float, float, float]] = {
    "design": (2.5, 6, 20), "product-design": (4, 16, 50), "writing": (2, 5, 20), "translation": (1.5, 4, 16),
    "web": (3, 14, 60), "software": (4, 20, 80), "data": (3, 10, 40), "marketing": (3, 10, 40),
    "ecommerce": (2, 8, 40), "media": (2.5, 7, 30), "3d": (4, 12, 40), "admin-support": (1.5, 5, 20),
    "customer-support": (2, 10, 40), "sales": (2, 8, 40), "finance": (2, 6, 24), "business": (3, 10, 40),
}  # fmt: skip
_SMALL = words(
    "simple quick small short minor easy basic tiny straightforward brief tweak one-page fast single"
)
_LARGE = words(
    "complex advanced comprehensive extensive full-scale enterprise large complete entire sophisticated architecture"
    " end-to-end multiple custom migration integration scalable in-depth ongoing long-term platform system"
)


@dataclass(frozen=True, slots=True)
class Effort:
    """Hours in quarters. `counted` says that the text named a quantity, rather than the size being guessed."""

    low: float
    likely: float
    high: float
    complexity: Complexity
    counted: bool


def estimate(tokens: Sequence[Token], *, leading: Sequence[str], category: str) -> Effort:
    """The effort of a brief whose most needed skills are `leading`, in a category."""
    complexity = _complexity(tokens, len(leading))
    stated = _stated_hours(tokens)
    if stated is not None:
        low, high = stated
        likely = (low + high) / 2
        hours = ordered_hours(
            low if low < high else likely * 0.8, likely, high if low < high else likely * 1.25
        )
        return Effort(*hours, complexity=_at_least(complexity, likely), counted=True)
    counted = _counted_hours(tokens, leading)
    if counted is not None:
        hours = ordered_hours(counted * 0.7, counted, counted * 1.5)
        return Effort(*hours, complexity=_at_least(complexity, counted), counted=True)
    usual = _USUAL.get(category, (2.0, 6.0, 24.0))[("simple", "moderate", "complex").index(complexity)]
    return Effort(*ordered_hours(usual * 0.5, usual, usual * 2), complexity=complexity, counted=False)


def _at_least(complexity: Complexity, hours: float) -> Complexity:
    """Size counts too: a week of simple work is not a simple job, and an hour's work is not a complex one."""
    if hours >= 40:
        return "complex"
    if hours <= 3:
        return "simple"
    if complexity == "simple" and hours > 10:
        return "moderate"
    return complexity


def _complexity(tokens: Sequence[Token], skills: int) -> Complexity:
    words = {token.folded for token in tokens}
    score = len(words & _LARGE) - 1.5 * len(words & _SMALL)
    score += (len(tokens) > 150) + (len(tokens) > 400) + (skills >= 5) + (skills >= 8)
    if len(tokens) < 40:
        score -= 1
    return "complex" if score >= 4 else "simple" if score <= -1 else "moderate"


def _number(token: Token) -> float | None:
    if token.folded in _SPELLED:
        return float(_SPELLED[token.folded])
    text = token.raw.rstrip("+").replace(",", "")
    scale = 1
    if text[-1:] in {"k", "K"}:
        text, scale = text[:-1], 1000
    if not text.replace(".", "", 1).isdigit() or not text.isascii() or len(text) > 9:
        return None
    return min(float(text) * scale, float(_MAX_COUNT))


def _range_before(tokens: Sequence[Token], place: int) -> tuple[float, float] | None:
    """The count that stands before a unit: "10", "10-15", "10 to 15"."""
    if not place:
        return None
    high = _number(tokens[place - 1])
    if high is None or high <= 0 or "$" in tokens[place - 1].before:
        return None
    step = 2 if place > 1 and ("-" in tokens[place - 1].before or "–" in tokens[place - 1].before) else 0
    if place > 2 and tokens[place - 2].folded in {"to", "or"}:
        step = 3
    low = _number(tokens[place - step]) if step else None
    return (low, high) if low is not None and 0 < low <= high else (high, high)


def _stated_hours(tokens: Sequence[Token]) -> tuple[float, float] | None:
    """Hours or days of work that the client names, and not a deadline or an hourly price."""
    for place, token in enumerate(tokens):
        count = _range_before(tokens, place) if token.folded in _HOUR_WORDS | {"day"} else None
        if count is None:
            continue
        clause = [
            other.folded for other in tokens[max(0, place - 6) : place + 4] if other.clause == token.clause
        ]
        if token.folded == "day":
            if _EFFORT_WORDS.intersection(clause) and not _DEADLINE_WORDS.intersection(clause):
                return count[0] * 8, count[1] * 8
            continue
        before = {other.folded for other in tokens[max(0, place - 4) : place] if other.clause == token.clause}
        if before & _DEADLINE_WORDS:
            continue
        factor = _weeks(tokens, place)
        return count[0] * factor, count[1] * factor
    return None


def _weeks(tokens: Sequence[Token], place: int) -> float:
    """For "20 hours a week for 3 weeks", the 3; an open-ended week counts once."""
    following = tokens[place + 1 : place + 3]
    period = next(
        (token.folded for token in following if token.folded in {"week", "weekly", "day", "daily", "month"}),
        "",
    )
    if not period:
        return 1.0
    each = {"week": 1.0, "weekly": 1.0, "day": 5.0, "daily": 5.0, "month": 0.25}[period]
    for other in range(place + 3, min(len(tokens), place + 10)):
        length = _PERIODS.get(tokens[other].folded)
        count = _range_before(tokens, other) if length is not None else None
        if length is not None and count is not None:
            return each * count[1] * length
    return each


def _counted_hours(tokens: Sequence[Token], leading: Sequence[str]) -> float | None:
    """The largest amount of work that a counted unit stands for ("12 product photos", "a 1,500-word article")."""
    found: list[float] = []
    for place, token in enumerate(tokens):
        rates = _RATES.get(token.folded)
        count = _near_count(tokens, place) if rates else None
        if rates and count is not None:
            rate = next((rates[slug] for slug in leading[:4] if slug in rates), rates[""])
            if (
                rate < 1 or count <= _MAX_LARGE_UNITS
            ):  # five hundred flyers are a print run, not five hundred designs
                found.append(count * rate)
    return max(found, default=None)


def _near_count(tokens: Sequence[Token], place: int) -> float | None:
    """A numeral up to two adjectives before the unit; "a" and "one" say too little to count by."""
    for distance in (0, 1, 2):
        spot = place - distance
        if spot < 1 or tokens[spot].clause != tokens[place].clause:
            return None
        count = _range_before(tokens, spot)
        if count is not None:
            return None if tokens[spot - 1].folded in {"a", "an", "one"} else (count[0] + count[1]) / 2
    return None
