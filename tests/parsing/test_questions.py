"""The one question about an unclear brief: of what, how much, and never nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.parsing.models import ParsedBrief
from app.parsing.questions import question_about

KNOWN = ["microsoft-excel"]
QUARTERS = st.integers(2, 160)


def read(low: float, high: float, skills: list[str]) -> ParsedBrief:
    return ParsedBrief(required_skills=skills, hours_low=low, hours_likely=low, hours_high=high)


def test_of_unknown_work_it_asks_what_the_work_is() -> None:
    assert "what kind of work" in question_about(read(1, 8, []))


def test_of_work_of_unknown_size_it_asks_how_much() -> None:
    assert "how much work" in question_about(read(2, 8, KNOWN))


def test_of_known_work_of_known_size_it_asks_for_the_end() -> None:
    question = question_about(read(2, 7.75, KNOWN))
    assert "finished" in question
    assert "how much work" not in question


@given(QUARTERS, QUARTERS, st.booleans())
def test_every_reading_has_one_question_that_can_be_answered(one: int, other: int, known: bool) -> None:
    low, high = sorted((one / 4, other / 4))
    question = question_about(read(low, high, KNOWN if known else []))
    assert question.endswith("?")
    assert question.count("?") == 1
    assert len(question) < 300
    assert ("what kind of work" in question) is not known
