"""The one question that an unclear brief is answered with: about what the reader could not tell."""

from __future__ import annotations

from app.parsing.models import ParsedBrief

_WIDE = 4  # times the low estimate: then the size is what is unclear


def question_about(parsed: ParsedBrief) -> str:
    """A question that a client can answer in a sentence or two."""
    if not parsed.required_skills:
        return (
            "We could not tell what kind of work this is. What should the worker make or do, "
            "and with which tools or in which format do you need the result?"
        )
    if parsed.hours_high >= parsed.hours_low * _WIDE:
        return (
            "We could not tell how much work this is. How many pieces, pages or items do you need, "
            "and what is ready already?"
        )
    return "What exactly should be finished at the end, and how will you know that it is right?"
