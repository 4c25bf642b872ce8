"""Types of the API's bodies: strict, closed, camelCase, and money that never passes through a float sum."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from fastapi import Path
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from app.ids import ID_PATTERN

MAX_CREDITS = 10_000_000_00  # hundredths; far above any balance, far below what MongoDB's integers hold


class RequestModel(BaseModel):
    """A body that a caller sends: unknown fields are refused, names are camelCase only."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, validate_by_name=False)


class ResponseModel(BaseModel):
    """A body that the API answers with."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


def _hundredths(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("is not a number of credits")  # noqa: TRY004  # Pydantic turns ValueError into a 422
    try:
        exact = Decimal(str(value)) * 100
        whole = exact.to_integral_value()
    except InvalidOperation as error:
        raise ValueError("is not a number of credits") from error
    if not exact.is_finite() or exact != whole:
        raise ValueError("has more than two decimals")
    if not 0 <= whole <= MAX_CREDITS:
        raise ValueError(f"is not between 0 and {MAX_CREDITS // 100}")
    return int(whole)


_CREDITS_SCHEMA = {
    "type": "number",
    "minimum": 0,
    "maximum": MAX_CREDITS // 100,
    "multipleOf": 0.01,
    "examples": [12.5],
    "description": "Credits, with at most two decimals.",
}

# A number of credits in a request, held as integer hundredths of a credit.
CreditsIn = Annotated[int, BeforeValidator(_hundredths), WithJsonSchema(_CREDITS_SCHEMA)]

# Integer hundredths of a credit, written into an answer as a number of credits. Dividing by 100 is exact to the
# two decimals that are printed; nothing is computed with the result.
CreditsOut = Annotated[
    int,
    PlainSerializer(lambda hundredths: hundredths / 100, return_type=float, when_used="json"),
    WithJsonSchema(_CREDITS_SCHEMA),
]

EntityId = Annotated[
    str, StringConstraints(pattern=ID_PATTERN), WithJsonSchema({"type": "string", "pattern": ID_PATTERN})
]
PathId = Annotated[
    str, Path(pattern=ID_PATTERN, examples=["6561f0c2a4b7d9e8f0123456"], description="24 hex digits.")
]
