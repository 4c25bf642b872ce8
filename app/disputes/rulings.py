"""What a ruling over a completed job takes back: pure arithmetic over what was spent for its worker, and earned.

A worker who left the job before has no part in the dispute (`app.jobs.parts`): what was spent for them stays spent.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.camel import CamelModel
from app.jobs.policy import BASIS


class Spent(CamelModel):
    """What is left, in hundredths of a credit, of what one transaction of a job has spent."""

    key: str
    credits: int


class Earned(CamelModel):
    """What is left, in USD cents, of what a worker earned by the job's accrual of that number."""

    number: int
    usd_cents: int


class RulingPlan(CamelModel):
    """What goes back of each transaction; nothing where the worker keeps all."""

    refunds: list[Spent]
    take_backs: list[Earned]

    @property
    def credits_back(self) -> int:
        """Hundredths of a credit that return to the client."""
        return sum(item.credits for item in self.refunds)

    @property
    def pay_lost(self) -> int:
        """USD cents that the worker does not keep."""
        return sum(item.usd_cents for item in self.take_backs)


def plan_ruling(spent: Sequence[Spent], earned: Sequence[Earned], share_basis_points: int) -> RulingPlan:
    """Divide by the worker's share. The client pays, and the worker keeps, whole units: fractions go back.

    Refunds take the later transactions first, and so do reversals.
    """
    back = _lost(sum(item.credits for item in spent), share_basis_points)
    lost = _lost(sum(item.usd_cents for item in earned), share_basis_points)
    refunds: list[Spent] = []
    for item in reversed(spent):
        part = min(back, item.credits)
        back -= part
        if part:
            refunds.append(Spent(key=item.key, credits=part))
    take_backs: list[Earned] = []
    for one in reversed(earned):
        part = min(lost, one.usd_cents)
        lost -= part
        if part:
            take_backs.append(Earned(number=one.number, usd_cents=part))
    return RulingPlan(refunds=refunds, take_backs=take_backs)


def _lost(amount: int, share_basis_points: int) -> int:
    return amount - amount * share_basis_points // BASIS
