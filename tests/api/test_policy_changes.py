"""The body that changes a policy follows the policy's fields, whatever their shape, and coerces nothing."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, PositiveInt, ValidationError

from api.policy_changes import changes_of
from app.jobs.policy import JobPolicy, Urgency


class Richer(JobPolicy):
    """A policy with fields of every shape that a policy may have."""

    moments_seconds: tuple[int, ...] = (1, 2)
    steps: list[Annotated[int, Field(le=9)]] = Field(default_factory=list)
    due_seconds: dict[Urgency, PositiveInt] = Field(default_factory=dict)
    cap: int | None = None
    asks: bool = True


CHANGES = changes_of(Richer)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({}, {}),
        ({"rounds": 3}, {"rounds": 3}),
        ({"momentsSeconds": [3, 4]}, {"moments_seconds": (3, 4)}),
        ({"steps": [9]}, {"steps": [9]}),
        ({"dueSeconds": {"high": 5}}, {"due_seconds": {Urgency.HIGH: 5}}),
        ({"cap": None}, {"cap": None}),
        ({"cap": 7, "asks": False}, {"cap": 7, "asks": False}),
    ],
)
def test_only_what_was_sent_is_a_change(sent: dict[str, Any], meant: dict[str, Any]) -> None:
    assert CHANGES.model_validate(sent).model_dump(exclude_unset=True) == meant


@pytest.mark.parametrize(
    "sent",
    [
        {"rounds": 0},
        {"rounds": None},
        {"rounds": "3"},
        {"momentsSeconds": ["3"]},
        {"momentsSeconds": [True]},
        {"momentsSeconds": 3},
        {"steps": [10]},
        {"steps": [2.0]},
        {"dueSeconds": {"high": 0}},
        {"dueSeconds": {"high": "5"}},
        {"dueSeconds": {"soon": 5}},
        {"cap": "7"},
        {"asks": 1},
        {"version": 2},
        {"moments_seconds": [3]},
    ],
)
def test_what_is_no_value_of_the_field_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CHANGES.model_validate(sent)


def test_the_schema_tells_of_no_defaults() -> None:
    schema = CHANGES.model_json_schema()
    assert "required" not in schema
    assert set(schema["properties"]) == {
        field.alias for name, field in Richer.model_fields.items() if name != "version"
    }
    assert not any("default" in field for field in schema["properties"].values())
