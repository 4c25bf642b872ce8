"""Score cards as they are shown: to admins whole, to a worker their own."""

from __future__ import annotations

from api.types import ResponseModel


class FactorView(ResponseModel):
    """One part of a score."""

    name: str
    value: float
    weight: int
    points: int
