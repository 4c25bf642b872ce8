"""The rule-based parser: reads a brief without a model, in time linear in its length, the same way every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from app.parsing import effort
from app.parsing.lexicon import IMPLIED
from app.parsing.mentions import find_mentions
from app.parsing.models import MAX_SKILLS, MAX_SUMMARY, Brief, ParsedBrief
from app.parsing.text import Token, tokenize
from app.skills.taxonomy import BY_SLUG

RULES_VERSION = "rules-1"
FALLBACK_CATEGORY = "admin-support"

_TITLE_WEIGHT = 2.5
_REPEAT_WEIGHT = 0.3  # for the second and third mention; more add nothing, so that stuffing does not pay
_CUT = 0.55
_SHORT = 120  # words
_CUT_OF_BEST = 0.25  # beside a skill that fills title and text, a word in passing is noise

# The skill that every worker of a trade holds: implied once a brief is clearly of that trade.
_CORE = {
    "data": "data-analysis",
    "web": "web-development",
    "admin-support": "virtual-assistance",
    "customer-support": "customer-service",
    "marketing": "digital-marketing",
    "ecommerce": "ecommerce",
    "finance": "accounting",
}


def parse_with_rules(brief: Brief) -> ParsedBrief:
    """Read a brief of any length and content. Never raises on text."""
    title = tokenize(brief.title)
    body = tokenize(brief.description)
    named = _scores(title, body)
    scores = _with_implied(named)
    category = _category(named)
    core = _CORE.get(category)
    if core is not None and core not in scores and named:
        scores[core] = 0.6
    words = len(title) + len(body)
    skills = _ranked(scores, words=words)
    work = effort.estimate([*title, *body], leading=skills, category=category)
    return ParsedBrief(
        required_skills=skills,
        category=category,
        complexity=work.complexity,
        hours_low=work.low,
        hours_likely=work.likely,
        hours_high=work.high,
        confidence=_confidence(named, words=words, counted=work.counted),
        summary=_summary(brief.title),
        parser="rules",
        rules_version=RULES_VERSION,
    )


def _scores(title: Sequence[Token], body: Sequence[Token]) -> dict[str, float]:
    """Evidence for each skill that is named or acted out, negated mentions left out."""
    scores: dict[str, float] = {}
    for tokens, weight in ((title, _TITLE_WEIGHT), (body, 1.0)):
        best: dict[str, float] = {}
        times: Counter[str] = Counter()
        for mention in find_mentions(tokens):
            if not mention.negated:
                best[mention.slug] = max(best.get(mention.slug, 0.0), mention.strength)
                times[mention.slug] += 1
        for slug, strength in best.items():
            repeats = min(times[slug], 3) - 1
            scores[slug] = scores.get(slug, 0.0) + strength * weight * (1 + _REPEAT_WEIGHT * repeats)
    return scores


def _with_implied(named: Mapping[str, float]) -> dict[str, float]:
    """Named skills, and those they bring along; an implied skill is never worth more than what implied it."""
    scores = dict(named)
    for slug, score in named.items():
        for implied, share in IMPLIED.get(slug, ()):
            scores[implied] = max(scores.get(implied, 0.0), score * share)
    return scores


def _ranked(scores: Mapping[str, float], *, words: int) -> list[str]:
    """The skills worth asking for, best first. In a short brief whatever is named plainly is meant."""
    if not scores:
        return []
    relative = max(scores.values()) * _CUT_OF_BEST
    cut = max(_CUT, min(relative, 1.0) if words <= _SHORT else relative)
    ordered = sorted(scores, key=lambda slug: (-scores[slug], slug))
    kept = [slug for slug in ordered if scores[slug] >= cut]
    return (kept or ordered[:2])[:MAX_SKILLS]


def _category(scores: Mapping[str, float]) -> str:
    """The trade with the most evidence; on a tie, the first by slug."""
    votes: dict[str, float] = {}
    for slug, score in scores.items():
        category = BY_SLUG[slug].category
        votes[category] = votes.get(category, 0.0) + min(score, 4.0)
    if not votes:
        return FALLBACK_CATEGORY
    return min(votes, key=lambda category: (-votes[category], category))


def _confidence(named: Mapping[str, float], *, words: int, counted: bool) -> float:
    """How far to trust this reading, from 0.1 (nothing recognised) to 0.85 (rules never claim certainty)."""
    if not named:
        return 0.1
    strong = sum(score >= 1.0 for score in named.values())
    confidence = 0.25 + 0.1 * min(strong, 3) + 0.1 * (max(named.values()) >= _TITLE_WEIGHT)
    confidence += 0.15 * counted + 0.05 * (words >= 30)
    return round(min(confidence, 0.85), 2)


def _summary(title: str) -> str:
    """The client's own title, on one line and cut to size."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in title[: 4 * MAX_SUMMARY]).split())
    return line if len(line) <= MAX_SUMMARY else line[: MAX_SUMMARY - 1].rstrip() + "…"
